"""A database that is no use is set aside under a name that says when and why: nothing is destroyed, the service starts.

    state.db  ->  state.db.corrupt-20261122T231700Z      and its journal, which belongs to no other file
    state.db  ->  state.db.newer-20261122T231700Z        of a newer version, which was rolled back

The newest `KEPT` of them stay; they are the first to go when the disk is full.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from everest_system.io.durable import sync_folder

Reason: TypeAlias = Literal["corrupt", "newer"]
KEPT: Final = 3
"""How many are kept."""

_JOURNALS: Final = ("-journal", "-wal", "-shm")


def move_aside(file: Path, why: Reason) -> Path:
    """Give `file` and its journals another name, and return it; older ones beyond `KEPT` are removed.

    Raises:
        OSError: it cannot be renamed.
    """
    aside = _new_name(file, why)
    # The journal first: left behind by a crash in between, it would be played back into the next database.
    for end in (*_JOURNALS, ""):
        part = file.with_name(file.name + end)
        if end and part.exists() and part.stat().st_size == 0:
            part.unlink()  # what SQLite leaves behind each write
        elif part.exists():
            part.rename(aside.with_name(aside.name + end))
    sync_folder(file.parent)
    _remove(_aside(file, but=aside)[: 1 - KEPT])
    return aside


def copy_aside(file: Path) -> Path:
    """Copy `file`, which goes on being used, under such a name, and return it; the rest is as with `move_aside`.

    Raises:
        OSError: there is no room, or it cannot be written.
    """
    aside = _new_name(file, "corrupt")
    try:
        shutil.copy(file, aside)
    except OSError:
        aside.unlink(missing_ok=True)  # half a copy would only take the room that is left
        raise
    _remove(_aside(file, but=aside)[: 1 - KEPT])
    return aside


def remove_aside(file: Path) -> bool:
    """Remove all that was set aside of `file`; whether there was anything.

    Raises:
        OSError: it cannot be removed.
    """
    found = _aside(file)
    _remove(found)
    return bool(found)


def _new_name(file: Path, why: Reason) -> Path:
    name = f"{file.name}.{why}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    aside, number = file.with_name(name), 1
    while aside.exists():
        number += 1
        aside = file.with_name(f"{name}-{number}")
    return aside


def _aside(file: Path, but: Path | None = None) -> list[Path]:
    """The files set aside, oldest first as far as the clock was right; `but` is not among them."""
    found = (path for why in get_args(Reason) for path in file.parent.glob(f"{file.name}.{why}-*"))
    return sorted(
        (path for path in found if path != but and not path.name.endswith(_JOURNALS)),
        key=lambda path: path.name.partition("-")[2],
    )


def _remove(files: list[Path]) -> None:
    for file in files:
        for end in ("", *_JOURNALS):
            file.with_name(file.name + end).unlink(missing_ok=True)
