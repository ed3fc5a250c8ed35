"""Where the service can die: every transaction, and everything that it does to the outside behind one.

A process that dies between two of these points leaves the same behind as at the first of them, so a finite number of
crashes stands for all. A `Watch` is put between the station and its edges. It counts the points, and at the chosen one
it ends the service there and then, with `SuddenEnd`, which nobody but the simulation catches.

    with Simulation(settings, watch=(watch := Watch())) as simulation:
        ...                                 # watch.points: all of them, in order
    Simulation(settings, watch=Watch(chosen=17, how="power"))
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from everest_system.fsm.orders import Order
from everest_system.io.store.store import Change
from everest_system.ports import Memory, Wire, Workshop

How: TypeAlias = Literal["kill", "power"]
AWAY_S: Mapping[How, float] = {"kill": 0.4, "power": 8.0}
"""How long the service, or with it the machine, is away."""
ALWAYS = (0, sys.maxsize)


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """One place to die in.

    Attributes:
        at: microseconds since the beginning.
        transaction: the number of the transaction, the first being 1.
        place: `before it`, `behind it` (nothing is carried out yet), or behind which order.
    """

    at: int
    transaction: int
    place: str


class SuddenEnd(BaseException):  # no error: nothing may take it for one
    """The process is gone.

    Attributes:
        how: with the machine (`power`) or alone (`kill`).
    """

    def __init__(self, how: How) -> None:
        self.how: How = how
        super().__init__(how)


class Watch:
    """Counts crash points, and dies at one of them.

    Args:
        chosen: the number of the point to die at, from 0 on; None only counts.
        how: what ends there.
        window: the first and the last moment that count, in microseconds since the beginning.

    Attributes:
        points: those passed so far; none behind the chosen one.
        now: set by the simulation: microseconds since the beginning.
    """

    def __init__(self, chosen: int | None = None, how: How = "kill", *, window: tuple[int, int] = ALWAYS) -> None:
        self.points: list[CrashPoint] = []
        self.now = 0
        self._chosen, self._how, self._window = chosen, how, window
        self._transactions = 0
        self._is_over = self._is_stored = False

    def begin_turn(self, now: int) -> None:
        """The station takes an event, starts or stops."""
        self.now, self._is_stored = now, False

    def before_transaction(self) -> None:
        """The station is about to store; behind an order of the same turn that is no new place."""
        self._transactions += 1
        if not self._is_stored:
            self._pass("before it")

    def behind_transaction(self) -> None:
        """It is stored."""
        self._is_stored = True
        self._pass("behind it")

    def behind_act(self, act: str) -> None:
        """The outside has seen something of the station's; what no transaction led to is no place to look at."""
        if self._is_stored:
            self._pass(f"behind {act}")

    def _pass(self, place: str) -> None:
        first, last = self._window
        if self._is_over or not first <= self.now <= last:
            return
        number = len(self.points)
        self.points.append(CrashPoint(self.now, self._transactions, place))
        if number == self._chosen:
            self._is_over = True
            raise SuddenEnd(self._how)


@dataclass(frozen=True, slots=True)
class WatchedMemory:
    """The store, watched; a change that is empty is no transaction."""

    inner: Memory
    watch: Watch

    def commit(self, change: Change) -> None:
        """All of it, or nothing."""
        if change.is_empty:
            return
        self.watch.before_transaction()
        self.inner.commit(change)
        self.watch.behind_transaction()


@dataclass(frozen=True, slots=True)
class WatchedWire:
    """The way to the broker, watched."""

    inner: Wire
    watch: Watch

    def connect(self) -> int:
        """Begin one attempt."""
        return self.inner.connect()

    def publish(self, topic: str, payload: bytes, qos: Literal[0, 1] = 0) -> int | None:
        """Send now, or say None."""
        token = self.inner.publish(topic, payload, qos)
        self.watch.behind_act(topic.rpartition("/m2e/")[2].partition("/")[0])
        return token

    def disconnect(self) -> None:
        """Say goodbye."""
        self.inner.disconnect()


@dataclass(frozen=True, slots=True)
class WatchedWorkshop:
    """The workshop, watched."""

    inner: Workshop
    watch: Watch

    def carry_out(self, module_id: str, machine: str, order: Order) -> None:
        """Begin; returns at once."""
        self.inner.carry_out(module_id, machine, order)
        self.watch.behind_act(type(order).__name__)

    def progress(self) -> Mapping[tuple[str, str], tuple[int, int | None]]:
        """How far the work has come that runs."""
        return self.inner.progress()
