r"""The ways in which log files write their times, and how each is read.

`form_of` finds in a file's first lines how it writes them, and that form holds for the whole file: a time in the middle
of another record does not tear it apart. Known are, at the front of a line and also behind colours or a bracket:

- ISO 8601 / RFC 3339, with and without zone: EVerest's own logging (`2026-11-22 09:30:00.123456 [INFO] …`), libocpp's
  message log (`2026-11-22T09:30:00.123Z: …`), a session's `eventlog.csv` (`"2026-11-22T09:30:00.123Z","EVSE",…`), and
  syslog of RFC 5424 (`<165>1 2026-11-22T09:30:00Z …`);
- the HTML tables that libocpp and a session write (`<tr class="CAR"> <td>2026-11-22T09:30:00.123Z</td> …`);
- syslog of RFC 3164, and what journalctl prints (`Nov 22 09:30:00 …`); its year is the latest one that does not lie
  after the file's last change, so that December stands before January;
- seconds since 1970, also as milli-, micro- or nanoseconds (`1700000000.123 …`, `1700000000: …` of mosquitto,
  `msg=audit(1700000000.123:42)` of auditd), from the year 2014 on, for before that it may be any number;
- JSON lines with one of these under `timestamp`, `@timestamp`, `time` or `ts`, as libocpp's security log.

A time without a zone is in the machine's own, in which EVerest logs. Seconds since the machine was started
(`[    5.123456] …` of the kernel) are no time of day and no form. In the hour that summer time repeats, a time without
zone counts as the first of the two.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cached_property, lru_cache
from itertools import islice

HEAD = 64 * 1024
"""Bytes at the front of a file in which its form is looked for."""
HEAD_LINES = 100
"""Lines at the front of a file in which its form is looked for."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 1_000_000_000
_NS_OF_DIGITS = [10 ** max(0, 9 - digits) for digits in range(19)]  # what the last digit of a fraction is worth
_AHEAD_NS = 86_400 * _SECOND_NS  # a file may grow after its change was looked at, and zones may differ
_YEARS = 8  # 29 February comes again within these
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")

_FRONT = rb"(?:\xef\xbb\xbf)?(?:\x1b\[[\d;]{0,16}m){0,4}"
_ISO = rb"""
    (?P<stamp>\d{4}-\d\d-\d\d[Tt\x20]\d\d:\d\d:\d\d)
    (?:[.,](?P<fraction>\d{1,18}))?
    (?P<zone>[Zz]|[+-]\d\d:?\d\d|[+-]\d\d)?(?!\d)"""
_SYSLOG = rb"""
    (?P<stamp>(?:%s)\x20(?:\x20?\d|\d\d)\x20\d\d:\d\d:\d\d)
    (?:\.(?P<fraction>\d{1,9}))?(?![\d:])""" % b"|".join(_MONTHS)
_SINCE_1970 = rb"""
    (?P<since>(?:1[4-9]|2\d)\d{8})
    (?:(?P<finer>\d{3}|\d{6}|\d{9})|\.(?P<part>\d{1,9}))?(?![\w.])"""


@dataclass(frozen=True)
class Unsaid:
    """What times are read by where they leave something out.

    Attributes:
        zone: of times that name none; None: the machine's own.
        modified_ns: last change of the file, in nanoseconds since 1970, by which a year is told; None: nothing is read
            that names no year.
    """

    zone: tzinfo | None = None
    modified_ns: int | None = None


@dataclass(frozen=True)
class TimeForm:
    """A way of writing a record's time in its first line.

    Attributes:
        name: for the manifest.
        line: pattern (verbose) from the line's begin through the time.
        read: the time of a match in nanoseconds since 1970, None for what only looks like one.
        keeps_head: whether a file is of no use without what stands before its first record.
    """

    name: str
    line: bytes
    read: Callable[["re.Match[bytes]", Unsaid], int | None]
    keeps_head: bool = False

    @cached_property
    def first_line(self) -> "re.Pattern[bytes]":
        """Matches where a line begins."""
        return re.compile(self.line, re.VERBOSE)

    @cached_property
    def later_line(self) -> "re.Pattern[bytes]":
        """Finds lines behind another: twice as fast as an anchor, for it begins with a literal."""
        return re.compile(rb"\n" + self.line, re.VERBOSE)


