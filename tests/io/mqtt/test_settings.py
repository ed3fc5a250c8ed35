"""Credentials, MQTT 5 and TLS against real brokers; files that cannot be used."""

import pytest
from support.authority import Authority
from support.brokers import HOST, Listener
from support.mqtt_ends import COMMANDS, STATUS

from everest_system.io.mqtt.link import Disconnected, MessageArrived, MqttSettings, PublishAcknowledged, TlsFiles
from everest_system.io.mqtt.settings import MAX_PACKET_BYTES, MqttError, new_client


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the station trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One that the broker's certificate does not come from, of the same name."""
    return Authority(tmp_path_factory.mktemp("other"))


def test_credentials(mosquitto, link_to, tmp_path):
    """The password comes from its file at each attempt, and appears in no reason."""
    broker = mosquitto(Listener(users={"everest": "sésame"}))
    password_file = tmp_path / "password"
    password_file.write_text("wrong-secret\n")
    link = link_to(broker, username="everest", password_file=str(password_file))
    number = link.link.connect()
    reason = f"{HOST}:{broker.port}: connection refused by the broker: Not authorized"
    assert link.next() == Disconnected(number, reason)
    password_file.write_text("sésame\n")
    link.connect()


def test_credentials_are_needed(mosquitto, link_to):
    """Without a name none is sent."""
    link = link_to(mosquitto(Listener(users={"everest": "x"})))
    number = link.link.connect()
    event = link.next()
    assert event.link == number
    assert event.reason.endswith("refused by the broker: Not authorized")


class TestUnusableFiles:
    """A file that cannot be used is named, and what is in it is not."""

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (None, "No such file or directory"),
            (b"s\xffcret", "not UTF-8"),
            (bytes(65_536), "more than 65535 bytes"),
        ],
    )
    def test_password(self, tmp_path, content, why):
        """A password file that is none."""
        file = tmp_path / "password"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(MqttError) as raised:
            new_client(MqttSettings(username="everest", password_file=str(file)), "x")
        assert str(raised.value) == f"password file {file}: {why}"

    @pytest.mark.parametrize(
        ("content", "password"),
        [
            (b"a\n", b"a"),
            (b"a\r\n", b"a"),
            (b"a\n\n", b"a\n"),
            (b" a\r", b" a\r"),
            (b"", b""),
            (b"a" * 65_535, b"a" * 65_535),
        ],
    )
    def test_the_end_of_the_password(self, tmp_path, content, password):
        """One newline at the end is not part of the password; all else is."""
        file = tmp_path / "password"
        file.write_bytes(content)
        assert new_client(MqttSettings(username="everest", password_file=str(file)), "x").password == password.decode()

    def test_ca_file(self, tmp_path):
        """A CA file that is missing, or none."""
        missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
        empty.write_bytes(b"")
        with pytest.raises(MqttError, match=f"^CA file {missing}: No such file or directory$"):
            new_client(MqttSettings(tls=TlsFiles(str(missing))), "x")
        with pytest.raises(MqttError, match=f"^CA file {empty}: TLS failed: "):
            new_client(MqttSettings(tls=TlsFiles(str(empty))), "x")

    def test_key_with_a_passphrase(self, tmp_path, authority):
        """A key that needs a passphrase is refused; nobody is asked for it on a terminal."""
        cert_file, key_file = Authority(tmp_path).issue("station", b"secret")
        with pytest.raises(MqttError, match=f"^certificate file {cert_file} with key file {key_file}: "):
            new_client(MqttSettings(tls=TlsFiles(authority.ca_file, cert_file, key_file)), "x")

    def test_missing_certificate(self, tmp_path):
        """A certificate that is not there."""
        with pytest.raises(MqttError, match=r"^certificate file /nowhere: No such file or directory$"):
            new_client(MqttSettings(tls=TlsFiles(cert_file="/nowhere")), "x")

    def test_the_attempt_says_it(self, mosquitto, link_to):
        """The attempt ends with the reason, as any other failure."""
        broker = mosquitto()
        link = link_to(broker, username="everest", password_file="/nowhere")
        number = link.link.connect()
        reason = f"{HOST}:{broker.port}: password file /nowhere: No such file or directory"
        assert link.next() == Disconnected(number, reason)


@pytest.mark.parametrize(("host", "port"), [("", 1), (HOST, 0), (HOST, 65_536), ("." * 300, 1), ("x\0y", 1)])
def test_an_address_that_is_none(mosquitto, link_to, host, port):
    """An address that nobody can connect to ends the attempt with a reason."""
    broker = mosquitto()
    broker.host, broker.ports = host, [port]
    link = link_to(broker)
    number = link.link.connect()
    event = link.next()
    assert isinstance(event, Disconnected)
    assert event.link == number


