"""Runs one of the integrator's programs: an installer, a health check, what reboots or sets the clock.

A program is an argument list, never a shell line. It gets nothing on standard input, a small environment of its own
(our settings, passwords among them, are not passed on), and a process group of its own. Standard output and standard
error are read together, line by line; a line is cut at 4 KiB and freed of control characters, since it goes into logs.
The first 200 lines are logged, every line is handed to `on_line`.

When the work is canceled or the time is up, the group gets SIGTERM; when the program has ended, or after two
seconds, what is left of the group gets SIGKILL. The group also dies with us, however we end: a guard, a small process
within it, waits for the end of a pipe that only we hold open, and then kills its group. (`PR_SET_PDEATHSIG` reaches
neither the program's children nor a program that gained rights, and setting it runs Python between fork and exec of a
process with threads.) What a program leaves in the background when it ends by itself is its own affair.

A program that takes this service down (a reboot does) must not die with it: run it `detached`. Then it has its own
session, nothing reads its output, and a cancel leaves it alone; only its time-out still ends it.

Example:
    >>> run(["printenv", "GREETING"], facts={"GREETING": "hello"}, timeout_s=5, canceled=Event(), on_line=print)
    hello
    0
"""

import errno
import math
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from subprocess import DEVNULL, PIPE, STDOUT, Popen, TimeoutExpired
from threading import Event
from typing import Final

import structlog

from everest_system.fsm.errors import CanceledError, WorldError
from everest_system.io.reaping import reap

_GRACE_S: Final = 2.0
_TICK_S: Final = 0.05
_KILL_PATIENCE_S: Final = 1.0
_LONGEST_LINE: Final = 4096
_CHUNK: Final = 65536
_LOGGED_LINES: Final = 200
_PASSED_ON: Final = re.compile(r"PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TZ|LANG|LANGUAGE|LC_[A-Z]+")
_LINE_END: Final = re.compile(rb"[\r\n]+")  # empty lines are not looked at, however many there are
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_GUARD: Final = """\
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.read(0, 1)
os.killpg(0, signal.SIGKILL)
"""
_REASONS: Final = {
    errno.ENOENT: "was not found, or its interpreter was not",
    errno.EACCES: "is not executable",
    errno.ENOEXEC: "is no program (a script begins with #! and its interpreter)",
}

_log = structlog.get_logger(__name__)


class ProgramError(WorldError):
    """A program could not be started or did not end in time; `str()` names it, never its arguments."""


def fill(argv: Sequence[str], values: Mapping[str, str], *, last: str) -> list[str]:
    """Put the values in for their `{name}`, wherever that stands in an argument.

    Args:
        argv: the program and its arguments. Braces around other words stay as they are.
        values: by name. What is put in is not searched again.
        last: the name whose value is added as the last argument if no argument contains it.
    """
    filled = [_PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), argument) for argument in argv]
    return filled if any(f"{{{last}}}" in argument for argument in argv) else [*filled, values[last]]


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    canceled: Event,
    facts: Mapping[str, str] | None = None,
    on_line: Callable[[str], object] | None = None,
    detached: bool = False,
) -> int:
    """Run a program to its end.

    Args:
        argv: the program, looked for in `PATH` unless it has a slash, and its arguments.
        timeout_s: how long it may take, in seconds; 0 for as long as it takes.
        canceled: looked at 20 times a second.
        facts: added to its environment.
        on_line: called in this thread with each line of output that is not empty. Detached programs have none.
        detached: it outlives us and a cancel.

    Returns:
        The exit code; a negative one is the signal that killed it.

    Raises:
        CanceledError: `canceled` was set; unless detached, the program has been ended, or was never started.
        ProgramError: it could not be started, or was killed because its time was up.
    """
    if not argv:
        raise ProgramError("no program is configured")
    if canceled.is_set():
        raise CanceledError(f"{argv[0]} was not started")
    deadline = time.monotonic() + timeout_s if timeout_s > 0 else math.inf
    environment = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    environment = {"PATH": os.defpath} | environment | dict(facts or {})
    program = _Program(argv, environment, _Lines(argv[0], on_line), detached=detached)
    try:
        while not program.ended():
            if canceled.is_set():
                if detached:
                    program.leave()
                raise CanceledError(f"{argv[0]} was canceled")
            if time.monotonic() >= deadline:
                raise ProgramError(f"{argv[0]} did not end within {timeout_s:g} s and was killed")
            program.read(_TICK_S)
        return program.finish()
    finally:
        program.close()


