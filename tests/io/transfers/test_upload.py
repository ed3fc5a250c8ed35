"""Uploads against real servers: only success is success, and failures get the precise word."""

import os
import threading

import pytest
from support.forms import Field, fields
from support.ftp_server import READ_ONLY, FtpServer
from support.http_server import HttpServer, Reply
from support.machine_time import machine_time
from support.scripted_server import RawServer

from everest_system.fsm.errors import CanceledError
from everest_system.io.transfers.transfer import Fault, TransferError, TransferSettings
from everest_system.io.transfers.upload import upload

ALL = frozenset({"http", "https", "ftp"})


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "logs 1.tar.gz"
    path.write_bytes(os.urandom(300_000))
    return path


@pytest.fixture
def server():
    with HttpServer() as server:
        yield server


class EarlySuccess(RawServer):
    """Answers after the first bytes, and then reads on to the end."""

    def __init__(self, status=b"201 Created"):
        super().__init__(b"")
        self.status = status

    def talk(self, connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % self.status)
        while connection.recv(65536):
            pass


class Archive:
    """An archive to which something happens before each read."""

    def __init__(self, path, before_read):
        self.name, self._path, self._before_read = path.name, path, before_read

    def open(self, mode, buffering):
        self._file = self._path.open(mode, buffering=buffering)
        self.fileno, self.seek = self._file.fileno, self._file.seek
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def read(self, size):
        self._before_read(size)
        return self._file.read(size)


def send(archive, target, settings=None, canceled=None, **options):
    progress = []
    upload(
        archive,
        target,
        settings=settings or TransferSettings(),
        schemes=ALL,
        canceled=canceled or threading.Event(),
        on_progress=lambda done, total: progress.append((done, total)),
        **options,
    )
    return progress


def refusal(archive, target, **options):
    with pytest.raises(TransferError) as caught:
        send(archive, target, **options)
    return caught.value


@pytest.mark.parametrize("size", [0, 300_000, 3_000_000])
def test_put_arrives_whole(server, archive, size):
    """PUT carries the archive as it is, with its type and name, and reports the end of it."""
    archive.write_bytes(os.urandom(size))
    progress = send(archive, server.url("/logs/x"))
    assert server.uploads == {"/logs/x": archive.read_bytes()}
    request = server.requests[-1]
    assert request.method == "PUT"
    assert request.headers["Content-Type"] == "application/gzip"
    assert request.headers["Content-Disposition"] == 'attachment; filename="logs_1.tar.gz"'
    assert progress[-1] == (size, size)


@pytest.mark.parametrize("size", [0, 300_000, 3_000_000])
@pytest.mark.parametrize("expect", ["continue", "refuse"])
def test_post_is_a_form(server, archive, size, expect):
    """POST carries a form with one file, of its type and name, and the progress is that of the file."""
    archive.write_bytes(b"\r\n--" + os.urandom(size))
    server.plan("/logs/x", Reply(expect=expect), Reply())
    progress = send(archive, server.url("/logs/x"), method="POST", field="log")
    request, size = server.requests[-1], size + 4
    assert (request.method, request.status) == ("POST", 201)
    assert fields(request.headers["Content-Type"], server.uploads["/logs/x"]) == [
        Field("log", "logs_1.tar.gz", "application/gzip", archive.read_bytes())
    ]
    assert progress[-1] == (size, size)
    assert max(done for done, _ in progress) == size


def test_success_said_too_early_is_none(server, archive):
    """A 2xx before the last byte was asked for confirms nothing, even where all bytes go out in the end."""
    with EarlySuccess() as early:
        archive.write_bytes(bytes(20_000_000))
        error = refusal(archive, f"http://127.0.0.1:{early.port}/x")
    assert (error.fault, "bytes went out of 20000000" in str(error)) == (Fault.FAILED, True)


def test_refusal_in_the_middle_counts(archive):
    """A 413 after some of the body ends the request, with the server's own word."""
    archive.write_bytes(bytes(20_000_000))
    with EarlySuccess(b"413 Content Too Large") as server:
        error = refusal(archive, f"http://127.0.0.1:{server.port}/x")
    assert (error.fault, "413" in str(error)) == (Fault.REFUSED, True)


