"""The integrator's programs: installers, reboots, health checks, clocks. A reboot really ends the process."""

import re
from datetime import UTC, datetime, timedelta

from support.stations import IMAGE, Station, words

from everest_system.fsm.messages import ResetType


def script(station: Station, name: str, *lines: str) -> str:
    """An executable shell script in the test's folder; `$HERE` is that folder."""
    file = station.folder / name
    file.write_text("\n".join(["#!/bin/sh", f"HERE={station.folder}", *lines]) + "\n")
    file.chmod(0o755)
    return str(file)


def machine(station: Station, **more: object) -> dict[str, object]:
    """A machine whose reboot gives it a new boot id and ends the service; another program restarts EVerest."""
    (station.folder / "boot_id").write_text("boot-1\n")
    reboot = script(
        station, "reboot", 'echo "boot-$$" > $HERE/boot_id', "echo reboot >> $HERE/done", "kill -TERM $PPID"
    )
    restart = script(station, "restart", "echo restart >> $HERE/done")
    command = {"reboot": [reboot], "restart": [restart]}
    return {"kind": "command", "boot_id_file": str(station.folder / "boot_id"), "command": command, **more}


def after_boot(station: Station, boots: int = 1) -> None:
    """Wait for so many boots since the first start; EVerest comes back with the machine."""
    service, everest = station.services[0], station.everests[0]
    service.wait_for(lambda _: len(service.lines("connected to the broker")) > boots)
    everest.restart()
    everest.wait_for_service()
    everest.accept_boot()


def slot(service) -> str:
    """The active slot."""
    return (service.state_dir / "slots" / "current").readlink().name


def test_update_with_a_reboot(station: Station, http, maker):
    """L01.FR.32: InstallRebooting, a boot with reason FirmwareUpdate, then Installed from the new firmware."""
    service, everest = station.both({"platform": machine(station), "firmware": {"slots": {"activation": "reboot"}}})
    service.supervise()
    assert everest.boot_reason() == "PowerUp"
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1, **maker.signed()})
    service.wait_for_state("firmware", "REBOOTING")
    after_boot(station)
    everest.wait_for("Installed", 1)
    assert [status.word for status in everest.statuses] == [
        "Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed",
    ]  # fmt: skip
    assert everest.boot_reason() == "FirmwareUpdate"
    assert (service.starts, service.exits) == (2, [0])
    assert slot(service) == "b"
    assert (service.state_dir / "slots" / "b" / "image").read_bytes() == IMAGE
    assert (station.folder / "done").read_text().split() == ["reboot"]


def test_unhealthy_firmware(station: Station, http):
    """Firmware that fails each health check after its boot ends InstallationFailed, and the old slot is booted."""
    check = script(station, "health", "echo checked >> $HERE/checks", "exit 1")
    config = {
        "platform": machine(station, health_check=[check], health_check_retries=2, health_check_interval_s=0.1),
        "firmware": {"slots": {"activation": "reboot"}},
    }
    service, everest = station.both(config)
    service.supervise()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    service.wait_for_state("firmware", "REBOOTING")
    after_boot(station)
    everest.wait_for("InstallationFailed", 1)
    assert [status.word for status in everest.statuses] == [
        "Downloading", "Downloaded", "Installing", "InstallRebooting", "InstallationFailed",
    ]  # fmt: skip
    assert slot(service) == "a"
    after_boot(station, 2)  # the second reboot leaves the new firmware
    assert everest.boot_reason() == "FirmwareUpdate"
    assert service.starts == 3
    assert (station.folder / "done").read_text().split() == ["reboot", "reboot"]
    assert (station.folder / "checks").read_text().split() == ["checked", "checked"]


def test_firmware_that_takes_the_machine_down(station: Station, http):
    """Firmware in which each health check ends in a crash of the machine is rolled back after `confirm_boots` boots."""
    down = ['echo "boot-$$" > $HERE/boot_id', "echo down >> $HERE/done", "kill -KILL $PPID"]
    config = {
        "platform": machine(station, health_check=[script(station, "health", *down)]),
        "firmware": {"slots": {"activation": "reboot"}, "confirm_boots": 2},
    }
    service, everest = station.both(config)
    service.supervise()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    service.wait_for_state("firmware", "REBOOTING")
    service.wait_for_state("firmware", "INSTALLATION_FAILED")
    since = len(service.log)
    everest.restart()
    everest.wait_for_service()
    everest.accept_boot()
    everest.wait_for("InstallationFailed", 1)
    assert slot(service) == "a"
    service.wait_for_state("platform", "IDLE", since=since)  # booted into the old one
    assert service.starts == 5
    assert (station.folder / "done").read_text().split() == ["reboot", "down", "down", "reboot"]


def test_hard_reset(station: Station):
    """A reset reboots the machine, and the boot after it gives RemoteReset or ScheduledReset as its reason."""
    service, everest = station.both({"platform": machine(station)})
    service.supervise()
    assert everest.boot_reason() == "PowerUp"
    for boots, (scheduled, reason) in enumerate(((False, "RemoteReset"), (True, "ScheduledReset")), start=1):
        everest.reset(ResetType.NOT_SPECIFIED, scheduled=scheduled)
        after_boot(station, boots)
        assert everest.boot_reason() == reason
        assert (station.folder / "done").read_text().split() == ["reboot"] * boots
        assert service.starts == boots + 1


def test_soft_reset(station: Station):
    """A soft reset restarts EVerest and not the machine; the reason is RemoteReset all the same."""
    service, everest = station.both({"platform": machine(station)})
    everest.boot_reason()
    everest.reset(ResetType.SOFT)
    service.wait_for_state("platform", "IDLE")
    everest.restart()
    assert everest.boot_reason() == "RemoteReset"
    assert (station.folder / "done").read_text().split() == ["restart"]
    assert service.starts == 1


