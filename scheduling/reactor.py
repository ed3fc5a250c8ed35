"""The service's only loop: timers and events, one at a time, in one thread.

The reactor is an APScheduler scheduler whose main loop is ours. Other threads do nothing but `post` events. A turn
takes one event from the queue and handles it, looks whether the wall clock was set, and runs the jobs that are due;
in between it waits, never for longer than a second. A job does nothing but put `TimerFired` into the queue: inside
`_process_jobs` a job that adds or removes jobs loses them, and its exceptions are swallowed. An exception in handling
an event ends the loop, and with it the process.

There are two kinds of timers. *At* a time of day is the wall clock's. *After* a duration is the monotonic clock's:
APScheduler only knows the wall clock, so when that is set these jobs are aimed anew before any of them is looked at.

    reactor = Reactor(SystemClock(boot_id), handle)
    reactor.aim("module/firmware", 7, snapshot.timers)
    reactor.run()
"""

import queue
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.date import DateTrigger

from everest_system.fsm.deadlines import After, At, Now, after, remaining
from everest_system.scheduling.clock import Clock

LONGEST_WAIT_S = 1.0
STEP_S = 0.5  # the wall clock was set when it differs from the monotonic clock by this much more than before


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer is due: `owner` set it under `name`, for job number `job`."""

    owner: str
    name: str
    job: int


class Reactor(BaseScheduler):  # type: ignore[misc]  # APScheduler ships no types
    """Runs timers and hands events to `handle`, one at a time."""

    def __init__(self, clock: Clock, handle: Callable[[Any], None]) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.clock = clock
        self._handle = handle
        self._deadlines: dict[tuple[str, str], tuple[int, At | After]] = {}
        self._dues: dict[tuple[str, str], datetime] = {}  # what the wall clock will show; set anew when that is set
        self._stopping = False
        super().__init__(
            timezone=UTC,
            executors={"default": DebugExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True},  # a late timer fires late, never not at all
        )
        self._offset = self._wall_minus_monotonic(clock.now())
        self.start()

    # --- for everybody ---

    def post(self, event: Any) -> None:
        """Have `event` handled after those that came before it; from any thread."""
        self._queue.put(event)

    def wakeup(self) -> None:
        """APScheduler's word that the jobs have changed: the loop looks at them in each turn anyway."""

    # --- for the thread of the loop ---

    def aim(self, owner: str, job: int, deadlines: Mapping[str, At | After]) -> None:
        """Let `owner` have these timers, by name, and no others; those that it has already stay as they are."""
        for mine, name in [key for key in self._deadlines if key[0] == owner]:
            if name not in deadlines:
                self.disarm(mine, name)
        for name, deadline in deadlines.items():
            if self._deadlines.get((owner, name)) != (job, deadline):
                self._arm(owner, name, job, deadline)

    def arm(self, owner: str, name: str, seconds: float) -> None:
        """Fire once after `seconds`, in place of an earlier timer of that name."""
        self._arm(owner, name, 0, after(self.clock.now(), seconds))

    def disarm(self, owner: str, name: str) -> None:
        """Forget a timer, if there is one of that name."""
        if self._forget(owner, name) and self.get_job(f"{owner}/{name}"):
            self.remove_job(f"{owner}/{name}")

    def timers(self, owner: str) -> dict[str, At | After]:
        """The timers that `owner` waits for, by name."""
        return {name: deadline for (mine, name), (_, deadline) in self._deadlines.items() if mine == owner}

    def seconds_left(self) -> dict[tuple[str, str], float]:
        """How long each timer has until it is due, by owner and name; below zero for one that is late."""
        self._look_for_step()
        now = self.clock.now()
        return {key: (due - now.wall).total_seconds() for key, due in self._dues.items()}

    def run(self) -> None:
        """Take turns until `stop`; what handling an event raises ends it too."""
        while not self._stopping:
            self.turn(LONGEST_WAIT_S)

    def stop(self) -> None:
        """End `run` after the present event; from the thread of the loop."""
        self._stopping = True

    def turn(self, longest_wait_s: float) -> bool:
        """Run what is due, then wait for one event, at most `longest_wait_s` or until a timer is due, and handle it.

        Returns:
            Whether there was an event.
        """
        self._look_for_step()
        until_due_s = self._process_jobs()
        wait_s = longest_wait_s if until_due_s is None else min(until_due_s, longest_wait_s)
        try:
            event = self._queue.get(timeout=wait_s) if wait_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return False
        self._handle(event)
        return True

    # --- timers as jobs ---

    def _arm(self, owner: str, name: str, job: int, deadline: At | After) -> None:
        self._look_for_step()  # or a clock that is set back before the next look would leave the job where it stands
        self._deadlines[owner, name] = (job, deadline)
        self._dues[owner, name] = due = self._due(deadline)
        self.add_job(
            self._fire,
            DateTrigger(due, UTC),
            args=(owner, name, job),
            id=f"{owner}/{name}",
            replace_existing=True,
        )

    def _fire(self, owner: str, name: str, job: int) -> None:
        self._forget(owner, name)
        self.post(TimerFired(owner, name, job))

    def _forget(self, owner: str, name: str) -> bool:
        self._dues.pop((owner, name), None)
        return self._deadlines.pop((owner, name), None) is not None

    def _due(self, deadline: At | After) -> datetime:
        if isinstance(deadline, At):
            return deadline.wall
        now = self.clock.now()
        return now.wall + timedelta(seconds=remaining(deadline, now))

    @staticmethod
    def _wall_minus_monotonic(now: Now) -> float:
        return now.wall.timestamp() - now.monotonic

    def _look_for_step(self) -> None:
        """If the wall clock was set, aim the jobs that are not its own anew; `At` jobs stand where they should."""
        offset = self._wall_minus_monotonic(self.clock.now())
        if abs(offset - self._offset) < STEP_S:
            return
        self._offset = offset
        for (owner, name), (_, deadline) in self._deadlines.items():
            if isinstance(deadline, After):
                self._dues[owner, name] = due = self._due(deadline)
                self.reschedule_job(f"{owner}/{name}", trigger=DateTrigger(due, UTC))

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001  # APScheduler's signature
        """End the loop and forget all timers."""
        self.stop()
        self._deadlines.clear()
        self._dues.clear()
        super().shutdown(wait)
