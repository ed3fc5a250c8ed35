"""Downloads against real servers: what breaks is continued, what changed begins anew, only the whole file counts."""

import errno
import hashlib
import os
import threading
from datetime import UTC, datetime

import pytest
from support.ftp_server import FtpServer
from support.http_server import File, HttpServer, Reply, make_certificate
from support.machine_time import machine_time

from everest_system.fsm.artifact import Artifact, Part
from everest_system.fsm.errors import CanceledError
from everest_system.io.transfers import part_file
from everest_system.io.transfers.download import REDIRECTS_MAX, download
from everest_system.io.transfers.part_file import DiskError, PartFile
from everest_system.io.transfers.transfer import Fault, TransferError, TransferSettings

MIB = 1024 * 1024
CONTENT = os.urandom(6 * MIB + 5)
OTHER = os.urandom(6 * MIB + 5)
LONG_AGO = datetime(2020, 2, 2, tzinfo=UTC)
IN_FUTURE = datetime(2100, 2, 2, tzinfo=UTC)
ALL = frozenset({"http", "https", "ftp"})


@pytest.fixture
def server():
    with HttpServer() as server:
        server.files["/f"] = File(CONTENT, etag='"1"')
        yield server


@pytest.fixture
def ftp(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "f").write_bytes(CONTENT)
    with FtpServer(root) as server:
        yield server


class Station:
    """The side of the service: keeps the part and what was told of it."""

    def __init__(self, folder):
        self.file = folder / "part"
        self.part = Part()
        self.parts = []
        self.progress = []
        self.canceled = threading.Event()

    def take(self, part):
        self.part = part
        self.parts.append(part)

    def get(self, url, *, settings=None, schemes=ALL, max_size_bytes=64 * MIB, attempt_timeout_s=None):
        return download(
            url,
            self.file,
            self.part,
            settings=settings or TransferSettings(),
            schemes=schemes,
            max_size_bytes=max_size_bytes,
            canceled=self.canceled,
            on_part=self.take,
            on_progress=lambda done, total: self.progress.append((done, total)),
            attempt_timeout_s=attempt_timeout_s,
        )

    def fail(self, url, **options):
        with pytest.raises(TransferError) as caught:
            self.get(url, **options)
        return caught.value


@pytest.fixture
def station(tmp_path):
    return Station(tmp_path)


def artifact(content):
    return Artifact(length=len(content), sha256=hashlib.sha256(content).hexdigest())


def ranges(server):
    return [(request.status, request.headers.get("Range")) for request in server.requests]


@pytest.mark.parametrize("reply", [Reply(), Reply(chunked=True), Reply(status=203)])
def test_whole_file_arrives(server, station, reply):
    """A file arrives whole, with its digest, its end reported, and no content coding asked for."""
    server.plan("/f", reply)
    assert station.get(server.url("/f")) == artifact(CONTENT)
    assert station.file.read_bytes() == CONTENT
    assert station.file.stat().st_mode & 0o777 == 0o600
    assert station.progress[-1] == (len(CONTENT), len(CONTENT))
    assert "Accept-Encoding" not in server.requests[0].headers


def test_what_was_there_before_is_not_taken(server, station):
    """Without a part on record, bytes in the file count for nothing."""
    station.file.write_bytes(b"x" * 10 * MIB)
    assert station.get(server.url("/f")) == artifact(CONTENT)
    assert ranges(server) == [(200, None)]


@pytest.mark.parametrize(
    "file",
    [
        File(CONTENT, etag='"1"'),
        File(CONTENT, last_modified=LONG_AGO),
        File(CONTENT, etag='W/"1"', last_modified=LONG_AGO),
    ],
)
def test_broken_connection_is_continued(server, station, file):
    """After a break the next attempt goes on from the last byte received, and the whole is right."""
    server.files["/f"] = file
    server.plan("/f", Reply(cut_at=5 * MIB + 3), Reply())
    error = station.fail(server.url("/f"))
    assert error.fault is Fault.INTERRUPTED
    assert station.part.length == 5 * MIB + 3
    assert station.part.total == len(CONTENT)
    assert station.get(server.url("/f")) == artifact(CONTENT)
    assert ranges(server) == [(200, None), (206, f"bytes={5 * MIB + 3}-")]


