"""A TCP proxy between the service and its broker, which spoils the connection on command.

    with MqttProxy(broker) as proxy:
        service = ServiceProcess(tmp_path, proxy)     # it has `host` and `port`, as a broker has
        proxy.cut()                                   # all connections end; new ones come through
        proxy.half_open()                             # they stay open, and nothing comes through any more
        proxy.mend()                                  # new connections come through again, and without delay
        proxy.delay_s = 0.3                           # that late comes everything, both ways
        proxy.cut_after = 700                         # each new connection ends after so many bytes to the broker
        proxy.withhold_pubacks(1)                     # cut in place of each status's first PUBACK

It frames what passes as MQTT packets, so that it knows a PUBLISH from its PUBACK; it changes none.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Final, Self

from support.brokers import DEADLINE_S, HOST, Broker

PUBLISH: Final = 3
PUBACK: Final = 4


class MqttProxy:
    """Listens on a port of its own, in threads, while the context lasts.

    Attributes:
        delay_s: how late everything comes.
        cut_after: a connection made from now on ends after so many bytes from the service; None: it does not.
        connections: how many have been made.
        cuts: how many of them the proxy has ended.
        published: the payloads of the QoS 1 messages from the service that were passed on, in order.
    """

    host = HOST

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._server = socket.create_server((HOST, 0))
        self.port: int = self._server.getsockname()[1]
        self.delay_s = 0.0
        self.cut_after: int | None = None
        self.connections = 0
        self.cuts = 0
        self.published: list[bytes] = []
        self._changed = threading.Condition()
        self._swallow = False
        self._withhold = 0
        self._withheld: dict[bytes, int] = {}
        self._open: set[_Connection] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.delay_s = 0.0
        for connection in list(self._open):
            connection.end()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    # --- commands ---

    def cut(self) -> None:
        """End all connections."""
        for connection in list(self._open):
            self._cut(connection)

    def half_open(self) -> None:
        """Let nothing through, with all connections open, as behind a router that forgot them; also new ones."""
        self._swallow = True

    def mend(self) -> None:
        """Let new connections through as they come; those that were half open stay so."""
        self._swallow, self.delay_s, self.cut_after, self._withhold = False, 0.0, None, 0

    def withhold_pubacks(self, times: int) -> None:
        """From now on, cut in place of the PUBACK of each QoS 1 message, for its first so many times."""
        self._withhold = times

    def wait_for_connections(self, count: int) -> None:
        """Wait until so many connections have been made."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.connections >= count, DEADLINE_S), f"{self.connections} made"

    # --- inside ---

    def _accept(self) -> None:
        while True:
            try:
                service, _ = self._server.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection((self._broker.host, self._broker.port), DEADLINE_S)
            except OSError:
                service.close()
                continue
            connection = _Connection(service, broker, self.cut_after)
            self._open.add(connection)
            self._run(self._pump_to_broker, connection)
            self._run(self._pump_to_service, connection)
            with self._changed:
                self.connections += 1
                self._changed.notify_all()

    def _pump_to_broker(self, connection: "_Connection") -> None:
        for packet in self._packets(connection, connection.service):
            if connection.left is not None:
                part, connection.left = packet[: connection.left], max(connection.left - len(packet), 0)
                if len(part) < len(packet):
                    connection.send(connection.broker, part)
                    self._cut(connection)
                    return
            if packet[0] >> 4 == PUBLISH and packet[0] >> 1 & 3:
                number, payload = _published(packet)
                connection.under_way[number] = payload
                self.published.append(payload)
            connection.send(connection.broker, packet)

    def _pump_to_service(self, connection: "_Connection") -> None:
        for packet in self._packets(connection, connection.broker):
            if packet[0] >> 4 == PUBACK:
                payload = connection.under_way.pop(struct.unpack(">H", packet[2:4])[0], b"")
                if self._withheld.get(payload, 0) < self._withhold:
                    self._withheld[payload] = self._withheld.get(payload, 0) + 1
                    self._cut(connection)
                    return
            connection.send(connection.service, packet)

    def _packets(self, connection: "_Connection", source: socket.socket) -> Iterator[bytes]:
        """Yield what comes from one end and is to be passed on, packet by packet; then end the connection."""
        waiting = b""
        while chunk := connection.receive(source):
            if self.delay_s:
                time.sleep(self.delay_s)  # the delay itself
            connection.swallows = connection.swallows or self._swallow
            if connection.swallows:
                continue
            waiting += chunk
            while size := _packet_size(waiting):
                yield waiting[:size]
                waiting = waiting[size:]
        connection.end()
        self._open.discard(connection)

    def _cut(self, connection: "_Connection") -> None:
        connection.end()
        with self._changed:
            self.cuts += 1
            self._changed.notify_all()

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="proxy", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()


class _Connection:
    """The two sockets of one connection; `left`: bytes from the service that may still pass."""

    def __init__(self, service: socket.socket, broker: socket.socket, left: int | None) -> None:
        self.service, self.broker, self.left = service, broker, left
        self.swallows = False
        self.under_way: dict[int, bytes] = {}
        self._lock = threading.Lock()
        for end in (service, broker):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, source: socket.socket) -> bytes:
        try:
            return source.recv(65536)
        except OSError:
            return b""

    def send(self, target: socket.socket, packet: bytes) -> None:
        with contextlib.suppress(OSError):  # the reader of that end notices
            target.sendall(packet)

    def end(self) -> None:
        """End both sides."""
        with self._lock:
            for end in (self.service, self.broker):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()


def _packet_size(waiting: bytes) -> int:
    """Bytes of the packet that `waiting` begins with; 0: it is not all there."""
    length = 0
    for position, byte in enumerate(waiting[1:5]):
        length |= (byte & 0x7F) << 7 * position
        if not byte & 0x80:
            size = 2 + position + length
            return size if len(waiting) >= size else 0
    return 0


def _published(packet: bytes) -> tuple[int, bytes]:
    """The packet identifier and payload of a PUBLISH of MQTT 3.1.1 with QoS 1 or 2."""
    start = next(position for position in range(1, 5) if not packet[position] & 0x80) + 1
    (topic_size,) = struct.unpack(">H", packet[start : start + 2])
    after = start + 2 + topic_size
    (number,) = struct.unpack(">H", packet[after : after + 2])
    return number, packet[after + 2 :]
