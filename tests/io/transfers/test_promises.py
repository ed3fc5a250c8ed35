"""What holds for every protocol alike: cancel, stall and connect time-outs, proxies, and files of this machine."""

import base64
import os
import socket
import threading

import pytest
from support.http_server import File, HttpServer, Reply, make_certificate
from support.machine_time import machine_time
from support.scripted_server import HOST, FtpScript, RawServer
from support.transfer_side import LOGS, SCHEMES, TransferSide

from everest_system.fsm.artifact import Part
from everest_system.fsm.errors import CanceledError
from everest_system.io.transfers import upload as upload_module
from everest_system.io.transfers.transfer import Fault

EVERY_SCHEME = sorted(SCHEMES)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def side(tmp_path):
    return TransferSide(tmp_path, known_hosts_file=tmp_path / "known_hosts", keep_new_hosts=True)


def seconds_after_cancel(side, silent, act):
    moments = []

    def cancel():
        silent.wait(30)
        moments.append(machine_time())
        side.canceled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CanceledError):
        act()
    ended = machine_time()
    thread.join()
    return ended - moments[0]


@pytest.mark.parametrize("scheme", EVERY_SCHEME)
@pytest.mark.parametrize("way", ["get", "put"])
def test_cancel_ends_a_silent_handshake(side, scheme, way):
    """A cancel ends a transfer within 200 ms with a server that takes the connection and says nothing."""
    with RawServer(None) as server:
        url = f"{scheme}://{HOST}:{server.port}/f"
        assert seconds_after_cancel(side, server.silent, lambda: getattr(side, way)(url)) < 0.25  # with a sync


