"""EVerest's watch over the other side: the CommunicationFault, raised and cleared."""

from typing import Final

CHECK_PERIOD_S: Final = 5.0
"""EVerest's default: a longer silence is a fault."""


class CommunicationMonitoring:
    """The watch during one run of EVerest; times are monotonic seconds.

    It begins with the fault raised. `true` clears it, a silence of more than the period raises it again, and `false`
    clears it and ends the watch for as long as this EVerest runs. Nothing but these two words counts.

    Attributes:
        gaps: how often silence has raised the fault, as far as messages have shown it.
        ended: the other side has said `false`.
    """

    def __init__(self, period_s: float = CHECK_PERIOD_S) -> None:
        self.gaps = 0
        self.ended = False
        self._period_s = period_s
        self._last: float | None = None

    def take(self, payload: bytes, now: float) -> bool:
        """Take a message; False when it is no JSON boolean."""
        if payload.strip(b" \t\r\n") not in {b"true", b"false"}:
            return False
        if not self.ended:
            self.gaps += self._last is not None and now - self._last > self._period_s
            self._last = now
            self.ended = b"false" in payload
        return True

    def fault(self, now: float) -> bool:
        """Tell whether the fault stands."""
        return not self.ended and (self._last is None or now - self._last > self._period_s)
