"""What nginx answers, and what the engine makes of it: over HTTP, over TLS, and when it is no server to be trusted."""

from pathlib import Path

import pytest
from support.http_server import Certificate
from support.nginx import PASSWORD, RETRY_AFTER_S, USER, Nginx
from support.pki import Issuer
from support.server_certificates import LONG_AGO, SOME_DAY, certificate
from support.small_disk import small_disk
from support.stations import IMAGE
from support.transfer_side import LOGS, TransferSide

from everest_system.io.transfers.transfer import Fault

ME = f"{USER}:{PASSWORD}"
KEPT = 1 << 19
"""Bytes of /slow/ that come at once, and so before the server is killed."""


@pytest.fixture
def side(tmp_path):
    return TransferSide(tmp_path)


@pytest.fixture
def nginx(tmp_path):
    with Nginx(tmp_path / "nginx") as server:
        (server.files / "fw.bin").write_bytes(IMAGE)
        yield server


@pytest.fixture
def authority(tmp_path, side):
    """An authority that the engine trusts."""
    root = Issuer.root("Servers")
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(root.pem)
    side.settings["ca_files"] = (ca_file,)
    return root


def https(tmp_path: Path, tls: Certificate, **how) -> Nginx:
    """A server that speaks TLS."""
    server = Nginx(tmp_path / "nginx", tls=tls, **how)
    (server.files / "fw.bin").write_bytes(IMAGE)
    return server


