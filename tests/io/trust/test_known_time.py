"""What a clock before the day of the build still tells."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from everest_system.io.trust.known_time import KnownTime

BUILT = datetime(2026, 11, 23, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("clock", [BUILT, BUILT + SECOND, datetime(2099, 1, 1, tzinfo=UTC)])
def test_clock_that_may_be_right(clock: datetime) -> None:
    """From the day of the build on the clock is believed, to the second."""
    time = KnownTime.told(clock, BUILT)
    assert time.exact
    assert not time.surely_before(clock)
    assert not time.surely_after(clock)
    assert time.surely_before(clock + SECOND)
    assert time.surely_after(clock - SECOND)


@pytest.mark.parametrize("clock", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC), BUILT - SECOND])
def test_clock_that_is_wrong(clock: datetime) -> None:
    """Before the build nothing is known but that the day of the build has come."""
    time = KnownTime.told(clock, BUILT)
    assert not time.exact
    assert time.surely_after(BUILT - SECOND)
    assert not time.surely_after(BUILT)
    for instant in (clock, BUILT + SECOND, datetime(9999, 12, 31, tzinfo=UTC)):
        assert not time.surely_before(instant)


def test_instants_in_any_zone() -> None:
    """A clock in another zone is compared as the instant that it means."""
    assert KnownTime.told(datetime(2026, 11, 23, 0, 30, tzinfo=timezone(timedelta(hours=-1))), BUILT).exact
    assert not KnownTime.told(datetime(2026, 11, 23, 0, 30, tzinfo=timezone(timedelta(hours=1))), BUILT).exact
