"""How long to wait before trying the broker again."""


class Backoff:
    """Doubles from `first_s` to `longest_s`, and begins anew after `reset`.

    The broker stands on the same machine mostly, and what EVerest asks before we are back is lost to it for minutes: a
    longer wait would save nothing and cost that.
    """

    def __init__(self, first_s: float = 0.5, longest_s: float = 2.0) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Seconds to wait this time."""
        wait_s, self._next_s = self._next_s, min(self._next_s * 2, self._longest_s)
        return wait_s

    def reset(self) -> None:
        """It worked: the next failure is the first again."""
        self._next_s = self._first_s
