"""Stopped or killed at any moment, the service goes on where it was, to the right end, which it says once."""

import os
import signal
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from support.http_server import File, Reply
from support.stations import IMAGE, MEBIBYTE, Station, wait_for_file

from everest_system.fsm.timestamps import format_rfc3339

BIG = IMAGE * 8

stop_or_kill = pytest.mark.parametrize("end", ["stop", "kill"])


def heard(everest) -> list[str]:
    """What the CSMS hears: EVerest drops what it is told twice because we could not know that it had heard it."""
    return [status.word for status in everest.statuses]


def is_told(words: list[str], story: list[str], before: int) -> bool:
    """Whether they are the story's: its first `before` and its last, and in order what was said in between.

    What comes to pass before EVerest is known to be the one of before our restart is told by the latest word alone.
    """
    rest = iter(story)
    return words[:before] == story[:before] and words[-1] == story[-1] and all(word in rest for word in words)


def again(station: Station, end: str) -> None:
    """End the service so, and start it again; its EVerest lives on, and its CSMS speaks to it now and then."""
    service, everest = station.services[0], station.everests[0]
    getattr(service, end)()
    service.start()
    everest.accept_boot()


def test_idle(station: Station):
    """Idle, SIGTERM ends it with exit code 0; the next start answers as before."""
    service, everest = station.both()
    again(station, "stop")
    assert everest.call("is_reset_allowed", "Soft") is True
    assert service.exits == [0]


def test_sigterm_while_it_starts(station: Station):
    """SIGTERM between the start and the broker ends it with exit code 0 too."""
    service = station.service(start=False)
    service.start("started")
    service.stop()


def test_sigterm_between_two_starts(station: Station):
    """SIGTERM while a dry run boots in place is no less clean."""
    service = station.service()
    assert service.ask("reset") == {"done": "resetting"}
    service.wait_for("the machine would reboot now")
    service.stop()
    assert service.lines("stopped")


def test_sigterm_without_end(station: Station):
    """However often somebody impatient says SIGTERM, until the very last moment, the stop is a clean one."""
    service, _ = station.both()
    while service.is_running:
        with suppress(ProcessLookupError):
            os.kill(service.pid, signal.SIGTERM)
    service.stop()


def test_download_scheduled(station: Station, http):
    """A download that waits for its time still comes about, without another word."""
    _, everest = station.both()
    soon = format_rfc3339(datetime.now(UTC) + timedelta(seconds=1))
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1, "retrieve_timestamp": soon})
    everest.wait_for("DownloadScheduled", 1)
    again(station, "stop")
    everest.wait_for("Installed", 1)
    story = ["DownloadScheduled", "Downloading", "Downloaded", "Installing", "Installed"]
    assert is_told(heard(everest), story, 1), heard(everest)


@stop_or_kill
def test_downloading(station: Station, http, end):
    """A running download goes on from what is safe on disk, with no word said twice."""
    http.files["/fw.bin"] = File(BIG, etag='"one"')
    http.plan("/fw.bin", Reply(stall_at=7 * MEBIBYTE), Reply())
    service, everest = station.both()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1, "retries": 1})
    service.wait_for_status(lambda told: told["firmware"]["received"] > 0)
    again(station, end)
    everest.wait_for("Installed", 1)
    assert is_told(heard(everest), ["Downloading", "Downloaded", "Installing", "Installed"], 1), heard(everest)
    assert (service.state_dir / "slots" / "current" / "image").read_bytes() == BIG
    assert [request.status for request in http.requests] == [200, 206]


def test_retry_pending(station: Station, http):
    """A retry that waits for its time is made, and counts as the one that it is."""
    http.plan("/fw.bin", Reply(status=503), Reply())
    _, everest = station.both()
    everest.call(
        "update_firmware", {"location": http.url("/fw.bin"), "request_id": 1, "retries": 2, "retry_interval_s": 1}
    )
    everest.wait_for("DownloadFailed", 1)
    again(station, "stop")
    everest.wait_for("Installed", 1)
    story = ["Downloading", "DownloadFailed", "Downloading", "Downloaded", "Installing", "Installed"]
    assert is_told(heard(everest), story, 2), heard(everest)


