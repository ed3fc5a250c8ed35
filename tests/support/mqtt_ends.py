"""Both ends of the wire, and a broker that does what real ones do not."""

import queue
import socket
import threading

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from support.brokers import DEADLINE_S, HOST, Broker

from everest_system.io.mqtt.link import Connected, MqttEvent, MqttLink, MqttSettings

COMMANDS = "everest_api/1/system/system_api/e2m"
STATUS = "everest_api/1/system/system_api/m2e/firmware_update_status"

Subscriptions = tuple[tuple[str, int], ...]
FILTERS: Subscriptions = ((f"{COMMANDS}/+", 2),)


class Link:
    """A link together with everything that it has posted and nobody has looked at yet."""

    def __init__(self, settings: MqttSettings, subscriptions: Subscriptions) -> None:
        self.posted: queue.Queue[MqttEvent] = queue.Queue()
        self.link = MqttLink(settings, self.posted.put, subscriptions)

    def next(self) -> MqttEvent:
        return self.posted.get(timeout=DEADLINE_S)

    def connect(self) -> int:
        number = self.link.connect()
        assert self.next() == Connected(number)
        return number


class Everest:
    """The other side: a paho client that subscribes to all that we send."""

    def __init__(self, broker: Broker, port: int | None = None) -> None:
        self.heard: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self._listening = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._listening.set()
        self._client.on_message = lambda _client, _userdata, message: self.heard.put(message)
        self._client.on_socket_open = lambda _client, _userdata, opened: opened.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._client.connect(broker.host, port or broker.port)
        self._client.loop_start()
        assert self._listening.wait(DEADLINE_S)

    def publish(self, topic: str, payload: bytes, qos: int = 0, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos, retain).wait_for_publish(DEADLINE_S)

    def next(self) -> tuple[str, bytes]:
        message = self.heard.get(timeout=DEADLINE_S)
        return message.topic, message.payload

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class ScriptedBroker:
    """Answers each packet of one client with the next bytes of a script, and then nothing more."""

    host = HOST

    def __init__(self, *script: bytes) -> None:
        self._server = socket.create_server((HOST, 0))
        self.port = self._server.getsockname()[1]
        self._script = script
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close_client(self) -> None:
        self._over.set()

    def close(self) -> None:
        self.close_client()
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE_S)
        self._server.close()

    def _serve(self) -> None:
        try:
            client, _ = self._server.accept()
        except OSError:
            return
        with client:
            for answer in self._script:
                client.recv(4096)
                client.sendall(answer)
            self._over.wait(DEADLINE_S)
