"""A log file gives what was announced, whatever happens to it, and says what happened."""

import gzip
import lzma
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from everest_system.io.logs import log_file
from everest_system.io.logs.log_file import LogFile, Selection
from everest_system.io.logs.sources import LogFileError
from everest_system.io.logs.time_forms import form_of
from everest_system.io.logs.window import LogWindow

LINES = [f"2026-11-22 09:30:{second:02} x\n".encode() for second in range(60)]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "x.log"
    file.write_bytes(b"".join(LINES))
    return file


@pytest.fixture
def log(path):
    fd = os.open(path, os.O_RDONLY)
    yield LogFile(fd, path, os.fstat(fd), lambda length: None)
    os.close(fd)


def seconds(*, oldest: int, latest: int) -> LogWindow:
    return LogWindow(
        datetime(2026, 11, 22, 9, 30, oldest, tzinfo=UTC), datetime(2026, 11, 22, 9, 30, latest, tzinfo=UTC), UTC
    )


def select(log: LogFile, window: LogWindow) -> Selection:
    known = form_of(log.read(1000, 0), UTC)
    assert known is not None
    return Selection(log, window, known[0])


def test_a_quiet_file_has_nothing_to_say(log):
    """All of it, and no notes."""
    selection = Selection(log, LogWindow(), None)
    assert b"".join(log.blocks(selection)) == b"".join(LINES)
    assert selection.length == len(b"".join(LINES))
    assert log.notes() == []


def test_what_grows_is_cut(log, path):
    """The end that came later is not taken, and that is said."""
    with path.open("ab") as writer:
        writer.write(b"more")
    assert b"".join(log.blocks(Selection(log, LogWindow(), None))) == b"".join(LINES)
    assert log.notes() == ["grew while it was read: 4 bytes at its end not taken"]


def test_what_has_gone_is_made_up_for_by_zeros(log, path):
    """A file cut short between finding and copying still has the announced length."""
    selection = select(log, seconds(oldest=1, latest=58))
    keep = len(b"".join(LINES[:3]))
    os.truncate(path, keep)
    data = b"".join(log.blocks(selection))
    assert len(data) == selection.length
    assert data.rstrip(b"\0") == b"".join(LINES[1:3])
    gone = selection.length - len(b"".join(LINES[1:3]))
    assert log.notes() == [
        f"the last {gone} bytes are zeros: they were gone when they were to be read",
        f"shrank while it was read, to {keep} bytes",
    ]


def test_rotation_and_removal_are_said(log, path):
    """The bytes are those of the file that was opened, wherever its name went."""
    path.rename(path.with_suffix(".1"))
    assert log.notes() == ["vanished or was renamed while it was read"]
    path.write_bytes(b"new")
    assert log.notes() == ["rotated while it was read: the path is another file's now"]
    assert b"".join(log.blocks(Selection(log, LogWindow(), None))) == b"".join(LINES)


def test_a_read_error_is_a_fault_of_the_file(tmp_path):
    """Bytes that the disk does not give are zeros, and the reason is said once."""
    (tmp_path / "x").write_bytes(b"hello")
    fd = os.open(tmp_path / "x", os.O_WRONLY)  # reading it is an error
    log = LogFile(fd, tmp_path / "x", os.fstat(fd), lambda length: None)
    assert log.read(10, 0) == b""
    assert b"".join(log.blocks(Selection(log, LogWindow(), None))) == bytes(5)
    os.close(fd)
    assert log.faults[:2] == ["cannot be read from byte 0 on: bad file descriptor"] * 2


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 100])
def test_ragged_files_are_looked_through_again(log, path, monkeypatch, kept):
    """More ranges than are kept give the same bytes."""
    monkeypatch.setattr(log_file, "RUNS_MAX", kept)
    path.write_bytes(b"".join([LINES[1], LINES[5]] * 20))
    fd = os.open(path, os.O_RDONLY)
    try:
        log = LogFile(fd, path, os.fstat(fd), lambda length: None)
        selection = select(log, seconds(oldest=0, latest=2))
        assert selection.length == 20 * len(LINES[1])
        assert b"".join(log.blocks(selection)) == LINES[1] * 20
    finally:
        os.close(fd)


def test_a_file_rewritten_in_place_never_gives_too_much(path, monkeypatch):
    """The second look may find more than the first: the announced length holds."""
    monkeypatch.setattr(log_file, "RUNS_MAX", 0)
    path.write_bytes(LINES[1] + LINES[5] * 9)
    fd = os.open(path, os.O_RDONLY)
    try:
        log = LogFile(fd, path, os.fstat(fd), lambda length: None)
        selection = select(log, seconds(oldest=0, latest=2))
        path.write_bytes(LINES[2] * 10)
        assert b"".join(log.blocks(selection)) == LINES[2]
    finally:
        os.close(fd)


