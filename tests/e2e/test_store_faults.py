"""Whatever has become of state.db and its disk, the service starts or says in one line why not; never half of it."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.http_server import File, Reply
from support.service_process import ServiceProcess
from support.small_disk import small_disk
from support.stations import IMAGE, MEBIBYTE, Station, wait_for_file, words

from everest_system.fsm.machine import RESUMES_MAX

GIBIBYTE = 1 << 30


def run(service: ServiceProcess) -> subprocess.CompletedProcess[str]:
    """The service where it ends by itself: what systemd sees of it."""
    command = [sys.executable, "-m", "everest_system", "run", "-c", str(service.config_file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def change(service: ServiceProcess, statement: str, *values: object) -> None:
    """Change state.db behind the service's back."""
    with closing(sqlite3.connect(service.state_dir / "state.db")) as db, db:
        db.execute(statement, values)


def damage_history(service: ServiceProcess) -> None:
    """Put garbage where the history begins."""
    with closing(sqlite3.connect(service.state_dir / "state.db")) as db:
        page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'history'").fetchone()[0]
    with (service.state_dir / "state.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)


def test_corrupt(station: Station):
    """A damaged state.db is named in the log at error level and set aside, and the service answers as ever."""
    service, everest = station.both()
    service.kill()
    (service.state_dir / "state.db").write_bytes(b"garbage " * 5000)
    service.start()
    (line,) = service.lines("is set aside as state.db.corrupt-")
    assert line["level"] == "error"
    assert len(list(service.state_dir.glob("state.db.corrupt-*"))) == 1
    assert everest.call("is_reset_allowed", "Soft") is True
    assert everest.call("get_boot_reason") == "Unknown"
    service.kill()
    since = len(service.log)
    service.start()
    assert not service.lines("set aside", since=since)


def test_history_damaged_while_downloading(station: Station, http):
    """Damage in the history, which most of the file is, costs a running update nothing."""
    http.files["/fw.bin"] = File(IMAGE * 8, etag='"one"')
    http.plan("/fw.bin", Reply(stall_at=7 * MEBIBYTE), Reply())
    service, everest = station.both()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    service.wait_for_status(lambda told: told["firmware"]["received"] > 0)
    service.kill()
    damage_history(service)
    service.start()
    assert service.lines("snapshots and")
    everest.accept_boot()
    everest.wait_for("Installed", 1)
    assert [request.status for request in http.requests] == [200, 206]


def test_unknown_state_and_module(station: Station, http):
    """A state of a newer version ends its update, which is said, and a module that is gone is left as it is."""
    http.plan("/fw.bin", Reply(stall_at=MEBIBYTE // 2), Reply())
    service, everest = station.both()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    everest.wait_for("Downloading", 1)
    wait_for_requests(station, 1)
    service.kill()
    change(service, "UPDATE snapshots SET json = replace(json, '\"DOWNLOADING\"', '\"POLISHING\"')")
    change(service, "INSERT INTO snapshots VALUES ('other_api', 'firmware', '{}')")
    service.start()
    everest.accept_boot()
    everest.wait_for("DownloadFailed", 1)
    assert service.lines("firmware of system_api cannot be read (state: enum): its request ends as failed")
    assert service.lines("the store remembers other_api")
    assert len(list(service.state_dir.glob("state.db.corrupt-*"))) == 1
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 2})
    everest.wait_for("Installed", 2)


def test_newer(station: Station, http):
    """The version before goes on where a newer one was that a roll back took away, in the middle of an update."""
    http.files["/fw.bin"] = File(IMAGE * 8, etag='"one"')
    http.plan("/fw.bin", Reply(stall_at=7 * MEBIBYTE), Reply())
    service, everest = station.both()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    service.wait_for_status(lambda told: told["firmware"]["received"] > 0)
    service.kill()
    change(service, "ALTER TABLE outbox ADD COLUMN colour TEXT")
    change(service, "UPDATE snapshots SET json = json_set(json, '$.colour', 'red')")
    change(service, "PRAGMA user_version = 99")
    service.start()
    assert service.lines("was written by a newer version of everest-system (schema 99, this one knows")
    everest.accept_boot()
    everest.wait_for("Installed", 1)
    assert [request.status for request in http.requests] == [200, 206]
    assert len(list(service.state_dir.glob("state.db.newer-*"))) == 1


@pytest.mark.parametrize(
    ("state", "stored"), [("REBOOTING", "known"), ("REBOOTING", "unknown"), ("CONFIRMING", "known")]
)
def test_newer_and_the_old_firmware_again(station: Station, http, state, stored):
    """A boot back into the firmware before ends the newer version's update with InstallationFailed, exactly once."""
    boot_id = station.folder / "boot_id"
    boot_id.write_text("boot-1\n")
    machine = {
        "kind": "command",
        "boot_id_file": str(boot_id),
        "command": {"reboot": ["touch", str(station.folder / "ordered")], "restart": ["true"]},
        "health_check": ["false"],  # and it is looked at again in a long time
        "health_check_interval_s": 600,
    }
    service, everest = station.both({"platform": machine, "firmware": {"slots": {"activation": "reboot"}}})
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    everest.wait_for("InstallRebooting", 1)
    wait_for_file(station.folder / "ordered")
    if state == "CONFIRMING":
        service.kill()
        boot_id.write_text("boot-2\n")
        service.start()
        service.wait_for_state("firmware", state)
    service.kill()
    everest.stop()
    boot_id.write_text("boot-3\n")
    current = service.state_dir / "slots" / "current"
    assert current.readlink().name == "b"
    current.unlink()
    current.symlink_to("a")
    change(service, "ALTER TABLE snapshots ADD COLUMN colour TEXT")
    change(service, "ALTER TABLE outbox ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")
    change(service, "UPDATE snapshots SET json = json_set(json, '$.colour', 'red')")
    if stored == "unknown":
        change(service, "UPDATE snapshots SET json = json_set(json, '$.state', 'POLISHING') WHERE machine = 'firmware'")
    change(service, "PRAGMA user_version = 99")
    service.start()
    assert service.lines("was written by a newer version of everest-system (schema 99, this one knows")
    everest.start()
    everest.wait_for_service()
    everest.accept_boot()
    everest.wait_for("InstallationFailed", 1)
    service.wait_for_status(lambda told: told["messages_waiting"] == 0)  # said for good
    assert words(everest) == ["Downloading", "Downloaded", "Installing", "InstallRebooting", "InstallationFailed"]
    assert current.readlink().name == "a"
    assert len(list(service.state_dir.glob("state.db.newer-*"))) == 1


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ALTER TABLE outbox RENAME TO letters", "was written by a newer version of everest-system (schema 99, this"),
        ("PRAGMA application_id = 7", "belongs to another program: set station.state_dir"),
    ],
    ids=["newer by far", "foreign"],
)
def test_not_ours(station: Station, statement, says):
    """A file of which nothing can be told ends the start with exit code 1, and is not touched."""
    service = station.service()
    service.stop()
    change(service, statement)
    change(service, "PRAGMA user_version = 99")
    before = (service.state_dir / "state.db").read_bytes()
    assert says in last_line(run(service))
    assert (service.state_dir / "state.db").read_bytes() == before


