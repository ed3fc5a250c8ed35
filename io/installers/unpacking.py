"""Unpacking an archive into an empty folder, held to its manifest, and onto the disk.

Everything belongs to whoever runs this; modes and times of files are the archive's. With a manifest each file is hashed
as it is written, and an unlisted one is refused before it is; without one only the archive's own rules hold. On return
every file, and every folder with its names, is on the disk. If it fails, what was unpacked so far is left behind.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Final

from everest_system.io.durable import sync_folder
from everest_system.io.installers.archive import Archive, Kind, Member, is_archive, shown
from everest_system.io.installers.firmware_file import FirmwareFile, stop_if
from everest_system.io.installers.manifest import MAX_BYTES, NAME, Manifest
from everest_system.io.installers.port import InstallError, OnProgress, UnfitError

_SYNC_EVERY: Final = 4 << 20  # a longer backlog would hold up the store's own, small writes
_LOOK_BYTES: Final = 2 * MAX_BYTES
_ANY_SIZE: Final = 1 << 63  # a look reads no further than the first member
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def holds_archive(path: Path) -> bool:
    """Say whether a firmware file is an archive; else it is an image.

    Raises:
        UnfitError: it is packed, and what is packed in it cannot be read.
        InstallError: nothing here can unpack it.
        OSError: it cannot be read.
    """
    with FirmwareFile(path, Event(), _LOOK_BYTES) as file:
        return is_archive(file)


def manifest_of(path: Path) -> Manifest | None:
    """Read the manifest of the archive in a firmware file, None without one. A large archive takes no longer.

    Raises:
        UnfitError, InstallError, OSError: as for `holds_archive`; or it does not begin like an archive that is safe.
    """
    with FirmwareFile(path, Event(), _LOOK_BYTES) as file:
        archive = Archive(file, _ANY_SIZE)
        first = next(iter(archive), None)
        content = None if first is None else _manifest_content(archive, first)
    return None if content is None else Manifest.parse(content)


class Unpacking:
    """One archive on its way into one folder.

    Args:
        folder: where it goes, empty.
        spare_bytes: what is left free of the disk.
        on_progress: is told how much of the firmware file was read.
        canceled: ends it.
    """

    def __init__(self, folder: Path, spare_bytes: int, on_progress: OnProgress, canceled: Event) -> None:
        self._folder, self._spare_bytes, self._canceled = folder, spare_bytes, canceled
        self._on_progress, self._told = on_progress, -1
        self._manifest: Manifest | None = None
        self._digests: dict[str, str] = {}
        self._folders: dict[str, int] = {}
        self._unsynced = 0

    def run(self, file: FirmwareFile, archive: Archive) -> None:
        """Unpack, and sync.

        Args:
            file: what the archive is read from.
            archive: nothing read of it yet.

        Raises:
            UnfitError: the archive breaks a rule, or is not what its manifest says.
            InstallError: there is too little room.
            CanceledError: it was canceled.
            OSError: the disk fails.
        """
        for index, member in enumerate(archive):
            stop_if(self._canceled)
            if index == 0 and (content := _manifest_content(archive, member)) is not None:
                self._manifest = Manifest.parse(content)
                self._write(member, [content])
            else:
                self._make(archive, member)
            if (percent := file.percent) != self._told:
                self._on_progress(percent)
                self._told = percent
        self._require_all()
        for path in sorted(self._folders, reverse=True):  # what is in a folder before the folder
            stop_if(self._canceled)
            self._sync_folder(path)
        sync_folder(self._folder)

    def _make(self, archive: Archive, member: Member) -> None:
        path = self._folder / member.path
        for above in reversed(PurePosixPath(member.path).parents[:-1]):
            self._make_folder(str(above), 0o755)
        match member.kind:
            case Kind.FOLDER:
                self._make_folder(member.path, member.mode)
                self._folders[member.path] = member.mode
            case Kind.SYMBOLIC_LINK:
                path.symlink_to(member.target)
            case Kind.HARD_LINK:
                self._require_listed(member)
                if member.target == NAME:
                    raise UnfitError(f"the archive's member {member.path!r} is a hard link to its manifest")
                os.link(self._folder / member.target, path, follow_symlinks=False)
                self._hold(member, self._digests[member.target])
            case Kind.FILE:
                self._require_listed(member)
                self._require_room(member)
                self._hold(member, self._write(member, archive.content()))

    def _make_folder(self, path: str, mode: int) -> None:
        if path not in self._folders:
            (self._folder / path).mkdir(0o700)
            self._folders[path] = mode

    def _sync_folder(self, path: str) -> None:
        (self._folder / path).chmod(self._folders[path])
        sync_folder(self._folder / path)

    def _write(self, member: Member, content: Iterable[bytes]) -> str:
        """Write a file and sync it.

        Returns:
            Its SHA-256; without a manifest, which nobody would compare it with, "".
        """
        digest = hashlib.sha256() if self._manifest is not None else None
        descriptor = os.open(self._folder / member.path, _FLAGS, 0o600)
        try:
            for chunk in content:
                stop_if(self._canceled)
                if digest is not None:
                    digest.update(chunk)
                write_all(descriptor, chunk)
                self._unsynced += len(chunk)
                if self._unsynced >= _SYNC_EVERY:
                    os.fdatasync(descriptor)
                    self._unsynced = 0
            os.fchmod(descriptor, member.mode)
            os.utime(descriptor, (member.modified, member.modified))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return digest.hexdigest() if digest is not None else ""

    def _require_listed(self, member: Member) -> None:
        if member.path == NAME:
            raise UnfitError(f"the archive's member {NAME!r} is not its first")
        if self._manifest is not None and member.path not in self._manifest.files:
            raise UnfitError(f"the archive's member {member.path!r} is not in its manifest")

    def _require_room(self, member: Member) -> None:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize - self._spare_bytes
        if member.size > free:
            raise InstallError(f"too little room for {member.path!r}: {member.size} bytes needed, {max(free, 0)} free")

    def _hold(self, member: Member, digest: str) -> None:
        if self._manifest is not None and digest != self._manifest.files[member.path]:
            raise UnfitError(
                f"the archive's member {member.path!r} is not what its manifest says: its SHA-256 is another"
            )
        self._digests[member.path] = digest

    def _require_all(self) -> None:
        if not self._digests:
            raise UnfitError("the archive has no file in it")
        if self._manifest is not None:
            for path in self._manifest.files:
                if path not in self._digests:
                    raise UnfitError(f"the archive has no file {shown(path)}, which its manifest lists")


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it.

    Raises:
        OSError: the disk fails.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _manifest_content(archive: Archive, first: Member) -> bytes | None:
    """The manifest's bytes, None if the archive's first member is not it."""
    if first.path != NAME:
        return None
    if first.kind is not Kind.FILE or first.size > MAX_BYTES:
        raise UnfitError(f"the archive's member {NAME!r} is no file of at most {MAX_BYTES} bytes")
    return b"".join(archive.content())
