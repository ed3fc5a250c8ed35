"""A disk of its own that can be filled and made read-only: a tmpfs, where this user may mount one.

disk.fill()                 # not a byte is left
disk.free()                 # as before
disk.make_read_only()
"""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A few MiB at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Take all the room that there is."""
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (65536, 4096, 512):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink()

    def make_read_only(self) -> None:
        """Let nobody write any more."""
        mount("-o", "remount,ro", str(self.folder))


@contextmanager
def small_disk(folder: Path, mebibytes: int = 4) -> Iterator[SmallDisk]:
    """Mount one, or skip the test."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    folder.mkdir()
    if mount("-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder), check=False):
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(*arguments: str, check: bool = True) -> int:
    """Run mount, and return its exit code."""
    return subprocess.run(["mount", *arguments], check=check, stderr=subprocess.DEVNULL).returncode