def test_progress_of_a_continued_download_counts_all(server, station):
    """Parts are told while they grow, never shrink in one attempt, and continue where they were."""
    server.plan("/f", Reply(cut_at=5 * MIB), Reply())
    station.fail(server.url("/f"))
    lengths = [part.length for part in station.parts]
    assert lengths == sorted(lengths)
    assert lengths[0] >= 4 * MIB
    station.progress.clear()
    station.get(server.url("/f"))
    assert all(done >= 5 * MIB and total == len(CONTENT) for done, total in station.progress)


@pytest.mark.parametrize(
    ("file", "headers"),
    [
        (File(CONTENT), {}),
        (File(CONTENT, etag='W/"1"'), {}),
        (File(CONTENT, etag="unquoted"), {}),
        (File(CONTENT, last_modified=IN_FUTURE), {}),
        (File(CONTENT, last_modified=LONG_AGO), {"Date": None}),
    ],
)
def test_without_a_strong_validator_it_begins_anew(server, station, file, headers):
    """A break without a strong validator is a failure, and the next attempt begins anew."""
    server.files["/f"] = file
    server.plan("/f", Reply(cut_at=5 * MIB, headers=headers), Reply())
    assert station.fail(server.url("/f")).fault is Fault.FAILED
    assert station.part.validator is None
    assert station.get(server.url("/f")) == artifact(CONTENT)
    assert ranges(server) == [(200, None), (200, None)]


@pytest.mark.parametrize(
    ("reply", "statuses"),
    [
        (Reply(), [200]),
        (Reply(ranges=False), [200]),
        (Reply(if_range=False), [206, 200]),
        (Reply(if_range=False, headers={"ETag": None, "Content-Range": "bytes 5-9/10"}), [206, 200]),
        (Reply(if_range=False, headers={"ETag": None, "Content-Range": "bytes nonsense"}), [206, 200]),
        (
            Reply(if_range=False, headers={"ETag": None, "Content-Range": f"bytes {5 * MIB}-9999999/10000000"}),
            [206, 200],
        ),
        (Reply(status=416), [416, 200]),
    ],
)
def test_changed_file_begins_anew(server, station, reply, statuses):
    """If the file changed in between, or the range that comes is not the one asked for, all of it is fetched again."""
    server.plan("/f", Reply(cut_at=5 * MIB))
    station.fail(server.url("/f"))
    server.files["/f"] = File(OTHER, etag='"2"')
    server.plan("/f", reply, Reply())
    server.requests.clear()
    assert station.get(server.url("/f")) == artifact(OTHER)
    assert [request.status for request in server.requests] == statuses
    assert Part() in station.parts


def test_part_survives_an_attempt_that_gets_nowhere(server, station):
    """An attempt that cannot connect, or is told to wait, keeps the part for the next one."""
    server.plan("/f", Reply(cut_at=5 * MIB))
    station.fail(server.url("/f"))
    server.plan("/f", Reply(status=503, headers={"Retry-After": "9"}), Reply())
    error = station.fail(server.url("/f"))
    assert (error.fault, error.retry_after_s, station.part.length) == (Fault.FAILED, 9, 5 * MIB)
    assert station.fail("http://127.0.0.1:1/f").fault is Fault.FAILED
    assert station.part.length == 5 * MIB
    assert station.get(server.url("/f")) == artifact(CONTENT)


def test_unsynced_bytes_after_a_crash_are_cut_off(server, station):
    """After a crash only what was recorded as synced is used, whatever else the file holds."""
    station.file.write_bytes(CONTENT[: 2 * MIB] + b"lost" * MIB)
    station.part = Part(length=2 * MIB, total=len(CONTENT), validator='"1"')
    assert station.get(server.url("/f")) == artifact(CONTENT)
    assert ranges(server) == [(206, f"bytes={2 * MIB}-")]


@pytest.mark.parametrize(
    "part",
    [
        Part(length=2 * MIB, total=len(CONTENT), validator='"1"'),
        Part(length=2 * MIB, total=MIB, validator='"1"'),
        Part(length=100, total=len(CONTENT)),
        Part(length=0, total=0, validator='"1"'),
    ],
)
def test_part_that_makes_no_sense_begins_anew(server, station, part):
    """A part file shorter than recorded, or a record that cannot be, begins anew and says so."""
    station.file.write_bytes(CONTENT[:MIB])
    station.part = part
    assert station.get(server.url("/f")) == artifact(CONTENT)
    assert ranges(server) == [(200, None)]


