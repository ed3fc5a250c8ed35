"""SFTP against OpenSSH's own server: both ways, resumed, canceled, and only with the host that is trusted."""

import os
import subprocess
import threading
import time
from contextlib import suppress

import pytest
from support.machine_time import machine_time
from support.private_user import USER
from support.relay import Relay
from support.sshd import Sshd
from support.transfer_side import LOGS, TransferSide

from everest_system.fsm.artifact import Part
from everest_system.fsm.errors import CanceledError
from everest_system.io.transfers.transfer import Fault

CONTENT = os.urandom(3_000_001)
LOGIN_BYTES = 20_000
"""More than SSH says until it has logged in, and less than it says with the first of a file."""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    with Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def sftp(sshd):
    """The server with its files as at first."""
    (sshd.files / "f").write_bytes(CONTENT)
    (sshd.files / "f").chmod(0o644)
    for path in (sshd.files / "in").iterdir():
        path.unlink()
    return sshd


@pytest.fixture
def relay(sftp):
    with Relay(sftp.port) as relay:
        yield relay


@pytest.fixture
def side(tmp_path):
    return TransferSide(tmp_path, known_hosts_file=tmp_path / "known_hosts", keep_new_hosts=True)


def through(relay, sftp, path):
    return sftp.url(path).replace(str(sftp.port), str(relay.port))


def test_both_ways(sftp, side):
    """A file comes and an archive goes, whole, and the server's key is kept in the form that OpenSSH reads."""
    assert side.get(sftp.url("/f")).length == len(CONTENT)
    assert side.content() == CONTENT
    side.put(sftp.url("/in/a%20b"))
    assert (sftp.files / "in" / "a b").read_bytes() == LOGS
    assert side.settings["known_hosts_file"].read_text() == sftp.known_hosts_line


def test_empty_file_arrives(sftp, side):
    """A file without a byte is a file."""
    (sftp.files / "empty").touch()
    assert side.get(sftp.url("/empty")).length == 0


def test_broken_connection_is_continued(sftp, relay, side):
    """After a break the next attempt goes on from the byte that was kept."""
    relay.cut_at = 2_000_000
    assert side.get_fails(through(relay, sftp, "/f")).fault is Fault.INTERRUPTED
    assert 0 < side.kept < 2_000_000
    kept = side.kept
    side.get(sftp.url("/f"))
    assert (side.starts[-1], side.content()) == (kept, CONTENT)


@pytest.mark.parametrize("other", [CONTENT[::-1], CONTENT[:1000]])
def test_changed_file_begins_anew(sftp, relay, side, other):
    """A file of another date or size is fetched from its first byte."""
    relay.cut_at = 2_000_000
    side.get_fails(through(relay, sftp, "/f"))
    (sftp.files / "f").write_bytes(other)
    os.utime(sftp.files / "f", (1, 1))
    side.get(sftp.url("/f"))
    assert side.content() == other


def test_complete_part_costs_one_byte(sftp, side, relay):
    """A crash after the last byte leads to one byte fetched again."""
    os.utime(sftp.files / "f", (1, 1))
    relay.cut_at = 2_000_000
    side.get_fails(through(relay, sftp, "/f"))
    validator = side._part.validator
    side.get(sftp.url("/f"))
    side._keep(Part(length=len(CONTENT), total=len(CONTENT), validator=validator))
    relay.cut_at = relay.passed + 500_000
    side.get(through(relay, sftp, "/f"))
    assert side.content() == CONTENT


def test_stall_is_an_interruption(sftp, relay, side):
    """Silence in the middle ends the attempt after the stall time-out, and nothing waits for the server's farewell."""
    side.settings["stall_timeout_s"] = 1
    relay.freeze_at = 1_000_000
    begun = machine_time()
    error = side.get_fails(through(relay, sftp, "/f"))
    assert (error.fault, "stalled" in str(error)) == (Fault.INTERRUPTED, True)
    side.archive.write_bytes(bytes(20_000_000))
    relay.freeze_at = relay.passed + 1_000_000
    assert "stalled" in str(side.put_fails(through(relay, sftp, "/in/a")))
    assert machine_time() - begun < 5


@pytest.mark.parametrize("freeze_at", [-1, 1000, LOGIN_BYTES, 1_500_000])
def test_cancel_acts_within_200_ms_of_silence(sftp, relay, side, freeze_at):
    """A cancel ends a transfer within 200 ms wherever the server fell silent: greeting, handshake, first byte, body."""
    relay.freeze_at = freeze_at
    moments = []

    def cancel():
        relay.frozen.wait(30)
        moments.append(machine_time())
        side.canceled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CanceledError):
        side.get(through(relay, sftp, "/f"))
    assert machine_time() - moments[0] < 0.25  # with the last sync
    thread.join()


def test_handshake_has_the_connect_timeout(sftp, relay, side):
    """A server that never ends the handshake is given the connect time-out."""
    side.settings.update(connect_timeout_s=0.3, stall_timeout_s=0.05)
    relay.freeze_at = 1000
    error = side.get_fails(through(relay, sftp, "/f"))
    assert (error.fault, error.code) == (Fault.FAILED, 28)


def test_rate_is_limited(sftp, side):
    """A rate limit holds over the transfer."""
    side.settings["rate_limit_kbps"] = 40_000
    begun = time.monotonic()
    side.get(sftp.url("/f"))
    assert time.monotonic() - begun > 0.3


