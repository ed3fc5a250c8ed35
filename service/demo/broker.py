"""An MQTT broker in this process, for a demonstration on a machine that has none.

It takes anybody who reaches it, which is why it listens on the loopback only.

    with EmbeddedBroker() as broker:
        settings = MqttSettings(host=broker.host, port=broker.port)
"""

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import Any, Final, Self

from amqtt.broker import Broker

from everest_system.fsm.errors import WorldError

_HOST: Final = "127.0.0.1"
_DEADLINE_S: Final = 10.0


class BrokerError(WorldError):
    """The embedded broker does not start or stop."""


class _ClosingBroker(Broker):  # type: ignore[misc]
    """Remembers its connections: amqtt leaves those open that end while it stops."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.writers: list[asyncio.StreamWriter] = []

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        self.writers.append(writer)
        await super().stream_connected(reader, writer, listener_name)


class EmbeddedBroker:
    """The broker in a thread with its own event loop. It can be started again, and then keeps its port.

    Attributes:
        host: the loopback's address.
        port: any free one, known once it has started.
    """

    host = _HOST

    def __init__(self) -> None:
        self.port = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; returns once it listens.

        Raises:
            BrokerError: it does not.
        """
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)  # each client that leaves would be a warning
        logging.getLogger("transitions").setLevel(logging.WARNING)  # amqtt's own machines tell every step
        started: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), name="broker", daemon=True)
        self._thread.start()
        try:
            self.port = started.result(_DEADLINE_S)
        except Exception as error:
            self._thread = None
            raise BrokerError(f"the embedded broker does not start: {type(error).__name__}: {error}") from error

    def stop(self) -> None:
        """Stop it and end all connections; nothing happens if it does not run.

        Raises:
            BrokerError: it goes on for more than 10 s.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(_DEADLINE_S)
        if thread.is_alive():
            raise BrokerError("the embedded broker does not stop")

    async def _serve(self, started: "Future[int]") -> None:
        try:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            broker = _ClosingBroker(
                {
                    "listeners": {"default": {"type": "tcp", "bind": f"{_HOST}:{self.port}"}},
                    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
                }
            )
            await broker.start()
            started.set_result(_port(broker))
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            started.set_exception(error)
            return
        await self._stop.wait()
        for writer in broker.writers:
            writer.close()
        await broker.shutdown()
        await asyncio.gather(*(writer.wait_closed() for writer in broker.writers), return_exceptions=True)


def _port(broker: Broker) -> int:
    # amqtt has no public way to learn which port the kernel chose.
    listener = broker._servers["default"].instance  # noqa: SLF001
    return int(listener.sockets[0].getsockname()[1])
