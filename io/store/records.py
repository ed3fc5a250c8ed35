"""What the store keeps, as values: a step for the history, a change to be written, and what a start finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from everest_system.fsm.outbox import OutboxRow


@dataclass(frozen=True)
class Transition:
    """One step of a machine, as `history` shows it.

    Attributes:
        at: the wall-clock time, with a zone; comes back in UTC.
        job: the machine's job number, None where a machine has no jobs.
        request_id: EVerest's number for the request, None where no request is concerned.
        source: the state before.
        target: the state after.
        event: the event's name.
        detail: why, for people, without secrets; longer than 500 characters is cut.
    """

    at: datetime
    module_id: str
    machine: str
    job: int | None
    request_id: int | None
    source: str
    target: str
    event: str
    detail: str = ""


@dataclass(frozen=True)
class Change:
    """All that one event changes in the station's memory.

    Attributes:
        snapshots: the new JSON text by module id and machine; those left out stay as they are.
        rows_added: statuses written, in ascending order of `seq`.
        rows_removed: the `seq` of statuses that are done or superseded; one that is not there is no fault.
        rows_marked: statuses whose marks (`early`, `sent`) are now as given.
        transitions: what history is to say about it, oldest first.
    """

    snapshots: Mapping[tuple[str, str], str] = field(default_factory=dict)
    rows_added: Sequence[OutboxRow] = ()
    rows_removed: Sequence[int] = ()
    rows_marked: Sequence[OutboxRow] = ()
    transitions: Sequence[Transition] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        rows = self.rows_added or self.rows_removed or self.rows_marked
        return not (self.snapshots or rows or self.transitions)


@dataclass(frozen=True)
class Saved:
    """What `load` found.

    Attributes:
        snapshots: JSON text by module id and machine.
        rows: the outbox, in the order of sending.
        last_seq: the highest `OutboxRow.seq` ever used in this file, also by rows that are gone; 0 if there was none.
            One that came in the place of another begins behind the rows that it has taken over.
    """

    snapshots: dict[tuple[str, str], str]
    rows: tuple[OutboxRow, ...]
    last_seq: int
