"""A log file in hand, and which of its bytes are taken, whatever happens to the file meanwhile.

A file is as long as it was when it was opened: what grows is cut there, what has gone since is made up for by zeros,
for a tar says each size before the bytes. What happened is told afterwards (`notes`). Nothing is held but a block, and
the ranges of a selection; a ragged file that has too many of them is looked through again.
"""

import os
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

from everest_system.io.logs.sources import reason
from everest_system.io.logs.time_forms import LineTimes
from everest_system.io.logs.window import BLOCK, LogWindow, runs

RUNS_MAX = 65_536
"""Ranges of one file that are kept between finding and copying them."""


class LogFile:
    """A log file that is open for reading.

    Args:
        fd: the descriptor; closing it stays the caller's.
        path: where it was opened.
        status: what it was when it was opened.
        read_on: called at every block, with the bytes that were copied; what it raises ends the reading.

    Attributes:
        faults: what went wrong in reading, in order.
    """

    def __init__(self, fd: int, path: Path, status: os.stat_result, read_on: Callable[[int], None]) -> None:
        self.path, self.status = path, status
        self.faults: list[str] = []
        self._fd, self._read_on = fd, read_on

    def read(self, length: int, offset: int) -> bytes:
        """Bytes at an offset, none past the end or where the file cannot be read."""
        self._read_on(0)
        try:
            return os.pread(self._fd, min(length, max(0, self.status.st_size - offset)), offset)
        except OSError as error:
            self.faults.append(f"cannot be read from byte {offset} on: {reason(error)}")
            return b""

    def blocks(self, selection: "Selection") -> Iterator[bytes]:
        """The selected bytes, as many as were announced: what has gone since is made up for by zeros."""
        left = selection.length
        pieces: list[bytes] = []  # of a block: ranges may be as short as a line
        gathered = at = 0
        held = b""
        for begin, end in selection.runs():
            offset, until = begin, min(end, begin + left)
            while offset < until:
                if not at <= offset < at + len(held):
                    held, at = self.read(BLOCK, offset), offset
                    if not held:
                        break
                piece = held[offset - at : until - at]
                pieces.append(piece)
                gathered += len(piece)
                offset += len(piece)
                left -= len(piece)
                if gathered >= BLOCK:
                    self._read_on(gathered)
                    yield b"".join(pieces)
                    pieces, gathered = [], 0
            if offset < until:
                break
        self._read_on(gathered)
        yield b"".join(pieces)
        if left:
            self.faults.append(f"the last {left} bytes are zeros: they were gone when they were to be read")
        while left:
            self._read_on(0)
            yield bytes(min(BLOCK, left))
            left -= min(BLOCK, left)

    def notes(self) -> list[str]:
        """What happened to the file while it was read."""
        now = os.fstat(self._fd)
        notes = list(dict.fromkeys(self.faults))
        if now.st_size > self.status.st_size:
            notes.append(f"grew while it was read: {now.st_size - self.status.st_size} bytes at its end not taken")
        elif now.st_size < self.status.st_size:
            notes.append(f"shrank while it was read, to {now.st_size} bytes")
        try:
            here = self.path.stat()
            if (here.st_dev, here.st_ino) != (now.st_dev, now.st_ino):
                notes.append("rotated while it was read: the path is another file's now")
        except OSError:
            notes.append("vanished or was renamed while it was read")
        return notes


class Selection:
    """Which bytes of a file are taken.

    Args:
        log: the file.
        window: what is taken of it.
        form: how it writes its times; None: all of it is taken.

    Attributes:
        length: how many bytes.
    """

    def __init__(self, log: LogFile, window: LogWindow, form: LineTimes | None) -> None:
        self._log, self._window, self._form = log, window, form
        self._kept = array("q")
        self._complete = True
        self.length = 0
        for begin, end in self._found():
            self.length += end - begin
            self._complete = len(self._kept) < 2 * RUNS_MAX
            if self._complete:
                self._kept.extend((begin, end))

    def runs(self) -> Iterator[tuple[int, int]]:
        """The ranges in order, as (begin, end)."""
        if not self._complete:
            return self._found()
        return zip(self._kept[::2], self._kept[1::2], strict=True)

    def _found(self) -> Iterator[tuple[int, int]]:
        if self._form is None:
            return iter([(0, self._log.status.st_size)])
        return runs(self._log.read, self._log.status.st_size, self._window, self._form)
