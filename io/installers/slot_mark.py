"""What says that a slot holds a firmware whole: of an image its name, of an unpacked archive the file `.unpacked`."""

from pathlib import Path
from typing import Final

IMAGE: Final = "image"
UNPACKED: Final = ".unpacked"


def is_whole(slot: Path) -> bool:
    """Say whether a slot, by its folder, holds one."""
    return (slot / IMAGE).is_file() or (slot / UNPACKED).is_file()