def test_interim_answers_without_end(archive):
    """A server that says 100 and 102 for ever is given up, not listened to for a day."""
    with EarlySuccess(
        b"100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 " * 4000 + b"201 Created"
    ) as server:
        error = refusal(archive, f"http://127.0.0.1:{server.port}/x")
    assert (error.fault, "too long a head" in str(error)) == (Fault.FAILED, True)


@pytest.mark.parametrize(
    ("status", "fault", "word"),
    [
        (301, "refused", "UploadFailure"),
        (308, "refused", "UploadFailure"),
        (400, "refused", "BadMessage"),
        (401, "refused", "PermissionDenied"),
        (403, "refused", "PermissionDenied"),
        (404, "refused", "UploadFailure"),
        (405, "refused", "NotSupportedOperation"),
        (408, "failed", "UploadFailure"),
        (422, "refused", "BadMessage"),
        (429, "failed", "UploadFailure"),
        (500, "failed", "UploadFailure"),
        (503, "failed", "UploadFailure"),
    ],
)
@pytest.mark.parametrize("early", [False, True])
def test_status_decides(server, archive, status, fault, word, early):
    """Any status but 2xx is a failure with its own word, told before or after the body, and sent once only."""
    archive.write_bytes(bytes(3_000_000))
    server.plan("/x", Reply(status=status, early=early, headers={"Location": "/y", "Retry-After": "7"}))
    error = refusal(archive, server.url("/x"))
    assert (error.fault, error.log_status, error.retry_after_s) == (fault, word, 7)
    assert str(error) == f"{server.url('')}: HTTP status {status}"
    assert [request.path for request in server.requests] == ["/x"]
    assert server.uploads == {}


@pytest.mark.parametrize("expect", ["continue", "ignore", "refuse"])
def test_expect_costs_a_second_at_most(server, archive, expect):
    """Whatever a server makes of `Expect: 100-continue`, the archive arrives within a second and a bit."""
    archive.write_bytes(os.urandom(3_000_000))
    server.plan("/x", Reply(expect=expect), Reply())
    begun = machine_time()
    send(archive, server.url("/x"))
    assert machine_time() - begun < 1.5
    assert server.uploads["/x"] == archive.read_bytes()


def test_password_of_the_url_is_used(server, archive):
    """User and password come from the URL, and a wrong one is PermissionDenied."""
    server.user, server.password = "station", "secret"
    send(archive, server.url("/x", user="station", password="secret"))
    error = refusal(archive, server.url("/x", user="station", password="hidden"))
    assert (error.fault, error.log_status) == (Fault.REFUSED, "PermissionDenied")
    assert "hidden" not in str(error)


def test_broken_connection_is_a_failure(server, archive):
    """A connection that breaks, stalls or meets its deadline in the middle is a failure, never an interruption."""
    archive.write_bytes(bytes(20_000_000))
    server.plan("/x", Reply(cut_at=1000))
    assert refusal(archive, server.url("/x")).fault is Fault.FAILED
    server.plan("/x", Reply(stall_at=0, cut_at=0))
    stall = TransferSettings(stall_timeout_s=0.2)
    assert "stalled" in str(refusal(archive, server.url("/x"), settings=stall))
    assert "too long" in str(refusal(archive, server.url("/x"), attempt_timeout_s=0.2))


def test_endless_answer_does_not_matter(server, archive):
    """An answer without end is not read to its end; its status counts."""
    server.plan("/x", Reply(endless=True))
    send(archive, server.url("/x"))
    server.plan("/x", Reply(endless=True, status=500))
    assert refusal(archive, server.url("/x")).fault is Fault.FAILED


def test_success_before_the_last_byte_is_none(server, archive):
    """A server that says 201 and hangs up before it has the archive has not got it."""
    archive.write_bytes(bytes(20_000_000))
    server.plan("/x", Reply(status=201, early=True))
    assert refusal(archive, server.url("/x")).fault is Fault.FAILED
    server.plan("/x", Reply(status=201, early=True, endless=True))
    error = refusal(archive, server.url("/x"))
    assert (error.fault, "bytes went out of 20000000" in str(error)) == (Fault.FAILED, True)


