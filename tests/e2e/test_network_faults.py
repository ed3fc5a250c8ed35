"""Firmware and logs over a network that fails: the service and nginx on two machines, with a cable between them."""

import pytest
from support.brokers import AmqttBroker
from support.network import SERVER, Network
from support.nginx import Nginx
from support.stations import IMAGE, Station, wait_for_words

ON_AGAIN = ["Downloading", "DownloadPaused", "Downloading", "Downloaded", "Installing", "Installed"]
AT_ONCE = ["Downloading", "Downloaded", "Installing", "Installed"]


@pytest.fixture
def network():
    """The cable; the test itself is on the station's machine, with the broker, EVerest and the service."""
    with Network() as network, network.client():
        yield network


@pytest.fixture
def broker(network):
    """A broker on the station's own machine."""
    broker = AmqttBroker()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def nginx(network, tmp_path):
    with network.server():
        server = Nginx(tmp_path / "nginx", host=SERVER)
        (server.files / "fw.bin").write_bytes(IMAGE)
        server.start()
    yield server
    server.kill()


def request(nginx, path="/slow/fw.bin"):
    return {"location": nginx.url(path), "request_id": 1, "retries": 2, "retry_interval_s": 1}


def wait_for_bytes(service):
    """Until the download is well under way."""
    return service.wait_for_status(lambda told: told["firmware"].get("progress", {}).get("done", 0) > len(IMAGE) // 4)


def test_link_down_and_up(network, nginx, station: Station):
    """A dead line is DownloadPaused; once it is alive again, the download goes on from the byte it had."""
    service, everest = station.both({"transfers": {"stall_timeout_s": 0.5, "connect_timeout_s": 5}})
    everest.call("update_firmware", request(nginx))
    wait_for_bytes(service)
    network.pull()
    everest.wait_for("DownloadPaused", 1)
    network.plug()
    wait_for_words(everest, ON_AGAIN)
    (last,) = [request for request in nginx.requests(1) if request.status == 206]
    assert int(last.range.removeprefix("bytes=").removesuffix("-")) > len(IMAGE) // 4
    assert (service.state_dir / "slots" / "current" / "image").read_bytes() == IMAGE


def test_link_away_for_a_moment(network, nginx, station: Station):
    """A line that is dead for less than the stall time-out costs nothing but time."""
    service, everest = station.both({"transfers": {"stall_timeout_s": 10}})
    everest.call("update_firmware", request(nginx))
    wait_for_bytes(service)
    network.pull()
    network.wait_until_missed()
    network.plug()
    wait_for_words(everest, AT_ONCE)
    assert [each.status for each in nginx.requests(1)] == [200]


def test_packet_loss(network, nginx, station: Station):
    """With a tenth of all packets lost each way, firmware and logs arrive whole, at the first attempt."""
    network.lose(10)
    service, everest = station.both()
    everest.call("update_firmware", request(nginx, "/fw.bin"))
    wait_for_words(everest, AT_ONCE)
    assert (service.state_dir / "slots" / "current" / "image").read_bytes() == IMAGE
    reply = everest.call("upload_logs", {"location": nginx.url("/in/"), "request_id": 2})
    everest.wait_for("Uploaded", 2)
    assert (nginx.files / "in" / reply.file_name).stat().st_size > 100
    assert [each.status for each in nginx.requests(2)] == [200, 201]
    assert network.sent_again() > 0
