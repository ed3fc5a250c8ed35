"""Tests of how large files are removed."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from everest_system.io import removal
from everest_system.io.removal import free, let_go, remove, remove_file

STEP = 1 << 16


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "STEP_BYTES", STEP)
    monkeypatch.setattr(removal, "PAUSE_S", 0.001)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes that files were cut to, in order."""
    cut: list[int] = []
    real: Callable[[int, int], None] = os.ftruncate

    def ftruncate(descriptor: int, size: int) -> None:
        cut.append(size)
        real(descriptor, size)

    monkeypatch.setattr(os, "ftruncate", ftruncate)
    return cut


def write(file: Path, steps: float) -> Path:
    file.write_bytes(bytes(int(steps * STEP)))
    return file


def test_a_large_file_shrinks_in_steps_after_its_name_is_gone(
    tmp_path: Path, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file is nobody's to find from the first moment, and its blocks are freed little by little."""
    file = write(tmp_path / "image", 3.5)
    there: list[bool] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (there.append(file.exists()), real(descriptor)))

    remove_file(file, threading.Event())

    assert sizes == [int(2.5 * STEP), int(1.5 * STEP), STEP // 2]
    assert there == [False] * 3


def test_a_small_file_goes_in_one_step(tmp_path: Path, sizes: list[int]) -> None:
    """What is small is just removed."""
    file = write(tmp_path / "image", 1)

    remove_file(file, threading.Event())

    assert not file.exists()
    assert sizes == []


def test_a_cancel_frees_the_rest_at_once(tmp_path: Path, sizes: list[int]) -> None:
    """Nobody waits for a removal that is canceled, and the file is gone all the same."""
    file = write(tmp_path / "image", 9)
    canceled = threading.Event()
    canceled.set()

    remove_file(file, canceled)

    assert not file.exists()
    assert sizes == []


def test_another_name_keeps_its_content(tmp_path: Path) -> None:
    """A file with a second name loses only the first."""
    file, other = write(tmp_path / "image", 3), tmp_path / "other"
    os.link(file, other)

    remove_file(file, threading.Event())

    assert not file.exists()
    assert other.stat().st_size == 3 * STEP


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    """What a link points to stays whole."""
    target, link = write(tmp_path / "target", 3), tmp_path / ("l" * 9)
    link.symlink_to(target)

    remove(link, threading.Event())

    assert not link.is_symlink()
    assert target.stat().st_size == 3 * STEP


def test_a_file_that_cannot_be_written_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To remove a file needs the folder's permission, not the file's."""
    file = write(tmp_path / "image", 3)

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)

    remove_file(file, threading.Event())

    assert not file.exists()


def test_a_disk_that_fails_meanwhile_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is gone by then; the rest is freed when the file is closed."""
    file = write(tmp_path / "image", 3)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", fail)

    remove_file(file, threading.Event())

    assert not file.exists()


def test_a_folder_goes_with_all_in_it(tmp_path: Path, sizes: list[int]) -> None:
    """A folder's large files shrink as well, however deep they are; what it links to stays."""
    folder, outside = tmp_path / "spool", write(tmp_path / "outside", 3)
    (folder / "deep").mkdir(parents=True)
    write(folder / "small", 0.5)
    write(folder / "deep" / "large", 2)
    (folder / "link").symlink_to(outside)

    remove(folder, threading.Event())

    assert not folder.exists()
    assert sizes == [STEP]
    assert outside.stat().st_size == 3 * STEP


def test_what_is_not_there_is_removed(tmp_path: Path) -> None:
    """`remove` is content when there is nothing; `remove_file` says so."""
    remove(tmp_path / "none", threading.Event())

    with pytest.raises(FileNotFoundError):
        remove_file(tmp_path / "none", threading.Event())


def test_a_name_can_be_given_again_before_the_content_is_gone(tmp_path: Path, sizes: list[int]) -> None:
    """What was let go has no name, takes its room until it is freed, and has nothing to do with its successor."""
    file = write(tmp_path / "update-1", 3)

    contents = let_go(file)

    assert not file.exists()
    assert [os.fstat(descriptor).st_blocks * 512 >= 3 * STEP for descriptor in contents] == [True]
    write(file, 2)
    free(contents, threading.Event())
    assert sizes == [2 * STEP, STEP]
    assert file.stat().st_size == 2 * STEP
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(contents[0])


def test_a_name_that_stays_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be removed is told, and is not held open."""
    file = write(tmp_path / "image", 3)

    def refuse(*_: object) -> None:
        raise PermissionError

    before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(PermissionError):
            let_go(file)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert file.stat().st_size == 3 * STEP
