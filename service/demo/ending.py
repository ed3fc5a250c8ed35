"""What is left to see when the demonstration is over: the way that the update took, and where things are."""

from pathlib import Path
from typing import TypeAlias

from everest_system.demo.inspection import active_slot
from everest_system.demo.station_files import StationFiles
from everest_system.diagrams import PictureError, dot, picture
from everest_system.io.store.store import HISTORY_LENGTH, StoreReader

Steps: TypeAlias = tuple[tuple[str, str], ...]


def path_taken(files: StationFiles, request_id: int) -> Steps:
    """The firmware machine's steps for its first request, as drawings want them, from the service's store.

    Raises:
        StoreError: the store cannot be read.
    """
    with StoreReader.open(files.state) as store:
        history = store.history(HISTORY_LENGTH)
    return tuple(
        (step.event, step.target) for step in history if (step.machine, step.request_id) == ("firmware", request_id)
    )


def leave_drawing(files: StationFiles, path: Steps) -> Path:
    """Write the firmware machine with the path marked, and return where: a picture, or dot without pygraphviz.

    Raises:
        OSError: it cannot be written.
    """
    source = dot("firmware", path=path)
    try:
        content, suffix = picture(source, "svg"), ".svg"
    except PictureError:
        content, suffix = source.encode(), ".dot"
    drawing = files.drawing.with_suffix(suffix)
    drawing.write_bytes(content)
    return drawing


def places(files: StationFiles, log: Path, archive: Path, drawing: Path) -> str:
    """Where things are, a line each."""
    slots = files.slots
    rows = (
        ("configuration", files.config),
        ("state, history", files.state / "state.db"),
        ("active firmware", f"{slots / 'current'} -> {active_slot(slots)}"),
        ("both slots", f"{slots / 'a'}, {slots / 'b'}"),
        ("uploaded logs", archive),
        ("service's log", log),
        ("drawing", drawing),
    )
    return "\n".join(f"  {name:16}  {place}" for name, place in rows)
