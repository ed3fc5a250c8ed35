"""One operator's connection to the control socket: bytes in, bytes out, and what the peer may do next.

A peer has one request at a time with the station; its next line is looked at when that is answered. What it sends and
what it leaves unread is bounded. Used by the control thread alone.
"""

import selectors
import socket

from everest_system.io.control.wire import encode

LONGEST_LINE = 64 * 1024
"""Bytes of a request, its newline included."""

MOST_UNSENT = 4 * 1024 * 1024
"""Bytes that may wait for a peer that does not read; with more than that it gets nothing further."""

IDLE_S = 60.0
"""Seconds that a peer has for a whole request, and the station for its answer."""


class Connection:
    """The connection over `peer`, a non-blocking socket, accepted at `now` (monotonic seconds).

    Attributes:
        is_closed: the socket is no more.
        is_over: to be closed, since the peer left, broke a rule, or has got the last it is to get.
        deadline: the monotonic time from which on it counts as idle.
    """

    def __init__(self, peer: socket.socket, now: float) -> None:
        self.peer = peer
        self.is_closed = False
        self.is_over = False
        self.deadline = now + IDLE_S
        self._received = bytearray()
        self._unsent = bytearray()
        self._number = 0
        self._asked: int | None = None
        self._is_last = False

    @property
    def events(self) -> int:
        """What a selector should watch for, 0 for nothing."""
        takes_requests = self._asked is None and not self._unsent and not self._is_last
        reads = selectors.EVENT_READ if takes_requests else 0
        return reads | (selectors.EVENT_WRITE if self._unsent else 0)

    def receive(self) -> None:
        """Take what the peer has sent."""
        try:
            block = self.peer.recv(LONGEST_LINE)
        except BlockingIOError:
            return
        except OSError:
            block = b""
        if not block:
            self.is_over = True
        else:
            self._received += block

    def next_line(self) -> bytes | None:
        """Return the next request's line, None as long as there is none or the one before is with the station."""
        if self._asked is not None or self._is_last or self.is_over:
            return None
        end = self._received.find(b"\n", 0, LONGEST_LINE)
        if end < 0:
            if len(self._received) >= LONGEST_LINE:
                self.refuse(f"a request has at most {LONGEST_LINE} bytes")
            return None
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def ask(self, now: float) -> int:
        """Note that a request is with the station, and return its number on this connection."""
        self._number += 1
        self._asked = self._number
        self.deadline = now + IDLE_S
        return self._number

    def answer(self, number: int, line: bytes, now: float) -> None:
        """Queue `line` as the answer to request `number`; a second answer goes nowhere."""
        if self._asked != number:
            return
        self._queue(line)
        self._asked = None
        self.deadline = now + IDLE_S

    def complain(self, reason: str) -> None:
        """Queue what is wrong with a line that is no request."""
        self._queue(encode({"error": reason}))

    def refuse(self, reason: str) -> None:
        """Queue `reason` as the last that the peer gets."""
        self.complain(reason)
        self._is_last = True

    def flush(self) -> None:
        """Send what the peer takes now."""
        try:
            while self._unsent:
                del self._unsent[: self.peer.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self.is_over = True
        self.is_over |= self._is_last

    def close(self) -> None:
        """Let the peer go."""
        self.is_closed = True
        self.peer.close()

    def _queue(self, line: bytes) -> None:
        if len(self._unsent) > MOST_UNSENT:
            self.is_over = True
        else:
            self._unsent += line
