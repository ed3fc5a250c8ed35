"""A clock that stands still until a test moves it.

The wall clock, the monotonic clock and the boot id move separately, as in the real world:

    clock = FakeClock()
    clock.advance(60)          # a minute passes: both clocks move
    clock.set_wall(-3600)      # somebody sets the wall clock an hour back: only that one moves
    clock.boot()               # the machine boots: another boot id, and the monotonic clock begins anew

Under freezegun the wall side drives the freezer, so that libraries that ask `datetime.now` agree with it. (The freezer
alone would not do: it moves the monotonic clock along, and a step could not be told from time passing.)

    with freeze_time(START) as freezer:
        clock = FakeClock(freezer)
"""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from everest_system.fsm.deadlines import Now

START = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class Freezer(Protocol):
    """What freezegun hands out."""

    def move_to(self, target_datetime: datetime) -> None:
        """Let it be that time."""
        ...


class FakeClock:
    """Fills the port `scheduling.clock.Clock`.

    Attributes:
        wall: what the wall clock shows.
        monotonic: seconds of the monotonic clock.
        boot_id: the boot that the latter counts in.
    """

    def __init__(self, freezer: Freezer | None = None) -> None:
        self._freezer = freezer
        self._boots = 1
        self.wall, self.monotonic, self.boot_id = START, 1000.0, "boot-1"

    def now(self) -> Now:
        """One reading of all three."""
        return Now(self.wall, self.monotonic, self.boot_id)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.monotonic += seconds
        self.set_wall(seconds)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock forward (or back, if negative) by so much, while no time passes."""
        self.wall += timedelta(seconds=seconds)
        if self._freezer is not None:
            self._freezer.move_to(self.wall)

    def boot(self, seconds: float = 20) -> None:
        """Boot the machine, which takes `seconds`; the monotonic clock begins anew."""
        self.advance(seconds)
        self._boots += 1
        self.boot_id, self.monotonic = f"boot-{self._boots}", 5.0
