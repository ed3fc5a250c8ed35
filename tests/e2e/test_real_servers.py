"""The whole service with the servers of the field: nginx, vsftpd and OpenSSH, each over every scheme it has.

What each answer means to the engine is in `test_real_servers_http.py` and its neighbours.
"""

import tarfile
from pathlib import Path

import pytest
from support.nginx import PASSWORD, Nginx
from support.pki import Issuer
from support.server_certificates import LONG_AGO, certificate
from support.sshd import Sshd
from support.stations import IMAGE, MEBIBYTE, Station, wait_for_words, words
from support.vsftpd import Vsftpd

ON_AGAIN = ["Downloading", "DownloadPaused", "Downloading", "Downloaded", "Installing", "Installed"]
SLOW = {"local_max_rate": str(MEBIBYTE)}
RATE_KBPS = 16_000
"""Of the station, for OpenSSH has no rate of its own. Over SFTP libcurl takes a second's worth at once, and waits."""


@pytest.fixture
def authority(tmp_path):
    """An authority that `TRUSTING` stations trust."""
    root = Issuer.root("Servers")
    (tmp_path / "servers.pem").write_text(root.pem)
    return root


@pytest.fixture
def server(tmp_path, authority, request):
    """A server, by the scheme that the test's parameter says; it has a firmware at /fw.bin and takes files in /in/."""
    tls = certificate(tmp_path / "tls", authority)
    make = {
        "http": lambda folder: Nginx(folder),
        "https": lambda folder: Nginx(folder, tls=tls),
        "ftp": lambda folder: Vsftpd(folder, options=SLOW),
        "ftp with TLS": lambda folder: Vsftpd(folder, options=SLOW, tls=tls),
        "ftps": lambda folder: Vsftpd(folder, options=SLOW, tls=tls, implicit=True),
        "sftp": lambda folder: Sshd(folder),
    }[request.param]
    with make(tmp_path / "server") as server:
        (server.files / "fw.bin").write_bytes(IMAGE * 6 if request.param == "sftp" else IMAGE)
        yield server


def installed(service) -> bytes:
    """What the active slot holds."""
    return (service.state_dir / "slots" / "current" / "image").read_bytes()


def logs_in(archive: Path) -> list[bytes]:
    """What is in an archive."""
    with tarfile.open(archive, mode="r:gz") as tar:
        return [tar.extractfile(member).read() for member in tar if member.isfile()]


@pytest.mark.parametrize("server", ["http", "https", "ftp", "ftp with TLS", "ftps", "sftp"], indirect=True)
def test_server_killed_in_the_middle(station: Station, server):
    """Firmware goes on from the byte it had when the server is back, logs arrive, and no log line has the password."""
    service, everest = station.both(
        {
            "firmware": {"rate_limit_kbps": RATE_KBPS},
            "transfers": {"ca_files": [str(station.folder / "servers.pem")]},
        }
    )
    path = "/slow/fw.bin" if isinstance(server, Nginx) else "/fw.bin"
    request = {"location": server.url(path), "request_id": 1, "retries": 2, "retry_interval_s": 1}
    everest.call("update_firmware", request)
    service.wait_for_status(lambda told: told["firmware"].get("progress", {}).get("done", 0) > MEBIBYTE // 4)
    server.kill()
    everest.wait_for("DownloadPaused", 1)
    server.start()
    wait_for_words(everest, ON_AGAIN)
    assert installed(service) == (server.files / "fw.bin").read_bytes()
    reply = everest.call("upload_logs", {"location": server.url("/in/"), "request_id": 2})
    wait_for_words(everest, ["Uploading", "Uploaded"], 2)
    assert b"all is well\n" in logs_in(server.files / "in" / reply.file_name)
    assert PASSWORD not in service.log_text()


def test_precise_words(station: Station, tmp_path):
    """N01.FR.10: a refused upload says why, once, whoever refuses it."""
    _, everest = station.both()
    with Nginx(tmp_path / "nginx") as nginx, Vsftpd(tmp_path / "vsftpd") as vsftpd, Sshd(tmp_path / "sshd") as sshd:
        (nginx.files / "there").touch()
        (station.folder / "logs" / "everest.log").write_bytes(IMAGE)
        refusals = [
            (nginx.url("/private/"), "PermissionDenied"),  # 401
            (nginx.url("/denied/"), "PermissionDenied"),  # 403
            (nginx.url("/there"), "NotSupportedOperation"),  # 405
            (nginx.url("/small/"), "UploadFailure"),  # 413
            (vsftpd.url("/in/", "station:wrong"), "PermissionDenied"),  # 530
            (vsftpd.url("/"), "PermissionDenied"),  # 553
            (vsftpd.url("/no/"), "UploadFailure"),  # 550, but not on storing
            (sshd.url("/in/", "station:wrong"), "PermissionDenied"),
            (sshd.url("/"), "PermissionDenied"),
            (sshd.url("/no/"), "UploadFailure"),
        ]
        for request_id, (url, word) in enumerate(refusals):
            everest.call("upload_logs", {"location": url, "request_id": request_id, "retries": 3})
            wait_for_words(everest, ["Uploading", word], request_id)
        assert len(words(everest)) == 2 * len(refusals)


def test_untrusted_servers(station: Station, authority, tmp_path):
    """A server whose certificate does not hold gets no request; the log says at each attempt what is wrong with it."""
    service, everest = station.both({"transfers": {"ca_files": [str(station.folder / "servers.pem")]}})
    certificates = {
        "no alternative certificate": certificate(tmp_path / "other", authority, "elsewhere.example"),
        "certificate has expired": certificate(tmp_path / "expired", authority, not_after=LONG_AGO),
        "self-signed certificate": certificate(tmp_path / "self", None),
    }
    for request_id, (cause, tls) in enumerate(certificates.items()):
        with Nginx(tmp_path / f"nginx{request_id}", tls=tls) as server:
            (server.files / "fw.bin").write_bytes(IMAGE)
            request = {"location": server.url("/fw.bin"), "request_id": request_id, "retries": 2, "retry_interval_s": 0}
            everest.call("update_firmware", request)
            wait_for_words(everest, ["Downloading", "DownloadFailed"] * 2, request_id)
            assert server.requests() == []
        reasons = [line.get("reason", "") for line in service.log if line.get("request_id") == request_id]
        assert len([reason for reason in reasons if cause in reason]) == 2


def test_another_sftp_server(station: Station, tmp_path):
    """Another server in the place of one that is known gets no logs, and no password; the log names both keys."""
    service, everest = station.both()
    with Sshd(tmp_path / "sshd") as sshd:
        everest.call("upload_logs", {"location": sshd.url("/in/a"), "request_id": 1})
        wait_for_words(everest, ["Uploading", "Uploaded"], 1)
        sshd.kill()
        sshd.new_host_key()
        sshd.start()
        since = len(service.log)
        service.restart()
        everest.accept_boot()
        service.wait_for_state("presence", "REGISTERED", since=since)
        everest.call("upload_logs", {"location": sshd.url("/in/b"), "request_id": 2, "retries": 1})
        wait_for_words(everest, ["Uploading", "UploadFailure"], 2)
        assert [file.name for file in (sshd.files / "in").iterdir()] == ["a"]
        assert sshd.output().count("password for") == 1
    (reason,) = [line["reason"] for line in service.log if line.get("request_id") == 2 and line.get("reason")]
    assert reason.count("SHA256:") == 2
    assert PASSWORD not in service.log_text()
