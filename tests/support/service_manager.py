"""The end of the notify socket that is systemd's."""

import os
import socket
import time
from pathlib import Path
from typing import Self


class ServiceManager:
    """Listens as systemd does to a service of `Type=notify`, and keeps what it hears.

        with ServiceManager(tmp_path / "notify") as manager:
            ...                                   # start a service with NOTIFY_SOCKET=manager.name
            manager.wait_for("READY=1")

    Attributes:
        name: what `NOTIFY_SOCKET` has to say.
        heard: all messages so far.
    """

    def __init__(self, name: Path | str) -> None:
        self.name = str(name)
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{self.name[1:]}" if self.name.startswith("@") else self.name)

    @classmethod
    def abstract(cls) -> Self:
        """With a name of the kernel's own space, as systemd has had it."""
        return cls(f"@everest-system-test-{os.getpid()}-{time.monotonic_ns()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def next(self, timeout_s: float) -> str | None:
        """The next message; None if there is none in time."""
        self._socket.settimeout(timeout_s)
        try:
            message = self._socket.recv(4096).decode()
        except TimeoutError:
            return None
        self.heard.append(message)
        return message

    def wait_for(self, wanted: str, timeout_s: float = 60) -> str:
        """The next message that contains `wanted`."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            message = self.next(left)
            if message is not None and wanted in message:
                return message
        raise AssertionError(f"no {wanted!r} in time; heard: {self.heard}")

    def drain(self) -> None:
        """Take in what has been said already."""
        self._socket.setblocking(False)
        try:
            while True:
                self.heard.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return
