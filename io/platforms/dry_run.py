"""The dry run: changes nothing on the host, so that nobody's workstation reboots by accident.

A reboot advances a counter in `STATE_DIR/boot_counter`, which is the boot id, and asks for a restart of the station in
place. A restart of EVerest and a new time are logged and counted as done. A platform that is only rehearsed says before
what it would do for it.
"""

from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Final

import structlog

from everest_system.fsm.errors import CanceledError
from everest_system.fsm.timestamps import format_rfc3339
from everest_system.io.durable import write_durably
from everest_system.io.platforms.port import Platform, PlatformError, Reboot

_LONGEST_COUNT: Final = 18

_log = structlog.get_logger(__name__)


class DryRunPlatform:
    """Does nothing, and says what.

    Args:
        state_dir: where the counter is kept; it must exist.
        rehearsed: a platform made with `io.platforms.rehearsal`, whose words are wanted.
    """

    def __init__(self, state_dir: Path, rehearsed: Platform | None = None) -> None:
        self._file, self._rehearsed = state_dir / "boot_counter", rehearsed

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
        if self._rehearsed is not None:
            self._rehearsed.reboot(canceled=canceled)
        count = self._count() + 1
        try:
            write_durably(self._file, f"{count}\n".encode())
        except OSError as error:
            raise PlatformError(f"{self._file} cannot be written: {error.strerror}") from error
        _log.info("dry run: the machine would reboot now; the station restarts in place", boot_id=f"dry-run-{count}")
        return Reboot.IN_PLACE

    def restart(self, *, canceled: Event) -> None:
        """Log that EVerest would be restarted.

        Raises:
            PlatformError: the rehearsed platform could not.
        """
        if self._rehearsed is not None:
            self._rehearsed.restart(canceled=canceled)
        _log.info("dry run: EVerest would be restarted now")

    def set_time(self, now: datetime, *, canceled: Event) -> bool:
        """Log the time, and say that it is set.

        Raises:
            PlatformError: the rehearsed platform could not set it.
        """
        done = self._rehearsed is None or self._rehearsed.set_time(now, canceled=canceled)
        _log.info(f"dry run: the clock would {'' if done else 'not '}be set now", time=format_rfc3339(now))
        return done

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
