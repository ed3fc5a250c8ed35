"""The broker that EVerest is run with, for one bench: a real mosquitto on the loopback."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from time import monotonic, sleep
from typing import Self

HOST = "127.0.0.1"
_START_S = 10.0
_STOP_S = 5.0


class AbsentError(Exception):
    """A peer is not on this machine, and what needs it is left out."""


class Mosquitto:
    """Runs while the context lasts, on a port of its own.

    Raises:
        AbsentError: there is no mosquitto on this machine.
    """

    def __init__(self, folder: Path) -> None:
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
        program = shutil.which("mosquitto", path=path)
        if program is None:
            raise AbsentError("mosquitto is not on this machine")
        self._program, self._folder = program, folder
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with socket.create_server((HOST, 0)) as held:  # it cannot choose a port itself
            self.port = held.getsockname()[1]
        config = self._folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} {HOST}\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
            "log_dest stderr\nlog_type error\n"
        )
        self._process = subprocess.Popen([self._program, "-c", str(config)], stdin=subprocess.DEVNULL)
        deadline = monotonic() + _START_S
        while monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection((HOST, self.port), 1).close()
            except OSError:
                sleep(0.02)
            else:
                return self
        self.__exit__()
        raise AbsentError("mosquitto does not start")

    def __exit__(self, *_: object) -> None:
        end(self._process)


def end(process: "subprocess.Popen[bytes] | None") -> None:
    """Terminate a process, and kill it if it does not end within 5 s."""
    if process is None:
        return
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
