"""The link against real brokers, and against scripted ones for what those never do."""

import queue
import socket
import threading

import paho.mqtt.client as paho
import pytest
from support.brokers import DEADLINE_S, HOST, AmqttBroker
from support.mqtt_ends import COMMANDS, STATUS

from everest_system.io.mqtt import link as link_module
from everest_system.io.mqtt.link import (
    Connected,
    Disconnected,
    MessageArrived,
    MqttEvent,
    MqttLink,
    MqttSettings,
    PublishAcknowledged,
    TlsFiles,
)
from everest_system.io.mqtt.settings import new_client

CONNACK = b"\x20\x02\x00\x00"
SUBACK = b"\x90\x03\x00\x01\x02"
SUBACK_REFUSED = b"\x90\x03\x00\x01\x80"


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_of_every_qos_arrive(broker, link_to, everest_on, qos):
    """What EVerest sends arrives unchanged and not marked as retained, whatever its QoS."""
    link, everest = link_to(broker), everest_on(broker)
    number = link.connect()
    payload = b'{"headers":{"replyTo":"r"},"payload":"\xc3\xa9"}'
    everest.publish(f"{COMMANDS}/reset", payload, qos)
    delivered = 2 if isinstance(broker, AmqttBroker) else qos  # amqtt: always the subscription's
    assert link.next() == MessageArrived(number, f"{COMMANDS}/reset", payload, retained=False, qos=delivered)


@pytest.mark.parametrize("prefix", ["", "site7/", "/", "prefix without slash "])
def test_subscribes_below_a_prefix_as_it_stands(mosquitto, link_to, everest_on, prefix):
    """A filter with EVerest's prefix in front receives the commands below it, and no others."""
    broker = mosquitto()
    link, everest = link_to(broker, ((f"{prefix}{COMMANDS}/+", 2),)), everest_on(broker)
    number = link.connect()
    everest.publish(f"other/{prefix}{COMMANDS}/reset", b"not ours")
    everest.publish(f"{prefix}{COMMANDS}/reset", b"")
    assert link.next() == MessageArrived(number, f"{prefix}{COMMANDS}/reset", b"", retained=False, qos=0)


def test_takes_several_filters(broker, link_to, everest_on):
    """All filters are subscribed before Connected."""
    link, everest = link_to(broker, (("a/+", 2), ("b", 1))), everest_on(broker)
    link.connect()
    everest.publish("b", b"1", 1)
    everest.publish("a/x", b"2", 1)
    assert {link.next().payload, link.next().payload} == {b"1", b"2"}


def test_published_messages_reach_everest(broker, link_to, everest_on):
    """A message goes out at once, and its token comes back when the broker has it, for QoS 1 only."""
    link, everest = link_to(broker), everest_on(broker)
    number = link.connect()
    unacknowledged = link.link.publish(STATUS, b"reply")
    assert everest.next() == (STATUS, b"reply")
    first, second = (link.link.publish(STATUS, payload, 1) for payload in (b"first", b"second"))
    assert [everest.next(), everest.next()] == [(STATUS, b"first"), (STATUS, b"second")]
    assert [link.next(), link.next()] == [PublishAcknowledged(number, first), PublishAcknowledged(number, second)]
    assert len({unacknowledged, first, second}) == 3


def test_published_messages_are_not_retained(broker, link_to, everest_on):
    """Who subscribes later gets nothing from before."""
    link = link_to(broker)
    number = link.connect()
    token = link.link.publish(STATUS, b"old", 1)
    assert link.next() == PublishAcknowledged(number, token)
    everest = everest_on(broker)
    link.link.publish(STATUS, b"new")
    assert everest.next() == (STATUS, b"new")


def test_retained_messages_are_marked(broker, link_to, everest_on):
    """A message that the broker had kept comes after Connected and says that it is an old one."""
    everest_on(broker).publish(f"{COMMANDS}/reset", b"stale", 1, retain=True)
    link = link_to(broker)
    number = link.connect()
    event = link.next()
    assert (event.link, event.payload, event.retained) == (number, b"stale", True)


def test_a_link_without_subscriptions_publishes(broker, link_to, everest_on):
    """Without a filter there is nothing to wait for but the broker's acceptance."""
    link, everest = link_to(broker, ()), everest_on(broker)
    link.connect()
    link.link.publish("x", b"1")
    assert everest.next() == ("x", b"1")


