"""What to mark in a drawing: the state that a machine is in, and the steps that it took.

A path is a sequence of `(event, state entered)`, as the history has them. It begins in the machine's initial state; a
first pair with an empty event names another beginning:

    [("UpdateRequested", "ACCEPTED"), ("Settled", "DOWNLOADING")]
    [("", "DOWNLOADING"), ("DownloadFinished", "DOWNLOADED")]

A history may be older than the table: what the table does not know of it is left unmarked.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from everest_system.diagrams.edges import Cause
from everest_system.diagrams.machines import Machine

_NUMBERS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Trail:
    """What to mark.

    Attributes:
        current: the state to show as the present one, if any.
        visited: the states of the path, the first one too.
        steps: by source, event and target, the numbers of the steps that went that way; the first step is 1.
    """

    current: str | None
    visited: frozenset[str]
    steps: Mapping[tuple[str, str, str], tuple[int, ...]]

    def numbers(self, sources: Iterable[str], cause: Cause, target: str) -> list[int]:
        """The steps that one of `sources` was left by for `target`; a path does not say which guard said yes."""
        return sorted(number for source in sources for number in self.steps.get((source, cause.event, target), ()))


def trail(machine: Machine, current: str | None, path: Sequence[tuple[str, str]]) -> Trail:
    """What to mark for `current` and `path`.

    Raises:
        ValueError: `machine` has no state `current`.
    """
    if current is not None and current not in {str(state) for state in machine.table}:
        raise ValueError(f"the machine {machine.name} has no state {current}")
    start, taken = beginning(machine, path)
    steps: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    here = start
    for number, (event, state) in enumerate(taken, start=1):
        steps[here, event, state].append(number)
        here = state
    return Trail(
        current=current,
        visited=frozenset({start, *(state for _, state in taken)}) if path else frozenset(),
        steps={step: tuple(numbers) for step, numbers in steps.items()},
    )


def beginning(machine: Machine, path: Sequence[tuple[str, str]]) -> tuple[str, Sequence[tuple[str, str]]]:
    """The state in which `path` begins, and the steps from there."""
    if path and not path[0][0]:
        return path[0][1], path[1:]
    return str(machine.initial), path


def numbered(cause: Cause, numbers: Sequence[int]) -> str:
    """`cause`, behind the numbers of the steps that it caused: all of a few, of many the first ones and the last."""
    if not numbers:
        return str(cause)
    shown = [str(number) for number in numbers]
    if len(shown) > _NUMBERS_SHOWN:
        shown = [*shown[: _NUMBERS_SHOWN - 2], f"{shown[_NUMBERS_SHOWN - 2]} … {shown[-1]}"]
    return f"({', '.join(shown)}) {cause}"