@pytest.mark.parametrize(
    ("path", "fault", "word"),
    [
        ("/none", "refused", "UploadFailure"),
        ("/secret", "refused", "PermissionDenied"),
        ("/in/", "refused", "UploadFailure"),
        ("/in", "failed", "UploadFailure"),
    ],
)
def test_refused_downloads(sftp, side, path, fault, word):
    """A file that is not there, is not ours to read, or is a folder is told from one that may come yet."""
    (sftp.files / "secret").write_bytes(b"x")
    (sftp.files / "secret").chmod(0)
    error = side.get_fails(sftp.url(path))
    assert (error.fault, error.log_status) == (fault, word)


@pytest.mark.parametrize(
    ("path", "fault", "word"),
    [
        ("/a", "refused", "PermissionDenied"),
        ("/none/a", "refused", "UploadFailure"),
        ("/in", "failed", "UploadFailure"),
    ],
)
def test_refused_uploads(sftp, side, path, fault, word):
    """A folder that is closed to us is PermissionDenied, one that is not there UploadFailure."""
    error = side.put_fails(sftp.url(path))
    assert (error.fault, error.log_status) == (fault, word)


def test_login_is_checked(sftp, side):
    """A wrong password is PermissionDenied, for good, and not shown."""
    error = side.put_fails(sftp.url("/in/a", f"{USER}:hidden"))
    assert (error.fault, error.log_status) == (Fault.REFUSED, "PermissionDenied")
    assert "hidden" not in str(error)


def test_password_may_come_from_a_file(sftp, side, tmp_path):
    """A URL without a password gets the one of the credentials file."""
    file = tmp_path / "credentials"
    file.write_text(f"machine {sftp.host} login {USER} password secret\n")
    file.chmod(0o600)
    side.settings["credentials_file"] = file
    side.put(sftp.url("/in/a", USER))
    side.put(sftp.url("/in/b").replace(f"{USER}:secret@", ""))
    assert side.put_fails(sftp.url("/in/c", "another")).log_status == "PermissionDenied"


def test_key_may_log_in(sftp, side, tmp_path):
    """A private key opens the account that has its public half, without a password."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    folder = sftp.files / ".ssh"
    folder.mkdir(exist_ok=True)
    (folder / "authorized_keys").write_bytes((tmp_path / "key.pub").read_bytes())
    side.settings["sftp_key_file"] = key
    side.get(sftp.url("/f", USER))
    assert side.content() == CONTENT


def test_changed_host_key_is_refused(sftp, side):
    """A server with another key than the one kept is refused before it hears a password; the error has the way out."""
    side.get(sftp.url("/f"))
    kept = side.settings["known_hosts_file"]
    blob = sftp.known_hosts_line.split()[2]
    kept.write_text("# ours\n" + sftp.known_hosts_line.replace(blob[-8:], "AAAAAAAA"))
    error = side.put_fails(sftp.url("/in/a"))
    assert error.fault is Fault.FAILED
    assert f"the host key of [{sftp.host}]:{sftp.port} has changed" in str(error)
    assert f"{kept}:2; if that is right, remove that line" in str(error)
    assert "secret" not in str(error)
    kept.write_text("")
    side.put(sftp.url("/in/a"))


def test_host_key_of_another_kind_is_refused(sftp, side, tmp_path):
    """A server that has only a key of another kind than the one kept is refused, with the same way out."""
    key = tmp_path / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", str(key)], check=True)
    kind, blob = (tmp_path / "rsa.pub").read_text().split()[:2]
    kept = side.settings["known_hosts_file"]
    kept.write_text(f"[{sftp.host}]:{sftp.port} {kind} {blob}\n")
    error = side.get_fails(sftp.url("/f"))
    assert (error.fault, f"another kind than the one in {kept}: if so, remove" in str(error)) == (Fault.FAILED, True)


def test_known_hosts_must_know(sftp, side):
    """Without trust on first use a server must be in the file, and nothing is written there."""
    hosts = side.settings["known_hosts_file"]
    side.settings["keep_new_hosts"] = False
    assert "cannot use" in str(side.get_fails(sftp.url("/f")))
    hosts.write_text("")
    assert f"is not in {hosts}" in str(side.get_fails(sftp.url("/f")))
    assert hosts.read_text() == ""
    hosts.write_text(sftp.known_hosts_line)
    side.get(sftp.url("/f"))


@pytest.mark.parametrize("before_the_end", [40, 90, 150, 300, 600])
@pytest.mark.parametrize("way", ["get", "put"])
def test_nothing_waits_for_the_last_words_of_a_silent_server(sftp, relay, side, way, before_the_end):
    """Whether a server falls silent at its last answers or at its farewell, a cancel or the end comes within 200 ms."""
    url = through(relay, sftp, "/f" if way == "get" else "/in/a")
    getattr(side, way)(url)
    relay.freeze_at = 2 * relay.passed - before_the_end

    def cancel():
        if relay.frozen.wait(30):
            side.canceled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with suppress(CanceledError):
        getattr(side, way)(url)
    late = machine_time() - (relay.frozen_at or machine_time())
    relay.frozen.set()
    thread.join()
    assert late < 0.3
