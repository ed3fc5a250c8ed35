"""The platform `systemd` under the real service. systemctl is a stand-in: it does to the test's machine what it should.

No clock is ever wrong enough here to be set.
"""

import pytest
from support.service_process import ServiceProcess
from support.stations import Station
from support.system_programs import SystemPrograms

from everest_system.everest_side import EverestSide
from everest_system.fsm.messages import ResetType


@pytest.fixture
def programs(station: Station, monkeypatch: pytest.MonkeyPatch) -> SystemPrograms:
    """The system's programs, all of them harmless."""
    return SystemPrograms(station.folder, monkeypatch)


def begin(station: Station, programs: SystemPrograms, **platform: object) -> tuple[ServiceProcess, EverestSide]:
    """A service on a machine whose reboot gives it another boot id and ends the service, and its EVerest."""
    boot_id, watchdogs = station.folder / "boot-id", station.folder / "watchdogs"
    boot_id.write_text("boot-1\n")
    watchdogs.mkdir()
    programs.add(
        "systemctl", f'case "$*" in *reboot) echo "boot-$$" > {boot_id}; kill -TERM $(cat {station.folder}/pid);; esac'
    )
    keys = {
        "kind": "systemd",
        "boot_id_file": str(boot_id),
        "watchdog_dir": str(watchdogs),
        "time_tolerance_s": 1_000_000_000,
        **platform,
    }
    service = station.service({"platform": keys})
    (station.folder / "pid").write_text(str(service.pid))
    service.supervise()
    everest = station.everest()
    assert everest.boot_reason() == "PowerUp"
    return service, everest


def after_boot(service: ServiceProcess, everest: EverestSide, since: int) -> None:
    """Wait for the service's next start; EVerest comes back with the machine."""
    service.wait_for("connected to the broker", since=since)
    everest.restart()
    everest.wait_for_service()
    everest.accept_boot()


def test_reboot(station: Station, programs: SystemPrograms) -> None:
    """A reset reboots by systemctl, once, and the next boot knows why."""
    service, everest = begin(station, programs)
    since = len(service.log)
    everest.reset(ResetType.NOT_SPECIFIED)
    after_boot(service, everest, since)
    assert everest.boot_reason() == "RemoteReset"
    assert programs.told("systemctl") == [["--no-ask-password", "-i", "reboot"]]
    assert programs.told("busctl") == []


def test_restart(station: Station, programs: SystemPrograms) -> None:
    """A soft reset restarts EVerest's unit; EVerest that starts anew by itself later is told as that."""
    service, everest = begin(station, programs)
    everest.reset(ResetType.SOFT)
    service.wait_for_state("platform", "IDLE")
    assert programs.told("systemctl") == [["--no-ask-password", "restart", "everest.service"]]
    for reason in ("RemoteReset", "ApplicationReset"):
        since = len(service.log)
        everest.restart()
        service.wait_for(lambda line: line.get("cause") == "HeartbeatArrived", since=since)
        assert [everest.boot_reason(), everest.boot_reason()] == [reason] * 2


def test_refusal(station: Station, programs: SystemPrograms) -> None:
    """A reboot that systemd refuses is given up, its word is in the log, and the station goes on."""
    service, everest = begin(station, programs)
    programs.add("systemctl", "echo 'Call to Reboot failed: Access denied' >&2", "exit 1")
    everest.reset(ResetType.HARD)
    line = service.wait_for_state("platform", "IDLE")
    assert line["reason"] == "systemctl -i reboot: Call to Reboot failed: Access denied"
    assert everest.call("is_reset_allowed", "Hard") is True


def test_watchdog(station: Station, programs: SystemPrograms) -> None:
    """A boot that a watchdog has brought is told as that."""
    service, everest = begin(station, programs)
    (station.folder / "watchdogs" / "watchdog0").mkdir()
    (station.folder / "watchdogs" / "watchdog0" / "bootstatus").write_text("32\n")
    (station.folder / "boot-id").write_text("boot-2\n")
    service.kill()
    since = len(service.log)
    service.start()
    after_boot(service, everest, since)
    assert everest.boot_reason() == "Watchdog"