def test_complete_part_costs_one_byte(server, station):
    """A crash after the last byte leads to one byte fetched again, not to the whole file."""
    station.file.write_bytes(CONTENT)
    station.part = Part(length=len(CONTENT), total=len(CONTENT), validator='"1"')
    assert station.get(server.url("/f")) == artifact(CONTENT)
    assert ranges(server) == [(206, f"bytes={len(CONTENT) - 1}-")]


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        *((status, "failed") for status in (204, 206, 408, 429, 500, 503)),
        *((status, "refused") for status in (304, 400, 401, 403, 404, 405, 416, 422)),
    ],
)
def test_only_success_is_success(server, station, status, fault):
    """Any status but success is no download, and nothing of its body is kept."""
    server.plan("/f", Reply(status=status))
    error = station.fail(server.url("/f"))
    assert (error.fault, str(error)) == (fault, f"{server.url('')}: HTTP status {status}")
    assert station.file.read_bytes() == b""


@pytest.mark.parametrize("reply", [Reply(announce=len(CONTENT) + 1), Reply(chunked=True, cut_at=MIB)])
def test_short_file_is_not_done(server, station, reply):
    """A file shorter than announced is an interruption."""
    server.plan("/f", reply)
    assert station.fail(server.url("/f")).fault is Fault.INTERRUPTED


def test_range_that_ends_early_is_continued(server, station):
    """A range shorter than the file is an interruption, not the end."""
    server.plan("/f", Reply(cut_at=5 * MIB))
    station.fail(server.url("/f"))
    partial = {"Content-Range": f"bytes {5 * MIB}-{5 * MIB + 99}/{len(CONTENT)}"}
    server.plan("/f", Reply(announce=100, headers=partial), Reply())
    assert station.fail(server.url("/f")).fault is Fault.INTERRUPTED
    assert station.part.length == 5 * MIB + 100
    assert station.get(server.url("/f")) == artifact(CONTENT)


@pytest.mark.parametrize("options", [{"settings": TransferSettings(stall_timeout_s=1)}, {"attempt_timeout_s": 2}])
def test_stall_is_an_interruption(server, station, options):
    """Silence in the middle ends the attempt, and the part is kept."""
    server.plan("/f", Reply(stall_at=3 * MIB))
    assert station.fail(server.url("/f"), **options).fault is Fault.INTERRUPTED
    assert station.part == Part(length=3 * MIB, total=len(CONTENT), validator='"1"')


def test_cancel_keeps_the_part(server, station):
    """A cancel ends a download within 200 ms and keeps what there is."""
    server.plan("/f", Reply(stall_at=3 * MIB), Reply())
    moments = []

    def cancel():
        server.stalled.wait(30)
        moments.append(machine_time())
        station.canceled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CanceledError):
        station.get(server.url("/f"))
    assert machine_time() - moments[0] < 0.3  # with the last sync
    thread.join()
    length = station.part.length
    with pytest.raises(CanceledError):  # while hashing from disk
        station.get(server.url("/f"))
    assert station.part.length == length > 0
    station.canceled.clear()
    assert station.get(server.url("/f")) == artifact(CONTENT)


def test_size_limit_holds_first_and_on_the_way(server, station):
    """A file over the limit is refused by its announced length, or where it passes the limit."""
    error = station.fail(server.url("/f"), max_size_bytes=MIB)
    assert (error.fault, station.file.stat().st_size) == (Fault.REFUSED, 0)
    server.plan("/f", Reply(announce=10**30))  # libcurl would take whatever comes for the whole file
    error = station.fail(server.url("/f"))
    assert (error.fault, station.file.stat().st_size) == (Fault.REFUSED, 0)
    server.plan("/f", Reply(endless=True))
    error = station.fail(server.url("/f"), max_size_bytes=9 * MIB)
    assert (error.fault, "larger" in str(error)) == (Fault.REFUSED, True)
    assert station.file.stat().st_size <= 9 * MIB


