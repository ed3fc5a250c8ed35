"""Uploads that go on: only from what this archive's own former attempt has brought there, and only to the right end."""

import hashlib
import os
import re

import pytest
from support.ftp_server import FtpServer
from support.pki import Issuer
from support.relay import Relay
from support.server_certificates import certificate
from support.sshd import Sshd
from support.transfer_side import TransferSide
from support.vsftpd import Vsftpd

from everest_system.io.transfers.transfer import Fault

SIZE = 6_000_000
RATE_KBPS = 8_000
"""libcurl takes a second's worth at once, then it waits: time to end the server in."""


@pytest.fixture
def side(tmp_path):
    """It has something to upload, and remembers that it has begun."""
    side = TransferSide(tmp_path, known_hosts_file=tmp_path / "known_hosts", keep_new_hosts=True)
    side.archive.write_bytes(os.urandom(SIZE))
    side.record = tmp_path / "begun"
    return side


@pytest.fixture
def ftp(tmp_path):
    (tmp_path / "root").mkdir()
    with FtpServer(tmp_path / "root") as server:
        server.files = tmp_path / "root"
        yield server


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def broken(server, side, path="/x"):
    """Upload until the server breaks the connection in the middle; how much of it is there."""
    server.cut_upload_at = SIZE // 2
    assert side.put_fails(server.url(path)).fault is Fault.FAILED
    server.cut_upload_at = None
    server.commands.clear()
    return (server.files / path[1:]).stat().st_size


def test_goes_on(ftp, side):
    """After a break the rest is appended, and the server's file is the archive."""
    there = broken(ftp, side)
    assert 0 < there < SIZE
    side.put(ftp.url("/x"))
    assert sha256((ftp.files / "x").read_bytes()) == sha256(side.archive.read_bytes())
    assert "APPE" in ftp.commands
    assert "STOR" not in ftp.commands
    assert there < side.reported[0]


def test_breaks_again(ftp, side):
    """Each attempt goes on from where the last one broke off."""
    first = broken(ftp, side)
    ftp.cut_upload_at = SIZE // 4
    assert side.put_fails(ftp.url("/x")).fault is Fault.FAILED
    ftp.cut_upload_at = None
    assert first < (ftp.files / "x").stat().st_size < SIZE
    side.put(ftp.url("/x"))
    assert (ftp.files / "x").read_bytes() == side.archive.read_bytes()
    assert (ftp.commands.count("APPE"), ftp.commands.count("STOR")) == (2, 0)


def test_first_attempt_begins_anew(ftp, side):
    """What is there before the first attempt is replaced, even if it looks like a part of the archive."""
    (ftp.files / "x").write_bytes(side.archive.read_bytes()[:1_000_000])
    side.put(ftp.url("/x"))
    assert (ftp.files / "x").read_bytes() == side.archive.read_bytes()
    assert "APPE" not in ftp.commands