BASE = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@contextmanager
def opened(path: Path, content: bytes, modified: datetime = BASE + timedelta(minutes=1)):
    path.write_bytes(content)
    os.utime(path, (modified.timestamp(),) * 2)
    fd = os.open(path, os.O_RDONLY)
    try:
        yield LogFile(fd, path, os.fstat(fd), lambda length: None)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("suffix", "pack", "name"),
    [(".gz", gzip.compress, "gzip"), (".xz", lzma.compress, "xz"), (".zst", zstandard.compress, "zstd")],
)
def test_a_compressed_file_gives_its_lines(tmp_path, suffix, pack, name):
    """What it holds, whole or by its lines, under its name without the suffix."""
    with opened(tmp_path / f"x.log.1{suffix}", pack(b"".join(LINES))) as log:
        assert (log.compression, log.content_path) == (name, tmp_path / "x.log.1")
        whole = Selection.of(log, LogWindow())
        assert (whole.length, whole.lines) == (len(b"".join(LINES)), "all")
        assert b"".join(log.blocks(whole)) == b"".join(LINES)
        part = Selection.of(log, seconds(oldest=10, latest=19))
        assert part.lines == "in the window, by ISO 8601 times"
        assert b"".join(log.blocks(part)) == b"".join(LINES[10:20])
        assert log.notes() == []


def test_a_compressed_file_that_is_broken(tmp_path):
    """What stands before the fault is taken, once, and the fault is said once."""
    packed = gzip.compress(b"".join(LINES))
    with opened(tmp_path / "x.gz", packed[:-4]) as log:
        assert b"".join(log.blocks(Selection.of(log, LogWindow()))) == b"".join(LINES)
        assert log.notes() == [f"cut off after {len(b''.join(LINES))} unpacked bytes"]
    nothing = pytest.raises(LogFileError, match="cut off after 0 unpacked bytes")
    with opened(tmp_path / "y.gz", packed[:4]) as log, nothing:
        Selection.of(log, LogWindow())
    with opened(tmp_path / "z.gz", gzip.compress(b"")) as log:
        assert Selection.of(log, LogWindow()).length == 0


@pytest.mark.parametrize(
    ("content", "window", "why"),
    [
        (b"".join(LINES), LogWindow(BASE + timedelta(hours=1)), "last changed before the window"),
        (b"".join(LINES), LogWindow(None, BASE - timedelta(seconds=1), UTC), "begins after the window"),
        (LINES[1] + LINES[9], seconds(oldest=2, latest=5), "no line in the window"),
    ],
)
def test_what_a_window_takes_nothing_of(tmp_path, content, window, why):
    """A file is left out by its life or by its lines, and the reason is said."""
    for path, packed in ((tmp_path / "x.log", content), (tmp_path / "x.log.gz", gzip.compress(content))):
        with opened(path, packed) as log, pytest.raises(LogFileError, match=why):
            Selection.of(log, window)


def test_a_file_without_times_by_its_birth(tmp_path, monkeypatch):
    """A file that was made after the window is left out; one with times goes by these, and so does one that was not."""
    window = LogWindow(BASE, BASE + timedelta(seconds=30), UTC)
    for born, why in ((BASE + timedelta(seconds=31), "begins after the window"), (BASE, None), (None, None)):
        born_ns = born and int(born.timestamp()) * 10**9
        monkeypatch.setattr(log_file, "birth_ns", lambda fd, status, born_ns=born_ns: born_ns)
        with opened(tmp_path / "x.log", b"no time\n") as log:
            if why:
                with pytest.raises(LogFileError, match=why):
                    Selection.of(log, window)
            else:
                assert Selection.of(log, window).lines == "all"
        with opened(tmp_path / "y.log", b"".join(LINES)) as log:
            assert Selection.of(log, window).length == len(b"".join(LINES[:31]))


def test_emptied_before_it_was_read(tmp_path):
    """A file that is empty by then says so; one that always was is taken as it is."""
    path = tmp_path / "x.log"
    with opened(path, LINES[0]) as log:
        path.write_bytes(b"")
        with pytest.raises(LogFileError, match="emptied before it was read"):
            Selection.of(log, LogWindow())
    with opened(path, b"") as log:
        assert Selection.of(log, LogWindow()).length == 0


def test_a_compressed_file_that_cannot_be_read(tmp_path):
    """It has the reason as its fault, from the first byte on."""
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"x"))
    fd = os.open(tmp_path / "x.gz", os.O_WRONLY)
    log = LogFile(fd, tmp_path / "x.gz", os.fstat(fd), lambda length: None)
    with pytest.raises(LogFileError, match="cannot be read from byte 0 on: bad file descriptor"):
        Selection.of(log, LogWindow())
    os.close(fd)


def test_a_large_file_in_order_is_searched(tmp_path):
    """Only a fraction of it is read, the lines are the same, and the manifest's words say how they were found."""
    lines = [
        f"{BASE + timedelta(seconds=second):%Y-%m-%d %H:%M:%S} x{'y' * 400}\n".encode() for second in range(20_000)
    ]
    window = LogWindow(BASE + timedelta(seconds=9000), BASE + timedelta(seconds=9299), UTC)
    late = BASE + timedelta(days=1)
    with opened(tmp_path / "x.log", b"".join(lines), late) as log:
        selection = Selection.of(log, window)
        assert b"".join(log.blocks(selection)) == b"".join(lines[9000:9300])
        assert selection.lines.startswith("in the window, by ISO 8601 times; searched for, ")
        assert selection.lines.endswith(" lines were looked at and in order")
    with opened(tmp_path / "y.log", b"".join(lines[10_000:] + lines[:10_000]), late) as log:
        selection = Selection.of(log, window)
        assert b"".join(log.blocks(selection)) == b"".join(lines[9000:9300])
        assert selection.lines == "in the window, by ISO 8601 times"
