"""One slot: a folder that holds a firmware whole and says so, or holds none.

What says so is its mark (`slot_mark`); an archive's has the artifact's digest in it.

- A slot is emptied mark first, and that is on the disk before anything else goes.
- An image is written and synced under the name `.image.part`; only with the right digest does it become `image`.
- An archive is unpacked, held to its manifest and synced; only then, and with the right digest, its mark is made.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Final

import structlog

from everest_system.fsm.errors import WorldError
from everest_system.io.durable import sync_folder, write_durably
from everest_system.io.installers.archive import Archive
from everest_system.io.installers.firmware_file import FirmwareFile, stop_if
from everest_system.io.installers.firmware_version import FirmwareVersion
from everest_system.io.installers.manifest import Manifest
from everest_system.io.installers.port import Facts, InstallError, OnProgress, UnfitError
from everest_system.io.installers.slot_mark import IMAGE, UNPACKED
from everest_system.io.installers.unpacking import Unpacking, holds_archive, write_all
from everest_system.io.removal import remove_file

_PART: Final = ".image.part"
_CHUNK: Final = 1 << 20
_SYNC_EVERY: Final = 4 << 20  # a longer backlog would hold up the store's own, small writes
_SPARE: Final = 1 << 20  # of the disk's room, left for the store
_BLOCK: Final = 512  # the unit of st_blocks, whatever the disk's own is
_NOT_OURS: Final = "lost+found"  # a slot that is a file system of its own has one
_RESERVED: Final = frozenset({IMAGE, _PART, UNPACKED, f".{UNPACKED}.new", _NOT_OURS})

_log = structlog.get_logger(__name__)


class Slot:
    """The slot in a folder; every call raises `OSError` when the disk fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._image, self._mark = folder / IMAGE, folder / UNPACKED

    @property
    def version(self) -> FirmwareVersion | None:
        """The version of the firmware in it, None if it says none. A broken manifest must not keep updates out."""
        try:
            manifest = Manifest.of_slot(self._folder)
        except (UnfitError, OSError) as error:
            _log.warning("the active version is not known", slot=self._folder.name, reason=str(error))
            return None
        return manifest.version if manifest is not None else None

    def holds(self, sha256: str, canceled: Event) -> bool:
        """Say whether it holds this artifact, and if so make sure that a power cut does not change that.

        Raises:
            CanceledError: `canceled` was set.
        """
        if self._image.is_file():
            digest = hashlib.sha256()
            for chunk in _chunks(self._image, canceled):
                digest.update(chunk)
            found = digest.hexdigest()
        else:
            found = self._marked()
        if found == sha256:
            sync_folder(self._folder)  # a crash may have come between the mark's rename and this
        return found == sha256

    def fill(self, facts: Facts, max_unpacked_bytes: int, *, canceled: Event, on_progress: OnProgress) -> None:
        """Replace what it holds by the artifact.

        Raises:
            UnfitError: the artifact is not what was downloaded, or is an archive that is not safe or not what its
                manifest says.
            InstallError: there is too little room.
            CanceledError: `canceled` was set; the rest is removed at the next try.
        """
        self._require_room(facts.artifact.stat().st_size)
        archive = holds_archive(facts.artifact)
        self._empty(canceled)
        if archive:
            self._unpack(facts, max_unpacked_bytes, canceled, on_progress)
        else:
            self._copy(facts, canceled, on_progress)

    def _require_room(self, needed: int) -> None:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize - _SPARE
        if needed > free:  # only then count what emptying the slot will give
            free += sum(path.lstat().st_blocks * _BLOCK for path in self._tree())
        if needed > free:
            raise InstallError(
                f"slot {self._folder.name} has too little room: {needed} bytes needed, {max(free, 0)} free"
            )

    def _empty(self, canceled: Event) -> None:
        for mark in (self._mark, self._image):
            if os.path.lexists(mark) and not mark.is_dir():
                stop_if(canceled)
                remove_file(mark, canceled)
                sync_folder(self._folder)
        found = self._tree()
        for path in found:
            stop_if(canceled)
            path.rmdir() if path.is_dir() and not path.is_symlink() else remove_file(path, canceled)
        if found:
            sync_folder(self._folder)

    def _copy(self, facts: Facts, canceled: Event, on_progress: OnProgress) -> None:
        part = self._folder / _PART
        try:
            self._write(facts, part, canceled, on_progress)
            part.rename(self._image)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        sync_folder(self._folder)

    def _write(self, facts: Facts, part: Path, canceled: Event, on_progress: OnProgress) -> None:
        """Copy, sync, and look whether that was what had been downloaded."""
        copied, told = 0, -1
        with FirmwareFile(facts.artifact, canceled) as file:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                while chunk := file.read(_CHUNK):
                    write_all(descriptor, chunk)
                    copied += len(chunk)
                    if copied % _SYNC_EVERY == 0:
                        os.fdatasync(descriptor)
                    if file.percent != told:
                        on_progress(told := file.percent)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            file.require(facts.sha256)

    def _unpack(self, facts: Facts, max_bytes: int, canceled: Event, on_progress: OnProgress) -> None:
        """Unpack, sync, look whether that was what had been downloaded, and set the mark."""
        try:
            with FirmwareFile(facts.artifact, canceled) as file:
                archive = Archive(file, max_bytes, _RESERVED)
                Unpacking(self._folder, _SPARE, on_progress, canceled).run(file, archive)
                file.require(facts.sha256)
        except (WorldError, OSError):  # not when canceled: that is a stop, which must not take long, and begins anew
            with suppress(OSError):
                self._empty(canceled)
            raise
        write_durably(self._mark, facts.sha256.encode())
        on_progress(100)

    def _marked(self) -> str:
        """The digest of the archive that it holds whole, "" if it holds none."""
        try:
            with self._mark.open("rb") as stream:
                return stream.read(64).decode("ascii", "replace")
        except FileNotFoundError:
            return ""

    def _tree(self) -> list[Path]:
        """All that is in it, the content of a folder before the folder; links are not followed."""
        found = [path for path in self._folder.iterdir() if path.name != _NOT_OURS]
        for path in found:  # grows as it goes
            if path.is_dir() and not path.is_symlink():
                found.extend(path.iterdir())
        return found[::-1]


def _chunks(file: Path, canceled: Event) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            stop_if(canceled)
            yield chunk
