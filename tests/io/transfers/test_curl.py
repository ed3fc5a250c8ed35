"""The engine: time-outs, cancel, TLS, proxies, and what it makes of errors."""

import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from support.http_server import File, HttpServer, Reply, make_certificate
from support.machine_time import machine_time

from everest_system.fsm.errors import CanceledError
from everest_system.io.transfers import curl, roots
from everest_system.io.transfers.curl import Engine
from everest_system.io.transfers.exchange import CurlError
from everest_system.io.transfers.outcomes import Own
from everest_system.io.transfers.transfer import Fault, TransferError, TransferSettings, http_date, retry_after_s

WEB = frozenset({"http", "https"})


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with HttpServer() as server:
        server.files["/f"] = File(b"content")
        yield server


@pytest.fixture
def silent():
    """A server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def fetch(url, settings=None, schemes=WEB, canceled=None, attempt_timeout_s=None, options=None, **callbacks):
    with Engine(settings or TransferSettings(), schemes, canceled or threading.Event(), attempt_timeout_s) as engine:
        return engine.exchange(url, options or {}, **callbacks)


def test_exchange_gives_head_then_body(server):
    """An exchange shows the head before the body, and answers with its status."""
    seen = []
    answer = fetch(server.url("/f"), on_head=lambda head: not seen.append(head.status), on_body=seen.append)
    assert seen == [200, b"content"]
    assert (answer.status, answer.sent) == (200, 0)


def test_connection_serves_several_exchanges(server):
    """One engine does several exchanges, one after the other."""
    with Engine(TransferSettings(), WEB, threading.Event()) as engine:
        assert [engine.exchange(server.url(path), {}).status for path in ("/f", "/none", "/f")] == [200, 404, 200]


def test_callback_can_end_an_exchange_well(server):
    """A head or a body that its reader does not want ends the exchange without an error."""
    server.plan("/f", Reply(endless=True))
    assert fetch(server.url("/f"), on_head=lambda _: False).status == 200
    assert fetch(server.url("/f"), on_body=lambda _: False).status == 200


@pytest.mark.parametrize("where", ["on_head", "on_body", "on_step"])
def test_exception_of_a_callback_comes_out(server, where, capfd):
    """What a callback raises is raised by the exchange, and pycurl prints nothing."""

    def fail(_):
        raise KeyError(where)

    with pytest.raises(KeyError, match=where):
        fetch(server.url("/f"), **{where: fail})
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("scheme", ["ftp", "sftp", "file", "gopher", "smb", "scp"])
def test_other_schemes_are_refused(scheme):
    """A scheme that is not allowed, or that the engine does not speak, is refused for good."""
    with pytest.raises(CurlError, match="scheme") as caught:
        fetch(f"{scheme}://127.0.0.1/etc/passwd", schemes=WEB | {"gopher", "smb", "scp"})
    assert (caught.value.fault, caught.value.log_status) == (Fault.REFUSED, "NotSupportedOperation")


def test_cancel_acts_within_200_ms_of_silence(silent):
    """A cancel ends an exchange with a silent server within 200 ms."""
    canceled = threading.Event()
    moments = []

    def cancel():
        moments.append(machine_time())
        canceled.set()

    timer = threading.Timer(0.15, cancel)
    timer.start()
    with pytest.raises(CanceledError):
        fetch(f"http://{silent}/", canceled=canceled)
    assert machine_time() - moments[0] < 0.2
    timer.join()


def test_cancel_set_before_stops_at_once(server):
    """A cancel that came before the exchange sends no request."""
    canceled = threading.Event()
    canceled.set()
    with pytest.raises(CanceledError):
        fetch(server.url("/f"), canceled=canceled)


def test_silence_is_a_stall(silent):
    """A server that takes the request and says nothing ends the attempt after the stall time-out."""
    with pytest.raises(CurlError, match="stalled") as caught:
        fetch(f"http://{silent}/", TransferSettings(stall_timeout_s=0.15))
    assert caught.value.fault is Fault.FAILED


def test_handshake_has_the_connect_timeout(silent):
    """A server that never ends the TLS handshake is given the connect time-out, not the stall time-out."""
    with pytest.raises(CurlError) as caught:
        fetch(f"https://{silent}/", TransferSettings(connect_timeout_s=0.3, stall_timeout_s=0.05))
    assert caught.value.code == 28
    assert "stalled" not in str(caught.value)


def test_attempt_has_a_deadline(silent):
    """An attempt ends at its own time-out, even where no stall is looked for."""
    with pytest.raises(CurlError, match="too long"):
        fetch(f"http://{silent}/", TransferSettings(stall_timeout_s=0), attempt_timeout_s=0.15)


def test_closed_port_is_a_failure(silent):
    """A refused connection may be better next time; the message names the host, and no secret."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(CurlError) as caught:
        fetch(f"http://user:secret@127.0.0.1:{port}/p?token=secret")
    assert (caught.value.fault, caught.value.log_status) == (Fault.FAILED, "UploadFailure")
    assert str(caught.value).startswith(f"http://127.0.0.1:{port}: ")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 1000 + b"\r\n" + b"Y: z\r\n" * 15000,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000,
        b"HTTP/0.9 nonsense",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\nfile",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 4\r\n\r\nfile",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nHTTP/abc nonsense\r\nContent-Length: x\r\n\r\n",
        b"",
    ],
)
def test_malformed_answers_are_failures(server, raw):
    """Endless or malformed heads end in a failure that may be tried again."""
    server.plan("/f", Reply(raw=raw))
    with pytest.raises(CurlError) as caught:
        fetch(server.url("/f"))
    assert caught.value.fault is Fault.FAILED