class _Lines:
    """Cuts a stream of bytes into lines of text."""

    def __init__(self, program: str, on_line: Callable[[str], object] | None) -> None:
        self._program, self._on_line = program, on_line
        self._line = bytearray()
        self._count = 0

    def feed(self, chunk: bytes) -> None:
        *ended, begun = _LINE_END.split(chunk)
        for piece in ended:
            self._add(piece)
            self.flush()
        self._add(begun)

    def flush(self) -> None:
        text = self._line.decode("utf-8", "replace")
        self._line.clear()
        text = "".join(letter if letter.isprintable() else " " for letter in text).strip()
        if not text:
            return
        self._count += 1
        if self._count <= _LOGGED_LINES:
            _log.info("program said", program=self._program, line=text)
        elif self._count == _LOGGED_LINES + 1:
            _log.warning("program says too much, the rest is not logged", program=self._program)
        if self._on_line is not None:
            self._on_line(text)

    def mute(self) -> None:
        """From now on lines are logged only."""
        self._on_line = None

    def _add(self, piece: bytes) -> None:
        self._line += piece[: _LONGEST_LINE - len(self._line)]


class _Program:
    """A running program, its guard, and the pipe it writes to."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], lines: _Lines, *, detached: bool) -> None:
        self._lines = lines
        self._left = False
        self._guard: Popen[bytes] | None = None
        try:
            if detached:
                # A pipe without a reader would kill or block it once we are gone.
                self._process = Popen(
                    argv, env=environment, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
                )
            else:
                # The guard leads the group, and its pipe's other end is held until exec by the child that joins: so
                # there is no moment at which we could die and leave a program unguarded.
                self._guard = Popen(
                    [sys.executable, "-I", "-S", "-c", _GUARD],
                    stdin=PIPE,
                    stdout=DEVNULL,
                    stderr=DEVNULL,
                    process_group=0,
                )
                self._process = Popen(
                    argv, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, process_group=self._guard.pid
                )
        except (OSError, ValueError) as error:
            self._dismiss_guard()
            reason = "has an argument with a NUL character"
            if isinstance(error, OSError):
                reason = _REASONS.get(error.errno or 0, f"cannot be started: {error.strerror}")
            raise ProgramError(f"{argv[0]} {reason}") from error
        self._group = self._process.pid if self._guard is None else self._guard.pid
        self._output = self._process.stdout
        self._poll = select.poll()
        if self._output is not None:
            os.set_blocking(self._output.fileno(), False)
            self._poll.register(self._output, select.POLLIN)

    def ended(self) -> bool:
        return self._process.poll() is not None

    def read(self, patience_s: float) -> int:
        """Take in what the program wrote; wait for it, or for the program's end, at most `patience_s`; bytes read."""
        if self._output is None:
            with suppress(TimeoutExpired):
                self._process.wait(patience_s)
            return 0
        if not self._poll.poll(patience_s * 1000):
            return 0
        chunk = os.read(self._output.fileno(), _CHUNK)
        if not chunk:
            self._output.close()
            self._output = None
        self._lines.feed(chunk)
        return len(chunk)

    def finish(self) -> int:
        """Take in what is in the pipe by now, and no more: a child in the background may go on writing."""
        left = 0 if self._output is None else _waiting(self._output.fileno())
        while left > 0 and (count := self.read(0)):
            left -= count
        self._lines.flush()
        return self._process.returncode

    def leave(self) -> None:
        """Let it run on."""
        self._left = True
        reap(self._process, 0)

    def close(self) -> None:
        """End the program, unless it has ended or was left, and give back what it held."""
        if not self._left and not self.ended():
            self._lines.mute()
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + _GRACE_S
            while not self.ended() and time.monotonic() < deadline:
                self.read(_TICK_S)
            self._signal(signal.SIGKILL)
            reap(self._process, _KILL_PATIENCE_S)
        if self._output is not None:
            self._output.close()
        self._dismiss_guard()

    def _signal(self, number: signal.Signals) -> None:
        groups = {self._group}
        if not self.ended():
            with suppress(ProcessLookupError):
                groups.add(os.getpgid(self._process.pid))  # it may have left for a group of its own
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            assert self._guard.stdin is not None
            self._guard.stdin.close()


def _waiting(pipe: int) -> int:
    """How many bytes are in a pipe."""
    import fcntl
    import termios  # nothing that an idle station has to hold

    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
