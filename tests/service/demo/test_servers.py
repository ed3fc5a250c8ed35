"""The demonstration's file servers."""

import ftplib
import hashlib
import http.client
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from everest_system.demo.servers import FtpServer, HttpServer
from everest_system.fsm.artifact import Part
from everest_system.io.transfers.download import download
from everest_system.io.transfers.transfer import TransferSettings
from everest_system.io.transfers.upload import upload
from everest_system.io.transfers.url import upload_target

CONTENT = bytes(range(256)) * 1024  # four blocks


@pytest.fixture
def folder(tmp_path):
    below = tmp_path / "served"
    below.mkdir()
    (below / "fw.img").write_bytes(CONTENT)
    (tmp_path / "secret").write_text("not yours")
    return below


@pytest.fixture
def server(folder):
    with HttpServer(folder) as running:
        yield running


def ask(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_get_and_head(server):
    """A file comes whole, with its length and a validator; HEAD says the same without it."""
    status, headers, body = ask(server, "GET", urlsplit(server.url("fw.img")).path)
    assert (status, body, headers["Content-Length"]) == (200, CONTENT, str(len(CONTENT)))
    status, again, body = ask(server, "HEAD", "/fw.img")
    assert (status, body, again["ETag"], again["Content-Length"]) == (200, b"", headers["ETag"], str(len(CONTENT)))


@pytest.mark.parametrize(
    ("wanted", "start", "end"), [("bytes=100-", 100, len(CONTENT)), ("bytes=0-9", 0, 10), ("bytes=5-999999", 5, None)]
)
def test_ranges(server, wanted, start, end):
    """A part of a file comes as 206 with its place in the whole."""
    status, headers, body = ask(server, "GET", "/fw.img", headers={"Range": wanted})
    end = end or len(CONTENT)
    assert (status, body) == (206, CONTENT[start:end])
    assert headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


def test_a_range_beyond_the_end(server):
    """What lies behind the end cannot be had."""
    status, headers, body = ask(server, "GET", "/fw.img", headers={"Range": f"bytes={len(CONTENT)}-"})
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{len(CONTENT)}", b"")


def test_a_range_of_another_version_is_the_whole_file(server, folder):
    """If-Range with a stale validator brings the new file from its start."""
    etag = ask(server, "HEAD", "/fw.img")[1]["ETag"]
    assert ask(server, "GET", "/fw.img", headers={"Range": "bytes=1-", "If-Range": etag})[0] == 206
    (folder / "fw.img").write_bytes(CONTENT + b"!")
    status, headers, body = ask(server, "GET", "/fw.img", headers={"Range": "bytes=1-", "If-Range": etag})
    assert (status, body) == (200, CONTENT + b"!")
    assert headers["ETag"] != etag


def test_a_range_that_is_none_is_ignored(server):
    """Forms that are not understood bring the whole file, as the standard has it."""
    assert ask(server, "GET", "/fw.img", headers={"Range": "bytes=-5"})[0] == 200


@pytest.mark.parametrize("path", ["/", "/missing", "/../secret", "/%2e%2e/secret", "//etc/passwd", "/a%00b"])
def test_nothing_but_the_files_of_the_folder(server, path):
    """What is no file of the folder is not found."""
    assert ask(server, "GET", path)[0] == 404


def test_a_link_out_of_the_folder_leads_nowhere(server, folder):
    """A symbolic link does not open other folders."""
    (folder / "link").symlink_to(folder.parent / "secret")
    assert ask(server, "GET", "/link")[0] == 404


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_uploads_land_in_the_folder(server, folder, method):
    """What is put or posted is a file, folders on the way are made."""
    assert ask(server, method, "/logs/a%20b.tar.gz", CONTENT)[0] == 201
    assert (folder / "logs" / "a b.tar.gz").read_bytes() == CONTENT
    assert [file.name for file in (folder / "logs").iterdir()] == ["a b.tar.gz"]


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/../stolen", "1", 403),
        ("/", "1", 403),
        ("/logs", "1", 403),
        ("/a%00", "1", 403),
        ("/a", "-1", 411),
        ("/a", "", 411),
        ("/a", str((1 << 30) + 1), 413),
        ("/a", "9" * 30, 413),
    ],
)
def test_uploads_that_are_refused(server, folder, path, length, status):
    """An upload to nowhere, without a length, or of more than 1 GiB is refused before it is read."""
    (folder / "logs").mkdir()
    assert ask(server, "PUT", path, headers={"Content-Length": length})[0] == status
    assert sorted(file.name for file in folder.iterdir()) == ["fw.img", "logs"]


