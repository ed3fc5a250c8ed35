"""A gzip stream compressed beside its writer: the same bytes each time, bounded, and honest about the disk."""

import gzip
import random
import threading
from pathlib import Path

import pytest

from everest_system.io.logs import gzip_stream
from everest_system.io.logs.gzip_stream import GzipStream

TEXT = b"".join(b"2026-11-22 09:30:%02d line %d\n" % (line % 60, line * 7919 % 10007) for line in range(50_000))


def written(path: Path, blocks: list[bytes]) -> bytes:
    with GzipStream(path) as stream:
        for block in blocks:
            stream.write(block)
        assert stream.finish() == path.stat().st_size
    return path.read_bytes()


def test_the_same_bytes_each_time(tmp_path):
    """However the threads take turns, the file is the same."""
    blocks = [TEXT[at : at + 50_000] for at in range(0, len(TEXT), 50_000)]
    files = {written(tmp_path / "a", blocks) for _ in range(10)}
    assert [gzip.decompress(file) for file in files] == [TEXT]


def test_back_to_a_mark(tmp_path):
    """What was written behind a mark is gone, as often as one goes back there, and the check sum holds."""
    with GzipStream(tmp_path / "a") as stream:
        stream.write(TEXT)
        mark = stream.mark()
        assert (tmp_path / "a").stat().st_size <= mark.length
        for _ in range(2):
            stream.write(random.Random(1).randbytes(1_000_000))
            stream.back_to(mark)
            assert (stream.length, stream.size) == (mark.length, len(TEXT))
        stream.write(memoryview(b"-end-")[1:4])
        stream.finish()
    assert gzip.decompress((tmp_path / "a").read_bytes()) == TEXT + b"end"


class Held:
    """A compressor that goes on only when it may, and keeps a log of what it was given."""

    def __init__(self) -> None:
        self.may, self.given = threading.Semaphore(0), []

    def compress(self, data: bytes) -> bytes:
        assert self.may.acquire(timeout=10)
        self.given.append(data)
        return b""

    def flush(self, *_: object) -> bytes:
        return b""


def test_whoever_is_faster_than_the_compressor_waits(tmp_path, monkeypatch):
    """Only a few blocks are held at a time."""
    held, handed = Held(), []
    monkeypatch.setattr(gzip_stream, "_compressor", lambda: held)
    begun = threading.Event()

    def write():
        for number in range(20):
            stream.write(b"%d" % number)
            handed.append(number)
        begun.set()

    with GzipStream(tmp_path / "a") as stream:
        writer = threading.Thread(target=write)
        writer.start()
        assert not begun.wait(0.2)
        assert len(handed) == 1 + gzip_stream._AHEAD
        held.may.release(20)
        writer.join(10)
        stream.mark()
        assert held.given == [b"%d" % number for number in range(20)]


def test_a_failure_to_write_comes_back_to_the_writer(tmp_path, monkeypatch):
    """A disk that fails is told at the next word with the stream, and no block waits for ever."""

    def full(_place):
        raise OSError(28, "No space left on device")

    with GzipStream(tmp_path / "a") as stream:
        monkeypatch.setattr(gzip_stream, "keep_room", full)
        monkeypatch.setattr(gzip_stream, "_SYNC", 1000)

        dice = random.Random(1)

        def write():
            for _ in range(1000):
                stream.write(dice.randbytes(5000))

        with pytest.raises(OSError, match="No space left"):
            write()
        for word in (stream.mark, stream.finish, lambda: stream.write(b"x")):
            with pytest.raises(OSError, match="No space left"):
                word()


def test_what_nobody_wants_is_not_compressed(tmp_path, monkeypatch):
    """After a failure of the writer's own, what waits is dropped, and the thread ends."""
    held = Held()
    monkeypatch.setattr(gzip_stream, "_compressor", lambda: held)
    before = threading.active_count()

    def give_up():
        with GzipStream(tmp_path / "a") as stream:
            for _ in range(4):
                stream.write(b"x")
            threading.Timer(0.05, held.may.release, (4,)).start()
            raise KeyError

    with pytest.raises(KeyError):
        give_up()
    assert len(held.given) <= 1
    assert threading.active_count() <= before + 1  # the timer may still be there


def test_no_room_from_the_begin(tmp_path, monkeypatch):
    """A disk that is full already is told before anything is written."""
    monkeypatch.setattr(gzip_stream, "KEEP_FREE", 1 << 60)
    with pytest.raises(OSError, match="No space left"), GzipStream(tmp_path / "a"):
        pass
    assert (tmp_path / "a").read_bytes() == b""
