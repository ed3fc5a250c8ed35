"""Compressed log files, read as if they were not: `.gz`, `.xz` and `.zst`, several streams behind each other included.

A file counts as compressed when both its suffix and its first bytes say so. It is unpacked as it is read, forwards, in
pieces; reading from further back begins anew, so that nothing needs to be held or spooled. Files come from outside:
what a decoder may use, how far a file may swell and how much it may hold are bounded. A broken file, one that is cut
off, one that swells too far and one that takes too much memory give what could be read before, and say so once.

The libraries are loaded when the first file of their kind is met.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SIZE_MAX = 4 * 1024**3
"""Bytes of one file at most, unpacked."""
RATIO_MAX = 1000
"""Bytes that a compressed byte may become, on the whole; text that repeats itself comes to some hundreds."""
SMALL = 64 * 1024**2
"""Bytes up to which no ratio is looked at."""
MEMORY_MAX = 72 * 1024**2
"""Bytes that a decoder may use: enough for `xz -9` (65 MiB) and a window of 64 MiB (`zstd --ultra -21`)."""

_MEMINFO = Path("/proc/meminfo")
_BESIDES = 8 * 1024**2  # of a decoder of zstd, besides its window
_CHUNK = 64 * 1024
_PIECE = 16 * 1024  # unpacked at a time: as much is lost before the place where a file is broken
_TAIL = 8  # read by themselves: a wrong check sum there costs nothing of what stands before it


class _Unpacker(Protocol):
    """One stream, in the words of `lzma`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


@dataclass(frozen=True)
class Packing:
    """A way of compressing files.

    Attributes:
        name: of the format, for the manifest.
        suffix: of file names.
        magics: what a stream may begin with.
        new: an unpacker, and what it raises where a file is broken.
        greedy: what the library says where a file takes more memory than it may.
    """

    name: str
    suffix: str
    magics: tuple[bytes, ...]
    new: Callable[[], tuple[_Unpacker, type[Exception]]]
    greedy: str = "(nothing)"


def packing_of(fd: int, path: Path) -> Packing | None:
    """How a file is compressed; None if it is not, or in no way that is known.

    Raises:
        OSError: it cannot be read.
    """
    for packing in _PACKINGS:
        if path.suffix == packing.suffix and os.pread(fd, 8, 0).startswith(packing.magics):
            return packing
    return None


