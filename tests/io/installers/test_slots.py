"""Two slots and a link, with the power going at every step."""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.inode import written
from support.machine_time import machine_time

from everest_system.fsm.errors import CanceledError
from everest_system.io.installers.port import Activation, Facts, Installer, InstallError, UnfitError
from everest_system.io.installers.slots import SlotsInstaller

NEVER = threading.Event()
MIB = 1 << 20


def facts_of(content: bytes, folder: Path, name: str = "firmware.bin") -> Facts:
    artifact = folder / name
    artifact.write_bytes(content)
    return Facts(artifact, "https://example.com/f", 1, "system_api", hashlib.sha256(content).hexdigest())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "state" / "slots"


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    return facts_of(os.urandom(9 * MIB + 7), tmp_path)


def installer(root: Path, activation: Activation = Activation.REBOOT) -> Installer:
    return SlotsInstaller(root, activation)


def quietly(percent: int) -> None:
    """Progress that nobody looks at."""


def install(subject: Installer, facts: Facts) -> str:
    target = subject.check(facts)
    subject.install(facts, target, canceled=NEVER, on_progress=quietly)
    return target


def update(subject: Installer, facts: Facts) -> str:
    target = install(subject, facts)
    subject.activate(facts, target)
    return target


def content_of(root: Path) -> dict[str, Any]:
    """All names below the root: files with their digest, links with their target."""
    return {
        str(path.relative_to(root)): str(path.readlink())
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else None
        for path in sorted(root.rglob("*"))
    }


def test_first_start(root: Path) -> None:
    """The slots are made, both empty, and `current` is `a`."""
    installer(root)
    assert content_of(root) == {"a": None, "b": None, "current": "a"}


def test_later_starts_change_nothing(root: Path, facts: Facts) -> None:
    """A start finds what is there and leaves it as it is."""
    update(installer(root), facts)
    before = content_of(root)
    installer(root)
    assert content_of(root) == before


def test_an_update(root: Path, facts: Facts) -> None:
    """The image goes whole into the slot that is not current, and `current` follows when it is activated."""
    subject = installer(root)
    assert install(subject, facts) == "b"
    assert content_of(root) == {"a": None, "b": None, "b/image": facts.sha256, "current": "a"}
    assert subject.confirm("b") is False
    assert subject.activate(facts, "b") is Activation.REBOOT
    assert content_of(root) == {"a": None, "b": None, "b/image": facts.sha256, "current": "b"}
    assert subject.confirm("b") is True


def test_updates_alternate(root: Path, tmp_path: Path) -> None:
    """Each update takes the other slot, and replaces all that was in it."""
    subject = installer(root)
    first, second, third = (facts_of(name.encode(), tmp_path, name) for name in ("first", "second", "third"))
    assert [update(subject, first), update(subject, second)] == ["b", "a"]
    (root / "b/old/tree/deep").mkdir(parents=True)
    (root / "b/old/tree/file").write_text("old")
    (root / "b/old/link").symlink_to("../../a")
    (root / "b/lost+found").mkdir()
    assert update(subject, third) == "b"
    assert content_of(root) == {
        "a": None,
        "a/image": second.sha256,
        "b": None,
        "b/image": third.sha256,
        "b/lost+found": None,
        "current": "b",
    }


@pytest.mark.parametrize("activation", Activation)
def test_activation_is_as_configured(activation: Activation, root: Path, facts: Facts) -> None:
    """Activating and rolling back both say what was configured, however often they are asked."""
    subject = installer(root, activation)
    target = install(subject, facts)
    assert [subject.activate(facts, target) for _ in range(2)] == [activation] * 2
    assert subject.confirm(target) is True
    assert [subject.roll_back(target) for _ in range(2)] == [activation] * 2
    assert subject.confirm(target) is False
    assert content_of(root) == {"a": None, "b": None, "b/image": facts.sha256, "current": "a"}


def test_progress(root: Path, facts: Facts) -> None:
    """Progress rises to 100, each figure once."""
    percents: list[int] = []
    installer(root).install(facts, "b", canceled=NEVER, on_progress=percents.append)
    assert percents == sorted(set(percents))
    assert len(percents) == 10
    assert percents[-1] == 100


def test_signatures_are_not_its_affair(root: Path) -> None:
    """It verifies none, so requests need one."""
    assert installer(root).verifies_signatures is False


