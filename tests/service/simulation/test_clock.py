"""Virtual time: three clocks and an agenda."""

from datetime import UTC, datetime, timedelta

import pytest

from everest_system.simulation.agenda import Agenda
from everest_system.simulation.clock import FakeClock, microseconds

STARTS = datetime(2026, 11, 22, 8, tzinfo=UTC)


def test_three_times() -> None:
    """Elapsed time passes evenly, the wall clock obeys whoever sets it, the monotonic clock notices neither that."""
    with FakeClock(STARTS) as clock:
        clock.advance_to(microseconds(90))
        clock.set_wall(clock.wall - timedelta(hours=5))
        clock.advance_to(microseconds(100))
        now = clock.now()
        assert (now.monotonic, now.boot_id) == (100.0, "boot-0")
        assert now.wall == STARTS + timedelta(seconds=100, hours=-5)
        assert clock.true_wall == STARTS + timedelta(seconds=100)
        assert clock.sets == [(90_000_000, STARTS + timedelta(seconds=90), STARTS + timedelta(seconds=90, hours=-5))]


def test_boot() -> None:
    """A boot has another id, and its monotonic clock begins at 0."""
    with FakeClock(STARTS) as clock:
        clock.advance_to(microseconds(100))
        clock.boot()
        clock.advance_to(microseconds(103))
        assert (clock.now().monotonic, clock.now().boot_id) == (3.0, "boot-1")


def test_frozen() -> None:
    """While it is entered, datetime.now shows its wall clock; afterwards the real one again."""
    before = datetime.now(UTC)
    with FakeClock(STARTS) as clock:
        clock.advance_to(microseconds(1))
        assert datetime.now(UTC) == STARTS + timedelta(seconds=1)
        clock.set_wall(STARTS + timedelta(days=400))
        assert datetime.now(UTC) == STARTS + timedelta(days=400)
    assert abs(datetime.now(UTC) - before) < timedelta(minutes=1)


def test_one_way() -> None:
    """Elapsed time never goes back."""
    clock = FakeClock(STARTS)
    clock.advance_to(5)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance_to(4)


def test_agenda() -> None:
    """Appointments are kept in the order of time, then of making; what is canceled never happens."""
    clock = FakeClock(STARTS)
    agenda, kept = Agenda(clock), []
    agenda.after(2, lambda: kept.append("late"))
    agenda.after(1, lambda: kept.append("first"))
    agenda.after(1, lambda: kept.append("second"))
    agenda.after(0.5, lambda: kept.append("never")).cancel()
    assert (agenda.next_at, agenda.keep()) == (1_000_000, False)
    clock.advance_to(1_000_000)
    while agenda.keep():
        pass
    assert kept == ["first", "second"]
    clock.advance_to(3_000_000)
    assert agenda.keep()
    assert (agenda.keep(), agenda.next_at, kept[-1]) == (False, None, "late")
