"""What a person sees."""

import io
import os

import pytest
from rich.console import Console

from everest_system.demo.screen import PlainScreen, TerminalScreen, screen_for

MIB = 1 << 20


def tell(screen):
    with screen:
        screen.act("An act")
        screen.busy("downloading")
        screen.progress(8 * MIB, 32 * MIB)
        screen.fact("a fact")
        screen.busy("installing")
        screen.progress(46, 100)
        screen.status(1.25, "Installing", "into slot b")
        screen.progress(10, None)
        screen.status(12.0, "Installed")
        screen.block("one\ntwo")
        screen.end("The end.")


def test_plain_lines():
    """Elsewhere than on a terminal there is a line for each thing said, no escape code, and nothing that lives."""
    stream = io.StringIO()
    tell(screen_for(stream))
    assert stream.getvalue() == (
        "\nAn act\n          a fact\n   1.2 s  Installing          into slot b\n  12.0 s  Installed\n"
        "one\ntwo\n\nThe end.\n"
    )


def test_a_terminal_says_the_same_and_shows_how_far_it_is():
    """On a terminal the same is said in the same order, with what goes on and a bar below it."""
    stream = io.StringIO()
    tell(TerminalScreen(Console(file=stream, force_terminal=True, width=100, highlight=False)))
    shown = stream.getvalue()
    said = ["An act", "a fact", "Installing", "into slot b", "Installed", "one", "two", "The end."]
    places = [shown.index(words) for words in said]
    assert places == sorted(places)
    for alive in ("downloading", "8.0 of 32.0 MiB", "installing", "46 %", "━"):
        assert alive in shown, alive
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor comes back


@pytest.mark.parametrize(("term", "kind"), [("xterm", TerminalScreen), ("dumb", PlainScreen), (None, PlainScreen)])
def test_only_a_terminal_that_can_do_it_is_painted_on(monkeypatch, term, kind):
    """A terminal that knows no escape codes gets plain lines."""
    monkeypatch.delenv("TERM", raising=False)
    if term is not None:
        monkeypatch.setenv("TERM", term)
    ours, its = os.openpty()
    with os.fdopen(ours, "rb"), os.fdopen(its, "w") as terminal:
        assert isinstance(screen_for(terminal), kind)
