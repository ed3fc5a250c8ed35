"""A real web server (nginx) with a folder of its own, run by whoever runs the tests.

    with Nginx(tmp_path) as nginx:
        (nginx.files / "fw.bin").write_bytes(image)
        download(nginx.url("/fw.bin"), ...)
        nginx.requests()                      # [Request("GET", "/fw.bin", 200, "bytes=…", …)]

What is where, below `files`: `/` is read only, `/slow/` the same at `rate` bytes a second once `at_once` bytes are out,
`/in/` takes what is put there, `/small/` at most a kilobyte of it, `/private/` asks for `USER` and `PASSWORD`,
`/denied/` is denied to all, `/busy/` has had enough after the first request in a minute and says when to come again.
With `tls` it speaks https, HTTP/2 to those who want it.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from support.http_server import Certificate
from support.peers import program, require
from support.server_process import DEADLINE_S, HOST, ServerProcess

USER, PASSWORD = "station", "secret"
RETRY_AFTER_S = 7

_CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    log_format facts escape=json '{{"method":"$request_method","path":"$uri","status":$status,"range":"$http_range",'
        '"if_range":"$http_if_range","protocol":"$server_protocol","client":"$ssl_client_s_dn"}}';
    access_log {folder}/access facts;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    limit_req_zone $server_port zone=busy:32k rate=1r/m;
    server {{
        listen {host}:{port}{listen};
        {tls}
        root {folder}/files;
        client_max_body_size 64m;
        location /slow/ {{ alias {folder}/files/; limit_rate {rate}; limit_rate_after {at_once}; }}
        location /in/ {{ dav_methods PUT; }}
        location /small/ {{ dav_methods PUT; client_max_body_size 1k; }}
        location /private/ {{
            alias {folder}/files/in/;
            dav_methods PUT;
            auth_basic station;
            auth_basic_user_file {folder}/users;
        }}
        location /denied/ {{ deny all; }}
        location /busy/ {{
            alias {folder}/files/;
            dav_methods PUT;
            limit_req zone=busy;
            add_header Retry-After {retry_after} always;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Request:
    """One request as nginx logged it, once it was over."""

    method: str
    path: str
    status: int
    range: str
    if_range: str
    protocol: str
    client: str


class Nginx(ServerProcess):
    """The server while the context lasts.

    Args:
        folder: for its files, its configuration and its log; made where it is not there.
        tls: certificate (a chain will do) and key of a server that speaks https.
        client_ca: PEM file with the CA that clients need a certificate from.
        directives: further ones for the server, such as `ssl_protocols TLSv1.1;`.

    Attributes:
        files: what it serves.
        rate: bytes a second below /slow/; 0: no limit. From the next start on.
        at_once: bytes that go out before that.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tls: Certificate | None = None,
        client_ca: Path | None = None,
        directives: str = "",
        host: str = HOST,
    ) -> None:
        self._binary = require("nginx", program("nginx"), "a real web server")
        super().__init__(folder, host)
        self.files = folder / "files"
        for name in ("in", "small"):
            (self.files / name).mkdir(parents=True, exist_ok=True)
        self.rate = 1 << 20
        self.at_once = 1 << 19
        self._tls, self._client_ca, self._directives = tls, client_ca, directives

    def url(self, path: str, userinfo: str = "", host: str = "") -> str:
        """Return the address of a path here."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{userinfo}{'@' if userinfo else ''}{host or self.host}:{self.port}{path}"

    def requests(self, count: int = 0) -> list[Request]:
        """The requests that are over, once there are at least `count`; it logs some after the client has its answer."""
        log = self.folder / "access"
        deadline = time.monotonic() + DEADLINE_S
        while len(lines := log.read_text().splitlines() if log.exists() else []) < count:
            assert time.monotonic() < deadline, f"{len(lines)} requests of {count} in nginx's log:\n{self.output()}"
            time.sleep(0.01)  # there is no event to wait for
        return [Request(**json.loads(line)) for line in lines]

    def command(self) -> list[str]:
        """Nginx with this configuration alone."""
        (self.folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        tls = self._directives
        if self._tls:
            tls += f"ssl_certificate {self._tls.cert_file}; ssl_certificate_key {self._tls.key_file};"
        if self._client_ca:
            tls += f"ssl_client_certificate {self._client_ca}; ssl_verify_client on;"
        config = self.folder / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                folder=self.folder,
                host=self.host,
                port=self.port,
                listen=" ssl http2" if self._tls else "",
                tls=tls,
                rate=self.rate,
                at_once=self.at_once,
                retry_after=RETRY_AFTER_S,
            )
        )
        return [self._binary, "-c", str(config), "-e", "stderr"]
