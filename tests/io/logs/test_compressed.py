"""A compressed log gives what it holds, or as much of it as can be had, and says what is wrong with it."""

import gzip
import lzma
import os
import random
import subprocess
import sys
import tracemalloc
import zlib

import pytest
import zstandard

from everest_system.io.logs import compressed
from everest_system.io.logs.compressed import Unpacked, packing_of

CONTENT = b"".join(b"2026-11-22 09:30:%02d line %d\n" % (line % 60, line * 7919 % 10007) for line in range(20_000))
PACKERS = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}
NAMES = {".gz": "gzip", ".xz": "xz", ".zst": "zstd"}


class Opened:
    """A compressed file, what was said of it, and how often it ticked."""

    def __init__(self, path, content: bytes) -> None:
        path.write_bytes(content)
        self.fd = os.open(path, os.O_RDONLY)
        packing = packing_of(self.fd, path)
        assert packing is not None
        self.name = packing.name
        self.faults: list[str] = []
        self.ticks = 0
        self.unpacked = Unpacked(self.fd, len(content), packing, self._tick, self.faults.append)

    def _tick(self) -> None:
        self.ticks += 1

    def all(self, block: int = 100_000) -> bytes:
        blocks, offset = [], 0
        while data := self.unpacked.read(block, offset):
            blocks.append(data)
            offset += len(data)
        return b"".join(blocks)


@pytest.fixture(params=list(PACKERS))
def suffix(request):
    return request.param


@pytest.fixture
def opened(tmp_path, suffix):
    files = []

    def open_file(content: bytes) -> Opened:
        files.append(Opened(tmp_path / f"x.log{suffix}", content))
        return files[-1]

    yield open_file
    for file in files:
        os.close(file.fd)


@pytest.mark.parametrize("block", [1000, 16 * 1024, 100_000, 10_000_000])
def test_what_it_holds(opened, suffix, block):
    """All bytes in blocks of any size, and nothing to complain about."""
    file = opened(PACKERS[suffix](CONTENT))
    assert file.all(block) == CONTENT
    assert (file.name, file.faults) == (NAMES[suffix], [])
    assert file.ticks > 10


def test_nothing_in_it(opened, suffix):
    """An empty file is empty when it is unpacked, too."""
    file = opened(PACKERS[suffix](b""))
    assert (file.all(), file.faults) == (b"", [])


def test_any_place_of_it(opened, suffix):
    """Reading on from anywhere, forwards and back, gives what stands there; beyond the end there is nothing."""
    file = opened(PACKERS[suffix](CONTENT))
    for offset in (0, 5, 70_000, 69_000, len(CONTENT) - 3, 1, len(CONTENT), len(CONTENT) + 10, 400_000):
        assert file.unpacked.read(1000, offset) == CONTENT[offset : offset + 1000]
    assert file.faults == []


def test_streams_behind_each_other(opened, suffix):
    """Streams that were appended are one file, with or without zeros between and behind them."""
    pack = PACKERS[suffix]
    parts = [CONTENT[:100_000], b"", CONTENT[100_000:]]
    assert opened(b"".join(map(pack, parts))).all() == CONTENT
    file = opened(b"".join(pack(part) + bytes(4096) for part in parts) + bytes(200_000))
    assert (file.all(), file.faults) == (CONTENT, [])


