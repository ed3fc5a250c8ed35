"""The threads that do the work: one piece at a time in each lane, so that the next begins when the last has ended.

A lane is what must not overlap: a machine's downloads, checks and removals follow each other, while another machine's
go on beside them. A thread lives for as long as its lane has work. Work learns from its `threading.Event` that it is
canceled, and ends with `CanceledError`; work that waits is dropped with it, but for work that must be done in any case.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from everest_system.fsm.errors import CanceledError

Work = Callable[[threading.Event], None]


@dataclass(slots=True)
class _Piece:
    work: Work
    always: bool
    canceled: threading.Event = field(default_factory=threading.Event)


class Workers:
    """A small pool of named lanes.

    Args:
        on_crash: told of an exception that a piece of work should have dealt with itself.
    """

    def __init__(self, on_crash: Callable[[str, BaseException], None]) -> None:
        self._on_crash = on_crash
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[_Piece]] = {}
        self._running: dict[str, _Piece] = {}
        self._threads: dict[str, threading.Thread] = {}

    def start(self, lane: str, work: Work, *, always: bool = False) -> None:
        """Do `work` when the lane is free; `always`: also when the lane is canceled before it is."""
        with self._lock:
            self._waiting.setdefault(lane, deque()).append(_Piece(work, always))
            if lane not in self._threads:
                thread = threading.Thread(target=self._run, args=(lane,), name=f"work {lane}", daemon=True)
                self._threads[lane] = thread
                thread.start()

    def cancel(self, lane: str) -> None:
        """Tell the lane's work to end, and drop what waits; returns at once."""
        with self._lock:
            if lane in self._running:
                self._running[lane].canceled.set()
            waiting = self._waiting.get(lane, deque())
            self._waiting[lane] = deque(piece for piece in waiting if piece.always)

    def close(self, timeout_s: float) -> bool:
        """Cancel everything and wait for the threads, at most `timeout_s` for all of them; whether all have ended."""
        deadline = monotonic() + timeout_s
        with self._lock:
            lanes, threads = list(self._threads), list(self._threads.values())
        for lane in lanes:
            self.cancel(lane)
        for thread in threads:
            thread.join(max(deadline - monotonic(), 0.0))
        return not any(thread.is_alive() for thread in threads)

    def _run(self, lane: str) -> None:
        while True:
            with self._lock:
                self._running.pop(lane, None)
                if not self._waiting.get(lane):
                    del self._threads[lane]
                    return
                piece = self._running[lane] = self._waiting[lane].popleft()
            try:
                piece.work(piece.canceled)
            except CanceledError:
                continue
            except BaseException as error:  # noqa: BLE001  # whatever it is, the lane goes on and the crash is told
                self._on_crash(lane, error)
