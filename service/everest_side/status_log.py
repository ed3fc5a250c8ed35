"""Every status that came, in order, and a way to wait for the next."""

import threading
from collections.abc import Callable
from time import monotonic

from everest_system.everest_side.errors import EverestSideError, NoStatusError
from everest_system.everest_side.status import Status


class StatusLog:
    """The log; any thread may read it and wait.

    Args:
        changed: guards the log and is notified of each status, and when `ended` has a new answer.
        ended: why no further status can come; "" as long as one can.
    """

    def __init__(self, changed: threading.Condition, ended: Callable[[], str]) -> None:
        self._changed = changed
        self._ended = ended
        self._arrived: list[Status] = []

    def append(self, status: Status) -> None:
        """Add a status and wake those who wait."""
        with self._changed:
            self._arrived.append(status)
            self._changed.notify_all()

    def arrived(self) -> list[Status]:
        """All well-formed statuses, the dropped ones as well."""
        with self._changed:
            return list(self._arrived)

    def passed_on(self) -> list[Status]:
        """Those that the CSMS hears of."""
        with self._changed:
            return [status for status in self._arrived if not status.dropped]

    def wait_for(
        self, wanted: str | Callable[[Status], bool], request_id: int | None, timeout_s: float | None, since: int
    ) -> Status:
        """Return the first status that fits among those passed on, from number `since` on; wait for it if need be.

        Raises:
            NoStatusError: none came within `timeout_s`.
            EverestSideError: EVerest's side has ended, or does so while waiting.
        """

        def found() -> Status | None:
            for status in self.passed_on()[since:]:
                fits = status.word == wanted if isinstance(wanted, str) else wanted(status)
                if fits and request_id in {None, status.request_id}:
                    return status
            return None

        deadline = None if timeout_s is None else monotonic() + timeout_s
        with self._changed:
            while (status := found()) is None:
                if reason := self._ended():
                    raise EverestSideError(reason)
                left = None if deadline is None else deadline - monotonic()
                if left is not None and left <= 0:
                    raise NoStatusError(self._missed(wanted, request_id, timeout_s))
                self._changed.wait(left)
            return status

    def _missed(self, wanted: object, request_id: int | None, timeout_s: float | None) -> str:
        name = wanted if isinstance(wanted, str) else "status"
        about = "" if request_id is None else f" of request {request_id}"
        came = ", ".join(f"{status.word} {status.request_id}" for status in self._arrived[-8:]) or "none"
        return f"no {name}{about} within {timeout_s:g} s (last ones that came: {came})"
