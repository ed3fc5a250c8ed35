"""What a simulation tells of itself: its timeline, with the steps of the machines and the warnings of the station."""

from collections.abc import MutableMapping
from typing import Any

from everest_system.simulation.clock import FakeClock
from everest_system.simulation.memory import FakeMemory
from everest_system.simulation.timeline import Entry, Timeline

_QUIET = frozenset({"debug", "info"})


class Chronicle:
    """Writes the timeline.

    Args:
        clock: when things happen.
        memory: where the machines' steps are.
        title: the timeline's.

    Attributes:
        timeline: what has happened so far.
        stepped_at: when each step of the memory's history was, in microseconds since the beginning.
        lines: what the station logs, as structlog captures it.
    """

    def __init__(self, clock: FakeClock, memory: FakeMemory, title: str) -> None:
        self.timeline = Timeline(title)
        self.stepped_at: list[int] = []
        self.lines: list[MutableMapping[str, Any]] = []
        self._clock, self._memory = clock, memory
        self._lines_told = 0

    def tell(self, who: str, what: str) -> None:
        """Write a line."""
        self.timeline.entries.append(Entry(self._clock.elapsed, self._clock.wall, who, what))

    def observe(self) -> None:
        """Write what the machines and the station have done since the last time."""
        for step in self._memory.history[len(self.stepped_at) :]:
            self.stepped_at.append(self._clock.elapsed)
            request = "" if step.request_id is None else f" {step.request_id}"
            why = f" ({step.detail})" if step.detail else ""
            self.tell("station", f"{step.machine}{request}: {step.source} -> {step.target}, {step.event}{why}")
        for line in self.lines[self._lines_told :]:
            if line["log_level"] not in _QUIET:
                self.tell("station", f"{line['log_level']}: {line['event']}")
        self._lines_told = len(self.lines)