def test_reset_during_an_installation(station: Station, http):
    """B11.FR.06: while an update installs a reset is not allowed; one that comes all the same waits for its end."""
    hold = script(station, "install", "while ! [ -e $HERE/go-on ]; do sleep 0.05; done")
    firmware = {"installer": "command", "command": {"install": [hold], "activation": "none"}}
    service, everest = station.both({"platform": machine(station), "firmware": firmware})
    service.supervise()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    everest.wait_for("Installing", 1)
    assert everest.call("is_reset_allowed", "Hard") is False
    assert everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 2}) == "Rejected"
    everest.reset(ResetType.HARD)
    service.wait_for_state("platform", "RESET_PENDING")
    assert not (station.folder / "done").exists()
    (station.folder / "go-on").touch()
    everest.wait_for("Installed", 1)
    after_boot(station)
    assert everest.boot_reason() == "RemoteReset"
    assert [status.word for status in everest.statuses if status.request_id == 1][-1] == "Installed"


def rebooting_update(station: Station, http, **platform) -> None:
    """Begin an update that a reboot makes active."""
    config = {"platform": machine(station, **platform), "firmware": {"slots": {"activation": "reboot"}}}
    service, everest = station.both(config)
    service.supervise()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})


def test_reboot_that_fails(station: Station, http):
    """A reboot that cannot be ordered is tried three times, then the update ends InstallationFailed and is undone."""
    reboot = script(station, "broken-reboot", "echo reboot >> $HERE/done", "exit 1")
    restart = script(station, "restart", "true")
    rebooting_update(station, http, command={"reboot": [reboot], "restart": [restart]})
    (everest,) = station.everests
    everest.wait_for("InstallationFailed", 1)
    assert words(everest) == ["Downloading", "Downloaded", "Installing", "InstallRebooting", "InstallationFailed"]
    assert (station.folder / "done").read_text().split() == ["reboot"] * 3
    assert slot(station.services[0]) == "a"


def test_boot_into_the_old_firmware(station: Station, http):
    """A boot that ends in the old firmware after all, as a boot loader may decide, is InstallationFailed."""
    rebooting_update(station, http)
    service, everest = station.services[0], station.everests[0]
    reboot = station.folder / "reboot"
    reboot.write_text(reboot.read_text().replace("kill", f"ln -sfn a {service.state_dir}/slots/current\nkill"))
    service.wait_for_state("firmware", "REBOOTING")
    after_boot(station)
    everest.wait_for("InstallationFailed", 1)
    assert [status.word for status in everest.statuses][-2:] == ["InstallRebooting", "InstallationFailed"]
    assert (station.folder / "done").read_text().split() == ["reboot"]


def test_activation_by_restart(station: Station, http):
    """Firmware that a restart of EVerest makes active ends Installed without a boot of the machine."""
    config = {"platform": machine(station), "firmware": {"slots": {"activation": "restart"}}}
    service, everest = station.both(config)
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    everest.wait_for("Installed", 1)
    assert words(everest) == ["Downloading", "Downloaded", "Installing", "InstallRebooting", "Installed"]
    assert (station.folder / "done").read_text().split() == ["restart"]
    assert (service.starts, slot(service)) == (1, "b")
    everest.restart()
    assert everest.boot_reason() == "FirmwareUpdate"


SAYINGS = [
    ("test -s $1 && [ $EVEREST_SYSTEM_REQUEST_ID = $2 ] && echo 50%", "Installed"),
    ("exit 10", "InstallVerificationFailed"),
    ("exit 3", "InstallationFailed"),
    ("kill -9 $$", "InstallationFailed"),
    ("echo Installing; echo InstallationFailed", "InstallationFailed"),
    ("echo InvalidSignature", "InstallVerificationFailed"),
]


def test_installer_program(station: Station, http):
    """What an installer program says, or how it exits, is the end of the update."""
    install = script(station, "install", ". $HERE/saying")
    command = {"install": [install, "{artifact}", "{request_id}"], "activation": "none"}
    _, everest = station.both({"firmware": {"installer": "command", "command": command}})
    for request_id, (saying, end) in enumerate(SAYINGS):
        (station.folder / "saying").write_text(saying + "\n")
        everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": request_id})
        everest.wait_for(end, request_id)
        assert words(everest, request_id) == ["Downloading", "Downloaded", "Installing", end]


def test_system_time(station: Station):
    """set_system_time is true when the program has set the clock, and false when it fails or there is none."""
    config = machine(station, time_despite_ntp=True)
    config["command"]["set_time"] = [script(station, "clock", 'echo "$1" >> $HERE/times', "exit $(cat $HERE/code)")]
    (station.folder / "code").write_text("0")
    service, everest = station.both({"platform": config}, registered=False)
    assert everest.call("set_system_time", "2030-11-22T08:48:40.123+01:00") is True
    (told,) = (station.folder / "times").read_text().split()
    assert re.fullmatch(r"2030-11-22T07:\d\d:\d\d\.\d{3}Z", told)
    late = datetime.fromisoformat(told) - datetime(2030, 11, 22, 7, 48, 40, 123_000, UTC)
    assert timedelta(0) <= late < timedelta(minutes=1)  # what has passed until then is added
    (station.folder / "code").write_text("1")
    assert everest.call("set_system_time", "2030-11-22T07:48:40Z") is False
    assert len(service.lines("the system time was not set")) == 1
    service.configure({"platform": {"command": {"set_time": []}}})
    service.restart()
    assert everest.call("set_system_time", "2030-11-22T07:48:40Z") is False