def memory_max() -> int:
    """Bytes that a decoder may use now: never more than half of what the machine has left."""
    try:
        words = _MEMINFO.read_text().partition("MemAvailable:")[2].split()
        return min(MEMORY_MAX, int(words[0]) * 1024 // 2)
    except (OSError, ValueError, IndexError):  # nobody says: a container without /proc
        return MEMORY_MAX


class Unpacked:
    """What a compressed file holds.

    Args:
        fd: the file, for reading; closing it stays the caller's.
        size: its bytes; what grows is cut there.
        packing: how it is compressed.
        tick: called for each piece; what it raises ends the reading.
        fault: told what is wrong with the file, each time that it is met.

    Attributes:
        size_max: bytes that are given at most.
    """

    def __init__(
        self, fd: int, size: int, packing: Packing, tick: Callable[[], None], fault: Callable[[str], None]
    ) -> None:
        self.size_max = min(SIZE_MAX, max(SMALL, RATIO_MAX * size))
        self._fd, self._size, self._packing, self._tick, self._fault = fd, size, packing, tick, fault
        self._unpacker, self._error = packing.new()
        self._place = self._given = self._made = 0  # in the file; in what it holds: given away, unpacked
        self._rest = b""  # unpacked and not given away
        self._ended = False

    def read(self, length: int, offset: int) -> bytes:
        """Bytes at an offset of what it holds; fewer only at its end, or where it is broken.

        Raises:
            OSError: the file cannot be read.
        """
        if offset < self._given:
            self._begin()
        while self._given + len(self._rest) <= offset:
            self._given += len(self._rest)
            self._rest = self._piece()
            if not self._rest:
                return b""
        self._rest = self._rest[offset - self._given :]
        self._given = offset
        pieces, gathered = [self._rest], len(self._rest)
        while gathered < length and (piece := self._piece()):
            pieces.append(piece)
            gathered += len(piece)
        data = b"".join(pieces)
        data, self._rest = data[:length], data[length:]
        self._given += len(data)
        return data

    def _begin(self) -> None:
        self._unpacker, self._error = self._packing.new()
        self._place = self._given = self._made = 0
        self._rest = b""
        self._ended = False

    def _piece(self) -> bytes:
        """The next bytes, none at the end."""
        while not self._ended:
            self._tick()
            data = self._input()
            if data is None:
                break
            try:
                piece = self._unpacker.decompress(data, _PIECE)[: self.size_max - self._made]
            except self._error as error:
                self._end(self._what(str(error)))
                break
            self._made += len(piece)
            if self._made >= self.size_max:
                self._end(f"not unpacked beyond {self._made} bytes")
            if piece:
                return piece
        return b""

    def _what(self, words: str) -> str:
        """What is wrong, by the words of a library."""
        if self._packing.greedy in words:
            return f"not unpacked from byte {self._made} on: that takes more memory than {memory_max() >> 20} MiB"
        return f"broken after {self._made} unpacked bytes: {words.splitlines()[0]}"

    def _input(self) -> bytes | None:
        """What the unpacker wants next, which may be nothing; None if that was all."""
        if self._unpacker.eof:
            return self._next_stream()
        if not self._unpacker.needs_input:
            return b""
        data = self._packed()
        if not data:
            self._end(f"cut off after {self._made} unpacked bytes")
        return data or None

    def _packed(self) -> bytes:
        before_tail = self._size - _TAIL - self._place
        length = min(_CHUNK, before_tail if before_tail > 0 else self._size - self._place)
        data = os.pread(self._fd, max(0, length), self._place)
        self._place += len(data)
        return data

    def _next_stream(self) -> bytes | None:
        """Turn to the stream behind one that has ended, if there is one; zeros behind a stream are padding."""
        data = self._unpacker.unused_data.lstrip(b"\0")
        while len(data) < len(self._packing.magics[0]) and (more := self._packed()):
            self._tick()
            data = (data + more).lstrip(b"\0")
        if not data.startswith(self._packing.magics):
            self._end(f"what follows its end is no {self._packing.name}: not taken" if data else None)
            return None
        self._unpacker, self._error = self._packing.new()
        return data

    def _end(self, fault: str | None) -> None:
        self._ended = True
        if fault:
            self._fault(fault)


def _gzip() -> tuple[_Unpacker, type[Exception]]:
    from isal import igzip_lib

    error: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # its stub calls the class an instance
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), error


def _xz() -> tuple[_Unpacker, type[Exception]]:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory_max()), lzma.LZMAError


def _zstd() -> tuple[_Unpacker, type[Exception]]:
    import zstandard

    stream = zstandard.ZstdDecompressor(max_window_size=max(1024, memory_max() - _BESIDES)).decompressobj()
    return _Zstd(stream), zstandard.ZstdError


class _ZstdStream(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Zstd:
    """A frame of zstd, whose library gives all that a chunk becomes at once, however much: so the chunks are small.

    Four bytes may become 128 KiB, so a chunk comes to 16 MiB at most, and ordinary text to some KiB.
    """

    _CHUNK = 512

    def __init__(self, stream: _ZstdStream) -> None:
        self._stream = stream
        self._packed, self._place = b"", 0

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._place >= len(self._packed)

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data + self._packed[self._place :]

    def decompress(self, data: bytes, _max_length: int, /) -> bytes:
        if data:
            self._packed, self._place = data, 0  # only given when all before it was used
        begin = self._place
        self._place += self._CHUNK
        return self._stream.decompress(self._packed[begin : self._place])


_SKIPPABLE = tuple(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))  # frames of zstd that say nothing
_PACKINGS = (
    Packing("gzip", ".gz", (b"\x1f\x8b",), _gzip),
    Packing("xz", ".xz", (b"\xfd7zXZ\0",), _xz, "emory usage limit"),
    Packing("zstd", ".zst", (b"\x28\xb5\x2f\xfd", *_SKIPPABLE), _zstd, "too much memory"),
)
