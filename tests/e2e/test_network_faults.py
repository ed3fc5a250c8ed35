"""Firmware and logs over a network that fails: the service and its servers on two machines with a cable in between."""

import os

import pytest
from support.brokers import AmqttBroker
from support.machine_time import machine_time
from support.network import SERVER, Network
from support.nginx import Nginx
from support.sshd import Sshd
from support.stations import IMAGE, MEBIBYTE, Station, wait_for_words
from support.transfer_side import TransferSide
from support.vsftpd import Vsftpd

from everest_system.fsm.errors import CanceledError
from everest_system.io.transfers.transfer import Fault

ON_AGAIN = ["Downloading", "DownloadPaused", "Downloading", "Downloaded", "Installing", "Installed"]
AT_ONCE = ["Downloading", "Downloaded", "Installing", "Installed"]
EARLY = len(IMAGE) // 4
CROWD_S = 0.2
"""Of turns that a crowded machine gives to others; a peer's time-out takes longer by far."""


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


SERVERS = {
    "http": lambda folder: Nginx(folder, host=SERVER),
    "ftp": lambda folder: Vsftpd(folder, options={"local_max_rate": str(MEBIBYTE)}, host=SERVER),
    "sftp": lambda folder: Sshd(folder, host=SERVER),
}


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
    return service.wait_for_status(lambda told: told["firmware"].get("progress", {}).get("done", 0) > EARLY)


def test_link_down_and_up(network, nginx, station: Station):
    """A dead line is DownloadPaused; once it is alive again, the download goes on from the byte it had."""
    service, everest = station.both({"transfers": {"stall_timeout_s": 2, "connect_timeout_s": 5}})
    everest.call("update_firmware", request(nginx))
    wait_for_bytes(service)
    network.pull()
    everest.wait_for("DownloadPaused", 1)
    network.plug()
    wait_for_words(everest, ON_AGAIN)
    (last,) = [request for request in nginx.requests(1) if request.status == 206]
    assert int(last.range.removeprefix("bytes=").removesuffix("-")) > EARLY
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


@pytest.fixture(params=SERVERS)
def server(network, tmp_path, request):
    """A server of each protocol, with a firmware that takes it seconds."""
    with network.server():
        server = SERVERS[request.param](tmp_path / "server")
        # Of OpenSSH's more is on its way at once.
        (server.files / "fw.bin").write_bytes(IMAGE * 8 if request.param == "sftp" else IMAGE)
        server.start()
    yield server
    server.kill()


@pytest.fixture
def side(tmp_path):
    return TransferSide(
        tmp_path,
        known_hosts_file=tmp_path / "known_hosts",
        keep_new_hosts=True,
        stall_timeout_s=1.2,
        rate_limit_kbps=8_000,
    )


def firmware(server):
    return server.url("/slow/fw.bin" if isinstance(server, Nginx) else "/fw.bin")


def test_dead_line(network, server, side):
    """Over every protocol a line that dies in the middle is given up after the stall time-out, and continued later."""
    assert side.get_fails(firmware(server), EARLY, network.pull).fault is Fault.INTERRUPTED
    network.plug()
    side.settings["rate_limit_kbps"] = 0
    side.get(firmware(server))
    assert side.content() == (server.files / "fw.bin").read_bytes()
    assert side.starts[-1] > EARLY


def test_canceled_on_a_dead_line(network, server, side, monkeypatch):
    """Over every protocol a transfer is canceled within 200 ms, also when nobody is there to say goodbye to."""
    canceled_at, the_disks = 0.0, 0.0

    def cancel():
        nonlocal canceled_at
        network.pull()
        canceled_at = machine_time()
        side.canceled.set()

    def timed(sync):
        def call(descriptor):
            nonlocal the_disks
            begun = machine_time()
            sync(descriptor)
            the_disks += machine_time() - begun if canceled_at else 0.0

        return call

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, timed(getattr(os, name)))
    with pytest.raises(CanceledError):
        side.get(firmware(server), EARLY, cancel)
    assert machine_time() - canceled_at - the_disks < 0.2 + CROWD_S
