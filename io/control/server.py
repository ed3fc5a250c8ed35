"""The service's ear for the operator: requests come in over a Unix socket and are posted to whoever decides.

`ControlServer` listens in a thread of its own. Each line `{"command": NAME, …}` becomes a `ControlRequest`, which is
handed to `on_request`; that may only post it to the thread that decides, and must not raise or wait. Answers come back
by `respond`, from any thread. The socket is this user's alone (0600) from the moment it exists; lines, clients, waiting
answers and idle time are bounded. A line that is no request is answered with `{"error": …}` and posted nowhere.

    server = ControlServer(folder / "control.sock", events.put)     # the folder's lock (`Store`) comes first
    request = events.get()
    request.respond({"state": "IDLE"})
    server.close()
"""

import os
import selectors
import socket
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everest_system.io.control.connection import Connection
from everest_system.io.control.wire import ControlError, address, decode, encode

__all__ = ["MOST_CLIENTS", "ControlError", "ControlRequest", "ControlServer"]

MOST_CLIENTS = 16
"""Connections at a time; the next one is told so and let go."""

_CLOSE_S = 1.0
_TICK_S = 1.0  # how late a peer may be found idle, and how long a failed accept pauses the listening


@dataclass(frozen=True, eq=False)
class ControlRequest:
    """What an operator wants.

    Attributes:
        command: the command's name, as it came; unknown names are the station's to refuse.
        arguments: the other keys of the request, unchecked.
        respond: sends one object back; from any thread, without waiting. Only the first call counts, and to a client
            that has left it does nothing.
    """

    command: str
    arguments: dict[str, Any]
    respond: Callable[[dict[str, Any]], None]


class ControlServer:
    """Listens on `path` from now until `close`.

    A socket file that a dead service left behind is replaced.

    Raises:
        ControlError: a running service listens there, something else is in the way, or the folder cannot be used.
    """

    def __init__(self, path: Path, on_request: Callable[[ControlRequest], None]) -> None:
        self._path = path
        self._on_request = on_request
        self._listener = _listening(path)
        self._accepts_from: float | None = None
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()  # guards the three below, which respond and close share with the thread
        self._answers: list[tuple[Connection, int, bytes]] = []
        self._is_open = True
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send what has been answered, let all clients go and remove the socket; takes at most a second."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                os.eventfd_write(self._wake, 1)
        self._thread.join(_CLOSE_S)

    def _respond(self, connection: Connection, number: int, answer: dict[str, Any]) -> None:
        line = encode(answer)
        with self._lock:
            if self._is_open:
                self._answers.append((connection, number, line))
                os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        try:
            while self._is_open:
                self._turn()
        finally:
            self._shut()

    def _turn(self) -> None:
        is_ticking = self._connections or self._accepts_from is not None
        for key, events in self._selector.select(_TICK_S if is_ticking else None):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fd == self._wake:
                os.eventfd_read(self._wake)
            else:
                self._serve(key.data, events)
        self._deliver()
        now = time.monotonic()
        for connection in [peer for peer in self._connections if peer.deadline <= now]:
            self._drop(connection)
        if self._accepts_from is not None and self._accepts_from <= now:
            self._accepts_from = None
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            # Out of descriptors or memory: the client stays in the queue, and asking again at once would not help it.
            self._selector.unregister(self._listener)
            self._accepts_from = time.monotonic() + _TICK_S
            return
        peer.setblocking(False)
        connection = Connection(peer, time.monotonic())
        if len(self._connections) >= MOST_CLIENTS:
            connection.refuse("too many clients")
            connection.flush()
            connection.close()
            return
        self._connections.add(connection)
        self._settle(connection)

    def _serve(self, connection: Connection, events: int) -> None:
        if events & selectors.EVENT_READ:
            connection.receive()
        self._settle(connection)

    def _deliver(self) -> None:
        with self._lock:
            answers, self._answers = self._answers, []
        for connection, number, line in answers:
            if not connection.is_closed:
                connection.answer(number, line, time.monotonic())
                self._settle(connection)

    def _settle(self, connection: Connection) -> None:
        """Do all that can be done for a connection now: post its next request, send, close or watch it."""
        while (line := connection.next_line()) is not None:
            self._post(connection, line)
        connection.flush()
        if connection.is_over:
            self._drop(connection)
            return
        known = self._selector.get_map().get(connection.peer)
        if known is None:
            if connection.events:
                self._selector.register(connection.peer, connection.events, connection)
        elif not connection.events:
            self._selector.unregister(connection.peer)
        elif connection.events != known.events:
            self._selector.modify(connection.peer, connection.events, connection)

    def _post(self, connection: Connection, line: bytes) -> None:
        try:
            command, arguments = _parsed(line)
        except ValueError as error:
            connection.complain(f"not understood: {error}")
            return
        number = connection.ask(time.monotonic())
        self._on_request(ControlRequest(command, arguments, lambda answer: self._respond(connection, number, answer)))

    def _drop(self, connection: Connection) -> None:
        if connection.peer in self._selector.get_map():
            self._selector.unregister(connection.peer)
        connection.close()
        self._connections.discard(connection)

    def _shut(self) -> None:
        self._deliver()
        for connection in list(self._connections):
            self._drop(connection)
        # The name goes first: a socket file without a listener would look like a dead service's.
        with suppress(OSError):
            self._path.unlink()
        self._listener.close()
        self._selector.close()
        with self._lock:
            self._is_open = False
            os.close(self._wake)


def _parsed(line: bytes) -> tuple[str, dict[str, Any]]:
    arguments = decode(line)
    command = arguments.pop("command", None)
    if not isinstance(command, str):
        raise ValueError('"command" is missing or no text')  # noqa: TRY004  # the text is wrong, not a type of ours
    return command, arguments


def _listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        # Linux gives the socket's own mode to the file that `bind` makes: there is no moment with a wider one.
        os.fchmod(listener.fileno(), 0o600)
        with address(path) as name:
            _remove_left_behind(path, name)
            listener.bind(name)
        listener.listen(MOST_CLIENTS)
    except BaseException as error:
        listener.close()
        if isinstance(error, OSError):
            raise ControlError(f"{path}: cannot listen there: {error.strerror or error}") from error
        raise
    return listener


def _remove_left_behind(path: Path, name: str) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(f"{path} is in the way and no socket: remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect(name)
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:  # its queue is full: somebody is there
            pass
    raise ControlError(f"{path}: another running service listens there: stop that one first")
