"""A station for a test: the service as a process of its own, EVerest's side, and who makes its firmware."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.brokers import Broker
from support.http_server import HttpServer
from support.pki import Issuer
from support.service_process import ServiceProcess

from everest_system.everest_side import EverestSide
from everest_system.io.mqtt.link import MqttSettings

MEBIBYTE = 1 << 20
IMAGE = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(MEBIBYTE // 32))


@dataclass
class Maker:
    """The manufacturer: a root that the station trusts, and a signing certificate below it."""

    root: Issuer
    signer: Issuer
    anchor_file: str

    def signed(self, image: bytes = IMAGE) -> dict[str, Any]:
        """The properties that make a request a signed one."""
        return {"signing_certificate": self.signer.pem, "signature": self.signer.sign(image)}


@dataclass
class Station:
    """Starts services and EVerests on one broker, and ends them after the test.

    Attributes:
        folder: of this test.
        http: a file server that has the firmware `IMAGE` at /fw.bin.
    """

    folder: Path
    broker: Broker
    http: HttpServer
    maker: Maker
    services: list[ServiceProcess] = field(default_factory=list)
    everests: list[EverestSide] = field(default_factory=list)

    def service(self, config: dict[str, Any] | None = None, *, start: bool = True) -> ServiceProcess:
        """A service that trusts the maker, with this configuration over the fast one."""
        service = ServiceProcess(self.folder, self.broker, {"firmware": {"trust_anchors": [self.maker.anchor_file]}})
        service.configure(config or {})
        self.services.append(service)
        if start:
            service.start()
        return service

    def everest(self, *, registered: bool = True, mqtt: MqttSettings | None = None, **how: Any) -> EverestSide:
        """An EVerest that listens, accepted by its CSMS, once the service is there; `how` as in `EverestSide`."""
        settings = mqtt or MqttSettings(self.broker.host, self.broker.port)
        everest = EverestSide(settings, **{"heartbeat_s": 0.2, **how})
        self.everests.append(everest)
        everest.start()
        everest.wait_for_service()
        if registered:
            everest.accept_boot()
        return everest

    def both(self, config: dict[str, Any] | None = None, **how: Any) -> tuple[ServiceProcess, EverestSide]:
        """A running service and its EVerest."""
        return self.service(config), self.everest(**how)

    def close(self) -> None:
        """End all of them; a service that does not stop as it should fails the test."""
        for everest in self.everests:
            everest.stop()
        for service in self.services:
            service.close()


def words(everest: EverestSide, request_id: int | None = None) -> list[str]:
    """The statuses that arrived, those of one request or of all; also those that the CSMS does not hear of."""
    return [status.word for status in everest.arrived if request_id in {None, status.request_id}]


def wait_for_words(everest: EverestSide, wanted: Iterable[str], request_id: int | None = None) -> None:
    """Wait until as many statuses have arrived as are wanted, and then some: they have to be these and no more."""
    wanted = list(wanted)
    everest.wait_for(lambda _: len(words(everest, request_id)) >= len(wanted), timeout_s=20)
    assert words(everest, request_id) == wanted


def wait_for_file(path: Path, timeout_s: float = 30) -> None:
    """Wait until a program of ours has made a file."""
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.01)  # there is nothing else to wait for


def wait_until_empty(folder: Path, timeout_s: float = 30) -> None:
    """Wait until what work has left behind is gone: that follows the end status."""
    deadline = time.monotonic() + timeout_s
    while left := list(folder.iterdir()):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)  # there is nothing else to wait for
