"""Firmware files and what they hold, packed in each way and broken in each."""

import gzip
import hashlib
import lzma
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import zstandard
from support.archives import PACKINGS
from support.peers import program, require

from everest_system.fsm.errors import CanceledError
from everest_system.io.installers.firmware_file import FirmwareFile
from everest_system.io.installers.port import InstallError, UnfitError

CONTENT = os.urandom(300_000) + bytes(700_000)
PACKED = {name: pack for name, pack in PACKINGS.items() if name != "plain"}


def read(path: Path, content: bytes, size: int = 100_000, limit: int | None = None) -> bytes:
    path.write_bytes(content)
    found = []
    with FirmwareFile(path, threading.Event(), limit) as file:
        stream = file.content()
        while data := stream.read(size):
            assert len(data) <= size
            found.append(data)
        file.require(hashlib.sha256(content).hexdigest())
        assert file.percent == 100 or not content
    return b"".join(found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "firmware.bin"


@pytest.mark.parametrize("packing", PACKINGS)
def test_what_it_holds(path: Path, packing: str) -> None:
    """A file gives what is packed in it, never more at once than asked for, and is hashed as it stands."""
    assert read(path, PACKINGS[packing](CONTENT)) == CONTENT


@pytest.mark.parametrize("content", [b"", b"x", b"\x1f\x8b", b"\x28\xb5\x2f", b"PK\x03\x04"])
def test_what_is_not_packed(path: Path, content: bytes) -> None:
    """What begins like no packing is taken as it is, however short."""
    assert read(path, content, size=3) == content


@pytest.mark.parametrize("packing", PACKED)
def test_streams_behind_each_other(path: Path, packing: str) -> None:
    """Streams one behind the other, as parallel packers write them, count as one; so do empty ones."""
    pack = PACKED[packing]
    assert read(path, pack(b"one") + pack(b"") + pack(b"two" * 1000)) == b"one" + b"two" * 1000


def test_zeros_between_streams(path: Path) -> None:
    """Zeros behind a stream are padding in gzip, and in xz if they come by four."""
    assert read(path, gzip.compress(b"1") + bytes(700_000) + gzip.compress(b"2") + bytes(3)) == b"12"
    assert read(path, lzma.compress(b"1") + bytes(700_000) + lzma.compress(b"2") + bytes(4)) == b"12"
    with pytest.raises(UnfitError, match="cannot be unpacked: the zeros in it are no multiple of 4"):
        read(path, lzma.compress(b"1") + bytes(3))


def test_frames_to_skip(path: Path) -> None:
    """A zst may begin with a frame to skip."""
    skipped = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert read(path, skipped + PACKED["zst"](b"content")) == b"content"


@pytest.mark.parametrize("packing", PACKED)
def test_something_behind(path: Path, packing: str) -> None:
    """What is behind the last stream and no stream itself makes the file unfit."""
    with pytest.raises(UnfitError, match="the firmware file cannot be unpacked: "):
        read(path, PACKED[packing](b"content") + b"garbage!")


@pytest.mark.parametrize("packing", PACKED)
def test_damage(path: Path, packing: str) -> None:
    """A byte that changed is found by the packing itself."""
    if packing == "zst":
        content = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(CONTENT))
    else:
        content = bytearray(PACKED[packing](CONTENT))
    content[150_000] ^= 1
    with pytest.raises(UnfitError, match="the firmware file cannot be unpacked: "):
        read(path, bytes(content))


@pytest.mark.parametrize("packing", ["gz", "xz"])
def test_cut_off(path: Path, packing: str) -> None:
    """A stream without its end is unfit."""
    with pytest.raises(UnfitError, match="it is cut off"):
        read(path, PACKED[packing](CONTENT)[:-20])


def test_memory_that_a_file_asks_for(path: Path) -> None:
    """An xz or zst that would need more than 128 MiB to unpack is refused."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 256 << 20}]
    with pytest.raises(UnfitError, match="cannot be unpacked"):
        read(path, lzma.compress(b"content", filters=filters))
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(UnfitError, match="cannot be unpacked"):
        read(path, packer.compress(b"content") + packer.flush())


def test_the_package_for_zst_is_missing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its package a zst cannot be installed, and nothing else needs it."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert read(path, PACKED["xz"](b"content")) == b"content"
    with pytest.raises(InstallError, match="the package zstandard is not installed"):
        read(path, PACKED["zst"](b"content"))


def test_a_bounded_look(path: Path) -> None:
    """A look at the beginning ends, also where a file has millions of streams with nothing in them."""
    with pytest.raises(UnfitError, match="begins with 10000 bytes that tell nothing"):
        read(path, gzip.compress(b"") * 1000, limit=10_000)


def test_cancel(path: Path) -> None:
    """A cancel ends the next read."""
    path.write_bytes(CONTENT)
    canceled = threading.Event()
    with FirmwareFile(path, canceled) as file:
        file.read(10)
        canceled.set()
        with pytest.raises(CanceledError):
            file.read(10)


@pytest.mark.parametrize(
    ("packing", "tool"), [("gz", ["gzip", "-c"]), ("xz", ["xz", "-9", "-c"]), ("zst", ["zstd", "-19", "-c", "-q"])]
)
def test_what_the_tools_pack(path: Path, packing: str, tool: list[str]) -> None:
    """What gzip, xz and zstd themselves write is unpacked, at their highest usual settings."""
    require(tool[0], program(tool[0]), "packing firmware as its maker does")
    packed = subprocess.run(tool, input=CONTENT, capture_output=True, check=True).stdout
    assert read(path, packed) == CONTENT