def test_cut_off(opened, suffix):
    """A file that ends too soon gives what stands before, and says so."""
    packed = PACKERS[suffix](CONTENT)
    for keep in (len(packed) // 2, len(packed) - 1, 12):
        file = opened(packed[:keep])
        data = file.all()
        assert CONTENT.startswith(data)
        assert file.faults == [f"cut off after {len(data)} unpacked bytes"]
    assert len(opened(packed[:-1]).all()) > len(CONTENT) - 200_000


def test_broken_in_the_middle(opened, suffix):
    """A file with wrong bytes gives what stands before them, and says so."""
    packed = bytearray(PACKERS[suffix](CONTENT))
    packed[len(packed) * 3 // 4 :] = random.Random(1).randbytes(len(packed) - len(packed) * 3 // 4)
    file = opened(bytes(packed))
    data = file.all()
    (fault,) = file.faults
    assert fault.startswith(f"broken after {len(data)} unpacked bytes: ")
    assert "\n" not in fault
    assert data[:1000] == CONTENT[: len(data)][:1000]


def test_a_wrong_check_sum_costs_nothing(tmp_path):
    """What a gzip file with a wrong check sum at its end holds is given all the same."""
    packed = bytearray(gzip.compress(CONTENT))
    packed[-6] ^= 1
    file = Opened(tmp_path / "x.gz", bytes(packed))
    assert file.all() == CONTENT
    assert file.faults[0].startswith(f"broken after {len(CONTENT)} unpacked bytes: ")
    os.close(file.fd)


def test_rubbish_behind_it(opened, suffix):
    """What follows the end of the last stream is left out, and that is said."""
    file = opened(PACKERS[suffix](CONTENT) + b"and so on, and so on")
    assert file.all() == CONTENT
    assert file.faults == [f"what follows its end is no {NAMES[suffix]}: not taken"]


def test_bombs_are_bounded(opened, suffix, monkeypatch):
    """A file is unpacked to a bound by its size, and to an absolute one; memory stays small."""
    monkeypatch.setattr(compressed, "SMALL", 1_000_000)
    monkeypatch.setattr(compressed, "RATIO_MAX", 200)
    packed = PACKERS[suffix](bytes(64 << 20))
    file = opened(packed)
    bound = max(1_000_000, 200 * len(packed))
    assert file.unpacked.size_max == bound
    tracemalloc.start()
    length = offset = 0
    while data := file.unpacked.read(256 * 1024, offset):
        offset += len(data)
        length += len(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == bound
    assert file.faults == [f"not unpacked beyond {bound} bytes"]
    assert peak < 40 << 20
    monkeypatch.setattr(compressed, "SIZE_MAX", 70_000)
    assert len(opened(packed).all()) == 70_000


def xz(content: bytes, dictionary: int) -> bytes:
    return lzma.compress(content, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": dictionary}])


def zstd(content: bytes, window_log: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=window_log)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return stream.compress(content) + stream.flush()


GREEDY = {"x.xz": xz(CONTENT[:100], 128 << 20), "x.zst": zstd(CONTENT[:100], 27)}  # as `zstd --ultra -22`, `--long`
WIDEST = {"x.xz": lzma.compress(CONTENT[:100], preset=9), "x.zst": zstd(CONTENT[:100], 26)}


@pytest.mark.parametrize("name", list(GREEDY))
def test_decoders_have_bounded_memory(tmp_path, name):
    """A file that takes more memory than a decoder may have is not unpacked, and that is said; `xz -9` is."""
    greedy = Opened(tmp_path / name, GREEDY[name])
    assert greedy.all() == b""
    assert greedy.faults == ["not unpacked from byte 0 on: that takes more memory than 72 MiB"]
    widest = Opened(tmp_path / name, WIDEST[name])
    assert (widest.all(), widest.faults) == (CONTENT[:100], [])
    behind = Opened(tmp_path / name, WIDEST[name] + GREEDY[name])
    assert behind.all() == CONTENT[:100]
    assert behind.faults == ["not unpacked from byte 100 on: that takes more memory than 72 MiB"]
    for file in (greedy, widest, behind):
        os.close(file.fd)


@pytest.mark.parametrize("name", list(WIDEST))
def test_a_machine_with_little_memory_left(tmp_path, monkeypatch, name):
    """A decoder gets at most half of what the machine has left; where nobody knows that, its usual bound holds."""
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr(compressed, "_MEMINFO", meminfo)
    file = Opened(tmp_path / name, WIDEST[name])
    assert file.all() == CONTENT[:100]
    os.close(file.fd)
    meminfo.write_text("MemTotal: 512000 kB\nMemAvailable: 81920 kB\n")
    file = Opened(tmp_path / name, WIDEST[name])
    assert file.all() == b""
    assert file.faults == ["not unpacked from byte 0 on: that takes more memory than 40 MiB"]
    os.close(file.fd)
    for nonsense in ("", "MemAvailable: \n", "MemAvailable: much kB\n"):
        meminfo.write_text(nonsense)
        assert compressed.memory_max() == compressed.MEMORY_MAX


@pytest.mark.parametrize("name", list(WIDEST))
def test_what_a_process_that_unpacks_really_holds(tmp_path, name):
    """The widest file that is unpacked, full to its brim, costs its bound and no more, also when read twice."""
    dice = random.Random(1)  # 70 MiB, more than the dictionary, and too little of it noise to last long
    text = dice.randbytes(1 << 14).hex().encode() * (70 << 5) + dice.randbytes(100_000)
    (tmp_path / name).write_bytes(xz(text, 64 << 20) if name == "x.xz" else zstd(text, 26))
    code = (
        "import os, resource, sys\n"
        "from pathlib import Path\n"
        "from everest_system.io.logs.compressed import Unpacked, packing_of\n"
        "path = Path(sys.argv[1])\n"
        "fd = os.open(path, os.O_RDONLY)\n"
        "file = Unpacked(fd, path.stat().st_size, packing_of(fd, path), lambda: None, sys.exit)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for _ in range(2):\n"
        "    offset = 0\n"
        "    while block := file.read(1 << 18, offset):\n"
        "        offset += len(block)\n"
        "print(offset, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, tmp_path / name], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(told[0]) == len(text)
    assert int(told[1]) * 1024 < compressed.MEMORY_MAX + (4 << 20)


def test_frames_of_zstd_that_say_nothing(tmp_path):
    """Skippable frames, with which parallel compressors begin, are skipped."""
    skippable = b"\x51\x2a\x4d\x18\x04\0\0\0abcd"
    file = Opened(tmp_path / "x.zst", skippable + zstandard.compress(CONTENT) + skippable)
    assert (file.all(), file.faults) == (CONTENT, [])
    os.close(file.fd)


@pytest.mark.parametrize("program", ["gzip", "xz", "zstd"])
def test_what_the_real_programs_write(tmp_path, program):
    """Files of the compressors that logrotate calls."""
    path = tmp_path / "x.log"
    path.write_bytes(CONTENT)
    try:
        subprocess.run([program, "-q", "-9", path], check=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        pytest.skip(f"{program} is not on this machine")
    (packed,) = tmp_path.glob("x.log.*")
    file = Opened(packed, packed.read_bytes())
    assert (file.all(), file.faults) == (CONTENT, [])
    os.close(file.fd)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.log", gzip.compress(b"x")),
        ("x.gz", b"plain text"),
        ("x.gz", b""),
        ("x.xz", gzip.compress(b"x")),
        ("x.gz.1", gzip.compress(b"x")),
        (".gz", gzip.compress(b"x")),
        ("x.z", zlib.compress(b"x")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # what gzip writes has the time in it
)
def test_what_is_not_compressed(tmp_path, name, content):
    """Suffix and first bytes must agree."""
    path = tmp_path / name
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    assert packing_of(fd, path) is None
    os.close(fd)
