"""How a scenario writes durations and points in time, and how a timeline does.

A duration is a number of seconds, or text such as `90s`, `1h30m` or `2d 4h`. A point in time is a duration since the
beginning, one after the step before it (`+30s`), or a moment of the calendar: a TOML date and time, with its zone.

    >>> seconds("1d 2h 0.5s")
    93600.5
    >>> shown(93_600_500_000)
    '1d 02:00:00.500'
"""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_EXAMPLES = '"30s", "1h30m" or "2d 4h"'


def seconds(value: object) -> float:
    """Read a duration.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("a duration is not negative")
        return float(value)
    if not isinstance(value, str) or not value:
        raise ValueError(f"should be seconds, or a text like {_EXAMPLES}")
    total, place = 0.0, 0
    while place < len(value):
        part = _PART.match(value, place)
        if part is None:
            raise ValueError(f"should be a duration like {_EXAMPLES}")
        total += float(part[1]) * _UNITS[part[2]]
        place = part.end()
    return total


def seconds_or_never(value: object) -> float | None:
    """Read a duration, or None for `never`.

    Raises:
        ValueError: it is neither.
    """
    return None if value is None or value == "never" else seconds(value)


def moment(value: Any) -> Any:
    """Check a point in time; it is read by whoever knows the step before it.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a moment of the calendar needs its zone: 2026-11-22T08:00:00Z")
    else:
        seconds(value.removeprefix("+") if isinstance(value, str) else value)
    return value


def shown(elapsed: int) -> str:
    """An elapsed time, from microseconds, for people."""
    rest, milliseconds = divmod(abs(elapsed) // 1000, 1000)
    days, rest = divmod(rest, 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{milliseconds:03}"
    return f"{'-' if elapsed < 0 else ''}{f'{days}d ' if days else ''}{clock}"


Duration = Annotated[float, BeforeValidator(seconds)]
DurationOrNever = Annotated[float | None, BeforeValidator(seconds_or_never)]
Moment = Annotated[Any, BeforeValidator(moment)]
