"""The caller: sends requests as EVerest does and takes the time until the reply.

Requests go out at fixed times, whether or not the one before was answered: a caller that waits would ask seldom just
when answers are slow, and so would leave out what is looked for.
"""

import itertools
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Self, TypeAlias

import paho.mqtt.client as paho

from bench.broker import HOST
from bench.peer import REPLIES, send_without_delay

PERIOD_S = 0.010
"""Between two requests, of whatever kind."""

_PATIENCE_S = 10.0

Route: TypeAlias = tuple[str, str, str, dict[str, Any]]
"""A request: its name, its topic, where its reply goes, and its body without the headers."""


@dataclass(slots=True)
class Trip:
    """One request: what was asked, what the service was busy with then, and how long the reply took, in seconds."""

    name: str
    busy_with: frozenset[str]
    sent: float
    took: float | None = None


class Caller:
    """Asks the service and the echo in turn, while the context lasts.

    Args:
        port: the broker's.
        module_id: the module of the service that is asked.
    """

    def __init__(self, port: int, module_id: str) -> None:
        base = f"everest_api/1/system/{module_id}/"
        replies = base + "m2e/reply/"
        self._routes: tuple[Route, ...] = (
            ("is_reset_allowed", base + "e2m/is_reset_allowed", replies, {"payload": "Soft"}),
            ("echo", "bench/echo/e2m/echo", REPLIES, {"payload": "Soft"}),
            ("get_boot_reason", base + "e2m/get_boot_reason", replies, {}),
        )
        self._port = port
        self._pending: dict[str, Trip] = {}
        self._answered = threading.Condition()
        self._ready = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)  # type: ignore[attr-defined]
        self._client.on_socket_open = send_without_delay
        self._client.on_connect = lambda client, *_: client.subscribe([(replies + "+", 0), (REPLIES + "+", 0)])
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        self._tokens = itertools.count()

    def __enter__(self) -> Self:
        self._client.connect(HOST, self._port)
        self._client.loop_start()
        if not self._ready.wait(_PATIENCE_S):
            raise RuntimeError("the broker does not accept the caller")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def take(
        self, enough: Callable[[Sequence[Trip]], bool], busy_with: Callable[[], frozenset[str]] = frozenset
    ) -> list[Trip]:
        """Send requests until it is `enough`, and return all of them, with their replies.

        Raises:
            RuntimeError: a reply did not come within 10 s.
        """
        trips: list[Trip] = []
        due = monotonic()
        for route in itertools.cycle(self._routes):
            if len(trips) % len(self._routes) == 0 and enough(trips):
                break
            due += PERIOD_S
            sleep(max(0.0, due - monotonic()))
            trips.append(self._send(*route, busy_with()))
        with self._answered:
            if not self._answered.wait_for(lambda: not self._pending, _PATIENCE_S):
                raise RuntimeError(f"{len(self._pending)} of {len(trips)} requests were not answered")
        return trips

    def _send(self, name: str, topic: str, replies: str, body: dict[str, Any], busy_with: frozenset[str]) -> Trip:
        reply_to = f"{replies}{next(self._tokens)}"
        payload = json.dumps({"headers": {"replyTo": reply_to}, **body})
        trip = Trip(name, busy_with, monotonic())
        with self._answered:
            self._pending[reply_to] = trip
        self._client.publish(topic, payload, 2)
        return trip

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        now = monotonic()
        with self._answered:
            trip = self._pending.pop(message.topic, None)
            if trip is not None:
                trip.took = now - trip.sent
            if not self._pending:
                self._answered.notify_all()
