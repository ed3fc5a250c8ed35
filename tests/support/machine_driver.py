"""Drives one machine of the core as the station does: one event at a time, adopted at once, time moved by hand.

driver = MachineDriver(lambda snapshot: LogsMachine(snapshot, LogsRules()), LogsSnapshot())
driver.take(UploadRequested(request, "logs.tar.gz", "reply/1", run=1))
driver.fire(Settled)                   # time passes until the timer is due, and it fires
driver.report(LogsCollected, 4096)     # the work that runs has this to say
driver.words                           # ["Uploading"]
driver.ordered(StartUpload)            # the orders of that kind, oldest first
driver.restart()                       # a crash of ours: the snapshot goes through JSON, and is recovered
driver.restart(boot=True)              # a power cut
"""

from collections.abc import Callable
from typing import Any

from support.fake_clock import FakeClock

from everest_system.fsm.deadlines import remaining
from everest_system.fsm.events import Event, JobEvent, StatusDelivered, StatusSending, WorkEvent
from everest_system.fsm.machine import Outcome, Status, Step, TableMachine
from everest_system.fsm.orders import Order, Reply, Tell


class MachineDriver:
    """One machine, its clock, and all that came out of it.

    Attributes:
        clock: moves when the test says so.
        statuses: all that it published, oldest first.
        orders: all that it wants done, oldest first.
        steps: its way through the table.
    """

    def __init__(self, make: Callable[[Any], TableMachine[Any]], snapshot: Any, clock: FakeClock | None = None) -> None:
        self._make = make
        self.machine = make(snapshot)
        self.clock = clock or FakeClock()
        self.statuses: list[Status] = []
        self.orders: list[Order] = []
        self.steps: list[Step] = []

    @property
    def snapshot(self) -> Any:
        """What the machine remembers."""
        return self.machine.snapshot

    @property
    def state(self) -> Any:
        """Where it stands."""
        return self.machine.snapshot.state

    @property
    def words(self) -> list[str]:
        """The words published, oldest first."""
        return [str(status.word) for status in self.statuses]

    @property
    def replies(self) -> list[Any]:
        """The answers given, oldest first."""
        return [order.value for order in self.ordered(Reply)]

    @property
    def told(self) -> list[Event]:
        """What other machines were told, oldest first."""
        return [order.event for order in self.ordered(Tell)]

    def ordered(self, kind: type[Any]) -> list[Any]:
        """The orders of that kind, oldest first."""
        return [order for order in self.orders if isinstance(order, kind)]

    def take(self, event: Event) -> Outcome[Any]:
        """Hand over an event."""
        return self._adopt(self.machine.handle(event, self.clock.now()))

    def report(self, kind: type[WorkEvent], *facts: Any) -> Outcome[Any]:
        """Have the work that is waited for say something."""
        return self.take(kind(self.snapshot.work, *facts))

    def fire(self, kind: type[JobEvent]) -> Outcome[Any]:
        """Let time pass until that timer is due, which has to be set, and fire it."""
        self.clock.advance(max(self.left(kind), 0.0))
        return self.take(kind(self.snapshot.job))

    def left(self, kind: type[JobEvent]) -> float:
        """Seconds until that timer is due, which has to be set."""
        return remaining(self.snapshot.timers[kind.__name__], self.clock.now())

    def waits_for(self, *kinds: type[JobEvent]) -> bool:
        """Whether exactly these timers are set."""
        return set(self.snapshot.timers) == {kind.__name__ for kind in kinds}

    def send(self, word: str) -> Outcome[Any]:
        """Have the outbox send a status of the present job."""
        return self.take(StatusSending(self.snapshot.job, word))

    def deliver(self, word: str) -> Outcome[Any]:
        """Have EVerest hear a status of the present job."""
        return self.take(StatusDelivered(self.snapshot.job, word))

    def restart(self, *, boot: bool = False, make: Callable[[Any], TableMachine[Any]] | None = None) -> Outcome[Any]:
        """Crash and come back from the store, after a boot of the machine or without one, perhaps configured anew."""
        if boot:
            self.clock.boot()
        stored = self.snapshot.model_dump_json()
        self._make = make or self._make
        self.machine = self._make(type(self.snapshot).model_validate_json(stored))
        return self._adopt(self.machine.recover(self.clock.now()))

    def _adopt(self, outcome: Outcome[Any]) -> Outcome[Any]:
        self.machine.adopt(outcome)
        self.statuses += outcome.statuses
        self.orders += outcome.orders
        self.steps += outcome.steps
        return outcome
