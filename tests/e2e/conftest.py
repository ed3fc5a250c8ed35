"""The service between real peers: a broker for all tests of a worker, and for each test a station of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.brokers import AmqttBroker, Broker, MosquittoBroker
from support.http_server import File, HttpServer
from support.pki import Issuer, private_key
from support.stations import IMAGE, Maker, Station


@pytest.fixture(scope="session")
def shared_amqtt() -> Iterator[Broker]:
    """The embedded broker, for all tests of this worker."""
    broker = AmqttBroker()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def shared_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The real broker, for all tests of this worker."""
    broker = MosquittoBroker(tmp_path_factory.mktemp("mosquitto"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Broker:
    """The embedded broker; by a parameter of the test the real one."""
    shared: Broker = request.getfixturevalue(f"shared_{getattr(request, 'param', 'amqtt')}")
    return shared


@pytest.fixture
def http() -> Iterator[HttpServer]:
    """A file server that has a firmware at /fw.bin."""
    with HttpServer() as server:
        server.files["/fw.bin"] = File(IMAGE, etag='"fw"')
        yield server


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """A manufacturer."""
    root = Issuer.root("Maker")
    anchor = tmp_path / "maker.pem"
    anchor.write_text(root.pem)
    return Maker(root, root.issue("Maker Firmware", key=private_key("p256", "Maker Firmware")), str(anchor))


@pytest.fixture
def station(tmp_path: Path, broker: Broker, http: HttpServer, maker: Maker) -> Iterator[Station]:
    """A station without anything running yet."""
    station = Station(tmp_path, broker, http, maker)
    yield station
    station.close()
