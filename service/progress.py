"""How far a piece of work has come: a live figure for `status`, and a log line at each tenth."""

import threading
from typing import Any

from everest_system.module import Key


class ProgressBoard:
    """The figures of all the work that runs; written by its threads, read by the station."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._figures: dict[Key, tuple[int, int | None]] = {}

    def set(self, key: Key, done: int, whole: int | None) -> None:
        """Note how far the work of a machine has come."""
        with self._lock:
            self._figures[key] = (done, whole)

    def remove(self, key: Key) -> None:
        """The work has ended."""
        with self._lock:
            self._figures.pop(key, None)

    def figures(self) -> dict[Key, tuple[int, int | None]]:
        """Done and whole, by module id and machine."""
        with self._lock:
            return dict(self._figures)


class Progress:
    """One piece of work's own.

    Attributes:
        log: with the module and the request bound to it.
    """

    def __init__(self, board: ProgressBoard, key: Key, what: str, log: Any) -> None:
        self._board, self._key, self._what = board, key, what
        self._tenths: int | None = None
        self.log = log

    def tell(self, done: int, whole: int | None) -> None:
        """`done` of `whole` (None: not known), in bytes or percent."""
        self._board.set(self._key, done, whole)
        if not whole:
            return
        tenths = 10 * done // whole
        if self._tenths is not None and tenths > self._tenths:
            self.log.info(f"{self._what}: {10 * tenths} %", done=done, total=whole)
        self._tenths = tenths
