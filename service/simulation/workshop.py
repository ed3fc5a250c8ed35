"""The work, without anybody who does it: each order takes its time and ends as the world's behaviour says.

`FakeWorkshop` keeps the contract of `everest_system.work.Workshop`: one piece after the other in the lane of a machine,
exactly one event for each order of work unless it is stopped, removals done in any case. What an order comes to is
written down in one method for each order. A crash (`close`) ends the work where it is: what it has written so far is
in the world, a slot in the middle of an installation is torn, and no event comes.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from everest_system.configuration.settings import Settings
from everest_system.fsm.events import Event
from everest_system.fsm.orders import (
    ActivateByReboot,
    ActivateByRestart,
    CheckArtifact,
    CollectLogs,
    ConfirmInstall,
    Order,
    RebootMachine,
    RemoveArchive,
    RemoveArtifact,
    RestartEverest,
    RollBack,
    SetSystemTime,
    StartDownload,
    StartInstall,
    StartUpload,
    StopWork,
    WorkOrder,
)
from everest_system.module import Key
from everest_system.ports import SystemTimeSet, WorkReport
from everest_system.simulation.agenda import Agenda, Appointment
from everest_system.simulation.firmware_work import check, confirm, download, install, roll_back
from everest_system.simulation.logs_work import collect, upload
from everest_system.simulation.plan import Plan
from everest_system.simulation.power_work import reboot, restart
from everest_system.simulation.world import World


class Machine(Protocol):
    """What work can do to the machine that it runs on."""

    def order_reboot(self) -> None:
        """Have it go down, and come up again."""
        ...

    def restart_everest(self, done: Callable[[], None]) -> None:
        """Have EVerest end and start again; `done` is called when it has."""
        ...

    def set_clock(self, order: SetSystemTime) -> bool:
        """Set the wall clock; whether that is done."""
        ...


@dataclass(slots=True)
class _Lane:
    waiting: deque[Order] = field(default_factory=deque)
    running: WorkOrder | None = None
    plan: Plan = field(default_factory=Plan)
    began: int = 0
    appointments: list[Appointment] = field(default_factory=list)


class FakeWorkshop:
    """Fills the port `everest_system.ports.Workshop` for one life of the service.

    Args:
        settings: the configuration, of which work knows what activates a firmware.
        world: what it works on.
        agenda: where its time is kept.
        machine: whom power and clock belong to.
        post: takes `WorkReport` and `SystemTimeSet`, never from inside `carry_out`.

    Attributes:
        log: every order, with module and machine.
    """

    def __init__(
        self, settings: Settings, world: World, agenda: Agenda, machine: Machine, post: Callable[[object], None]
    ) -> None:
        self.log: list[tuple[str, str, Order]] = []
        self._settings, self._world, self._agenda, self._machine, self._post = settings, world, agenda, machine, post
        self._lanes: dict[Key, _Lane] = {}
        self._closed = False

    def carry_out(self, module_id: str, machine: str, order: Order) -> None:
        """Begin with `order`; returns at once."""
        if self._closed:
            return
        self.log.append((module_id, machine, order))
        key = (module_id, machine)
        lane = self._lanes.setdefault(key, _Lane())
        match order:
            case StopWork():
                self._cancel(lane)
                lane.waiting = deque(order for order in lane.waiting if not isinstance(order, WorkOrder))
                self._next(key, lane)
            case SetSystemTime():
                self._agenda.after(0, lambda: self._set_time(module_id, order))
            case _:
                lane.waiting.append(order)
                self._next(key, lane)

    def progress(self) -> Mapping[Key, tuple[int, int | None]]:
        """How far the work has come that runs, in percent of its time."""
        told = {}
        for key, lane in self._lanes.items():
            if lane.running is not None:
                whole = max(lane.appointments[-1].at - lane.began, 1)
                told[key] = (100 * (self._agenda.now - lane.began) // whole, 100)
        return told

    def close(self) -> None:
        """The service is gone, and its work with it."""
        self._closed = True
        for lane in self._lanes.values():
            self._cancel(lane)
            lane.waiting.clear()

    # --- lanes ---

    def _next(self, key: Key, lane: _Lane) -> None:
        while lane.waiting and lane.running is None:
            order = lane.waiting.popleft()
            match order:
                case RemoveArtifact(job=job):
                    self._world.files.pop((key[0], "artifact", job), None)
                case RemoveArchive(job=job):
                    self._world.files.pop((key[0], "spool", job), None)
                case WorkOrder():
                    self._begin(key, lane, order)
                case _:
                    raise AssertionError(f"an order without a way to do it: {order!r}")

    def _begin(self, key: Key, lane: _Lane, order: WorkOrder) -> None:
        plan = self._plan(key[0], order)
        lane.running, lane.plan, lane.began = order, plan, self._agenda.now
        lane.appointments = [self._agenda.after(at_s, _said(self._say, key, event)) for at_s, event in plan.on_the_way]
        lane.appointments.append(self._agenda.after(plan.takes_s, lambda: self._end(key, lane, plan)))

    def _end(self, key: Key, lane: _Lane, plan: Plan) -> None:
        lane.running = None
        event = plan.ends()
        if event is not None:
            self._say(key, event)
        self._next(key, lane)

    def _cancel(self, lane: _Lane) -> None:
        for appointment in lane.appointments:
            appointment.cancel()
        lane.running = None

    def _say(self, key: Key, event: Event) -> None:
        if not self._closed:
            self._post(WorkReport(*key, event))

    def _set_time(self, module_id: str, order: SetSystemTime) -> None:
        if not self._closed:
            self._post(SystemTimeSet(module_id, order.reply_to, self._machine.set_clock(order)))

    # --- orders ---

    def _plan(self, module_id: str, order: WorkOrder) -> Plan:
        world = self._world
        match order:
            case StartDownload():
                return download(world, module_id, order)
            case CheckArtifact():
                return check(world, module_id, order)
            case StartInstall():
                return install(world, module_id, order, self._activation)
            case ConfirmInstall():
                return confirm(world, module_id, order)
            case RollBack():
                return roll_back(world, module_id, order, self._activation)
            case CollectLogs():
                return collect(world, module_id, order)
            case StartUpload():
                return upload(world, module_id, order)
            case ActivateByReboot() | RebootMachine():
                return reboot(world, order, self._machine.order_reboot)
            case ActivateByRestart() | RestartEverest():
                return restart(world, order, lambda event: self._restart((module_id, _MACHINE[type(order)]), event))
            case _:
                raise AssertionError(f"an order without a way to do it: {order!r}")

    def _restart(self, key: Key, event: Event) -> None:
        self._machine.restart_everest(lambda: self._say(key, event))

    @property
    def _activation(self) -> str:
        firmware = self._settings.firmware
        match firmware.installer:
            case "slots":
                return str(firmware.slots.activation)
            case "command":
                return str(firmware.command.activation)
            case _:
                return "reboot"


_MACHINE = {ActivateByRestart: "firmware", RestartEverest: "platform"}


def _said(say: Callable[[Key, Event], None], key: Key, event: Event) -> Callable[[], None]:
    return lambda: say(key, event)
