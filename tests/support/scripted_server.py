"""Servers that say what a test wants, byte for byte: whatever is asked, or command by command as FTP does.

with RawServer(b"SSH-2.0-nonsense", reset=True) as server: ...
with FtpScript(RETR="550 no") as server: ...      # the other commands are answered as they should be
"""

import contextlib
import socket
import struct
import threading
from typing import Self

HOST = "127.0.0.1"
_SIZE = "213 5"


class RawServer:
    """Answers the first bytes of each connection with its own, and hangs up.

    Args:
        answer: what it says; None: nothing, and it stays on the line.
        at_once: do not wait for the other side to speak.
        reset: hang up without a goodbye.
        more: what it says to the next bytes, in turn.

    Attributes:
        silent: set when it has come to saying nothing.
    """

    def __init__(self, answer: bytes | None, *more: bytes, at_once: bool = False, reset: bool = False) -> None:
        self.answers = () if answer is None else (answer, *more)
        self.silent = threading.Event()
        self._at_once, self._reset, self._silent = at_once, reset, answer is None
        self._ended = threading.Event()
        self._server = socket.create_server((HOST, 0))
        self.port: int = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            connection.settimeout(5)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.talk(connection)
            if self._reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def talk(self, connection: socket.socket) -> None:
        """Serve one connection."""
        for answer in self.answers:
            if not self._at_once:
                connection.recv(65536)
            connection.sendall(answer)
        if self._silent:
            self.silent.set()
            self._ended.wait()


class FtpScript(RawServer):
    """An FTP server with one file of five bytes, or of as many as were stored, whose answers can be replaced.

    Args:
        greeting: its first words.
        after: what it says once a file has gone over; an empty text, here and below: nothing, and for ever.
        drops: hang up the data connection once something has come there.
        answers: other answers, by command; `PASV` counts where `EPSV` is refused.

    Attributes:
        commands: what came, in order.
        answers_to: its answers, by command.
    """

    def __init__(
        self, greeting: str = "220 here", after: str = "226 done", *, drops: bool = False, **answers: str
    ) -> None:
        super().__init__(b"")
        self._greeting, self._after, self._drops = greeting, after, drops
        self._data = socket.create_server((HOST, 0))
        self._data.settimeout(5)
        port = self._data.getsockname()[1]
        self.answers_to = {
            "USER": "331 password",
            "PASS": "230 in",
            "PWD": '257 "/"',
            "EPSV": f"229 here (|||{port}|)",
            "PASV": f"227 here ({HOST.replace('.', ',')},{port // 256},{port % 256})",
            "SIZE": _SIZE,
            "MDTM": "213 20200101000000",
            "REST": "350 from there",
            "RETR": "150 comes",
            "STOR": "150 goes",
            "APPE": "150 goes on",
            "AUTH": "500 no",
            **answers,
        }
        self.commands: list[str] = []

    def __exit__(self, *_: object) -> None:
        self._data.close()
        super().__exit__()

    def talk(self, connection: socket.socket) -> None:
        """Serve one session."""
        lines = connection.makefile("rb")
        connection.sendall(f"{self._greeting}\r\n".encode())
        for line in lines:
            command = line.split()[0].decode()
            self.commands.append(line.decode().strip())
            answer = self.answers_to.get(command, "200 fine")
            self._say(connection, answer)
            if command in {"RETR", "STOR", "APPE"} and answer.startswith("1"):
                data, _ = self._data.accept()
                with data:
                    if command == "RETR":
                        data.sendall(b"12345")
                    else:
                        stored = 0
                        while (block := data.recv(65536)) and not self._drops:
                            stored += len(block)
                        if self.answers_to["SIZE"] == _SIZE:
                            self.answers_to["SIZE"] = f"213 {stored}"
                self._say(connection, self._after)

    def _say(self, connection: socket.socket, answer: str) -> None:
        if not answer:
            self.silent.set()
            self._ended.wait()
        connection.sendall(f"{answer}\r\n".encode())
