"""Looking at what the service has left: is it what the statuses said?"""

import hashlib
import tarfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from everest_system.fsm.errors import WorldError
from everest_system.fsm.timestamps import parse_rfc3339

MANIFEST = "manifest.json"


class InspectionError(WorldError):
    """Something is not as it should be; `str()` says what."""


def active_slot(slots: Path) -> str:
    """The slot that `current` points to."""
    return (slots / "current").readlink().name


def require_image(slots: Path, slot: str, sha256: str) -> None:
    """See that a slot holds the image with this digest, and nothing else.

    Raises:
        InspectionError: it does not.
    """
    held = sorted(path.name for path in (slots / slot).iterdir())
    if held != ["image"]:
        raise InspectionError(f"slot {slot} should hold an image alone; it holds {', '.join(held) or 'nothing'}")
    with (slots / slot / "image").open("rb") as image:
        found = hashlib.file_digest(image, "sha256").hexdigest()
    if found != sha256:
        raise InspectionError(f"the image in slot {slot} has SHA-256 {found}, not {sha256}")


def require_active(slots: Path, slot: str) -> None:
    """See that a slot is the active one.

    Raises:
        InspectionError: it is not.
    """
    if active_slot(slots) != slot:
        raise InspectionError(f"slot {active_slot(slots)} is active, not {slot}")


@dataclass(frozen=True)
class Member:
    """One log file in an archive.

    Attributes:
        name: its path in the station, without the slash in front.
        lines: how many of its lines were taken.
    """

    name: str
    lines: int


def look_into(archive: Path, logs: Path, oldest: datetime) -> list[Member]:
    """Open an archive, and see that it holds what was asked for: of each log the lines from `oldest` on.

    Args:
        archive: as it was received.
        logs: the folder of the station's logs; each of their lines begins with its time.
        oldest: where the window begins.

    Raises:
        InspectionError: it holds more, less, or something else.
    """
    contents = _contents(archive)
    if contents.pop(MANIFEST, None) is None:
        raise InspectionError(f"{archive.name} has no {MANIFEST}")
    expected = {str(log).lstrip("/"): _since(log, oldest) for log in sorted(logs.rglob("*.log"))}
    if set(contents) != set(expected):
        raise InspectionError(f"{archive.name} holds {', '.join(sorted(contents)) or 'no logs'}")
    for name, text in expected.items():
        if contents[name] != text:
            raise InspectionError(f"{name} in {archive.name} is not the part of the log that was asked for")
    return [Member(name, text.count(b"\n")) for name, text in expected.items()]


def _contents(archive: Path) -> dict[str, bytes]:
    contents = {}
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened.getmembers():
                stream = opened.extractfile(member)
                if stream is not None:
                    contents[member.name] = stream.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InspectionError(f"{archive.name} cannot be opened: {error}") from error
    return contents


def _since(log: Path, oldest: datetime) -> bytes:
    lines = log.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if parse_rfc3339(line.split(" ", 1)[0]) >= oldest).encode()