def test_userinfo_goes_out_as_basic(server):
    """User and password of the URL go out as HTTP Basic, decoded."""
    server.user, server.password = "us@er", "pä:ss"
    assert fetch(server.url("/f", user="us%40er", password="p%C3%A4:ss")).status == 200
    assert fetch(server.url("/f", user="us%40er", password="wrong")).status == 401


def test_proxy_that_refuses_is_named(server, monkeypatch):
    """A proxy's refusal to connect counts as the status that it is."""
    server.plan("127.0.0.1:9", Reply(status=407))
    server.plan("", Reply(status=407))
    monkeypatch.setenv("https_proxy", server.url(""))
    with pytest.raises(CurlError) as caught:
        fetch("https://127.0.0.1:9/")
    assert (caught.value.fault, caught.value.log_status) == (Fault.REFUSED, "PermissionDenied")


def test_https_needs_a_known_root(tmp_path):
    """A server's certificate must lead to a root of ours: the system's or a configured one."""
    certificate = make_certificate(tmp_path)
    with HttpServer(tls=certificate) as server:
        server.files["/f"] = File(b"content")
        assert fetch(server.url("/f"), TransferSettings(ca_files=(certificate.cert_file,))).status == 200
        with pytest.raises(CurlError) as caught:
            fetch(server.url("/f"))
        assert (caught.value.code, caught.value.fault) == (60, Fault.FAILED)


def test_https_checks_the_host_name(tmp_path):
    """A certificate for another host is no good."""
    certificate = make_certificate(tmp_path, "elsewhere.example")
    with HttpServer(tls=certificate) as server, pytest.raises(CurlError) as caught:
        fetch(server.url("/f"), TransferSettings(ca_files=(certificate.cert_file,)))
    assert caught.value.code == 60


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "has no"),
        (b"no certificate", "has no"),
        (b"\x30\x82", "has no"),
        (b"-----BEGIN CERTIFICATE-----\n", "has a broken"),
    ],
)
def test_roots_that_cannot_be_used_are_told(tmp_path, content, what):
    """A file of roots that holds none in PEM, or a broken one, ends the attempt with its name, not with distrust."""
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    with pytest.raises(TransferError, match=rf"ca\.pem {what} certificate in PEM") as caught:
        fetch("https://127.0.0.1:9/", TransferSettings(ca_files=(file,)))
    assert caught.value.meaning == Own.FILES.meaning


def test_files_of_ours_that_are_gone_are_told(tmp_path):
    """A file of the settings that is not there ends the attempt with its name, whatever the server would have said."""
    missing = tmp_path / "missing.pem"
    for scheme, settings in (
        ("https", TransferSettings(ca_files=(missing,))),
        ("https", TransferSettings(client_cert_file=missing, client_key_file=missing)),
        ("sftp", TransferSettings(sftp_key_file=missing)),
        ("http", TransferSettings(credentials_file=missing)),
    ):
        with pytest.raises(TransferError, match=r"cannot read .*missing\.pem: No such file") as caught:
            fetch(f"{scheme}://127.0.0.1:9/f", settings, {scheme})
        assert caught.value.meaning == Own.FILES.meaning


def test_credentials_that_cannot_be_used_are_told(server, tmp_path):
    """A credentials file that is open to all ends the attempt, before anything is sent."""
    file = tmp_path / "credentials"
    file.touch()
    file.chmod(0o644)
    with pytest.raises(TransferError, match="chmod o=") as caught:
        fetch(server.url("/f"), TransferSettings(credentials_file=file))
    assert (caught.value.fault, server.requests) == (Fault.FAILED, [])


def test_libcurl_refusing_an_option_is_a_failure(server):
    """An option that libcurl will not take ends in a transfer error, not in one of pycurl's."""
    with pytest.raises(CurlError):
        fetch(server.url("/f"), options={pycurl_option("HTTP_VERSION"): 4711})


def pycurl_option(name):
    return getattr(curl.pycurl, name)


def test_system_bundle_is_found_wherever_it_is(tmp_path, monkeypatch):
    """The system's bundle is the one that OpenSSL names, else the first of the usual ones, else none."""
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert roots.system_bundle() == bundle
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(roots, "_BUNDLES", (str(bundle),))
    assert roots.system_bundle() == bundle
    monkeypatch.setattr(roots, "_BUNDLES", ())
    assert roots.system_bundle() is None
    with pytest.raises(CurlError):
        fetch("https://127.0.0.1:9/")


def test_rate_is_limited(server):
    """A rate limit holds over the transfer."""
    server.files["/f"] = File(bytes(300_000))
    begun = time.monotonic()
    fetch(server.url("/f"), TransferSettings(rate_limit_kbps=4000))
    assert time.monotonic() - begun > 0.2


def test_retry_after_is_read_in_both_spellings():
    """Retry-After counts as seconds or up to a date, by the server's clock if it tells it; nonsense is nothing."""
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert retry_after_s("120") == 120
    assert retry_after_s("Sun, 06 Nov 1994 08:51:37 GMT", date) == 120
    assert retry_after_s(date, "Sun, 06 Nov 1994 08:51:37 GMT") == 0
    assert retry_after_s(date) == 0
    soon = (datetime.now(UTC) + timedelta(seconds=100)).strftime("%a, %d %b %Y %H:%M:%S -0000")
    assert 90 < (retry_after_s(soon) or 0) <= 100
    for text in (None, "", "-1", "1e9", "soon", "9" * 10, "Sun, 99 Nov 1994 08:49:37 GMT"):
        assert retry_after_s(text) is None
    assert http_date("Sun, 06 Nov 1994 08:49:37 -0000") == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
