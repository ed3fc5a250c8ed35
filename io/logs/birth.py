"""When a file was made, which `os.stat` does not tell on Linux.

The kernel does (`statx`), for the file systems that write it down: ext4, f2fs, btrfs, xfs, tmpfs. It is when the file
came to be on this file system, not when its content did: of a copy, or of a file that was compressed since, it is later
than the last change that the copy carries over, and says nothing of the content.
"""

import ctypes
import os
import struct
from functools import cache

_AT_EMPTY_PATH = 0x1000  # of the open file itself
_STATX_BTIME = 0x800
_SIZE = 256
_MASK = struct.Struct("=I")
_BTIME = struct.Struct("=qI")
_BTIME_AT = 80


def birth_ns(fd: int, status: os.stat_result) -> int | None:
    """When an open file was begun, in nanoseconds since 1970.

    Args:
        fd: the file.
        status: what it is; a birth after its last change is not its content's.

    Returns:
        None if nobody knows.
    """
    statx = _statx()
    buffer = ctypes.create_string_buffer(_SIZE)
    if statx is None or statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer) != 0:
        return None
    if not _MASK.unpack_from(buffer)[0] & _STATX_BTIME:
        return None
    seconds, nanoseconds = _BTIME.unpack_from(buffer, _BTIME_AT)
    born_ns = int(seconds) * 1_000_000_000 + int(nanoseconds)
    return born_ns if born_ns <= status.st_mtime_ns else None


@cache
def _statx() -> "ctypes._NamedFuncPointer | None":
    """The C library's; None if it is too old (glibc before 2.28)."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "statx", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p)
    return function
