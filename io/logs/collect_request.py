"""What a log collector is asked for, as it crosses to the process that does it, and what comes of it.

    request = CollectRequest(source, LogWindow(), spool, "s_DiagnosticsLog_begin_20261122T093000Z.tar.gz", facts={})
    CollectRequest.from_json(request.to_json()) == request

Light: the service imports it, and loads neither the compressor nor anything else that only the collector needs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from everest_system.fsm.errors import WorldError
from everest_system.io.logs.masking import Mask
from everest_system.io.logs.sources import LogSource
from everest_system.io.logs.window import LogWindow

Progress = Callable[[int, int], None]
"""`on_progress(done, total)`: bytes of log files dealt with, of all that match."""


class CollectError(WorldError):
    """The archive could not be made; the spool is clean again. `str()` says why."""


@dataclass(frozen=True)
class Collected:
    """A complete archive.

    Attributes:
        path: where it lies.
        length: its bytes.
        files_taken: log files in it, wholly or in part.
        files_left_out: what matched and is not in it, and what else its manifest lists as left out.
    """

    path: Path
    length: int
    files_taken: int
    files_left_out: int


@dataclass(frozen=True)
class CollectRequest:
    """One archive that is asked for.

    Attributes:
        source: where the logs are.
        window: what is taken of them; times without a zone are those of the machine.
        spool: folder of the archive, made if it is not there.
        name: the archive's file name; an archive of the same name is replaced.
        facts: what the manifest shall say besides, as JSON (log type, station, request id, versions).
        max_size_bytes: length of the archive at most, its manifest not counted.
        masks: what is hidden in all that is taken.
        documents: what the service says of itself, as JSON, by name.

    Raises:
        ValueError: `name` is no plain file name.
    """

    source: LogSource
    window: LogWindow
    spool: Path
    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    max_size_bytes: int = 1 << 29
    masks: tuple[Mask, ...] = ()
    documents: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name in {"", ".", ".."} or "/" in self.name or "\0" in self.name:
            raise ValueError(f"{self.name!r} is no file name")

    def to_json(self) -> bytes:
        """It as one line, without line break."""
        window = {"oldest": _text(self.window.oldest), "latest": _text(self.window.latest)}
        fields = {
            "source": asdict(self.source),
            "window": window,
            "spool": str(self.spool),
            "name": self.name,
            "facts": dict(self.facts),
            "max_size_bytes": self.max_size_bytes,
            "masks": [asdict(mask) for mask in self.masks],
            "documents": dict(self.documents),
        }
        return json.dumps(fields).encode()

    @classmethod
    def from_json(cls, line: bytes) -> Self:
        """What `to_json` made."""
        fields = json.loads(line)
        return cls(
            **{
                **fields,
                "source": LogSource.from_fields(fields["source"]),
                "window": LogWindow(_time(fields["window"]["oldest"]), _time(fields["window"]["latest"])),
                "spool": Path(fields["spool"]),
                "masks": tuple(Mask(**{**mask, "literals": tuple(mask["literals"])}) for mask in fields["masks"]),
            }
        )


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
