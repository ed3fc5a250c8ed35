"""Each row of the map, against a server that really does it."""

import socket
import threading
from contextlib import ExitStack

import pytest
from support.http_server import File, HttpServer, Reply, make_certificate
from support.scripted_server import HOST, FtpScript, RawServer
from support.sshd import Sshd
from support.transfer_side import TransferSide

from everest_system.io.transfers import curl
from everest_system.io.transfers.curl import Engine
from everest_system.io.transfers.outcomes import (
    CURL_ERRORS,
    FTP_ANSWERS,
    FTP_CLASSES,
    FTP_REFUSALS,
    HTTP_CLASSES,
    HTTP_STATUSES,
    SFTP_ERRORS,
    Curl,
    Outcome,
    Own,
)
from everest_system.io.transfers.transfer import TransferError, TransferSettings
from everest_system.io.transfers.upload import upload

ALL = frozenset({"http", "https", "ftp", "ftps", "sftp", "file"})
RANGE = {curl.pycurl.RESUME_FROM_LARGE: 6}


class Situation:
    """Servers for one error, and the transfer that meets it."""

    def __init__(self, stack, folder, setenv, sshd):
        self.stack, self.folder, self.setenv, self._sshd = stack, folder, setenv, sshd

    def raw(self, *answers, **how):
        return f"{HOST}:{self.stack.enter_context(RawServer(*answers, **how)).port}"

    def http(self, reply=None, tls=None):
        server = self.stack.enter_context(HttpServer(tls=tls))
        server.files["/f"] = File(b"12345")
        server.plan("/f", reply or Reply())
        return server

    def ftp(self, **answers):
        return f"ftp://{HOST}:{self.stack.enter_context(FtpScript(**answers)).port}/d/f"

    def sftp(self, path):
        return self._sshd().url(path)

    def get(self, url, options=None, **settings):
        settings = TransferSettings(known_hosts_file=self.folder / "known", keep_new_hosts=True, **settings)
        with Engine(settings, ALL, threading.Event()) as engine:
            engine.exchange(url, options or {})

    def download(self, url, **settings):
        TransferSide(self.folder, **settings).get(url)

    def put(self, url, size=5, attempt_timeout_s=None, **settings):
        archive = self.folder / "archive"
        if size:
            archive.write_bytes(bytes(size))
        settings = TransferSettings(known_hosts_file=self.folder / "known", keep_new_hosts=True, **settings)
        upload(
            archive,
            url,
            settings=settings,
            schemes=ALL,
            canceled=threading.Event(),
            on_progress=lambda *_: None,
            attempt_timeout_s=attempt_timeout_s,
        )


def closed_port():
    with socket.create_server((HOST, 0)) as gone:
        return gone.getsockname()[1]


def with_proxy(world, proxy):
    world.setenv("http_proxy", proxy)
    world.get("http://files.example/f")


def without_roots(world):
    (world.folder / "ca").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    world.setenv("SSL_CERT_FILE", str(world.folder / "ca"))
    world.get(world.http(tls=make_certificate(world.folder)).url("/f"))


def redirected(world, to):
    world.download(world.http(Reply(status=302, headers={"Location": to})).url("/f"))


def in_circles(world):
    server = world.http()
    server.plan("/f", *[Reply(status=302, headers={"Location": "/f"})] * 6)
    world.download(server.url("/f"))


def get_file(world, options=None):
    file = world.folder / "file"
    file.write_bytes(b"12345")
    world.get(f"file://{file}", options)


