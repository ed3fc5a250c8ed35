"""Slots whose power goes after any change to the disk, with what was not synced lost in every way that it can be."""

import hashlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.archives import entry, folder, hard_link, link, manifest, tar
from support.recorded_disk import RecordedDisk, Tree, make, tree_of

from everest_system.io.installers.port import Activation, Facts
from everest_system.io.installers.slots import SlotsInstaller

NEVER = threading.Event()


def archive(mark: bytes) -> bytes:
    files = {"bin/app": b"app " + mark, "bin/same": b"app " + mark, "etc/x/conf": b"conf " + mark}
    return tar(
        [
            manifest(files),
            folder("bin"),
            entry("bin/app", files["bin/app"]),
            link("bin/sh", "app"),
            hard_link("bin/same", "bin/app"),
            entry("etc/x/conf", files["etc/x/conf"]),
        ]
    )


FIRMWARE = {"archive": archive, "image": lambda mark: b"image " * 100 + mark}


def facts(content: bytes, folder: Path) -> Facts:
    artifact = folder / hashlib.sha256(content).hexdigest()
    artifact.write_bytes(content)
    return Facts(artifact, "https://example.com/f", 1, "m", artifact.name)


def put(subject: SlotsInstaller, wanted: Facts) -> str:
    target = subject.check(wanted)
    subject.resume(wanted, target, canceled=NEVER, on_progress=lambda _: None)
    subject.activate(wanted, target)
    return target


def slot(tree: Tree, name: str) -> Tree:
    return tuple((path, content) for path, content in tree if path.startswith(f"./{name}/"))


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder that no disk slows down: thousands of states are laid out in it."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as path:
        yield Path(path)


def distinct(disk: RecordedDisk) -> list[Tree]:
    """What power cuts can leave, each state once."""
    return list(dict.fromkeys(tree for _, tree in disk.crashes()))


@pytest.mark.parametrize("new_kind", FIRMWARE)
@pytest.mark.parametrize("old_kind", FIRMWARE)
def test_power_cut_in_an_update(memory: Path, old_kind: str, new_kind: str, capsys: pytest.CaptureFixture) -> None:
    """Whatever a cut leaves, `current` leads to a whole firmware, the good slot is as it was, and the update ends."""
    root = memory / "slots"
    subject = SlotsInstaller(root, Activation.REBOOT)
    older, old, new = (
        facts(FIRMWARE[kind](mark), memory)
        for kind, mark in ((old_kind, b"older"), (new_kind, b"old"), (new_kind, b"new"))
    )
    assert [put(subject, older), put(subject, old)] == ["b", "a"]
    good = slot(tree_of(root), "a")

    with RecordedDisk(root) as disk:
        assert put(subject, new) == "b"
    assert disk.matches()
    done = tree_of(root)
    whole = {"a": good, "b": slot(done, "b")}

    states, leads = distinct(disk), []
    for tree in states:
        current = dict(tree)["./current"]
        leads.append(current)
        assert slot(tree, "a") == good
        assert slot(tree, current) == whole[current]

        shutil.rmtree(root)
        make(tree, root)
        again = SlotsInstaller(root, Activation.REBOOT)
        again.resume(new, "b", canceled=NEVER, on_progress=lambda _: None)
        assert slot(tree_of(root), "a") == good
        again.activate(new, "b")
        assert tree_of(root) == done
    assert set(leads) == {"a", "b"}
    assert len(disk.changes) >= 10
    with capsys.disabled():
        print(f"\n{new_kind} over {old_kind}: {len(disk.changes)} changes, {len(states)} states after a power cut")


def test_power_cut_in_a_roll_back(memory: Path) -> None:
    """Whatever a cut leaves of a roll back, one of the two whole slots is current, and the next try ends it."""
    root = memory / "slots"
    subject = SlotsInstaller(root, Activation.REBOOT)
    for mark in (b"older", b"old", b"new"):
        put(subject, facts(archive(mark), memory))
    before = tree_of(root)
    with RecordedDisk(root) as disk:
        subject.roll_back("b")
    assert disk.matches()
    for tree in distinct(disk):
        assert [slot(tree, name) for name in "ab"] == [slot(before, name) for name in "ab"]
        assert dict(tree)["./current"] in ("a", "b")
        shutil.rmtree(root)
        make(tree, root)
        SlotsInstaller(root, Activation.REBOOT).roll_back("b")
        assert dict(tree_of(root))["./current"] == "a"


def test_power_cut_at_the_first_start(memory: Path) -> None:
    """Whatever a cut leaves of the first start, the next one ends it."""
    state = memory / "state"
    state.mkdir()
    with RecordedDisk(state) as disk:
        SlotsInstaller(state / "slots", Activation.REBOOT)
    assert disk.matches()
    for tree in distinct(disk):
        shutil.rmtree(state)
        make(tree, state)
        SlotsInstaller(state / "slots", Activation.REBOOT)
        slots = {path: content for path, content in tree_of(state) if ".current.new" not in path}
        assert slots == {
            ".": None, "./slots": None, "./slots/a": None, "./slots/b": None, "./slots/current": "a",
        }  # fmt: skip


def test_the_record_tells_a_swap_that_is_not_synced(memory: Path) -> None:
    """The recording disk finds a rename that comes before the content, and a name without its folder's sync."""
    (memory / "old").write_bytes(b"old")
    with RecordedDisk(memory) as disk:
        (memory / "new").write_bytes(b"new")
        (memory / "new").replace(memory / "old")
    assert disk.matches()
    left = {dict(tree).get("./old") for tree in distinct(disk)}
    assert left == {b"old", b"", b"n", b"new"}
