"""The broker comes and goes, and EVerest with it; what was to be said is said all the same (everest-wire.md, QoS)."""

import socket
import threading
from collections.abc import Iterator

import pytest
from support.brokers import HOST, AmqttBroker, Broker, MosquittoBroker
from support.http_server import File, Reply
from support.stations import IMAGE, Station, words


@pytest.fixture
def broker(request, tmp_path) -> Iterator[Broker]:
    """A broker of this test's own, which it may stop: the embedded one, by a parameter of the test the real one."""
    real = getattr(request, "param", "amqtt") == "mosquitto"
    own: Broker = MosquittoBroker(tmp_path) if real else AmqttBroker()
    own.start()
    yield own
    own.stop()


class DeafBroker:
    """Takes connections on a port and ends them at once; counts them."""

    def __init__(self, port: int) -> None:
        self._server = socket.create_server((HOST, port))
        self._changed = threading.Condition()
        self._count = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def wait_for(self, count: int) -> None:
        """Wait for so many connections."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._count >= count, 15)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            peer.close()
            with self._changed:
                self._count += 1
                self._changed.notify_all()


def test_away_at_the_start(station: Station, broker):
    """A broker that is away at the start is waited for, which is said once and not with every attempt."""
    broker.stop()
    deaf = DeafBroker(broker.port)
    service = station.service(start=False)
    try:
        service.start("no broker")
        deaf.wait_for(2)
    finally:
        deaf.close()
    broker.start()
    service.wait_for("connected to the broker")
    assert len(service.warnings()) == 1
    assert station.everest().call("is_reset_allowed", "Soft") is True


@pytest.mark.parametrize("broker", ["amqtt", "mosquitto"], indirect=True)
def test_restart_while_idle(station: Station, broker):
    """After a restart of the broker the communication check comes again, for the EVerest that started with it."""
    service, everest = station.both()
    broker.restart()
    everest.restart()
    everest.wait_for_service()
    everest.accept_boot()
    assert everest.call("is_reset_allowed", "Soft") is True
    assert len(service.lines("no broker")) == 1
    assert len(service.lines("connected to the broker")) == 2


@pytest.mark.parametrize("broker", ["amqtt", "mosquitto"], indirect=True)
def test_restart_while_waiting_for_permission(station: Station, broker, http):
    """An EVerest that started anew while the permission was waited for gets the trigger status again."""
    service, everest = station.both(permission_delay_s=None)
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    service.wait_for_state("firmware", "AWAITING_PERMISSION")
    everest.wait_for("Downloaded", 1)
    before, since = len(everest.arrived), len(service.log)
    broker.restart()
    service.wait_for("connected to the broker", since=since)
    everest.restart()
    everest.accept_boot()
    everest.wait_for("Downloaded", 1, since=before)
    everest.allow_installation()
    everest.wait_for("Installed", 1)
    assert words(everest)[before:][-3:] == ["Downloaded", "Installing", "Installed"]
    assert words(everest).count("Installed") == 1


def test_gone_in_the_middle(station: Station, broker, http):
    """A download goes on while the broker is away, and its end is said to the next EVerest, once its CSMS is there."""
    http.files["/big.bin"] = File(IMAGE * 8)
    http.plan("/big.bin", Reply(stall_at=1 << 20), Reply(status=404))
    service, everest = station.both({"transfers": {"stall_timeout_s": 1}})
    request = {"location": http.url("/big.bin"), "request_id": 1, "retries": 2, "retry_interval_s": 0}
    everest.call("update_firmware", request)
    everest.wait_for("Downloading", 1)
    broker.stop()
    service.wait_for("no broker")
    service.wait_for_state("firmware", "DOWNLOAD_FAILED")
    before, since = len(everest.arrived), len(service.log)
    broker.start()
    service.wait_for("connected to the broker", since=since)
    everest.start()
    everest.wait_for_service()
    assert everest.call("is_reset_allowed", "Soft") is True
    assert len(everest.arrived) == before  # its CSMS would never hear of it
    everest.accept_boot()
    everest.wait_for("DownloadFailed", 1)
    assert words(everest)[before:] == ["DownloadFailed"]
