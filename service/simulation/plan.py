"""What becomes of one order of work."""

from collections.abc import Callable
from dataclasses import dataclass

from everest_system.fsm.events import Event


def _nothing() -> Event | None:
    return None


@dataclass(frozen=True, slots=True)
class Plan:
    """How long an order takes, what is said on the way, and what comes of it.

    Attributes:
        takes_s: seconds until the end.
        on_the_way: events, with the seconds until each.
        ends: does to the world what there is to do, and gives the event that answers the order; None for none.
    """

    takes_s: float = 0.0
    ends: Callable[[], Event | None] = _nothing
    on_the_way: tuple[tuple[float, Event], ...] = ()


def ending(takes_s: float, event: Event | None) -> Plan:
    """The plan that comes to `event` and leaves the world alone."""
    return Plan(takes_s, lambda: event)
