"""The broker, as the station deals with it: one connection, tried again with growing pauses, and what is under way."""

import structlog

from everest_system.fsm.outbox import Sending
from everest_system.io.mqtt.link import Connected, Disconnected, PublishAcknowledged
from everest_system.ports import Timers, Wire
from everest_system.scheduling.backoff import Backoff

RECONNECT = "Reconnect"

_log = structlog.get_logger(__name__)


class Broker:
    """Keeps a connection, and says once that it is gone and once that it is back.

    Attributes:
        is_connected: whether something published now would go out.
    """

    def __init__(self, wire: Wire, timers: Timers, owner: str) -> None:
        self._wire, self._timers, self._owner = wire, timers, owner
        self._backoff = Backoff()
        self._link: int | None = None
        self._complained = False
        self._under_way: dict[int, Sending] = {}
        self._is_closed = False
        self.is_connected = False

    def connect(self) -> None:
        """Begin an attempt; not after `close`, which a timer may not have heard of."""
        if not self._is_closed:
            self._link = self._wire.connect()

    def connected(self, event: Connected) -> bool:
        """Note that the connection stands; False if it is none of ours."""
        if event.link != self._link:
            return False
        self.is_connected, self._complained = True, False
        self._backoff.reset()
        _log.info("connected to the broker")
        return True

    def disconnected(self, event: Disconnected) -> bool:
        """Note that the connection, or the attempt, has ended, and try again later; False if it is none of ours."""
        if event.link != self._link:
            return False
        self.is_connected = False
        self._link = None
        self._under_way.clear()
        wait_s = self._backoff.next_s()
        if not self._complained:
            _log.warning(f"no broker: {event.reason}; trying again until it is there")
            self._complained = True
        self._timers.arm(self._owner, RECONNECT, wait_s)
        return True

    def is_current(self, link: int) -> bool:
        """Whether something came over the connection that stands."""
        return link == self._link

    def say(self, topic: str, payload: bytes) -> bool:
        """Send now with QoS 0, or not at all."""
        return self.is_connected and self._wire.publish(topic, payload, 0) is not None

    def send(self, sending: Sending, topic: str, payload: bytes) -> bool:
        """Send a status with QoS 1; `acknowledged` will name this very sending of it."""
        token = self._wire.publish(topic, payload, 1) if self.is_connected else None
        if token is not None:
            self._under_way[token] = sending
        return token is not None

    def acknowledged(self, event: PublishAcknowledged) -> Sending | None:
        """What the broker has taken over; None if it is none of this connection's."""
        return self._under_way.pop(event.token, None) if event.link == self._link else None

    def close(self) -> None:
        """Say goodbye, for good."""
        self._is_closed = True
        self.is_connected = False
        self._link = None
        self._wire.disconnect()
