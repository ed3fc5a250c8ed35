"""When a file was begun, where the file system knows."""

import os
import struct
import time

import pytest

from everest_system.io.logs import birth
from everest_system.io.logs.birth import birth_ns


@pytest.fixture
def fd(tmp_path):
    before_ns = time.time_ns()
    path = tmp_path / "x"
    path.write_bytes(b"x")
    descriptor = os.open(path, os.O_RDWR)
    assert os.fstat(descriptor).st_mtime_ns >= before_ns - 10**9
    yield descriptor
    os.close(descriptor)


def answer(monkeypatch, mask: int, seconds: int, nanoseconds: int, code: int = 0) -> None:
    """Let the kernel answer that."""

    def statx(_fd, _path, _flags, _mask, buffer):
        struct.pack_into("=I", buffer, 0, mask)
        struct.pack_into("=qI", buffer, 80, seconds, nanoseconds)
        return code

    monkeypatch.setattr(birth, "_statx", lambda: statx)


def test_what_the_kernel_says(fd, monkeypatch):
    """To the nanosecond, where it comes before the last change."""
    os.utime(fd, (2000, 2000))
    answer(monkeypatch, 0xFFF, 1999, 5)
    assert birth_ns(fd, os.fstat(fd)) == 1999 * 10**9 + 5
    answer(monkeypatch, 0xFFF, 2000, 1)
    assert birth_ns(fd, os.fstat(fd)) is None


def test_nobody_knows(fd, monkeypatch):
    """An old C library, an error, and a file system that does not write it down."""
    answer(monkeypatch, 0x7FF, 1999, 5)
    assert birth_ns(fd, os.fstat(fd)) is None
    answer(monkeypatch, 0xFFF, 1999, 5, code=-1)
    assert birth_ns(fd, os.fstat(fd)) is None
    monkeypatch.setattr(birth, "_statx", lambda: None)
    assert birth_ns(fd, os.fstat(fd)) is None


def test_the_real_kernel(fd):
    """A file that was made now and changed later was born about now, if anything is known of it."""
    now_ns = time.time_ns()
    os.utime(fd, ns=(now_ns + 10**12, now_ns + 10**12))
    born_ns = birth_ns(fd, os.fstat(fd))
    assert born_ns is None or abs(born_ns - now_ns) < 60 * 10**9


def test_a_c_library_without_it(monkeypatch):
    """Then there is no function to call."""
    birth._statx.cache_clear()
    monkeypatch.setattr(birth.ctypes, "CDLL", lambda *_args, **_named: object())
    assert birth._statx() is None
    birth._statx.cache_clear()
