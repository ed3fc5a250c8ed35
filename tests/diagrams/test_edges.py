"""The arrows of a drawing hold the whole table and nothing else."""

from enum import StrEnum

import pytest

from everest_system.diagrams.edges import Cause, Edge, Shared, edges
from everest_system.diagrams.machines import MACHINES, Machine
from everest_system.fsm.events import Event, RetryTimeReached, Settled
from everest_system.fsm.table import Row, StateRows


def _machine(table, ends=()):
    return Machine(name="m", title="M", table=table, initial=next(iter(table)), ends=frozenset(ends))


State = StrEnum("State", {name: name for name in "ABCDEFGHI"})


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
def test_every_row_is_drawn_once(machine: Machine):
    """Each row that enters a state is in exactly one arrow, and no arrow has another cause."""
    single, shared = edges(machine)
    drawn = [(edge.source, cause.event, edge.target) for edge in single for cause in edge.causes]
    drawn += [(source, each.cause.event, each.target) for each in shared for source in each.sources]
    rows = [
        (str(state), row.event.__name__, str(row.to))
        for state, of_state in machine.table.items()
        for row in of_state.rows
        if row.to
    ]
    assert sorted(drawn) == sorted(rows)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
def test_one_arrow_between_two_states(machine: Machine):
    """Rows between the same two states share an arrow."""
    single, _ = edges(machine)
    ways = [(edge.source, edge.target) for edge in single]
    assert len(ways) == len(set(ways))


def test_guards():
    """A row without a guard that is asked after others of its event is the `else` of them; one alone has no guard."""
    table = {
        State.A: StateRows(
            Row(Settled, State.B, when="ready"), Row(Settled, State.B), Row(RetryTimeReached, State.B), Row(Event)
        ),
        State.B: StateRows(),
    }
    single, shared = edges(_machine(table))
    causes = (Cause("Settled", "ready"), Cause("Settled", "else"), Cause("RetryTimeReached", None))
    assert single == [Edge("A", "B", causes)]
    assert [str(cause) for cause in causes] == ["Settled [ready]", "Settled [else]", "RetryTimeReached"]
    assert shared == []


def test_else_of_an_inner_row():
    """A row that stays inside the state is not drawn, and yet the next of its event is its `else`."""
    table = {State.A: StateRows(Row(Settled, when="early"), Row(Settled, State.A))}
    assert edges(_machine(table))[0] == [Edge("A", "A", (Cause("Settled", "else"),))]


def test_shared_by_many():
    """A row that four states have becomes one arrow, for the states on the way and for the ends each."""
    row = Row(Settled, State.I)
    table = {state: StateRows(row) for state in State}
    single, shared = edges(_machine(table, ends=(State.E, State.F, State.G, State.H, State.I)))
    assert single == []
    assert shared == [
        Shared(("A", "B", "C", "D"), "I", Cause("Settled", None), "✕"),
        Shared(("E", "F", "G", "H", "I"), "I", Cause("Settled", None), ""),
    ]
    assert [each.stand_in for each in shared] == ["any state with ✕", "any end"]


def test_shared_by_some_ends():
    """Ends that share a row are marked too, unless they are all of them."""
    row = Row(Settled, State.A)
    table = {state: StateRows(row) if state in (State.B, State.C, State.D, State.E) else StateRows() for state in State}
    _, shared = edges(_machine(table, ends=set(State) - {State.A}))
    assert [each.stand_in for each in shared] == ["any state with ✕"]


def test_not_shared_by_few():
    """Three states with the same row keep an arrow each."""
    row = Row(Settled, State.A)
    table = {state: StateRows(row) for state in (State.A, State.B, State.C)}
    single, shared = edges(_machine(table))
    assert [edge.source for edge in single] == ["A", "B", "C"]
    assert shared == []


def test_firmware_is_canceled_before_installing():
    """A new request cancels each state before INSTALLING but the one that is left at once."""
    canceling = next(each for each in edges(MACHINES["firmware"])[1] if each.target == "CANCELED")
    assert canceling.sources == (
        "ACCEPTED", "DOWNLOAD_SCHEDULED", "DOWNLOADING", "DOWNLOAD_PAUSED", "DOWNLOAD_RETRY_SCHEDULED",
        "DOWNLOADED", "INSTALL_SCHEDULED", "AWAITING_PERMISSION",
    )  # fmt: skip
