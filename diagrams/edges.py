"""The arrows of a drawing, made from a machine's table.

Rows that stay inside their state are left out, and those between the same two states become one arrow with a line for
each. A row that many states have in common would cover the drawing with arrows; it becomes one `Shared` arrow, from
all of them at once.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from everest_system.diagrams.machines import Machine

MANY = 4  # states with the same row: from here on one arrow for all of them reads better than one each
_MARKS = ("✕", "✱", "✚")


@dataclass(frozen=True, slots=True)
class Cause:
    """What makes a machine go along an arrow: an event, and the name of the guard that has to say yes.

    `else` is the guard of a row that is asked after others of the same event.
    """

    event: str
    guard: str | None

    def __str__(self) -> str:
        return f"{self.event} [{self.guard}]" if self.guard else self.event


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from one state to another, or back to the same, and all its causes in the table's order."""

    source: str
    target: str
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """An arrow from each of `sources`, in the table's order, for one and the same cause.

    Attributes:
        mark: what is set beside the name of each of the sources; empty where they are all of the machine's ends.
    """

    sources: tuple[str, ...]
    target: str
    cause: Cause
    mark: str

    @property
    def stand_in(self) -> str:
        """What the arrow is drawn from."""
        return f"any state with {self.mark}" if self.mark else "any end"


def edges(machine: Machine) -> tuple[list[Edge], list[Shared]]:
    """All arrows of `machine`, in the table's order; between them they hold every row that enters a state."""
    sources: dict[tuple[Cause, str], list[str]] = defaultdict(list)
    for source, cause, target in _rows(machine):
        sources[cause, target].append(source)
    ends = [str(state) for state in machine.table if state in machine.ends]
    marks = iter(_MARKS)
    shared = []
    for (cause, target), every in sources.items():
        # Ends are told from the states on the way: for whoever looks, a row that both have is two facts.
        on_the_way, ended = [each for each in every if each not in ends], [each for each in every if each in ends]
        if len(on_the_way) >= MANY:
            shared.append(Shared(tuple(on_the_way), target, cause, next(marks)))
        if len(ended) >= MANY:
            shared.append(Shared(tuple(ended), target, cause, "" if ended == ends else next(marks)))
    drawn = {(source, each.cause, each.target) for each in shared for source in each.sources}
    single: dict[tuple[str, str], list[Cause]] = defaultdict(list)
    for source, cause, target in _rows(machine):
        if (source, cause, target) not in drawn:
            single[source, target].append(cause)
    return [Edge(source, target, tuple(causes)) for (source, target), causes in single.items()], shared


def _rows(machine: Machine) -> Iterator[tuple[str, Cause, str]]:
    for state, rows in machine.table.items():
        asked: set[str] = set()
        for row in rows.rows:
            event = row.event.__name__
            guard = row.when or ("else" if event in asked else None)
            asked.add(event)
            if row.to is not None:
                yield str(state), Cause(event, guard), str(row.to)
