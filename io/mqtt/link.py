"""The wire: one connection to the broker at a time, and what happens on it as events.

`connect()` starts one attempt in a thread of its own, with a fresh paho client, because paho keeps what was published
while it was disconnected and sends it on the next connection, past every gate. Each attempt gets a number (`link`),
which all its events carry, so that a late event of an old connection can be told apart:

1. at most one `Connected`, after the broker has accepted all subscriptions,
2. any number of `MessageArrived` and `PublishAcknowledged`,
3. exactly one `Disconnected`, also when the attempt failed. After it, nothing. To try again is the caller's business.

`disconnect()` ends a connection without a `Disconnected`: after it has returned, no event of that connection comes.

Events are posted from the connection's thread, while no lock is held. If the callback raises, the connection ends, with
that as its reason. Nothing is queued for later, and nothing is sent twice.

Example:
    link = MqttLink(MqttSettings(host="broker"), queue.put, [("everest_api/1/system/system_api/e2m/#", 2)])
    link.connect()
    ...  # Connected arrives in the queue
    token = link.publish(topic, b"true", qos=1)  # PublishAcknowledged brings the token back
"""

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from everest_system.io.mqtt.settings import MqttError, MqttSettings, TlsFiles, new_client, open_client

__all__ = [
    "Connected",
    "Disconnected",
    "MessageArrived",
    "MqttEvent",
    "MqttLink",
    "MqttSettings",
    "PublishAcknowledged",
    "TlsFiles",
]

ANSWER_TIMEOUT_S = 5.0
"""So long, once the socket is open, may the broker take until it has accepted connection and subscriptions."""

_POLL_S = 0.5  # how often keepalive and time-outs are looked at; packets either way do not wait for it
_JOIN_S = 1.0  # once for the DISCONNECT to go out, once for the thread to end without
_TOKENS_A_LINK = 1 << 16  # packet identifiers have 16 bits

