"""The `systemd` platform: `systemctl` reboots the machine and restarts EVerest; the clock is `HostClock`'s.

`systemctl` rather than D-Bus calls of our own: it needs the same polkit rule, is wherever systemd is, and knows how to
reboot with and without logind. It is never asked for a password, and its own words say in the log why it failed. What
has to be allowed to an unprivileged service is in `docs/platforms.md`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Final

from everest_system.io.platforms.command import read_boot_id
from everest_system.io.platforms.host_clock import HostClock
from everest_system.io.platforms.port import Reboot
from everest_system.io.platforms.system_program import tell
from everest_system.io.program import run

REBOOT_TIMEOUT_S: Final = 60.0
"""How long it may take until the reboot has begun."""

RESTART_TIMEOUT_S: Final = 240.0
"""How long EVerest may take to stop and to start: systemd gives a unit 90 s for each, if that says nothing else."""


class SystemdPlatform:
    """Speaks to systemd.

    Args:
        everest_unit: EVerest's unit.
        boot_id_file: holds the boot id.
        clock: sets the time.
        run: runs a program, as `io.program.run` does.
    """

    def __init__(
        self, *, everest_unit: str, boot_id_file: Path, clock: HostClock, run: Callable[..., int] = run
    ) -> None:
        self._everest_unit, self._boot_id_file, self._clock, self._run = everest_unit, boot_id_file, clock, run

    def boot_id(self) -> str:
        """Return what stands in the boot id file.

        Raises:
            PlatformError: it cannot be read, or is no id.
        """
        return read_boot_id(self._boot_id_file)

    def reboot(self, *, canceled: Event) -> Reboot:
        """Have systemd stop all units in their order, and reboot.

        Inhibitors are not asked for: nobody is there to be asked, and an update must not hang on one.

        Raises:
            PlatformError: it will not.
            CanceledError: `canceled` was set before it had answered; the reboot may come all the same.
        """
        self._systemctl(["-i", "reboot"], REBOOT_TIMEOUT_S, canceled)
        return Reboot.BY_HOST

    def restart(self, *, canceled: Event) -> None:
        """Have EVerest's unit restarted, and wait until it has started.

        Raises:
            PlatformError: it was not.
            CanceledError: `canceled` was set before it had; systemd goes on with it.
        """
        self._systemctl(["restart", self._everest_unit], RESTART_TIMEOUT_S, canceled)

    def set_time(self, now: datetime, *, canceled: Event) -> bool:
        """Set the clock.

        Raises:
            PlatformError: it was not set.
            CanceledError: `canceled` was set.
        """
        self._clock.set(now, canceled=canceled)
        return True

    def _systemctl(self, words: Sequence[str], timeout_s: float, canceled: Event) -> None:
        argv = ["systemctl", "--no-ask-password", *words]
        tell(self._run, argv, f"systemctl {' '.join(words)}", timeout_s=timeout_s, canceled=canceled)
