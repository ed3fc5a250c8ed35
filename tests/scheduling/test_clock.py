"""The clocks: the machine's, and the tests' own."""

import time
from datetime import UTC, datetime, timedelta

from freezegun import freeze_time
from support.fake_clock import START, FakeClock

from everest_system.scheduling.clock import SystemClock


def test_the_system_clock_reads_the_machines():
    """One reading holds aware UTC wall time, the monotonic clock, and the boot id asked for each time."""
    boots = iter(["first", "second"])
    clock = SystemClock(lambda: next(boots))
    before = datetime.now(UTC), time.monotonic()
    now, later = clock.now(), clock.now()
    after = datetime.now(UTC), time.monotonic()
    assert before[0] <= now.wall <= later.wall <= after[0]
    assert before[1] <= now.monotonic <= later.monotonic <= after[1]
    assert now.wall.utcoffset() == timedelta(0)
    assert (now.boot_id, later.boot_id) == ("first", "second")


def test_the_fake_clock_moves_as_told():
    """Time moves both clocks, setting only the wall, and a boot begins the monotonic one anew; so does the freezer."""
    with freeze_time(START) as freezer:
        clock = FakeClock(freezer)
        clock.advance(60)
        clock.set_wall(-3600)
        assert (clock.wall - START, clock.monotonic) == (timedelta(seconds=-3540), 1060)
        assert datetime.now(UTC) == clock.wall
        clock.boot(20)
        assert (clock.boot_id, clock.monotonic) == ("boot-2", 5)
        assert datetime.now(UTC) == clock.wall == START + timedelta(seconds=-3520)
