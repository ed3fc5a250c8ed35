"""A broker for all these tests, and a station without heartbeats for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.brokers import AmqttBroker
from support.http_server import HttpServer
from support.service_process import ServiceProcess


@pytest.fixture(scope="package")
def station_broker() -> Iterator[AmqttBroker]:
    """The embedded broker."""
    broker = AmqttBroker()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def service(tmp_path: Path, station_broker: AmqttBroker) -> Iterator[ServiceProcess]:
    """A service that is not started yet; EVerest counts as always there."""
    service = ServiceProcess(tmp_path, station_broker, {"station": {"presence": "none"}})
    yield service
    service.close()


@pytest.fixture
def http() -> Iterator[HttpServer]:
    """A file server."""
    with HttpServer() as server:
        yield server
