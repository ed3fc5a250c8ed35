"""The platform `systemd`: what systemctl is told, and what it says when it will not."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.fake_clocks import FakeClocks
from support.system_programs import SystemPrograms

from everest_system.fsm.errors import CanceledError
from everest_system.io.platforms import systemd
from everest_system.io.platforms.host_clock import HostClock
from everest_system.io.platforms.port import Platform, PlatformError, Reboot
from everest_system.io.platforms.systemd import SystemdPlatform

NEVER = threading.Event()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SystemPrograms:
    """The system's programs, all of them harmless."""
    return SystemPrograms(tmp_path, monkeypatch)


def platform(clocks: FakeClocks | None = None, boot_id_file: Path = Path("/nowhere")) -> Platform:
    return SystemdPlatform(
        everest_unit="everest@1.service",
        boot_id_file=boot_id_file,
        clock=HostClock(None, clocks or FakeClocks()),
    )


def test_reboot(programs: SystemPrograms) -> None:
    """The machine reboots: systemctl is not asked to wait for anybody, and asks nobody for a password."""
    assert platform().reboot(canceled=NEVER) is Reboot.BY_HOST
    assert programs.told("systemctl") == [["--no-ask-password", "-i", "reboot"]]


def test_restart(programs: SystemPrograms) -> None:
    """Only EVerest restarts: systemctl is told its unit, and nothing else."""
    platform().restart(canceled=NEVER)
    assert programs.told("systemctl") == [["--no-ask-password", "restart", "everest@1.service"]]


def test_set_time(programs: SystemPrograms) -> None:
    """The clock is set by the clock's own means."""
    clocks, to = FakeClocks(), datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert platform(clocks).set_time(to, canceled=NEVER) is True
    assert clocks.clock == [to]
    assert programs.told("systemctl") == []


@pytest.mark.parametrize("order", ["reboot", "restart"])
def test_why_not(order: str, programs: SystemPrograms) -> None:
    """A refusal has systemctl's first word as its reason: a lesser fault may go before it, and where to look behind."""
    lesser = "Failed to set wall message, ignoring: Interactive authentication required."
    words = [f"echo '{word}' >&2" for word in (lesser, "Access denied", "See system logs.")]
    programs.add("systemctl", *words, "exit 4")
    with pytest.raises(PlatformError, match=rf"^systemctl .*{order}.*: Access denied$"):
        getattr(platform(), order)(canceled=NEVER)


def test_why_not_in_silence(programs: SystemPrograms) -> None:
    """Without a word the exit code is told."""
    programs.add("systemctl", "exit 5")
    with pytest.raises(PlatformError, match=r"systemctl failed \(exit code 5\)$"):
        platform().reboot(canceled=NEVER)


def test_no_answer(programs: SystemPrograms, monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemctl that hangs is given up, and so is one that is not there."""
    programs.add("systemctl", "exec sleep 60")
    monkeypatch.setattr(systemd, "RESTART_TIMEOUT_S", 0.1)
    with pytest.raises(PlatformError, match=r"did not end within 0\.1 s"):
        platform().restart(canceled=NEVER)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PlatformError, match=r"^systemctl -i reboot: systemctl was not found"):
        platform().reboot(canceled=NEVER)


def test_cancel(programs: SystemPrograms) -> None:
    """A canceled order is not given."""
    canceled = threading.Event()
    canceled.set()
    with pytest.raises(CanceledError):
        platform().reboot(canceled=canceled)
    assert programs.told("systemctl") == []


def test_boot_id(tmp_path: Path) -> None:
    """The boot id stands in its file."""
    (tmp_path / "boot-id").write_text("a-boot\n")
    assert platform(boot_id_file=tmp_path / "boot-id").boot_id() == "a-boot"