@pytest.mark.parametrize("other", [b"", b"x" * 1000, b"x" * (SIZE // 2), b"x" * SIZE, b"x" * (SIZE + 1)])
def test_strangers_file_is_not_appended_to(ftp, side, other):
    """Another's file of the same name, of whatever length, is no part of ours."""
    broken(ftp, side)
    (ftp.files / "x").write_bytes(other)
    side.put(ftp.url("/x"))
    assert (ftp.files / "x").read_bytes() == side.archive.read_bytes()
    assert "APPE" not in ftp.commands


def test_file_that_is_gone(ftp, side):
    """A part that somebody has removed is sent again."""
    broken(ftp, side)
    (ftp.files / "x").unlink()
    side.put(ftp.url("/x"))
    assert (ftp.files / "x").read_bytes() == side.archive.read_bytes()


def test_only_the_last_word_was_lost(ftp, side):
    """Where all of it is there already, nothing is sent again."""
    broken(ftp, side)
    (ftp.files / "x").write_bytes(side.archive.read_bytes())
    side.put(ftp.url("/x"))
    assert not {"APPE", "STOR"} & set(ftp.commands)


@pytest.mark.parametrize("without", ["SIZE", "REST", "APPE", "RETR"])
def test_server_that_cannot(tmp_path, side, without):
    """A server without one of the commands that it takes gets the archive anew, within the same attempt."""
    (tmp_path / "root").mkdir()
    with FtpServer(tmp_path / "root", without=(without,)) as server:
        server.files = tmp_path / "root"
        broken(server, side)
        side.put(server.url("/x"))
        assert (server.files / "x").read_bytes() == side.archive.read_bytes()
        assert "STOR" in server.commands


def test_wrong_length_is_no_success(ftp, side):
    """A server that says 226 to half of the archive has not got it, and the next attempt begins anew."""
    ftp.loses_from = SIZE // 2
    error = side.put_fails(ftp.url("/x"))
    assert (error.fault, str(error).endswith(f"{SIZE // 2} bytes are there of {SIZE}")) == (Fault.FAILED, True)
    assert not side.record.exists()
    ftp.loses_from = None
    side.put(ftp.url("/x"))
    assert (ftp.files / "x").read_bytes() == side.archive.read_bytes()


def test_connection_breaks_while_looking(ftp, side):
    """Where the look at the server's file breaks, the attempt has failed, and what is there stays."""
    there = broken(ftp, side)
    ftp.cut_at = 0
    assert side.put_fails(ftp.url("/x")).fault is Fault.FAILED
    assert (ftp.files / "x").stat().st_size == there
    ftp.cut_at = None
    side.put(ftp.url("/x"))
    assert (ftp.files / "x").read_bytes() == side.archive.read_bytes()


@pytest.fixture(params=["vsftpd", "vsftpd with TLS", "ftps", "sshd"])
def peer(tmp_path, side, request):
    """A server of the field."""
    if request.param == "sshd":
        with Sshd(tmp_path / "server") as server:
            yield server
        return
    root = Issuer.root("Servers")
    (tmp_path / "ca.pem").write_text(root.pem)
    side.settings["ca_files"] = (tmp_path / "ca.pem",)
    tls = None if request.param == "vsftpd" else certificate(tmp_path / "tls", root)
    with Vsftpd(tmp_path / "server", tls=tls, implicit=request.param == "ftps") as server:
        yield server


def test_server_is_killed_in_the_middle(peer, side):
    """The servers of the field get the rest, and no more than that, when they are back."""
    target = peer.url("/in/logs.tar.gz")
    side.settings["rate_limit_kbps"] = RATE_KBPS
    killed = []

    def kill(done):
        if done > SIZE // 6 and not killed:
            killed.append(peer.kill())

    side.on_sent = kill
    assert side.put_fails(target).fault is Fault.FAILED
    stored = peer.files / "in" / "logs.tar.gz"
    there = stored.stat().st_size
    assert 0 < there < SIZE
    side.settings["rate_limit_kbps"] = 0
    peer.start()
    side.reported.clear()
    side.put(target)
    assert sha256(stored.read_bytes()) == sha256(side.archive.read_bytes())
    assert side.reported[0] >= there
    if isinstance(peer, Vsftpd):
        assert [command for command in peer.commands() if re.match("STOR|APPE", command)][-1] == "APPE logs.tar.gz"


def test_sftp_sends_the_rest_only(tmp_path, side):
    """Over SFTP a connection that is cut in the middle, and then again, costs less the next time."""
    with Sshd(tmp_path / "server") as sshd, Relay(sshd.port) as relay:
        target = sshd.url("/in/x").replace(str(sshd.port), str(relay.port))
        for _ in range(2):
            relay.cut_at = relay.passed + SIZE // 3
            assert side.put_fails(target).fault is Fault.FAILED
        relay.cut_at, before = None, relay.passed
        side.put(target)
        assert (sshd.files / "in" / "x").read_bytes() == side.archive.read_bytes()
        assert relay.passed - before < SIZE * 2 // 3
