"""Has logs collected in a process of its own, at low priority: neither charging nor our replies feel it.

The collector (`collecting`) is this interpreter with a fixed argument list. What it shall do goes to it as one line of
JSON over its standard input, which stays open: its end is the collector's word that we are gone, and it ends at once.
Over its standard output come lines of JSON: progress, and at last what came of it. Nothing from outside is in its
arguments, nothing of our settings in its environment.

It leads a process group, in which the programs that it runs stay too; whatever happens, the group is killed before this
returns. A cancel takes 50 ms and what the kernel needs to end a process. A collector that dies is a `CollectError`
with one line that says how, like any other failure; in all of these the spool is clean.

    collected = collect_apart(request, canceled=threading.Event(), on_progress=print)
"""

import json
import os
import re
import select
import signal
import sys
import threading
from contextlib import suppress
from subprocess import DEVNULL, PIPE, Popen
from time import monotonic
from typing import Any, Final, Self

from everest_system.fsm.errors import CanceledError
from everest_system.io.logs.collect_request import Collected, CollectError, CollectRequest, Progress
from everest_system.io.reaping import reap

COLLECT_TIMEOUT_S = 6 * 3600.0  # a hung disk or a source without end: the request has to end some time
_ARGV: Final = (sys.executable, "-P", "-m", "everest_system.io.logs.collecting")
_PASSED_ON: Final = re.compile(r"PATH|HOME|TZ|LANG|LANGUAGE|LC_[A-Z]+|LD_LIBRARY_PATH|PYTHON[A-Z]+")
_TICK_MS: Final = 50
_CHUNK: Final = 65_536
_PATIENCE_S: Final = 1.0


def collect_apart(
    request: CollectRequest,
    *,
    canceled: threading.Event,
    on_progress: Progress,
    timeout_s: float = COLLECT_TIMEOUT_S,
) -> Collected:
    """Collect one archive in a process of its own.

    Args:
        request: what is wanted.
        canceled: looked at 20 times a second.
        on_progress: called in this thread.
        timeout_s: after so many seconds it is given up.

    Raises:
        CollectError: it failed, crashed, was killed, or its time was up.
        CanceledError: it was canceled.
    """
    if canceled.is_set():
        raise CanceledError("log collection was not begun")
    try:
        with _Collector(request.to_json() + b"\n", monotonic() + timeout_s, canceled) as collector:
            return Collected(request.spool / request.name, **collector.result(on_progress))
    except BaseException:
        for name in (request.name, f"{request.name}.part"):
            with suppress(OSError):
                (request.spool / name).unlink()
        raise


class _Collector:
    """The process, and the two pipes to it."""

    def __init__(self, order: bytes, deadline: float, canceled: threading.Event) -> None:
        environment = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
        try:
            self._process = Popen(_ARGV, env=environment, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, process_group=0)
        except OSError as error:
            raise CollectError(f"the log collector cannot be started: {(error.strerror or '').lower()}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._order, self._deadline, self._canceled = memoryview(order), deadline, canceled
        self._received = bytearray()
        os.set_blocking(self._in, False)
        self._poll = select.poll()
        self._poll.register(self._in, select.POLLOUT)
        self._poll.register(self._out, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it and all that it started, and give back what it held."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # it was not waited for yet: the number is still its own
        reap(self._process, _PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def result(self, on_progress: Progress) -> dict[str, Any]:
        """What it collected."""
        while (message := self._message()) is not None:
            if "progress" in message:
                on_progress(*message["progress"])
            elif "failed" in message:
                raise CollectError(message["failed"])
            else:
                return dict(message["collected"])
        raise CollectError(self._death())

    def _message(self) -> dict[str, Any] | None:
        """The next one; None when none comes any more."""
        while True:
            end = self._received.find(b"\n")
            if end >= 0:
                line = bytes(self._received[:end])
                del self._received[: end + 1]
                return dict(json.loads(line))
            if self._canceled.is_set():
                raise CanceledError("log collection canceled")
            if monotonic() > self._deadline:
                raise CollectError("the log collector took too long and was killed")
            if not self._exchange():
                return None

    def _death(self) -> str:
        """How it ended, though it had not said what came of its work."""
        end = monotonic() + _PATIENCE_S
        while (info := os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)) is None:
            if monotonic() > end:
                return "the log collector fell silent"
            select.select([], [], [], 0.01)
        if info.si_code == os.CLD_EXITED:
            return f"the log collector ended with exit code {info.si_status}"
        return f"the log collector was killed by {signal.Signals(info.si_status).name}"

    def _exchange(self) -> bool:
        """Give and take what the pipes take and give now; whether there is more to come."""
        for fd, _ in self._poll.poll(_TICK_MS):
            if fd == self._in:
                with suppress(BlockingIOError):
                    try:
                        self._order = self._order[os.write(fd, self._order[:_CHUNK]) :]
                    except BrokenPipeError:  # how it died is told when its output ends
                        self._order = self._order[:0]
                if not self._order:
                    self._poll.unregister(fd)
            else:
                chunk = os.read(fd, _CHUNK)
                self._received += chunk
                if not chunk:
                    return False
        return True