def test_an_empty_file_is_unfit(root: Path, tmp_path: Path) -> None:
    """A file without a byte is found out before anything is installed."""
    with pytest.raises(UnfitError, match="empty"):
        installer(root).check(facts_of(b"", tmp_path))


def test_a_changed_file_is_unfit(root: Path, tmp_path: Path, facts: Facts) -> None:
    """A file that is not what was downloaded does not become an image, nor can the slot be activated."""
    subject = installer(root)
    with facts.artifact.open("r+b") as stream:
        stream.seek(5 * MIB)
        stream.write(b"changed")
    with pytest.raises(UnfitError, match="SHA-256"):
        install(subject, facts)
    with pytest.raises(InstallError, match="slot b has no image"):
        subject.activate(facts, "b")
    assert content_of(root) == {"a": None, "b": None, "current": "a"}


def test_a_missing_file(root: Path, facts: Facts) -> None:
    """A file that is gone is an error of the installation that names it, and nothing is emptied for it."""
    subject = installer(root)
    (root / "b/old").write_text("old")
    facts.artifact.unlink()
    with pytest.raises(InstallError, match=r"firmware\.bin: No such file"):
        subject.check(facts)
    with pytest.raises(InstallError, match=r"firmware\.bin: No such file"):
        subject.install(facts, "b", canceled=NEVER, on_progress=quietly)
    assert (root / "b/old").exists()


def test_the_active_slot_is_never_written_to(root: Path, facts: Facts, tmp_path: Path) -> None:
    """A target that is the active slot is refused, by install and by resume, and stays as it is."""
    subject = installer(root)
    update(subject, facts)
    before = content_of(root)
    other = facts_of(b"other", tmp_path, "other")
    for call in (subject.install, subject.resume):
        with pytest.raises(InstallError, match="slot b is the active one"):
            call(other, "b", canceled=NEVER, on_progress=quietly)
    assert content_of(root) == before


@pytest.mark.parametrize("target", ["", "c", "..", "a/../b", "current"])
def test_targets_that_are_none(target: str, root: Path, facts: Facts) -> None:
    """Only the two slots are targets."""
    subject = installer(root)
    for call in (
        lambda: subject.install(facts, target, canceled=NEVER, on_progress=quietly),
        lambda: subject.resume(facts, target, canceled=NEVER, on_progress=quietly),
        lambda: subject.activate(facts, target),
        lambda: subject.roll_back(target),
    ):
        with pytest.raises(InstallError, match="there is no slot"):
            call()
    assert content_of(root) == {"a": None, "b": None, "current": "a"}


@pytest.mark.parametrize("pointing", ["c", "/a", "../a", "x/b", "."])
def test_a_link_to_elsewhere(pointing: str, root: Path, facts: Facts) -> None:
    """When `current` points to neither slot nobody guesses which one is good."""
    subject = installer(root)
    (root / "current").unlink()
    (root / "current").symlink_to(pointing)
    with pytest.raises(InstallError, match="which is none of the slots"):
        subject.check(facts)
    with pytest.raises(InstallError, match="which is none of the slots"):
        subject.install(facts, "b", canceled=NEVER, on_progress=quietly)
    assert content_of(root) == {"a": None, "b": None, "current": pointing}


def test_a_link_by_its_full_path(root: Path, facts: Facts) -> None:
    """A `current` that an image builder made with a full path is understood."""
    subject = installer(root)
    (root / "current").unlink()
    (root / "current").symlink_to(root.absolute() / "b")
    assert subject.check(facts) == "a"


def test_no_link_at_all(root: Path, facts: Facts) -> None:
    """A `current` that is no link is an error that names it."""
    subject = installer(root)
    (root / "current").unlink()
    (root / "current").mkdir()
    with pytest.raises(InstallError, match=r"the active slot is not known: .*/current: Invalid argument"):
        subject.check(facts)


def test_a_lost_link(root: Path, facts: Facts) -> None:
    """A `current` that was there and is gone is not guessed at, by no start, and everything else is left as it is."""
    update(installer(root), facts)
    (root / "current").unlink()
    before = content_of(root)
    for _ in range(2):
        with pytest.raises(InstallError, match=r"the active slot is not known: .*/current: No such file"):
            installer(root).check(facts)
    assert content_of(root) == before


