"""What EVerest says on the wire, as it really says it, and what nobody should say (reference: everest-wire.md)."""

import json
from typing import Any

import pytest
from support.brokers import Listener
from support.mqtt_ends import Everest
from support.service_process import ServiceProcess
from support.stations import Station, words
from support.wire import COMMANDS, CONSERVATIVE, RECORDINGS, WELL_FORMED

from everest_system.io.mqtt.link import MqttSettings

BASE = "everest_api/1/system/system_api/m2e/"
TEMPLATE = '{"headers":{"replyTo":"%s"},"payload":%s}'


class Wire:
    """Raw messages to the service, and what it publishes because of them, its sign of life left out."""

    def __init__(self, peer: Everest) -> None:
        self._peer = peer
        self._asked = 0

    def say(self, command: str, payload: bytes, qos: int = 2) -> None:
        self._peer.publish(COMMANDS + command, payload, qos)

    def reply_to(self) -> str:
        self._asked += 1
        return f"{BASE}reply/wire-{self._asked}"

    def until_now(self) -> list[tuple[str, bytes]]:
        """Everything published so far; a question that has a certain answer marks the end."""
        end = self.reply_to()
        self.say("is_reset_allowed", (TEMPLATE % (end, '"Soft"')).encode())
        published: list[tuple[str, bytes]] = []
        while True:
            topic, payload = self._peer.next()
            if topic == end:
                return published
            if not topic.endswith("communication_check") and not topic.startswith(COMMANDS):
                published.append((topic, payload))

    def answer(self, reply_to: str) -> bytes:
        """What comes to this reply topic, be it later than other replies."""
        while True:
            topic, payload = self._peer.next()
            if topic == reply_to:
                return payload


@pytest.fixture
def wire(broker, everest_on) -> Wire:
    """The raw end of the wire."""
    return Wire(everest_on(broker))


def warned_once(service: ServiceProcess, since: int) -> bool:
    """Whether there is one warning since then; its line may still be on its way here."""
    service.wait_for(lambda line: line.get("level") == "warning", since=since)
    return len(service.warnings(since=since)) == 1


WRONG: dict[str, list[Any]] = {
    "update_firmware": [
        {"location": "http://127.0.0.1/fw", "request_id": "1"},
        {"location": "http://127.0.0.1/fw", "request_id": 1.5},
        {"location": "http://127.0.0.1/fw", "request_id": 2**31},
        {"location": "http://127.0.0.1/fw", "request_id": 1, "retries": 0},
        {"location": "http://127.0.0.1/fw", "request_id": 1, "retry_interval_s": -1},
        {"location": "http://127.0.0.1/fw", "request_id": 1, "retrieve_timestamp": "yesterday"},
        {"location": "http://127.0.0.1/fw", "request_id": 1, "signature": "AAAA"},
        {"location": "file:///etc/passwd", "request_id": 1},
        {"location": "http://[", "request_id": 1},
        {"request_id": 1},
        [],
        None,
        "text",
    ],
    "upload_logs": [
        {"location": 7},
        {"location": "gopher://127.0.0.1/"},
        {"location": "http://127.0.0.1/", "type": "NoSuchLog"},
        {"location": "http://127.0.0.1/", "request_id": True},
        {"location": "http://127.0.0.1/", "oldest_timestamp": "2026-13-01T00:00:00Z"},
        {},
    ],
    "is_reset_allowed": ["soft", 1, None, {}],
    "set_system_time": ["yesterday", 1763800000, None, {"time": "2026-11-22T00:00:00Z"}],
}


def test_wrong_types(station: Station, wire: Wire):
    """A request with wrong types or values gets a warning and the conservative reply, and nothing else happens."""
    service = station.service()
    wire.until_now()
    for command, payloads in WRONG.items():
        for payload in payloads:
            since, reply_to = len(service.log), wire.reply_to()
            wire.say(command, (TEMPLATE % (reply_to, json.dumps(payload))).encode())
            assert wire.until_now() == [(reply_to, CONSERVATIVE[command])], payload
            assert warned_once(service, since), payload
    assert (service.states("firmware"), service.states("logs"), service.starts) == ([], [], 1)


GARBAGE = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe\x00",
    "not JSON": b"not JSON",
    "cut": b'{"headers":{"replyTo":',
    "deep": b"[" * 100_000,
    "null": b"null",
    "no headers": b'{"payload":{}}',
    "NaN": b'{"headers":{},"payload":NaN}',
    "zeros": b"\x00" * 1_000_000,
    "a megabyte": b'{"headers":{"replyTo":"nowhere"},"payload":"' + b"x" * 1_000_000 + b'"}',
}


@pytest.mark.parametrize("broker", ["amqtt", "mosquitto"], indirect=True)
def test_garbage_of_all_kinds(station: Station, wire: Wire):
    """What cannot be read gets one warning for each message, no reply where none can be sent, and changes nothing."""
    service = station.service()
    wire.until_now()
    for kind, payload in GARBAGE.items():
        for command in ("update_firmware", "upload_logs", "is_reset_allowed", "set_system_time", "heartbeat"):
            since = len(service.log)
            wire.say(command, payload)
            assert wire.until_now() == [], (kind, command)
            assert warned_once(service, since), (kind, command)
            assert len(json.dumps(service.lines("refused", since=since))) < 1000
    assert (service.states("firmware"), service.states("logs")) == ([], [])


