"""The operator's hand on the running service, and what it says of itself; its footprint when nobody wants anything."""

import time

import pytest
from support.http_server import File, Reply
from support.stations import IMAGE, MEBIBYTE, Station

from everest_system.fsm.messages import ResetType


@pytest.mark.parametrize("end", ["", "kill"])
def test_pause_and_resume(station: Station, http, end):
    """L01.FR.14: a paused download stays paused, also across restarts, until it is resumed, and goes on then."""
    http.files["/fw.bin"] = File(IMAGE * 8, etag='"one"')
    http.plan("/fw.bin", Reply(stall_at=7 * MEBIBYTE), Reply())
    service, everest = station.both(heartbeat_s=1.0)  # the pace that is taken for granted until one is measured
    assert "error" in service.ask("pause")  # there is nothing to pause yet
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1, "retries": 1})
    service.wait_for_status(lambda told: told["firmware"]["received"] > 0)
    assert service.ask("pause") == {"done": "paused"}
    everest.wait_for("DownloadPaused", 1)
    assert "error" in service.ask("pause")
    if end:
        getattr(service, end)()
        service.start()
        everest.accept_boot()
    told = service.ask("status")["modules"]["system_api"]["firmware"]
    assert (told["state"], told["held"], told["timers"]) == ("DOWNLOAD_PAUSED", True, [])
    assert service.ask("resume") == {"done": "resumed"}
    everest.wait_for("Installed", 1)
    assert [status.word for status in everest.statuses] == [
        "Downloading", "DownloadPaused", "Downloading", "Downloaded", "Installing", "Installed",
    ]  # fmt: skip
    assert [request.status for request in http.requests] == [200, 206]


def test_status(station: Station, http):
    """The status of a running service tells its machines, its request without secrets, its progress and its timers."""
    http.files["/fw.bin"] = File(IMAGE * 8)
    http.plan("/fw.bin", Reply(stall_at=5 * MEBIBYTE))
    service, everest = station.both()
    location = http.url("/fw.bin", user="fleet", password="secret")
    everest.call("update_firmware", {"location": location, "request_id": 9})
    told = service.wait_for_status(lambda told: told["firmware"].get("progress", {}).get("done", 0) > 4 * MEBIBYTE)
    firmware = told["firmware"]
    assert (firmware["state"], firmware["request_id"], firmware["last_status"]) == ("DOWNLOADING", 9, "Downloading")
    assert firmware["progress"]["total"] == 8 * MEBIBYTE
    assert [timer["name"] for timer in firmware["timers"]] == ["DownloadTimedOut"]
    assert told["presence"]["state"] == "REGISTERED"
    whole = service.ask("status")
    assert (whole["running"], whole["broker_connected"]) == (True, True)
    assert "secret" not in str(whole) + service.log_text()
    assert "error" in service.ask("dance")


def test_module_unknown(station: Station):
    """A module id that is none, of whatever type, is answered with those that there are, and the service goes on."""
    service, _ = station.both()
    for module_id in ("system_api_9", "", 5, True, ["system_api"], {"system_api": 1}):
        for command in ("pause", "resume", "reset"):
            assert service.ask(command, module_id=module_id) == {"error": "no such module; there are: system_api"}
    assert service.ask("status")["running"]


def test_local_reset(station: Station):
    """The operator's reset boots the machine, here in place, with LocalReset as its reason."""
    service, everest = station.both()
    since = len(service.log)
    assert service.ask("reset") == {"done": "resetting"}
    service.wait_for("connected to the broker", since=since)
    everest.restart()
    assert everest.boot_reason() == "LocalReset"


def test_dry_run_of_systemd(station: Station):
    """platform.dry_run: the log has what systemd and the kernel would be told; the station starts anew in place."""
    platform = {"kind": "systemd", "dry_run": True, "time_despite_ntp": True}
    service, everest = station.both({"platform": platform})
    assert everest.call("is_reset_allowed", "NotSpecified") is True
    assert everest.call("set_system_time", "2040-01-01T00:00:00Z") is True
    everest.reset(ResetType.SOFT)
    service.wait_for("EVerest would be restarted")
    since = len(service.log)
    everest.reset(ResetType.HARD, scheduled=True)
    service.wait_for("connected to the broker", since=since)
    everest.restart()
    assert everest.boot_reason() == "ScheduledReset"
    told = [line["argv"] for line in service.lines("dry run: would run") if line["argv"][0] == "systemctl"]
    assert told == [
        ["systemctl", "--no-ask-password", "restart", "everest.service"],
        ["systemctl", "--no-ask-password", "-i", "reboot"],
    ]
    assert (
        service.lines("dry run: would set the clock") or service.lines("dry run: would run")[0]["argv"][0] == "busctl"
    )


def test_footprint(station: Station, capsys):
    """Idle and connected, the service holds less than 45 MiB."""
    service = station.service(start=False)
    service.covered = False
    begin = time.monotonic()
    service.start()
    everest = station.everest(registered=False)
    first_check_s = time.monotonic() - begin
    everest.boot_reason()
    assert everest.call("is_reset_allowed", "Soft") is True
    resident_mib = service.resident_kib() / 1024
    with capsys.disabled():
        print(f"\n[idle: {resident_mib:.1f} MiB; start to first communication check: {first_check_s:.2f} s]")
    assert resident_mib < 45