@pytest.mark.parametrize(("link", "folder"), [("a", "b"), ("b", "a")])
def test_slots_in_one_folder(link: str, folder: str, root: Path, facts: Facts) -> None:
    """Where both slots lead to one folder nothing is written: it would be the firmware that runs."""
    (root / folder).mkdir(parents=True)
    (root / folder / "image").write_bytes(b"what runs")
    (root / link).symlink_to(folder)
    (root / "current").symlink_to("a")
    subject = installer(root)
    for call in (
        lambda: subject.check(facts),
        lambda: subject.install(facts, "b", canceled=NEVER, on_progress=quietly),
        lambda: subject.resume(facts, "b", canceled=NEVER, on_progress=quietly),
    ):
        with pytest.raises(InstallError, match=r"/slots/a and .*/slots/b lead to one folder"):
            call()
    assert (root / folder / "image").read_bytes() == b"what runs"


def test_a_slot_that_is_not_mounted(root: Path) -> None:
    """A slot that is a link to nothing is an error that names both."""
    root.mkdir(parents=True)
    (root / "b").symlink_to("/nowhere/b")
    with pytest.raises(InstallError, match=r"/slots/b is a link to /nowhere/b, which is not there: is it mounted\?"):
        installer(root)


def test_slots_that_cannot_be_made(tmp_path: Path) -> None:
    """A root that cannot be made is an error that names it."""
    (tmp_path / "file").touch()
    with pytest.raises(InstallError, match=r"the slots cannot be made: .*/file/slots"):
        installer(tmp_path / "file" / "slots")


def small_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    real = os.statvfs

    def statvfs(path: Any) -> os.statvfs_result:
        values = list(real(path))
        values[0], values[1], values[4] = 1, 1, free  # f_bsize, f_frsize, f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", statvfs)


