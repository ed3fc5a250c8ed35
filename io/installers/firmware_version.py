"""The versions of firmware, and which of two is the older one.

A version is one or more numbers with dots between them, then what Semantic Versioning 2.0 has: `-` and a pre-release,
`+` and a build. Numbers are compared as numbers, a missing one counts as 0, a pre-release comes before its release, and
the build counts for nothing. So dates and counters (`2026.11.23`, `417`) are versions as well as `2.4.0-rc.1`.

    >>> FirmwareVersion("2.4.0-rc.1") < FirmwareVersion("2.4") < FirmwareVersion("2.10.0+g1f2e3d")
    True
"""

import re
from functools import total_ordering
from typing import Final

MAX_LENGTH: Final = 128

_NUMBERS: Final = r"\d+(?:\.\d+)*"
_WORDS: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION: Final = re.compile(rf"({_NUMBERS})(?:-({_WORDS}))?(?:\+{_WORDS})?", re.ASCII)


@total_ordering
class FirmwareVersion:
    """One version; those that differ in nothing that counts are equal.

    Args:
        text: the version as its maker wrote it.

    Raises:
        ValueError: it is none.
    """

    __slots__ = ("_order", "_text")

    def __init__(self, text: str) -> None:
        found = _VERSION.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if found is None:
            raise ValueError(f"{text[:MAX_LENGTH]!r} is no version: numbers with dots, then -PRERELEASE and +BUILD")
        numbers = [int(number) for number in found[1].split(".")]
        while numbers and numbers[-1] == 0:
            numbers.pop()
        self._text = text
        self._order = (numbers, found[2] is None, [_rank(word) for word in (found[2] or "").split(".")])

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"FirmwareVersion({self._text!r})"

    def __hash__(self) -> int:
        return hash(repr(self._order))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FirmwareVersion) and self._order == other._order

    def __lt__(self, other: "FirmwareVersion") -> bool:
        return self._order < other._order


def _rank(word: str) -> tuple[bool, int, str]:
    """Numbers come before words, each among their own."""
    return (False, int(word), "") if word.isdigit() else (True, 0, word)
