"""Requests to set the machine's clock, one at a time, beside the station's thread.

A time is only right in the moment that it comes. So what passes until the clock is set is added to it, and of several
that wait for one under way only the latest is kept: the clock was not set to the others, and that is said at once.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog

from everest_system.fsm.errors import CanceledError, WorldError
from everest_system.fsm.orders import SetSystemTime
from everest_system.io.workers import Workers
from everest_system.ports import SystemTimeSet
from everest_system.system_time import SystemTime

LANE: Final = "clock"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Wish:
    module_id: str
    order: SetSystemTime
    came_at: float  # monotonic seconds


class ClockSetting:
    """Takes the requests.

    Args:
        system_time: sets the clock, or does not.
        workers: where that is done.
        post: takes a `SystemTimeSet` for each request; called from the workers' threads, too.
    """

    def __init__(self, system_time: SystemTime, workers: Workers, post: Callable[[object], None]) -> None:
        self._system_time, self._workers, self._post = system_time, workers, post
        self._lock = threading.Lock()
        self._waiting: _Wish | None = None

    def take(self, module_id: str, order: SetSystemTime) -> None:
        """Set the clock as soon as may be; returns at once."""
        with self._lock:
            replaced, self._waiting = self._waiting, _Wish(module_id, order, monotonic())
        if replaced is None:
            self._workers.start(LANE, self._set_to_latest)
        else:
            self._answer(replaced, done=False)

    def _set_to_latest(self, canceled: threading.Event) -> None:
        with self._lock:
            wish, self._waiting = self._waiting, None
        assert wish is not None, "each of these calls was ordered for one"
        module_id, order = wish.module_id, wish.order
        try:
            done = self._system_time.set(order.time.root, wish.came_at, canceled=canceled)
        except CanceledError:
            raise
        except WorldError as error:
            _log.warning(f"the system time was not set: {error}", module_id=module_id)
            done = False
        except Exception:  # noqa: BLE001  # a bug of ours, and yet the caller must not wait for minutes
            _log.exception("setting the system time failed unexpectedly", module_id=module_id)
            done = False
        self._answer(wish, done=done)

    def _answer(self, wish: _Wish, *, done: bool) -> None:
        self._post(SystemTimeSet(wish.module_id, wish.order.reply_to, done))