def test_read_only(station: Station, tmp_path):
    """A disk that has become read-only ends the start with exit code 1 and the way out, as often as it is tried."""
    with small_disk(tmp_path / "disk") as disk:
        service = station.service({"station": {"state_dir": str(disk.folder / "state")}})
        service.stop()
        disk.make_read_only()
        for _ in range(2):
            assert "cannot be written: make the file and its folder writable for this user" in last_line(run(service))


def test_full_at_the_start(station: Station, tmp_path):
    """On a full disk the start ends with exit code 1; what was set aside is given up for it first."""
    with small_disk(tmp_path / "disk") as disk:
        service = station.service({"station": {"state_dir": str(disk.folder / "state")}})
        service.state_dir = disk.folder / "state"
        service.stop()
        disk.fill()
        assert "state.db cannot grow, the disk is full: make room, then start again" in last_line(run(service))
        disk.free()
        (service.state_dir / "state.db.corrupt-20260101T000000Z").write_bytes(bytes(MEBIBYTE))
        disk.fill()
        service.start()
        assert service.lines("removing what is not needed any more")
        assert not list(service.state_dir.glob("state.db.corrupt-*"))
        service.stop()  # before its disk is gone


def test_full_and_damaged(station: Station, tmp_path, http):
    """On a full disk a damaged state.db stays, and when there is room again the update that it knows goes on."""
    http.plan("/fw.bin", Reply(stall_at=0), Reply())
    with small_disk(tmp_path / "disk", 24) as disk:
        service, everest = station.both({"station": {"state_dir": str(disk.folder / "state")}})
        service.state_dir = disk.folder / "state"
        assert everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1}) == "Accepted"
        wait_for_requests(station, 1)
        service.kill()
        damage_history(service)
        disk.fill()
        damaged = (service.state_dir / "state.db").read_bytes()
        for _ in range(2):
            assert "cannot grow, the disk is full: make room, then start again" in last_line(run(service))
            assert (service.state_dir / "state.db").read_bytes() == damaged
        disk.free()
        service.start()
        assert service.lines("were still whole")
        everest.accept_boot()
        everest.wait_for("Installed", 1)
        service.stop()  # before its disk is gone


