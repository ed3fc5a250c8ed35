"""Following what the service does: status by status in the order that is due, within a time, with its progress between.

A status out of order, one too many, a service that ends by itself, or time that runs out is an `UnexpectedError`.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from everest_system.demo.screen import Screen
from everest_system.demo.stage import Stage
from everest_system.everest_side import Kind, NoStatusError, Status
from everest_system.fsm.errors import WorldError

MODULE_ID: Final = "system_api"
STEP_TIMEOUT_S: Final = 30.0
_TICK_S: Final = 0.1


class UnexpectedError(WorldError):
    """Something else happened than should; `str()` says what, and what the service says about it."""


class Follower:
    """Looks on, and shows what it sees.

    Args:
        stage: where it happens.
        screen: where it is shown.
        started: when the demonstration began, monotonic seconds.
        step_timeout_s: the longest that anything may take, in seconds.
    """

    def __init__(self, stage: Stage, screen: Screen, started: float, step_timeout_s: float = STEP_TIMEOUT_S) -> None:
        self._stage = stage
        self._screen = screen
        self._started = started
        self._step_timeout_s = step_timeout_s
        self._seen = 0

    def follow(self, kind: Kind, request_id: int, word: str, remark: str = "", then: str = "") -> None:
        """Wait for the next status, which has to be this one.

        Args:
            kind: of which job.
            request_id: of which request.
            word: the status.
            remark: shown beside it.
            then: what is going on from then on.

        Raises:
            UnexpectedError: it is another one, or none comes.
            WorldError: the service has ended, or EVerest has.
        """
        status = self._next(kind, f"{word} of request {request_id}")
        if (status.kind, status.request_id, status.word) != (kind, request_id, word):
            came = f"{status.word} of request {status.request_id} came, {word} of request {request_id} was due"
            raise UnexpectedError(f"{came}{self._explanation(status.kind)}")
        self._screen.busy(then)
        self._screen.status(status.at - self._started, status.word, remark)

    def wait_until(self, happened: Callable[[], bool], what: str) -> None:
        """Wait for something else than a status, before which no status may come.

        Raises:
            UnexpectedError: a status comes, or time runs out.
            WorldError: the service has ended, or EVerest has.
        """
        deadline = monotonic() + self._step_timeout_s
        while not happened():
            self._look("firmware")
            if len(self._stage.everest.statuses) > self._seen:
                raise UnexpectedError(f"{self._stage.everest.statuses[self._seen].word} came, {what} was due")
            self._in_time(deadline, what, "firmware")
            time.sleep(_TICK_S)

    def require_silence(self) -> None:
        """See that EVerest has heard all that was followed and no more, and had nothing to complain of.

        Raises:
            UnexpectedError: a status too many, or a message that EVerest could not read.
        """
        everest = self._stage.everest
        more = [status.word for status in everest.arrived if status.dropped] + [
            status.word for status in everest.statuses[self._seen :]
        ]
        if more:
            raise UnexpectedError(f"more statuses came than were due: {', '.join(more)}")
        if everest.warnings:
            raise UnexpectedError(f"EVerest complains: {everest.warnings[0]}")

    def _next(self, kind: Kind, what: str) -> Status:
        everest, deadline = self._stage.everest, monotonic() + self._step_timeout_s
        while len(everest.statuses) <= self._seen:
            self._look(kind)
            self._in_time(deadline, what, kind)
            with suppress(NoStatusError):
                everest.wait_for(lambda _: True, timeout_s=_TICK_S, since=self._seen)
        self._seen += 1
        return everest.statuses[self._seen - 1]

    def _look(self, kind: Kind) -> None:
        """See that the service lives, and how far it is."""
        self._stage.machine.check()
        progress = self._machine(kind).get("progress")
        if progress is not None:
            self._screen.progress(progress["done"], progress["total"])

    def _in_time(self, deadline: float, what: str, kind: Kind) -> None:
        if monotonic() > deadline:
            raise UnexpectedError(f"{what} did not come within {self._step_timeout_s:g} s{self._explanation(kind)}")

    def _machine(self, kind: Kind) -> dict[str, Any]:
        status = self._stage.machine.ask_status()
        name = "logs" if kind == "log" else "firmware"
        machine: dict[str, Any] = status.get("modules", {}).get(MODULE_ID, {}).get(name, {})
        return machine

    def _explanation(self, kind: Kind) -> str:
        machine = self._machine(kind)
        if not machine:
            return ""
        reason = f": {machine['reason']}" if machine.get("reason") else ""
        return f"; the service is in {machine['state']}{reason}"
