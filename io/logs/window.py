r"""The time window of a log request, and which bytes of a file lie in it. Both ends are inclusive, each is optional.

A file is looked at by its life first: one that was last changed before the window is left out. Then by its lines:
`form_of` finds in the file's first lines how it writes times, and that form holds for the whole file, so that a time
in the middle of another record does not tear it apart. A line without a time belongs to the record before it; what
stands before the first time shares the first record's fate. `runs` gives the byte ranges to take: few in a sorted file.
A file whose first lines carry no time has no form, and is taken whole or not at all by its modification time.

Forms known: a line that begins with an ISO 8601 / RFC 3339 time, as EVerest's logging (`2026-11-22 09:30:00.123456
[INFO] …`) and libocpp's message log (`2026-11-22T09:30:00.123Z: …`) do, also behind colours, a bracket or a syslog
priority; and JSON lines with a `timestamp`, as in libocpp's security log.

Nothing is held but one block and the head of one line, however long lines and files are. Bytes in, offsets out.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cached_property, lru_cache
from itertools import islice

BLOCK = 256 * 1024
"""Bytes read at a time."""
HEAD = 64 * 1024
"""Bytes at the front of a file in which its form is looked for."""
HEAD_LINES = 100
"""Lines at the front of a file in which its form is looked for."""
LINE_HEAD = 4096
"""Bytes at the front of a line in which its time stands, if it has one."""

Read = Callable[[int, int], bytes]
"""`read(length, offset)` as `os.pread` does it: fewer bytes than asked for are fine, none is the end."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = rb"""
    (?P<minute>\d{4}-\d\d-\d\d[Tt\x20]\d\d:\d\d):(?P<second>\d\d)
    (?:[.,](?P<fraction>\d{1,18}))?
    (?P<zone>[Zz]|[+-]\d\d:?\d\d|[+-]\d\d)?(?!\d)"""


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
        return self._oldest_ns is not None and self._latest_ns is not None and self._oldest_ns > self._latest_ns

    def takes(self, time_ns: int) -> bool:
        """Whether a time, in nanoseconds since 1970, lies in it."""
        return (self._oldest_ns is None or time_ns >= self._oldest_ns) and (
            self._latest_ns is None or time_ns <= self._latest_ns
        )

    def alive(self, modified_ns: int) -> bool:
        """Whether a file that was last changed then can hold anything of it."""
        return self._oldest_ns is None or modified_ns >= self._oldest_ns

    def ended_before(self, time_ns: int) -> bool:
        """Whether a file that begins at that time begins too late."""
        return self._latest_ns is not None and time_ns > self._latest_ns

    @cached_property
    def _oldest_ns(self) -> int | None:
        return None if self.oldest is None else _since_epoch_ns(self.oldest)

    @cached_property
    def _latest_ns(self) -> int | None:
        return None if self.latest is None else _since_epoch_ns(self.latest)


@dataclass(frozen=True)
class TimeForm:
    """A way of writing a record's time at the front of its first line.

    Attributes:
        name: for the manifest.
        pattern: matches from the line's begin through the time, within `LINE_HEAD` bytes.
    """

    name: str
    pattern: re.Pattern[bytes]

    def times(self, buffer: bytes, begin: int, end: int, zone: tzinfo | None) -> Iterator[tuple[int, int]]:
        """Where records begin between two places in a buffer, and their times in nanoseconds since 1970."""
        for match in self.pattern.finditer(buffer, begin, end):
            time_ns = _time_ns(match, zone)
            if time_ns is not None:  # what looks like a time may be the 31st of February
                yield match.start(), time_ns


FORMS = (
    TimeForm(
        "ISO 8601",
        re.compile(
            rb"^(?:\xef\xbb\xbf)?(?:\x1b\[[\d;]{0,16}m){0,4}(?:<\d{1,3}>(?:1\x20)?)?[\[(\"]?" + _TIME,
            re.MULTILINE | re.VERBOSE,
        ),
    ),
    TimeForm(
        "JSON lines",
        re.compile(
            rb"^(?:\xef\xbb\xbf)?\{[^\n]{0,2048}?\"(?:@?timestamp|time|ts)\"[\x20\t]{0,8}:[\x20\t]{0,8}\"" + _TIME,
            re.MULTILINE | re.VERBOSE,
        ),
    ),
)
"""The forms known; where a file's first time could be read by several, the first of them has it."""