def test_half_an_upload_leaves_nothing(server, folder):
    """A client that goes in the middle leaves no file."""
    with socket.create_connection(("127.0.0.1", server.port), 5) as client:
        client.sendall(b"PUT /half HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    assert [file.name for file in folder.iterdir()] == ["fw.img"]


def test_a_rate_can_be_looked_on_at(folder):
    """A limited download takes its time."""
    with HttpServer(folder, rate_kib_s=1024) as server:
        began = time.monotonic()
        assert ask(server, "GET", "/fw.img")[2] == CONTENT
        assert time.monotonic() - began >= 0.18  # 192 KiB of its 256: the last block is not waited for


def test_ends_in_the_middle_of_a_download(folder):
    """The server does not wait for a slow download when the demonstration ends."""
    with HttpServer(folder, rate_kib_s=1) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/fw.img")
        response = connection.getresponse()
        assert response.read(10) == CONTENT[:10]
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()


def test_a_file_that_shrinks_while_it_is_sent(folder):
    """A file that ends too early ends the connection, so that the client notices."""
    with HttpServer(folder, rate_kib_s=640) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/fw.img")
        response = connection.getresponse()
        assert response.read(10) == CONTENT[:10]
        (folder / "fw.img").write_bytes(b"")
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        connection.close()


def test_a_client_that_breaks_off_is_not_told_about(server, capfd):
    """A client that goes away in the middle leaves no trace on the screen, and the server serves on."""
    with socket.create_connection(("127.0.0.1", server.port), 5) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        client.sendall(b"GET /fw.img HTTP/1.1\r\n\r\n" * 20)
        client.recv(1)
    assert ask(server, "HEAD", "/fw.img")[0] == 200
    assert capfd.readouterr() == ("", "")


def login(server, url):
    parts = urlsplit(url)
    ftp = ftplib.FTP(timeout=30)
    ftp.connect(parts.hostname, parts.port)
    try:
        ftp.login(parts.username or "", parts.password or "")
    except ftplib.error_perm:
        ftp.close()
        raise
    return ftp


@pytest.mark.parametrize(("user", "password"), [("", ""), ("station", "s3cr3t")])
def test_ftp_up_and_down(folder, user, password, capfd):
    """Firmware comes down and logs go up, for anybody or for one user, silently."""
    (folder / "logs").mkdir()
    with FtpServer(folder, user, password) as server, login(server, server.url("fw.img")) as ftp:
        received = []
        ftp.retrbinary("RETR fw.img", received.append)
        with (folder / "fw.img").open("rb") as file:
            ftp.storbinary("STOR logs/a.tar.gz", file)
    assert b"".join(received) == CONTENT
    assert (folder / "logs" / "a.tar.gz").read_bytes() == CONTENT
    assert capfd.readouterr() == ("", "")


def test_ftp_keeps_strangers_out(folder):
    """With a user, nobody else gets in."""
    with FtpServer(folder, "station", "s3cr3t") as server:
        for userinfo in ("", "station:wrong@"):
            with pytest.raises(ftplib.error_perm, match="530"):
                login(server, f"ftp://{userinfo}127.0.0.1:{server.port}/")


def test_ftp_addresses_carry_user_and_password(folder):
    """The address is complete, with odd characters encoded."""
    with FtpServer(folder, "a@b", "p/w") as server:
        assert server.url("logs/") == f"ftp://a%40b:p%2Fw@127.0.0.1:{server.port}/logs/"
    with FtpServer(folder) as server:
        assert server.url("x y") == f"ftp://127.0.0.1:{server.port}/x%20y"


def test_only_the_loopback_listens(folder):
    """Nobody from outside reaches the servers."""
    with HttpServer(folder) as web, FtpServer(folder) as ftp:
        assert web._server.socket.getsockname()[0] == ftp._server.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("kind", ["http", "ftp"])
def test_the_service_loads_and_sends(folder, tmp_path, kind):
    """The service's own transfers work with both servers: a download, continued where HTTP allows, and an upload."""
    part_file, archive = tmp_path / "part", tmp_path / "logs.tar.gz"
    part_file.write_bytes(CONTENT[:1000])
    archive.write_bytes(CONTENT * 8)  # enough to be announced with Expect: 100-continue
    how = {"settings": TransferSettings(), "schemes": {"http", "ftp"}, "canceled": threading.Event()}
    kept = Part()
    with HttpServer(folder) if kind == "http" else FtpServer(folder, "station", "p@ss") as server:
        if kind == "http":
            etag = ask(server, "HEAD", "/fw.img")[1]["ETag"]
            kept = Part(length=1000, total=len(CONTENT), validator=etag)
        artifact = download(
            server.url("fw.img"),
            part_file,
            kept,
            max_size_bytes=1 << 20,
            on_part=lambda _part: None,
            on_progress=lambda _done, _total: None,
            **how,
        )
        target = upload_target(server.url(), archive.name)
        upload(archive, target, on_progress=lambda _done, _total: None, **how)
    assert artifact.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert part_file.read_bytes() == CONTENT
    assert (folder / archive.name).read_bytes() == CONTENT * 8
