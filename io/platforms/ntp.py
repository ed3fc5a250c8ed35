"""Whether NTP keeps the clock: what the kernel was told last by whoever keeps it.

The kernel is asked as timedatectl does it. The flag STA_UNSYNC says something else: without `rtcsync` chrony leaves it
set. A sandbox that protects the clock (`ProtectClock=`) keeps a service from asking too: then timedated is asked.
"""

from collections.abc import Callable
from threading import Event
from typing import Any, Final

from everest_system.fsm.errors import WorldError
from everest_system.io.program import run

LARGEST_ERROR_US: Final = 16_000_000
"""The kernel's word for "nobody knows". Its estimate grows by 0.5 ms a second: it is there 9 hours after the last word
of an NTP server."""

ANSWER_TIMEOUT_S: Final = 2.0
"""How long timedated may take to answer."""

_TIMEDATED: Final = ("org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1")


def kernels_error_us() -> int | None:
    """By how many microseconds the clock is off at most, as far as the kernel knows; None: it does not say."""
    try:
        import ctypes
    except (ImportError, MemoryError):  # a sandbox without executable memory may not let it in
        return None

    class Timex(ctypes.Structure):
        """The head of the kernel's `struct timex`, and room for the rest of it."""

        _fields_ = (
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("rest", ctypes.c_byte * 256),
        )

    state = Timex()  # no modes: nothing is set
    adjtimex: Any = ctypes.CDLL(None).adjtimex
    return int(state.maxerror) if adjtimex(ctypes.byref(state)) >= 0 else None


def timedateds_word() -> bool:
    """Whether systemd's timedated says that the clock is synchronized; no where it says nothing."""
    said: list[str] = []
    argv = ["busctl", "--system", "get-property", *_TIMEDATED, "NTPSynchronized"]
    try:
        code = run(argv, timeout_s=ANSWER_TIMEOUT_S, canceled=Event(), on_line=said.append)
    except WorldError:
        return False
    return code == 0 and said == ["b true"]


def is_synchronized(
    error_us: Callable[[], int | None] = kernels_error_us, otherwise: Callable[[], bool] = timedateds_word
) -> bool:
    """Whether somebody keeps the clock, and knows by how much it is off at most."""
    error = error_us()
    return otherwise() if error is None else error < LARGEST_ERROR_US
