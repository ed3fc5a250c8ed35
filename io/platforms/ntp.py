"""Whether NTP keeps the clock: what the kernel was told last by whoever keeps it."""

import ctypes
from collections.abc import Callable
from typing import Any, Final

LARGEST_ERROR_US: Final = 16_000_000
"""The kernel's word for "nobody knows"; the estimate grows by 0.5 ms a second, so that it is reached 9 hours after the
last word of an NTP server."""


class Timex(ctypes.Structure):
    """The head of the kernel's `struct timex`, and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


def _adjtimex(state: Timex) -> int:
    call: Any = ctypes.CDLL(None).adjtimex
    return int(call(ctypes.byref(state)))


def is_synchronized(adjtimex: Callable[[Timex], int] = _adjtimex) -> bool:
    """Whether somebody keeps the clock and knows by how much it is off at most; no where the kernel does not say.

    Asked as timedatectl does it. The flag STA_UNSYNC says something else: without `rtcsync` chrony leaves it set.
    """
    state = Timex()
    return adjtimex(state) >= 0 and state.maxerror < LARGEST_ERROR_US
