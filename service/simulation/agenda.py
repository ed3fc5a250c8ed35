"""What the world is going to do, and when: the other half of virtual time beside the station's own timers."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from everest_system.simulation.clock import FakeClock, microseconds


@dataclass(order=True, slots=True)
class Appointment:
    """Something that is going to happen, unless it is canceled.

    Attributes:
        at: microseconds since the beginning.
    """

    at: int
    number: int
    act: Callable[[], None] = field(compare=False)
    is_canceled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """It is not going to happen."""
        self.is_canceled = True


class Agenda:
    """Appointments in the order of their time, and in that of their making where that is the same.

    Args:
        clock: whose elapsed time they go by.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._heap: list[Appointment] = []
        self._numbers = count()

    def at(self, elapsed: int, act: Callable[[], None]) -> Appointment:
        """Have `act` called at `elapsed`; now, where that has passed."""
        appointment = Appointment(max(elapsed, self._clock.elapsed), next(self._numbers), act)
        heapq.heappush(self._heap, appointment)
        return appointment

    def after(self, seconds: float, act: Callable[[], None]) -> Appointment:
        """Have `act` called after `seconds`, from 0 on."""
        return self.at(self._clock.elapsed + microseconds(seconds), act)

    @property
    def now(self) -> int:
        """Microseconds since the beginning."""
        return self._clock.elapsed

    @property
    def next_at(self) -> int | None:
        """When the next one is; None if there is none."""
        while self._heap and self._heap[0].is_canceled:
            heapq.heappop(self._heap)
        return self._heap[0].at if self._heap else None

    def keep(self) -> bool:
        """Do what is first in turn and due; whether there was something."""
        at = self.next_at
        if at is None or at > self._clock.elapsed:
            return False
        heapq.heappop(self._heap).act()
        return True
