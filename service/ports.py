"""What the station needs of the outside, in small ports; the simulation's fakes fill the same ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from everest_system.fsm.deadlines import After, At
from everest_system.fsm.events import Event
from everest_system.fsm.orders import Order
from everest_system.io.store.store import Change


class Wire(Protocol):
    """The way to the broker (`io.mqtt.MqttLink`)."""

    def connect(self) -> int:
        """Begin one attempt; it ends in `Connected` or `Disconnected`."""
        ...

    def publish(self, topic: str, payload: bytes, qos: Literal[0, 1] = 0) -> int | None:
        """Send now, or say None."""
        ...

    def disconnect(self) -> None:
        """Say goodbye."""
        ...


class Memory(Protocol):
    """The store's one write (`io.store.Store`)."""

    def commit(self, change: Change) -> None:
        """All of it, or nothing."""
        ...


class Timers(Protocol):
    """The reactor, as the station sees it (`scheduling.reactor.Reactor`)."""

    def aim(self, owner: str, job: int, deadlines: Mapping[str, At | After]) -> None:
        """Let `owner` have these timers and no others."""
        ...

    def arm(self, owner: str, name: str, seconds: float) -> None:
        """Fire once after `seconds`."""
        ...


class Workshop(Protocol):
    """Where orders of work are carried out (`work.Workshop`); what comes of them is posted as `WorkReport`."""

    def carry_out(self, module_id: str, machine: str, order: Order) -> None:
        """Begin; returns at once."""
        ...

    def progress(self) -> Mapping[tuple[str, str], tuple[int, int | None]]:
        """How far the work has come that runs: done and whole, by module id and machine."""
        ...


@dataclass(frozen=True, slots=True)
class WorkReport:
    """What work has to say: `event` for a machine, of whichever order it was."""

    module_id: str
    machine: str
    event: Event


@dataclass(frozen=True, slots=True)
class SystemTimeSet:
    """The clock was set, or not; the request that named `reply_to` waits for the word."""

    module_id: str
    reply_to: str | None
    done: bool


@dataclass(frozen=True, slots=True)
class BootedInPlace:
    """A dry run's reboot: the station has to start anew within this process."""


@dataclass(frozen=True, slots=True)
class ModulesChanged:
    """EVerest has other modules than this start serves: the station has to start anew within this process."""
