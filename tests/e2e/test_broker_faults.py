"""Whatever happens between the service and its broker, nothing is lost, and the CSMS hears it in order and once.

EVerest's own connection stands meanwhile: it is the service alone that is cut off. What EVerest is told twice, because
QoS 1 allows it, its duplicate filter swallows; `arrived` shows what came, `statuses` what the CSMS hears.
"""

import re
from collections.abc import Iterator

import pytest
from support.brokers import Broker, Listener, MosquittoBroker
from support.mqtt_ends import COMMANDS
from support.mqtt_ends import Everest as Ear
from support.proxy import MqttProxy
from support.service_process import ServiceProcess
from support.stations import Station, wait_for_file, words

from everest_system.everest_side import EverestSide
from everest_system.everest_side.strict_json import write_json

both_brokers = pytest.mark.parametrize("broker", ["amqtt", "mosquitto"], indirect=True)
WHOLE = ["Downloading", "Downloaded", "Installing", "Installed"]
REPLIES = "everest_api/1/system/system_api/m2e/reply/"


@pytest.fixture
def proxy(broker: Broker) -> Iterator[MqttProxy]:
    """What stands between the service and its broker."""
    with MqttProxy(broker) as proxy:
        yield proxy


def behind(station: Station, proxy: MqttProxy, config: dict[str, object] | None = None) -> ServiceProcess:
    """A running service that finds the broker behind the proxy."""
    mqtt = {"mqtt": {"host": proxy.host, "port": proxy.port}}
    return station.service({**(config or {}), **mqtt})


def update(everest: EverestSide, station: Station, request_id: int = 1) -> None:
    """Ask for an update without signature."""
    request = {"location": station.http.url("/fw.bin"), "request_id": request_id}
    assert everest.call("update_firmware", request) == "Accepted"


def heard(everest: EverestSide) -> list[str]:
    """What the CSMS hears."""
    return [status.word for status in everest.statuses]


def assert_once_and_in_order(everest: EverestSide) -> None:
    """The CSMS heard the whole update; the trigger status may have been said again to ask for the permission."""
    order = "Downloading Downloaded (InstallScheduled Downloaded )*Installing Installed"
    assert re.fullmatch(order, " ".join(heard(everest))), words(everest)


def everything_is_said(service: ServiceProcess) -> None:
    """Wait until nothing is left to say."""
    service.wait_for_status(lambda told: told["firmware"]["state"] == "INSTALLED")
    service.wait_for_status(lambda told: told["messages_waiting"] == 0)


@both_brokers
def test_cut_before_each_acknowledgement(station: Station, proxy):
    """Every status whose acknowledgement was lost is sent once more, before the next one, and heard once."""
    service, everest = behind(station, proxy), station.everest()
    proxy.withhold_pubacks(1)
    update(everest, station)
    everest.wait_for("Installed", 1, timeout_s=20)
    everything_is_said(service)
    assert_once_and_in_order(everest)
    runs = [word for number, word in enumerate(words(everest)) if words(everest)[:number][-1:] != [word]]
    assert runs == heard(everest)  # a repetition stands right behind the first
    assert len(words(everest)) == len(runs) + proxy.cuts
    assert proxy.cuts >= len(WHOLE)


@pytest.mark.parametrize("size", [420, 521, 650])
def test_cut_in_the_middle_of_packets(station: Station, proxy, size):
    """Connections that die after so many bytes, wherever that falls, lose no status and change no order."""
    service, everest = behind(station, proxy), station.everest()
    update(everest, station)  # a reply that is cut is lost, as all QoS 0 messages are
    proxy.cut_after = size
    proxy.cut()
    everest.wait_for("Installed", 1, timeout_s=20)
    everything_is_said(service)
    assert_once_and_in_order(everest)
    assert proxy.cuts > 1


def test_communication_check_comes_again(station: Station, proxy):
    """EVerest, which lives on, gets its sign of life again as soon as the connection is back, without a restart."""
    service, everest = behind(station, proxy), station.everest()
    for number in range(1, 4):
        since = len(service.log)
        proxy.cut()
        proxy.wait_for_connections(number + 1)
        service.wait_for("connected to the broker", since=since)
    everest.wait_for_service()
    assert everest.call("is_reset_allowed", "Soft") is True
    assert everest.communication_gaps == 0
    assert len(service.lines("no broker")) == 3
    assert service.starts == 1


def test_half_open(station: Station, proxy):
    """A connection that swallows everything is noticed by its keepalive, and what it swallowed is asked for again."""
    service, everest = behind(station, proxy), station.everest(permission_delay_s=None)
    update(everest, station)
    service.wait_for_state("firmware", "AWAITING_PERMISSION")
    everest.wait_for("Downloaded", 1)
    proxy.half_open()
    everest.allow_installation()
    service.wait_for("no sign of life from the broker", timeout_s=20)
    proxy.mend()
    proxy.cut()  # an attempt that was half open too, if there is one
    everest.wait_for("Downloaded", 1, since=2, timeout_s=15)
    everest.allow_installation()
    everest.wait_for("Installed", 1)
    everything_is_said(service)
    assert heard(everest) == ["Downloading", "Downloaded", "InstallScheduled", "Downloaded", "Installing", "Installed"]


