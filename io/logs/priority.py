"""Puts this process behind everything else on the machine: `nice` 19, and the disk only while nobody else wants it.

Neither needs rights. Where the kernel does not know or not allow one of them (a container's filter, another system),
the work goes on without it: slower logs are no reason to have none.
"""

import ctypes
import os
import platform
from contextlib import suppress
from pathlib import Path

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "armv7l": 314, "armv6l": 314, "i686": 289, "i386": 289}
_WHO_PROCESS = 1
_CLASS_IDLE = 3 << 13


def yield_to_others() -> None:
    """Lower the calling thread's priority, and that of all that it starts from now on. There is no way back."""
    with suppress(OSError):
        os.nice(19)
    with suppress(OSError):
        # When memory runs out this process goes first: it can be begun anew, the service is worth more.
        Path("/proc/self/oom_score_adj").write_text("1000")
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, _WHO_PROCESS, 0, _CLASS_IDLE)
