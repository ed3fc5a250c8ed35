"""The committed drawings beside this file: a dot, a mermaid and an svg of each machine.

`write` makes them anew, `check` says which of them no longer show what the tables say. Only text is compared: a picture
depends on the fonts of the machine that drew it, and is made from the dot beside it.
"""

from pathlib import Path
from typing import Literal

from everest_system.diagrams.machines import MACHINES, machine_named
from everest_system.diagrams.picture import picture
from everest_system.diagrams.source import dot, mermaid

MEND = "make diagrams"
"""The command that makes the committed drawings anew."""

_FOLDER = Path(__file__).resolve().parent  # resolved: in a strict editable install this file is a link
_SOURCES = {"dot": dot, "mermaid": mermaid}


def committed(name: str, format: Literal["dot", "mermaid", "svg"], folder: Path = _FOLDER) -> Path:  # noqa: A002
    """Where the drawing of the machine `name` is kept.

    Raises:
        ValueError: there is no machine `name`.
    """
    return folder / f"{machine_named(name).name}.{format}"


def check(folder: Path = _FOLDER) -> list[str]:
    """Which committed drawings are not what the tables say, a line each with the command that mends it."""
    faults = []
    for name in MACHINES:
        for format_, source in _SOURCES.items():
            file = folder / f"{name}.{format_}"
            if not file.is_file():
                faults.append(f"{file.name} is missing; mend it with: {MEND}")
            elif file.read_bytes() != source(name).encode():
                faults.append(f"{file.name} does not show the transition table of {name}; mend it with: {MEND}")
    return faults


def write(folder: Path = _FOLDER) -> None:
    """Make all drawings anew.

    Raises:
        PictureError: the pictures cannot be drawn; nothing is written then.
        OSError: a file cannot be written.
    """
    files = {
        folder / f"{name}.{format_}": source(name).encode() for name in MACHINES for format_, source in _SOURCES.items()
    }
    files |= {folder / f"{name}.svg": picture(dot(name), "svg") for name in MACHINES}
    for file, content in files.items():
        file.write_bytes(content)
