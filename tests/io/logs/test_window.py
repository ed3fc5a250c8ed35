"""The lines of a window, no more and no fewer, from files of any size."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everest_system.io.logs import window as window_module
from everest_system.io.logs.time_forms import form_of
from everest_system.io.logs.window import BLOCK, LINE_HEAD, LogWindow, runs

BASE = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BASE + timedelta(seconds=seconds)


def ns(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def reader(content: bytes):
    return lambda length, offset: content[offset : offset + length]


def cut(content: bytes, window: LogWindow) -> bytes:
    """What the window takes of a file that has a form."""
    known = form_of(content, window.zone)
    assert known is not None
    return b"".join(content[begin:end] for begin, end in runs(reader(content), len(content), window, known[0]))


def line(seconds: float, text: str = "x") -> bytes:
    return f"{at(seconds):%Y-%m-%d %H:%M:%S.%f} [INFO] evse :: {text}\n".encode()


def window(oldest: float | None, latest: float | None) -> LogWindow:
    return LogWindow(None if oldest is None else at(oldest), None if latest is None else at(latest), zone=UTC)


@pytest.mark.parametrize(
    ("oldest", "latest", "taken"),
    [
        (None, None, [0, 1, 2, 3, 4]),
        (1, 3, [1, 2, 3]),
        (1.000001, 2.999999, [2]),
        (None, 2, [0, 1, 2]),
        (2, None, [2, 3, 4]),
        (3, 3, [3]),
        (5, None, []),
        (None, -1, []),
        (3, 1, []),
    ],
)
def test_both_ends_are_inclusive_and_optional(oldest, latest, taken):
    """A line lies in the window when its time is one of the ends or between them."""
    content = b"".join(line(second) for second in range(5))
    assert cut(content, window(oldest, latest)) == b"".join(line(second) for second in taken)


def test_window_as_a_whole():
    """An open window takes everything, one that ends before it begins nothing, and a file by its life."""
    assert LogWindow().open
    assert not window(1, None).open
    assert not window(None, 1).open
    assert window(2, 1).empty
    assert not any(one.empty for one in (LogWindow(), window(1, 1), window(1, None), window(None, 1)))
    assert window(1, 2).alive(ns(at(1)))
    assert not window(1, 2).alive(ns(at(1)) - 1)
    assert window(None, 2).alive(0)
    assert window(1, 2).ended_before(ns(at(2)) + 1)
    assert not window(1, 2).ended_before(ns(at(2)))
    assert not window(1, None).ended_before(ns(at(99)))


def test_a_window_without_zone_is_utc():
    """What the request says without a zone is UTC, whatever the machine's zone is."""
    naive = LogWindow(at(1).replace(tzinfo=None), at(2).replace(tzinfo=None))
    assert naive.takes(ns(at(1)))
    assert not naive.takes(ns(at(2)) + 1)


def test_records_of_several_lines_stay_whole():
    """A line without a time belongs to the record before it; what stands before the first shares its fate."""
    head = b"time;event\n"
    first = line(0) + b"  at foo()\n\n"
    second = line(1) + b'{"timestamp": "2000-01-01T00:00:00Z"}\n[2,"17"]\n'
    third = line(2)
    content = head + first + second + third
    assert cut(content, window(0, 0)) == head + first
    assert cut(content, window(1, 1)) == second
    assert cut(content, window(None, 1)) == head + first + second
    assert cut(content, window(1, None)) == second + third


def test_a_table_keeps_its_head():
    """An HTML table begins as it did, whichever of its rows are taken, and is left out when none is."""
    head = b"<html><head><style>.log {}</style></head><body>\n<table>\n"
    rows = [
        f'<tr class="CAR"> <td>{at(second):%Y-%m-%dT%H:%M:%S.000Z}</td> <td><pre>{{\n}}</pre></td></tr>\n'.encode()
        for second in range(4)
    ]
    content = head + b"".join(rows)
    assert cut(content, window(0, 0)) == head + rows[0]
    assert cut(content, window(2, 3)) == head + rows[2] + rows[3]
    assert cut(content, window(0, 1)) == head + rows[0] + rows[1]
    assert cut(content + rows[1], window(1, 1)) == head + rows[1] * 2
    assert cut(content + rows[0], window(0, 0)) == head + rows[0] * 2
    assert cut(content, window(4, 5)) == b""
    assert cut(b"".join(rows), window(2, 2)) == rows[2]


