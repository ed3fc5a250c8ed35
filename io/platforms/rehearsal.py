"""A rehearsal of a platform: what it would do goes into the log, word for word, and is not done.

Both stand in for what a platform does its work with: `rehearse` for `io.program.run`, `RehearsedKernel` for
`host_clock.Kernel`. All else is the real platform, so that it says what it would really do.

    dry run: would run  argv=["systemctl", "--no-ask-password", "reboot"]
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Final

import structlog

from everest_system.fsm.errors import CanceledError
from everest_system.fsm.timestamps import format_rfc3339

CAP_SYS_TIME: Final = 25

_log = structlog.get_logger(__name__)


def rehearse(
    argv: Sequence[str],
    *,
    timeout_s: float,  # noqa: ARG001 - as `io.program.run` has it
    canceled: Event,
    facts: Mapping[str, str] | None = None,  # noqa: ARG001
    on_line: Callable[[str], object] | None = None,  # noqa: ARG001
    detached: bool = False,  # noqa: ARG001
) -> int:
    """Say that `argv` would be run, and that it went well.

    Raises:
        CanceledError: `canceled` was set.
    """
    if canceled.is_set():
        raise CanceledError(f"{argv[0]} was not started")
    _log.info("dry run: would run", argv=list(argv))
    return 0


class RehearsedKernel:
    """Says what would be set; it may set the clock where this process may."""

    def __init__(self, status_file: Path = Path("/proc/self/status")) -> None:
        self._status_file = status_file

    def set_clock(self, to: datetime) -> None:
        """Say that the clock would be set.

        Raises:
            PermissionError: this process has not got CAP_SYS_TIME.
        """
        if not self._may_set_clock():
            raise PermissionError
        _log.info("dry run: would set the clock", time=format_rfc3339(to), call="clock_settime")

    def set_hardware_clock(self, device: Path, to: datetime) -> None:
        """Say that the hardware clock would be set."""
        _log.info("dry run: would set the hardware clock", device=str(device), time=format_rfc3339(to))

    def _may_set_clock(self) -> bool:
        for line in self._status_file.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "CapEff":
                return bool(int(value, 16) >> CAP_SYS_TIME & 1)
        return False
