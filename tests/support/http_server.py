"""A real HTTP(S) server for tests, demo and benchmark, which can misbehave in every way that a transfer must survive.

It serves what `files` holds and keeps what is put or posted in `uploads`; every request is in `requests`. Ranges,
`If-Range`, ETags and `Expect: 100-continue` work as the standard says. How the next requests of a path are answered
otherwise is told in advance, one `Reply` each; the last one stays in force:

    with HttpServer() as server:
        server.files["/fw.bin"] = File(b"...", etag='"1"')
        server.plan("/fw.bin", Reply(cut_at=100), Reply())
        download(server.url("/fw.bin"), ...)
"""

import base64
import select
import socket
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

BLOCK = 64 * 1024


@dataclass
class File:
    """What a path holds: its bytes (or a path to them), and the validators that the server sends along."""

    content: bytes | Path
    etag: str | None = None
    last_modified: datetime | None = None

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    def read(self, start: int, end: int):
        """Yield its bytes from `start` up to `end`, in blocks."""
        if isinstance(self.content, bytes):
            for at in range(start, end, BLOCK):
                yield self.content[at : min(at + BLOCK, end)]
            return
        with self.content.open("rb") as file:
            file.seek(start)
            while start < end:
                block = file.read(min(BLOCK, end - start))
                start += len(block)
                yield block


@dataclass(frozen=True)
class Reply:
    """How to answer one request; what is left out is done properly.

    Attributes:
        status: this status instead of the right one; for other than 2xx the body is a short text.
        headers: fields to add, or to put in place of the server's own; None leaves one out.
        cut_at: break the connection after that many bytes of body.
        stall_at: fall silent after that many bytes of body, until the client goes or the server ends.
        announce: this Content-Length instead of the right one.
        ranges: False: know nothing of ranges.
        if_range: False: send the range asked for, whatever `If-Range` says.
        endless: a body without length that never ends.
        chunked: send the body in chunks.
        raw: these bytes instead of an answer.
        expect: what to do about `Expect: 100-continue`: continue, ignore, or refuse with 417.
        early: answer an upload before reading its body, and hang up.
    """

    status: int | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    cut_at: int | None = None
    stall_at: int | None = None
    announce: int | None = None
    ranges: bool = True
    if_range: bool = True
    endless: bool = False
    chunked: bool = False
    raw: bytes | None = None
    expect: str = "continue"
    early: bool = False


@dataclass(frozen=True)
class Request:
    """One request as it came; `status` is what it was answered with."""

    method: str
    path: str
    headers: Mapping[str, str]
    status: int


