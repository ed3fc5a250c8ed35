"""What happened in a simulation: who did what, and when."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from everest_system.fsm.timestamps import format_rfc3339
from everest_system.simulation.moments import shown


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline.

    Attributes:
        at: microseconds since the beginning.
        wall: what the station's wall clock showed.
        who: `EVerest`, `CSMS`, `station`, `world` or `operator`.
    """

    at: int
    wall: datetime
    who: str
    what: str


@dataclass(slots=True)
class Timeline:
    """The story of one scenario.

    Attributes:
        title: the scenario's.
        entries: in the order of time.
        counted: heartbeats and communication checks; most of them were counted, and not run.
        lasted: microseconds of virtual time.
        failures: expectations that were not met, a line each; empty if all were.
    """

    title: str
    entries: list[Entry] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)
    lasted: int = 0
    failures: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        """The timeline for people: elapsed time, who, what; the station's clock wherever it was set."""
        lines = [self.title, ""]
        width = max((len(shown(entry.at)) for entry in self.entries), default=0)
        lines += [f"{shown(entry.at):>{width}}  {entry.who:<8}  {entry.what}" for entry in self.entries]
        counts = ", ".join(f"{number} {name}" for name, number in self.counted.items())
        lines += ["", f"{shown(self.lasted)} of virtual time; {counts}"]
        lines += [f"FAILED: {failure}" for failure in self.failures] or ["as expected"]
        return "\n".join(lines) + "\n"

    def as_json(self) -> str:
        """The same for programs; times in seconds since the beginning."""
        told: dict[str, Any] = {
            "title": self.title,
            "lasted_s": self.lasted / 1_000_000,
            "counted": self.counted,
            "entries": [
                {
                    "at_s": entry.at / 1_000_000,
                    "wall": format_rfc3339(entry.wall),
                    "who": entry.who,
                    "what": entry.what,
                }
                for entry in self.entries
            ],
            "failures": self.failures,
        }
        return json.dumps(told, ensure_ascii=False, indent=2) + "\n"
