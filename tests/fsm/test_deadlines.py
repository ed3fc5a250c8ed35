"""Deadlines: two kinds of time, and what a boot leaves of them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from support.fake_clock import START, FakeClock

from everest_system.fsm.deadlines import After, At, Deadline, after, remaining

MINUTE = 60.0


def test_a_time_of_day_belongs_to_the_wall_clock():
    """Setting the wall clock brings it nearer or puts it off, a boot changes nothing."""
    clock = FakeClock()
    deadline = At(wall=START + timedelta(seconds=MINUTE))
    assert remaining(deadline, clock.now()) == 60
    clock.advance(10)
    clock.set_wall(-3600)
    assert remaining(deadline, clock.now()) == 3650
    clock.boot(seconds=50)
    assert remaining(deadline, clock.now()) == 3600
    clock.set_wall(4000)
    assert remaining(deadline, clock.now()) == -400


@pytest.mark.parametrize("step_s", [-86400, -3600, 0, 3600, 86400])
def test_a_duration_belongs_to_the_monotonic_clock(step_s):
    """Setting the wall clock neither hurries nor delays it."""
    clock = FakeClock()
    deadline = after(clock.now(), MINUTE)
    clock.advance(20)
    clock.set_wall(step_s)
    assert remaining(deadline, clock.now()) == 40


@pytest.mark.parametrize(("step_s", "left_s"), [(0, 35), (-10, 45), (-3600, 60), (34, 1), (36, 0), (3600, 0)])
def test_what_a_boot_leaves_of_a_duration(step_s, left_s):
    """In another boot it is what the wall clock says, between zero and the whole duration."""
    clock = FakeClock()
    deadline = after(clock.now(), MINUTE)
    clock.boot(seconds=25)
    clock.set_wall(step_s)
    assert remaining(deadline, clock.now()) == left_s


@given(duration=st.floats(0, 1e7), step=st.floats(-1e8, 1e8))
def test_a_boot_never_prolongs_a_duration(duration, step):
    """However the clock was set meanwhile, what is left lies between zero and the whole."""
    clock = FakeClock()
    deadline = after(clock.now(), duration)
    clock.boot(seconds=1)
    clock.set_wall(step)
    assert 0 <= remaining(deadline, clock.now()) <= duration


@pytest.mark.parametrize("deadline", [At(wall=START), after(FakeClock().now(), 1.5)])
def test_deadlines_survive_the_store(deadline):
    """A deadline goes through JSON unharmed, its kind included."""
    adapter = TypeAdapter(Deadline)
    assert adapter.validate_json(adapter.dump_json(deadline)) == deadline


def test_a_duration_is_never_negative():
    """There is no deadline in the past by construction."""
    with pytest.raises(ValidationError):
        After(boot_id="1", monotonic=0, wall=START, duration_s=-1)
