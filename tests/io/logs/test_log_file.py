"""A log file gives what was announced, whatever happens to it, and says what happened."""

import os
from datetime import UTC, datetime

import pytest

from everest_system.io.logs import log_file
from everest_system.io.logs.log_file import LogFile, Selection
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