def form_of(head: bytes, zone: tzinfo | None = None) -> tuple[TimeForm, int] | None:
    """How a file writes its times.

    Args:
        head: the file's first bytes; what lies beyond `HEAD` bytes or `HEAD_LINES` lines is not looked at.
        zone: the zone of times that name none.

    Returns:
        The form and the first time in nanoseconds since 1970; None if no line carries a time.
    """
    head = head[:HEAD]
    lines = islice(re.finditer(rb"\n", head), HEAD_LINES - 1, HEAD_LINES)
    end = next((newline.end() for newline in lines), len(head))
    firsts = ((next(form.times(head, 0, end, zone), None), form) for form in FORMS)
    found = [(*first, form) for first, form in firsts if first is not None]
    if not found:
        return None
    _, time_ns, form = min(found, key=lambda one: one[0])
    return form, time_ns


def runs(read: Read, size: int, window: LogWindow, form: TimeForm) -> Iterator[tuple[int, int]]:
    """The byte ranges of a file whose records lie in the window, in order, as (begin, end).

    Args:
        read: gives the file's bytes; read in order, once.
        size: where to stop, though the file may have grown since.
        window: what is taken.
        form: how the file writes its times.
    """
    begin: int | None = 0  # of the run under way; None: being left out
    first = True
    for offset, time_ns in _records(read, size, form, window.zone):
        taken = time_ns is not None and window.takes(time_ns)
        if taken and begin is None:
            begin = offset
        elif not taken and begin is not None:
            if not (first and time_ns is not None):
                yield begin, offset
            begin = None
        first = False


def _records(read: Read, size: int, form: TimeForm, zone: tzinfo | None) -> Iterator[tuple[int, int | None]]:
    """Where each record begins, and its time; at last where the reading ended, without a time."""
    offset = 0
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
        for place, time_ns in form.times(buffer, begin, end, zone):
            yield base + place, time_ns
        rest = buffer[end:]
        inside = not rest and not buffer.endswith(b"\n")
    yield offset, None


def _time_ns(match: re.Match[bytes], zone: tzinfo | None) -> int | None:
    minute, second, fraction, offset = match.group("minute", "second", "fraction", "zone")
    minute_ns = _minute_ns(minute, offset, zone)
    seconds = int(second)
    if minute_ns is None or seconds > 60:  # 60: a leap second
        return None
    return minute_ns + seconds * 1_000_000_000 + (int(fraction[:9].ljust(9, b"0")) if fraction else 0)


@lru_cache(maxsize=256)  # thousands of lines share a minute
def _minute_ns(minute: bytes, offset: bytes | None, zone: tzinfo | None) -> int | None:
    text = minute.decode("ascii")
    numbers = int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:])
    try:
        if offset in {b"Z", b"z"}:
            return _since_epoch_ns(datetime(*numbers, tzinfo=UTC))
        if offset:
            digits = offset[1:].replace(b":", b"")
            ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or b"0"))
            return _since_epoch_ns(datetime(*numbers, tzinfo=timezone(ahead if offset.startswith(b"+") else -ahead)))
        if zone is not None:
            return _since_epoch_ns(datetime(*numbers, tzinfo=zone))
        return _since_epoch_ns(datetime(*numbers).astimezone())  # the machine's own zone
    except (ValueError, OverflowError, OSError):
        return None


def _since_epoch_ns(time: datetime) -> int:
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000
