"""Removing large files without holding up the store.

A file system frees a file's blocks in one transaction, and where it tells the disk of them (`discard`), a gigabyte
keeps every other write waiting: commits of the store beside it took 100 ms and more, and replies wait for commits. So
the name goes first, and then the content from its end, a little at a time, with room for others in between. What is
left when the process ends goes with it; what is left when the power goes is freed by the file system at its next start.

`let_go` and `free` are the two halves of `remove`, for who has to be sure of the names before the content is gone:

    contents = let_go(folder / "update-3")    # another update-3 may be made now
    free(contents, canceled)                  # in a worker: seconds for some gigabytes
"""

import os
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Final

STEP_BYTES: Final = 16 << 20
PAUSE_S: Final = 0.02

_OPEN_FLAGS: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def remove(path: Path, canceled: threading.Event) -> None:
    """Remove a file, or a folder with all in it as far as that can be done; one that is not there is no fault.

    Args:
        path: what to remove; of a link only itself.
        canceled: when set, what is left goes in one step.

    Raises:
        OSError: a file cannot be removed.
    """
    free(let_go(path), canceled)


def remove_file(file: Path, canceled: threading.Event) -> None:
    """Remove a file; its name is gone at once.

    Args:
        file: what to remove; of a link only itself.
        canceled: when set, the rest of the content goes in one step.

    Raises:
        OSError: it cannot be removed, or is not there.
    """
    free(_let_go_file(file), canceled)


def let_go(path: Path) -> list[int]:
    """Remove the names of a file, or of a folder and all in it as far as that can be done.

    Returns:
        Large contents without a name, for `free`.

    Raises:
        OSError: a file cannot be removed; that it is not there is no fault.
    """
    contents: list[int] = []
    if path.is_dir() and not path.is_symlink():
        for folder, _, names in os.walk(path):
            for name in names:
                with suppress(OSError):
                    contents += _let_go_file(Path(folder, name))
        rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            contents += _let_go_file(path)
    return contents


def free(contents: Iterable[int], canceled: threading.Event) -> None:
    """Give back the room that contents without a name take; when `canceled` is set, the rest in one step."""
    for descriptor in contents:
        try:
            _shrink(descriptor, canceled)
        finally:
            os.close(descriptor)


def _let_go_file(file: Path) -> list[int]:
    if file.lstat().st_size <= STEP_BYTES:
        file.unlink()
        return []
    try:
        descriptor = os.open(file, _OPEN_FLAGS)
    except OSError:  # one that may be removed but not written, or one too many
        file.unlink()
        return []
    try:
        file.unlink()
    except OSError:
        os.close(descriptor)
        raise
    return [descriptor]


def _shrink(descriptor: int, canceled: threading.Event) -> None:
    facts = os.fstat(descriptor)
    if facts.st_nlink or not stat.S_ISREG(facts.st_mode):
        return  # its content is still somebody's
    size = facts.st_size
    with suppress(OSError):  # then closing it frees the rest
        while size > STEP_BYTES and not canceled.wait(PAUSE_S):
            size -= STEP_BYTES
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)  # or the file system gathers the steps into one again
