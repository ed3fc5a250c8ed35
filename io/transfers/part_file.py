"""The file that a download grows in: hashed as it is written, synced every 4 MiB, continued after a crash.

A thread of its own hashes a block while the next one arrives: both take their time, and neither waits for the other.

What has been synced is safe; what came later may be lost with the power, so a part is always cut back to the length
that was recorded after a sync. Free space is looked at before and at every sync, with a reserve left for others.
"""

import hashlib
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from everest_system.fsm.artifact import Artifact
from everest_system.fsm.errors import CanceledError, WorldError
from everest_system.io.durable import sync_folder

SYNC_BYTES: Final = 4 * 1024 * 1024
_BLOCK: Final = 512 * 1024


class DiskError(WorldError):
    """The part file cannot be read or written, or there is no room for it."""


class PartFile:
    """A part file, open for writing; a context manager.

    Attributes:
        length: bytes received, on disk or on their way there.
        synced: bytes known to be safe on disk.

    Args:
        path: the file; its folder exists.
        reserve_bytes: space to leave free on the disk.

    Raises:
        DiskError: from every method, when the disk says no.
    """

    def __init__(self, path: Path, reserve_bytes: int) -> None:
        self.length = self.synced = 0
        self._path, self._reserve = path, reserve_bytes
        self._pending = bytearray()
        self._hash = hashlib.sha256()
        self._hasher = ThreadPoolExecutor(1, "hash")
        self._hashing: Future[None] | None = None
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(path, flags, 0o600)
            try:
                sync_folder(self._path.parent)
            except OSError:
                os.close(self._fd)
                raise
        except OSError as error:
            raise self._error(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._hasher.shutdown()
        os.close(self._fd)

    def continue_at(self, length: int, canceled: threading.Event) -> bool:
        """Cut the file to `length` bytes and hash them from disk; False, and an empty file, if it is shorter.

        Raises:
            CanceledError: the event was set on the way.
        """
        try:
            if os.fstat(self._fd).st_size < length:
                self.restart()
                return False
            os.ftruncate(self._fd, length)
            self.synced = length
            while self.length < length:
                if canceled.is_set():
                    raise CanceledError
                # The file is ours alone: it ends where it was cut.
                block = os.pread(self._fd, _BLOCK, self.length)
                self._hash.update(block)
                self.length += len(block)
        except OSError as error:
            raise self._error(error) from None
        return True

    def restart(self) -> None:
        """Throw away what there is."""
        try:
            os.ftruncate(self._fd, 0)
        except OSError as error:
            raise self._error(error) from None
        self.length = self.synced = 0
        self._pending.clear()
        self._hashed()
        self._hash = hashlib.sha256()

    def require(self, more: int) -> None:
        """Make sure that `more` bytes fit on the disk, with the reserve left over."""
        try:
            disk = os.fstatvfs(self._fd)
        except OSError as error:
            raise self._error(error) from None
        free = disk.f_bavail * disk.f_frsize
        if more + self._reserve > free:
            need = (more + self._reserve) >> 20
            raise DiskError(f"not enough room: {need} MiB are needed in {self._path.parent}, {free >> 20} MiB are free")

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._pending += chunk
        self.length += len(chunk)
        if len(self._pending) >= _BLOCK:
            self._flush()
            if self.length - self.synced >= SYNC_BYTES:
                self.sync()
                self.require(0)

    def sync(self) -> None:
        """Make everything received safe on disk."""
        self._flush()
        if self.length > self.synced:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                raise self._error(error) from None
            self.synced = self.length

    def finish(self) -> Artifact:
        """Make the whole file safe, the folder's entry too, and return what it is."""
        self._flush()
        try:
            os.fsync(self._fd)
            sync_folder(self._path.parent)
        except OSError as error:
            raise self._error(error) from None
        self.synced = self.length
        self._hashed()
        return Artifact(length=self.length, sha256=self._hash.hexdigest())

    def _flush(self) -> None:
        rest, at = memoryview(self._pending), self.length - len(self._pending)
        try:
            while rest:
                # At its place, so that a flush that failed half-way can be done again.
                written = os.pwrite(self._fd, rest, at)
                rest, at = rest[written:], at + written
        except OSError as error:
            raise self._error(error) from None
        self._hashed()  # one block at a time: memory is bounded, and so is their order
        self._hashing = self._hasher.submit(self._hash.update, self._pending)
        self._pending = bytearray()

    def _hashed(self) -> None:
        """Wait until all that was given to the hasher is in the hash."""
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    def _error(self, error: OSError) -> DiskError:
        return DiskError(f"cannot keep {self._path}: {error.strerror or error}")
