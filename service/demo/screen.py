"""What a person sees of the demonstration: plain lines anywhere, and more on a terminal.

Both say the same in the same order. A terminal gets colours besides, and a last line that lives: what is going on just
now, with a bar where the service tells how far it is.

    with screen_for(sys.stdout) as screen:
        screen.act("A signed update")
        screen.status(1.2, "Downloading", "32 MiB over HTTP")
"""

import os
from contextlib import AbstractContextManager
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

GOOD = frozenset({"Installed", "Uploaded"})
_BAR_WIDTH = 36
_FRAMES_A_SECOND = 12
_MIB = 1 << 20
_SMALL = 64 << 10


class Screen(AbstractContextManager["Screen"], Protocol):
    """A place to tell the demonstration on; used from one thread."""

    def act(self, title: str) -> None:
        """Begin an act."""
        ...

    def fact(self, text: str) -> None:
        """Say something that has happened, or been found to be so."""
        ...

    def status(self, at_s: float, word: str, remark: str = "") -> None:
        """Show a status, with the seconds since the start."""
        ...

    def block(self, text: str) -> None:
        """Show several lines as they stand."""
        ...

    def end(self, text: str) -> None:
        """Say how it all ended."""
        ...

    def busy(self, text: str) -> None:
        """Say what is going on from now on; "" for nothing."""
        ...

    def progress(self, done: int, total: int | None) -> None:
        """Say how far that is, in bytes or percent."""
        ...


def screen_for(stream: TextIO) -> Screen:
    """The screen that `stream` can show."""
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return TerminalScreen(Console(file=stream, highlight=False))
    return PlainScreen(stream)


class PlainScreen:
    """Lines of plain text, each written at once; what lives is left out."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing has to be put back."""

    def act(self, title: str) -> None:
        """Begin an act."""
        self._write(f"\n{title}")

    def fact(self, text: str) -> None:
        """Say something that has happened, or been found to be so."""
        self._write(f"          {text}")

    def status(self, at_s: float, word: str, remark: str = "") -> None:
        """Show a status, with the seconds since the start."""
        self._write(f"{at_s:6.1f} s  {word:20}{remark}".rstrip())

    def block(self, text: str) -> None:
        """Show several lines as they stand."""
        self._write(text)

    def end(self, text: str) -> None:
        """Say how it all ended."""
        self._write(f"\n{text}")

    def busy(self, text: str) -> None:
        """Not shown."""

    def progress(self, done: int, total: int | None) -> None:
        """Not shown."""

    def _write(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class TerminalScreen:
    """Calm colours, and a last line that lives.

    Args:
        console: of the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = Spinner("dots", style="cyan")
        self._text = ""
        self._done: tuple[int, int] | None = None
        self._live = Live(
            get_renderable=self._last_line,
            console=console,
            refresh_per_second=_FRAMES_A_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.busy("")
        self._live.stop()

    def act(self, title: str) -> None:
        """Begin an act."""
        self.busy("")
        self._print(Text(f"\n{title}", style="bold"))

    def fact(self, text: str) -> None:
        """Say something that has happened, or been found to be so."""
        self._print(Text(f"          {text}", style="dim"))

    def status(self, at_s: float, word: str, remark: str = "") -> None:
        """Show a status, with the seconds since the start."""
        line = Text(f"{at_s:6.1f} s  ", style="dim")
        line.append(f"{word:20}", style="not dim bold green" if word in GOOD else "not dim cyan")
        self._print(line.append(remark))

    def block(self, text: str) -> None:
        """Show several lines as they stand."""
        self._print(Text(text))

    def end(self, text: str) -> None:
        """Say how it all ended."""
        self.busy("")
        self._print(Text(f"\n{text}", style="bold"))

    def busy(self, text: str) -> None:
        """Say what is going on from now on; "" for nothing."""
        if text != self._text:
            self._text, self._done = text, None
            self._live.refresh()

    def progress(self, done: int, total: int | None) -> None:
        """Say how far that is, in bytes or percent."""
        now = (done, total) if total else None
        if now != self._done:
            self._done = now
            self._live.refresh()

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)

    def _last_line(self) -> Table | Text:
        if not self._text:
            return Text()
        line = Table.grid(padding=(0, 1))
        cells: list[Spinner | ProgressBar | Text] = [self._spinner, Text(self._text, style="dim")]
        if self._done is not None:
            done, total = self._done
            bar = ProgressBar(total=total, completed=done, width=_BAR_WIDTH, complete_style="cyan")
            cells += [bar, Text(_amount(done, total), style="dim")]
        line.add_row(Text(" " * 6), *cells)
        return line


def _amount(done: int, total: int) -> str:
    if total < _SMALL:
        return f"{100 * done // total} %"
    return f"{done / _MIB:.1f} of {total / _MIB:.1f} MiB"