def test_garbage_on_reset(station: Station, wire: Wire):
    """What is no reset resets nothing."""
    service = station.service()
    wire.until_now()
    for payload in (
        b"",
        b"Hard",
        b'"Hard"',
        b"null",
        b"[]",
        b'{"type":"Firm"}',
        b'{"type":null}',
        b'{"scheduled":"no"}',
    ):
        since = len(service.log)
        wire.say("reset", payload)
        assert wire.until_now() == []
        assert warned_once(service, since), payload
    assert (service.states("platform"), service.starts) == ([], 1)


def test_a_megabyte_is_answered(station: Station, wire: Wire):
    """A request of a megabyte gets the conservative reply, because its reply topic can still be read."""
    service = station.service()
    wire.until_now()
    reply_to = wire.reply_to()
    wire.say("update_firmware", (TEMPLATE % (reply_to, json.dumps({"location": "x" * 1_000_000}))).encode())
    assert wire.until_now() == [(reply_to, b'"Rejected"')]
    assert warned_once(service, 0)


OUTSIDE = {
    "#": f"{BASE}reply/#",
    "+": f"{BASE}reply/+",
    "nothing": f"{BASE}reply/",
    "a status": f"{BASE}firmware_update_status",
    "another module": "everest_api/1/system/other/m2e/reply/1",
    "$SYS": "$SYS/broker",
    "empty": "",
    "too long": f"{BASE}reply/" + "x" * 70_000,
}


def test_reply_to_outside(station: Station, wire: Wire):
    """Nobody makes the service publish elsewhere: a foreign replyTo gets a warning, and the request is not obeyed."""
    service = station.service()
    wire.until_now()
    for kind, reply_to in OUTSIDE.items():
        for command in WELL_FORMED:
            since = len(service.log)
            wire.say(command, (TEMPLATE % (reply_to, json.dumps(WELL_FORMED[command]))).encode())
            assert wire.until_now() == [], (kind, command)
            assert warned_once(service, since), (kind, command)
    assert (service.states("firmware"), service.states("logs")) == ([], [])


def test_unknown_commands(station: Station, wire: Wire):
    """configure_network is answered NotSupported at once; any other unknown command is logged and not answered."""
    service = station.service()
    wire.until_now()
    reply_to = wire.reply_to()
    wire.say("configure_network", (TEMPLATE % (reply_to, '{"request_id":1,"interface":"Wired0"}')).encode())
    assert wire.until_now() == [(reply_to, b'{"status":"NotSupported"}')]
    since = len(service.log)
    wire.say("brew_coffee", (TEMPLATE % (wire.reply_to(), "{}")).encode())
    assert wire.until_now() == []
    assert warned_once(service, since)


def test_delivered_twice(station: Station, wire: Wire, http):
    """A request delivered twice is answered twice and carried out once."""
    service = station.service()
    wire.until_now()
    reply_to = wire.reply_to()
    request = (TEMPLATE % (reply_to, json.dumps({"location": http.url("/fw.bin"), "request_id": 5}))).encode()
    wire.say("update_firmware", request)
    wire.say("update_firmware", request)
    replies = [(topic, payload) for topic, payload in wire.until_now() if topic == reply_to]
    assert replies == [(reply_to, b'"Accepted"')] * 2
    service.wait_for_state("firmware", "AWAITING_PERMISSION")
    assert service.states("firmware").count("ACCEPTED") == 1
    assert "CANCELED" not in service.states("firmware")


EXPECTED = {
    "is_reset_allowed": b"true",
    "set_system_time": b"true",
    "get_boot_reason": b'"PowerUp"',
    "configure_network": b'{"status":"NotSupported"}',
}


@pytest.mark.parametrize("release", ["2026.02", "2026.10"])
@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
def test_recordings(station: Station, wire: Wire, release: str):
    """Every recorded message of both releases, with its QoS, is understood: requests are answered, resets done."""
    service = station.service({"station": {"reply_settle_s": 3600}})  # nothing is fetched from anywhere
    answers: dict[str, list[bytes]] = {}
    for recorded in (each for each in RECORDINGS if each["everest"] == release):
        wire.until_now()
        command, payload, since = recorded["command"], recorded["payload"].encode(), len(service.log)
        wire.say(command, payload, recorded["qos"])
        if command == "reset" and json.loads(payload)["type"] != "Soft":
            service.wait_for("connected to the broker", since=since)  # a dry run boots in place
            continue
        if command == "reset":
            service.wait_for_state("platform", "IDLE", since=since)
            continue
        if b"replyTo" in payload:
            answers.setdefault(command, []).append(wire.answer(json.loads(payload)["headers"]["replyTo"]))
        else:
            assert not [topic for topic, _ in wire.until_now() if "/reply/" in topic]
    for command, expected in EXPECTED.items():
        if command == "configure_network" and release == "2026.02":
            continue
        wrong = {answer for answer in answers[command] if answer != expected}
        assert wrong <= {CONSERVATIVE[command]}, command
        assert expected in answers[command], command
    assert {json.loads(answer) for answer in answers["update_firmware"]} <= {
        "Accepted",
        "AcceptedCanceled",
        "Rejected",
        "InvalidCertificate",
    }
    assert not service.lines("unexpected")


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
def test_everest_2026_02(station: Station, http):
    """EVerest 2026.02 sends with QoS 0 and permits with an empty payload: an update goes through all the same."""
    _, everest = station.both(request_qos=0, permission_payload=b"")
    assert everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 2}) == "Accepted"
    everest.wait_for("Installed", 2)
    assert words(everest) == ["Downloading", "Downloaded", "Installing", "Installed"]


