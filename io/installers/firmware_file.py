"""A downloaded firmware as a stream: read once from its beginning, hashed on the way, and what its packing holds.

What a file is, its first bytes say and never its name:

- gzip (RFC 1952), xz, Zstandard (RFC 8878): what it holds is unpacked. Streams one behind the other count as one, as
  their own tools have it; anything else behind them does not hold.
- Anything else holds itself.

Memory is bounded whatever a file says: an xz or zst that would need more than 128 MiB to unpack is refused, and no read
gives more than was asked for.
"""

import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Final, Protocol

from everest_system.fsm.errors import CanceledError
from everest_system.io.installers.port import InstallError, UnfitError

CHUNK: Final = 256 << 10

_MEMORY: Final = 128 << 20
_HEAD: Final = 6
_GZIP: Final = b"\x1f\x8b\x08"
_XZ: Final = b"\xfd7zXZ\x00"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = tuple(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))  # pzstd begins with one


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none only at the end."""


class FirmwareFile:
    """The file as it was downloaded. Use it in a `with`.

    Args:
        path: where it is.
        canceled: when set, the next read ends in a `CanceledError`.
        limit: how many bytes may be read, None for all: a look at the beginning is not to take minutes.

    Attributes:
        size: of the file, in bytes.
        position: how many bytes were read.

    Raises:
        OSError: it cannot be read; from each call.
    """

    def __init__(self, path: Path, canceled: Event, limit: int | None = None) -> None:
        self._limit = limit
        self._stream, self._canceled = path.open("rb", buffering=0), canceled
        self._digest = hashlib.sha256()
        self.size, self.position = path.stat().st_size, 0
        self._head = self._stream.read(_HEAD)

    def __enter__(self) -> "FirmwareFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int = CHUNK, /) -> bytes:
        """Return up to `size` bytes of the file, none only at its end.

        Raises:
            CanceledError, UnfitError: see the class.
        """
        stop_if(self._canceled)
        data, self._head = self._head[:size], self._head[size:]
        if len(data) < size:
            data += self._stream.read(size - len(data))
        self._digest.update(data)
        self.position += len(data)
        if self._limit is not None and self.position > self._limit:
            raise UnfitError(f"the firmware file begins with {self._limit} bytes that tell nothing")
        return data

    @property
    def percent(self) -> int:
        """How much of the file was read."""
        return min(100, self.position * 100 // max(self.size, 1))

    def content(self) -> Readable:
        """What the file holds; to be called once, before anything was read.

        Raises:
            InstallError: nothing here can unpack it.
        """
        if self._head.startswith(_GZIP):
            return _Guarded(_Chain(self, _Gzip, padding=1))
        if self._head.startswith(_XZ):
            return _Guarded(_Chain(self, _xz, padding=4))
        if self._head.startswith((_ZSTD, *_SKIPPABLE)):
            return _Guarded(_zstd(self))
        return self

    def require(self, sha256: str) -> None:
        """Read to the end, and hold the file to its digest.

        Raises:
            UnfitError: it is not what was downloaded.
        """
        while self.read():
            pass
        if self._digest.hexdigest() != sha256:
            raise UnfitError("the firmware file has changed since it was downloaded: its SHA-256 is another")


def stop_if(canceled: Event) -> None:
    """End the work when that was asked for.

    Raises:
        CanceledError: it was.
    """
    if canceled.is_set():
        raise CanceledError("the installation was canceled")


class _Guarded:
    """Turns what the unpackers say of a file into our word for it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        with _explained():
            return self._stream.read(size)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise UnfitError(f"the firmware file cannot be unpacked: {str(error).splitlines()[0]}") from error


class _Unpacker(Protocol):
    """One stream of a packed file, in the words of `lzma`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """One stream of a gzip file, in the words of `lzma`."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)  # 31: with gzip's head and check sum

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


class _Chain:
    """Stream behind stream, with zeros between and behind them, as gzip and xz allow it.

    The library's own files for it bound neither memory (xz) nor the time for a long head (gzip).
    """

    def __init__(self, file: FirmwareFile, new: Callable[[], _Unpacker], padding: int) -> None:
        self._file, self._new, self._padding = file, new, padding
        self._stream = new()

    def read(self, size: int, /) -> bytes:
        while True:
            if self._stream.eof:
                given = self._next_stream()
                if not given:
                    return b""
                self._stream = self._new()
            elif self._stream.needs_input:
                if not (given := self._file.read()):
                    raise EOFError("it is cut off")
            else:
                given = b""
            if found := self._stream.decompress(given, size):
                return found

    def _next_stream(self) -> bytes:
        data, zeros = self._stream.unused_data, 0
        while True:
            rest = data.lstrip(b"\0")
            zeros += len(data) - len(rest)
            if rest or not (data := self._file.read()):
                break
        if zeros % self._padding:
            raise EOFError(f"the zeros in it are no multiple of {self._padding} bytes")
        return rest


def _xz() -> _Unpacker:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)


def _zstd(file: FirmwareFile) -> Readable:
    try:
        import zstandard  # only here: an idle station, or one without such archives, does not need it
    except ImportError as error:
        raise InstallError("the firmware is packed with zstd, and the package zstandard is not installed") from error

    class Zstd:
        def __init__(self) -> None:
            unpacker = zstandard.ZstdDecompressor(max_window_size=_MEMORY)
            self._stream = unpacker.stream_reader(file, read_size=CHUNK, read_across_frames=True)  # type: ignore[arg-type]

        def read(self, size: int, /) -> bytes:
            try:
                return self._stream.read(size)
            except zstandard.ZstdError as error:
                raise EOFError(str(error)) from error

    return Zstd()
