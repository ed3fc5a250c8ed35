"""Where the load comes from and goes to: files over HTTP as fast as the loopback carries them, uploads thrown away.

python -m bench.file_server FOLDER PORT_FILE    # in a process of its own; writes its port into PORT_FILE
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_BLOCK = 1 << 20


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        """Send a file of the folder."""
        file = self.folder / Path(self.path).name
        with file.open("rb") as stream:
            self.send_response(200)
            self.send_header("Content-Length", str(file.stat().st_size))
            self.send_header("ETag", '"bench"')
            self.end_headers()
            self.connection.sendfile(stream)

    def do_PUT(self) -> None:
        """Take a body and forget it."""
        left, block = int(self.headers["Content-Length"]), memoryview(bytearray(_BLOCK))
        while left and (count := self.rfile.readinto1(block[:left])):
            left -= count
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle ends its run, and nothing else."""


def main() -> None:
    """Serve until the process is ended."""
    folder, port_file = map(Path, sys.argv[1:3])
    _Handler.folder = folder
    server = _Server(("127.0.0.1", 0), _Handler)
    part = port_file.with_suffix(".part")
    part.write_text(str(server.server_address[1]))
    part.rename(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
