"""A tar in one gzip stream, written in order, from which the last member can be taken back out.

    with TarGz(path, limit) as archive:
        archive.add(member("a.log", 0), (5, [b"hello"]))
        archive.finish()

Between two members the deflate stream stands at a byte boundary with everything before it written. Going back there
means to cut the file and to go on with a fresh compressor, as parallel compressors do. The same members give the same
bytes: no name and no time in the gzip header, no owner in the tar's.

Importing this module loads the compressor: isal at level 2, many times as fast as zlib, in C and without the lock.
"""

import errno
import os
import struct
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Self

from isal import isal_zlib

BLOCK = 256 * 1024
"""Bytes gathered before the file is written."""
KEEP_FREE = 8 * 1024 * 1024
"""Bytes of the disk that are left to others: the service's own store must go on writing."""

_LEVEL = 2
_SYNC = 4 * 1024 * 1024
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, time 0, system unknown


class TarGz:
    """The archive on its way to disk.

    Args:
        path: the file, made anew and for its owner only.
        limit: bytes of it at most, members added without limit not counted.

    Raises:
        OSError: everywhere, when the disk is full or fails.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._limit = limit
        self._folder = path.parent
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=BLOCK)
        self._length = self._unsynced = 0  # bytes of the file
        self._crc = self._size = 0  # of what is compressed in it
        self._compressor = _compressor()

    def __enter__(self) -> Self:
        try:
            keep_room(self._folder)
            self._store(_HEADER)
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what matters was synced in finish()
            self._file.close()

    def add(self, info: tarfile.TarInfo, content: tuple[int, Iterable[bytes]], *, limited: bool = True) -> bool:
        """Add a member.

        Args:
            info: its header, the size left open.
            content: its size, and exactly as many bytes in blocks.
            limited: whether the limit holds for it.

        Returns:
            False if it would break the limit; then the archive is as it was before, and `content` partly read.
        """
        info.size, blocks = content
        before = self._length, self._crc, self._size
        header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        for data in chain([header], blocks, [bytes(-info.size % tarfile.BLOCKSIZE)]):
            self._compress(data)
            if limited and self._length > self._limit:
                break
        self._store(self._compressor.flush(isal_zlib.Z_SYNC_FLUSH))
        if limited and self._length > self._limit:
            self._length, self._crc, self._size = before
            self._file.seek(self._length)
            self._file.truncate()
            self._compressor = _compressor()
            return False
        return True

    def finish(self) -> int:
        """End the stream and sync it; the file's length."""
        end = 2 * tarfile.BLOCKSIZE
        self._compress(bytes(end + -(self._size + end) % tarfile.RECORDSIZE))
        self._store(self._compressor.flush() + struct.pack("<LL", self._crc, self._size & 0xFFFFFFFF))
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._length

    def _compress(self, data: bytes) -> None:
        self._crc = isal_zlib.crc32(data, self._crc)
        self._size += len(data)
        self._store(self._compressor.compress(data))

    def _store(self, data: bytes) -> None:
        self._file.write(data)
        self._length += len(data)
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


def member(name: str, modified_s: int) -> tarfile.TarInfo:
    """The header of a member: a name (bytes that are not UTF-8 as `os.fsdecode` gives them) and seconds since 1970."""
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = 0o644, modified_s
    return info


def _compressor() -> "isal_zlib.Compress":
    return isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