@stop_or_kill
def test_waiting_for_permission(station: Station, http, maker, end):
    """Waiting for the permission, it asks again so that EVerest's filter lets it through, and is answered."""
    service, everest = station.both(permission_delay_s=None, heartbeat_s=1.0)
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1, **maker.signed()})
    everest.wait_for("SignatureVerified", 1)
    service.wait_for_state("firmware", "AWAITING_PERMISSION")
    again(station, end)
    everest.wait_for("InstallScheduled", 1)
    everest.wait_for("SignatureVerified", 1, since=4)
    everest.allow_installation()
    everest.wait_for("Installed", 1)
    assert heard(everest) == [
        "Downloading", "Downloaded", "SignatureVerified", "InstallScheduled", "SignatureVerified",
        "Installing", "Installed",
    ]  # fmt: skip


def slow_installer(station: Station, *, repeatable: bool) -> dict[str, object]:
    """A program that waits for a file before it has installed anything, and notes each of its runs."""
    script = station.folder / "install.sh"
    script.write_text(
        f"#!/bin/sh\necho run >> {station.folder}/runs\nwhile ! [ -e {station.folder}/go-on ]; do sleep 0.05; done\n"
    )
    script.chmod(0o755)
    command = {"install": [str(script)], "repeatable": repeatable, "activation": "none"}
    return {"firmware": {"installer": "command", "unsigned": "accept", "command": command}}


@pytest.mark.parametrize(
    ("end", "repeatable", "last"), [("stop", True, "Installed"), ("kill", False, "InstallationFailed")]
)
def test_installing(station: Station, http, end, repeatable, last):
    """An installation cut short is made again where its program bears that, else it ends InstallationFailed."""
    service, everest = station.both(slow_installer(station, repeatable=repeatable))
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    everest.wait_for("Installing", 1)
    wait_for_file(station.folder / "runs")
    getattr(service, end)()
    (station.folder / "go-on").touch()
    service.start()
    everest.accept_boot()
    everest.wait_for(last, 1)
    assert heard(everest) == ["Downloading", "Downloaded", "Installing", last]
    assert len((station.folder / "runs").read_text().split()) == (2 if repeatable else 1)


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
def test_stubborn_peers(station: Station, mosquitto, http):
    """Neither an installer that will not hear of an end nor a silent broker nor a stalled server holds up the stop."""
    station.broker = broker = mosquitto()
    script = station.folder / "install.sh"
    script.write_text(f"#!/bin/sh\ntrap '' TERM\necho run > {station.folder}/runs\nwhile true; do sleep 0.1; done\n")
    script.chmod(0o755)
    http.plan("/logs", Reply(stall_at=0))
    command = {"install": [str(script)], "activation": "none"}
    service, everest = station.both({"firmware": {"installer": "command", "command": command}})
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    everest.call("upload_logs", {"location": http.url("/logs"), "request_id": 2})
    assert http.stalled.wait(10)
    wait_for_file(station.folder / "runs")
    broker.freeze()
    service.stop()


def test_uploading(station: Station, http):
    """An upload cut short is made again from the archive that exists, and ends in one word."""
    http.plan("/logs", Reply(stall_at=0), Reply())
    _, everest = station.both()
    everest.call("upload_logs", {"location": http.url("/logs"), "request_id": 1, "retries": 1})
    assert http.stalled.wait(10)
    everest.wait_for("Uploading", 1)
    again(station, "stop")
    everest.wait_for("Uploaded", 1)
    assert heard(everest) == ["Uploading", "Uploaded"]


@stop_or_kill
def test_end_status_not_heard(station: Station, http, end):
    """An end status that EVerest was not there to hear waits through restarts, and is then said once."""
    service, everest = station.both(slow_installer(station, repeatable=False))
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    everest.wait_for("Installing", 1)
    everest.stop()
    (station.folder / "go-on").touch()
    service.wait_for_status(lambda told: told["firmware"]["state"] == "INSTALLED")
    getattr(service, end)()
    service.start()
    everest.start()
    everest.accept_boot()
    everest.wait_for("Installed", 1)
    assert heard(everest) == ["Downloading", "Downloaded", "Installing", "Installed"]
