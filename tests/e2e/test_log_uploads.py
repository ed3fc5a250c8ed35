"""Log uploads by the real service: what is in them, and that each comes to its one end whoever is killed."""

import io
import json
import os
import re
import select
import signal
import tarfile
from pathlib import Path

import pytest
from support.http_server import Reply
from support.stations import Station, wait_for_file, wait_until_empty, words

NAME = re.compile(r"system_api_DiagnosticsLog_begin_\d{8}T\d{6}Z\.tar\.gz")


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The file that holds the process id of the command that hangs: it does so the first time that it runs."""
    return tmp_path / "first"


@pytest.fixture
def hangs_once(tmp_path: Path, first: Path) -> dict:
    """A configuration whose logs take for ever to collect, but only once."""
    script = f"echo run >> {tmp_path}/runs; [ -e {first} ] && exit; echo $$ > {first}.new; mv {first}.new {first}; "
    return commands(hangs=f"{script}exec sleep 300")


def commands(**scripts: str) -> dict:
    sources = {"commands": {name: {"argv": ["/bin/sh", "-c", script]} for name, script in scripts.items()}}
    return {"logs": {"sources": {"DiagnosticsLog": sources}}}


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def upload(station: Station, everest, request_id: int = 1) -> str:
    """Ask for an upload; where it will be."""
    request = {"location": station.http.url("/in/"), "request_id": request_id, "retries": 3, "retry_interval_s": 0}
    reply = everest.call("upload_logs", request)
    assert NAME.fullmatch(reply.file_name)
    return f"/in/{reply.file_name}"


def collector_of(service) -> int:
    """The process that collects."""
    tasks = Path(f"/proc/{service.pid}/task").iterdir()
    (pid,) = (int(child) for task in tasks for child in (task / "children").read_text().split())
    return pid


def gone(pid: int) -> bool:
    """Whether a process ends within the next seconds; somebody else waits for it."""
    try:
        held = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ready = select.select([held], [], [], 5)[0]
    os.close(held)
    return bool(ready)


def test_all_that_has_a_say_is_in_it(station: Station, tmp_path):
    """Files, commands and the service's own words are in the archive, secrets masked and counted."""
    config = commands(disks="echo all; echo pin=1234")
    config["logs"] |= {"mask_id_tokens": True, "mask": {"pin": {"literals": ["pin="], "pattern": r"pin=(\d+)"}}}
    config["logs"]["sources"]["DiagnosticsLog"] |= {"service": True}
    service, everest = station.both(config)
    (tmp_path / "logs" / "everest.log").write_text("PUT ftp://user:geheim@host/ by {'idTag': 'DRIVER'}\n")
    path = upload(station, everest, 7)
    everest.wait_for("Uploaded", 7)
    members = unpacked(station.http.uploads[path])
    manifest = json.loads(members.pop("manifest.json"))
    log = str(tmp_path / "logs" / "everest.log").lstrip("/")
    assert list(members) == ["commands/disks.txt", "everest-system/history.json", "everest-system/status.json", log]
    assert members["commands/disks.txt"] == b"all\npin=****\n"
    assert members[log] == b"PUT ftp://user:******@host/ by {'idTag': '******'}\n"
    assert manifest["masked"] == {"url_password": 1, "authorization": 0, "id_token": 1, "pin": 1}
    assert (manifest["request_id"], manifest["archive"]) == (7, path.removeprefix("/in/"))
    assert (manifest["errors"], manifest["left_out"]) == ([], [])
    assert manifest["versions"]["python"]
    status = json.loads(members["everest-system/status.json"])
    assert status["modules"]["system_api"]["logs"]["state"] == "COLLECTING"
    history = json.loads(members["everest-system/history.json"])
    assert [step["to"] for step in history if step["machine"] == "logs"] == ["ACCEPTED", "COLLECTING"]
    assert not [line for line in service.log if line.get("level") in {"error", "critical"}]


def test_killed_while_it_collects(station: Station, hangs_once, first, tmp_path):
    """The collector and its programs die with the service, and the next start collects anew."""
    service, everest = station.both(hangs_once)
    path = upload(station, everest)
    wait_for_file(first)
    collector = collector_of(service)
    service.kill()
    assert gone(collector)
    assert gone(int(first.read_text()))
    service.start()
    everest.accept_boot()
    everest.wait_for("Uploaded", 1)
    assert words(everest, 1)[-1] == "Uploaded"  # an EVerest that is not known again hears the latest status only
    assert "manifest.json" in unpacked(station.http.uploads[path])
    assert (tmp_path / "runs").read_text() == "run\nrun\n"
    wait_until_empty(service.state_dir / "spool")


def test_killed_while_it_uploads(station: Station, hangs_once, first, tmp_path):
    """The archive that is complete is uploaded as it is: nothing is collected again."""
    first.touch()
    service, everest = station.both(hangs_once)
    request = {"location": station.http.url("/in/a.tar.gz"), "request_id": 1, "retries": 3, "retry_interval_s": 0}
    station.http.plan("/in/a.tar.gz", Reply(stall_at=0), Reply())
    everest.call("upload_logs", request)
    everest.wait_for("Uploading", 1)
    assert station.http.stalled.wait(10)  # or its first reply would meet the upload after the kill
    (spooled,) = (service.state_dir / "spool").rglob("*.tar.gz")
    archive, inode = spooled.read_bytes(), spooled.stat().st_ino
    service.kill()
    assert spooled.stat().st_ino == inode
    (tmp_path / "logs" / "everest.log").write_text("something new\n")
    service.start()
    everest.accept_boot()
    everest.wait_for("Uploaded", 1)
    assert station.http.uploads["/in/a.tar.gz"] == archive
    assert (tmp_path / "runs").read_text() == "run\n"


def test_a_new_request_cancels_a_collection(station: Station, hangs_once, first):
    """What was being collected is given up at once, with all of its processes."""
    service, everest = station.both(hangs_once)
    upload(station, everest, 1)
    wait_for_file(first)
    collector = collector_of(service)
    path = upload(station, everest, 2)
    assert gone(collector)
    assert gone(int(first.read_text()))
    everest.wait_for("Uploaded", 2)
    assert words(everest, 1) == ["AcceptedCanceled"]
    assert "manifest.json" in unpacked(station.http.uploads[path])
    assert not service.warnings()


def test_a_collector_that_is_killed(station: Station, hangs_once, first):
    """The request ends in UploadFailure with the reason, and the spool is clean."""
    service, everest = station.both(hangs_once)
    upload(station, everest)
    wait_for_file(first)
    os.kill(collector_of(service), signal.SIGKILL)
    everest.wait_for("UploadFailure", 1)
    assert gone(int(first.read_text()))
    line = service.wait_for_state("logs", "UPLOAD_FAILURE")
    assert line["reason"] == "the log collector was killed by SIGKILL"
    wait_until_empty(service.state_dir / "spool")


def test_stopped_while_it_collects(station: Station, hangs_once, first):
    """A stop by systemd, which tells every process of the unit, is no end of the request: the next start goes on."""
    service, everest = station.both(hangs_once)
    path = upload(station, everest)
    wait_for_file(first)
    os.kill(collector_of(service), signal.SIGTERM)
    service.stop()
    assert gone(int(first.read_text()))
    service.start()
    everest.accept_boot()
    everest.wait_for("Uploaded", 1)
    assert "UploadFailure" not in words(everest, 1)
    assert path in station.http.uploads
