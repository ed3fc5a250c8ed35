"""The reactor: timers of two kinds, events one at a time, in one thread."""

import threading
from datetime import timedelta

import pytest
from freezegun import freeze_time
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.fake_clock import START, FakeClock

from everest_system.fsm.deadlines import At, after
from everest_system.scheduling.clock import SystemClock
from everest_system.scheduling.reactor import Reactor, TimerFired

HOUR, DAY = 3600, 86400


class Bench:
    """A reactor in frozen time; `handled` is what it handed over."""

    def __init__(self, freezer):
        self.clock = FakeClock(freezer)
        self.handled = []
        self.reactor = Reactor(self.clock, self.handled.append)

    def pass_time(self, seconds):
        self.clock.advance(seconds)
        return self.turn()

    def turn(self):
        """Take turns until there is nothing more to do; the names of the timers that fired."""
        before = len(self.handled)
        while self.reactor.turn(0):
            pass
        return [event.name for event in self.handled[before:] if isinstance(event, TimerFired)]

    def after(self, seconds):
        return after(self.clock.now(), seconds)

    def at(self, seconds):
        return At(wall=self.clock.wall + timedelta(seconds=seconds))


@pytest.fixture
def bench():
    with freeze_time(START, ignore=["_pytest"]) as freezer:
        made = Bench(freezer)
        yield made
        made.reactor.shutdown()


def test_a_timer_fires_once_when_its_time_has_come(bench):
    """Not before, and not a second time; it brings back its owner, its name and its job."""
    bench.reactor.aim("m/firmware", 7, {"Settled": bench.after(10)})
    assert bench.pass_time(9.9) == []
    assert bench.pass_time(0.2) == ["Settled"]
    assert bench.handled == [TimerFired("m/firmware", "Settled", 7)]
    assert bench.pass_time(DAY) == []
    assert bench.reactor.timers("m/firmware") == {}


def test_timers_fire_in_the_order_of_their_times(bench):
    """However they were set, and also when all are late."""
    bench.reactor.aim("m", 1, {"C": bench.after(30), "A": bench.at(10), "B": bench.after(20)})
    assert bench.pass_time(40) == ["A", "B", "C"]


@pytest.mark.parametrize("late_s", [1, HOUR, 400 * DAY])
def test_a_late_timer_fires_late(bench, late_s):
    """Nothing is dropped because the loop was held up."""
    bench.reactor.aim("m", 1, {"A": bench.at(10), "B": bench.after(10)})
    assert sorted(bench.pass_time(10 + late_s)) == ["A", "B"]


@pytest.mark.parametrize("step_s", [-400 * DAY, -DAY, -HOUR, -0.6, 0.6, HOUR, DAY, 400 * DAY])
def test_a_set_clock_moves_only_what_is_its_own(bench, step_s):
    """`At` follows the wall clock wherever it is set, `After` does not notice."""
    at_s, after_s = 2 * HOUR, 3 * HOUR + 100
    bench.reactor.aim("m", 1, {"At": bench.at(at_s), "After": bench.after(after_s)})
    bench.clock.set_wall(step_s)
    reached = step_s >= at_s
    assert bench.turn() == (["At"] if reached else [])
    fired = {"At": 0.0} if reached else {}
    passed = 0.0
    while len(fired) < 2:
        due = {"At": at_s - step_s, "After": after_s}
        name, when = min(((name, when) for name, when in due.items() if name not in fired), key=lambda one: one[1])
        assert bench.pass_time(when - passed - 0.01) == []
        assert bench.pass_time(0.02) == [name]
        passed, fired[name] = when + 0.01, when


@pytest.mark.parametrize("step_s", [-HOUR, HOUR])
def test_the_clock_can_be_set_again_and_again(bench, step_s):
    """Each step counts from the last one, and time that passes in between is not mistaken for one."""
    bench.reactor.aim("m", 1, {"After": bench.after(100)})
    for _ in range(9):
        bench.clock.set_wall(step_s)
        assert bench.pass_time(11) == []
    assert bench.pass_time(1) == ["After"]


def test_a_timer_set_behind_a_step_is_right(bench):
    """A timer made before the loop has noticed the step is aimed by the clock as it is."""
    bench.clock.set_wall(-HOUR)
    bench.reactor.aim("m", 1, {"After": bench.after(10), "At": bench.at(20)})
    assert bench.pass_time(9) == []
    assert bench.pass_time(2) == ["After"]
    assert bench.pass_time(10) == ["At"]


