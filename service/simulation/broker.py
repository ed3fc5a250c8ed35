"""The broker, and the station's way to it, without a network."""

from collections.abc import Callable
from typing import Literal

from everest_system.io.mqtt.link import Connected, Disconnected, MessageArrived, MqttEvent, PublishAcknowledged
from everest_system.simulation.agenda import Agenda

Listener = Callable[[str, bytes], None]
Health = Literal["up", "down", "refusing"]
_TOKENS_A_LINK = 1 << 16


class FakeBroker:
    """One broker that passes messages between EVerest and the station, at once and in order.

    It can be away, refuse connections, acknowledge late, and lose acknowledgements. What is published while nobody
    listens is gone: nothing is retained, no session is kept.

    Attributes:
        health: `up`, `down` (nobody answers), `refusing` (it answers, and says no).
        ack_s: seconds until it acknowledges a message with QoS 1.
        lost_acks: how many of the next acknowledgements it loses with the connection, that is the message arrives and
            the connection breaks before the station hears so.
        log: every message of the station's: topic, payload, QoS.
    """

    def __init__(self, agenda: Agenda) -> None:
        self.health: Health = "up"
        self.ack_s = 0.0
        self.lost_acks = 0
        self.log: list[tuple[str, bytes, int]] = []
        self.agenda = agenda
        self.listener: Listener = lambda _topic, _payload: None
        self._wire: FakeWire | None = None

    @property
    def has_station(self) -> bool:
        """The station's connection stands."""
        return self._wire is not None

    def set_health(self, health: Health) -> None:
        """Come, go, or begin to refuse; whoever is connected is cut off unless it is up."""
        self.health = health
        if health != "up":
            self.cut("the broker went away")

    def cut(self, reason: str = "connection lost") -> None:
        """End the station's connection, if it stands."""
        if self._wire is not None:
            self._wire.lose(reason)

    def to_station(self, topic: str, payload: bytes) -> bool:
        """Deliver a message of EVerest's; whether the station was there to get it."""
        return self._wire is not None and self._wire.arrive(topic, payload)

    def attach(self, wire: "FakeWire") -> None:
        """The station's connection stands."""
        self._wire = wire

    def detach(self, wire: "FakeWire") -> None:
        """The station's connection is gone."""
        if self._wire is wire:
            self._wire = None

    def take(self, topic: str, payload: bytes, qos: int) -> None:
        """Pass a message of the station's on to EVerest, behind all that happens now."""
        self.log.append((topic, payload, qos))
        self.agenda.after(0, lambda: self.listener(topic, payload))


class FakeWire:
    """Keeps the contract of `io.mqtt.MqttLink`, with one attempt at a time and nothing queued.

    Args:
        broker: whom to connect to.
        post: takes each event, never from inside a call of the station's.

    Attributes:
        log: each call with its result.
    """

    def __init__(self, broker: FakeBroker, post: Callable[[MqttEvent], None]) -> None:
        self.log: list[tuple[str, object]] = []
        self._broker, self._post = broker, post
        self._link = 0
        self._stands = False
        self._sent = 0

    def connect(self) -> int:
        """Begin an attempt; `Connected` or `Disconnected` follows at once.

        Raises:
            RuntimeError: the connection before it stands.
        """
        if self._stands:
            raise RuntimeError("connect() on a link that is connected")
        self._link += 1
        link = self._link
        self.log.append(("connect", link))
        self._broker.agenda.after(0, lambda: self._attempt(link))
        return link

    def publish(self, topic: str, payload: bytes, qos: Literal[0, 1] = 0) -> int | None:
        """Send now, or say None."""
        if not self._stands:
            self.log.append(("publish", None))
            return None
        self._sent += 1
        link, token = self._link, self._link * _TOKENS_A_LINK + self._sent
        self.log.append(("publish", token))
        self._broker.take(topic, payload, qos)
        if qos == 1:
            self._broker.agenda.after(self._broker.ack_s, lambda: self._acknowledge(link, token))
        return token

    def disconnect(self) -> None:
        """Say goodbye; nothing is told any more."""
        self.log.append(("disconnect", self._link))
        self.abandon()

    def abandon(self) -> None:
        """The station is gone, and did not say so."""
        self._stands = False
        self._link += 1
        self._broker.detach(self)

    def lose(self, reason: str) -> None:
        """The connection breaks."""
        self._stands = False
        self._broker.detach(self)
        self._post(Disconnected(self._link, f"broker:1883: {reason}"))

    def arrive(self, topic: str, payload: bytes) -> bool:
        """A message came for the station."""
        self._post(MessageArrived(self._link, topic, payload, retained=False, qos=2))
        return True

    def _attempt(self, link: int) -> None:
        if link != self._link:
            return
        if self._broker.health == "up":
            self._stands = True
            self._broker.attach(self)
            self._post(Connected(link))
        else:
            refused = self._broker.health == "refusing"
            reason = "connection refused by the broker: Not authorized" if refused else "connection refused"
            self._post(Disconnected(link, f"broker:1883: {reason}"))

    def _acknowledge(self, link: int, token: int) -> None:
        if link != self._link or not self._stands:
            return
        if self._broker.lost_acks:
            self._broker.lost_acks -= 1
            self.lose("connection lost")
        else:
            self._post(PublishAcknowledged(link, token))
