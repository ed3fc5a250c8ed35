"""What every machine has in common: a table walked by `transitions`, a snapshot, and no effect on the outside.

`handle(event, now)` looks first and acts second. It works on a copy of the snapshot and returns an `Outcome`: the new
snapshot, the statuses to publish, the orders to carry out and the steps taken, all as data. Nothing has happened until
the caller has stored it and calls `adopt`. An event of another job or of other work, one that the table ignores, and
one that all guards decline change nothing; an impossible one raises `IllegalEventError`.

`recover(now)` is the way back in after a start: each state names, in the `recovery` table, what to order again. A state
with a row for `ResumedTooOften` is a step of work that a start takes up again at most `RESUMES_MAX` times without
progress in between; then that row is taken instead, lest a step that kills the service does so for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from transitions import Machine

from everest_system.fsm.deadlines import Deadline, Now, after
from everest_system.fsm.errors import IllegalEventError
from everest_system.fsm.events import Event, JobEvent, Proceeding, ResumedTooOften, WorkEvent
from everest_system.fsm.orders import Order, StopWork
from everest_system.fsm.table import Table

RESUMES_MAX = 5
"""How many starts in a row may take up the same step again without progress."""


class Snapshot(BaseModel):
    """What a machine remembers, and the store keeps.

    Attributes:
        job: the number of the current or last job; it grows by one with each.
        work: the number of the work that is waited for; it grows with each order of work, and when work is stopped.
        timers: what is waited for, by the name of the event that it causes.
        starts: starts of the service that found the present step unfinished, less its clean stops, since the step
            began or last got on.
    """

    model_config = ConfigDict(frozen=False)

    job: int = 0
    work: int = 0
    timers: dict[str, Deadline] = {}
    starts: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """A status to publish: the specification's word, and the request that it speaks of.

    Attributes:
        machine: the machine that says it.
        job: its job.
        request_id: the request's id.
        run: the count of the EVerest that the request came from.
        word: a FirmwareUpdateStatusEnum or LogStatusEnum word.
        is_end: whether the request ends with it.
        predecessor: the last other word published before it for the same request; "" if there was none.
        disable_connectors: whether EVerest is to take the connectors out of service for the update; None: its default.
    """

    machine: str
    job: int
    request_id: int
    run: int
    word: str
    is_end: bool
    predecessor: str
    disable_connectors: bool | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One transition taken, for the history."""

    job: int
    request_id: int | None
    source: str
    target: str
    event: str
    detail: str


SnapshotT = TypeVar("SnapshotT", bound=Snapshot)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[SnapshotT]):
    """What an event leads to; `taken` says that some row of the table was."""

    snapshot: SnapshotT
    statuses: tuple[Status, ...]
    orders: tuple[Order, ...]
    steps: tuple[Step, ...]
    taken: bool