@dataclass(frozen=True)
class LineTimes:
    """How one file writes its times: a form, and what that leaves unsaid."""

    form: TimeForm
    unsaid: Unsaid

    @property
    def name(self) -> str:
        """The form's, for the manifest."""
        return self.form.name

    def times(self, buffer: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Where records begin between two places in a buffer, and their times in nanoseconds since 1970.

        Args:
            buffer: bytes of the file.
            begin: where a line begins.
            end: nothing is read from here on.
        """
        read, unsaid = self.form.read, self.unsaid
        first = self.form.first_line.match(buffer, begin, end)
        time_ns = read(first, unsaid) if first else None
        if time_ns is not None:
            yield begin, time_ns
        for match in self.form.later_line.finditer(buffer, begin, end):
            time_ns = read(match, unsaid)
            if time_ns is not None:  # what looks like a time may be the 31st of February
                yield match.start() + 1, time_ns


def form_of(head: bytes, zone: tzinfo | None = None, modified_ns: int | None = None) -> tuple[LineTimes, int] | None:
    """How a file writes its times.

    Args:
        head: the file's first bytes; what lies beyond `HEAD` bytes or `HEAD_LINES` lines is not looked at.
        zone: the zone of times that name none; None: the machine's own.
        modified_ns: the file's last change, for times that name no year.

    Returns:
        The form and the first time in nanoseconds since 1970; None if no line carries a time.
    """
    head = head[:HEAD]
    newlines = islice(re.finditer(rb"\n", head), HEAD_LINES - 1, HEAD_LINES)
    end = next((newline.end() for newline in newlines), len(head))
    found = []
    for form in FORMS:
        times = LineTimes(form, Unsaid(zone, modified_ns))
        first = next(times.times(head, 0, end), None)
        if first is not None:
            found.append((*first, times))
    if not found:
        return None
    _, time_ns, times = min(found, key=lambda one: one[0])
    return times, time_ns


def since_epoch_ns(time: datetime) -> int:
    """Nanoseconds since 1970; a time without zone is taken as UTC."""
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000


def _iso_ns(match: "re.Match[bytes]", unsaid: Unsaid) -> int | None:
    stamp, fraction, zone = match.group("stamp", "fraction", "zone")
    second_ns = _iso_second_ns(stamp, zone, unsaid.zone)
    return None if second_ns is None else second_ns + _fraction_ns(fraction)


def _syslog_ns(match: "re.Match[bytes]", unsaid: Unsaid) -> int | None:
    stamp, fraction = match.group("stamp", "fraction")
    second_ns = _syslog_second_ns(stamp, unsaid)
    return None if second_ns is None else second_ns + _fraction_ns(fraction)


def _since_1970_ns(match: "re.Match[bytes]", _unsaid: Unsaid) -> int:
    since, finer, part = match.group("since", "finer", "part")
    return int(since) * _SECOND_NS + _fraction_ns(finer or part)


def _json_ns(match: "re.Match[bytes]", unsaid: Unsaid) -> int | None:
    return _iso_ns(match, unsaid) if match["stamp"] else _since_1970_ns(match, unsaid)


def _fraction_ns(fraction: bytes | None) -> int:
    return int(fraction[:9]) * _NS_OF_DIGITS[len(fraction)] if fraction else 0


@lru_cache(maxsize=256)  # lines come in order, and many share a second
def _iso_second_ns(stamp: bytes, offset: bytes | None, zone: tzinfo | None) -> int | None:
    text = stamp.decode("ascii")
    date = int(text[:4]), int(text[5:7]), int(text[8:10])
    if offset:
        digits = offset[1:].replace(b":", b"")  # none behind a Z
        ahead = timedelta(hours=int(digits[:2] or b"0"), minutes=int(digits[2:] or b"0"))
        try:
            zone = timezone(-ahead if offset.startswith(b"-") else ahead)
        except ValueError:
            return None
    return _second_ns(date, text[11:], zone)


@lru_cache(maxsize=256)
def _syslog_second_ns(stamp: bytes, unsaid: Unsaid) -> int | None:
    if unsaid.modified_ns is None:
        return None
    latest_ns = unsaid.modified_ns + _AHEAD_NS
    month, day, clock = stamp.split()
    try:
        year = (_EPOCH + timedelta(seconds=latest_ns // _SECOND_NS)).year
    except OverflowError:  # a file may claim any time at all
        return None
    for before in range(_YEARS + 1):
        time_ns = _second_ns((year - before, _MONTHS.index(month) + 1, int(day)), clock.decode("ascii"), unsaid.zone)
        if time_ns is not None and time_ns <= latest_ns:
            return time_ns
    return None


def _second_ns(date: tuple[int, int, int], clock: str, zone: tzinfo | None) -> int | None:
    hour, minute, second = map(int, clock.split(":"))
    if second > 60:  # 60: a leap second
        return None
    try:
        time = datetime(*date, hour, minute, tzinfo=zone)
        return since_epoch_ns(time if zone else time.astimezone()) + second * _SECOND_NS
    except (ValueError, OverflowError, OSError):
        return None


FORMS = (
    TimeForm("ISO 8601", _FRONT + rb"(?:<\d{1,3}>(?:1\x20)?)?[\[(\"]?" + _ISO, _iso_ns),
    TimeForm(
        "JSON lines",
        rb"(?:\xef\xbb\xbf)?\{[^\n]{0,2048}?\"(?:@?timestamp|time|ts)\"[\x20\t]{0,8}:[\x20\t]{0,8}"
        rb"(?:\"" + _ISO + rb"|\"?" + _SINCE_1970 + rb")",
        _json_ns,
    ),
    TimeForm("HTML table", rb"<tr\x20class=\"[^\"\n]{1,32}\">\x20?<td>" + _ISO, _iso_ns, keeps_head=True),
    TimeForm("RFC 3164", _FRONT + rb"(?:<\d{1,3}>)?" + _SYSLOG, _syslog_ns),
    TimeForm(
        "epoch",
        _FRONT + rb"(?:<\d{1,3}>)?(?:type=[A-Z\d_]{1,32}\x20msg=audit\(|[\[(\"])?" + _SINCE_1970,
        _since_1970_ns,
    ),
)
"""The forms known; where a file's first time could be read by several, the first of them has it."""
