"""What vsftpd answers, and what the engine makes of it: without TLS, and with TLS after AUTH TLS or from the start."""

import os

import pytest
from support.pki import Issuer
from support.private_user import USER, USER_ID
from support.server_certificates import LONG_AGO, certificate
from support.small_disk import small_disk
from support.stations import IMAGE
from support.transfer_side import LOGS, TransferSide
from support.vsftpd import Vsftpd

from everest_system.io.transfers.transfer import Fault

SLOW = {"local_max_rate": str(1 << 20)}
EARLY = 1 << 18
KINDS = ("ftp", "explicit TLS", "ftps")


@pytest.fixture
def side(tmp_path):
    return TransferSide(tmp_path)


@pytest.fixture
def authority(tmp_path, side):
    """An authority that the engine trusts."""
    root = Issuer.root("Servers")
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(root.pem)
    side.settings["ca_files"] = (ca_file,)
    return root


@pytest.fixture
def vsftpd(tmp_path, authority, request):
    """A server of one of the three kinds, by a parameter of the test, without TLS by default."""
    kind = getattr(request, "param", "ftp")
    tls = None if kind == "ftp" else certificate(tmp_path / "tls", authority)
    with Vsftpd(tmp_path / "vsftpd", tls=tls, implicit=kind == "ftps") as server:
        (server.files / "fw.bin").write_bytes(IMAGE)
        yield server


every_kind = pytest.mark.parametrize("vsftpd", KINDS, indirect=True)


def broken(vsftpd, side):
    """Begin a download that the server's end breaks in the middle; it is back after that, and faster."""
    vsftpd.kill()
    vsftpd.options = SLOW
    vsftpd.start()
    error = side.get_fails(vsftpd.url("/fw.bin"), EARLY, vsftpd.kill)
    assert error.fault is Fault.INTERRUPTED
    vsftpd.options = {}
    vsftpd.start()


@every_kind
def test_both_ways(vsftpd, side):
    """Firmware comes and logs go, whole."""
    side.get(vsftpd.url("/fw.bin"))
    assert side.content() == IMAGE
    side.put(vsftpd.url("/in/logs.tar.gz"))
    assert (vsftpd.files / "in" / "logs.tar.gz").read_bytes() == LOGS


@every_kind
def test_goes_on_after_the_server_was_killed(vsftpd, side):
    """A download that the server's end has broken goes on from the byte it had (REST) once the server is back."""
    broken(vsftpd, side)
    side.get(vsftpd.url("/fw.bin"))
    assert side.content() == IMAGE
    assert side.starts[-1] > EARLY
    assert f"REST {side.starts[-1]}" in vsftpd.commands()


def test_another_file_meanwhile(vsftpd, side):
    """If the file is another one by then, the download begins anew, and what comes is that file whole."""
    broken(vsftpd, side)
    other = IMAGE[::-1] + b"newer"
    (vsftpd.files / "fw.bin").write_bytes(other)
    side.get(vsftpd.url("/fw.bin"))
    assert side.content() == other
    assert {command for command in vsftpd.commands() if command.startswith("REST")} <= {"REST 0"}


def test_download_refused(vsftpd, side):
    """No such file (550), one that is not for us (550) and a wrong password (530) end a download."""
    (vsftpd.files / "other.bin").write_bytes(IMAGE)
    (vsftpd.files / "other.bin").chmod(0o600)
    errors = [
        side.get_fails(vsftpd.url("/no.bin")),
        side.get_fails(vsftpd.url("/other.bin")),
        side.get_fails(vsftpd.url("/fw.bin", f"{USER}:wrong")),
    ]
    assert [error.fault for error in errors] == [Fault.REFUSED] * 3
    assert "wrong" not in str(errors)


def test_upload_refused(vsftpd, side):
    """A wrong password (530) is PermissionDenied, a folder that is not there or not for us ends the upload as well."""
    error = side.put_fails(vsftpd.url("/in/a", f"{USER}:wrong"))
    assert (error.fault, error.log_status) == (Fault.REFUSED, "PermissionDenied")
    assert side.put_fails(vsftpd.url("/no/a")).fault is Fault.REFUSED
    error = side.put_fails(vsftpd.url("/a"))  # 553
    assert (error.fault, error.log_status) == (Fault.REFUSED, "PermissionDenied")
    assert [file.name for file in vsftpd.files.rglob("*") if file.is_file()] == ["fw.bin"]


def test_store_forbidden(tmp_path, side):
    """A server that forbids to store (550) is PermissionDenied."""
    with Vsftpd(tmp_path / "vsftpd", options={"cmds_denied": "STOR"}) as server:
        error = side.put_fails(server.url("/in/a"))
    assert (error.fault, error.log_status) == (Fault.REFUSED, "PermissionDenied")


def test_full_disk(tmp_path, side):
    """An upload that the server has no room for is tried again: somebody may tidy up."""
    server = Vsftpd(tmp_path / "vsftpd")
    with small_disk(server.files / "in" / "disk") as disk:
        os.chown(disk.folder, USER_ID, USER_ID)
        disk.fill()
        with server:
            error = side.put_fails(server.url("/in/disk/a"))
            assert (error.fault, error.log_status) == (Fault.FAILED, "UploadFailure")
            disk.free()
            side.put(server.url("/in/disk/a"))
            assert (disk.folder / "a").read_bytes() == LOGS


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize(
    ("names", "how", "cause"),
    [
        (["elsewhere.example"], {}, "no alternative certificate"),
        ([], {"not_after": LONG_AGO}, "certificate has expired"),
    ],
    ids=["wrong name", "expired"],
)
def test_untrusted_server(tmp_path, authority, side, names, how, cause, kind):
    """A server with a certificate that does not hold hears no password, and the error says what is wrong with it."""
    tls = certificate(tmp_path / "tls", authority, *names, **how)
    with Vsftpd(tmp_path / "vsftpd", tls=tls, implicit=kind == "ftps") as server:
        assert cause in str(side.get_fails(server.url("/fw.bin")))
        assert cause in str(side.put_fails(server.url("/in/a")))
        assert not [command for command in server.commands() if command.startswith(("USER", "PASS"))]


def test_tls_wanted_by_one_side(tmp_path, vsftpd, authority, side):
    """With TLS required a server without it hears no password; with TLS never used one that insists on it says no."""
    side.settings["ftp_tls"] = "require"
    side.get_fails(vsftpd.url("/fw.bin"))
    assert not [command for command in vsftpd.commands() if command.startswith(("USER", "PASS"))]
    side.settings["ftp_tls"] = "never"
    with Vsftpd(tmp_path / "insisting", tls=certificate(tmp_path / "tls", authority)) as server:
        assert side.get_fails(server.url("/fw.bin")).fault is Fault.REFUSED
