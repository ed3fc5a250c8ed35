"""The tables: total, and all that they name exists."""

import inspect
from dataclasses import dataclass
from enum import StrEnum

import pytest
from support.machines import KINDS

from everest_system.fsm.events import Event, Settled
from everest_system.fsm.firmware.events import UpdateRequested
from everest_system.fsm.firmware.states import ENDS as FIRMWARE_ENDS
from everest_system.fsm.firmware.states import STATUS as FIRMWARE_STATUS
from everest_system.fsm.firmware.states import UNINTERRUPTIBLE, FirmwareState
from everest_system.fsm.firmware.table import TABLE as FIRMWARE
from everest_system.fsm.logs.events import UploadRequested
from everest_system.fsm.logs.states import ENDS as LOGS_ENDS
from everest_system.fsm.logs.states import STATUS as LOGS_STATUS
from everest_system.fsm.logs.states import LogsState
from everest_system.fsm.logs.table import TABLE as LOGS
from everest_system.fsm.table import Row, StateRows, check

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
each_state = pytest.mark.parametrize(
    ("kind", "state"),
    [(kind, state) for kind in KINDS for state in kind.states],
    ids=lambda one: getattr(one, "name", one),
)


class Door(StrEnum):
    """The states of a small table."""

    OPEN = "OPEN"
    SHUT = "SHUT"


@dataclass(frozen=True, slots=True)
class Pushed(Event):
    """One of its events."""


@dataclass(frozen=True, slots=True)
class Pulled(Event):
    """The other one."""


SOUND = {
    Door.OPEN: StateRows(Row(Pushed, Door.SHUT, when="light"), Row(Pushed), ignored=(Pulled,)),
    Door.SHUT: StateRows(Row(Pulled, Door.OPEN), impossible=(Pushed,)),
}
BROKEN = {
    "a state is left out": ({Door.SHUT: SOUND[Door.SHUT]}, ["OPEN is missing", "SHUT: Pulled leads to OPEN"]),
    "an event is left out": (SOUND | {Door.OPEN: StateRows(ignored=(Pulled,))}, ["OPEN: Pushed is named 0 times"]),
    "a row for an ignored event": (
        SOUND | {Door.OPEN: StateRows(Row(Pushed), ignored=(Pushed, Pulled))},
        ["OPEN: Pushed is named 2 times"],
    ),
    "ignored and impossible": (
        SOUND | {Door.OPEN: StateRows(ignored=(Pushed, Pulled), impossible=(Pulled,))},
        ["OPEN: Pulled is named 2 times"],
    ),
    "a row, ignored and impossible": (
        SOUND | {Door.OPEN: StateRows(Row(Pulled), ignored=(Pushed, Pulled), impossible=(Pulled,))},
        ["OPEN: Pulled is named 3 times"],
    ),
    "a foreign event": (
        SOUND | {Door.OPEN: StateRows(Row(Settled), ignored=(Pushed, Pulled))},
        ["OPEN: Settled is no event of this machine"],
    ),
    "a foreign target": (
        SOUND | {Door.OPEN: StateRows(Row(Pushed, LogsState.IDLE), ignored=(Pulled,))},
        ["OPEN: Pushed leads to IDLE"],
    ),
}


def test_a_sound_table_has_no_faults():
    """A table that names every event once in each state passes, several guarded rows for one event included."""
    assert check(SOUND, Door, (Pushed, Pulled)) == []


@pytest.mark.parametrize(("table", "faults"), BROKEN.values(), ids=BROKEN)
def test_a_broken_table_is_told_its_faults(table, faults):
    """Each way to break a table is named, with state and event."""
    assert check(table, Door, (Pushed, Pulled)) == faults


@each_kind
def test_the_machines_tables_are_total(kind):
    """Every machine's table names every event once in each state."""
    assert check(type(kind.machine(next(iter(kind.states)))).table, kind.states, kind.events) == []


@each_kind
def test_events_are_told_apart_by_their_names(kind):
    """No two events of a machine share a name, by which transitions and timers know them."""
    assert len({event.__name__ for event in kind.events}) == len(kind.events)


@each_state
def test_what_a_state_names_is_there(kind, state):
    """Guards, actions, entries and recoveries are methods of the machine, and transitions knows every row's event."""
    machine = kind.machine(state)
    rows = machine.table[state]
    names = {name for row in rows.rows for name in (row.when, row.do) if name}
    names |= {rows.enter} if rows.enter else set()
    names.add(machine.recovery[state])
    for name in names:
        method = getattr(type(machine), name)
        assert inspect.isfunction(method), name
        assert list(inspect.signature(method).parameters) == ["self"], name
    assert all(hasattr(machine, f"may_{row.event.__name__}") for row in rows.rows)


@each_state
def test_every_state_has_a_way_back_in(kind, state):
    """The recovery table names every state, and nothing else."""
    assert set(kind.machine(state).recovery) == set(kind.states)


@pytest.mark.parametrize(
    ("table", "states", "status", "ends", "demand"),
    [
        (FIRMWARE, FirmwareState, FIRMWARE_STATUS, FIRMWARE_ENDS, UpdateRequested),
        (LOGS, LogsState, LOGS_STATUS, LOGS_ENDS, UploadRequested),
    ],
    ids=["firmware", "logs"],
)
class TestRequests:
    """What holds for the two machines that requests drive."""

    @staticmethod
    def onward(table, state):
        return {row.to for row in table[state].rows if row.to}

    def reach(self, table, state):
        seen, front = set(), {state}
        while front:
            seen |= front
            front = {to for each in front for to in self.onward(table, each)} - seen
        return seen

    def test_every_state_has_a_status(self, table, states, status, ends, demand):
        """The map of statuses is total, and every end says one."""
        assert set(status) == set(states)
        assert all(status[end] for end in ends)

    def test_every_state_can_be_reached(self, table, states, status, ends, demand):
        """There is no dead part of the table."""
        assert self.reach(table, states("IDLE")) == set(states)

    def test_every_state_has_a_way_to_an_end(self, table, states, status, ends, demand):
        """No request can get stuck: from every state on the way some event leads on to an end."""
        for state in set(states) - ends - {states("IDLE")}:
            assert self.reach(table, state) & (ends - {states("CANCELED")}), state

    def test_an_end_is_left_only_by_a_new_request(self, table, states, status, ends, demand):
        """After an end status nothing more is said of a request."""
        for end in ends:
            assert {row.event for row in table[end].rows if row.to} == {demand}

    def test_what_can_be_interrupted_can_be_canceled(self, table, states, status, ends, demand):
        """A new request has a row in each state, which cancels wherever nothing is being installed."""
        passing = {states("SIGNATURE_VERIFIED")} if states is FirmwareState else set()
        for state in set(states) - ends - passing - {states("IDLE")}:
            (row,) = [row for row in table[state].rows if row.event is demand]
            assert row.to is (None if state in UNINTERRUPTIBLE else states("CANCELED"))
