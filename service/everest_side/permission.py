"""The permission to install, given after a while."""

import threading
from collections.abc import Callable


class Permission:
    """Gives the permission each time that it is due, during one run of EVerest.

    Args:
        delay_s: seconds from being due, as if a transaction went on for so long; 0: at once; None: never.
        give: sends it; called from any thread.
    """

    def __init__(self, delay_s: float | None, give: Callable[[], object]) -> None:
        self._delay_s = delay_s
        self._give = give
        self._timers: list[threading.Timer] = []
        self._lock = threading.Lock()
        self._ended = False

    def due(self) -> None:
        """Start the delay."""
        if self._delay_s is None:
            return
        if self._delay_s == 0:
            self._give()
            return
        timer = threading.Timer(self._delay_s, self._give)
        timer.daemon = True
        with self._lock:
            if not self._ended:
                self._timers.append(timer)
                timer.start()

    def end(self) -> None:
        """Give none any more."""
        with self._lock:
            self._ended = True
            for timer in self._timers:
                timer.cancel()