_ENDINGS = {
    "Keep alive timeout": "no sign of life from the broker",
    "Protocol error": "the broker does not keep to the protocol, or not to this version of it",
}


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker has accepted connection `link` and its subscriptions; from now on `publish()` sends."""

    link: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """Connection `link`, or the attempt at it, has ended; `reason` is one line that names the broker, no secrets."""

    link: int
    reason: str


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """A message for one of the subscriptions; `retained` means that the broker had kept it from before."""

    link: int
    topic: str
    payload: bytes
    retained: bool
    qos: int


@dataclass(frozen=True, slots=True)
class PublishAcknowledged:
    """The broker has taken over (PUBACK, or PUBCOMP) the QoS 1 or 2 message that `publish()` gave `token` for."""

    link: int
    token: int


MqttEvent = Connected | Disconnected | MessageArrived | PublishAcknowledged


class MqttLink:
    """The way to one broker. `publish()` may be called from any thread; the others from one, not from the callback.

    Args:
        settings: where the broker is.
        post: takes each event; called from the connection's thread, must return at once.
        subscriptions: topic filters, each with the highest QoS that the broker shall deliver with.
    """

    def __init__(
        self,
        settings: MqttSettings,
        post: Callable[[MqttEvent], None],
        subscriptions: Sequence[tuple[str, int]] = (),
    ) -> None:
        self._settings = settings
        self._post = post
        self._subscriptions = list(subscriptions)
        # The same on each connection: the broker then ends an old one of ours that it still believes in. 23 characters
        # are what every broker must take (MQTT-3.1.3-5).
        self._client_id = settings.client_id or f"everest-system-{uuid.uuid4().hex[:8]}"
        self._number = 0
        self._connection: _Connection | None = None

    def connect(self) -> int:
        """Start one attempt and return its number at once; `Connected` or `Disconnected` tells how it went.

        Raises:
            RuntimeError: the connection before it has not ended.
        """
        if self._connection is not None and not self._connection.ended.is_set():
            raise RuntimeError("connect() on a link that is connected or connecting")
        self._number += 1
        self._connection = _Connection(self._number, self._settings, self._client_id, self._subscriptions, self._post)
        self._connection.start()
        return self._number

    def publish(self, topic: str, payload: bytes, qos: Literal[0, 1, 2] = 0) -> int | None:
        """Send a message now, not retained, and return its token, which no other message of this link gets.

        None means that it was not sent and never will be, as there is no connection. A token means that it was handed
        to the connection; only `PublishAcknowledged`, for QoS 1 and 2, says that it has arrived.

        Raises:
            ValueError: nobody can publish to `topic` (empty, a wildcard, too long, not encodable).
        """
        connection = self._connection
        return None if connection is None else connection.publish(topic, payload, qos)

    def disconnect(self) -> None:
        """Send what was published, say goodbye and end the connection, or the attempt; no more than 2 s."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Connection:
    """One attempt and the connection that came of it, with its own client and thread."""

    def __init__(
        self,
        number: int,
        settings: MqttSettings,
        client_id: str,
        subscriptions: list[tuple[str, int]],
        post: Callable[[MqttEvent], None],
    ) -> None:
        self.ended = threading.Event()
        self._number = number
        self._settings = settings
        self._client_id = client_id
        self._subscriptions = subscriptions
        self._post = post
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{number}", daemon=True)
        self._client: paho.Client | None = None
        self._ready = False
        self._ending = ""
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        # Paho's callbacks run below its locks: they only note what happened, and it is posted when paho has returned.
        self._noted: list[MqttEvent] = []
        self._unacknowledged: set[int] = set()
        # Held from sending a message until its token is noted, so that its PUBACK cannot come in between.
        self._sending = threading.Lock()

    def start(self) -> None:
        self._thread.start()

    def publish(self, topic: str, payload: bytes, qos: Literal[0, 1, 2]) -> int | None:
        with self._sending:
            if not self._ready or self._client is None:
                return None
            sent = self._client.publish(topic, payload, qos)
            if sent.rc != paho.MQTT_ERR_SUCCESS:
                return None
            token = self._token(sent.mid)
            if qos:
                self._unacknowledged.add(token)
            return token

    def close(self) -> None:
        self._closing.set()
        client = self._client
        if client is not None:
            client.disconnect()
        self._thread.join(_JOIN_S)
        self._abandoned.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            reason = self._live()
        except MqttError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever ends this thread has to be told
            reason = " ".join(f"{type(error).__name__}: {error}".split())
        self.ended.set()
        self._tell(Disconnected(self._number, f"{self._settings.host}:{self._settings.port}: {reason}"))

    def _live(self) -> str:
        client = new_client(self._settings, self._client_id)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        # Without this paho would write to the socket in the thread that publishes, beside ours.
        client.on_socket_register_write = _leave_writing_to_the_loop
        self._client = client
        try:
            open_client(client, self._settings)
            if self._closing.is_set():
                client.disconnect()  # close() came too early to do it
            deadline = monotonic() + ANSWER_TIMEOUT_S
            while not self._ending and not self._abandoned.is_set():
                rc = client.loop(_POLL_S)
                if rc != paho.MQTT_ERR_SUCCESS:
                    self._end(paho.error_string(rc))
                elif not self._ready and monotonic() > deadline:
                    self._end(f"no answer within {ANSWER_TIMEOUT_S:g} s")
                self._tell_noted()
            return self._ending
        finally:
            with self._sending:
                self._ready = False
                self._client = None
            opened = client.socket()
            if opened is not None:
                opened.close()

    def _tell_noted(self) -> None:
        if not self._ready:
            return  # a message between subscribing and its acknowledgement waits for Connected
        noted, self._noted = self._noted, []
        for event in noted:
            if isinstance(event, PublishAcknowledged):
                with self._sending:
                    if event.token not in self._unacknowledged:
                        continue  # paho says of QoS 0 messages too that they have left
                    self._unacknowledged.remove(event.token)
            self._tell(event)

    def _tell(self, event: MqttEvent) -> None:
        if not self._closing.is_set():
            self._post(event)

    def _end(self, reason: str) -> None:
        self._ending = self._ending or reason  # the first one is the cause

    def _token(self, mid: int) -> int:
        return self._number * _TOKENS_A_LINK + mid

    def _accepted(self) -> None:
        self._noted.insert(0, Connected(self._number))
        self._ready = True

    def _on_connect(self, client: paho.Client, _userdata: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._end(f"connection refused by the broker: {code}")
        elif self._subscriptions:
            client.subscribe(self._subscriptions)
        else:
            self._accepted()

    def _on_subscribe(self, _client: Any, _userdata: Any, _mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        for (topic_filter, _), code in zip(self._subscriptions, codes, strict=False):
            if code.is_failure:
                self._end(f"subscription to {topic_filter} refused by the broker: {code}")
                return
        self._accepted()

    def _on_message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        self._noted.append(
            MessageArrived(self._number, message.topic, bytes(message.payload), message.retain, message.qos)
        )

    def _on_publish(self, _client: Any, _userdata: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._end(f"message refused by the broker: {code}")
        else:
            self._noted.append(PublishAcknowledged(self._number, self._token(mid)))

    def _on_disconnect(self, _client: Any, _userdata: Any, flags: Any, code: ReasonCode, _properties: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._end(f"connection ended by the broker: {code}")
        elif self._ready:
            self._end(_ENDINGS.get(str(code), "connection lost"))
        else:
            self._end(_ENDINGS.get(str(code), "connection closed before it was accepted"))


def _leave_writing_to_the_loop(_client: Any, _userdata: Any, _socket: Any) -> None:
    """Paho wakes the loop by itself."""
