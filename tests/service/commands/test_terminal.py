"""Text for people."""

import io
import sys

import pytest

from everest_system.commands import terminal


class Terminal(io.StringIO):
    """Standard output with a person behind it."""

    def isatty(self) -> bool:
        return True


def test_control_characters_of_peers_are_spelled_out() -> None:
    """Nothing that a peer says can move the cursor or turn the writing around."""
    assert terminal.printable("a\x1b[2J\u202eb\nc ü") == "a\\x1b[2J\\u202eb\\nc ü"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (42, "42 s"), (119, "119 s"), (125, "2 min 5 s"), (3700, "1 h 1 min"), (200000, "2 d 7 h")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    """A duration has at most two units."""
    assert terminal.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (12_345_678, "12.3 MB"), (10**15, "1000.0 TB")]
)
def test_sizes_are_readable(count: int, text: str) -> None:
    """A size has the unit that fits it."""
    assert terminal.size(count) == text


@pytest.mark.parametrize(("done", "filled", "percent"), [(0, 0, 0), (50, 12, 50), (100, 24, 100), (170, 24, 100)])
def test_bar_never_overflows(done: int, filled: int, percent: int) -> None:
    """A bar has its width, whatever the figures say."""
    assert terminal.bar(done, 100) == "█" * filled + "░" * (24 - filled) + f" {percent:3d} %"


def test_columns_are_aligned_and_the_last_is_free() -> None:
    """Cells stand below each other, with no blanks at the end of a line."""
    assert terminal.columns([["a", "bb", "x"], ["aaa", "b", ""]]) == ["a    bb  x", "aaa  b"]
    assert terminal.columns([]) == []


def test_colours_only_on_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escape codes go to a terminal only, and not where NO_COLOR is set."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert terminal.painted("x", "red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.painted("x", "red") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert terminal.painted("x", "red") == "x"
