"""The embedded broker."""

import logging

import pytest
from support.scripted_system import ScriptedSystem

from everest_system.demo.broker import BrokerError, EmbeddedBroker
from everest_system.everest_side import EverestSide
from everest_system.io.mqtt.link import MqttSettings


def test_carries_messages_and_says_nothing(caplog):
    """Two clients reach each other, and nothing of it is on the screen."""
    with (
        caplog.at_level(logging.WARNING),
        EmbeddedBroker() as broker,
        ScriptedSystem(broker.port),
        EverestSide(MqttSettings(broker.host, broker.port)) as everest,
    ):
        assert everest.boot_reason() == "PowerUp"
    assert caplog.records == []


def test_starts_again_on_its_port():
    """A broker that has stopped can be started again and keeps its port; stopping it twice does nothing."""
    broker = EmbeddedBroker()
    broker.start()
    port = broker.port
    broker.stop()
    broker.stop()
    broker.start()
    assert broker.port == port
    broker.stop()


def test_a_port_that_is_taken_is_told():
    """A broker that cannot listen says so."""
    with EmbeddedBroker() as broker:
        second = EmbeddedBroker()
        second.port = broker.port
        with pytest.raises(BrokerError, match="the embedded broker does not start: "):
            second.start()
        second.stop()
