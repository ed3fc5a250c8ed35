"""The clocks. Everything in the service that wants to know the time asks one of these."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from everest_system.fsm.deadlines import Now


class Clock(Protocol):
    """A wall clock, a monotonic clock, and the id of the boot that the latter counts in."""

    def now(self) -> Now:
        """One reading of all three."""
        ...


class SystemClock:
    """The machine's own clocks.

    Args:
        boot_id: gives the id of the present boot; a platform that only pretends to boot has its own.
    """

    def __init__(self, boot_id: Callable[[], str]) -> None:
        self._boot_id = boot_id

    def now(self) -> Now:
        """One reading: aware UTC wall time, monotonic seconds, the boot's id."""
        return Now(datetime.now(UTC), time.monotonic(), self._boot_id())