def test_goes_on_after_the_server_was_killed(nginx, side):
    """A download that the server's end has broken goes on from the byte it had once the server is back."""
    url = nginx.url("/slow/fw.bin")
    error = side.get_fails(url, KEPT // 2, nginx.kill)
    assert error.fault is Fault.INTERRUPTED
    assert side.kept > KEPT // 2
    assert side.get_fails(url).fault is Fault.FAILED  # it is not back yet
    nginx.rate = 0
    nginx.start()
    assert side.get(url).length == len(IMAGE)
    assert side.content() == IMAGE
    (last,) = nginx.requests(1)
    assert (last.status, last.range) == (206, f"bytes={side.starts[-1]}-")
    assert side.starts[-1] > KEPT // 2
    assert last.if_range.startswith('"')


def test_another_file_meanwhile(nginx, side):
    """If the file is another one by then, the download begins anew, and what comes is that file whole."""
    url = nginx.url("/slow/fw.bin")
    side.get_fails(url, KEPT // 2, nginx.kill)
    other = IMAGE[::-1] + b"newer"  # of two files of one length and second nginx says the same
    (nginx.files / "fw.bin").write_bytes(other)
    nginx.rate = 0
    nginx.start()
    side.get(url)
    assert side.content() == other
    (last,) = nginx.requests(1)
    assert (last.status, last.range != "") == (200, True)


def test_download_refused(nginx, side):
    """A status that is no success is no firmware: 401, 403 and 404 end it, a 503 is waited for as long as it says."""
    (nginx.files / "in" / "fw.bin").write_bytes(IMAGE)
    nothing = side.get_fails(nginx.url("/no.bin"))
    denied = side.get_fails(nginx.url("/denied/fw.bin"))
    nobody = side.get_fails(nginx.url("/private/fw.bin"))
    wrong = side.get_fails(nginx.url("/private/fw.bin", f"{USER}:wrong"))
    assert [error.fault for error in (nothing, denied, nobody, wrong)] == [Fault.REFUSED] * 4
    assert [request.status for request in nginx.requests(4)] == [404, 403, 401, 401]
    side.get(nginx.url("/busy/fw.bin"))
    busy = side.get_fails(nginx.url("/busy/fw.bin"))
    assert (busy.fault, busy.retry_after_s) == (Fault.FAILED, RETRY_AFTER_S)
    side.get(nginx.url("/private/fw.bin", ME))
    assert side.content() == IMAGE


@pytest.mark.parametrize("path", ["/in/logs.tar.gz", "/private/logs.tar.gz"])
def test_upload(nginx, side, path):
    """An upload by PUT arrives whole, also where user and password are asked for."""
    side.put(nginx.url(path, ME))
    assert (nginx.files / "in" / "logs.tar.gz").read_bytes() == LOGS
    assert nginx.requests(1)[0].status == 201


@pytest.mark.parametrize(
    ("path", "status", "fault", "word"),
    [
        ("/private/a", 401, Fault.REFUSED, "PermissionDenied"),
        ("/denied/a", 403, Fault.REFUSED, "PermissionDenied"),
        ("/fw.bin", 405, Fault.REFUSED, "NotSupportedOperation"),
        ("/in/no/a/", 409, Fault.REFUSED, "UploadFailure"),
        ("/small/a", 413, Fault.REFUSED, "UploadFailure"),
    ],
)
def test_upload_refused(nginx, side, path, status, fault, word):
    """A refused upload gets the precise word, is not tried again, and leaves nothing on the server."""
    error = side.put_fails(nginx.url(path))
    assert (error.fault, error.log_status) == (fault, word)
    assert nginx.requests(1)[0].status == status
    assert [each.name for each in nginx.files.rglob("*") if each.is_file()] == ["fw.bin"]


def test_upload_at_a_bad_time(nginx, side):
    """An upload that comes at a bad time (503) is tried again, when the server says."""
    side.get(nginx.url("/busy/fw.bin"))
    error = side.put_fails(nginx.url("/busy/a"))
    assert (error.fault, error.log_status, error.retry_after_s) == (Fault.FAILED, "UploadFailure", RETRY_AFTER_S)


def test_upload_to_a_full_disk(nginx, side):
    """An upload that the server has no room for (nginx says 500) is tried again: somebody may tidy up."""
    with small_disk(nginx.files / "in" / "disk") as disk:
        disk.fill()
        error = side.put_fails(nginx.url("/in/disk/a"))
        assert (error.fault, error.log_status) == (Fault.FAILED, "UploadFailure")
        assert nginx.requests(1)[0].status == 500
        disk.free()
        side.put(nginx.url("/in/disk/a"))
        assert (disk.folder / "a").read_bytes() == LOGS


def test_trusted_server(tmp_path, authority, side):
    """A server whose chain ends in a configured CA is trusted, both ways, and resumed, though it would like HTTP/2."""
    middle = authority.issue("Servers 2", ca=True)
    with https(tmp_path, certificate(tmp_path / "tls", middle, chain=(middle,))) as server:
        side.get_fails(server.url("/slow/fw.bin"), KEPT // 2, server.kill)
        server.rate = 0
        server.start()
        side.get(server.url("/slow/fw.bin"))
        assert side.content() == IMAGE
        assert side.starts[-1] > KEPT // 2
        side.put(server.url("/in/a"))
        assert (server.files / "in" / "a").read_bytes() == LOGS
        assert {request.protocol for request in server.requests(2)} == {"HTTP/1.1"}


BAD_CERTIFICATES = {
    "wrong name": (lambda folder, root: certificate(folder, root, "elsewhere.example"), "no alternative certificate"),
    "expired": (lambda folder, root: certificate(folder, root, not_after=LONG_AGO), "certificate has expired"),
    "not yet valid": (lambda folder, root: certificate(folder, root, not_before=SOME_DAY), "not yet valid"),
    "self-signed": (lambda folder, root: certificate(folder, None), "self-signed certificate"),
    "unknown CA": (lambda folder, root: certificate(folder, Issuer.root("Strangers")), "unable to get local issuer"),
    "chain missing": (
        lambda folder, root: certificate(folder, root.issue("Servers 2", ca=True)),
        "unable to get local issuer",
    ),
    "issued by no CA": (
        lambda folder, root: certificate(folder, leaf := root.issue("Leaf", ca=False), chain=(leaf,)),
        "invalid CA certificate",
    ),
}


@pytest.mark.parametrize("case", BAD_CERTIFICATES)
def test_untrusted_server(tmp_path, authority, side, case):
    """A server with a certificate that does not hold gets no request, and the error says what is wrong with it."""
    make, cause = BAD_CERTIFICATES[case]
    with https(tmp_path, make(tmp_path / "tls", authority)) as server:
        for error in (side.get_fails(server.url("/fw.bin")), side.put_fails(server.url("/in/a"))):
            assert cause in str(error)
            assert error.log_status == "UploadFailure"
        assert server.requests() == []


def test_too_old_tls(tmp_path, authority, side):
    """A server that speaks TLS 1.1 at most is not spoken to."""
    old = "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"
    with https(tmp_path, certificate(tmp_path / "tls", authority), directives=old) as server:
        assert "protocol version" in str(side.get_fails(server.url("/fw.bin")))
        assert server.requests() == []


def test_client_certificate(tmp_path, authority, side):
    """A server that wants a certificate gets the configured one; without it, it says no."""
    clients = Issuer.root("Clients")
    client_ca = tmp_path / "clients.pem"
    client_ca.write_text(clients.pem)
    ours = certificate(tmp_path / "ours", clients, "station 7")
    with https(tmp_path, certificate(tmp_path / "tls", authority), client_ca=client_ca) as server:
        assert side.get_fails(server.url("/fw.bin")).fault is Fault.REFUSED
        side.settings |= {"client_cert_file": ours.cert_file, "client_key_file": ours.key_file}
        side.get(server.url("/fw.bin"))
        assert side.content() == IMAGE
        assert [(request.status, request.client) for request in server.requests(2)] == [
            (400, ""), (200, "CN=station 7"),
        ]  # fmt: skip
