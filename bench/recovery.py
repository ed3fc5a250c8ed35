"""From SIGKILL to answering again: with nothing on disk, with 4 GiB to remove, with 4 GiB to hash.

The 4 GiB are of an update that is over, and are to be removed, or a part of a download, and are to be hashed anew.
The time runs from the start of the new process to the first reply to a request; the requests are sent all the while.
The peer is a bare Python that imports paho and answers nothing: it shows what of the time is the interpreter's own.
"""

import json
import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import paho.mqtt.client as paho

from bench import service
from bench.broker import HOST, Mosquitto
from bench.figures import HEAD, Spread, compared, table, verdict
from bench.peer import send_without_delay

PROMISED_S = 1.0
STARTS = 10
PART_BYTES = 4 << 30
_ASK_S = 0.005
_PATIENCE_S = 20.0
_MODULE = service.MODULES[0]
_TOPIC = f"everest_api/1/system/{_MODULE}/"


def run(folder: Path) -> None:
    """Take and print the figures.

    Raises:
        AbsentError: there is no mosquitto on this machine.
        RuntimeError: something did not work as it should.
    """
    with Mosquitto(folder) as broker, _stalling_server() as port:
        config = service.write_config(folder, broker.port)
        with closing(_Asker(broker.port)) as asker:
            idle = [asker.start_and_ask(config) for _ in range(STARTS)]
            removing = []
            for _ in range(STARTS):
                _put_leftover(folder / "state")
                removing.append(asker.start_and_ask(config))
            _begin_download(config, asker, f"http://{HOST}:{port}/fw.bin")
            hashing = []
            for _ in range(STARTS):
                _put_part(folder / "state")
                hashing.append(asker.start_and_ask(config))
    bare = [_bare(folder) for _ in range(STARTS)]
    peer = Spread.of(bare)
    rows = [
        compared("bare Python that imports paho", peer, None),
        compared("nothing to go on with", Spread.of(idle), peer),
        compared("a 4 GiB leftover to remove", Spread.of(removing), peer),
        compared("a 4 GiB part to hash", Spread.of(hashing), peer),
    ]
    print(table(HEAD, rows))
    for what, took in (("leftover", removing), ("part", hashing)):
        print(verdict(f"answering again after SIGKILL with a 4 GiB {what}", Spread.of(took).worst, PROMISED_S, "s"))


class _Asker:
    """Asks `is_reset_allowed` every 5 ms for as long as it is told to wait for a reply."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)  # type: ignore[attr-defined]
        self._client.on_socket_open = send_without_delay
        self._client.on_connect = lambda client, *_: client.subscribe(f"{_TOPIC}m2e/reply/+", 0)
        self._client.on_message = lambda *_: self._answered.set()
        self._answered = threading.Event()
        self._count = 0
        self._client.connect(HOST, port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask(self, command: str, payload: Any) -> None:
        self._count += 1
        body = {"headers": {"replyTo": f"{_TOPIC}m2e/reply/{self._count}"}, "payload": payload}
        self._client.publish(f"{_TOPIC}e2m/{command}", json.dumps(body), 2)

    def wait(self, command: str, payload: Any) -> float:
        """Ask until an answer comes, and return when it did."""
        self._answered.clear()
        deadline = monotonic() + _PATIENCE_S
        while not self._answered.wait(_ASK_S):
            if monotonic() > deadline:
                raise RuntimeError(f"{command} was not answered")
            self.ask(command, payload)
        return monotonic()

    def start_and_ask(self, config: Path) -> float:
        """Start the service, and kill it once it has answered; the seconds in between."""
        with service.service(config) as process:
            took = self.wait("is_reset_allowed", "Soft") - process.started
            process.kill()
        return took


def _begin_download(config: Path, asker: _Asker, location: str) -> None:
    """Have a download under way when the service is killed."""
    with service.service(config) as process:
        asker.wait("is_reset_allowed", "Soft")
        asker.ask("update_firmware", {"request_id": 1, "location": location})
        deadline = monotonic() + _PATIENCE_S
        while _snapshot(config.parent / "state").get("state") != "DOWNLOADING":
            if monotonic() > deadline:
                raise RuntimeError("the download does not begin")
            sleep(0.02)
        process.kill()


def _snapshot(state: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(f"{(state / 'state.db').as_uri()}?mode=ro", uri=True)) as db:
        found = db.execute("SELECT json FROM snapshots WHERE machine = 'firmware'").fetchone()
    return dict(json.loads(found[0])) if found else {}


def _put_leftover(state: Path) -> None:
    """4 GiB of real blocks of an update that is over."""
    with (state / "artifacts" / "update-999").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, PART_BYTES)


def _put_part(state: Path) -> None:
    """A part of 4 GiB, a hole in the disk's eyes and no less to hash; and no count of the kills."""
    part = state / "artifacts" / "update-1"
    part.touch()
    with part.open("r+b") as file:
        file.truncate(PART_BYTES)
    known = {"length": PART_BYTES, "total": 2 * PART_BYTES, "validator": '"one"'}
    text = json.dumps({**_snapshot(state), "state": "DOWNLOADING", "part": known, "starts": 0, "timers": {}})
    with closing(sqlite3.connect(state / "state.db")) as db, db:
        db.execute("UPDATE snapshots SET json = ? WHERE machine = 'firmware'", (text,))


def _bare(folder: Path) -> float:
    command = [sys.executable, "-c", "import paho.mqtt.client"]
    with service.Process(command, folder / "bare.log") as process:
        while not process.has_ended:
            sleep(0.001)
        return monotonic() - process.started


@contextmanager
def _stalling_server() -> Iterator[int]:
    """A server that says how long the file is, and then nothing for as long as the bench lasts."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(2 * PART_BYTES))
            self.send_header("ETag", '"one"')
            self.end_headers()
            over.wait()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        over.set()
        server.shutdown()
        server.server_close()
