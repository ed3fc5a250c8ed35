"""The other end for EVerest's side: a system that says what a test tells it to.

with ScriptedSystem(broker.port) as system:
    system.replies["update_firmware"] = [b'"Accepted"']
    ...
    assert system.next("update_firmware")["payload"] == {...}
    system.status("Downloading", 7)
"""

import json
import threading
from collections import defaultdict

from everest_system.io.mqtt.link import Connected, MessageArrived, MqttEvent, MqttLink, MqttSettings

DEADLINE_S = 30.0


class ScriptedSystem:
    """Answers each request with the bytes in `replies` for it, all of them in order, and remembers what came.

    Attributes:
        replies: by command; `get_boot_reason` is answered from the start, nothing else is.
        heard: (command, payload, retained, qos) in order, heartbeats left out.
        beats: the numbers of the heartbeats that came.
    """

    def __init__(self, port: int, prefix: str = "", module_id: str = "system_api") -> None:
        self.replies: dict[str, list[bytes]] = defaultdict(list, {"get_boot_reason": [b'"PowerUp"']})
        self.heard: list[tuple[str, bytes, bool, int]] = []
        self.beats: list[int] = []
        self._prefix = prefix
        self._base = f"{prefix}everest_api/1/system/{module_id}"
        self._changed = threading.Condition()
        self._connected = False
        self._taken = defaultdict(int)
        self._link = MqttLink(MqttSettings("127.0.0.1", port), self._on_event, [(f"{self._base}/e2m/+", 2)])

    def __enter__(self) -> "ScriptedSystem":
        self._link.connect()
        with self._changed:
            assert self._changed.wait_for(lambda: self._connected, DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._link.disconnect()

    def say(self, variable: str, payload: bytes) -> None:
        """Publish a variable as it stands."""
        assert self._link.publish(f"{self._base}/m2e/{variable}", payload, 1) is not None

    def status(self, word: str, request_id: int, kind: str = "firmware_update_status", **more: object) -> None:
        """Publish a status."""
        self.say(kind, json.dumps({kind: word, "request_id": request_id, **more}).encode())

    def log_status(self, word: str, request_id: int) -> None:
        """Publish the status of a log upload."""
        self.status(word, request_id, "log_status")

    def next_raw(self, command: str) -> bytes:
        """The payload of the next message of a command that nobody has taken yet."""

        def came() -> list[bytes]:
            return [payload for name, payload, *_ in self.heard if name == command]

        with self._changed:
            assert self._changed.wait_for(lambda: len(came()) > self._taken[command], DEADLINE_S), f"no {command}"
            self._taken[command] += 1
            return came()[self._taken[command] - 1]

    def next(self, command: str):
        """The same, read as JSON."""
        return json.loads(self.next_raw(command))

    def count(self, command: str) -> int:
        """How often a command has come so far."""
        with self._changed:
            return sum(name == command for name, *_ in self.heard)

    def wait_for_beats(self, count: int) -> list[int]:
        """The heartbeats, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.beats) >= count, DEADLINE_S), self.beats
            return list(self.beats)

    def _on_event(self, event: MqttEvent) -> None:
        with self._changed:
            if isinstance(event, Connected):
                self._connected = True
            elif isinstance(event, MessageArrived):
                command = event.topic.rsplit("/", 1)[1]
                if command == "heartbeat":
                    self.beats.append(json.loads(event.payload))
                else:
                    self.heard.append((command, event.payload, event.retained, event.qos))
                    for reply in self.replies[command]:
                        reply_to = json.loads(event.payload)["headers"]["replyTo"]
                        self._link.publish(self._prefix + reply_to, reply)
            self._changed.notify_all()