OK = b"HTTP/1.1 200 OK\r\n"
BAD_HEAD = OK + b"no field\r\n\r\n"
BODY = b"\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nfile"
GZIP = OK + b"Transfer-Encoding: gzip\r\n\r\nx"
CAUSES = {
    Curl.UNSUPPORTED_PROTOCOL: lambda world: world.get(f"http://{world.raw(b'SSH-2.0-x')}/"),
    Curl.FAILED_INIT: lambda world: world.get(f"sftp://{world.raw(b'HTTP/1.1 400 what?', at_once=True)}/f"),
    Curl.URL_MALFORMAT: lambda world: world.get(f"http://{HOST}/a b"),
    Curl.COULDNT_RESOLVE_PROXY: lambda world: with_proxy(world, "http://u:secret@h:99999"),
    Curl.COULDNT_RESOLVE_HOST: lambda world: world.get("http://files.invalid/"),
    Curl.COULDNT_CONNECT: lambda world: world.get(f"http://{HOST}:{closed_port()}/"),
    Curl.WEIRD_SERVER_REPLY: lambda world: world.get(f"http://{world.raw(BAD_HEAD)}/"),
    Curl.FTP_WEIRD_PASV_REPLY: lambda world: world.get(world.ftp(EPSV="500 no", PASV="500 no")),
    Curl.FTP_WEIRD_227_FORMAT: lambda world: world.get(world.ftp(EPSV="500 no", PASV="227 somewhere")),
    Curl.FTP_COULDNT_SET_TYPE: lambda world: world.get(world.ftp(TYPE="500 no")),
    Curl.PARTIAL_FILE: lambda world: world.get(world.http(Reply(announce=9)).url("/f")),
    Curl.WRITE_ERROR: lambda world: world.put(f"file://{world.folder}/none/f"),
    Curl.OPERATION_TIMEDOUT: lambda world: world.get(f"https://{world.raw(None)}/", connect_timeout_s=0.1),
    Curl.FTP_COULDNT_USE_REST: lambda world: world.get(world.ftp(REST="500 no"), {curl.pycurl.RESUME_FROM_LARGE: 2}),
    Curl.RANGE_ERROR: lambda world: world.get(world.sftp("/f"), RANGE),
    Curl.SSL_CONNECT_ERROR: lambda world: world.get(f"https://{world.raw(b'HTTP/1.1 400 what?')}/"),
    Curl.BAD_DOWNLOAD_RESUME: lambda world: get_file(world, RANGE),
    Curl.FILE_COULDNT_READ_FILE: lambda world: world.get(f"file://{world.folder}/none"),
    Curl.GOT_NOTHING: lambda world: world.get(f"http://{world.raw(b'')}/"),
    Curl.SEND_ERROR: lambda world: world.put(world.ftp(drops=True), 30_000_000),
    Curl.RECV_ERROR: lambda world: world.get(f"http://{world.raw(b'', reset=True)}/"),
    Curl.PEER_FAILED_VERIFICATION: lambda world: world.get(world.http(tls=make_certificate(world.folder)).url("/f")),
    Curl.BAD_CONTENT_ENCODING: lambda world: world.get(f"http://{world.raw(GZIP)}/"),
    Curl.USE_SSL_FAILED: lambda world: world.get(world.ftp(), ftp_tls="require"),
    Curl.REMOTE_DISK_FULL: lambda world: world.put(world.ftp(after="552 full")),
    Curl.SSL_CACERT_BADFILE: without_roots,
    Curl.SSH: lambda world: world.put(world.sftp("/in")),
    Curl.PROXY: lambda world: with_proxy(world, f"socks5h://{world.raw(bytes([5, 255]))}"),
    Curl.TOO_LARGE: lambda world: world.get(f"http://{world.raw(OK + b'a: ' + b'b' * 300_000)}/"),
}
SFTP_CAUSES = {
    Curl.LOGIN_DENIED: lambda world: world.put(world.sftp("/in/a").replace("secret", "wrong")),
    Curl.REMOTE_ACCESS_DENIED: lambda world: world.put(world.sftp("/a")),
    Curl.REMOTE_FILE_NOT_FOUND: lambda world: world.get(world.sftp("/none")),
}
FTP_CAUSES = {
    (Curl.LOGIN_DENIED, 530): lambda world: world.put(world.ftp(PASS="530 no")),
    (Curl.UPLOAD_FAILED, 530): lambda world: world.put(world.ftp(STOR="530 no")),
    (Curl.UPLOAD_FAILED, 550): lambda world: world.put(world.ftp(STOR="550 no")),
    (Curl.UPLOAD_FAILED, 553): lambda world: world.put(world.ftp(STOR="553 no")),
    (Curl.UPLOAD_FAILED, 552): lambda world: world.put(world.ftp(STOR="552 no")),
}
LINES = (b"a: " + b"b" * 1000 + b"\r\n") * 100
OWN_CAUSES = {
    "SCHEME": lambda world: world.get("gopher://files.example/f"),
    "STALLED": lambda world: world.get(f"http://{world.raw(None)}/", stall_timeout_s=0.1),
    "LATE": lambda world: world.put(f"http://{world.raw(None)}/", attempt_timeout_s=0.1),
    "LONG_HEAD": lambda world: world.get(f"http://{world.raw(OK + LINES)}/"),
    "SHORT": lambda world: world.put(
        world.http(Reply(status=201, early=True, endless=True)).url("/f"), size=20_000_000
    ),
    "LARGE": lambda world: world.download(world.ftp(SIZE=f"213 {2 << 30}")),
    "REDIRECT": lambda world: redirected(world, "ftp://files.example/f"),
    "REDIRECTS": in_circles,
    "FOLDER": lambda world: world.download(world.ftp().removesuffix("f")),
    "DISK": lambda world: world.download(world.ftp(), reserve_bytes=1 << 60),
    "FILES": lambda world: world.get(world.ftp(), credentials_file=world.folder / "none"),
    "ARCHIVE": lambda world: world.put(world.ftp(), size=0),
}
FTP_COMMANDS = {
    Curl.LOGIN_DENIED: "PASS",
    Curl.REMOTE_ACCESS_DENIED: "CWD",
    Curl.FTP_COULDNT_RETR_FILE: "RETR",
    Curl.REMOTE_FILE_NOT_FOUND: "RETR",
    Curl.UPLOAD_FAILED: "STOR",
}
"""The command whose refusal is the error; at RETR libcurl tells 550 from all others."""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    with ExitStack() as stack:
        started = []

        def get():
            if not started:
                started.append(stack.enter_context(Sshd(tmp_path_factory.mktemp("sshd"))))
                (started[0].files / "f").write_bytes(b"12345")
            return started[0]

        yield get