def test_many_round_trips_through_a_second_thread(broker, link_to, everest_on):
    """A reply published by the thread that decides goes out without waiting for traffic or a tick."""
    link, everest = link_to(broker), everest_on(broker)
    link.connect()

    def decide() -> None:
        for _ in range(40):
            link.link.publish("m2e/reply", link.next().payload)

    decider = threading.Thread(target=decide)
    decider.start()
    for number in range(40):
        payload = str(number).encode()
        everest.publish(f"{COMMANDS}/get_boot_reason", payload, 2)
        heard = everest.next()
        while heard[0] != "m2e/reply":  # its own message, it subscribes to all
            heard = everest.next()
        assert heard == ("m2e/reply", payload)
    decider.join()


def test_several_threads_publish_at_once(mosquitto, link_to, everest_on):
    """Messages of several threads do not mix, and each is acknowledged under its own token."""
    broker = mosquitto()
    link, everest = link_to(broker), everest_on(broker)
    number = link.connect()
    tokens: queue.Queue[int | None] = queue.Queue()

    def publish(who: int) -> None:
        for count in range(25):
            tokens.put(link.link.publish(f"t/{who}", bytes([who]) * (count + 1) * 100, 1))
            link.link.publish(f"t/{who}", b"0")

    threads = [threading.Thread(target=publish, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heard = [everest.next() for _ in range(200)]
    for who in range(4):
        long = [payload for topic, payload in heard if topic == f"t/{who}" and payload != b"0"]
        assert long == [bytes([who]) * (count + 1) * 100 for count in range(25)]
    acknowledged = {link.next() for _ in range(100)}
    assert acknowledged == {PublishAcknowledged(number, tokens.get_nowait()) for _ in range(100)}


def test_a_message_goes_out_although_nothing_else_moves(broker, link_to):
    """The socket does not hold small packets back."""
    link = link_to(broker)
    link.connect()
    opened = link.link._connection._client.socket()
    assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_broker(broker, link_to):
    """An attempt that nobody answers ends in one Disconnected that names the address, and the next can begin."""
    broker.stop()
    link = link_to(broker)
    for number in (1, 2):
        assert link.link.connect() == number
        assert link.next() == Disconnected(number, f"{HOST}:{broker.port}: Connection refused")
        assert link.link.publish(STATUS, b"1") is None


def test_publishing_while_the_connection_dies(broker, link_to):
    """A message that finds the socket closed is not sent, now or later."""
    link = link_to(broker)
    link.connect()
    broker.stop()
    assert isinstance(link.next(), Disconnected)
    connection = link.link._connection
    connection._client, connection._ready = new_client(MqttSettings(), "x"), True  # between its end and our knowing it
    assert [link.link.publish(STATUS, b"1", qos) for qos in (0, 1)] == [None, None]


def test_the_broker_stops(broker, link_to):
    """A broker that goes away is reported once, and nothing can be published any more."""
    link = link_to(broker)
    number = link.connect()
    broker.stop()
    assert link.next() == Disconnected(number, f"{HOST}:{broker.port}: connection lost")
    assert [link.link.publish(STATUS, b"1", qos) for qos in (0, 1)] == [None, None]
    link.link.disconnect()
    assert link.posted.empty()


def test_nothing_old_after_a_restart(broker, link_to, everest_on):
    """A new connection has a new number; what was not sent on the old one is not sent on it either."""
    link = link_to(broker)
    old = link.connect()
    broker.stop()
    assert link.next().link == old
    link.link.publish(STATUS, b"lost", 1)
    broker.start()
    everest = everest_on(broker)
    new = link.connect()
    assert new == old + 1
    token = link.link.publish(STATUS, b"new", 1)
    assert everest.next() == (STATUS, b"new")
    assert link.next() == PublishAcknowledged(new, token)


def test_an_unacknowledged_message_is_not_sent_again(mosquitto, link_to, everest_on):
    """What was handed to a connection that died is not resent on the next one; tokens do not repeat."""
    broker = mosquitto()
    link = link_to(broker)
    link.connect()
    broker.freeze()
    lost = link.link.publish(STATUS, b"lost", 1)
    assert lost is not None
    broker.kill()
    assert isinstance(link.next(), Disconnected)
    broker.start()
    everest = everest_on(broker)
    number = link.connect()
    token = link.link.publish(STATUS, b"new", 1)
    assert token != lost
    assert everest.next() == (STATUS, b"new")
    assert link.next() == PublishAcknowledged(number, token)


def test_messages_for_us_while_we_were_away_are_gone(broker, link_to, everest_on):
    """A clean start: the broker keeps no requests for us."""
    link, everest = link_to(broker, client_id="station"), everest_on(broker)
    link.connect()
    link.link.disconnect()
    everest.publish(f"{COMMANDS}/reset", b"stale", 2)
    link.connect()
    everest.publish(f"{COMMANDS}/reset", b"fresh", 2)
    assert link.next().payload == b"fresh"


def test_a_silent_broker_is_given_up(mosquitto, link_to):
    """A broker that keeps the connection open but says nothing counts as gone after the keepalive."""
    broker = mosquitto()
    link = link_to(broker, keepalive_s=2)
    number = link.connect()
    broker.freeze()
    assert link.next() == Disconnected(number, f"{HOST}:{broker.port}: no sign of life from the broker")


class TestDisconnect:
    """Ending a connection on purpose."""

    def test_sends_what_was_published_and_says_goodbye(self, mosquitto, link_to, everest_on):
        """The last message goes out, the broker gets a DISCONNECT, and no event comes after."""
        broker = mosquitto()
        link, everest = link_to(broker, client_id="station"), everest_on(broker)
        link.connect()
        link.link.publish(STATUS, b"false")
        link.link.disconnect()
        assert everest.next() == (STATUS, b"false")
        assert link.posted.empty()
        assert link.link.publish(STATUS, b"late") is None
        assert broker.has_logged("Client station disconnected.")

    def test_twice_and_before_the_first_connect(self, broker, link_to):
        """There is nothing to end, and it says nothing."""
        link = link_to(broker)
        link.link.disconnect()
        link.connect()
        link.link.disconnect()
        link.link.disconnect()
        assert link.posted.empty()

    def test_a_new_connection_after_it(self, broker, link_to):
        """The link can be used again."""
        link = link_to(broker)
        first = link.connect()
        link.link.disconnect()
        assert link.connect() == first + 1

    def test_in_the_middle_of_an_attempt(self, scripted, link_to):
        """An attempt that waits for its answer is ended without an event."""
        link = link_to(scripted())
        link.link.connect()
        thread = link.link._connection._thread
        link.link.disconnect()
        assert not thread.is_alive()
        assert link.posted.empty()

    def test_in_the_middle_of_a_handshake(self, scripted, link_to):
        """One that hangs where it cannot be interrupted is left behind, and stays silent when it ends."""
        broker = scripted()
        link = link_to(broker, tls=TlsFiles())
        link.link.connect()
        thread = link.link._connection._thread
        link.link.disconnect()
        assert thread.is_alive()
        broker.close_client()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
        assert link.posted.empty()

    def test_a_connection_that_takes_nothing_any_more(self, mosquitto, link_to):
        """A goodbye that cannot be sent is not waited for."""
        broker = mosquitto()
        link = link_to(broker)
        link.connect()
        broker.freeze()
        while not link.link._connection._client.want_write():
            link.link.publish(STATUS, bytes(1 << 20))
        thread = link.link._connection._thread
        link.link.disconnect()
        assert not thread.is_alive()
        assert link.posted.empty()

    def test_before_the_attempt_has_a_socket(self, mosquitto, link_to, monkeypatch):
        """An attempt that is ended before it began still says goodbye to the broker."""
        opening, closed = threading.Event(), threading.Event()
        original = link_module.open_client

        def open_late(client: paho.Client, settings: MqttSettings) -> None:
            opening.set()
            assert closed.wait(DEADLINE_S)
            original(client, settings)

        monkeypatch.setattr(link_module, "open_client", open_late)
        broker = mosquitto()
        link = link_to(broker, client_id="station")
        link.link.connect()
        assert opening.wait(DEADLINE_S)
        connection = link.link._connection
        closer = threading.Thread(target=link.link.disconnect)
        closer.start()
        assert connection._closing.wait(DEADLINE_S)
        closed.set()
        closer.join()
        assert not connection._thread.is_alive()
        assert link.posted.empty()
        assert broker.has_logged("Client station disconnected.")


class TestOddBrokers:
    """Brokers that do not do what they should."""

    def test_no_answer(self, scripted, link_to, monkeypatch):
        """A broker that accepts the socket and never the connection is given up."""
        monkeypatch.setattr(link_module, "ANSWER_TIMEOUT_S", 0.1)
        broker = scripted()
        link = link_to(broker)
        number = link.link.connect()
        assert link.next() == Disconnected(number, f"{HOST}:{broker.port}: no answer within 0.1 s")

    def test_no_answer_to_the_subscription(self, scripted, link_to, monkeypatch):
        """Connected is not said before the subscription is accepted."""
        monkeypatch.setattr(link_module, "ANSWER_TIMEOUT_S", 0.1)
        broker = scripted(CONNACK)
        link = link_to(broker)
        number = link.link.connect()
        assert link.next() == Disconnected(number, f"{HOST}:{broker.port}: no answer within 0.1 s")

    def test_a_refused_subscription(self, scripted, link_to):
        """A subscription that is refused ends the attempt, and the reason names it."""
        broker = scripted(CONNACK, SUBACK_REFUSED)
        link = link_to(broker)
        number = link.link.connect()
        reason = f"{HOST}:{broker.port}: subscription to {COMMANDS}/+ refused by the broker: Unspecified error"
        assert link.next() == Disconnected(number, reason)

    def test_a_message_before_the_subscription_is_accepted(self, scripted, link_to):
        """Connected comes first, whatever the broker sends first."""
        link = link_to(scripted(CONNACK, b"\x30\x04\x00\x01ax" + SUBACK))
        number = link.connect()
        assert link.next() == MessageArrived(number, "a", b"x", retained=False, qos=0)

    def test_a_message_although_the_subscription_is_refused(self, scripted, link_to):
        """Without Connected there are no messages."""
        link = link_to(scripted(CONNACK, b"\x30\x04\x00\x01ax" + SUBACK_REFUSED))
        link.link.connect()
        assert isinstance(link.next(), Disconnected)

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (b"\x20\x02\x00\x03", "connection refused by the broker: Server unavailable"),
            (b"\xf0\x00", "the broker does not keep to the protocol, or not to this version of it"),
            (b"\xff\xff\xff\xff\xff\xff", "the broker does not keep to the protocol, or not to this version of it"),
        ],
    )
    def test_bytes_that_end_the_attempt(self, scripted, link_to, answer, reason):
        """Whatever comes instead of an acceptance ends the attempt with a reason."""
        broker = scripted(answer)
        link = link_to(broker)
        number = link.link.connect()
        assert link.next() == Disconnected(number, f"{HOST}:{broker.port}: {reason}")

    @pytest.mark.parametrize(
        "garbage", [b"\x30\x01\x00", b"\x30\x04\x00\x01\xffx", b"\x90\x00", b"\x40\x00", b"\x70\x00"]
    )
    def test_garbage_after_connected(self, scripted, link_to, garbage):
        """A malformed packet ends the connection, and is told."""
        link = link_to(scripted(CONNACK, SUBACK + garbage))
        number = link.connect()
        assert isinstance(event := link.next(), Disconnected)
        assert event.link == number
        assert "\n" not in event.reason


