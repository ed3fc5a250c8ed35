"""A log that takes an hour to read and no room: the holes in it are too many to be left out."""

import os
from pathlib import Path

from everest_system.io.logs.holes import RANGES_MAX

SIZE = 1 << 40
_APART = 1 << 16


def write_endless_log(path: Path, begin: bytes = b"") -> None:
    """Write one that begins like this."""
    with path.open("wb", buffering=0) as file:
        file.write(begin)
        for number in range(1, RANGES_MAX + 1):
            os.pwrite(file.fileno(), b"x", number * _APART)
        file.truncate(SIZE)
