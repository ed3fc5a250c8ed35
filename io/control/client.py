"""The operator's side of the control socket: ask a running service.

answer = ask(Path("/var/lib/everest-system/control.sock"), "status")
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from everest_system.io.control.wire import ControlError, address, decode, encode

_LONGEST_ANSWER = 16 * 1024 * 1024
_BLOCK = 65536
_SHORTEST_WAIT_S = 0.001  # 0 would mean not to wait at all


class NotRunningError(ControlError):
    """No service listens on this socket."""


def ask(path: Path, command: str, /, timeout_s: float = 5.0, **arguments: Any) -> dict[str, Any]:
    """Send `command` to the service that listens on `path`, and return its one answer.

    Args:
        timeout_s: seconds for all of it, connecting included.

    Raises:
        NotRunningError: no service listens there.
        ControlError: access denied, no answer in time, or one that cannot be understood.
    """
    deadline = time.monotonic() + timeout_s
    with _connected(path, timeout_s) as peer:
        return _answer(peer, path, command, arguments, deadline)


@contextmanager
def _connected(path: Path, timeout_s: float) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as peer:
        peer.settimeout(timeout_s)
        try:
            with address(path) as name:
                peer.connect(name)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            raise NotRunningError(f"no service is running (nothing listens on {path})") from error
        except PermissionError as error:
            raise ControlError(f"{path}: access denied: use the account that the service runs under") from error
        except OSError as error:
            raise ControlError(f"{path}: the service cannot be reached: {error.strerror or error}") from error
        yield peer


def _answer(
    peer: socket.socket, path: Path, command: str, arguments: dict[str, Any], deadline: float
) -> dict[str, Any]:
    received = bytearray()
    block = b""
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # who hung up at once may have said why before
            peer.sendall(encode({**arguments, "command": command}))
        while b"\n" not in block:
            if len(received) > _LONGEST_ANSWER:
                raise ControlError(f"{path}: the answer is too long")
            peer.settimeout(max(deadline - time.monotonic(), _SHORTEST_WAIT_S))
            block = peer.recv(_BLOCK)
            if not block:
                raise ControlError(f"{path}: the service hung up without an answer")
            received += block
        return decode(bytes(received.partition(b"\n")[0]))
    except TimeoutError as error:
        raise ControlError(f"{path}: no answer in time: the service is busy or stuck") from error
    except OSError as error:
        raise ControlError(f"{path}: the connection broke: {error.strerror or error}") from error
    except ValueError as error:
        raise ControlError(f"{path}: the answer cannot be understood") from error
