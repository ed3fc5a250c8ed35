"""What all machines have in common."""

import pytest
from support.fake_clock import FakeClock
from support.firmware_driver import FirmwareDriver
from support.machines import KINDS

from everest_system.fsm.deadlines import after
from everest_system.fsm.errors import IllegalEventError
from everest_system.fsm.events import JobEvent, RetryTimeReached, Settled, WorkEvent
from everest_system.fsm.firmware.events import DownloadAttemptFailed, DownloadTimedOut, PauseRequested
from everest_system.fsm.firmware.machine import FirmwareMachine
from everest_system.fsm.firmware.rules import FirmwareRules
from everest_system.fsm.firmware.states import FirmwareState as S
from everest_system.fsm.orders import StartDownload, StopWork

NOW = FakeClock().now()


def grid(part):
    """Every state of every machine with the events of one part of its rows."""
    return pytest.mark.parametrize(
        ("kind", "state", "event"),
        [
            pytest.param(kind, state, event, id=f"{kind.name}-{state}-{event.__name__}")
            for kind in KINDS
            for state in kind.states
            for event in sorted(part(kind.machine(state).table[state]), key=lambda one: one.__name__)
        ],
    )


@grid(lambda rows: rows.impossible)
def test_an_impossible_event_changes_nothing(kind, state, event):
    """An impossible event raises an error that carries machine, state and event, and leaves the machine as it was."""
    machine = kind.machine(state)
    if issubclass(event, JobEvent):
        machine.snapshot.timers = {event.__name__: after(NOW, 0)}
    before = machine.snapshot.model_dump_json()
    with pytest.raises(IllegalEventError) as raised:
        machine.handle(kind.event(event, machine.snapshot), NOW)
    assert (raised.value.machine, raised.value.state, raised.value.event) == (kind.name, state, event.__name__)
    assert (machine.snapshot.model_dump_json(), machine.state) == (before, state)


@grid(lambda rows: rows.ignored)
def test_an_ignored_event_changes_nothing(kind, state, event):
    """An ignored event leads to nothing at all."""
    machine = kind.machine(state)
    before = machine.snapshot.model_dump_json()
    outcome = machine.handle(kind.event(event, machine.snapshot), NOW)
    assert (outcome.statuses, outcome.orders, outcome.steps, outcome.taken) == ((), (), (), False)
    assert outcome.snapshot.model_dump_json() == before


@grid(lambda rows: {event for event in rows.impossible if issubclass(event, (JobEvent, WorkEvent))})
def test_an_event_of_another_job_is_dropped(kind, state, event):
    """What a canceled job or stopped work still has to say is dropped, even where it would be impossible."""
    machine = kind.machine(state)
    other = machine.snapshot.model_copy(update={"job": 2, "work": 4})
    outcome = machine.handle(kind.event(event, other), NOW)
    assert (outcome.snapshot, outcome.taken) == (machine.snapshot, False)


def test_nothing_has_happened_until_it_is_adopted():
    """An outcome that is not adopted leaves the machine as it was, and the same event leads to the same again."""
    update = FirmwareDriver.at(S.DOWNLOADING)
    before = update.snapshot.model_dump_json()
    event = DownloadAttemptFailed(update.snapshot.work, "HTTP 500")
    first = update.machine.handle(event, update.clock.now())
    second = update.machine.handle(event, update.clock.now())
    assert (update.snapshot.model_dump_json(), update.machine.state) == (before, S.DOWNLOADING)
    assert first == second
    assert first.snapshot.state is S.DOWNLOAD_RETRY_SCHEDULED


def test_an_event_that_all_guards_decline_changes_nothing():
    """A row whose guard says no is as good as an ignored event."""
    update = FirmwareDriver.at(S.DOWNLOADING)
    update.take(PauseRequested())
    before = update.snapshot
    outcome = update.take(PauseRequested())
    assert (outcome.taken, outcome.orders, outcome.snapshot) == (False, (), before)


def test_a_timer_that_fired_is_set_no_longer():
    """A timer's event takes the timer out of the snapshot, so that a restart does not make it anew."""
    update = FirmwareDriver.at(S.DOWNLOAD_RETRY_SCHEDULED)
    assert update.waits_for(RetryTimeReached, DownloadTimedOut)
    update.fire(RetryTimeReached)
    assert update.waits_for(DownloadTimedOut)


def test_timers_are_known_by_the_names_of_their_events():
    """The event that a timer causes carries the present job."""
    update = FirmwareDriver.at(S.ACCEPTED)
    assert update.machine.timer_event("Settled") == Settled(update.snapshot.job)
    with pytest.raises(KeyError):
        update.machine.timer_event("Nonsense")


def test_steps_tell_the_history():
    """Each transition leaves source, target, cause and reason behind."""
    update = FirmwareDriver.at(S.DOWNLOAD_FAILED)
    step = update.steps[-1]
    assert (step.job, step.request_id) == (1, 7)
    assert (step.source, step.target) == (S.DOWNLOADING, S.DOWNLOAD_FAILED)
    assert (step.event, step.detail) == ("DownloadRefused", "HTTP 404")


def test_stopped_work_is_never_heard_again():
    """Stopping work orders its end, and drops what it still reports."""
    update = FirmwareDriver.at(S.DOWNLOADING)
    (order,) = update.ordered(StartDownload)
    update.take(PauseRequested())
    assert update.ordered(StopWork) == [StopWork(order.job)]
    assert not update.take(DownloadAttemptFailed(order.work, "late")).taken


def test_machines_do_not_share_what_they_remember():
    """Two machines made from the same snapshot go their own ways."""
    first = FirmwareDriver.at(S.ACCEPTED)
    second = FirmwareMachine(first.snapshot, FirmwareRules())
    first.fire(Settled)
    assert (first.state, second.snapshot.state) == (S.DOWNLOADING, S.ACCEPTED)