def test_slow_corrections_add_up(bench):
    """A clock that is slewed by less than a step each time is followed all the same."""
    bench.reactor.aim("m", 1, {"After": bench.after(100)})
    for _ in range(50):
        bench.clock.set_wall(-0.2)
        bench.pass_time(1)
    assert bench.pass_time(49) == []
    assert bench.pass_time(1.6) == ["After"]


# --- aiming ---


def test_aiming_keeps_replaces_and_forgets(bench):
    """What is aimed at is what is waited for: same timers stay, others are set anew, the rest is forgotten."""
    kept, moved = bench.after(10), bench.after(10)
    bench.reactor.aim("m", 1, {"Kept": kept, "Moved": moved, "Gone": bench.after(10)})
    jobs = {job.id: job for job in bench.reactor.get_jobs()}
    bench.reactor.aim("m", 1, {"Kept": kept, "Moved": bench.after(20), "New": bench.at(15)})
    assert {job.id for job in bench.reactor.get_jobs()} == {"m/Kept", "m/Moved", "m/New"}
    assert jobs["m/Kept"] in bench.reactor.get_jobs()
    assert list(bench.reactor.timers("m")) == ["Kept", "Moved", "New"]
    assert bench.pass_time(10) == ["Kept"]
    assert bench.pass_time(10) == ["New", "Moved"]


def test_a_new_job_has_its_own_timers(bench):
    """The same deadline for another job brings back the other job's number."""
    deadline = bench.after(10)
    bench.reactor.aim("m", 1, {"A": deadline})
    bench.reactor.aim("m", 2, {"A": deadline})
    bench.pass_time(10)
    assert bench.handled == [TimerFired("m", "A", 2)]


def test_owners_do_not_disturb_each_other(bench):
    """Aiming for one owner leaves another's timers of the same name alone."""
    bench.reactor.aim("m/logs", 1, {"Settled": bench.after(10)})
    bench.reactor.aim("m/firmware", 1, {"Settled": bench.after(5)})
    bench.reactor.aim("m/firmware", 1, {})
    assert bench.reactor.timers("m/firmware") == {}
    bench.pass_time(10)
    assert bench.handled == [TimerFired("m/logs", "Settled", 1)]


def test_the_time_left_is_told_for_every_timer(bench):
    """Virtual time jumps by it: each kind by its own clock, below zero for a timer that is late."""
    bench.reactor.aim("m", 1, {"At": bench.at(10), "After": bench.after(20)})
    bench.clock.advance(5)
    bench.clock.set_wall(100)
    assert bench.reactor.seconds_left() == {("m", "At"): -95, ("m", "After"): 15}


def test_a_duration_of_an_earlier_boot_runs_down_while_the_clock_is_wrong(bench):
    """A clock that is years behind cannot say what is left of it: it is waited for whole, once, and not for ever."""
    begun = bench.after(600)
    bench.clock.boot()
    bench.clock.set_wall(-3 * 365 * DAY)
    bench.reactor.aim("m", 1, {"RetryTimeReached": begun})
    bench.turn()
    assert bench.pass_time(400) == []
    assert bench.reactor.seconds_left() == {("m", "RetryTimeReached"): 200}
    assert bench.pass_time(200) == ["RetryTimeReached"]


def test_arming_replaces(bench):
    """`arm` sets one timer anew, `disarm` forgets it, and forgetting what is not there does no harm."""
    bench.reactor.arm("station", "Send", 5)
    bench.reactor.arm("station", "Send", 8)
    assert bench.pass_time(5) == []
    assert bench.pass_time(3) == ["Send"]
    bench.reactor.arm("station", "Send", 5)
    bench.reactor.disarm("station", "Send")
    bench.reactor.disarm("station", "Send")
    assert bench.pass_time(DAY) == []


def test_a_timer_armed_in_its_own_handling_goes_on(bench):
    """A periodic timer is one that is armed again each time; none is lost inside the loop."""
    fired = []

    def handle(event):
        fired.append(bench.clock.monotonic)
        bench.reactor.arm("station", "Check", 1.5)

    bench.reactor._handle = handle
    bench.reactor.arm("station", "Check", 0)
    for _ in range(100):
        bench.pass_time(0.1)
    assert len(fired) == 7


