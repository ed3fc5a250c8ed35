"""What an idle station holds in memory, and how soon it says that it lives, beside a bare paho client that says it too.

The service is asked for its boot reason first, as EVerest asks once in its life, and hears heartbeats: what it needs
for that is loaded when its memory is read.
"""

import queue
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep

import paho.mqtt.client as paho

from bench import imports, service
from bench.broker import HOST, Mosquitto
from bench.figures import table, verdict
from bench.peer import CHECK, send_without_delay
from everest_system.everest_side import EverestSide
from everest_system.io.mqtt.link import MqttSettings
from everest_system.io.mqtt.topics import Topics

PROMISED_MIB = 45
PROMISED_START_S = 1.0

STARTS = 7
_SETTLE_S = 3.0
_PATIENCE_S = 30.0


class _Listener:
    """Notes when each topic's next message comes."""

    def __init__(self, port: int, topics: Sequence[str]) -> None:
        self.heard: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
        ready: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)  # type: ignore[attr-defined]
        self._client.on_socket_open = send_without_delay
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 0) for topic in topics])
        self._client.on_subscribe = lambda *_: ready.put(None)
        self._client.on_message = lambda _client, _userdata, message: self.heard.put((message.topic, monotonic()))
        self._client.connect(HOST, port)
        self._client.loop_start()
        ready.get(timeout=_PATIENCE_S)

    def first(self, topic: str, since: float) -> float:
        """When the first message after `since` came.

        Raises:
            RuntimeError: none came within 30 s.
        """
        try:
            while True:
                heard, at = self.heard.get(timeout=_PATIENCE_S)
                if heard == topic and at > since:
                    return at
        except queue.Empty:
            raise RuntimeError(f"nothing was heard on {topic}") from None

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def run(folder: Path) -> None:
    """Take and print the figures.

    Raises:
        AbsentError: there is no mosquitto on this machine.
        RuntimeError: something did not work as it should.
    """
    with Mosquitto(folder) as broker:
        config = service.write_config(folder, broker.port)
        check = Topics("", service.MODULES[0]).communication_check
        bare_command = (sys.executable, "-m", "bench.peer", str(broker.port), "check")
        listener = _Listener(broker.port, (check, CHECK))
        try:
            ours: list[float] = []
            bare: list[float] = []
            for _ in range(STARTS):
                with service.service(config) as process:
                    ours.append(listener.first(check, process.started) - process.started)
                with service.Process(bare_command, folder / "bare.log") as process:
                    bare.append(listener.first(CHECK, process.started) - process.started)
            with (
                service.service(config) as process,
                service.Process(bare_command, folder / "bare.log") as peer,
            ):
                listener.first(check, process.started)  # it hears from now on what EVerest asks but once
                with EverestSide(MqttSettings(host=HOST, port=broker.port), service.MODULES[0]) as everest:
                    everest.boot_reason()
                    sleep(_SETTLE_S)
                    ours_kib, bare_kib = process.resident_kib(), peer.resident_kib()
        finally:
            listener.close()
        rows = _memory_rows(ours_kib, bare_kib) + _start_rows(ours, bare)
        print(table(("", "service", "bare paho", "ratio"), rows))
        print(verdict("idle resident memory", ours_kib[0] / 1024, PROMISED_MIB, "MiB"))
        print(
            verdict("start to the first communication check (median)", statistics.median(ours), PROMISED_START_S, "s")
        )
        print("\nwhat was loaded by then, by what it added to resident memory, without what it loaded itself:")
        print(imports.measure(config))


def _memory_rows(ours: tuple[int, int], bare: tuple[int, int]) -> list[list[str]]:
    return [
        [name, f"{one / 1024:.1f} MiB", f"{other / 1024:.1f} MiB", f"x{one / other:.1f}"]
        for name, one, other in zip(("resident, idle (VmRSS)", "its share of it (PSS)"), ours, bare, strict=True)
    ]


def _start_rows(ours: Sequence[float], bare: Sequence[float]) -> list[list[str]]:
    return [
        [f"start to first check, {name}", f"{of(ours):.2f} s", f"{of(bare):.2f} s", f"x{of(ours) / of(bare):.1f}"]
        for name, of in (("median", statistics.median), ("slowest", max))
    ]
