"""A hold on the connection that libcurl uses, to end it when libcurl itself waits for a server that fell silent.

libcurl waits inside one call, where no cancel reaches it, for the last answer of an FTP server (a minute) and for that
of an SFTP server (without end), and when it takes leave of either. Once the connection is shut down it waits no more.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_LOOK_S = 0.05


class Connection:
    """The latest connection; any thread may shut it down."""

    def __init__(self) -> None:
        self._held: socket.socket | None = None
        self._lock = threading.Lock()

    def hold(self, descriptor: int) -> None:
        """Take the connection behind a descriptor in place of the one held; -1 is none."""
        if descriptor < 0:
            return
        inode = os.fstat(descriptor).st_ino
        with self._lock:
            if self._held is None or os.fstat(self._held.fileno()).st_ino != inode:
                self._let_go()
                # A descriptor of our own: libcurl's may be closed at any time, and be another file's then.
                self._held = socket.socket(fileno=os.dup(descriptor))

    def shut_down(self) -> None:
        """End it for both sides, without a farewell."""
        with self._lock, suppress(OSError):  # the other side may have ended it
            if self._held is not None:
                self._held.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Shut it down, and let go of it."""
        self.shut_down()
        with self._lock:
            self._let_go()

    @contextmanager
    def watched(self, is_over: Callable[[], bool]) -> Iterator[None]:
        """Shut it down as soon as `is_over` says so, while the context lasts; asked twenty times a second."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_LOOK_S):
                if is_over():
                    self.shut_down()

        thread = threading.Thread(target=watch, name="curl-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None
