"""The peer in a process of its own: a bare paho client, and nothing else.

    python -m bench.peer PORT echo    # answers each request at once, with what takes least
    python -m bench.peer PORT check   # says `true` at once and every 1.5 s, as the service's communication check

Its imports are the least that do the job: it is also what the service's memory and start are compared with.
"""

import json
import socket
import sys
import time
from typing import Any

import paho.mqtt.client as paho

COMMANDS = "bench/echo/e2m/+"
REPLIES = "bench/echo/m2e/reply/"
CHECK = "bench/echo/m2e/communication_check"
_INTERVAL_S = 1.5


def main() -> None:
    """Do it until the process is ended."""
    port, what = int(sys.argv[1]), sys.argv[2]
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)  # type: ignore[attr-defined]
    client.on_socket_open = send_without_delay
    client.on_message = _answer
    client.on_connect = _subscribe if what == "echo" else _check
    client.connect("127.0.0.1", port)
    due = time.monotonic() + _INTERVAL_S
    while client.loop(0.5) == paho.MQTT_ERR_SUCCESS:
        if what == "check" and time.monotonic() >= due:
            due += _INTERVAL_S
            client.publish(CHECK, b"true")


def send_without_delay(_client: paho.Client, _userdata: object, opened: Any) -> None:
    """Without this the packets of a QoS 2 handshake would wait for each other's TCP acknowledgements."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _subscribe(client: paho.Client, *_: Any) -> None:
    client.subscribe(COMMANDS, 2)


def _check(client: paho.Client, *_: Any) -> None:
    client.publish(CHECK, b"true")


def _answer(client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
    client.publish(json.loads(message.payload)["headers"]["replyTo"], b"true")


if __name__ == "__main__":
    main()
