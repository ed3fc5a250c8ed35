"""What an archive's last member says: what was taken and from where, what was left out and why, what went wrong.

JSON, the facts of the request first. The same input gives the same bytes.
"""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from everest_system.io.logs.collect_request import CollectRequest
from everest_system.io.logs.masking import Masker

LISTED_MAX = 5_000
"""Paths that are listed as left out; the rest are counted."""
OVER = "over the size limit, newer files went first"


class Manifest:
    """Gathered while an archive is made.

    Attributes:
        taken: the members, in order.
        errors: what went wrong, though something of it may have been taken.
    """

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.errors: list[dict[str, str]] = []
        self._left_out: dict[str, str] = {}
        self._unlisted = 0

    @property
    def left_out_count(self) -> int:
        """How much is left out."""
        return len(self._left_out) + self._unlisted

    def take(self, member: str, **about: Any) -> None:
        """A member that is in the archive."""
        self.taken.append({**about, "member": shown(member)})

    def leave_out(self, path: Path | str, why: str) -> None:
        """A file or another source that is not; the first reason counts, for two patterns may meet the same path."""
        name = shown(str(path))
        if name in self._left_out or len(self._left_out) < LISTED_MAX:
            self._left_out.setdefault(name, why)
        else:
            self._unlisted += 1

    def fail(self, source: str, why: str) -> None:
        """A source that had something to complain of."""
        self.errors.append({"source": source, "error": why})

    def text(self, request: CollectRequest, masker: Masker) -> bytes:
        """All of it."""
        window = request.window
        content: dict[str, Any] = {
            **request.facts,
            "format": 2,
            "archive": request.name,
            "window": {"oldest": rfc3339(window.oldest), "latest": rfc3339(window.latest), "inclusive": True},
            "zone": str(window.zone) if window.zone else machine_zone(),
            "bytes": sum(one["bytes"] for one in self.taken),
            "taken": self.taken,
            "left_out": [{"path": path, "reason": why} for path, why in sorted(self._left_out.items())],
            "masked": masker.counts,
            "errors": self.errors,
        }
        if window.empty:
            content["note"] = "the window ends before it begins: nothing lies in it"
        if self._unlisted:
            content["left_out_unlisted"] = self._unlisted
        if masker.slow:
            content["masks_too_slow"] = sorted(masker.slow)
        return json.dumps(content, indent=1).encode() + b"\n"


def shown(path: str) -> str:
    r"""A path as text: bytes that are not UTF-8 are written `\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def rfc3339(moment: datetime | None) -> str | None:
    """A time as text, in UTC if it has no zone."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.isoformat().replace("+00:00", "Z")


def machine_zone() -> str:
    """The machine's own, by which times are read that name none; with summer time where it has one."""
    zones = [(time.tzname[0], -time.timezone)]
    if time.daylight:
        zones.append((time.tzname[1], -time.altzone))
    return ", ".join(f"{name} {_offset(seconds)}" for name, seconds in zones)


def _offset(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


def modified(seconds: int) -> str | None:
    """Seconds since 1970 as text, None for a time that no calendar has: a file may claim any at all."""
    try:
        return rfc3339(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    except OverflowError:
        return None
