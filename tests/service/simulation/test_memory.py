"""The fake memory keeps the contract of the real store."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from everest_system.fsm.machine import Status
from everest_system.fsm.outbox import OutboxRow
from everest_system.io.store.store import Change, Store, Transition
from everest_system.simulation.memory import FakeMemory

KEY = ("system_api", "firmware")


@pytest.fixture(params=["fake", "real"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeMemory | Store]:
    """The fake, and the store that it stands for."""
    if request.param == "fake":
        yield FakeMemory()
        return
    with Store.open(tmp_path) as store:
        yield store


def row(seq: int, *, early: bool = False) -> OutboxRow:
    """A row of the outbox."""
    return OutboxRow(seq, "system_api", Status("firmware", 1, 7, 1, "Installed", True, "Installing"), early)


def test_same_contract(memory: FakeMemory | Store) -> None:
    """The fake memory keeps and forgets what the real store keeps and forgets."""
    memory.commit(Change({KEY: "one"}, [row(1), row(2), row(3)]))
    memory.commit(Change({KEY: "two"}, rows_removed=[1, 99], rows_marked=[row(2, early=True), row(3, early=True)]))
    memory.commit(Change(rows_marked=[row(3), row(99)]))
    memory.commit(Change())
    saved = memory.load()
    assert saved.snapshots == {KEY: "two"}
    assert (saved.rows, saved.last_seq) == ((row(2, early=True), row(3)), 3)


def test_numbers_are_not_used_twice(memory: FakeMemory | Store) -> None:
    """A number used before is refused, and nothing of that change is kept."""
    memory.commit(Change(rows_added=[row(5)], rows_removed=[5]))
    with pytest.raises(ValueError, match="outbox number 5"):
        memory.commit(Change({KEY: "lost"}, [row(5)]))
    saved = memory.load()
    assert (saved.snapshots, saved.rows, saved.last_seq) == ({}, (), 5)


def test_history() -> None:
    """The fake logs every change that was not empty, and the history in order."""
    memory = FakeMemory()
    step = Transition(datetime(2026, 1, 1, tzinfo=UTC), "system_api", "logs", 1, 2, "IDLE", "ACCEPTED", "Requested")
    memory.commit(Change())
    memory.commit(Change(transitions=[step]))
    assert memory.history == [step]
    assert [change.transitions for change in memory.log] == [[step]]
