"""A search gives what reading through gives, from a fraction of the bytes, or it gives no answer at all."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples

from everest_system.io.logs import sorted_search
from everest_system.io.logs.sorted_search import borders_of
from everest_system.io.logs.time_forms import form_of
from everest_system.io.logs.window import LogWindow, runs

BASE = datetime(2026, 11, 22, tzinfo=UTC)


class File:
    """A file in memory that counts what is read of it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.bytes_read = self.reads = 0
        known = form_of(content, UTC)
        assert known is not None
        self.form = known[0]

    def read(self, length: int, offset: int) -> bytes:
        data = self.content[offset : offset + length]
        self.bytes_read += len(data)
        self.reads += 1
        return data

    def read_through(self, window: LogWindow) -> bytes:
        found = runs(self.read, len(self.content), window, self.form)
        return b"".join(self.content[begin:end] for begin, end in found)

    def searched(self, window: LogWindow) -> bytes | None:
        self.bytes_read = self.reads = 0
        borders = borders_of(self.read, len(self.content), window, self.form)
        if borders is None:
            return None
        found = list(borders.runs(self.read))
        assert all(end > begin for begin, end in found)
        return b"".join(self.content[begin:end] for begin, end in found)


def line(second: float, text: str = "x" * 60) -> bytes:
    return f"{BASE + timedelta(seconds=second):%Y-%m-%d %H:%M:%S.%f} [INFO] evse :: {text}\n".encode()


def window(oldest: float | None, latest: float | None) -> LogWindow:
    return LogWindow(
        None if oldest is None else BASE + timedelta(seconds=oldest),
        None if latest is None else BASE + timedelta(seconds=latest),
        UTC,
    )


@pytest.fixture(scope="module")
def day() -> File:
    """A day, a line each other second and some without a time: 5 MB."""
    return File(b"head;er\n" + b"".join(line(second) + b"  more\n" * (second % 3) for second in range(0, 86_400, 2)))


@pytest.mark.parametrize(
    ("oldest", "latest"),
    [
        (40_000, 40_300),
        (0, 300),
        (86_100, 86_399),
        (86_398, 86_398),
        (0, 0),
        (40_000, 40_000),
        (40_000.2, 40_001.8),
        (None, 300),
        (86_000, None),
        (None, 86_399),
        (1000, 80_000),
        (None, None),
        (-100, 90_000),
        (-100, -1),
        (90_000, 90_300),
    ],
)
def test_what_reading_through_gives(day, oldest, latest):
    """The same bytes for windows of any size and place, the file's begin and end included."""
    asked = window(oldest, latest)
    assert day.searched(asked) == day.read_through(asked)


def test_little_is_read(day):
    """Five minutes of a day are found with some hundred small reads, of a fraction of the file."""
    day.searched(window(40_000, 40_300))
    assert day.bytes_read < len(day.content) / 8
    assert day.reads < 400


def test_what_is_between_is_not_read(day):
    """Of a large window only the borders are looked at."""
    day.searched(window(1000, 80_000))
    assert day.bytes_read < len(day.content) / 5


def test_a_file_of_ten_gigabytes(monkeypatch):
    """The effort is that of the borders and of a sample every few MiB, not that of the size."""
    size = 10 << 30
    record = 128
    reads = []

    def read(length: int, offset: int) -> bytes:
        reads.append(length)
        first, last = offset // record, min(size, offset + length - 1) // record
        whole = b"".join(line(index / 50, "y" * 200)[: record - 1] + b"\n" for index in range(first, last + 1))
        return whole[offset - first * record :][:length]

    known = form_of(read(4096, 0), UTC)
    assert known is not None
    reads.clear()
    asked = window(1_000_000, 1_000_300)
    borders = borders_of(read, size, asked, known[0])
    assert borders is not None
    assert list(borders.runs(read)) == [(50_000_000 * record, 50_015_001 * record)]
    assert sum(reads) < size / 1000
    assert len(reads) < 3000


