"""Sparse files, read as if their holes were not there.

A log that is cut to nothing under a program that keeps its place (`copytruncate` of logrotate, without `O_APPEND`)
begins with a hole as long as the log has ever been; `lastlog` is hundreds of gigabytes of almost nothing. A hole reads
as zeros and tells nothing: it is left out.
"""

import errno
import os
from bisect import bisect_right

WORTH_IT = 1024 * 1024
"""Bytes of holes from which a file is read without them."""
RANGES_MAX = 1000
"""Ranges of data that are told apart; what follows the last of them is read with its holes."""


class Data:
    """What a sparse file holds besides holes.

    Args:
        fd: the file, for reading.
        size: its bytes.

    Attributes:
        size: bytes without the holes.
        left_out: bytes of the holes.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._places: list[int] = []  # where ranges begin without the holes, in order
        self._offsets: list[int] = []  # where they begin in the file
        self.size = 0
        for begin, end in _ranges(fd, size):
            self._places.append(self.size)
            self._offsets.append(begin)
            self.size += end - begin
        self.left_out = size - self.size

    def read(self, length: int, offset: int) -> bytes:
        """Bytes at an offset; fewer only at the end, or where the file has become shorter.

        Raises:
            OSError: the file cannot be read.
        """
        pieces: list[bytes] = []
        end = min(offset + length, self.size)
        while offset < end:
            index = bisect_right(self._places, offset) - 1
            until = self._places[index + 1] if index + 1 < len(self._places) else self.size
            piece = os.pread(self._fd, min(end, until) - offset, self._offsets[index] + offset - self._places[index])
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)


def data_of(fd: int, status: os.stat_result) -> Data | None:
    """What a file holds; None if it has no holes that are worth it.

    Raises:
        OSError: it cannot be read.
    """
    if status.st_size - status.st_blocks * 512 < WORTH_IT:
        return None
    data = Data(fd, status.st_size)
    return data if data.left_out >= WORTH_IT else None


def _ranges(fd: int, size: int) -> list[tuple[int, int]]:
    """Where there is data, in order."""
    ranges: list[tuple[int, int]] = []
    end = 0
    while end < size:
        try:
            begin = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole
                break
            raise
        end = size if len(ranges) == RANGES_MAX - 1 else min(size, os.lseek(fd, begin, os.SEEK_HOLE))
        if begin < end:
            ranges.append((begin, end))
    return ranges
