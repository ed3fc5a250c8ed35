"""Waits for the end of a child process without being held up by it.

A killed process may take long to be gone: it is stuck in the kernel, on a dead disk say, or at a priority so low that
a busy machine has no time to end it. Whoever killed it goes on; a thread takes in its end, so that no zombie is left.
"""

from subprocess import Popen, TimeoutExpired
from threading import Thread


def reap(process: "Popen[bytes]", patience_s: float) -> None:
    """Wait for its end, here for at most `patience_s` seconds (0 or more), and from then on in a thread."""
    try:
        process.wait(patience_s)
    except TimeoutExpired:
        Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
