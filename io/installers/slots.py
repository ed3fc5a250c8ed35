"""The `slots` installer: two folders, `a/` and `b/`, and a symbolic link `current` to the one that runs.

A firmware goes into the slot that is not current: an archive is unpacked into it, any other file is stored as `image`.
Then `current` is swapped in one rename. What makes the new slot run (a reboot, a restart of EVerest, nothing) is
configured. At first start the folders are made, and `current` points to `a`; one that was lost later nobody guesses. A
slot may be a mount point or a link to one. docs/slots.md says it for whoever makes firmware.

Why a power cut never leaves the station without firmware:

- The slot that `current` points to is never written to, not even after a crash: a target that became current is only
  compared with the artifact.
- The target has a mark or is not whole (`slot.py`): it is emptied, mark first, filled and synced, mark last.
- `current` is swapped only to a slot that is whole, and that rename is on the disk before anyone is told.
- Whatever is half done when the power goes is begun anew by `resume`; what is already there is found there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

import structlog

from everest_system.io.durable import sync_folder
from everest_system.io.installers.port import Activation, Facts, InstallError, OnProgress, UnfitError
from everest_system.io.installers.requirements import Requirements
from everest_system.io.installers.slot_mark import is_whole

if TYPE_CHECKING:
    from everest_system.io.installers.slot import Slot

_OTHER: Final = {"a": "b", "b": "a"}
_ANY: Final = Requirements()
_NEVER: Final = Event()

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
                _make(root / slot)
            if not os.path.lexists(self._link):
                self._begin_with_a()

    def check(self, facts: Facts, *, canceled: Event = _NEVER) -> str:  # noqa: ARG002 - it takes a moment
        """Return the slot that is not current.

        Raises:
            UnfitError: the file is empty, its manifest is broken or asks for another station, or it is older than what
                is active and must not be. The rest of an archive is held to its rules as it is installed.
            InstallError: the file is gone, `current` points to neither slot, or both slots are one folder.
        """
        # Here, and below: an idle station has no use for what unpacks.
        from everest_system.io.installers.unpacking import holds_archive, manifest_of

        self._require_two_folders()
        with self._explained("the firmware file cannot be looked at"):
            if facts.artifact.stat().st_size == 0:
                raise UnfitError("the firmware file is empty")
            manifest = manifest_of(facts.artifact) if holds_archive(facts.artifact) else None
        current = self._current()
        self._requirements.judge(manifest, self._slot(current).version)
        return _OTHER[current]

    def install(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """Copy or unpack the artifact into the target.

        Raises:
            UnfitError: the artifact is not what was downloaded, or an archive that is not safe or not what its manifest
                says; the target is left empty.
            InstallError: there is no room (if not even for the artifact itself, the target is left as it was), the disk
                fails, or the target is current, by its name or because both slots are one folder.
            CanceledError: `canceled` was set; the target is left without an image or a mark.
        """
        slot = self._slot(target)
        if self._current() == target:
            raise InstallError(f"slot {target} is the active one, nothing is written to it")
        self._require_two_folders()
        with self._explained(f"slot {target} cannot be written"):
            slot.fill(facts, self._requirements.max_unpacked_bytes, canceled=canceled, on_progress=on_progress)

    def resume(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """Keep what is in the target if it is the artifact, else install it anew.

        Raises:
            UnfitError, InstallError, CanceledError: as for `install`.
        """
        slot = self._slot(target)
        with self._explained(f"slot {target} cannot be read"):
            if slot.holds(facts.sha256, canceled):
                on_progress(100)
                return
        self.install(facts, target, canceled=canceled, on_progress=on_progress)

    def activate(self, facts: Facts, target: str) -> Activation:  # noqa: ARG002 - the port's signature
        """Point `current` to the target.

        Raises:
            InstallError: the target has no whole firmware, or the link cannot be swapped.
        """
        if not is_whole(self._folder(target)):
            raise InstallError(f"slot {target} has no image to activate, and no unpacked archive")
        self._point_to(target)
        return self._activation

    def confirm(self, target: str) -> bool:
        """Say whether `current` still points to the target: whatever boots the slots may have turned it back.

        Raises:
            InstallError: `current` points to neither slot.
        """
        return self._current() == target

    def mark_good(self, target: str) -> None:
        """Do nothing: nothing here counts boots."""

    def roll_back(self, target: str) -> Activation:
        """Point `current` to the other slot; what runs is not known here, so the answer is the same at each call.

        Raises:
            InstallError: the link cannot be swapped.
        """
        self._folder(target)
        self._point_to(_OTHER[target])
        return self._activation

    def _slot(self, target: str) -> "Slot":
        from everest_system.io.installers.slot import Slot

        return Slot(self._folder(target))

    def _folder(self, target: str) -> Path:
        if target not in _OTHER:
            raise InstallError(f"there is no slot {target!r}")
        return self._root / target

    def _current(self) -> str:
        with self._explained("the active slot is not known"):
            path = self._link.readlink()
        if path.name in _OTHER and path.parent in {Path(), self._root.absolute()}:
            return path.name
        raise InstallError(f"{self._link} points to {path}, which is none of the slots")

    def _begin_with_a(self) -> None:
        if is_whole(self._root / "b"):
            _log.error("the active slot is not known: make it a link to the slot that runs", missing=str(self._link))
            return
        sync_folder(self._root.parent)
        self._point_to("a")

    def _require_two_folders(self) -> None:
        a, b = (self._root / slot for slot in _OTHER)
        with self._explained("the slots cannot be looked at"):
            if a.samefile(b):
                raise InstallError(f"{a} and {b} lead to one folder, {a.resolve()}: an update would destroy what runs")

    def _point_to(self, target: str) -> None:
        new = self._root / ".current.new"
        with self._explained("the active slot cannot be changed"):
            new.unlink(missing_ok=True)
            new.symlink_to(target)
            new.replace(self._link)
            sync_folder(self._root)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InstallError(f"{what}: {error.filename or self._root}: {error.strerror}") from error


def _make(slot: Path) -> None:
    if slot.is_symlink() and not slot.exists():
        raise InstallError(f"{slot} is a link to {slot.readlink()}, which is not there: is it mounted?")
    slot.mkdir(parents=True, exist_ok=True)
