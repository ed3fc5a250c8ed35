"""The fake wire keeps the contract of the real one."""

from datetime import UTC, datetime

import pytest

from everest_system.io.mqtt.link import Connected, Disconnected, MessageArrived, PublishAcknowledged
from everest_system.simulation.agenda import Agenda
from everest_system.simulation.broker import FakeBroker, FakeWire
from everest_system.simulation.clock import FakeClock, microseconds


class Ends:
    """A broker, a wire to it, and what both sides got."""

    def __init__(self) -> None:
        self.clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.agenda = Agenda(self.clock)
        self.broker = FakeBroker(self.agenda)
        self.events: list[object] = []
        self.heard: list[tuple[str, bytes]] = []
        self.broker.listener = lambda topic, payload: self.heard.append((topic, payload))
        self.wire = FakeWire(self.broker, self.events.append)

    def go_on(self, seconds: float = 0) -> list[object]:
        """Let time pass; the events that came."""
        self.clock.advance_to(self.clock.elapsed + microseconds(seconds))
        while self.agenda.keep():
            pass
        events, self.events[:] = [*self.events], []
        return events


def test_contract() -> None:
    """As MqttLink: Connected with its number, QoS 1 acknowledged by token, messages both ways, None after the end."""
    ends = Ends()
    assert ends.wire.publish("t", b"0") is None
    link = ends.wire.connect()
    assert (ends.go_on(), ends.broker.has_station) == ([Connected(link)], True)
    with pytest.raises(RuntimeError, match="connected"):
        ends.wire.connect()
    assert ends.wire.publish("t", b"1") is not None
    token = ends.wire.publish("t", b"2", 1)
    assert token is not None
    assert ends.go_on() == [PublishAcknowledged(link, token)]
    assert ends.heard == [("t", b"1"), ("t", b"2")]
    assert ends.broker.to_station("c", b"x")
    assert ends.go_on() == [MessageArrived(link, "c", b"x", retained=False, qos=2)]
    ends.wire.disconnect()
    assert (ends.go_on(), ends.broker.has_station, ends.broker.to_station("c", b"y")) == ([], False, False)
    assert ends.wire.publish("t", b"3") is None


@pytest.mark.parametrize(("health", "reason"), [("down", "connection refused"), ("refusing", "Not authorized")])
def test_no_connection(health: str, reason: str) -> None:
    """A broker that is away, or refuses, ends the attempt; the next one has another number."""
    ends = Ends()
    ends.broker.set_health(health)  # type: ignore[arg-type]
    first = ends.wire.connect()
    (event,) = ends.go_on()
    assert isinstance(event, Disconnected)
    assert (event.link, reason in event.reason) == (first, True)
    ends.broker.set_health("up")
    assert ends.wire.connect() != first


def test_abandoned_attempt() -> None:
    """An attempt that was given up before it came to anything tells nothing."""
    ends = Ends()
    ends.wire.connect()
    ends.wire.disconnect()
    assert ends.go_on() == []


def test_slow_and_lost_acknowledgements() -> None:
    """Acknowledgements come as late as told, are lost with the connection, and not told of one that is gone."""
    ends = Ends()
    link = ends.wire.connect()
    ends.go_on()
    ends.broker.ack_s, ends.broker.lost_acks = 2, 1
    ends.wire.publish("t", b"1", 1)
    assert (ends.go_on(1), ends.heard) == ([], [("t", b"1")])
    (event,) = ends.go_on(1)
    assert isinstance(event, Disconnected)
    second = ends.wire.connect()
    assert (second > link, ends.go_on()) == (True, [Connected(second)])
    ends.wire.publish("t", b"2", 1)
    ends.broker.cut()
    assert [type(event) for event in ends.go_on(5)] == [Disconnected]
