"""One gzip stream on its way to disk, compressed and written in a thread of its own, that can go back to a mark.

    with GzipStream(path) as stream:
        stream.write(b"hello")
        mark = stream.mark()
        stream.write(b" and so on")
        stream.back_to(mark)
        stream.finish()

While one block is compressed, which needs no lock of the interpreter, the caller reads and masks the next; few wait in
between. What is compressed, and how, hangs on the bytes alone: the same calls give the same bytes.

At a mark the deflate stream stands at a byte boundary with everything before it written. Going back there means to cut
the file and to go on with a fresh compressor, as parallel compressors do.

Importing this module loads the compressor: isal at level 2, many times as fast as zlib.
"""

import errno
import os
import struct
from contextlib import suppress
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import NamedTuple, Self

from isal import isal_zlib

KEEP_FREE = 8 * 1024 * 1024
"""Bytes of the disk that are left to others: the service's own store must go on writing."""

Block = bytes | memoryview
"""A piece of a file; nobody changes it any more."""

_LEVEL = 2
_AHEAD = 4  # blocks that wait for the compressor
_BUFFER = 256 * 1024
_SYNC = 4 * 1024 * 1024
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, time 0, system unknown


class Mark(NamedTuple):
    """A place in the stream.

    Attributes:
        length: bytes of the file before it.
        crc: of what is compressed there.
        size: bytes of that.
    """

    length: int
    crc: int
    size: int


class GzipStream:
    """The file, made anew and for its owner only.

    Args:
        path: where; a link there is not followed.

    Attributes:
        length: bytes of the file by now; what waits for the compressor is not in it.
        size: bytes that were written to the stream.

    Raises:
        OSError: everywhere, when the disk is full or fails.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=_BUFFER)
        self._folder = path.parent
        self.length = self.size = 0
        self._crc = self._unsynced = 0
        self._compressor = _compressor()
        self._error: BaseException | None = None
        self._waiting: Queue[Block | None] = Queue(_AHEAD)
        self._thread = Thread(target=self._work, name="compressor", daemon=True)

    def __enter__(self) -> Self:
        try:
            keep_room(self._folder)
            self._store(_HEADER)
        except OSError:
            self._file.close()
            raise
        self._thread.start()
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if failed and self._error is None:
            self._error = InterruptedError()  # what waits is for nobody
        self._waiting.put(None)
        self._thread.join()
        with suppress(OSError):  # what matters was synced in finish()
            self._file.close()

    def write(self, data: Block) -> None:
        """Hand on the next bytes; waits only while enough others wait already."""
        self._check()
        self._waiting.put(data)
        self.size += len(data)

    def mark(self) -> Mark:
        """Have everything compressed and written up to here."""
        self._settle()
        self._store(self._compressor.flush(isal_zlib.Z_SYNC_FLUSH))
        return Mark(self.length, self._crc, self.size)

    def back_to(self, mark: Mark) -> None:
        """Take back what was written behind a mark."""
        self._settle()
        self.length, self._crc, self.size = mark
        self._file.seek(self.length)
        self._file.truncate()
        self._compressor = _compressor()

    def finish(self) -> int:
        """End the stream and sync it; the file's length."""
        self._settle()
        self._store(self._compressor.flush() + struct.pack("<LL", self._crc, self.size & 0xFFFFFFFF))
        self._file.flush()
        os.fsync(self._file.fileno())
        return self.length

    def _settle(self) -> None:
        """Wait until nothing waits: then the thread rests, and the caller may do its work."""
        self._waiting.join()
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (data := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    self._crc = isal_zlib.crc32(data, self._crc)
                    self._store(self._compressor.compress(data))
                except Exception as error:  # noqa: BLE001  # raised where the next block comes from
                    self._error = error
            self._waiting.task_done()

    def _store(self, data: bytes) -> None:
        self._file.write(data)
        self.length += len(data)
        self._unsynced += len(data)
        if self._unsynced >= _SYNC:  # little at a time: a long sync could not be canceled, and slows others down
            self._unsynced = 0
            self._file.flush()
            os.fdatasync(self._file.fileno())
            keep_room(self._folder)


def keep_room(place: Path | int) -> None:
    """Look at what is free on the disk of a folder or of an open file.

    Raises:
        OSError: less than is left to others.
    """
    disk = os.statvfs(place)
    if disk.f_bavail * disk.f_frsize < KEEP_FREE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _compressor() -> "isal_zlib.Compress":
    return isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
