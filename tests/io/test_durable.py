"""Writes that a power cut cannot undo."""

import os
from pathlib import Path

import pytest

from everest_system.io.durable import sync_folder, write_durably


def test_content_is_replaced(tmp_path: Path) -> None:
    """The new content takes the place of the old, and nothing else is left in the folder."""
    file = tmp_path / "file"
    write_durably(file, b"old")
    write_durably(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("failing", ["fsync", "rename"])
def test_a_failed_write_changes_nothing(failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fails, the old content stands and nothing else is left in the folder."""
    file = tmp_path / "file"
    write_durably(file, b"old")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync" if failing == "fsync" else "replace", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_durably(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_order_of_durable_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is synced before the rename, and the folder after it."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: (calls.append(f"sync {Path(f'/proc/self/fd/{fd}').readlink().name}"), fsync(fd))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    write_durably(tmp_path / "file", b"new")
    assert calls == ["sync .file.new", "rename", f"sync {tmp_path.name}"]


def test_only_a_folder_is_synced(tmp_path: Path) -> None:
    """What is no folder is an error, not a quiet success."""
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")
