"""Where a window lies in a large file whose lines are in order, found without reading the file.

The time of one record is looked at every so many bytes. Where these are in order the window's borders lie between two
of them; around each border it is looked at more and more closely, and the little that is left there is read line by
line. What lies between is taken as it is.

Where they are not in order (two programs' logs in one file, a clock that was set back, the hour that summer time
repeats) there is no answer, and the file is to be read through: no line is lost for speed.

Sampling cannot see everything, so it keeps its distance. Times may go back by `SLACK_NS`; a clock set back by less than
passed between two samples shows in none of them, so a border is not looked for between the nearest samples but as far
again beyond them. What escapes is a clock that is set wrong and right again between two samples.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from everest_system.io.logs.time_forms import LineTimes
from everest_system.io.logs.window import BLOCK, LogWindow, Read, runs

SEARCH_FROM = 4 * 1024**2
"""Bytes of a file from which it is worth it: a smaller one is read in a tenth of a second."""
SLACK_NS = 5_000_000_000
"""Nanoseconds by which times may go back in a file that is in order: programs that write into one file overtake."""

_SAMPLES = 1024  # of a whole file: so long must a clock be wrong to be seen
_HUGE = 1024**3
_SAMPLES_HUGE = 256  # from there on: to look more often takes longer than a search may
_APART = 64 * 1024  # bytes between two of them at least
_FINER = 8  # times as close around the borders, again and again
_CLOSE = 8 * 1024  # bytes between two samples in the end
_PROBES = (4096, 32 * 1024, BLOCK)  # bytes read for a sample, until they hold a record's begin


@dataclass(frozen=True)
class Borders:
    """Where a window lies in a file: before `begin` nothing is in it, from `end` on neither.

    Attributes:
        window: that window.
        form: how the file writes its times.
        begin: where the first record begins that may be in it.
        within: the range that is in it, from record to record; empty where none is known to be.
        end: where the last record ends that may be in it.
        samples: how many records were looked at.
    """

    window: LogWindow
    form: LineTimes
    begin: int
    within: tuple[int, int]
    end: int
    samples: int

    def runs(self, read: Read) -> Iterator[tuple[int, int]]:
        """The byte ranges to take, as `window.runs` gives them, by reading around the borders only."""
        inner, outer = self.within
        if inner >= outer:
            yield from runs(read, self.end, self.window, self.form, self.begin)
            return
        begin = inner
        for run in runs(read, inner, self.window, self.form, self.begin):
            if run[1] < inner:
                yield run
            else:
                begin = run[0]
        end = outer
        for run in runs(read, self.end, self.window, self.form, outer):
            if run[0] == end == outer:
                end = run[1]
            else:
                yield begin, end
                begin, end = run
        yield begin, end


@dataclass(frozen=True, order=True)
class _Sample:
    """A record, by where it begins and its time."""

    offset: int
    time_ns: int


def borders_of(read: Read, size: int, window: LogWindow, form: LineTimes) -> Borders | None:
    """Find the window in a file.

    Args:
        read: gives the file's bytes, in any order.
        size: the file's bytes.
        window: what is looked for.
        form: how the file writes its times.

    Returns:
        None if the file is not in order, as far as can be seen, tells nothing of it, or needs its head.
    """
    if form.form.keeps_head:
        return None
    step = max(_APART, size // (_SAMPLES if size < _HUGE else _SAMPLES_HUGE))
    samples = _sampled(read, 0, size, step, form)
    while True:
        if not _in_order(samples):
            return None
        left, inner, outer, right = _marks(samples, window, step)
        if step == _CLOSE:
            break
        step = max(_CLOSE, step // _FINER)
        close = set(samples)
        for begin, end in {(left, inner), (outer, right)} if inner < outer else {(left, right)}:
            close.update(_sampled(read, _offset(samples, begin, size), _offset(samples, end, size), step, form))
        samples = sorted(close)
    within = (_offset(samples, inner, size), _offset(samples, outer, size))
    return Borders(window, form, _offset(samples, left, size), within, _offset(samples, right, size), len(samples))


def _marks(samples: list[_Sample], window: LogWindow, margin: int) -> tuple[int, int, int, int]:
    """Samples where the window may begin, surely has begun, may end, and surely has ended.

    One below the first stands for the file's begin, one beyond the last for its end. Each is by `margin` bytes further
    out than its time demands.
    """

    def earlier(index: int) -> int:
        mark = index - 1
        while mark >= 0 and samples[mark].offset > samples[index - 1].offset - margin:
            mark -= 1
        return mark

    def later(index: int) -> int:
        mark = index + 1
        while mark < len(samples) and samples[mark].offset < samples[index + 1].offset + margin:
            mark += 1
        return mark

    begin, end = -1, len(samples)
    left, inner, outer, right = begin, begin, end, end
    if (oldest_ns := window.oldest_ns) is not None:
        left = earlier(_first(sample.time_ns >= oldest_ns - SLACK_NS for sample in samples))
        inner = later(_last(sample.time_ns < oldest_ns + SLACK_NS for sample in samples))
    if (latest_ns := window.latest_ns) is not None:
        outer = earlier(_first(sample.time_ns > latest_ns - SLACK_NS for sample in samples))
        right = later(_last(sample.time_ns <= latest_ns + SLACK_NS for sample in samples))
    return left, inner, outer, right


def _first(answers: Iterable[bool]) -> int:
    """Index of the first yes, or how many answers there are."""
    index = -1
    for index, answer in enumerate(answers):
        if answer:
            return index
    return index + 1


def _last(answers: Iterable[bool]) -> int:
    """Index of the last yes, -1 if there is none."""
    return max((index for index, answer in enumerate(answers) if answer), default=-1)


def _offset(samples: list[_Sample], index: int, size: int) -> int:
    if index < 0:
        return 0
    return samples[index].offset if index < len(samples) else size


def _in_order(samples: list[_Sample]) -> bool:
    highest_ns = None
    for sample in samples:
        if highest_ns is not None and sample.time_ns < highest_ns - SLACK_NS:
            return False
        highest_ns = sample.time_ns if highest_ns is None else max(highest_ns, sample.time_ns)
    return highest_ns is not None


def _sampled(read: Read, begin: int, end: int, step: int, form: LineTimes) -> list[_Sample]:
    found = (_next_record(read, offset, end, form) for offset in range(begin, end, step))
    return sorted({sample for sample in found if sample})


def _next_record(read: Read, offset: int, end: int, form: LineTimes) -> _Sample | None:
    """The first record that begins behind an offset, if it does so soon."""
    for length in _PROBES:
        data = read(min(length, end - offset), offset)
        first = data.find(b"\n") + 1
        whole = data.rfind(b"\n") + 1  # a time that is cut off would be another one
        for place, time_ns in form.times(data, first, whole) if first else ():
            return _Sample(offset + place, time_ns)
        if len(data) < length:
            break
    return None
