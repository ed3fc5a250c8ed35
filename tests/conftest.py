"""What every test may ask for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from support.brokers import AmqttBroker, Broker, Listener, MosquittoBroker
from support.examples import IS_SOAK, examples
from support.mqtt_ends import FILTERS, Everest, Link, ScriptedBroker, Subscriptions

from everest_system.io.mqtt.link import MqttSettings

# The first example of a run pays for the imports: no deadline.
settings.register_profile(
    "everest-system", deadline=None, derandomize=not IS_SOAK, print_blob=True, max_examples=examples(100)
)
settings.load_profile("everest-system")


@pytest.fixture(params=["amqtt", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """A running broker that takes anybody: once the embedded one, once the real one."""
    started: Broker = AmqttBroker() if request.param == "amqtt" else MosquittoBroker(tmp_path)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def link_to() -> Iterator[Callable[..., Link]]:
    """Makes links to a broker, with settings as keywords; ends them after the test."""
    made: list[Link] = []

    def make(broker: Broker | ScriptedBroker, subscriptions: Subscriptions = FILTERS, **more: Any) -> Link:
        made.append(Link(MqttSettings(broker.host, broker.port, **more), subscriptions))
        return made[-1]

    yield make
    for one in made:
        one.link.disconnect()


@pytest.fixture
def everest_on() -> Iterator[Callable[..., Everest]]:
    """Makes EVerest's side on a broker; ends it after the test."""
    made: list[Everest] = []

    def make(broker: Broker, port: int | None = None) -> Everest:
        made.append(Everest(broker, port))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., MosquittoBroker]]:
    """Starts mosquitto with the given listeners; stops it after the test."""
    made: list[MosquittoBroker] = []

    def make(*listeners: Listener) -> MosquittoBroker:
        made.append(MosquittoBroker(tmp_path, *listeners))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedBroker]]:
    """Makes brokers that follow a script; ends them after the test."""
    made: list[ScriptedBroker] = []

    def make(*script: bytes) -> ScriptedBroker:
        made.append(ScriptedBroker(*script))
        return made[-1]

    yield make
    for one in made:
        one.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many crashes were tried, in whichever process."""
    reports = [report for name in ("passed", "failed") for report in terminalreporter.getreports(name)]
    cases = [value for report in reports for name, value in report.user_properties if name == "crash_cases"]
    if cases:
        terminalreporter.write_line(f"{sum(cases)} crashes enumerated in {len(cases)} stories")