def test_room_is_looked_for_before_and_on_the_way(server, station, monkeypatch):
    """A disk without room ends the attempt before a byte is fetched, or before the reserve is used up."""
    error = station.fail(server.url("/f"), settings=TransferSettings(reserve_bytes=1 << 60))
    assert (error.fault, "not enough room" in str(error), server.requests) == (Fault.FAILED, True, [])
    asked = []
    real = os.fstatvfs

    def shrinking(fd):
        asked.append(fd)
        disk = list(real(fd))
        disk[4] = 0 if len(asked) > 2 else disk[4]  # f_bavail
        return os.statvfs_result(disk)

    monkeypatch.setattr(part_file.os, "fstatvfs", shrinking)
    error = station.fail(server.url("/f"))
    assert (error.fault, "not enough room" in str(error)) == (Fault.FAILED, True)
    assert len(asked) == 3
    assert station.part.length > 0


def test_redirects_are_followed_with_care(server, station):
    """Redirects are followed hop by hop, and user and password stay at home."""
    server.user, server.password = "u", "p"
    server.plan("/a", Reply(status=302, headers={"Location": "b c"}))
    server.plan("/b%20c", Reply(status=308, headers={"Location": server.url("/f")}))
    assert station.get(server.url("/a", user="u", password="p")) == artifact(CONTENT)
    with HttpServer() as other:
        other.files["/f"] = File(CONTENT)
        server.plan("/a", Reply(status=301, headers={"Location": other.url("/f")}))
        assert station.get(server.url("/a", user="u", password="p")) == artifact(CONTENT)
        assert "Authorization" not in other.requests[0].headers


def test_redirect_of_a_continued_download_keeps_the_range(server, station):
    """A download that is continued behind a redirect asks each hop for the same range."""
    server.plan("/a", Reply(status=307, headers={"Location": "/f"}))
    server.plan("/f", Reply(cut_at=5 * MIB), Reply())
    assert station.fail(server.url("/a")).fault is Fault.INTERRUPTED
    assert station.get(server.url("/a")) == artifact(CONTENT)
    assert ranges(server)[-2:] == [(307, f"bytes={5 * MIB}-"), (206, f"bytes={5 * MIB}-")]


def test_redirects_come_to_an_end(server, station):
    """A ring of redirects is refused after the fifth."""
    server.plan("/a", Reply(status=302, headers={"Location": "/a"}))
    assert station.fail(server.url("/a")).fault is Fault.REFUSED
    assert len(server.requests) == REDIRECTS_MAX + 1


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/f", "https://127.0.0.1/f", "http://"])
def test_redirect_out_of_the_schemes_is_refused(server, station, to):
    """A redirect to a scheme that is not allowed, or to nowhere, is refused for good."""
    server.plan("/a", Reply(status=302, headers={"Location": to}))
    schemes = frozenset({"http", "ftp"})
    assert station.fail(server.url("/a"), schemes=schemes).fault is Fault.REFUSED
    server.plan("/a", Reply(status=302))
    assert station.fail(server.url("/a"), schemes=schemes).fault is Fault.REFUSED


def test_https_is_not_left_for_http(server, station, tmp_path):
    """A redirect from https to http is refused, though both are allowed."""
    certificate = make_certificate(tmp_path)
    with HttpServer(tls=certificate) as secure:
        secure.plan("/a", Reply(status=302, headers={"Location": server.url("/f")}))
        secure.files["/f"] = File(CONTENT, etag='"1"')
        settings = TransferSettings(ca_files=(certificate.cert_file,))
        error = station.fail(secure.url("/a"), settings=settings)
        assert (error.fault, "from https to http" in str(error), server.requests) == (Fault.REFUSED, True, [])
        assert station.get(secure.url("/f"), settings=settings) == artifact(CONTENT)


def test_ftp_download_is_continued(ftp, station):
    """FTP goes on from the byte it had while date and size are the same, and begins anew when they are not."""
    assert station.get(ftp.url("/f")) == artifact(CONTENT)
    station.part = Part()
    ftp.cut_at = 5 * MIB
    assert station.fail(ftp.url("/f")).fault is Fault.INTERRUPTED
    assert station.part.length == 5 * MIB
    ftp.cut_at = None
    assert station.get(ftp.url("/f")) == artifact(CONTENT)
    assert ftp.commands[-2:] == ["REST", "RETR"]


