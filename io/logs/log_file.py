"""A log file in hand, and which of its bytes are taken, whatever happens to the file meanwhile.

A file is as long as it was when it was opened: what grows is cut there, what has gone since is made up for by zeros,
for a tar says each size before the bytes. Holes are left out (`holes`). What happened is told afterwards (`notes`). A
compressed file gives what it holds, and is known without its suffix; it is unpacked twice, to find the ranges and to
copy them, for that costs less than to keep it. Nothing is held but a block, and the ranges of a selection; a ragged
file that has too many of them is looked through again. A large file whose lines are in order is searched
(`sorted_search`), any other one read through.
"""

import os
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

from everest_system.io.logs.birth import birth_ns
from everest_system.io.logs.compressed import Unpacked, packing_of
from everest_system.io.logs.holes import Data, data_of
from everest_system.io.logs.sorted_search import SEARCH_FROM, SLACK_NS, Borders, borders_of
from everest_system.io.logs.sources import LogFileError, reason
from everest_system.io.logs.time_forms import HEAD, LineTimes, form_of
from everest_system.io.logs.window import BLOCK, LINE_HEAD, LogWindow, runs

RUNS_MAX = 65_536
"""Ranges of one file that are kept between finding and copying them."""

_COPIED = 512 * 1024  # bytes copied at a time: fewer words between those who read and who compress


class LogFile:
    """A log file that is open for reading.

    Args:
        fd: the descriptor; closing it stays the caller's.
        path: where it was opened.
        status: what it was when it was opened.
        read_on: called at every block, with the bytes that were copied; what it raises ends the reading.

    Attributes:
        path: where it was opened.
        content_path: the same, without the suffix of a compressed file.
        status: what it was when it was opened.
        size: bytes that it holds, at most.
        compression: the format in which it is compressed; None if it is not.
        faults: what went wrong in reading, in order.
    """

    def __init__(self, fd: int, path: Path, status: os.stat_result, read_on: Callable[[int], None]) -> None:
        self.path, self.content_path, self.status, self.size = path, path, status, status.st_size
        self.compression: str | None = None
        self.faults: list[str] = []
        self._fd, self._read_on = fd, read_on
        self._content: Unpacked | Data | None = None
        try:
            packing = packing_of(fd, path)
            data = None if packing else data_of(fd, status)
        except OSError as error:
            self._blame(0, error)
            return
        if packing:
            self._content = Unpacked(fd, status.st_size, packing, lambda: read_on(0), self.faults.append)
            self.compression, self.size, self.content_path = packing.name, self._content.size_max, path.with_suffix("")
        elif data:
            self._content, self.size = data, data.size
            self.faults.append(f"{data.left_out} bytes of holes, which read as zeros, are left out")

    def read(self, length: int, offset: int) -> bytes:
        """Bytes at an offset, none past the end or where the file cannot be read."""
        self._read_on(0)
        length = min(length, max(0, self.size - offset))
        try:
            return self._content.read(length, offset) if self._content else os.pread(self._fd, length, offset)
        except OSError as error:
            self._blame(offset, error)
            return b""

    def _blame(self, offset: int, error: OSError) -> None:
        self.faults.append(f"cannot be read from byte {offset} on: {reason(error)}")

    def birth_ns(self) -> int | None:
        """When its content was begun, in nanoseconds since 1970, as far as the file system knows."""
        return birth_ns(self._fd, self.status)

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
                    held, at = self.read(_COPIED, offset), offset
                    if not held:
                        break
                piece = held[offset - at : until - at]
                pieces.append(piece)
                gathered += len(piece)
                offset += len(piece)
                left -= len(piece)
                if gathered >= _COPIED:
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
            yield bytes(min(_COPIED, left))
            left -= min(_COPIED, left)

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
        self._borders: Borders | None = None
        if form and not log.compression and log.size >= SEARCH_FROM:
            self._borders = borders_of(log.read, log.size, window, form)
        self._kept = array("q")
        self._complete = True
        self.length = 0
        for begin, end in self._found():
            self.length += end - begin
            self._complete = len(self._kept) < 2 * RUNS_MAX
            if self._complete:
                self._kept.extend((begin, end))

    @classmethod
    def of(cls, log: LogFile, window: LogWindow) -> "Selection":
        """What a window takes of a file: by its life, and by its lines where they carry times.

        Raises:
            LogFileError: nothing, and why.
        """
        modified_ns = log.status.st_mtime_ns
        alive = window.alive(modified_ns)
        head = log.read(HEAD if alive else LINE_HEAD, 0)
        if not head and (log.faults or (log.compression is None and log.size)):
            raise LogFileError(next(iter(log.faults), "emptied before it was read"))
        known = None if window.open else form_of(head, window.zone, modified_ns)
        # A clock was set back meanwhile where the last change is older than the first line: then only lines count.
        trusted = not known or known[1] <= modified_ns + SLACK_NS
        if trusted and not alive:
            raise LogFileError("last changed before the window")
        begin_ns = known[1] if known else log.birth_ns()
        late = begin_ns is not None and window.ended_before(begin_ns)
        if late and trusted and not (known and log.compression is None):  # it costs less to read than to unpack
            raise LogFileError("begins after the window")
        selection = cls(log, window, known[0] if known else None)
        if known and not selection.length:
            raise LogFileError("begins after the window" if late else "no line in the window")
        return selection

    @property
    def lines(self) -> str:
        """Which lines are taken and how they were found, for the manifest."""
        if not self._form:
            return "all"
        searched = f"; searched for, {self._borders.samples} lines were looked at and in order" if self._borders else ""
        return f"in the window, by {self._form.name} times{searched}"

    def runs(self) -> Iterator[tuple[int, int]]:
        """The ranges in order, as (begin, end)."""
        if not self._complete:
            return self._found()
        return zip(self._kept[::2], self._kept[1::2], strict=True)

    def _found(self) -> Iterator[tuple[int, int]]:
        if self._borders:
            return self._borders.runs(self._log.read)
        if self._form:
            return runs(self._log.read, self._log.size, self._window, self._form)
        return iter([(0, self._counted())])

    def _counted(self) -> int:
        """Bytes of the whole file; those of a compressed one are known when it was unpacked."""
        count = 0 if self._log.compression else self._log.size
        while self._log.compression and (block := self._log.read(BLOCK, count)):
            count += len(block)
        return count
