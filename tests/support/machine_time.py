"""Seconds in which the machine had time for us: for promises in milliseconds on machines that are shared.

`time.monotonic()` goes on while somebody else has the processor, or the whole machine stands still. This clock ticks
in a thread of the tests' own process, and no tick counts for more than `LONGEST_S`, however late it comes. Whatever
sleeps, waits for a peer or hangs is measured in full.
"""

import threading
import time
from typing import Final

TICK_S: Final = 0.004
LONGEST_S: Final = 0.02  # another thread of Python's may have its turn in between, and counts


class _Ticks(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="machine-time", daemon=True)
        self.elapsed_s = 0.0
        self.start()

    def run(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(TICK_S)
            now = time.monotonic()
            self.elapsed_s += min(now - last, LONGEST_S)
            last = now


_ticks = _Ticks()


def machine_time() -> float:
    """Seconds since some moment, less those in which the machine had no time for us."""
    return _ticks.elapsed_s