def test_full_in_the_middle(station: Station, tmp_path, http):
    """A request that cannot be stored is Rejected at once; the service ends, and with room again all is as before."""
    with small_disk(tmp_path / "disk", 24) as disk:
        service, everest = station.both({"station": {"state_dir": str(disk.folder / "state")}})
        service.state_dir = disk.folder / "state"
        service.wait_for_status(lambda told: told["presence"]["state"] == "REGISTERED")
        disk.fill()
        assert everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1}) == "Rejected"
        service.wait_for("everest-system: ")
        service._watcher.join(10)
        assert service.exits == [1]
        assert service.lines("removing what is not needed any more")
        disk.free()
        service.start()
        everest.wait_for_service()
        assert not http.requests
        assert everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 2}) == "Accepted"
        everest.wait_for("Installed", 2)
        assert not [status for status in everest.arrived if status.request_id == 1]
        service.stop()  # before its disk is gone


def test_download_that_kills(station: Station, http):
    """A download in which the service dies each time ends with DownloadFailed, and the next update goes through."""
    http.plan("/fw.bin", *[Reply(stall_at=0)] * (RESUMES_MAX + 1), Reply())
    service, everest = station.both()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    for served in range(RESUMES_MAX + 1):
        wait_for_requests(station, served + 1)
        service.kill()
        service.start()
    everest.accept_boot()
    everest.wait_for("DownloadFailed", 1)
    assert len(http.requests) == RESUMES_MAX + 1
    told = service.ask("status")["modules"]["system_api"]["firmware"]
    assert told["reason"] == "resumed 5 times without progress, and cut short each time"
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 2})
    everest.wait_for("Installed", 2)


def test_stops_are_no_crashes(station: Station, http):
    """Stopped by hand as often, the same download goes on."""
    http.plan("/fw.bin", *[Reply(stall_at=0)] * 3, Reply())
    service, everest = station.both()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    for served in range(3):
        wait_for_requests(station, served + 1)
        service.restart()
        with closing(sqlite3.connect(service.state_dir / "state.db")) as db:
            (text,) = db.execute("SELECT json FROM snapshots WHERE machine = 'firmware'").fetchone()
        assert json.loads(text)["starts"] <= 0
    everest.accept_boot()
    everest.wait_for("Installed", 1)


def test_answers_while_a_large_part_is_hashed(station: Station, http):
    """After SIGKILL with 4 GiB of a download on disk the service answers at once, long before these are hashed."""
    http.files["/fw.bin"] = File(IMAGE * 8, etag='"one"')
    http.plan("/fw.bin", Reply(stall_at=7 * MEBIBYTE), Reply())
    service, everest = station.both()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    service.wait_for_status(lambda told: told["firmware"]["received"] > 0)
    service.kill()
    part = service.state_dir / "artifacts" / "update-1"
    os.truncate(part, 4 * GIBIBYTE)  # a hole, but no less to hash
    change(
        service,
        "UPDATE snapshots SET json = json_set(json, '$.part.length', ?, '$.part.total', ?) WHERE machine = 'firmware'",
        4 * GIBIBYTE,
        5 * GIBIBYTE,
    )
    asked = len(http.requests)
    service.start()
    everest.accept_boot()
    for _ in range(10):
        assert everest.call("is_reset_allowed", "Soft") is True
        assert everest.call("get_boot_reason") in {"PowerUp", "ApplicationReset"}
    assert service.ask("status")["modules"]["system_api"]["firmware"]["state"] == "DOWNLOADING"
    assert len(http.requests) == asked, "it was hashed before it was asked: this tells nothing"
    again = everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 2})
    assert again == "AcceptedCanceled"
    everest.wait_for("DownloadFailed", 1)


@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "allocated"])
def test_answers_while_a_large_leftover_is_removed(station: Station, sparse):
    """After a crash that left 4 GiB of an update that is over, the service answers before their room is free."""
    service, everest = station.both()
    service.kill()
    leftover = service.state_dir / "artifacts" / "update-7"
    leftover.touch()
    if sparse:
        os.truncate(leftover, 4 * GIBIBYTE)
    else:
        allocate(leftover, 4 * GIBIBYTE)
    since = len(service.log)
    service.start()
    assert everest.call("is_reset_allowed", "Soft") is True
    assert not leftover.exists()
    assert open_and_nameless(service.pid) == ["update-7"], "it was freed before the answer: this tells nothing"
    service.stop()
    assert not service.warnings(since=since)


def allocate(file: Path, size: int) -> None:
    """Give `file` real blocks, where there is room for it twice."""
    disk = os.statvfs(file)
    if disk.f_bavail * disk.f_frsize < 2 * size:
        pytest.skip(f"takes {2 * size >> 30} GiB of room")
    with file.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, size)


def open_and_nameless(pid: int) -> list[str]:
    """The names that files had which a process holds open and which are removed."""
    names = [link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()]
    return [name.removesuffix(" (deleted)") for name in names if name.endswith(" (deleted)")]


def wait_for_requests(station: Station, number: int) -> None:
    """Wait until the file server has got that many requests and stalls in the last of them."""
    import time

    deadline = time.monotonic() + 15
    while len(station.http.requests) < number:
        assert time.monotonic() < deadline, f"no request {number}"
        time.sleep(0.01)  # the server tells of no single request
    assert Path(station.services[0].state_dir).exists()
