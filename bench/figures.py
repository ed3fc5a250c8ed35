"""How figures are summed up and shown."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the middle, the 99th of 100 and the worst of some figures lie."""

    count: int
    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Sum up at least one figure; a percentile is a figure that was really taken (nearest rank).

        Raises:
            ValueError: there is none.
        """
        if not figures:
            raise ValueError("no figures were taken")
        ordered = sorted(figures)
        count = len(ordered)
        return cls(count, ordered[(count - 1) // 2], ordered[-(-count * 99 // 100) - 1], ordered[-1])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines with the first column to the left, the others to the right."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def compared(name: str, ours: Spread, peer: Spread | None, scale: float = 1e3) -> list[str]:
    """One row: ours, and each figure's ratio to the peer's; figures are multiplied by `scale` to be shown."""
    row = [name, str(ours.count), *(f"{figure * scale:.2f}" for figure in (ours.p50, ours.p99, ours.worst))]
    if peer is None:
        return [*row, "", "", ""]
    pairs = ((ours.p50, peer.p50), (ours.p99, peer.p99), (ours.worst, peer.worst))
    return [*row, *(f"x{one / max(other, 1e-9):.1f}" for one, other in pairs)]


HEAD = ("", "count", "p50 ms", "p99 ms", "max ms", "p50", "p99", "max")
"""The head of a table whose rows `compared` makes."""


def verdict(promise: str, figure: float, limit: float, unit: str) -> str:
    """One line that says whether a promise holds here and now."""
    word = "holds" if figure < limit else "DOES NOT HOLD"
    return f"promise: {promise} below {limit:g} {unit}: {figure:.2f} {unit}, {word}"


def machine() -> str:
    """The kind of machine, without its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = f"{len(models)} x {models[0]}" if models else platform.machine()
    return f"{cores}, Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
