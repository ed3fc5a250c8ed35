"""A platform that leaves the host alone."""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everest_system.fsm.errors import CanceledError
from everest_system.io.platforms.dry_run import DryRunPlatform
from everest_system.io.platforms.port import Platform, PlatformError, Reboot

NEVER = threading.Event()


def test_each_reboot_is_another_boot(tmp_path: Path) -> None:
    """A reboot changes the boot id for good, and asks for a restart in place."""
    subject: Platform = DryRunPlatform(tmp_path)
    ids = [subject.boot_id()]
    for _ in range(11):
        assert subject.reboot(canceled=NEVER) is Reboot.IN_PLACE
        ids.append(subject.boot_id())
    assert len(set(ids)) == 12
    assert DryRunPlatform(tmp_path).boot_id() == ids[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["boot_counter"]


def test_a_new_process_is_no_boot(tmp_path: Path) -> None:
    """Without a reboot the boot id stays, and asking for it writes nothing."""
    assert DryRunPlatform(tmp_path).boot_id() == DryRunPlatform(tmp_path).boot_id()
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_happens(tmp_path: Path) -> None:
    """A restart and a new time are taken, and change neither boot id nor files."""
    subject = DryRunPlatform(tmp_path)
    before = subject.boot_id()
    subject.restart(canceled=NEVER)
    assert subject.set_time(datetime(2000, 1, 1, tzinfo=UTC), canceled=NEVER) is True
    assert subject.boot_id() == before
    assert list(tmp_path.iterdir()) == []


def test_cancel(tmp_path: Path) -> None:
    """A canceled reboot does not count."""
    canceled = threading.Event()
    canceled.set()
    subject = DryRunPlatform(tmp_path)
    with pytest.raises(CanceledError):
        subject.reboot(canceled=canceled)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"three\n", b"-1\n", b"1" * 1000, b"\xff"])
def test_a_damaged_counter(content: bytes, tmp_path: Path) -> None:
    """A counter that is none is an error that says what to do, and is left as it is."""
    file = tmp_path / "boot_counter"
    file.write_bytes(content)
    for call in (DryRunPlatform(tmp_path).boot_id, lambda: DryRunPlatform(tmp_path).reboot(canceled=NEVER)):
        with pytest.raises(PlatformError, match="boot_counter holds no number: remove it"):
            call()
    assert file.read_bytes() == content


def test_an_unreadable_counter(tmp_path: Path) -> None:
    """A counter that cannot be read is an error that names it."""
    (tmp_path / "boot_counter").mkdir()
    with pytest.raises(PlatformError, match="boot_counter cannot be read: Is a directory"):
        DryRunPlatform(tmp_path).boot_id()


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reboot that cannot be counted does not take place."""
    subject = DryRunPlatform(tmp_path)
    subject.reboot(canceled=NEVER)
    before = subject.boot_id()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PlatformError, match="boot_counter cannot be written: No space left"):
        subject.reboot(canceled=NEVER)
    assert subject.boot_id() == before