def test_reading_on_from_a_record():
    """From a record in the middle on, up to a place before the end, and nothing of an empty range."""
    content = b"".join(line(second) for second in range(9))
    known = form_of(content, UTC)
    assert known is not None
    long = len(line(0))

    def taken(asked: LogWindow, start: int, size: int) -> list[tuple[int, int]]:
        return [
            (begin // long, end // long)
            for begin, end in runs(reader(content), size * long, asked, known[0], start * long)
        ]

    assert taken(window(0, 8), 3, 7) == [(3, 7)]
    assert taken(window(5, 8), 3, 7) == [(5, 7)]
    assert taken(window(0, 4), 3, 7) == [(3, 5)]
    assert taken(window(0, 8), 3, 3) == []


def test_a_time_that_is_none_is_no_record():
    """What only looks like a time does not begin a record."""
    content = line(0) + b"2026-02-31 00:00:00 x\n" + line(5)
    assert cut(content, window(0, 0)) == line(0) + b"2026-02-31 00:00:00 x\n"


def test_unsorted_lines_are_each_looked_at():
    """A line out of order is taken or left by its own time."""
    order = [3, 1, 4, 1, 5, 9, 2, 6]
    content = b"".join(line(second) for second in order)
    assert cut(content, window(2, 5)) == b"".join(line(second) for second in order if 2 <= second <= 5)


@pytest.mark.parametrize("length", [LINE_HEAD - 1, LINE_HEAD, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_long_lines_and_block_edges(length):
    """Lines around and beyond the size of a block are decided by their head."""
    long = line(1, "y" * length)
    content = line(0) + long + line(2) + long + line(0)
    assert cut(content, window(1, 2)) == long + line(2) + long
    assert cut(content, window(0, 0)) == line(0) * 2
    assert cut(content, window(2, 2)) == line(2)


def test_a_line_of_a_gigabyte_is_not_held():
    """Each read is of one block at most, however long a line is, and each byte is read once."""
    head = line(1)[:-1]
    size = 1 << 30
    asked = []

    def read(length: int, offset: int) -> bytes:
        asked.append((offset, length))
        return (head if offset == 0 else b"") + zeros[: length - (len(head) if offset == 0 else 0)]

    zeros = memoryview(bytes(BLOCK)).tobytes()
    known = form_of(head)
    assert known is not None
    assert list(runs(read, size, window(0, 2), known[0])) == [(0, size)]
    assert max(length for _, length in asked) <= BLOCK
    assert sum(length for _, length in asked) == size


def test_a_file_that_shrinks_ends_where_it_ends():
    """When the bytes end before the size, so does the last range."""
    content = line(0) + line(1)
    known = form_of(content, UTC)
    assert known is not None
    assert list(runs(reader(content), 10 * len(content), window(1, 1), known[0])) == [(len(line(0)), len(content))]


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-3, 8),
            st.binary(max_size=60).map(lambda text: text.replace(b"\n", b" ")) | st.just(b"z" * 5000),
        ),
        min_size=1,
        max_size=30,
    ),
    st.none() | st.integers(-2, 6),
    st.none() | st.integers(-2, 6),
    st.integers(1, 300),
    st.booleans(),
)
def test_blocks_of_any_size_give_what_whole_lines_give(lines, oldest, latest, block, newline):
    """Reading in pieces gives the same bytes as looking at each line of the whole."""
    records: list[list[bytes]] = [[]]
    times: list[int | None] = [None]
    for second, text in [(0, b"first"), *lines]:
        if second is None:
            records[-1].append(b"| " + text + b"\n")
        else:
            records.append([line(second)[:-1] + text + b"\n"])
            times.append(second)
    content = b"".join(b"".join(record) for record in records)
    expected = b"".join(
        b"".join(record)
        for record, second in zip(records, times, strict=True)
        if second is not None and (oldest is None or second >= oldest) and (latest is None or second <= latest)
    )
    if not newline:
        content = content[:-1]
        expected = expected[: len(content)] if not content.endswith(expected) else expected
        last = times[-1]
        if last is not None and (oldest is None or last >= oldest) and (latest is None or last <= latest):
            expected = expected.removesuffix(b"\n")
    before, window_module.BLOCK = window_module.BLOCK, block
    try:
        assert cut(content, window(oldest, latest)) == expected
    finally:
        window_module.BLOCK = before