def test_a_callback_that_raises_ends_the_connection(broker, everest_on):
    """An error in the callback is not swallowed: it is the reason of the end."""
    posted: queue.Queue[MqttEvent] = queue.Queue()

    def post(event: MqttEvent) -> None:
        posted.put(event)
        if isinstance(event, MessageArrived):
            raise KeyError("no\nsuch thing")

    link = MqttLink(MqttSettings(broker.host, broker.port), post, [("x", 2)])
    number = link.connect()
    assert posted.get(timeout=DEADLINE_S) == Connected(number)
    everest_on(broker).publish("x", b"1", 1)
    assert isinstance(posted.get(timeout=DEADLINE_S), MessageArrived)
    reason = f"{HOST}:{broker.port}: KeyError: 'no\\nsuch thing'"
    assert posted.get(timeout=DEADLINE_S) == Disconnected(number, reason)
    link.disconnect()


def test_connecting_twice_is_a_mistake(broker, link_to):
    """A second attempt beside the first is refused and changes nothing."""
    link = link_to(broker)
    number = link.connect()
    with pytest.raises(RuntimeError, match="connected or connecting"):
        link.link.connect()
    token = link.link.publish(STATUS, b"1", 1)
    assert link.next() == PublishAcknowledged(number, token)


@pytest.mark.parametrize("topic", ["", "a/+/b", "#", "a\ud800", "x" * 65536])
def test_topics_that_nobody_can_publish_to(broker, link_to, topic):
    """A topic that MQTT does not know is the caller's mistake and does no harm to the connection."""
    link = link_to(broker)
    number = link.connect()
    with pytest.raises(ValueError, match=r"topic|codec"):
        link.link.publish(topic, b"1", 1)
    token = link.link.publish(STATUS, b"1", 1)
    assert link.next() == PublishAcknowledged(number, token)


def test_the_client_id_stays_the_same(mosquitto, link_to):
    """Our own id serves all connections of a link, has at most 23 characters and is not another link's."""
    broker = mosquitto()
    first, second = link_to(broker), link_to(broker)
    first.connect()
    first.link.disconnect()
    first.connect()
    second.connect()

    def ids_of(log):
        return [line.split(" as ")[1].split(" ")[0] for line in log if " as everest-system-" in line]

    ids = ids_of(broker.wait_for_log(lambda log: len(ids_of(log)) == 3))
    assert ids[0] == ids[1] != ids[2]
    assert all(len(one) == 23 for one in ids)