@pytest.mark.parametrize("away", [-86_400, 86_400 * 365])
def test_a_clock_that_was_wrong_for_a_while_is_seen(away):
    """A tenth of a percent of a log, written while the clock stood elsewhere, has it read through."""
    size, record = 256 << 20, 128
    wrong = range(1_000_003, 1_002_101)

    def read(length: int, offset: int) -> bytes:
        first, last = offset // record, min(size, offset + length - 1) // record
        times = (index / 50 + (away if index in wrong else 0) for index in range(first, last + 1))
        whole = b"".join(line(time, "y" * 200)[: record - 1] + b"\n" for time in times)
        return whole[offset - first * record :][:length]

    known = form_of(read(4096, 0), UTC)
    assert known is not None
    assert borders_of(read, size, window(30_000, 30_300), known[0]) is None


@pytest.mark.parametrize("back", [10, 3600, 40_000])
def test_a_clock_that_was_set_back_is_read_through(back):
    """No answer, so that no line is lost, where times go back between samples."""
    order = [*range(43_200), *range(43_200 - back, 60_000 - back)]
    file = File(b"".join(line(second) for second in order))
    if back > 3600:
        assert file.searched(window(2000, 2300)) is None
    asked = window(43_000 - back, 43_100 - back)
    assert file.searched(asked) in (None, file.read_through(asked))


def test_a_small_step_back_at_the_window_is_seen(monkeypatch):
    """A clock set back by less than passes between two samples costs no line of a window beside it."""
    monkeypatch.setattr(sorted_search, "_SAMPLES", 8)
    lines = [line(second) for second in range(43_200)]
    for step in (20, 100, 600, 2000, 5000):
        order = [*range(20_000), *range(20_000 - step, 43_200 - step)]
        file = File(b"".join(lines[second] for second in order))
        for oldest in range(20_000 - 2 * step, 20_000 + 2 * step, max(1, step // 3)):
            found = file.searched(window(oldest, oldest + 60))
            expected = b"".join(lines[second] for second in order if oldest <= second <= oldest + 60)
            assert found is None or found == expected, (step, oldest)


def test_programs_that_overtake():
    """Times that go back by some seconds all the time are still searched, and no line is lost."""
    file = File(b"".join(line(second + 4 * (second % 2)) for second in range(43_200)))
    for oldest, latest in ((30_000, 30_300), (30_003, 30_003), (0, 5), (43_190, None), (9000, 30_000), (9001, 30_001)):
        asked = window(oldest, latest)
        found = file.searched(asked)
        assert found == file.read_through(asked)


def test_two_files_in_one_are_read_through():
    """Yesterday behind today has no order."""
    file = File(b"".join(line(second) for second in [*range(30_000), *range(-30_000, 0)]))
    assert file.searched(window(-100, 100)) is None


def test_what_tells_nothing():
    """Without records to look at there is no order, and a table that needs its head is not cut."""
    assert File(line(0) + b"y" * 5_000_000).searched(window(0, 1)) is None
    table = File(b'<table>\n<tr class="SYS"> <td>2026-11-22T00:00:00Z</td>\n' * 100_000)
    assert table.searched(window(0, 1)) is None


def test_records_longer_than_samples():
    """Records of many lines, long lines and holes in the file make samples rarer, and nothing else."""
    parts = []
    for second in range(0, 8000, 10):
        parts.append(line(second) + b"  <xml>\n" * 500 + b"  " + b"z" * (second % 7) * 20_000 + b"\n")
    parts.insert(400, b"\0" * 3_000_000 + b"\n")
    file = File(b"".join(parts))
    for oldest, latest in ((3000, 3300), (None, 20), (7000, None), (4000, 4100)):
        asked = window(oldest, latest)
        assert file.searched(asked) == file.read_through(asked)


@settings(max_examples=examples(60))
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 300)), min_size=1, max_size=120),
    st.none() | st.integers(-50, 25_000),
    st.none() | st.integers(-50, 25_000),
)
def test_any_sorted_file(steps, oldest, latest):
    """Whatever the gaps and the lengths, the search agrees with reading through."""
    now, parts = 0, []
    for step, length in steps:
        now += step
        parts.append(line(now, "w" * length))
    file = File(b"".join(parts))
    asked = window(oldest, latest)
    before = sorted_search._APART, sorted_search._CLOSE
    sorted_search._APART, sorted_search._CLOSE = 2048, 256
    try:
        found = file.searched(asked)
    finally:
        sorted_search._APART, sorted_search._CLOSE = before
    assert found is None or found == file.read_through(asked)
    assert found is not None or len(file.content) < 1000
