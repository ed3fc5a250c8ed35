"""What is shown to people: text that is safe for a terminal, colours on one, aligned columns, a bar, readable figures.

No escape codes leave for anything but a terminal, nor where `NO_COLOR` is set.
"""

import os
import sys
from collections.abc import Sequence

BAR_WIDTH = 24
_COLOURS = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "bold": 1, "dim": 2}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_KILO = 1000
_SHORT = 2


def printable(text: str) -> str:
    r"""The text with what moves a cursor or turns the writing around spelled out: words of peers may hold anything.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def painted(text: str, colour: str) -> str:
    """The text in a colour, or as it is where there are no colours."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, the cells of each column below each other; the last column is as wide as it likes."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)] if rows else []
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def bar(done: int, whole: int) -> str:
    """How much of the whole is done, as a bar and in percent."""
    share = min(max(done / whole, 0.0), 1.0)
    filled = int(share * BAR_WIDTH)
    return f"{'█' * filled}{'░' * (BAR_WIDTH - filled)} {int(share * 100):3d} %"


def size(count: int) -> str:
    """A number of bytes, for people.

    >>> size(999), size(12_345_678)
    ('999 B', '12.3 MB')
    """
    if count < _KILO:
        return f"{count} B"
    figure, units = float(count), ["kB", "MB", "GB", "TB"]
    unit = "B"
    while figure >= _KILO and units:
        figure, unit = figure / _KILO, units.pop(0)
    return f"{figure:.1f} {unit}"


def duration(seconds: float) -> str:
    """A duration, for people.

    >>> duration(0.42), duration(42), duration(3700), duration(200000)
    ('0.4 s', '42 s', '1 h 1 min', '2 d 7 h')
    """
    if seconds < _SHORT:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 2 * _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"
