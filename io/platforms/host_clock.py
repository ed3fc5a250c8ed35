"""The machine's clock and, beside it, its hardware clock, which keeps the time while the power is off.

`HostClock.set` goes the first way that is open:

1. `clock_settime`, where this process may (CAP_SYS_TIME), and then the hardware clock, where there is one that it may
   write. A hardware clock that is kept in local time is left alone, with a warning.
2. systemd's timedated (`org.freedesktop.timedate1.SetTime`), where polkit lets this process; timedated sets the
   hardware clock by itself. It is told the difference, so that the time it takes to answer does not count.

Whether the clock is to be set at all is not decided here.
"""

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Final, Protocol

import structlog

from everest_system.io.platforms.port import SET_TIME_TIMEOUT_S, PlatformError
from everest_system.io.platforms.system_program import tell
from everest_system.io.program import run

_LONGEST_ADJTIME: Final = 4096
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# _IOW('p', 0x0a, struct rtc_time), which some machines number otherwise.
_RTC_SET_TIME: Final = 0x8024700A if os.uname().machine.startswith(("mips", "ppc", "sparc", "alpha")) else 0x4024700A
_TIMEDATED: Final = ("org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1")

_log = structlog.get_logger(__name__)


class Clocks(Protocol):
    """What sets clocks: `Kernel`, or one that only says so."""

    def set_clock(self, to: datetime) -> None:
        """Set the system's clock; PermissionError and other OSErrors say why not."""

    def set_hardware_clock(self, device: Path, to: datetime) -> None:
        """Set the hardware clock; OSError says why not."""


class Kernel:
    """The kernel's own calls."""

    def set_clock(self, to: datetime) -> None:
        """`clock_settime`.

        Raises:
            PermissionError: without CAP_SYS_TIME.
            OSError: the kernel takes no such time.
        """
        try:
            time.clock_settime_ns(time.CLOCK_REALTIME, (to - _EPOCH) // _MICROSECOND * 1000)
        except OverflowError as error:  # where time_t has 32 bits
            raise OSError(errno.EOVERFLOW, os.strerror(errno.EOVERFLOW)) from error

    def set_hardware_clock(self, device: Path, to: datetime) -> None:
        """`ioctl(RTC_SET_TIME)`, in UTC.

        Raises:
            OSError: there is none, it may not be written, or it knows no such time.
        """
        utc = to.astimezone(UTC)
        fields = struct.pack(
            "9i", utc.second, utc.minute, utc.hour, utc.day, utc.month - 1, utc.year - 1900, 0, 0, 0
        )  # the kernel works out the last three
        opened = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(opened, _RTC_SET_TIME, fields)
        finally:
            os.close(opened)


class HostClock:
    """Sets the machine's clocks.

    Args:
        hardware_clock: its device; None: leave it alone.
        clocks: what sets them.
        run: runs a program, as `io.program.run` does.
        adjtime: where it says whether the hardware clock is kept in local time (`adjtime_config(5)`).
    """

    def __init__(
        self,
        hardware_clock: Path | None,
        clocks: Clocks | None = None,
        run: Callable[..., int] = run,
        adjtime: Path = Path("/etc/adjtime"),
    ) -> None:
        self._hardware_clock, self._clocks, self._run, self._adjtime = hardware_clock, clocks or Kernel(), run, adjtime

    def set(self, to: datetime, *, canceled: Event) -> None:
        """Set the clock to `to`, which has a zone, and the hardware clock too if that can be.

        Raises:
            PlatformError: the clock was not set.
            CanceledError: `canceled` was set.
        """
        ahead = to - datetime.now(UTC)
        try:
            self._clocks.set_clock(to)
        except PermissionError:
            self._ask_timedated(ahead, canceled)
        except OSError as error:
            raise PlatformError(f"the clock cannot be set: {error.strerror}") from error
        else:
            self._set_hardware_clock(to)

    def _ask_timedated(self, ahead: timedelta, canceled: Event) -> None:
        argv = ["busctl", "--system", "call", "--", *_TIMEDATED, "SetTime", "xbb"]
        argv += [str(ahead // _MICROSECOND), "true", "false"]  # relative, and nobody is to be asked for a password
        what = "timedated, for want of CAP_SYS_TIME"
        tell(self._run, argv, what, timeout_s=SET_TIME_TIMEOUT_S, canceled=canceled)

    def _set_hardware_clock(self, to: datetime) -> None:
        device = self._hardware_clock
        if device is None or not device.exists():
            return
        if _is_local(self._adjtime):
            _log.warning(f"{device} is kept in local time ({self._adjtime}): it is left as it is")
            return
        try:
            self._clocks.set_hardware_clock(device, to)
        except OSError as error:
            _log.warning(f"{device} was not set: {error.strerror}")


def _is_local(adjtime: Path) -> bool:
    try:
        with adjtime.open("rb") as stream:
            third = [*stream.read(_LONGEST_ADJTIME).splitlines(), b"", b"", b""][2]
    except OSError:
        return False
    return third.strip() == b"LOCAL"
