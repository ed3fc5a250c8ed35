"""The `slots` installer: two folders, `a/` and `b/`, and a symbolic link `current` to the one that runs.

A firmware goes into the slot that is not current: an archive is unpacked into it, any other file is stored as `image`.
Then `current` is swapped in one rename. What makes the new slot run (a reboot, a restart of EVerest, nothing) is
configured. At first start the folders are made, and `current` points to `a`. A slot may be a mount point or a link to
one. docs/slots.md says it for whoever makes firmware.

Why a power cut never leaves the station without firmware:

- The slot that `current` points to is never written to, not even after a crash: a target that became current is only
  compared with the artifact.
- The target is emptied, its mark first. An image is written and synced under the name `.image.part`, and only with the
  right digest, and on the disk, does it become `image`. An archive is unpacked, held to its manifest and synced; only
  then comes its mark, `.unpacked`, which holds the artifact's digest. So a slot has neither, or is whole.
- `current` is swapped only to a slot that is whole, and that rename is on the disk before anyone is told.
- Whatever is half done when the power goes is begun anew by `resume`; what is already there is found there.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from everest_system.io.installers.port import Activation, Facts, InstallError, OnProgress, UnfitError
from everest_system.io.installers.requirements import Requirements
from everest_system.io.installers.unpacking import Unpacking, holds_archive, manifest_of, write_all
from everest_system.io.removal import remove_file

_OTHER: Final = {"a": "b", "b": "a"}
_IMAGE: Final = "image"
_PART: Final = ".image.part"
_UNPACKED: Final = ".unpacked"
_CHUNK: Final = 1 << 20
_SYNC_EVERY: Final = 4 << 20  # a longer backlog would hold up the store's own, small writes
_SPARE: Final = 1 << 20  # of the disk's room, left for the store
_BLOCK: Final = 512  # the unit of st_blocks, whatever the disk's own is
_NOT_OURS: Final = "lost+found"  # a slot that is a file system of its own has one
_RESERVED: Final = frozenset({_IMAGE, _PART, _UNPACKED, f".{_UNPACKED}.new", _NOT_OURS})
_ANY: Final = Requirements()

_log = structlog.get_logger(__name__)


class SlotsInstaller:
    """Installs into `root`, making it if it is not there.

    Args:
        root: the folder of the slots.
        activation: what makes active what `current` points to.
        requirements: what firmware has to be.

    Raises:
        InstallError: the folders cannot be made.
    """

    verifies_signatures = False

    def __init__(self, root: Path, activation: Activation, requirements: Requirements = _ANY) -> None:
        self._root, self._activation, self._requirements = root, activation, requirements
        self._link = root / "current"
        with self._explained("the slots cannot be made"):
            for slot in _OTHER:
                (root / slot).mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(self._link):
                sync_folder(root.parent)
                self._point_to("a")

    def check(self, facts: Facts) -> str:
        """Return the slot that is not current.

        Raises:
            UnfitError: the file is empty, its manifest is broken or asks for another station, or it is older than what
                is active and must not be. The rest of an archive is held to its rules as it is installed.
            InstallError: the file is gone, or `current` points to neither slot.
        """
        with self._explained("the firmware file cannot be looked at"):
            if facts.artifact.stat().st_size == 0:
                raise UnfitError("the firmware file is empty")
            manifest = manifest_of(facts.artifact) if holds_archive(facts.artifact) else None
        current = self._current()
        self._requirements.judge(manifest, self._version(current))
        return _OTHER[current]

    def install(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """Copy or unpack the artifact into the target.

        Raises:
            UnfitError: the artifact is not what was downloaded, or an archive that is not safe or not what its manifest
                says; the target is left empty.
            InstallError: there is no room (if not even for the artifact itself, the target is left as it was), the disk
                fails, or the target is current.
            CanceledError: `canceled` was set; the target is left without an image or a mark.
        """
        slot = self._slot(target)
        if self._current() == target:
            raise InstallError(f"slot {target} is the active one, nothing is written to it")
        with self._explained(f"slot {target} cannot be written"):
            self._require_room(facts.artifact.stat().st_size, slot)
            archive = holds_archive(facts.artifact)
            _empty(slot, canceled)
            if archive:
                self._unpack(facts, slot, canceled, on_progress)
                return
            part = slot / _PART
            try:
                self._copy(facts, part, canceled, on_progress)
                part.rename(slot / _IMAGE)
            except BaseException:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise
            sync_folder(slot)

    def resume(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """Keep what is in the target if it is the artifact, else install it anew.

        Raises:
            UnfitError, InstallError, CanceledError: as for `install`.
        """
        slot = self._slot(target)
        with self._explained(f"slot {target} cannot be read"):
            if (slot / _IMAGE).is_file():
                digest = hashlib.sha256()
                for chunk in _chunks(slot / _IMAGE, canceled):
                    digest.update(chunk)
                if digest.hexdigest() == facts.sha256:
                    sync_folder(slot)  # the crash may have come between the rename and this
                    on_progress(100)
                    return
            elif _mark(slot) == facts.sha256:
                sync_folder(slot)  # likewise
                on_progress(100)
                return
        self.install(facts, target, canceled=canceled, on_progress=on_progress)

    def activate(self, facts: Facts, target: str) -> Activation:  # noqa: ARG002 - the port's signature
        """Point `current` to the target.

        Raises:
            InstallError: the target has no whole firmware, or the link cannot be swapped.
        """
        slot = self._slot(target)
        if not (slot / _IMAGE).is_file() and not (slot / _UNPACKED).is_file():
            raise InstallError(f"slot {target} has no image to activate, and no unpacked archive")
        self._point_to(target)
        return self._activation

    def confirm(self, target: str) -> bool:
        """Say whether `current` still points to the target: whatever boots the slots may have turned it back.

        Raises:
            InstallError: `current` points to neither slot.
        """
        return self._current() == target

    def roll_back(self, target: str) -> Activation:
        """Point `current` to the other slot; what runs is not known here, so the answer is the same at each call.

        Raises:
            InstallError: the link cannot be swapped.
        """
        self._slot(target)
        self._point_to(_OTHER[target])
        return self._activation

    def _slot(self, target: str) -> Path:
        if target not in _OTHER:
            raise InstallError(f"there is no slot {target!r}")
        return self._root / target

    def _current(self) -> str:
        with self._explained("the active slot is not known"):
            path = self._link.readlink()
        if path.name in _OTHER and path.parent in {Path(), self._root.absolute()}:
            return path.name
        raise InstallError(f"{self._link} points to {path}, which is none of the slots")

    def _point_to(self, target: str) -> None:
        new = self._root / ".current.new"
        with self._explained("the active slot cannot be changed"):
            new.unlink(missing_ok=True)
            new.symlink_to(target)
            new.replace(self._link)
            sync_folder(self._root)

    def _require_room(self, needed: int, slot: Path) -> None:
        disk = os.statvfs(slot)
        free = disk.f_bavail * disk.f_frsize - _SPARE
        if needed > free:  # only then count what emptying the slot will give
            free += sum(path.lstat().st_blocks * _BLOCK for path in _tree(slot))
        if needed > free:
            raise InstallError(f"slot {slot.name} has too little room: {needed} bytes needed, {max(free, 0)} free")

    def _copy(self, facts: Facts, part: Path, canceled: Event, on_progress: OnProgress) -> None:
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

    def _unpack(self, facts: Facts, slot: Path, canceled: Event, on_progress: OnProgress) -> None:
        """Unpack, sync, look whether that was what had been downloaded, and mark the slot as whole."""
        try:
            with FirmwareFile(facts.artifact, canceled) as file:
                archive = Archive(file, self._requirements.max_unpacked_bytes, _RESERVED)
                Unpacking(slot, _SPARE, on_progress, canceled).run(file, archive)
                file.require(facts.sha256)
        except (WorldError, OSError):  # not when canceled: that is a stop, which must not take long, and begins anew
            with suppress(OSError):
                _empty(slot, canceled)
            raise
        write_durably(slot / _UNPACKED, facts.sha256.encode())
        on_progress(100)

    def _version(self, slot: str) -> FirmwareVersion | None:
        """The version that the manifest in a slot says; a manifest that is broken must not keep updates out."""
        try:
            manifest = Manifest.of_slot(self._root / slot)
        except (UnfitError, OSError) as error:
            _log.warning("the active version is not known", slot=slot, reason=str(error))
            return None
        return manifest.version if manifest is not None else None

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InstallError(f"{what}: {error.filename or self._root}: {error.strerror}") from error


def _tree(slot: Path) -> list[Path]:
    """All that is in a slot, the content of a folder before the folder; links are not followed."""
    found = [path for path in slot.iterdir() if path.name != _NOT_OURS]
    for path in found:  # grows as it goes
        if path.is_dir() and not path.is_symlink():
            found.extend(path.iterdir())
    return found[::-1]


def _chunks(file: Path, canceled: Event) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            stop_if(canceled)
            yield chunk


def _mark(slot: Path) -> str:
    """The digest of the archive that the slot holds whole, "" if it holds none."""
    try:
        with (slot / _UNPACKED).open("rb") as stream:
            return stream.read(64).decode("ascii", "replace")
    except FileNotFoundError:
        return ""


def _empty(slot: Path, canceled: Event) -> None:
    """Remove all that is in a slot, from the disk too; its mark goes first, and is gone before anything else goes."""
    for whole in (slot / _UNPACKED, slot / _IMAGE):
        if os.path.lexists(whole) and not whole.is_dir():
            stop_if(canceled)
            remove_file(whole, canceled)
            sync_folder(slot)
    found = _tree(slot)
    for path in found:
        stop_if(canceled)
        path.rmdir() if path.is_dir() and not path.is_symlink() else remove_file(path, canceled)
    if found:
        sync_folder(slot)