@example([("step", 0, 33), ("aim", 0, 0), ("step", 0, -33)])
@given(
    st.lists(
        st.tuples(st.sampled_from(["aim", "arm", "disarm", "pass", "step"]), st.integers(0, 3), st.integers(-50, 50)),
        max_size=40,
    )
)
@settings(max_examples=examples(60))
def test_nothing_is_lost_however_timers_are_aimed(moves):
    """Each timer still set is fired once when its time has come, by whatever way the others went."""
    with freeze_time(START) as freezer:
        bench = Bench(freezer)
        due = {}
        for what, name, number in moves:
            if what in {"aim", "arm"}:
                due[f"T{name}"] = bench.clock.monotonic + abs(number)
                wanted = {**bench.reactor.timers("m"), f"T{name}": bench.after(abs(number))}
                if what == "aim":
                    bench.reactor.aim("m", 1, wanted)
                else:
                    bench.reactor.arm("m", f"T{name}", abs(number))
            elif what == "disarm":
                due.pop(f"T{name}", None)
                bench.reactor.disarm("m", f"T{name}")
            elif what == "step":
                bench.clock.set_wall(number * 100)
            else:
                fired = bench.pass_time(abs(number))
                expected = {name for name, when in due.items() if when <= bench.clock.monotonic}
                assert sorted(fired) == sorted(expected)
                due = {name: when for name, when in due.items() if name not in expected}
        assert sorted(bench.pass_time(100)) == sorted(due)
        bench.reactor.shutdown()


# --- the loop ---


def test_events_are_handled_one_at_a_time_in_their_order(bench):
    """A turn handles one event; what an event posts comes behind what was there."""
    bench.reactor._handle = lambda event: (bench.handled.append(event), event == 1 and bench.reactor.post(4))
    for event in (1, 2, 3):
        bench.reactor.post(event)
    assert [bench.reactor.turn(0) for _ in range(5)] == [True] * 4 + [False]
    assert bench.handled == [1, 2, 3, 4]


def test_a_due_timer_does_not_overtake_an_event(bench):
    """A timer's firing is one more event, behind those that came before it."""
    bench.reactor.arm("m", "A", 1)
    bench.reactor.post("first")
    bench.clock.advance(2)
    bench.turn()
    assert bench.handled == ["first", TimerFired("m", "A", 0)]


def test_an_exception_ends_the_loop(bench):
    """A bug in handling an event is not survived: the process is to end."""

    def handle(event):
        raise LookupError(event)

    bench.reactor._handle = handle
    bench.reactor.post("boom")
    with pytest.raises(LookupError, match="boom"):
        bench.reactor.run()


def test_an_exception_in_a_timers_event_ends_the_loop_too(bench):
    """What a timer leads to is not swallowed by the scheduler."""

    def handle(event):
        raise LookupError(event.name)

    bench.reactor._handle = handle
    bench.reactor.arm("m", "A", 0)
    with pytest.raises(LookupError, match="A"):
        bench.reactor.run()


def test_shutdown_ends_the_loop_and_forgets_all_timers():
    """A reactor that was shut down handles nothing more."""
    handled = []
    reactor = Reactor(SystemClock(lambda: "boot"), handled.append)
    reactor.arm("m", "A", 0)
    reactor.post("late")
    reactor.shutdown()
    reactor.run()
    assert (handled, reactor.timers("m")) == ([], {})


def test_the_loop_waits_for_timers_and_for_other_threads():
    """In real time: a timer fires by itself, another thread's event wakes the loop, and `stop` ends it."""
    seen = []
    threads = []

    def handle(event):
        seen.append((event, threading.current_thread()))
        if event == TimerFired("m", "Soon", 0):
            thread = threading.Thread(target=reactor.post, args=("from a thread",))
            threads.append(thread)
            thread.start()
        else:
            reactor.stop()
            reactor.post("too late")

    reactor = Reactor(SystemClock(lambda: "boot"), handle)
    reactor.arm("m", "Soon", 0.05)
    reactor.arm("m", "Never", HOUR)
    reactor.run()
    threads[0].join()
    reactor.shutdown()
    assert seen == [
        (TimerFired("m", "Soon", 0), threading.current_thread()),
        ("from a thread", threading.current_thread()),
    ]
