"""Rehearsals: every action of every platform is said, word for word, and none is done."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.system_programs import SystemPrograms

from everest_system.configuration.settings import Settings
from everest_system.fsm.errors import CanceledError
from everest_system.io.platforms import host_clock
from everest_system.io.platforms.port import Platform, PlatformError, Reboot
from everest_system.io.platforms.rehearsal import CAP_SYS_TIME, RehearsedKernel, rehearse
from everest_system.tools import Tools

NEVER = threading.Event()
TO = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SystemPrograms:
    """The system's programs, which nobody may call here."""
    return SystemPrograms(tmp_path, monkeypatch)


@pytest.fixture
def make(tmp_path: Path, programs: SystemPrograms, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Platform]:
    """Makes a platform of these settings that only rehearses, on a machine whose kernel cannot be called."""
    monkeypatch.setattr(host_clock, "Kernel", None)
    (tmp_path / "rtc0").touch()

    def platform(kind: str, **more: Any) -> Platform:
        keys = {"kind": kind, "dry_run": True, **more}
        return Tools.from_settings(
            Settings.model_validate({"station": {"state_dir": str(tmp_path)}, "platform": keys})
        ).platform

    return platform


def said(lines: list[Any]) -> list[Any]:
    """What would be done, of each line: the program's arguments, or the whole word."""
    assert all(line["event"].startswith("dry run: ") for line in lines)
    return [line.get("argv") or line["event"].removeprefix("dry run: ") for line in lines]


def test_systemd(make: Callable[..., Platform], programs: SystemPrograms, tmp_path: Path) -> None:
    """Reboot, restart, clock and hardware clock: what systemd and the kernel would be told, and then in short."""
    rtc = str(tmp_path / "rtc0")
    platform = make("systemd", systemd={"everest_unit": "ev.service", "hardware_clock": rtc})
    with capture_logs() as lines:
        before = platform.boot_id()
        assert platform.reboot(canceled=NEVER) is Reboot.IN_PLACE
        assert platform.boot_id() != before
        platform.restart(canceled=NEVER)
    assert said(lines) == [
        ["systemctl", "--no-ask-password", "-i", "reboot"],
        "the machine would reboot now; the station restarts in place",
        ["systemctl", "--no-ask-password", "restart", "ev.service"],
        "EVerest would be restarted now",
    ]
    assert programs.told("systemctl") == []


@pytest.mark.parametrize("may", [True, False])
def test_clocks_of_systemd(may: bool, make: Callable[..., Platform], tmp_path: Path, monkeypatch: Any) -> None:
    """The way that would be gone depends on the right that the process has."""
    monkeypatch.setattr(RehearsedKernel, "_may_set_clock", lambda _: may)
    platform = make("systemd", systemd={"hardware_clock": str(tmp_path / "rtc0")})
    with capture_logs() as lines:
        assert platform.set_time(TO, canceled=NEVER) is True
    first, *_, last = said(lines)
    if may:
        assert said(lines)[:-1] == ["would set the clock", "would set the hardware clock"]
        assert {line["time"] for line in lines} == {"2030-01-02T03:04:05.000Z"}
    else:
        assert (first[0], first[-5], len(lines)) == ("busctl", "SetTime", 2)
    assert last == "the clock would be set now"


def test_command(make: Callable[..., Platform], programs: SystemPrograms) -> None:
    """The integrator's programs with their arguments filled in; none is run, and one that is missing is missing."""
    command = {"reboot": ["reboot", "-f"], "set_time": ["date", "--set={time}"]}
    platform = make("command", command=command)
    with capture_logs() as lines:
        platform.reboot(canceled=NEVER)
        assert platform.set_time(TO, canceled=NEVER) is True
    assert said(lines) == [
        ["reboot", "-f"],
        "the machine would reboot now; the station restarts in place",
        ["date", "--set=2030-01-02T03:04:05.000Z"],
        "the clock would be set now",
    ]
    with pytest.raises(PlatformError, match="names no program"):
        platform.restart(canceled=NEVER)
    assert (programs.told("reboot"), programs.told("date")) == ([], [])


def test_command_without_a_clock(make: Callable[..., Platform]) -> None:
    """What could not be done is not pretended to be."""
    with capture_logs() as lines:
        assert make("command", command={"reboot": ["true"]}).set_time(TO, canceled=NEVER) is False
    assert said(lines) == ["the clock would not be set now"]


def test_cancel(make: Callable[..., Platform]) -> None:
    """A canceled order is not rehearsed either."""
    canceled = threading.Event()
    canceled.set()
    platform = make("systemd")
    before = platform.boot_id()
    with capture_logs() as lines, pytest.raises(CanceledError):
        platform.reboot(canceled=canceled)
    with pytest.raises(CanceledError):
        rehearse(["true"], timeout_s=1, canceled=canceled)
    assert (lines, platform.boot_id()) == ([], before)


@pytest.mark.parametrize(("word", "may"), [(1 << CAP_SYS_TIME, True), (0, False), ((1 << CAP_SYS_TIME) - 1, False)])
def test_the_right_to_set_the_clock(word: int, may: bool, tmp_path: Path) -> None:
    """It is looked for where the kernel says which rights this process has."""
    status = tmp_path / "status"
    status.write_text(f"Name:\tpython\nCapPrm:\t{2**41 - 1:016x}\nCapEff:\t{word:016x}\n")
    with capture_logs() as lines:
        if may:
            RehearsedKernel(status).set_clock(TO)
        else:
            with pytest.raises(PermissionError):
                RehearsedKernel(status).set_clock(TO)
    assert len(lines) == may


def test_rights_that_are_not_told(tmp_path: Path) -> None:
    """Without a word on its rights the process has none."""
    (tmp_path / "status").write_text("Name:\tpython\n")
    with pytest.raises(PermissionError):
        RehearsedKernel(tmp_path / "status").set_clock(TO)
