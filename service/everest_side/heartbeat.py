"""EVerest's heartbeat: 0, 1, 2, … in a thread of its own."""

import threading
from collections.abc import Callable
from time import monotonic


class Heartbeat:
    """One run's heartbeat; the first comes at once.

    While it is muted the numbers go on, as they do when messages are lost on the way.

    Args:
        period_s: seconds between two; more than 0.
        beat: sends a number; called from this thread.
    """

    def __init__(self, period_s: float, beat: Callable[[int], object]) -> None:
        self.muted = threading.Event()
        self._period_s = period_s
        self._beat = beat
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="everest-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """End it, without waiting for the thread; for good."""
        self._ended.set()

    def join(self) -> None:
        """Wait until none can come any more, once it has been ended; it may never have begun."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        number, due = 0, monotonic()
        while not self._ended.is_set():
            if not self.muted.is_set():
                self._beat(number)
            number = (number + 1) % 2**64
            due += self._period_s
            self._ended.wait(max(0.0, due - monotonic()))