@pytest.mark.parametrize("way", ["get", "put"])
def test_cancel_ends_a_connection_that_never_comes_about(side, way):
    """A cancel ends a transfer within 200 ms whose connection nobody takes."""
    soon = threading.Event()
    soon.set()
    # A full queue of connections: nobody answers the next one.
    with socket.create_server((HOST, 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        url = f"http://{HOST}:{full.getsockname()[1]}/f"
        assert seconds_after_cancel(side, soon, lambda: getattr(side, way)(url)) < 0.25
        for each in waiting:
            each.close()


@pytest.mark.parametrize(
    ("way", "answers"),
    [("get", {command: ""}) for command in ("USER", "AUTH", "PASS", "EPSV", "SIZE", "RETR")]
    + [("get", {"after": ""}), ("put", {"STOR": ""}), ("put", {"after": ""})],
)
def test_cancel_ends_an_ftp_server_that_falls_silent(side, way, answers):
    """A cancel ends an FTP transfer within 200 ms at whatever command the server fell silent, the last one included."""
    with FtpScript(**answers) as server:
        url = f"ftp://u:p@{HOST}:{server.port}/f"
        assert seconds_after_cancel(side, server.silent, lambda: getattr(side, way)(url)) < 0.25


def test_ftp_server_that_never_says_that_it_has_the_file(side):
    """An FTP server that falls silent after the last byte ends the upload soon after the stall time-out."""
    side.settings.update(stall_timeout_s=0.2)
    begun = machine_time()
    with FtpScript(after="") as server:
        assert side.put_fails(f"ftp://{HOST}:{server.port}/f").fault is Fault.FAILED
    assert machine_time() - begun < 3


@pytest.mark.parametrize("scheme", EVERY_SCHEME)
def test_silence_comes_to_an_end(side, scheme):
    """Where the other side never says a word, the connect or the stall time-out ends the attempt."""
    side.settings.update(connect_timeout_s=0.2, stall_timeout_s=0.2)
    with RawServer(None) as server:
        begun = machine_time()
        assert side.get_fails(f"{scheme}://{HOST}:{server.port}/f").fault is Fault.FAILED
        assert machine_time() - begun < 1


def test_ftp_data_come_from_the_server_alone(side):
    """An FTP server that names another host for the data is asked for them itself: nobody is probed through us."""
    with FtpScript(EPSV="500 no") as server:
        server.answers_to["PASV"] = server.answers_to["PASV"].replace(HOST.replace(".", ","), "192,0,2,1")
        assert side.get(f"ftp://{HOST}:{server.port}/f").length == 5


def test_file_is_not_uncompressed(side):
    """A body that calls itself compressed is kept as it is: what unpacks to a thousand times its size stays small."""
    with HttpServer() as server:
        server.files["/f"] = File(b"\x1f\x8b not even gzip")
        server.plan("/f", Reply(headers={"Content-Encoding": "gzip"}))
        side.get(server.url("/f"))
        assert side.content() == b"\x1f\x8b not even gzip"


# Proxies


@pytest.fixture
def proxy():
    with HttpServer() as server:
        server.tunnel = True
        yield server


def test_http_goes_through_the_proxy(side, proxy, monkeypatch):
    """With http_proxy a file is asked for there, with its own user and password, but for hosts of no_proxy."""
    proxy.files["/f"] = File(b"12345")
    monkeypatch.setenv("http_proxy", proxy.url("", user="u", password="secret"))
    side.get("http://files.invalid/f")
    (request,) = proxy.requests
    assert request.path == "http://files.invalid/f"
    assert request.headers["Proxy-Authorization"] == "Basic " + base64.b64encode(b"u:secret").decode()
    monkeypatch.setenv("no_proxy", "files.invalid")
    assert "secret" not in str(side.get_fails("http://files.invalid/f"))
    assert len(proxy.requests) == 1


def test_https_and_ftp_go_through_a_tunnel(side, proxy, monkeypatch, tmp_path):
    """With all_proxy https and ftp go through tunnels, data connections too, and the certificate is the server's."""
    monkeypatch.setenv("all_proxy", proxy.url())
    tls = make_certificate(tmp_path)
    side.settings["ca_files"] = (tls.cert_file,)
    with HttpServer(tls=tls) as server:
        server.files["/f"] = File(b"12345")
        side.get(server.url("/f"))
        assert [(request.method, request.path) for request in proxy.requests] == [("CONNECT", f"{HOST}:{server.port}")]
        assert "Proxy-Authorization" not in server.requests[0].headers
    proxy.requests.clear()
    with FtpScript() as server:
        side.put(f"ftp://{HOST}:{server.port}/f")
        assert len(proxy.requests) == 2
        assert "STOR f" in server.commands


@pytest.mark.parametrize("address", ["http4://u:secret@h:1", "http://u:secret@h:99999", "http://u:secret@127.0.0.1:1"])
@pytest.mark.parametrize("scheme", EVERY_SCHEME)
def test_proxy_that_does_not_work_is_told_without_its_password(side, monkeypatch, scheme, address):
    """Whatever is wrong with a proxy, its password is in no error."""
    monkeypatch.setenv("http_proxy" if scheme == "http" else "all_proxy", address)
    error = side.get_fails(f"{scheme}://files.invalid/f")
    assert error.fault is Fault.FAILED
    assert "secret" not in str(error)


# Files of this machine


@pytest.fixture
def local(side, monkeypatch):
    monkeypatch.setattr("support.transfer_side.SCHEMES", frozenset({"file"}))
    return side


def test_file_both_ways(local, tmp_path):
    """A file of this machine is copied, gone on with where a part was kept, and an archive is put in place."""
    file = tmp_path / "fw 1.bin"
    file.write_bytes(b"0123456789")
    os.utime(file, (7, 7))
    url = f"file://{tmp_path}/fw%201.bin"
    local.get(url)
    assert local.content() == b"0123456789"
    local._keep(Part(length=4, total=10, validator="MDTM 7 SIZE 10"))
    local.get(url)
    assert (local.starts, local.content()) == ([0, 4], b"0123456789")
    file.write_bytes(b"another")
    local.get(url)
    assert local.content() == b"another"
    local.put(f"file://{tmp_path}/out")
    assert (tmp_path / "out").read_bytes() == LOGS


def test_file_is_taken_only_where_it_is_allowed(side, tmp_path):
    """Without `file` among the schemes no file of this machine is read or written."""
    (tmp_path / "f").write_bytes(b"x")
    assert side.get_fails(f"file://{tmp_path}/f").log_status == "NotSupportedOperation"
    assert side.put_fails(f"file://{tmp_path}/g").log_status == "NotSupportedOperation"
    assert not (tmp_path / "g").exists()


def test_what_is_no_plain_file_is_refused(local, tmp_path):
    """Folders are not listed, and nobody waits for the other end of a pipe."""
    os.mkfifo(tmp_path / "pipe")
    for path in ("pipe", "", "none"):
        assert local.get_fails(f"file://{tmp_path}/{path}").fault is Fault.REFUSED
    assert local.get_fails(f"file://{tmp_path}").fault is Fault.REFUSED
    assert local.put_fails(f"file://{tmp_path}/pipe").fault is Fault.REFUSED


def test_upload_to_a_file_is_on_the_disk(local, tmp_path, monkeypatch):
    """An archive that cannot be synced in its new place has not arrived."""

    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(upload_module.os, "fsync", fail)
    error = local.put_fails(f"file://{tmp_path}/out")
    assert (error.fault, "cannot sync" in str(error)) == (Fault.FAILED, True)
