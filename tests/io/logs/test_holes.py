"""Holes in a log are left out, and nothing else is."""

import errno
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples

from everest_system.io.logs import holes
from everest_system.io.logs.holes import data_of
from everest_system.io.logs.log_file import LogFile, Selection
from everest_system.io.logs.sources import LogFileError
from everest_system.io.logs.window import LogWindow

MIB = 1 << 20


@pytest.fixture
def opened(tmp_path):
    """Opens a file that has these bytes at these places, and ends where it is told."""
    fds = []

    def open_file(pieces: dict[int, bytes], size: int) -> tuple[int, os.stat_result, Path]:
        path = tmp_path / f"{len(fds)}.log"
        fds.append(os.open(path, os.O_RDWR | os.O_CREAT))
        for place, piece in pieces.items():
            os.pwrite(fds[-1], piece, place)
        os.truncate(fds[-1], size)
        status = os.fstat(fds[-1])
        if size > 2 * MIB and status.st_blocks * 512 > size // 2:
            pytest.skip("the file system knows no holes")
        return fds[-1], status, path

    yield open_file
    for fd in fds:
        os.close(fd)


@settings(max_examples=examples(30))
@given(st.lists(st.tuples(st.integers(0, 120), st.integers(1, 20_000)), max_size=6), st.integers(100, 90_000))
def test_what_is_left_is_what_was_written(tmp_path_factory, pieces, block):
    """Read anywhere, in blocks of any length, the file is itself without most of its zeros."""
    path = tmp_path_factory.mktemp("sparse") / "x"
    dice = random.Random(1)
    with path.open("w+b", buffering=0) as file:
        for place, length in pieces:
            os.pwrite(file.fileno(), dice.randbytes(length).replace(b"\0", b"\1"), place << 15)
        file.truncate(4 * MIB)
        data = data_of(file.fileno(), os.fstat(file.fileno()))
        if data is None:
            pytest.skip("the file system knows no holes")
        blocks, offset = [], 0
        while piece := data.read(block, offset):
            assert len(piece) == min(block, data.size - offset)
            blocks.append(piece)
            offset += len(piece)
    assert b"".join(blocks).replace(b"\0", b"") == path.read_bytes().replace(b"\0", b"")
    assert (offset, data.size + data.left_out) == (data.size, 4 * MIB)


def test_a_log_that_was_cut_under_its_writer(opened):
    """The lines behind a hole of 8 GiB are taken, by their times, and what was left out is said."""
    lines = [f"2026-11-22 09:30:{second:02} x\n".encode() for second in range(60)]
    fd, status, path = opened({8 << 30: b"".join(lines)}, (8 << 30) + 60 * len(lines[0]))
    log = LogFile(fd, path, status, lambda _length: None)
    assert log.size == 60 * len(lines[0])
    selection = Selection.of(log, LogWindow())
    assert b"".join(log.blocks(selection)) == b"".join(lines)
    assert log.notes() == [f"{8 << 30} bytes of holes, which read as zeros, are left out"]


def test_nothing_but_a_hole(opened):
    """A file without any data is left out, with that as the reason."""
    fd, status, path = opened({}, 1 << 40)
    log = LogFile(fd, path, status, lambda _length: None)
    with pytest.raises(LogFileError, match=f"{1 << 40} bytes of holes, which read as zeros, are left out"):
        Selection.of(log, LogWindow())


def test_small_holes_and_none(opened):
    """A file that would gain little is read as it is."""
    for pieces, size in (({0: b"x" * 10_000}, 10_000), ({0: b"x"}, MIB // 2)):
        fd, status, _ = opened(pieces, size)
        assert data_of(fd, status) is None


def test_so_many_holes_and_no_more(opened, monkeypatch):
    """What follows the last range that is told apart is read with its holes."""
    monkeypatch.setattr(holes, "RANGES_MAX", 2)
    fd, status, _ = opened({0: b"a", 4 * MIB: b"b", 8 * MIB: b"c"}, 16 * MIB)
    data = data_of(fd, status)
    assert data.left_out < 4 * MIB
    assert data.read(20 * MIB, 0).replace(b"\0", b"") == b"abc"


def test_a_file_that_became_shorter(opened):
    """What has gone since is not made up."""
    fd, status, path = opened({4 * MIB: b"x" * 10_000}, 4 * MIB + 10_000)
    data = data_of(fd, status)
    os.truncate(path, 4 * MIB + 5000)
    assert data.read(20_000, 0) == b"x" * 5000


def test_a_disk_that_fails(opened, monkeypatch):
    """A failure of the disk is one of the file."""
    fd, status, path = opened({}, 1 << 30)

    def lseek(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "lseek", lseek)
    log = LogFile(fd, path, status, lambda _length: None)
    assert log.faults == ["cannot be read from byte 0 on: input/output error"]
