"""The way that a machine took, as lines of text for a terminal.

        IDLE
     1  ├─ UpdateRequested ────────▶ ACCEPTED
     2  ├─ Settled ────────────────▶ DOWNLOADING               Downloading
     3  ╰─ DownloadFinished ───────▶ DOWNLOADED                Downloaded

A round that is taken again and again, like that of the attempts, is shown twice and then counted.
"""

from collections.abc import Iterator, Sequence

from everest_system.diagrams.machines import machine_named
from everest_system.diagrams.trail import beginning

WIDTH = 100
"""No line is longer than this many columns."""

_LONGEST_ROUND = 4
_ROUNDS_SHOWN = 2


def text_path(name: str, path: Sequence[tuple[str, str]]) -> str:
    """The path through the machine `name`, a line a step: number, event, state entered, status published.

    See `trail` for what a path is. There is no line break at the end.

    Raises:
        ValueError: there is no machine `name`.
    """
    machine = machine_named(name)
    start, steps = beginning(machine, path)
    events = max((len(event) for event, _ in steps), default=0)
    states = max((len(state) for _, state in steps), default=0)
    digits = len(str(len(steps)))
    lines = [f"{'':{digits}}  {start}"]
    for number, rounds, length in _shown(steps):
        if rounds:
            of = f"these {length} steps" if length > 1 else "this step"
            line = f"{'':{digits}}  ┊  {of}, {rounds} more time{'s' if rounds > 1 else ''}"
        else:
            event, state = steps[number - 1]
            branch = "╰─" if number == len(steps) else "├─"
            arrow = f"{event} ".ljust(events + 3, "─")
            word = machine.word(state) or ""
            line = f"{number:{digits}}  {branch} {arrow}▶ {state:{states}}  {word}"
        lines.append(_fitted(line))
    return "\n".join(lines)


def _shown(steps: Sequence[tuple[str, str]]) -> Iterator[tuple[int, int, int]]:
    """The numbers of the steps to show; in place of rounds left out, how many they are and how long each is."""
    at = 0
    while at < len(steps):
        length, rounds = _rounds(steps, at)
        if rounds <= _ROUNDS_SHOWN:
            yield at + 1, 0, 0
            at += 1
            continue
        for number in range(at, at + length * _ROUNDS_SHOWN):
            yield number + 1, 0, 0
        yield 0, rounds - _ROUNDS_SHOWN, length
        at += length * rounds


def _rounds(steps: Sequence[tuple[str, str]], at: int) -> tuple[int, int]:
    """The shortest round that is taken often from `at` on: its length in steps, and how often it is taken."""
    for length in range(1, _LONGEST_ROUND + 1):
        one, rounds = steps[at : at + length], 1
        while steps[at + rounds * length : at + (rounds + 1) * length] == one:
            rounds += 1
        if rounds > _ROUNDS_SHOWN:
            return length, rounds
    return 1, 1


def _fitted(line: str) -> str:
    line = line.rstrip()
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