@pytest.fixture
def world(tmp_path, monkeypatch, sshd):
    with ExitStack() as stack:
        yield Situation(stack, tmp_path, monkeypatch.setenv, sshd)


def check(world, cause, code, row):
    with pytest.raises(TransferError) as caught:
        cause(world)
    error = caught.value
    assert (getattr(error, "code", 0), error.meaning) == (code, row.meaning), str(error)
    assert "secret" not in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("code", CURL_ERRORS, ids=lambda code: code.name)
def test_errors_of_libcurl(world, code):
    """Each error of libcurl's on the page is one that a server or a configuration can cause, and means what it says."""
    check(world, CAUSES[code], code, CURL_ERRORS[code])


@pytest.mark.parametrize("code", SFTP_ERRORS, ids=lambda code: code.name)
def test_errors_of_sftp(world, code):
    """Each error of SFTP's is one that OpenSSH causes."""
    check(world, SFTP_CAUSES[code], code, SFTP_ERRORS[code])


@pytest.mark.parametrize(("code", "answer"), FTP_ANSWERS)
def test_answers_of_ftp(world, code, answer):
    """Each answer of FTP's on the page has its own meaning at its command."""
    check(world, FTP_CAUSES[code, answer], code, FTP_ANSWERS[code, answer])


@pytest.mark.parametrize("code", FTP_REFUSALS, ids=lambda code: code.name)
@pytest.mark.parametrize("first", FTP_CLASSES)
def test_classes_of_ftp(world, code, first):
    """Any other answer of FTP's counts by its first digit."""
    command = FTP_COMMANDS[code]
    rest = "50" if first == 5 and code is Curl.REMOTE_FILE_NOT_FOUND else "51"
    if code is Curl.REMOTE_FILE_NOT_FOUND and first == 4:
        code = Curl.FTP_COULDNT_RETR_FILE
    url = world.ftp(**{command: f"{first}{rest} no"})
    check(world, lambda world: (world.put if command == "STOR" else world.get)(url), code, FTP_CLASSES[first])


@pytest.mark.parametrize("name", [name for name, row in vars(Own).items() if isinstance(row, Outcome)])
def test_what_the_engine_says_itself(world, name):
    """Each row that needs no error of libcurl's is met as well."""
    check(world, OWN_CAUSES[name], 0, getattr(Own, name))


@pytest.mark.parametrize("status", [*HTTP_STATUSES, *(first * 100 + 18 for first in HTTP_CLASSES if first != 2)])
def test_statuses_of_http(world, status):
    """Each status on the page is what an upload ends with that meets it; any 2xx is a success there."""
    server = world.http(Reply(status=status))
    row = HTTP_STATUSES.get(status) or HTTP_CLASSES[status // 100]
    with pytest.raises(TransferError) as caught:
        world.put(server.url("/f"))
    assert (caught.value.meaning, str(caught.value)) == (row.meaning, f"{server.url('')}: HTTP status {status}")


@pytest.mark.parametrize("status", [*HTTP_STATUSES, *(first * 100 + 18 for first in HTTP_CLASSES)])
def test_statuses_of_http_at_a_download(world, status):
    """Each status on the page is what a download ends with that meets it, a 2xx without a file among them."""
    server = world.http(Reply(status=status))
    row = HTTP_STATUSES.get(status) or HTTP_CLASSES[status // 100]
    with pytest.raises(TransferError) as caught:
        world.download(server.url("/f"))
    assert (caught.value.meaning, str(caught.value)) == (row.meaning, f"{server.url('')}: HTTP status {status}")


def test_every_row_has_its_cause():
    """No row is on the page without a server that does it."""
    assert set(CAUSES) == set(CURL_ERRORS)
    assert set(SFTP_CAUSES) == set(SFTP_ERRORS)
    assert set(FTP_CAUSES) == set(FTP_ANSWERS)
    assert set(FTP_COMMANDS) == set(FTP_REFUSALS)
    assert set(OWN_CAUSES) == {name for name, row in vars(Own).items() if isinstance(row, Outcome)}


@pytest.mark.parametrize("status", [b"101 Switching Protocols", b"2000 OK"])
@pytest.mark.parametrize("way", ["download", "put"])
def test_an_answer_that_is_none_is_no_success(world, way, status):
    """Without the head of a final answer neither a download nor an upload has succeeded."""
    url = f"http://{world.raw(b'HTTP/1.1 ' + status + BODY)}/f"
    weird = Curl.WEIRD_SERVER_REPLY
    check(world, lambda world: getattr(world, way)(url), weird, CURL_ERRORS[weird])
