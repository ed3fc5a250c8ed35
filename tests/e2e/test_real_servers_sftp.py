"""What OpenSSH answers, and what the engine makes of it; and whether it still is the server that it was."""

import os

import pytest
from support.private_user import USER, USER_ID
from support.small_disk import small_disk
from support.sshd import Sshd
from support.stations import IMAGE, MEBIBYTE
from support.transfer_side import LOGS, TransferSide

from everest_system.io.transfers.transfer import Fault

BIG = IMAGE * 8
SLOW_KBPS = 8_000
"""Over SFTP libcurl takes a second's worth at once, then it waits: time to end the server in."""
EARLY = MEBIBYTE // 2


@pytest.fixture
def side(tmp_path):
    """It keeps the key of a server that it sees for the first time."""
    return TransferSide(tmp_path, known_hosts_file=tmp_path / "known_hosts", keep_new_hosts=True)


@pytest.fixture
def sshd(tmp_path):
    with Sshd(tmp_path / "sshd") as server:
        (server.files / "fw.bin").write_bytes(IMAGE)
        yield server


def test_both_ways(sshd, side):
    """Firmware comes and logs go, whole."""
    side.get(sshd.url("/fw.bin"))
    assert side.content() == IMAGE
    side.put(sshd.url("/in/logs.tar.gz"))
    assert (sshd.files / "in" / "logs.tar.gz").read_bytes() == LOGS


def test_goes_on_after_the_server_was_killed(sshd, side):
    """A download that the server's end has broken goes on from the byte it had once the server is back."""
    (sshd.files / "fw.bin").write_bytes(BIG)
    side.settings["rate_limit_kbps"] = SLOW_KBPS
    assert side.get_fails(sshd.url("/fw.bin"), EARLY, sshd.kill).fault is Fault.INTERRUPTED
    side.settings["rate_limit_kbps"] = 0
    sshd.start()
    side.get(sshd.url("/fw.bin"))
    assert side.content() == BIG
    assert side.starts[-1] > EARLY


def test_another_file_meanwhile(sshd, side):
    """If the file is another one by then, the download begins anew, and what comes is that file whole."""
    (sshd.files / "fw.bin").write_bytes(BIG)
    side.settings["rate_limit_kbps"] = SLOW_KBPS
    side.get_fails(sshd.url("/fw.bin"), EARLY, sshd.kill)
    other = BIG[::-1] + b"newer"
    (sshd.files / "fw.bin").write_bytes(other)
    side.settings["rate_limit_kbps"] = 0
    sshd.start()
    side.get(sshd.url("/fw.bin"))
    assert side.content() == other


def test_refused(sshd, side):
    """What is not there, what is not for us and a wrong password end a transfer, an upload by its precise word."""
    (sshd.files / "other.bin").write_bytes(IMAGE)
    (sshd.files / "other.bin").chmod(0o600)
    nothing = side.get_fails(sshd.url("/no.bin"))
    others = side.get_fails(sshd.url("/other.bin"))
    stranger = side.put_fails(sshd.url("/in/a", f"{USER}:wrong"))
    forbidden = side.put_fails(sshd.url("/a"))
    nowhere = side.put_fails(sshd.url("/no/a"))
    assert {error.fault for error in (nothing, others, stranger, forbidden, nowhere)} == {Fault.REFUSED}
    assert [error.log_status for error in (stranger, forbidden, nowhere)] == [
        "PermissionDenied", "PermissionDenied", "UploadFailure",
    ]  # fmt: skip
    assert "wrong" not in str(stranger)
    assert [file.name for file in (sshd.files / "in").iterdir()] == []


def test_full_disk(tmp_path, side):
    """An upload that the server has no room for is tried again: somebody may tidy up."""
    server = Sshd(tmp_path / "sshd")
    with small_disk(server.files / "in" / "disk") as disk:
        os.chown(disk.folder, USER_ID, USER_ID)
        disk.fill()
        with server:
            error = side.put_fails(server.url("/in/disk/a"))
            assert (error.fault, error.log_status) == (Fault.FAILED, "UploadFailure")
            disk.free()
            side.put(server.url("/in/disk/a"))
            assert (disk.folder / "a").read_bytes() == LOGS


def test_changed_host_key(sshd, side):
    """The key seen first is kept; a server that comes with another one hears no password, and both keys are named."""
    side.get(sshd.url("/fw.bin"))
    assert side.settings["known_hosts_file"].read_text() == sshd.known_hosts_line
    sshd.kill()
    sshd.new_host_key()
    sshd.start()
    for error in (side.get_fails(sshd.url("/fw.bin")), side.put_fails(sshd.url("/in/a"))):
        assert str(error).count("SHA256:") == 2
    assert sshd.output().count("password for") == 1


def test_known_hosts_only(sshd, side):
    """Where keys have to be known, an unknown server hears no password; a known one is spoken to."""
    side.settings["keep_new_hosts"] = False
    side.settings["known_hosts_file"].write_text("")
    assert "SHA256:" in str(side.get_fails(sshd.url("/fw.bin")))
    assert "password for" not in sshd.output()
    side.settings["known_hosts_file"].write_text(sshd.known_hosts_line)
    side.get(sshd.url("/fw.bin"))
    assert side.content() == IMAGE


def test_key_login(tmp_path, side):
    """A server that takes no passwords is logged in to with our key."""
    with Sshd(tmp_path / "sshd", passwords=False) as server:
        (server.files / "fw.bin").write_bytes(IMAGE)
        assert side.get_fails(server.url("/fw.bin")).fault is Fault.REFUSED
        side.settings["sftp_key_file"] = server.user_key()
        side.get(server.url("/fw.bin", USER))
        assert side.content() == IMAGE
