"""What both ends of `STATE_DIR/control.sock` agree on: its address, JSON objects one a line, and the errors.

A request is `{"command": NAME, …}`; an answer is any object, and one that says what went wrong is `{"error": TEXT}`.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from everest_system.fsm.errors import WorldError

CONTROL_SOCKET = "control.sock"
"""Its name in the state folder."""

_LONGEST_ADDRESS = 107  # bytes in the kernel's sun_path, without the closing zero


class ControlError(WorldError):
    """The operator and the service cannot talk; `str()` names the socket and the way out in one line."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Return `message` as one line of ASCII.

    Raises:
        TypeError: it holds what JSON cannot say.
    """
    return json.dumps(message).encode("ascii") + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Return the object that `line` holds.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        message = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(message, dict):
        raise ValueError("no JSON object")  # noqa: TRY004  # the text is wrong, not a type of ours
    return message


@contextmanager
def address(path: Path) -> Iterator[str]:
    """Give the name by which the kernel takes the socket at `path`, valid within the block.

    Longer paths than a socket's address can hold are reached by way of their folder's descriptor.

    Raises:
        OSError: there is no such folder.
    """
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
