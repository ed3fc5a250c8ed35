"""The `dry_run` platform: changes nothing on the host, so that nobody's workstation reboots by accident.

A reboot advances a counter in `STATE_DIR/boot_counter`, which is the boot id, and asks for a restart of the station in
place. A restart of EVerest and a new time are logged and counted as done.
"""

from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Final

import structlog

from everest_system.fsm.errors import CanceledError
from everest_system.fsm.timestamps import format_rfc3339
from everest_system.io.durable import write_durably
from everest_system.io.platforms.port import PlatformError, Reboot

_LONGEST_COUNT: Final = 18

_log = structlog.get_logger(__name__)


class DryRunPlatform:
    """Keeps its counter in `state_dir`, which must exist."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / "boot_counter"

    def boot_id(self) -> str:
        """Return the number of reboots so far, as `dry-run-0`.

        Raises:
            PlatformError: the counter cannot be read or is none.
        """
        return f"dry-run-{self._count()}"

    def reboot(self, *, canceled: Event) -> Reboot:
        """Advance the counter, and leave the rest to the station.

        Raises:
            PlatformError: the counter cannot be read or written; it stands where it was.
            CanceledError: `canceled` was set; the counter stands where it was.
        """
        if canceled.is_set():
            raise CanceledError("the reboot was canceled")
        count = self._count() + 1
        try:
            write_durably(self._file, f"{count}\n".encode())
        except OSError as error:
            raise PlatformError(f"{self._file} cannot be written: {error.strerror}") from error
        _log.info("dry run: the machine would reboot now; the station restarts in place", boot_id=f"dry-run-{count}")
        return Reboot.IN_PLACE

    def restart(self, *, canceled: Event) -> None:  # noqa: ARG002 - the port's signature
        """Log that EVerest would be restarted."""
        _log.info("dry run: EVerest would be restarted now")

    def set_time(self, now: datetime, *, canceled: Event) -> bool:  # noqa: ARG002 - the port's signature
        """Log the time, and say that it is set."""
        _log.info("dry run: the clock would be set now", time=format_rfc3339(now))
        return True

    def _count(self) -> int:
        try:
            with self._file.open("rb") as stream:
                text = stream.read(_LONGEST_COUNT + 2).strip()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise PlatformError(f"{self._file} cannot be read: {error.strerror}") from error
        if not text.isdigit() or len(text) > _LONGEST_COUNT:
            raise PlatformError(f"{self._file} holds no number: remove it, and the count begins anew")
        return int(text)