def test_slow_broker(station: Station, proxy):
    """A broker that takes its time for everything slows the update down and spoils nothing."""
    service, everest = behind(station, proxy), station.everest()
    proxy.delay_s = 0.15
    update(everest, station)
    everest.wait_for("Installed", 1, timeout_s=20)
    proxy.delay_s = 0.0
    everything_is_said(service)
    assert words(everest) == WHOLE
    assert everest.communication_gaps == 0
    assert not service.lines("no broker")


def test_refused_credentials(station: Station, mosquitto, tmp_path):
    """A password that is refused is said once and tried again; the right one, put there meanwhile, is taken up."""
    password = tmp_path / "password"
    password.write_text("wrong\n")
    strict: MosquittoBroker = mosquitto(Listener({"station": "right"}), Listener())
    station.broker = strict
    account = {"username": "station", "password_file": str(password)}
    service = station.service({"mqtt": account}, start=False)
    service.start("no broker")
    with pytest.raises(AssertionError, match="no log line"):
        service.wait_for("connected to the broker", timeout_s=1)
    assert len(service.warnings()) == 1
    assert "right" not in service.log_text()
    password.write_text("right\n")
    service.wait_for("connected to the broker")


@both_brokers
def test_no_reply_comes_late(station: Station, proxy):
    """A request whose answer is ready only while the connection is gone is never answered, also not afterwards."""
    program = station.folder / "set-time.sh"
    begun, go_on = station.folder / "begun", station.folder / "go-on"
    program.write_text(
        f"#!/bin/sh\n[ -e {go_on} ] && exit 0\ntouch {begun}\nwhile ! [ -e {go_on} ]; do sleep 0.02; done\n"
    )
    program.chmod(0o755)
    boot_id = station.folder / "boot-id"
    boot_id.write_text("one\n")
    platform = {
        "kind": "command",
        "boot_id_file": str(boot_id),
        "time_tolerance_s": 0,
        "time_despite_ntp": True,
        "command": {"reboot": ["true"], "set_time": [str(program)]},
    }
    service, everest = behind(station, proxy, {"platform": platform}), station.everest(registered=False)
    ear = Ear(station.broker)
    try:
        headers, time = {"replyTo": REPLIES + "one"}, "2030-01-01T00:00:00.000Z"
        ear.publish(f"{COMMANDS}/set_system_time", write_json({"headers": headers, "payload": time}), 2)
        wait_for_file(begun)
        proxy.half_open()  # so that it is not back before the answer is there
        proxy.cut()
        service.wait_for("no broker")
        go_on.touch()
        service.wait_for("could not be sent")
        since = len(service.log)
        proxy.mend()
        proxy.cut()
        service.wait_for("connected to the broker", since=since)
        assert everest.accept_boot() is True
        ear.publish("the/end", b"")
        replies = [topic for topic, payload in until(ear, "the/end") if payload == b"true" and "/reply/" in topic]
    finally:
        ear.close()
    assert len(replies) == 1  # the later one's
    assert REPLIES + "one" not in replies


@both_brokers
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_request_twice(station: Station, proxy, qos):
    """A request that comes twice with one replyTo, also over two connections, is answered each time and done once."""
    service, everest = behind(station, proxy), station.everest()
    ear = Ear(station.broker)
    try:
        request = write_json({
            "headers": {"replyTo": REPLIES + "one"},
            "payload": {"location": station.http.url("/fw.bin"), "request_id": 1},
        })  # fmt: skip
        for _ in range(2):
            ear.publish(f"{COMMANDS}/update_firmware", request, qos)
        everest.wait_for("Downloading", 1)
        since = len(service.log)
        proxy.cut()
        service.wait_for("connected to the broker", since=since)
        ear.publish(f"{COMMANDS}/update_firmware", request, qos)
        # EVerest itself has not asked, so that it takes the update for a signed one, and does not permit by itself.
        service.wait_for_state("firmware", "AWAITING_PERMISSION")
        everest.wait_for("Downloaded", 1)
        everest.allow_installation()
        everest.wait_for("Installed", 1)
        everything_is_said(service)
        ear.publish("the/end", b"")
        replies = [payload for topic, payload in until(ear, "the/end") if topic == REPLIES + "one"]
    finally:
        ear.close()
    assert replies == [b'"Accepted"'] * 3
    assert words(everest).count("Installed") == 1
    assert service.states("firmware").count("ACCEPTED") == 1
    assert [request.path for request in station.http.requests] == ["/fw.bin"]


def until(ear: Ear, last: str) -> Iterator[tuple[str, bytes]]:
    """Everything heard before a topic."""
    while (message := ear.next())[0] != last:
        yield message