def test_too_little_room(root: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for the image nothing is touched, not even the old content of the slot."""
    subject = installer(root)
    (root / "b/old").write_bytes(b"old")
    small_disk(monkeypatch, free=2 * MIB)
    before = content_of(root)
    with pytest.raises(InstallError, match=f"slot b has too little room: {9 * MIB + 7} bytes needed"):
        install(subject, facts)
    assert content_of(root) == before


def test_room_that_emptying_gives(root: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The room that the slot's old content takes counts as room."""
    subject = installer(root)
    (root / "b/folder").mkdir()
    (root / "b/folder/old").write_bytes(os.urandom(9 * MIB))
    small_disk(monkeypatch, free=2 * MIB)
    assert install(subject, facts) == "b"


def test_a_full_disk(root: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up in the middle is an error that names the slot, and leaves no part of an image."""
    subject = installer(root)

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(InstallError, match=r"slot b cannot be written: .*No space left"):
        install(subject, facts)
    assert content_of(root) == {"a": None, "b": None, "current": "a"}


def test_cancel(root: Path, facts: Facts) -> None:
    """A cancel in the middle is noticed within 200 ms and leaves no part of an image."""
    subject, canceled, at = installer(root), threading.Event(), [0.0]

    def cancel(percent: int) -> None:
        if not canceled.is_set():
            at[0] = machine_time()
        canceled.set()

    with pytest.raises(CanceledError):
        subject.install(facts, "b", canceled=canceled, on_progress=cancel)
    assert machine_time() - at[0] < 0.2
    assert content_of(root) == {"a": None, "b": None, "current": "a"}


def test_cancel_while_emptying(root: Path, facts: Facts) -> None:
    """A cancel is noticed between two files of the old content."""
    subject, canceled = installer(root), threading.Event()
    (root / "b/old").touch()
    canceled.set()
    with pytest.raises(CanceledError):
        subject.install(facts, "b", canceled=canceled, on_progress=quietly)
    assert (root / "b/old").exists()


def test_cancel_while_comparing(root: Path, facts: Facts) -> None:
    """A cancel is noticed while a resumed installation looks at what is there."""
    subject, canceled = installer(root), threading.Event()
    install(subject, facts)
    canceled.set()
    with pytest.raises(CanceledError):
        subject.resume(facts, "b", canceled=canceled, on_progress=quietly)
    assert (root / "b/image").exists()


def test_resume_keeps_what_is_there(root: Path, facts: Facts) -> None:
    """An image that is already the artifact is kept as it is, also without the artifact and in the active slot."""
    subject = installer(root)
    update(subject, facts)
    before, percents = written(root / "b/image"), list[int]()
    facts.artifact.unlink()
    subject.resume(facts, "b", canceled=NEVER, on_progress=percents.append)
    assert written(root / "b/image") == before
    assert percents == [100]


def test_resume_replaces_another_image(root: Path, facts: Facts, tmp_path: Path) -> None:
    """An image of an earlier update in the target is replaced."""
    subject = installer(root)
    install(subject, facts_of(b"earlier", tmp_path, "earlier"))
    subject.resume(facts, "b", canceled=NEVER, on_progress=quietly)
    assert content_of(root) == {"a": None, "b": None, "b/image": facts.sha256, "current": "a"}


class PowerCutError(BaseException):
    """The power went."""


class Power:
    """Lets `left` calls that change the disk happen; from then on none does, as after a power cut."""

    CALLS = ("mkdir", "rmdir", "unlink", "symlink", "rename", "replace", "open", "fsync", "fdatasync")

    def __init__(self, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self.failed = left, False
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self._guarded(getattr(os, name)))

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if self.left == 0:
                self.failed = True
                raise PowerCutError
            self.left -= 1
            return call(*args, **kwargs)

        return guarded


def test_power_cut_at_every_step(tmp_path: Path) -> None:
    """Wherever the power goes, `current` points to a whole firmware, and resuming ends in the new one."""
    old, new = facts_of(b"old" * MIB, tmp_path, "old"), facts_of(b"new" * 2 * MIB, tmp_path, "new")
    whole = {"a": old.sha256, "b": new.sha256}
    seen, steps = set(), 0
    while True:
        root = tmp_path / str(steps)
        subject = installer(root)
        update(subject, facts_of(b"older", tmp_path, "older"))
        update(subject, old)  # in a, which is current; b has `older`
        with pytest.MonkeyPatch.context() as patch:
            power = Power(steps, patch)
            try:
                install(subject, new)
                subject.activate(new, "b")
            except PowerCutError:
                assert power.failed
        current = (root / "current").readlink().name
        assert hashlib.sha256((root / current / "image").read_bytes()).hexdigest() == whole[current]
        assert hashlib.sha256((root / "a/image").read_bytes()).hexdigest() == old.sha256
        seen.add(current)

        again = installer(root)
        again.resume(new, "b", canceled=NEVER, on_progress=quietly)
        again.activate(new, "b")
        assert content_of(root) == {
            "a": None,
            "a/image": old.sha256,
            "b": None,
            "b/image": new.sha256,
            "current": "b",
        }
        if not power.failed:
            break
        steps += 1
    assert seen == {"a", "b"}
    assert steps >= 10


def test_power_cut_at_first_start(tmp_path: Path) -> None:
    """Wherever the power goes while the slots are made, the next start makes them."""
    steps = 0
    while True:
        root = tmp_path / str(steps)
        with pytest.MonkeyPatch.context() as patch:
            power = Power(steps, patch)
            try:
                installer(root)
            except PowerCutError:
                assert power.failed
        installer(root)
        assert {name: value for name, value in content_of(root).items() if name != ".current.new"} == {
            "a": None,
            "b": None,
            "current": "a",
        }
        if not power.failed:
            break
        steps += 1
    assert steps >= 5


def test_everything_is_synced_before_the_next_step(
    root: Path, facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Image, its name, and the link are on the disk one before the other, the link before the call returns."""
    subject = installer(root)
    target, done = subject.check(facts), []

    def record(name: str, describe: Callable[..., str]) -> None:
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args: (real(*args), done.append(describe(*args)))[0])

    def opened(descriptor: int) -> str:
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    record("fsync", lambda descriptor: f"sync {opened(descriptor)}")
    record("fdatasync", lambda descriptor: f"data {opened(descriptor)}")
    record("rename", lambda old, new: f"rename {Path(old).name} {Path(new).name}")
    record("replace", lambda old, new: f"rename {Path(old).name} {Path(new).name}")
    subject.install(facts, target, canceled=NEVER, on_progress=quietly)
    subject.activate(facts, target)
    assert done == [
        "data .image.part",
        "data .image.part",
        "sync .image.part",
        "rename .image.part image",
        "sync b",
        "rename .current.new current",
        "sync slots",
    ]
