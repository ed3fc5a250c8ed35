"""A broker, a scripted system, and EVerest's side between them."""

import pytest
from support.scripted_system import ScriptedSystem

from everest_system.demo.broker import EmbeddedBroker
from everest_system.everest_side import EverestSide
from everest_system.io.mqtt.link import MqttSettings


@pytest.fixture(scope="package")
def port():
    """The port of a broker that all tests here share; each has connections of its own."""
    with EmbeddedBroker() as broker:
        yield broker.port


@pytest.fixture
def system(port):
    """The scripted system, listening."""
    with ScriptedSystem(port) as listening:
        yield listening


@pytest.fixture
def side(port):
    """A function that makes EVerest's side, started; without heartbeats unless told otherwise."""
    started = []

    def start(**how):
        everest = EverestSide(MqttSettings("127.0.0.1", port), **{"heartbeat_s": None, **how})
        started.append(everest)
        everest.start()
        return everest

    yield start
    for everest in started:
        everest.stop()


@pytest.fixture
def everest(system, side):
    """EVerest's side with OCPP 2.0.1, its boot accepted by the CSMS."""
    system.replies["set_system_time"] = [b"true"]
    everest = side()
    everest.accept_boot()
    return everest