class HttpServer:
    """The server, in a thread of its own while the context lasts.

    Args:
        tls: what `make_certificate` returned; the server then speaks https.
        user: with `password`, asked for by HTTP Basic.
        port: 0 for any free one.

    Attributes:
        tunnel: be a proxy to wherever `CONNECT` asks for.
    """

    def __init__(
        self,
        *,
        tls: "Certificate | None" = None,
        user: str | None = None,
        password: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.files: dict[str, File] = {}
        self.uploads: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.stalled = threading.Event()
        self.ended = threading.Event()
        self.user, self.password = user, password
        self.tunnel = False
        self._plans: dict[str, deque[Reply]] = defaultdict(deque)
        self._scheme = "https" if tls else "http"
        self._server = _Server((host, port), _Handler)
        self._server.owner = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.cert_file, tls.key_file)
            self._server.context = context
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str = "/", *, user: str | None = None, password: str = "", host: str = "127.0.0.1") -> str:
        """Return the address of a path here."""
        userinfo = f"{user}:{password}@" if user is not None else ""
        return f"{self._scheme}://{userinfo}{host}:{self.port}{path}"

    def plan(self, path: str, *replies: Reply) -> None:
        """Say how the next requests for a path are answered; the last reply stays in force."""
        self._plans[path] = deque(replies)

    def next_reply(self, path: str) -> Reply:
        """Take the next reply planned for a path."""
        replies = self._plans[path]
        if not replies:
            return Reply()
        return replies.popleft() if len(replies) > 1 else replies[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    owner: HttpServer
    context: ssl.SSLContext | None = None

    def finish_request(self, request, client_address) -> None:
        # In the connection's own thread: a handshake that hangs must not stop the others.
        if self.context:
            request.settimeout(10)
            try:
                request = self.context.wrap_socket(request, server_side=True)
            except OSError:
                return
        super().finish_request(request, client_address)
        if self.context:
            request.close()

    def handle_error(self, request, client_address) -> None:
        """Keep quiet: clients that hang up are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 10

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    @property
    def owner(self) -> HttpServer:
        return self.server.owner

    def _name(self) -> str:
        return urlsplit(self.path).path

    def handle_expect_100(self) -> bool:
        self._early = self.owner.next_reply(self._name())
        if self._early.expect == "refuse":
            self._early = None
            self._answer(417, {"Content-Length": "0"})
            return False
        if self._early.early or not self._authorized():
            return True
        if self._early.expect == "continue":
            self.send_response_only(100)
            self.end_headers()
        return True

    _early: Reply | None = None

    def _next(self) -> Reply:
        reply, self._early = self._early, None
        return reply or self.owner.next_reply(self._name())

    def _authorized(self) -> bool:
        owner = self.owner
        if owner.user is None:
            return True
        token = base64.b64encode(f"{owner.user}:{owner.password}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {token}"

    def _answer(self, status: int, headers: Mapping[str, str | None] | None = None, reply: Reply | None = None) -> None:
        date = format_datetime(datetime.now(UTC), usegmt=True)
        merged = {"Date": date, **(headers or {}), **(reply.headers if reply else {})}
        self.owner.requests.append(Request(self.command, self.path, dict(self.headers), status))
        self.send_response_only(status)
        for name, value in merged.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def _say(self, status: int, reply: Reply) -> None:
        text = b"so says the server\n"
        self._answer(status, {"Content-Length": str(len(text))}, reply)
        self.wfile.write(text)

    def _endless(self, reply: Reply) -> None:
        self._answer(reply.status or 200, {"Connection": "close"}, reply)
        self.close_connection = True
        while not self.owner.ended.is_set():
            self.wfile.write(bytes(BLOCK))

    def do_CONNECT(self) -> None:
        reply = self._next()
        if not self.owner.tunnel or reply.status:
            self._say(reply.status or 405, Reply())
            return
        self.close_connection = True
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), self.timeout) as far:
            self._answer(200)
            ends = {self.connection: far, far: self.connection}
            while ready := select.select(ends, (), (), self.timeout)[0]:
                for end in ready:
                    block = end.recv(BLOCK)
                    if not block:
                        return
                    ends[end].sendall(block)

    def do_GET(self) -> None:
        reply, file = self._next(), self.owner.files.get(self._name())
        if reply.raw is not None:
            self.owner.requests.append(Request(self.command, self.path, dict(self.headers), 0))
            self.wfile.write(reply.raw)
            self.close_connection = True
        elif not self._authorized():
            self._say(401, reply)
        elif reply.endless:
            self._endless(reply)
        elif reply.status is not None and reply.status // 100 != 2:
            self._say(reply.status, reply)
        elif file is None:
            self._say(404, reply)
        else:
            self._file(file, reply)

    def _file(self, file: File, reply: Reply) -> None:
        start, status = 0, 200
        headers: dict[str, str | None] = {"ETag": file.etag}
        if file.last_modified:
            headers["Last-Modified"] = format_datetime(file.last_modified.astimezone(UTC), usegmt=True)
        wanted = self.headers.get("Range", "") if reply.ranges else ""
        if wanted.startswith("bytes=") and self._same(file, reply):
            start = int(wanted[6:].split("-")[0])
            if start >= file.size:
                headers["Content-Range"] = f"bytes */{file.size}"
                self._answer(416, {**headers, "Content-Length": "0"}, reply)
                return
            status = 206
            headers["Content-Range"] = f"bytes {start}-{file.size - 1}/{file.size}"
        if reply.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(file.size - start if reply.announce is None else reply.announce)
        self._answer(reply.status or status, headers, reply)
        if reply.announce is not None:
            self.close_connection = True
        self._body(file, start, reply)

    def _same(self, file: File, reply: Reply) -> bool:
        condition = self.headers.get("If-Range")
        if condition is None or not reply.if_range or condition == file.etag:
            return True
        if condition.startswith('"') or not file.last_modified:
            return False
        return parsedate_to_datetime(condition) == file.last_modified.replace(microsecond=0)

    def _body(self, file: File, start: int, reply: Reply) -> None:
        stop = next((at for at in (reply.cut_at, reply.stall_at) if at is not None), file.size)
        for block in file.read(start, min(file.size, start + stop)):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if reply.chunked else block)
        if reply.stall_at is not None:
            self.owner.stalled.set()
            self.owner.ended.wait(10)
        if reply.cut_at is not None or reply.stall_at is not None:
            self.close_connection = True
        elif reply.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def do_PUT(self) -> None:
        reply = self._next()
        if reply.early or (self.headers.get("Expect") and not self._authorized()):
            if reply.endless:
                self._endless(reply)
            else:
                self._say(reply.status or 401, reply)
            self.close_connection = True
            return
        body = bytearray()
        left = int(self.headers["Content-Length"])
        limit = left if reply.cut_at is None else reply.cut_at
        while left and len(body) < limit:
            block = self.rfile.read(min(BLOCK, left, limit - len(body)))
            if not block:
                self.close_connection = True
                return
            body += block
            left -= len(block)
        if reply.stall_at is not None:
            self.owner.stalled.set()
            self.owner.ended.wait(10)
        if reply.cut_at is not None or reply.stall_at is not None:
            self.close_connection = True
        elif not self._authorized():
            self._say(401, reply)
        elif reply.endless:
            self._endless(reply)
        else:
            status = reply.status or 201
            if status // 100 == 2:
                self.owner.uploads[self._name()] = bytes(body)
            self._say(status, reply)

    do_POST = do_PUT  # noqa: N815


@dataclass(frozen=True)
class Certificate:
    """Files of a self-signed certificate and its key, PEM."""

    cert_file: Path
    key_file: Path


def make_certificate(folder: Path, *names: str) -> Certificate:
    """Make a certificate for a server of these names and addresses (default: 127.0.0.1) and store it in `folder`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test server")])
    now = datetime.now(UTC)
    alternatives = [_general_name(each) for each in names or ("127.0.0.1",)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / "server.crt", folder / "server.key")
    made.cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


def _general_name(name: str):
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
