"""Firmware in and logs out, over real HTTP and FTP servers."""

import io
import json
import os
import tarfile

import pytest
from support.forms import fields
from support.ftp_server import FtpServer
from support.http_server import File, Reply
from support.stations import IMAGE, MEBIBYTE, Station, wait_until_empty, words

BIG = IMAGE * 8


def installed(service):
    """What the active slot holds."""
    return (service.state_dir / "slots" / "current" / "image").read_bytes()


def test_http_resume(station: Station, http):
    """A download cut in the middle is DownloadPaused, and then goes on from the byte that it had."""
    http.files["/fw.bin"] = File(BIG, etag='"one"')
    http.plan("/fw.bin", Reply(cut_at=5 * MEBIBYTE), Reply())
    service, everest = station.both()
    request = {"location": http.url("/fw.bin"), "request_id": 1, "retries": 2, "retry_interval_s": 0}
    everest.call("update_firmware", request)
    everest.wait_for("Installed", 1)
    assert words(everest) == [
        "Downloading", "DownloadPaused", "Downloading", "Downloaded", "Installing", "Installed",
    ]  # fmt: skip
    first, second = http.requests
    assert (first.status, second.status) == (200, 206)
    start = int(second.headers["Range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < start <= 5 * MEBIBYTE
    assert second.headers["If-Range"] == '"one"'
    assert installed(service) == BIG
    wait_until_empty(service.state_dir / "artifacts")


def test_another_file_in_between(station: Station, http):
    """If the server has another file by then, the download begins anew and no mixture is installed."""
    http.files["/fw.bin"] = File(BIG, etag='"one"')
    http.plan("/fw.bin", Reply(cut_at=5 * MEBIBYTE), Reply())
    service, everest = station.both()
    service_request = {"location": http.url("/fw.bin"), "request_id": 1, "retries": 2, "retry_interval_s": 1}
    everest.call("update_firmware", service_request)
    service.wait_for_state("firmware", "DOWNLOAD_PAUSED")
    http.files["/fw.bin"] = File(IMAGE, etag='"two"')
    everest.wait_for("Installed", 1)
    assert [request.status for request in http.requests] == [200, 200]
    assert installed(service) == IMAGE


def test_ftp_resume(station: Station, tmp_path):
    """Firmware over FTP goes on from the byte it had too (REST)."""
    (tmp_path / "ftp").mkdir()
    (tmp_path / "ftp" / "fw.bin").write_bytes(BIG)
    with FtpServer(tmp_path / "ftp") as ftp:
        ftp.cut_at = 5 * MEBIBYTE
        service, everest = station.both()
        request = {"location": ftp.url("/fw.bin"), "request_id": 1, "retries": 3, "retry_interval_s": 1}
        everest.call("update_firmware", request)
        service.wait_for_state("firmware", "DOWNLOAD_PAUSED")
        ftp.cut_at = None
        everest.wait_for("Installed", 1)
        assert words(everest) == [
            "Downloading", "DownloadPaused", "Downloading", "Downloaded", "Installing", "Installed",
        ]  # fmt: skip
        assert "REST" in ftp.commands
        assert installed(service) == BIG
        assert ftp.password not in service.log_text()
        service.stop()


def test_missing_firmware(station: Station, http):
    """A 404 page is no firmware: DownloadFailed once, and no second attempt."""
    service, everest = station.both()
    everest.call("update_firmware", {"location": http.url("/no.bin"), "request_id": 1, "retries": 3})
    service.wait_for_state("firmware", "DOWNLOAD_FAILED")
    everest.wait_for("DownloadFailed", 1)
    assert (words(everest), len(http.requests)) == (["Downloading", "DownloadFailed"], 1)


def members(archive: bytes) -> dict[str, bytes]:
    """What is in an archive, by name."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def check(archive: bytes) -> None:
    """It holds the log, and a manifest that names it."""
    found = members(archive)
    manifest = json.loads(next(content for name, content in found.items() if name.endswith("manifest.json")))
    assert b"all is well\n" in found.values()
    assert "everest.log" in json.dumps(manifest)
    assert manifest["request_id"] == 4


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_http_upload(station: Station, http, method):
    """An upload by PUT or as a form brings the archive whole, under its announced name, and leaves the spool empty."""
    service, everest = station.both({"logs": {"upload_method": method, "upload_field": "log"}})
    reply = everest.call("upload_logs", {"location": http.url("/in/"), "request_id": 4})
    everest.wait_for("Uploaded", 4)
    assert words(everest) == ["Uploading", "Uploaded"]
    (request,) = http.requests
    assert (request.method, request.path) == (method, f"/in/{reply.file_name}")
    body = http.uploads[f"/in/{reply.file_name}"]
    if method == "POST":
        (field,) = fields(request.headers["Content-Type"], body)
        assert (field.name, field.file_name, field.content_type) == ("log", reply.file_name, "application/gzip")
        body = field.content
    check(body)
    wait_until_empty(service.state_dir / "spool")


@pytest.mark.parametrize("killed", [False, True])
def test_ftp_upload_goes_on(station: Station, tmp_path, killed):
    """A broken upload over FTP goes on from what is there, also when the service was killed meanwhile."""
    (tmp_path / "ftp").mkdir()
    with FtpServer(tmp_path / "ftp") as ftp:
        ftp.cut_upload_at = 5 * MEBIBYTE
        service, everest = station.both()
        log = os.urandom(12 * MEBIBYTE)
        (station.folder / "logs" / "everest.log").write_bytes(log)
        request = {"location": ftp.url("/"), "request_id": 4, "retries": 3, "retry_interval_s": 2}
        reply = everest.call("upload_logs", request)
        everest.wait_for("UploadFailure", 4)
        ftp.cut_upload_at = None
        if killed:
            service.kill()
            service.start()
            everest.accept_boot()
        everest.wait_for("Uploaded", 4)
        assert log in members((tmp_path / "ftp" / reply.file_name).read_bytes()).values()
        assert (ftp.commands.count("STOR"), ftp.commands.count("APPE")) == (1, 1)
        service.stop()


def test_ftp_upload(station: Station, tmp_path):
    """An upload over FTP brings the archive whole, under its announced name."""
    (tmp_path / "ftp").mkdir()
    with FtpServer(tmp_path / "ftp") as ftp:
        service, everest = station.both()
        reply = everest.call("upload_logs", {"location": ftp.url("/"), "request_id": 4})
        everest.wait_for("Uploaded", 4)
        check((tmp_path / "ftp" / reply.file_name).read_bytes())
        service.stop()


def test_precise_words(station: Station, http):
    """N01.FR.10: a refused upload says why, once; with request id -1 only UploadFailure, which EVerest survives."""
    _, everest = station.both()
    refusals = {403: "PermissionDenied", 400: "BadMessage", 405: "NotSupportedOperation", 404: "UploadFailure"}
    for status, word in refusals.items():
        http.plan("/logs", Reply(status=status))
        everest.call("upload_logs", {"location": http.url("/logs"), "request_id": status, "retries": 3})
        everest.wait_for(word, status)
        assert words(everest, status) == ["Uploading", word]
    http.plan("/logs", Reply(status=403))
    everest.call("upload_logs", {"location": http.url("/logs"), "retries": 3})
    everest.wait_for("UploadFailure", -1)
    assert words(everest, -1) == ["Uploading", "UploadFailure"]


def test_second_upload(station: Station, http):
    """N01.FR.12: a second request cancels the first: AcceptedCanceled with that one's id, then the second's own."""
    http.plan("/slow", Reply(stall_at=0))
    _, everest = station.both()
    everest.call("upload_logs", {"location": http.url("/slow"), "request_id": 4})
    everest.wait_for("Uploading", 4)
    reply = everest.call("upload_logs", {"location": http.url("/logs"), "request_id": 5})
    assert reply.upload_logs_status == "AcceptedCanceled"
    everest.wait_for("Uploaded", 5)
    assert [(status.word, status.request_id) for status in everest.arrived] == [
        ("Uploading", 4), ("AcceptedCanceled", 4), ("Uploading", 5), ("Uploaded", 5),
    ]  # fmt: skip


def test_second_upload_under_ocpp_16(station: Station, http):
    """Under OCPP 1.6 the canceled upload ends UploadFailure: at AcceptedCanceled EVerest would end."""
    http.plan("/slow", Reply(stall_at=0))
    _, everest = station.both({"station": {"ocpp_version": "1.6"}}, ocpp="1.6")
    everest.call("upload_logs", {"location": http.url("/slow")})
    everest.wait_for("Uploading", -1)
    assert everest.call("upload_logs", {"location": http.url("/logs")}).upload_logs_status == "AcceptedCanceled"
    everest.wait_for("Uploaded", -1)
    assert words(everest) == ["Uploading", "UploadFailure", "Uploading", "Uploaded"]
    assert everest.ended == ""


def test_second_update(station: Station, http):
    """L01.FR.24: a second update cancels the first, whose end status comes before anything of the second."""
    http.plan("/slow.bin", Reply(stall_at=1000))
    http.files["/slow.bin"] = File(BIG)
    _, everest = station.both()
    everest.call("update_firmware", {"location": http.url("/slow.bin"), "request_id": 4})
    assert http.stalled.wait(10)
    everest.wait_for("Downloading", 4)
    assert everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 5}) == "AcceptedCanceled"
    everest.wait_for("Installed", 5)
    assert [(status.word, status.request_id) for status in everest.arrived] == [
        ("Downloading", 4), ("DownloadFailed", 4),
        ("Downloading", 5), ("Downloaded", 5), ("Installing", 5), ("Installed", 5),
    ]  # fmt: skip


def test_busy_and_still_answering(station: Station, http, tmp_path):
    """While a download, an installation and an upload run at full speed every request is answered."""
    image = tmp_path / "big.bin"
    with image.open("wb") as file:
        file.truncate(64 * MEBIBYTE)
    http.files["/big.bin"] = File(image)
    service, everest = station.both()
    log = station.folder / "logs" / "everest.log"
    log.write_bytes(IMAGE * 24)
    everest.call("update_firmware", {"location": http.url("/big.bin"), "request_id": 1})
    everest.call("upload_logs", {"location": http.url("/logs"), "request_id": 2})
    answers = []
    while not {"INSTALLED", "UPLOADED"} <= {*service.states("firmware"), *service.states("logs")}:
        answers.append(everest.call("is_reset_allowed", "Soft", timeout_s=5))
        assert service.is_running, service.log_text()
        assert not {"DOWNLOAD_FAILED", "INSTALLATION_FAILED", "UPLOAD_FAILURE"} & {
            *service.states("firmware"),
            *service.states("logs"),
        }
    everest.wait_for("Installed", 1)
    everest.wait_for("Uploaded", 2)
    assert len(answers) > 3
