"""The machine underneath the service, played by the demonstration: it boots, runs the service, and can be rebooted.

The service is a process of its own, started as an integrator would start it. What its configuration calls the reboot
program only leaves an order in the machine's folder; whoever plays the machine sees that (`reboot_ordered`), ends the
service, and boots again with a new boot id.

    machine = Machine(folder, state_dir)
    machine.boot(config)
    ...
    if machine.reboot_ordered:
        machine.shut_down()
        machine.boot(config)
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

from everest_system.fsm.errors import WorldError
from everest_system.io.control.client import ask
from everest_system.io.control.wire import CONTROL_SOCKET, ControlError

SERVICE: Final = (sys.executable, "-m", "everest_system", "run", "-c")
"""The service's command line, without the configuration's path at its end."""

_START_S: Final = 15.0
_STOP_S: Final = 5.0  # what the service promises
_TICK_S: Final = 0.05
_ASK_S: Final = 1.0
_OWN_VARIABLES: Final = ("EVEREST_SYSTEM_", "MQTT_SERVER_")  # would be stronger than the demonstration's own settings


class MachineError(WorldError):
    """The service does not start, has ended by itself, or does not stop."""


class Machine:
    """One machine with one service on it; used from one thread.

    Args:
        folder: for the boot id, the order to reboot, and the service's log; must exist.
        state_dir: the service's.
        command: starts the service; the configuration's path is added.

    Attributes:
        boot_id_file: changes with each boot.
        reboot_program: what the service is to run in order to reboot.
        log: all that the service wrote, in all its runs.
        boots: how many there have been.
    """

    def __init__(self, folder: Path, state_dir: Path, command: Sequence[str] = SERVICE) -> None:
        self.boot_id_file = folder / "boot-id"
        self.log = folder / "service.log"
        self.boots = 0
        self._order = folder / "reboot-ordered"
        self.reboot_program = ("touch", str(self._order))
        self._socket = state_dir / CONTROL_SOCKET
        self._command = tuple(command)
        self._service: subprocess.Popen[bytes] | None = None

    @property
    def reboot_ordered(self) -> bool:
        """Whether the service has asked for a reboot since the last boot."""
        return self._order.exists()

    def boot(self, config: Path) -> None:
        """Take a new boot id and start the service; returns once that has found the broker.

        Raises:
            MachineError: it does not come up.
        """
        self._order.unlink(missing_ok=True)
        self.boots += 1
        self.boot_id_file.write_text(f"{uuid.uuid4()}\n")
        with self.log.open("ab") as log:
            self._service = subprocess.Popen(
                [*self._command, str(config)],
                env={name: value for name, value in os.environ.items() if not name.startswith(_OWN_VARIABLES)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demonstration, which then ends the service properly
            )
        deadline = monotonic() + _START_S
        while not self.ask_status().get("broker_connected"):
            self.check()
            if monotonic() > deadline:
                raise MachineError(f"the service has not found the broker within {_START_S:g} s")
            with suppress(subprocess.TimeoutExpired):
                self._service.wait(_TICK_S)

    def shut_down(self) -> None:
        """End the service as a machine that goes down does: SIGTERM, and exit code 0 is expected.

        Raises:
            MachineError: it does not stop in time, or not cleanly.
        """
        service, self._service = self._service, None
        if service is None:
            return
        service.terminate()
        try:
            code = service.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            raise MachineError(f"the service does not stop within {_STOP_S:g} s of SIGTERM") from None
        finally:
            service.kill()
            service.wait()
        if code != 0:
            raise MachineError(f"the service stopped with {_explained(code)}")

    def check(self) -> None:
        """See that the service runs.

        Raises:
            MachineError: it has ended by itself.
        """
        code = self._service.poll() if self._service is not None else None
        if code is not None:
            self._service = None
            raise MachineError(f"the service ended by itself, with {_explained(code)}")

    def ask_status(self) -> dict[str, Any]:
        """What the service says of itself over its control socket; nothing while it does not listen there."""
        try:
            return ask(self._socket, "status", timeout_s=_ASK_S)
        except ControlError:
            return {}

    def last_lines(self, count: int) -> list[str]:
        """The end of the service's log."""
        if not self.log.exists():
            return []
        return self.log.read_text(errors="replace").splitlines()[-count:]


def _explained(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