def test_heartbeats_switched_off(station: Station, http):
    """Where EVerest's heartbeat is off, any message of EVerest's shows that it listens."""
    config = {"station": {"presence_timeout_s": 0.3}}
    _, everest = station.both(config, heartbeat_s=None)
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 2})
    everest.wait_for("Installed", 2)
    assert words(everest) == ["Downloading", "Downloaded", "Installing", "Installed"]


@pytest.mark.parametrize("stop", [False, True])
def test_communication_check_on_exit(station: Station, broker, everest_on, stop):
    """A clean stop says false to the communication check only where that is wanted: EVerest then checks no more."""
    service = station.service({"station": {"stop_communication_check_on_exit": stop}})
    peer = everest_on(broker)
    while peer.next() != (f"{BASE}communication_check", b"true"):
        pass
    service.stop()
    peer.publish("the/end", b"")
    checks = []
    while (message := peer.next())[0] != "the/end":
        checks.append(message[1])
    assert checks.count(b"false") == (1 if stop else 0)


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
def test_mqtt_5_and_a_prefix(station: Station, http):
    """Over MQTT 5, and below an external prefix that has no slash of its own, replies and statuses arrive."""
    mqtt = {"mqtt": {"protocol": "5", "external_prefix": "site-7/"}}
    service, everest = station.both(mqtt, prefix="site-7/")
    assert everest.boot_reason() == "PowerUp"
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 2})
    everest.wait_for("Installed", 2)
    assert words(everest) == ["Downloading", "Downloaded", "Installing", "Installed"]
    assert service.warnings() == []


def test_several_modules(station: Station, http):
    """Several modules over one connection have updates, replies and folders of their own, and keep them apart."""
    service, first = station.both({"station": {"module_ids": ["system_api", "other"]}})
    second = station.everest(module_id="other")
    for everest in (first, second):
        everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 3})
    for everest in (first, second):
        everest.wait_for("Installed", 3)
        assert words(everest) == ["Downloading", "Downloaded", "Installing", "Installed"]
    for module in ("system_api", "other"):
        assert (service.state_dir / "modules" / module / "slots" / "current").readlink().name == "b"


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
def test_user_and_password(station: Station, mosquitto, tmp_path):
    """With user and password file the service gets in; the password is nowhere in its log."""
    station.broker = mosquitto(Listener(users={"station": "open sesame"}))
    password_file = tmp_path / "password"
    password_file.write_text("open sesame\n")
    service = station.service({"mqtt": {"username": "station", "password_file": str(password_file)}})
    login = MqttSettings(station.broker.host, station.broker.port, "3.1.1", "station", str(password_file))
    assert station.everest(mqtt=login).boot_reason() == "PowerUp"
    assert "sesame" not in service.log_text()


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
def test_wrong_password(station: Station, mosquitto, tmp_path):
    """A broker that refuses the password is said once and tried again, until it lets the service in."""
    station.broker = mosquitto(Listener(users={"station": "open sesame"}))
    password_file = tmp_path / "password"
    password_file.write_text("wrong\n")
    service = station.service({"mqtt": {"username": "station", "password_file": str(password_file)}}, start=False)
    service.start("no broker")
    password_file.write_text("open sesame\n")  # it is read anew for each attempt
    service.wait_for("connected to the broker")
    assert len(service.warnings()) == 1


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
def test_tls(station: Station, mosquitto, tmp_path):
    """Over TLS with a client certificate both sides know each other."""
    from support.authority import Authority

    from everest_system.io.mqtt.link import TlsFiles

    authority = Authority(tmp_path)
    server = TlsFiles(authority.ca_file, *authority.issue("127.0.0.1"))
    client = TlsFiles(authority.ca_file, *authority.issue("station"))
    station.broker = mosquitto(Listener(tls=server))
    files = {"ca_file": client.ca_file, "cert_file": client.cert_file, "key_file": client.key_file}
    station.service({"mqtt": {"tls": files}})
    settings = MqttSettings(station.broker.host, station.broker.port, tls=client)
    assert station.everest(mqtt=settings).boot_reason() == "PowerUp"
