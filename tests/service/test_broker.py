"""The broker, as the station deals with it."""

from everest_system.broker import Broker
from everest_system.io.mqtt.link import Disconnected


class Wire:
    """Counts the attempts."""

    def __init__(self) -> None:
        self.attempts = 0

    def connect(self) -> int:
        self.attempts += 1
        return self.attempts

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """There is never anybody."""

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