def test_cancel_ends_the_upload(server, archive):
    """A cancel ends an upload that has stalled within 200 ms."""
    server.plan("/x", Reply(stall_at=0, cut_at=0))
    canceled = threading.Event()
    moments = []

    def cancel():
        server.stalled.wait(30)
        moments.append(machine_time())
        canceled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CanceledError):
        send(archive, server.url("/x"), canceled=canceled)
    assert machine_time() - moments[0] < 0.2
    thread.join()


def test_archive_that_cannot_be_read_is_told(server, archive, tmp_path):
    """A missing archive, or one that cannot be read on, ends the request with a word about it."""
    error = refusal(tmp_path / "none.tar.gz", server.url("/x"))
    assert (error.fault, "No such file" in str(error)) == (Fault.REFUSED, True)
    broken = tmp_path / "broken.tar.gz"
    broken.mkdir()
    assert "directory" in str(refusal(broken, server.url("/x")))

    def fail(_):
        raise OSError(5, "Input/output error")

    assert "Input/output error" in str(refusal(Archive(archive, fail), server.url("/x")))


def test_archive_that_shrinks_is_a_failure(server, archive):
    """An archive that is shorter than announced does not count as uploaded."""

    def shrink(_):
        os.truncate(archive, 1000)

    assert (
        refusal(Archive(archive, shrink), server.url("/x"), settings=TransferSettings(stall_timeout_s=0.5)).fault
        is Fault.FAILED
    )
    assert server.uploads == {}


def test_ftp_upload_arrives_whole(archive, tmp_path):
    """STOR puts the archive in place, whatever signs its name holds."""
    root = tmp_path / "root"
    (root / "logs").mkdir(parents=True)
    with FtpServer(root) as server:
        progress = send(archive, server.url("/logs/a;type=a"))
        assert (root / "logs" / "a;type=a").read_bytes() == archive.read_bytes()
        assert progress[-1] == (300_000, 300_000)
        send(archive, server.url("/b;type=i"), settings=TransferSettings(ftp_tls="never"))
        assert (root / "b").read_bytes() == archive.read_bytes()
        assert server.commands.count("STOR") == 2


@pytest.mark.parametrize(
    ("path", "options", "settings", "fault", "word"),
    [
        ("/x", {"permissions": READ_ONLY}, {}, "refused", "PermissionDenied"),
        ("/none/x", {}, {}, "refused", "UploadFailure"),
        ("/x", {"greeting": "421 busy"}, {}, "failed", "UploadFailure"),
        ("/x", {}, {"ftp_tls": "require"}, "failed", "UploadFailure"),
        ("/x", {"without": ("STOR",)}, {}, "refused", "UploadFailure"),
    ],
)
def test_ftp_refusals_have_their_words(archive, tmp_path, path, options, settings, fault, word):
    """What an FTP server says no to has its fault and its word, and makes no folder."""
    root = tmp_path / "root"
    root.mkdir()
    with FtpServer(root, **options) as server:
        error = refusal(archive, server.url(path), settings=TransferSettings(**settings))
    assert (error.fault, error.log_status) == (fault, word)
    assert list(root.iterdir()) == []


def test_ftp_upload_that_the_server_cannot_store_is_a_failure(archive, tmp_path):
    """An FTP server that takes the bytes and does not say that they are stored has not got them."""
    root = tmp_path / "root"
    root.mkdir()
    with FtpServer(root) as server:
        server.full = True
        assert refusal(archive, server.url("/x")).fault is Fault.FAILED


def test_ftp_login_is_checked(archive, tmp_path):
    """A wrong FTP password is PermissionDenied, for good, and not shown."""
    with FtpServer(tmp_path) as server:
        error = refusal(archive, server.url("/x", password="hidden"))
    assert (error.fault, error.log_status) == (Fault.REFUSED, "PermissionDenied")
    assert "hidden" not in str(error)
