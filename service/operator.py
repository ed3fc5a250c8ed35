"""The operator's hand: what comes in through the control socket."""

from typing import TYPE_CHECKING, Any

from everest_system.fsm.firmware.events import PauseRequested, ResumeRequested
from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.platform.events import ResetRequested
from everest_system.io.control.server import ControlRequest
from everest_system.report import PLATFORM, report
from everest_system.resets import Resets
from everest_system.transaction import Transaction
from everest_system.version import __version__

if TYPE_CHECKING:
    from everest_system.station import Station

NOTHING_TO_DO = {
    "pause": "no download is running or waiting for another attempt",
    "resume": "no download is paused",
    "reset": "a reset is on its way already",
}


class Operator:
    """Answers `status`, `pause`, `resume` and `reset`."""

    def __init__(self, station: "Station", resets: Resets) -> None:
        self._station, self._resets = station, resets

    def answer(self, transaction: Transaction, request: ControlRequest) -> None:
        """Do what is asked for; what came of it is said once `transaction` is stored."""
        match request.command:
            case "status":
                request.respond(self.status())
            case "pause" | "resume" | "reset":
                answer = self._act(transaction, request.command, request.arguments)
                transaction.answers.append((request.respond, answer))
            case other:
                request.respond({"error": f"no such command: {other[:40]}"})

    def status(self) -> dict[str, Any]:
        """The report of the running service."""
        station = self._station
        told = report(
            {key: machine.snapshot for key, machine in station.machines()},
            {module.module_id: len(module.outbox.rows) for module in station.modules.values()},
            station.edges.workshop.progress(),
            station.edges.clock.now(),
        )
        return {"running": True, "version": __version__, "broker_connected": station.broker.is_connected, **told}

    def _act(self, transaction: Transaction, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        module_id = arguments.get("module_id")
        # The client may have sent any JSON; a list, say, cannot even be looked up.
        if module_id is not None and module_id not in list(self._station.modules):
            return {"error": f"no such module; there are: {', '.join(self._station.modules)}"}
        if command == "reset":
            hard = arguments.get("type", ResetType.HARD) != ResetType.SOFT
            kind = ResetType.HARD if hard else ResetType.SOFT
            refusal = self._resets.refusal(kind)
            if refusal:
                return {"error": f"no {kind} reset: {refusal}"}
            busy = self._station.is_busy
            event = ResetRequested(self._resets.meant(kind), BootReason.LOCAL_RESET, busy)
            taken = self._station.tell(transaction, PLATFORM, event)
            done = "the reset waits until the update has ended" if busy else "resetting"
        else:
            modules = [module_id] if module_id is not None else list(self._station.modules)
            hand = PauseRequested() if command == "pause" else ResumeRequested()
            taken = sum(self._station.tell(transaction, (module, "firmware"), hand) for module in modules) > 0
            done = "paused" if command == "pause" else "resumed"
        return {"done": done} if taken else {"error": NOTHING_TO_DO[command]}
