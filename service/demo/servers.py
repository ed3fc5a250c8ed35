"""The file servers of the demonstration: HTTP to load firmware from and to send logs to, and FTP for both.

Both serve one folder on the loopback, on any free port, in threads of their own while the context lasts. What is sent
to them lands in that folder too, beside what they serve.

    with HttpServer(folder, rate_kib_s=8192) as http, FtpServer(folder, "station", "secret") as ftp:
        http.url("firmware.img")
        ftp.url("logs/")
"""

import logging
import re
import secrets
import threading
import warnings
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, unquote, urlsplit

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # older ones build on asyncore
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

_HOST: Final = "127.0.0.1"
_BLOCK: Final = 64 * 1024
_LARGEST_UPLOAD: Final = 1 << 30
_SILENCE_S: Final = 30.0
_POLL_S: Final = 0.05
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{0,18})", re.ASCII)


class HttpServer:
    """GET and HEAD with ranges and ETags, PUT and POST into the folder.

    Args:
        folder: what it serves; must exist.
        rate_kib_s: how fast a download goes at most, so that a person can look on; None: as fast as it can.
    """

    def __init__(self, folder: Path, rate_kib_s: int | None = None) -> None:
        self._server = _Server((_HOST, 0), _Handler)
        self._server.folder = folder.resolve()
        self._server.rate_kib_s = rate_kib_s
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _POLL_S}, name="http", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str = "") -> str:
        """Return the address of a file, by its path below the folder."""
        return f"http://{_HOST}:{self.port}/{quote(path)}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    folder: Path
    rate_kib_s: int | None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.ended = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: a client that hangs up is nobody's business here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = _SILENCE_S

    def log_message(self, *_: object) -> None:
        """Keep quiet: the screen belongs to the demonstration."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        target = self._file()
        length = self.headers.get("Content-Length", "")
        if target is None or target == self.server.folder or target.is_dir():
            self._refuse(HTTPStatus.FORBIDDEN)
        elif not (length.isascii() and length.isdigit()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
        elif len(length) > len(str(_LARGEST_UPLOAD)) or int(length) > _LARGEST_UPLOAD:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._store(target, int(length))

    do_POST = do_PUT  # noqa: N815 - the base class's spelling

    def _file(self) -> Path | None:
        """The file that the request names; None when it is not below the folder."""
        try:
            path = (self.server.folder / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
        except ValueError:  # NUL in the path
            return None
        return path if path.is_relative_to(self.server.folder) else None

    def _serve(self) -> None:
        file = self._file()
        if file is None or not file.is_file():
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        with file.open("rb") as stream:
            facts = file.stat()
            etag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
            start, end, status = self._range(facts.st_size, etag)
            self.send_response(status)
            self.send_header("ETag", etag)
            self.send_header("Accept-Ranges", "bytes")
            if status == HTTPStatus.PARTIAL_CONTENT:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{facts.st_size}")
            elif status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self.send_header("Content-Range", f"bytes */{facts.st_size}")
            self.send_header("Content-Length", str(end - start))
            self.end_headers()
            if self.command == "GET":
                self._send(stream, start, end)

    def _range(self, size: int, etag: str) -> tuple[int, int, HTTPStatus]:
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        if wanted is None or self.headers.get("If-Range", etag) != etag:
            return 0, size, HTTPStatus.OK
        start = int(wanted[1])
        end = min(size, int(wanted[2]) + 1) if wanted[2] else size
        if start >= end:
            return 0, 0, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        return start, end, HTTPStatus.PARTIAL_CONTENT

    def _send(self, stream: Any, start: int, end: int) -> None:
        stream.seek(start)
        rate = self.server.rate_kib_s
        pause_s = _BLOCK / 1024 / rate if rate else 0.0
        while start < end and not self.server.ended.is_set():
            block = stream.read(min(_BLOCK, end - start))
            if not block:
                break
            self.wfile.write(block)
            start += len(block)
            if pause_s:
                self.server.ended.wait(pause_s)
        self.close_connection |= start < end

    def _store(self, target: Path, length: int) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{secrets.token_hex(8)}.part")
        left = length
        try:
            with part.open("wb") as stream:
                while left and (block := self.rfile.read(min(_BLOCK, left))):
                    stream.write(block)
                    left -= len(block)
            if left:
                self.close_connection = True  # the client has gone: no answer would reach it
                return
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        self.send_response(HTTPStatus.CREATED)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True  # the body, if there is one, has not been read
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()


class FtpServer:
    """Passive FTP, up and down.

    Args:
        folder: what it serves; must exist.
        user: "" means anonymous, who may do everything.
        password: of that user.
    """

    def __init__(self, folder: Path, user: str = "", password: str = "") -> None:
        log = logging.getLogger("pyftpdlib")
        log.setLevel(logging.CRITICAL)
        log.addHandler(logging.NullHandler())  # or it sets up a log on the screen
        authorizer = DummyAuthorizer()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # an anonymous that writes: only the loopback can reach it
            if user:
                authorizer.add_user(user, password, str(folder), perm="elradfmw")
            else:
                authorizer.add_anonymous(str(folder), perm="elradfmw")

        class Handler(FTPHandler):  # type: ignore[misc]
            auth_failed_timeout = 0.1  # nobody guesses passwords here

        Handler.authorizer = authorizer
        self._userinfo = f"{quote(user, '')}:{quote(password, '')}@" if user else ""
        self._server = FTPServer((_HOST, 0), Handler, ioloop=IOLoop())
        self.port: int = self._server.address[1]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="ftp", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def url(self, path: str = "") -> str:
        """Return the address of a file or, with a slash at its end, a folder; user and password are part of it."""
        return f"ftp://{self._userinfo}{_HOST}:{self.port}/{quote(path)}"

    def _serve(self) -> None:
        while not self._ended.is_set():
            self._server.serve_forever(timeout=_POLL_S, blocking=False)
        self._server.close_all()
