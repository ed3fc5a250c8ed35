"""Transition tables: all that a machine may do, as data.

A table maps every state to its `StateRows`. For each of the machine's events a state names a row, calls it `ignored`
(it may come, and means nothing here) or `impossible` (only a bug of ours can bring it); `check` refuses a table that
leaves one out. Rows of one event are asked in their order, and the first whose guard says yes is taken; if every
guard says no, the event is ignored.

    S.DOWNLOAD_RETRY_SCHEDULED: StateRows(
        Row(RetryTimeReached, S.DOWNLOADING),
        Row(UpdateRequested, S.CANCELED, do="keep_successor"),
        ignored=(StatusSending, StatusDelivered),
        impossible=(DownloadFinished, ...),
    )
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from everest_system.fsm.events import Event


@dataclass(frozen=True, slots=True)
class Row:
    """One transition.

    Attributes:
        event: the fact that causes it.
        to: the state entered, also when it is the one left; None stays inside the state and enters nothing.
        when: the guard's name, a method of the machine; None is always yes.
        do: the action's name, a method of the machine, carried out before the state is entered.
    """

    event: type[Event]
    to: StrEnum | None = None
    when: str | None = None
    do: str | None = None


class StateRows:
    """One state's part of the table.

    Attributes:
        rows: its transitions, in the order in which they are asked.
        ignored: events that may come and mean nothing here.
        impossible: events that only a bug can bring here.
        enter: the name of the action carried out when the state is entered, if there is one.
    """

    __slots__ = ("enter", "ignored", "impossible", "rows")

    def __init__(
        self,
        *rows: Row,
        ignored: tuple[type[Event], ...] = (),
        impossible: tuple[type[Event], ...] = (),
        enter: str | None = None,
    ) -> None:
        self.rows = rows
        self.ignored = frozenset(ignored)
        self.impossible = frozenset(impossible)
        self.enter = enter


Table = Mapping[StrEnum, StateRows]


def check(table: Table, states: type[StrEnum], events: tuple[type[Event], ...]) -> list[str]:
    """What is wrong with `table`, a line each: a state or an event missing, named twice or unknown."""
    faults = [f"{state} is missing" for state in states if state not in table]
    for state, rows in table.items():
        with_row = {row.event for row in rows.rows}
        for event in sorted({*events, *with_row, *rows.ignored, *rows.impossible}, key=lambda each: each.__name__):
            named = (event in with_row) + (event in rows.ignored) + (event in rows.impossible)
            if named != 1:
                faults.append(f"{state}: {event.__name__} is named {named} times")
            if event not in events:
                faults.append(f"{state}: {event.__name__} is no event of this machine")
        faults += [
            f"{state}: {row.event.__name__} leads to {row.to}" for row in rows.rows if row.to and row.to not in table
        ]
    return faults
