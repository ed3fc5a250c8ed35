"""`everest-system demo`: a whole station on this machine, from a firmware update to a log upload.

Needs the packages of the extra `demo`.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from types import FrameType
from typing import Final

from everest_system.demo.ending import leave_drawing, path_taken, places
from everest_system.demo.follower import Follower
from everest_system.demo.pace import CALM, FAST, Pace
from everest_system.demo.screen import Screen, screen_for
from everest_system.demo.script import UPDATE, Script
from everest_system.demo.stage import Stage
from everest_system.diagrams import text_path
from everest_system.fsm.errors import RequestError, WorldError

LOG_LINES: Final = 12
"""Of the service's log, shown when something went wrong."""

REMOVED: Final = """\
  They were in a temporary folder, which is removed. With --keep DIR they are left
  in DIR: configuration, state and history, both slots, the uploaded logs, the
  service's log, and a drawing of the firmware machine with the path marked."""
"""Where things are when they are not kept."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption(BaseException):
    """A signal said that it is enough.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def run(fast: bool, keep: Path | None, stage: Callable[[Path, Pace], Stage] = Stage) -> int:  # noqa: FBT001 - an option
    """Show it on standard output.

    Args:
        fast: without the pauses made for watching.
        keep: an empty folder, or one to be made, in which all files are left; None: nothing is left.
        stage: makes the stage.

    Returns:
        The exit code: 0 only if every step went as it should, 1 if one did not, 130 after Ctrl-C.

    Raises:
        RequestError: the folder cannot be taken.
    """
    pace = FAST if fast else CALM
    try:
        with _one_signal():
            if keep is not None:
                return _show(stage(_emptied(keep), pace), kept=True)
            with TemporaryDirectory(prefix="everest-system-demo-", ignore_cleanup_errors=True) as folder:
                return _show(stage(Path(folder).resolve(), pace), kept=False)
    except Interruption as interruption:
        _tell(f"interrupted by {interruption}; everything has been ended")
        return 128 + interruption.number


def _show(stage: Stage, *, kept: bool) -> int:
    started = monotonic()
    try:
        with screen_for(sys.stdout) as screen:
            screen.act("A charging station on this machine")
            screen.busy("making an image, starting everything")
            with stage:
                script = Script(stage, screen, Follower(stage, screen, started))
                script.play()
            _look_back(stage, script, screen, kept=kept)
            screen.end(f"Everything went as it should, in {monotonic() - started:.1f} s.")
    except BrokenPipeError:  # nobody looks on any more: for the command line to take note of
        raise
    except (WorldError, OSError) as error:
        _tell(f"failed after {monotonic() - started:.1f} s: {error}")
        _tell_log(stage)
        if kept:
            _tell(f"all files are in {stage.files.folder}")
        return 1
    return 0


def _look_back(stage: Stage, script: Script, screen: Screen, *, kept: bool) -> None:
    files = stage.files
    path = path_taken(files, UPDATE)
    screen.act("The way that the first update took: event, state, status")
    screen.block(text_path("firmware", path))
    where = places(files, stage.machine.log, script.archive, leave_drawing(files, path)) if kept else REMOVED
    screen.act("Where things are")
    screen.block(where)


def _emptied(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RequestError(f"{folder} is not empty")
    except OSError as error:
        raise RequestError(f"{folder} cannot be used: {error.strerror}") from error
    return folder.resolve()


def _tell(line: str) -> None:
    sys.stderr.write(f"everest-system demo: {line}\n")
    sys.stderr.flush()


def _tell_log(stage: Stage) -> None:
    lines = stage.machine.last_lines(LOG_LINES)
    if lines:
        _tell("the last lines of the service's log:")
        sys.stderr.write("".join(f"  {line}\n" for line in lines))


@contextmanager
def _one_signal() -> Iterator[None]:
    """Raise `Interruption` at the first signal; later ones do not disturb what the first one sets going."""

    def leave(number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interruption(number)

    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # it is ignored under nohup
    before = {number: signal.signal(number, leave) for number in _SIGNALS if number != signal.SIGHUP or hangs_up}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