def test_ftp_file_that_changed_begins_anew(ftp, station, tmp_path):
    """An FTP file with another date is fetched from its first byte."""
    ftp.cut_at = 5 * MIB
    station.fail(ftp.url("/f"))
    ftp.cut_at = None
    (tmp_path / "root" / "f").write_bytes(OTHER)
    os.utime(tmp_path / "root" / "f", (1, 1))
    assert station.get(ftp.url("/f")) == artifact(OTHER)
    assert Part() in station.parts


@pytest.mark.parametrize("missing", ["MDTM", "SIZE", "REST"])
def test_ftp_server_without_the_means_begins_anew(station, tmp_path, missing):
    """An FTP server that cannot tell a file's identity, or cannot continue, is asked for the whole file."""
    (tmp_path / "f").write_bytes(CONTENT)
    with FtpServer(tmp_path, without=(missing,)) as server:
        server.cut_at = 5 * MIB
        station.fail(server.url("/f"))
        server.cut_at = None
        assert station.get(server.url("/f")) == artifact(CONTENT)


@pytest.mark.parametrize(
    ("path", "cause"), [("/none", "not exist"), ("/none/f", "denied"), ("/", "folder"), ("", "folder")]
)
def test_ftp_refusals_end_the_request(ftp, station, path, cause):
    """A file that is not there, or is a folder, ends the request."""
    error = station.fail(ftp.url(path))
    assert (error.fault, cause in str(error)) == (Fault.REFUSED, True)


def test_ftp_size_limit_holds_first(ftp, station):
    """An FTP file over the limit is refused before a byte is fetched."""
    assert station.fail(ftp.url("/f"), max_size_bytes=MIB).fault is Fault.REFUSED
    assert "RETR" not in ftp.commands


def test_ftp_break_while_rest_is_refused_otherwise(ftp, station):
    """A second attempt that cannot log in keeps the part, and is no interruption."""
    ftp.cut_at = 5 * MIB
    station.fail(ftp.url("/f"))
    assert station.fail(ftp.url("/f", password="wrong")).fault is Fault.REFUSED
    assert station.part.length == 5 * MIB


def test_disk_errors_are_told(server, station, tmp_path, monkeypatch):
    """A disk that says no ends the attempt with its word; what it had synced is kept."""
    station.file.symlink_to(tmp_path / "elsewhere")
    error = station.fail(server.url("/f"))
    assert (error.fault, "cannot keep" in str(error)) == (Fault.FAILED, True)
    assert not (tmp_path / "elsewhere").exists()
    station.file.unlink()
    real = os.pwrite

    def full(fd, data, at):
        if at >= 5 * MIB:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data[:100_000], at)

    monkeypatch.setattr(part_file.os, "pwrite", full)
    error = station.fail(server.url("/f"))
    assert (error.fault, "No space left" in str(error)) == (Fault.FAILED, True)
    assert 4 * MIB <= station.part.length <= 5 * MIB
    monkeypatch.undo()
    assert station.get(server.url("/f")) == artifact(CONTENT)
    assert ranges(server)[-1][0] == 206


@pytest.mark.parametrize(
    ("call", "act"),
    [
        ("fdatasync", lambda file: (file.write(b"x"), file.sync())),
        ("fsync", lambda file: file.finish()),
        ("ftruncate", lambda file: file.restart()),
        ("ftruncate", lambda file: file.continue_at(0, threading.Event())),
        ("pwrite", lambda file: (file.write(b"x"), file.sync())),
        ("fstatvfs", lambda file: file.require(1)),
    ],
)
def test_each_disk_call_may_fail(tmp_path, monkeypatch, call, act):
    """Whatever the disk says no to comes out as a DiskError that names the file."""

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with PartFile(tmp_path / "part", 0) as file:
        monkeypatch.setattr(part_file.os, call, fail)
        with pytest.raises(DiskError, match=r"part: Input/output error"):
            act(file)
        monkeypatch.undo()


def test_folder_that_cannot_be_synced_is_told(tmp_path, monkeypatch):
    """A part file whose name cannot be made safe is not used."""

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(part_file, "sync_folder", fail)
    with pytest.raises(DiskError):
        PartFile(tmp_path / "part", 0)
