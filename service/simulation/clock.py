"""Time that moves only when it is moved.

There are three times. *Elapsed* is the world's own: it runs evenly from the beginning of the simulation, in whole
microseconds, and nobody can set it. The *wall* clock shows what somebody set it to, and the time elapsed since then.
The *monotonic* clock counts from the machine's last boot.

    with FakeClock(datetime(2026, 11, 22, 8, tzinfo=UTC)) as clock:
        clock.advance_to(microseconds(3600))
        clock.set_wall(clock.wall - timedelta(hours=2))    # the monotonic clock does not notice
        clock.boot()                                       # it begins anew, in a boot with another id
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from freezegun import freeze_time

from everest_system.fsm.deadlines import Now

_MICROSECOND = timedelta(microseconds=1)


def microseconds(seconds: float) -> int:
    """Whole microseconds, the elapsed time's unit."""
    return round(seconds * 1_000_000)


class FakeClock:
    """Fills the port `everest_system.scheduling.clock.Clock`.

    While it is entered, `datetime.now` shows its wall clock too: APScheduler asks there. (freezegun would move the
    process's monotonic clock along with the wall clock, and a clock that was set could not be told from time that
    passed; so the station gets its monotonic time from here.)

    Attributes:
        elapsed: microseconds since the beginning.
        wall: what the wall clock shows.
        boots: how often the machine has booted since then.
        sets: every time that somebody set the wall clock: elapsed, before, after.
    """

    _shared: ClassVar[Any] = None

    def __init__(self, starts: datetime) -> None:
        self.elapsed = 0
        self.boots = 0
        self.sets: list[tuple[int, datetime, datetime]] = []
        self._starts = starts.astimezone(UTC)
        self._ahead = timedelta(0)
        self._booted_at = 0
        self._freezer: Any = None
        self._frozen: Any = None
        self._show()

    @classmethod
    @contextmanager
    def shared(cls) -> Iterator[None]:
        """Freeze once for many clocks, one after the other: to freeze takes as long as many a simulation."""
        freezer = freeze_time(datetime(2000, 1, 1))  # noqa: DTZ001  # freezegun's are without a zone
        cls._shared = freezer.start()
        try:
            yield
        finally:
            cls._shared = None
            freezer.stop()

    def __enter__(self) -> Self:
        self._frozen = self._shared
        if self._frozen is None:
            self._freezer = freeze_time(self._starts.replace(tzinfo=None))
            self._frozen = self._freezer.start()
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        if self._freezer is not None:
            self._freezer.stop()
            self._freezer = None
        self._frozen = None

    def now(self) -> Now:
        """One reading of all three, as the station takes it."""
        return self._now

    @property
    def boot_id(self) -> str:
        """The id of the present boot."""
        return f"boot-{self.boots}"

    @property
    def true_wall(self) -> datetime:
        """What a wall clock would show that nobody ever set."""
        return self._starts + timedelta(microseconds=self.elapsed)

    def advance_to(self, elapsed: int) -> None:
        """Let time pass.

        Raises:
            ValueError: `elapsed` is in the past.
        """
        if elapsed < self.elapsed:
            raise ValueError(f"time does not go back, from {self.elapsed} to {elapsed}")
        self.elapsed = elapsed
        self._show()

    def set_wall(self, wall: datetime) -> None:
        """Set the wall clock, forward or back."""
        self.sets.append((self.elapsed, self.wall, wall.astimezone(UTC)))
        self._ahead = wall - self.true_wall
        self._show()

    def elapsed_at(self, wall: datetime) -> int:
        """When an unset wall clock shows `wall`, in microseconds since the beginning."""
        return (wall - self._starts) // _MICROSECOND

    def boot(self) -> None:
        """The machine boots: another id, and the monotonic clock begins at 0."""
        self.boots += 1
        self._booted_at = self.elapsed
        self._show()

    def _show(self) -> None:
        """Take the one reading that holds until the clock is moved again: it is asked for all the time."""
        self.wall = self.true_wall + self._ahead
        self._now = Now(self.wall, (self.elapsed - self._booted_at) / 1_000_000, self.boot_id)
        if self._frozen is not None:
            self._frozen.move_to(self.wall.replace(tzinfo=None))
