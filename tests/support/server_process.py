"""A server program of a test's own: on a port of its own, started, killed and started again on the same one.

class Nginx(ServerProcess): ...       # says what to run
with Nginx(folder) as nginx:          # listens by then
    nginx.kill()                      # as a power cut does: no goodbye to anybody
    nginx.start()
"""

import socket
import subprocess
import time
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
DEADLINE_S = 30.0


class ServerProcess:
    """Runs `command()` while the context lasts.

    Args:
        folder: for its files; must exist.
        host: the address it listens on.

    Attributes:
        port: where it listens, the same for all its life.
    """

    def __init__(self, folder: Path, host: str = HOST) -> None:
        self.folder, self.host = folder, host
        self.port = free_port(host)
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """The program and its arguments; writes its configuration. It must stay in the foreground."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it listens; in the network namespace of the thread that asks."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + DEADLINE_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"{type(self).__name__} does not run:\n{self.output()}")
            time.sleep(0.01)  # there is no event to wait for

    def kill(self) -> None:
        """End it and all its connections at once."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            # What it was wrapped in may be gone a moment before it.
            while self._listens():
                time.sleep(0.01)

    def output(self) -> str:
        """What it has said."""
        return self._output.read_text(errors="replace")

    @property
    def _output(self) -> Path:
        return self.folder / "output"

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), 1).close()
        except OSError:
            return False
        return True


def free_port(host: str = HOST) -> int:
    """A port for a program that cannot choose its own: one that the kernel has just given away."""
    with socket.create_server((host, 0)) as held:
        port: int = held.getsockname()[1]
        return port
