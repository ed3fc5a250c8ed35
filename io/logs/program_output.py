"""What a program prints, caught in a file without a name and bounded in time and size.

The program is an argument list, never a shell line. It gets nothing on standard input and a small environment. It stays
in this process's group: whoever kills that, as `collector` does when it has what it wants, ends it too, with all that
it started. When its time is up, or it prints more than it may, it is killed; what it had printed is kept. Of an output
that is too long either the begin is kept, or (`newest`) the end, from the begin of a record on.

    with caught(["ip", "addr"], folder, max_bytes=1_000_000, timeout_s=30, tick=tick) as output:
        output.length, output.blocks(), output.notes
"""

import math
import os
import re
import select
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen, TimeoutExpired
from time import monotonic
from typing import IO

from everest_system.fsm.errors import WorldError
from everest_system.io.logs.gzip_stream import keep_room
from everest_system.io.reaping import reap

_BLOCK = 256 * 1024
_TICK_S = 0.05
_PATIENCE_S = 2.0
_COMPLAINT = 1024  # bytes of standard error that are kept
_RECORD = 1 << 20  # bytes in which the begin of a record is looked for
_PASSED_ON = re.compile(r"PATH|HOME|TZ|LANG|LANGUAGE|LC_[A-Z]+")


class OutputError(WorldError):
    """A program could not be started; `str()` names it, never its arguments."""


class Output:
    """What was caught.

    Attributes:
        length: bytes of it.
        exit_code: a negative one is the signal that killed it.
        notes: what it lacks.
        complaint: the last that it said on standard error, if that was kept apart, in one line.
    """

    def __init__(self, file: IO[bytes], max_bytes: int, boundary: bytes | None) -> None:
        self._fd, self._max, self._boundary = file.fileno(), max_bytes, boundary
        self._received = 0
        self._begin = 0
        self.exit_code = 0
        self.notes: list[str] = []
        self.complaint = ""

    @property
    def length(self) -> int:
        """Bytes of it."""
        return self._received - self._begin

    def blocks(self) -> Iterator[bytes]:
        """It, in order."""
        offset = self._begin
        while offset < self._received:
            place = offset % self._max
            block = os.pread(self._fd, min(_BLOCK, self._received - offset, self._max - place), place)
            offset += len(block)
            yield block

    def add(self, chunk: bytes) -> bool:
        """Keep what was printed; whether more is wanted."""
        keep_room(self._fd)
        if self._boundary is None:
            chunk = chunk[: self._max - self._received + 1]  # one more shows that there is more
            if self._received + len(chunk) > self._max:
                os.pwrite(self._fd, chunk[:-1], self._received)
                self._received = self._max
                return False
        while chunk:
            place = self._received % self._max
            written = os.pwrite(self._fd, chunk[: self._max - place], place)
            self._received += written
            chunk = chunk[written:]
        return True

    def end(self) -> None:
        """Nothing comes any more: let it begin with a record."""
        if self._boundary is None or self._received <= self._max:
            return
        self._begin = self._received - self._max
        head = b""
        for block in self.blocks():
            head += block
            found = head.find(self._boundary)
            if found >= 0:
                self._begin += found + self._boundary.rindex(b"\n") + 1
            if found >= 0 or len(head) >= _RECORD:
                break
        self.notes.append(f"longer than {self._max} bytes: the oldest part is left out")


@contextmanager
def caught(
    argv: Sequence[str],
    folder: Path,
    *,
    max_bytes: int,
    timeout_s: float,
    tick: Callable[[], None],
    newest: bytes | None = None,
) -> Iterator[Output]:
    """Run a program to its end and have its output.

    Args:
        argv: the program, looked for in `PATH` unless it has a slash, and its arguments.
        folder: where the file without a name is.
        max_bytes: bytes that are kept.
        timeout_s: how long it may take, in seconds; 0 for as long as it takes.
        tick: called 20 times a second; what it raises ends the program.
        newest: keep the end of what is too long, and only standard output; what a record begins with, after a line
            break that is part of it. None: keep the begin, of standard output and standard error together.

    Raises:
        OutputError: it cannot be started.
        OSError: the output cannot be kept: the disk is full.
    """
    environment = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    with tempfile.TemporaryFile(dir=folder) as file:
        output = Output(file, max_bytes, newest)
        try:
            process = Popen(
                argv, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT if newest is None else PIPE
            )
        except OSError as error:
            missing = "was not found" if isinstance(error, FileNotFoundError) else "cannot be started"
            raise OutputError(f"{argv[0]} {missing}") from error
        try:
            deadline = monotonic() + timeout_s if timeout_s > 0 else math.inf
            _read(process, output, argv[0], deadline, timeout_s, tick)
        finally:
            _end(process)
        output.exit_code = process.returncode
        output.end()
        yield output


def _read(
    process: "Popen[bytes]",
    output: Output,
    name: str,
    deadline: float,
    timeout_s: float,
    tick: Callable[[], None],
) -> None:
    """Take in what it prints until it, or our patience, ends."""
    assert process.stdout is not None
    out, errors = process.stdout.fileno(), process.stderr and process.stderr.fileno()
    poll = select.poll()
    open_pipes = {out} if errors is None else {out, errors}
    for pipe in open_pipes:
        poll.register(pipe, select.POLLIN)
    complaint = b""
    while open_pipes:
        tick()
        if monotonic() >= deadline:
            output.notes.append(f"{name} did not end within {timeout_s:g} s and was killed")
            break
        ended = process.poll() is not None  # before the pipes are looked at: what it left in them is still read
        ready = poll.poll(0 if ended else _TICK_S * 1000)
        if ended and not ready:
            break  # something in the background holds the pipe
        for pipe, _ in ready:
            chunk = os.read(pipe, _BLOCK)
            if not chunk:
                poll.unregister(pipe)
                open_pipes.discard(pipe)
            elif pipe == errors:
                complaint = (complaint + chunk)[-_COMPLAINT:]
            elif not output.add(chunk):
                output.notes.append(f"{name} printed more than may be kept and was killed: only the begin is here")
                open_pipes.clear()
    else:
        with suppress(TimeoutExpired):
            process.wait(max(0.0, min(_PATIENCE_S, deadline - monotonic())))
    text = complaint.decode("utf-8", "replace")
    output.complaint = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[-300:]


def _end(process: "Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    reap(process, _PATIENCE_S)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
