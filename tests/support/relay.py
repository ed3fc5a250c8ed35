"""A TCP relay in front of any server, which breaks or freezes what comes from it.

with Relay(server.port) as relay:
relay.freeze_at = 1000            # falls silent after so many bytes from the server, over all connections
download(f"sftp://…@127.0.0.1:{relay.port}/f", ...)
relay.cut_at = 1000               # or hangs up
"""

import contextlib
import socket
import threading
from typing import Self

from support.machine_time import machine_time

HOST = "127.0.0.1"


class Relay:
    """Listens on a port of its own, in threads, while the context lasts.

    Attributes:
        passed: bytes that have come so far, from both sides.
        cut_at: hang up once so many bytes have come from either side; None: never.
        freeze_at: pass nothing on any more once so many have; None: never.
        frozen: set when it has come to that.
        frozen_at: and when that was, by `machine_time`.
    """

    def __init__(self, port: int) -> None:
        self.cut_at: int | None = None
        self.freeze_at: int | None = None
        self.frozen = threading.Event()
        self.frozen_at: float | None = None
        self._target = port
        self.passed = 0
        self._ended = threading.Event()
        self._server = socket.create_server((HOST, 0))
        self.port: int = self._server.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for each in (self._server, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._server, *self._sockets):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection((HOST, self._target))
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pump, args=(source, sink))
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(16384):
                self.passed += len(block)
                if self.freeze_at is not None and self.passed > self.freeze_at:
                    self.frozen_at = self.frozen_at or machine_time()
                    self.frozen.set()
                    self._ended.wait()
                if self.cut_at is not None and self.passed > self.cut_at:
                    break
                sink.sendall(block)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
