"""The broker, as the station deals with it."""

from everest_system.broker import Broker
from everest_system.fsm.outbox import Sending
from everest_system.io.mqtt.link import Connected, Disconnected, PublishAcknowledged


class Wire:
    """Counts the attempts."""

    def __init__(self) -> None:
        self.attempts = 0
        self.tokens = 0

    def connect(self) -> int:
        self.attempts += 1
        return self.attempts

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> int:
        self.tokens += 1
        return self.tokens

    def disconnect(self) -> None:
        """Nothing to end."""


class Timers:
    """Keeps what was armed."""

    def __init__(self) -> None:
        self.armed: list[str] = []

    def aim(self, owner: str, job: int, deadlines: object) -> None:
        """Nobody aims here."""

    def arm(self, owner: str, name: str, seconds: float) -> None:
        self.armed.append(name)


def test_no_attempt_after_the_end() -> None:
    """A timer that fires behind the stop begins no attempt: its connection would outlive the station."""
    wire, timers = Wire(), Timers()
    broker = Broker(wire, timers, "station")
    broker.connect()
    assert broker.disconnected(Disconnected(1, "nobody there"))
    assert timers.armed == ["Reconnect"]
    broker.close()
    broker.connect()
    assert wire.attempts == 1
    assert not broker.is_connected


def test_an_acknowledgement_names_what_it_is_for() -> None:
    """A row sent twice is acknowledged twice, each time by its own sending; an old connection says nothing."""
    broker = Broker(Wire(), Timers(), "station")
    broker.connect()
    assert broker.connected(Connected(1))
    first, second = Sending("system_api", 7, 1), Sending("system_api", 7, 2)
    assert broker.send(first, "topic", b"{}")
    assert broker.send(second, "topic", b"{}")
    assert broker.acknowledged(PublishAcknowledged(1, 2)) == second
    assert broker.acknowledged(PublishAcknowledged(0, 1)) is None
    assert broker.acknowledged(PublishAcknowledged(1, 1)) == first
    assert broker.acknowledged(PublishAcknowledged(1, 1)) is None
