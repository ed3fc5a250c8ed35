"""The `command` platform: programs of the integrator's reboot the machine, restart EVerest and set the clock.

Exit code 0 is success. Each has a minute, the one that sets the clock 5 s: EVerest waits for its answer. What reboots
or restarts may take this service down with it and so outlives it; its output is not read. The time is put in for
`{time}`, as RFC 3339 text in UTC; without `{time}` it comes last.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Final

from everest_system.fsm.timestamps import format_rfc3339
from everest_system.io.platforms.port import SET_TIME_TIMEOUT_S, PlatformError, Reboot
from everest_system.io.program import ProgramError, fill, run

TIMEOUT_S: Final = 60.0
"""How long each program may take."""

_LONGEST_BOOT_ID: Final = 128


class CommandPlatform:
    """Runs the programs given; an empty list is none.

    Args:
        reboot: reboots the machine.
        restart: restarts EVerest.
        set_time: sets the clock.
        boot_id_file: holds the boot id.
        timeout_s: how long each may take, in seconds.
        run: runs a program, as `io.program.run` does.
    """

    def __init__(
        self,
        *,
        reboot: Sequence[str],
        restart: Sequence[str],
        set_time: Sequence[str],
        boot_id_file: Path,
        timeout_s: float = TIMEOUT_S,
        run: Callable[..., int] = run,
    ) -> None:
        self._reboot, self._restart, self._set_time = tuple(reboot), tuple(restart), tuple(set_time)
        self._boot_id_file, self._timeout_s, self._run_program = boot_id_file, timeout_s, run

    def boot_id(self) -> str:
        """Return what stands in the boot id file.

        Raises:
            PlatformError: it cannot be read, or is no id.
        """
        return read_boot_id(self._boot_id_file)

    def reboot(self, *, canceled: Event) -> Reboot:
        """Run the program that reboots.

        Raises:
            PlatformError: there is none, or it failed.
            CanceledError: `canceled` was set; the program runs on.
        """
        self._run("reboot", self._reboot, canceled)
        return Reboot.BY_HOST

    def restart(self, *, canceled: Event) -> None:
        """Run the program that restarts EVerest.

        Raises:
            PlatformError: there is none, or it failed.
            CanceledError: `canceled` was set; the program runs on.
        """
        self._run("restart", self._restart, canceled)

    def set_time(self, now: datetime, *, canceled: Event) -> bool:
        """Run the program that sets the clock; False if there is none.

        Raises:
            PlatformError: it failed.
            CanceledError: `canceled` was set; the program was ended.
        """
        if not self._set_time:
            return False
        argv = fill(self._set_time, {"time": format_rfc3339(now)}, last="time")
        self._run("set_time", argv, canceled, detached=False, timeout_s=min(self._timeout_s, SET_TIME_TIMEOUT_S))
        return True

    def _run(
        self, key: str, argv: Sequence[str], canceled: Event, *, detached: bool = True, timeout_s: float | None = None
    ) -> None:
        key = f"platform.command.{key}"
        if not argv:
            raise PlatformError(f"{key} names no program")
        try:
            limit_s = self._timeout_s if timeout_s is None else timeout_s
            code = self._run_program(argv, timeout_s=limit_s, canceled=canceled, detached=detached)
        except ProgramError as error:
            raise PlatformError(f"{key}: {error}") from error
        if code != 0:
            how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
            raise PlatformError(f"{key}: {argv[0]} failed ({how})")


def read_boot_id(file: Path) -> str:
    """Return the one word in `file`, the kernel's `/proc/sys/kernel/random/boot_id` or one like it.

    Raises:
        PlatformError: the file cannot be read, or holds anything but one word of at most 128 characters.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(_LONGEST_BOOT_ID + 2).decode("ascii", "replace").strip()
    except OSError as error:
        raise PlatformError(f"platform.boot_id_file {file} cannot be read: {error.strerror}") from error
    if not text.isascii() or not text.isprintable() or len(text.split()) != 1 or len(text) > _LONGEST_BOOT_ID:
        raise PlatformError(f"platform.boot_id_file {file} holds no boot id")
    return text
