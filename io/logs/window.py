"""The time window of a log request, and which bytes of a file lie in it. Both ends are inclusive, each is optional.

A file is looked at by its life first: one that was last changed before the window is left out, and so is one that
begins after it. Then by its lines, where they carry times (`time_forms`): a line without a time belongs to the record
before it; what stands before the first time shares the first record's fate (or is kept with whatever is taken, in a
form that needs its head). `runs` gives the byte ranges to take: few in a sorted file. A file whose first lines carry no
time has no form, and is taken whole or not at all by its life.

Nothing is held but one block and the head of one line, however long lines and files are. Bytes in, offsets out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cached_property

from everest_system.io.logs.time_forms import LineTimes, since_epoch_ns

BLOCK = 256 * 1024
"""Bytes read at a time."""
LINE_HEAD = 4096
"""Bytes at the front of a line in which its time stands, if it has one."""

Read = Callable[[int, int], bytes]
"""`read(length, offset)` as `os.pread` does it: fewer bytes than asked for are fine, none is the end."""


@dataclass(frozen=True)
class LogWindow:
    """The span that is asked for.

    Attributes:
        oldest: begin, inclusive; None: as far back as there are logs. Without zone it is taken as UTC.
        latest: end, inclusive; None: up to now.
        zone: the zone of times in logs that name none; None: the machine's own, in which EVerest logs.
    """

    oldest: datetime | None = None
    latest: datetime | None = None
    zone: tzinfo | None = None

    @property
    def open(self) -> bool:
        """Whether it lets everything through."""
        return self.oldest is None and self.latest is None

    @property
    def empty(self) -> bool:
        """Whether it ends before it begins: nothing lies in it."""
        return self.oldest_ns is not None and self.latest_ns is not None and self.oldest_ns > self.latest_ns

    def takes(self, time_ns: int) -> bool:
        """Whether a time, in nanoseconds since 1970, lies in it."""
        return (self.oldest_ns is None or time_ns >= self.oldest_ns) and (
            self.latest_ns is None or time_ns <= self.latest_ns
        )

    def alive(self, modified_ns: int) -> bool:
        """Whether a file that was last changed then can hold anything of it."""
        return self.oldest_ns is None or modified_ns >= self.oldest_ns

    def ended_before(self, time_ns: int) -> bool:
        """Whether a file that begins at that time begins too late."""
        return self.latest_ns is not None and time_ns > self.latest_ns

    @cached_property
    def oldest_ns(self) -> int | None:
        """Its begin in nanoseconds since 1970."""
        return None if self.oldest is None else since_epoch_ns(self.oldest)

    @cached_property
    def latest_ns(self) -> int | None:
        """Its end in nanoseconds since 1970."""
        return None if self.latest is None else since_epoch_ns(self.latest)


def runs(read: Read, size: int, window: LogWindow, form: LineTimes, start: int = 0) -> Iterator[tuple[int, int]]:
    """The byte ranges of a file whose records lie in the window, in order, as (begin, end).

    Args:
        read: gives the file's bytes; read in order, once.
        size: where to stop, though the file may have grown since.
        window: what is taken.
        form: how the file writes its times.
        start: where to begin, 0 or where a record begins.
    """
    begin: int | None = start  # of the run under way; None: being left out
    first = True
    head = 0
    for offset, time_ns in records(read, start, size, form):
        taken = time_ns is not None and window.takes(time_ns)
        if first and time_ns is not None and form.form.keeps_head and not start:
            head = offset
        if taken and begin is None:
            if head:
                yield 0, head
            begin, head = offset, 0
        elif not taken and begin is not None:
            if offset > begin and not (first and time_ns is not None):
                yield begin, offset
            begin = None
        elif taken:
            head = 0
        first = False


def records(read: Read, start: int, size: int, form: LineTimes) -> Iterator[tuple[int, int | None]]:
    """Where each record begins, and its time; at last where the reading ended, without a time."""
    offset = start
    rest = b""  # the begin of a line that is not decided yet, shorter than LINE_HEAD
    inside = False  # the line at hand is decided, its end not seen yet
    while offset < size:
        block = read(min(BLOCK, size - offset), offset)
        if not block:
            break
        buffer = rest + block
        base = offset - len(rest)
        offset += len(block)
        begin = buffer.find(b"\n") + 1 if inside else 0
        if inside and not begin:
            continue
        end = buffer.rfind(b"\n") + 1
        if offset >= size or len(buffer) - end >= LINE_HEAD:
            end = len(buffer)
        for place, time_ns in form.times(buffer, begin, end):
            yield base + place, time_ns
        rest = buffer[end:]
        inside = not rest and not buffer.endswith(b"\n")
    yield offset, None