class TestMqtt5:
    """The newer protocol."""

    def test_round_trip(self, mosquitto, link_to, everest_on):
        """MQTT 5 carries requests and statuses as 3.1.1 does."""
        broker = mosquitto()
        link, everest = link_to(broker, protocol="5"), everest_on(broker)
        number = link.connect()
        token = link.link.publish(STATUS, b"1", 1)
        assert everest.next() == (STATUS, b"1")
        assert link.next() == PublishAcknowledged(number, token)
        everest.publish(f"{COMMANDS}/reset", b"2", 2)
        assert link.next() == MessageArrived(number, f"{COMMANDS}/reset", b"2", retained=False, qos=2)

    def test_the_broker_says_why_it_ends(self, scripted, link_to):
        """The reason in the broker's DISCONNECT is passed on, and it is the only end."""
        broker = scripted(b"\x20\x03\x00\x00\x00", b"\x90\x04\x00\x01\x00\x02" + b"\xe0\x02\x8b\x00")
        link = link_to(broker, protocol="5")
        number = link.connect()
        reason = f"{HOST}:{broker.port}: connection ended by the broker: Server shutting down"
        assert link.next() == Disconnected(number, reason)
        link.link.disconnect()
        assert link.posted.empty()

    def test_wrong_credentials(self, mosquitto, link_to):
        """A refused connection ends the attempt."""
        link = link_to(mosquitto(Listener(users={"everest": "x"})), protocol="5", username="nobody")
        link.link.connect()
        assert link.next().reason.endswith("connection refused by the broker: Not authorized")

    def test_a_refused_message_ends_the_connection(self, mosquitto, link_to):
        """A status that the broker does not take is never acknowledged; the reason says who refused."""
        broker = mosquitto(Listener(acl="topic read #"))
        link = link_to(broker, protocol="5")
        number = link.connect()
        link.link.publish(STATUS, b"1", 1)
        reason = f"{HOST}:{broker.port}: message refused by the broker: Not authorized"
        assert link.next() == Disconnected(number, reason)

    def test_large_packets_are_kept_away(self, mosquitto, link_to, everest_on):
        """The broker is told not to send more than we take."""
        broker = mosquitto()
        link, everest = link_to(broker, protocol="5"), everest_on(broker)
        number = link.connect()
        everest.publish(f"{COMMANDS}/reset", bytes(MAX_PACKET_BYTES), 1)
        everest.publish(f"{COMMANDS}/reset", b"small", 1)
        assert link.next() == MessageArrived(number, f"{COMMANDS}/reset", b"small", retained=False, qos=1)

    def test_a_broker_that_speaks_only_3_1_1(self, scripted, link_to):
        """A broker that does not know MQTT 5 says so in its own version, and is understood."""
        link = link_to(scripted(b"\x20\x02\x00\x01"), protocol="5")
        link.link.connect()
        assert link.next().reason.endswith("connection refused by the broker: Unsupported protocol version")


class TestTls:
    """Who is trusted, and who trusts us."""

    def test_own_authority(self, mosquitto, link_to, everest_on, authority):
        """A broker with a certificate of the configured authority is trusted, and messages flow."""
        cert_file, key_file = authority.issue(HOST)
        broker = mosquitto(Listener(tls=TlsFiles(cert_file=cert_file, key_file=key_file)), Listener())
        link, everest = link_to(broker, tls=TlsFiles(ca_file=authority.ca_file)), everest_on(broker, broker.ports[1])
        number = link.connect()
        token = link.link.publish(STATUS, b"1", 1)
        assert everest.next() == (STATUS, b"1")
        assert link.next() == PublishAcknowledged(number, token)
        everest.publish(f"{COMMANDS}/reset", bytes(100_000), 2)
        assert link.next() == MessageArrived(number, f"{COMMANDS}/reset", bytes(100_000), retained=False, qos=2)

    @pytest.mark.parametrize("ours", ["another", "the system's"])
    def test_foreign_authority(self, mosquitto, link_to, authority, other_authority, ours):
        """A broker whose certificate comes from elsewhere is refused by us."""
        cert_file, key_file = authority.issue(HOST)
        broker = mosquitto(Listener(tls=TlsFiles(cert_file=cert_file, key_file=key_file)))
        link = link_to(broker, tls=TlsFiles(ca_file=other_authority.ca_file if ours == "another" else ""))
        number = link.link.connect()
        event = link.next()
        assert event.link == number
        assert event.reason.startswith(f"{HOST}:{broker.port}: certificate not trusted: unable to get")

    def test_another_host(self, mosquitto, link_to, authority):
        """A good certificate of another host is refused."""
        cert_file, key_file = authority.issue("elsewhere.example")
        broker = mosquitto(Listener(tls=TlsFiles(cert_file=cert_file, key_file=key_file)))
        link = link_to(broker, tls=TlsFiles(ca_file=authority.ca_file))
        link.link.connect()
        assert "certificate not trusted: IP address mismatch" in link.next().reason

    def test_client_certificate(self, mosquitto, link_to, authority):
        """A broker that asks for our certificate gets it; without one there is no connection."""
        cert_file, key_file = authority.issue(HOST)
        broker = mosquitto(Listener(tls=TlsFiles(authority.ca_file, cert_file, key_file)))
        ours = authority.issue("station")
        link_to(broker, tls=TlsFiles(authority.ca_file, *ours)).connect()
        without = link_to(broker, tls=TlsFiles(authority.ca_file))
        number = without.link.connect()
        assert isinstance(event := without.next(), Disconnected)
        assert event.link == number

    def test_a_broker_without_tls(self, mosquitto, link_to):
        """TLS with a broker that speaks plain MQTT is a failed attempt with a reason."""
        link = link_to(mosquitto(), tls=TlsFiles())
        link.link.connect()
        assert isinstance(link.next(), Disconnected)