class TableMachine(Generic[SnapshotT]):
    """The base of the machines; a subclass gives its guards and actions as methods that the table names.

    Attributes:
        name: the machine's name in the store, the history and on the command line.
        table: its transitions.
        recovery: for each state the name of the method that orders again what a crash may have cut short.
        snapshot: what was last adopted.
    """

    name: str
    table: Table
    recovery: Mapping[StrEnum, str]

    def __init__(self, snapshot: SnapshotT) -> None:
        self.snapshot = snapshot
        self.draft = snapshot
        self.now: Now
        self.event: Any = None
        self._statuses: list[Status] = []
        self._orders: list[Order] = []
        self._steps: list[Step] = []
        self._raised: list[Event] = []
        walker = _walker(type(self))
        walker.add_model(self, initial=self.state)
        walker.remove_model(self)  # it has got its triggers, and is not to be kept alive

    @property
    def state(self) -> StrEnum:
        """The state of the snapshot that is worked on."""
        state: StrEnum = self.draft.state  # type: ignore[attr-defined]  # every snapshot names its own states
        return state

    @state.setter
    def state(self, state: StrEnum) -> None:
        self.draft.state = state  # type: ignore[attr-defined]

    def handle(self, event: Event, now: Now) -> Outcome[SnapshotT]:
        """What follows from `event` at `now`.

        Raises:
            IllegalEventError: the table calls the event impossible in this state.
        """
        self._begin(now)
        of_another_job = isinstance(event, JobEvent) and event.job != self.draft.job
        of_other_work = isinstance(event, WorkEvent) and event.work != self.draft.work
        taken = not of_another_job and not of_other_work and self._take(event)
        self._proceed()
        return self._outcome(taken=taken)

    def recover(self, now: Now) -> Outcome[SnapshotT]:
        """What to order again after a start of the service, or what follows from too many of them."""
        self._begin(now)
        self.draft.starts += self._is_guarded
        if self.draft.starts > RESUMES_MAX:
            self.raise_event(ResumedTooOften(f"resumed {RESUMES_MAX} times without progress, and cut short each time"))
        else:
            getattr(self, self.recovery[self.state])()
        self._proceed()
        return self._outcome(taken=True)

    def note_clean_stop(self, now: Now) -> Outcome[SnapshotT]:
        """What to remember at a clean stop of the service: the start that follows it is no sign of a crash."""
        self._begin(now)
        self.draft.starts -= self._is_guarded
        return self._outcome(taken=False)

    def adopt(self, outcome: Outcome[SnapshotT]) -> None:
        """Take `outcome`, which is now stored, for what is."""
        self.snapshot = self.draft = outcome.snapshot

    def timer_event(self, name: str) -> JobEvent:
        """The event that the timer `name` causes for the present job."""
        kinds = {row.event.__name__: row.event for rows in self.table.values() for row in rows.rows}
        kind = kinds[name]
        assert issubclass(kind, JobEvent)
        return kind(self.snapshot.job)

    # --- for the actions of the subclasses ---

    def order(self, *orders: Order) -> None:
        """Have `orders` carried out, in this order, behind the others."""
        self._orders.extend(orders)

    def raise_event(self, event: Event) -> None:
        """Let `event` be the next one that this machine takes, within the same outcome."""
        self._raised.append(event)

    def say(self, status: Status) -> None:
        """Publish `status`."""
        self._statuses.append(status)

    def set_timer(self, event: type[JobEvent], seconds: float) -> None:
        """Cause `event` after `seconds`."""
        self.set_deadline(event, after(self.now, seconds))

    def set_deadline(self, event: type[JobEvent], deadline: Deadline) -> None:
        """Cause `event` at `deadline`."""
        self.draft.timers = {**self.draft.timers, event.__name__: deadline}

    def clear_timers(self, *events: type[JobEvent]) -> None:
        """Wait for `events` no longer; with none named, for nothing."""
        names = {event.__name__ for event in events} or set(self.draft.timers)
        self.draft.timers = {name: deadline for name, deadline in self.draft.timers.items() if name not in names}

    def new_work(self) -> int:
        """A number for a piece of work; what other work still reports is dropped from now on."""
        self.draft.work += 1
        return self.draft.work

    def stop_work(self) -> None:
        """End the work that runs."""
        self.new_work()
        self.order(StopWork(self.draft.job))

    def go_on(self) -> None:
        """Leave at once the state just entered: there is nothing to wait for in it."""
        self.raise_event(Proceeding())

    def request_id(self) -> int | None:
        """The id of the current request, for the history."""
        return None

    def nothing(self) -> None:
        """The way back in where there is nothing to do again."""

    # --- the walk ---

    @property
    def _is_guarded(self) -> bool:
        return any(row.event is ResumedTooOften for row in self.table[self.state].rows)

    def _begin(self, now: Now) -> None:
        self.now, self.draft = now, self.snapshot.model_copy()
        self._statuses, self._orders, self._steps, self._raised = [], [], [], []

    def _take(self, event: Event) -> bool:
        name, rows = type(event).__name__, self.table[self.state]
        is_ignored = type(event) in rows.ignored
        if not is_ignored and not any(row.event is type(event) for row in rows.rows):
            raise IllegalEventError(self.name, self.state, name)
        if isinstance(event, JobEvent):
            self.clear_timers(type(event))
        if is_ignored:
            return False
        self.event = event
        if not self.may_trigger(name):  # type: ignore[attr-defined]  # given by transitions
            return False
        self._source = self.state
        self.trigger(name)  # type: ignore[attr-defined]
        return True

    def _proceed(self) -> None:
        while self._raised:
            self._take(self._raised.pop(0))

    def _entered(self) -> None:
        """Called by transitions after each row that enters a state."""
        detail = str(getattr(self.event, "reason", ""))
        self._steps.append(
            Step(self.draft.job, self.request_id(), self._source, self.state, type(self.event).__name__, detail)
        )
        self.draft.starts = 0
        self.entered()
        enter = self.table[self.state].enter
        if enter:
            getattr(self, enter)()

    def entered(self) -> None:
        """Called on entering any state, before its own action: the one place that publishes."""

    def _outcome(self, *, taken: bool) -> Outcome[SnapshotT]:
        outcome = Outcome(self.draft, tuple(self._statuses), tuple(self._orders), tuple(self._steps), taken)
        self.draft = self.snapshot
        return outcome


_WALKERS: dict[type[Any], Machine] = {}


def _walker(kind: type[TableMachine[Any]]) -> Machine:
    """What walks the tables of all machines of one kind: to make it takes a third of a start."""
    if kind not in _WALKERS:
        _WALKERS[kind] = Machine(
            model=None,
            states=list(kind.table),
            initial=next(iter(kind.table)),
            transitions=[
                {
                    "trigger": row.event.__name__,
                    "source": source,
                    "dest": row.to,
                    "conditions": row.when,
                    "before": row.do,
                    "after": "_entered" if row.to else None,
                }
                for source, rows in kind.table.items()
                for row in rows.rows
            ],
            auto_transitions=False,
        )
    return _WALKERS[kind]
