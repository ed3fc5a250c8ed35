"""Two brokers with one small interface: `host`, `port`, `start()`, `stop()`, `restart()` on the same port.

`AmqttBroker` lives in this process and is on every machine that can run the tests, but knows no MQTT 5, and delivers
QoS 0 as QoS 2. `MosquittoBroker` is the real program that EVerest is run with.
"""

import asyncio
import concurrent.futures
import logging
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from support.peers import mosquitto, program, require

from everest_system.io.mqtt.link import TlsFiles

HOST = "127.0.0.1"
DEADLINE_S = 30.0
STOP_S = 2.0

real_broker = pytest.mark.parametrize("broker", ["mosquitto" if program("mosquitto") else "amqtt"], indirect=True)
"""For tests of what no broker makes a difference to: the real one where it is there."""


class Broker(Protocol):
    """What tests ask of a broker."""

    host: str
    port: int

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def restart(self) -> None: ...


class AmqttBroker:
    """The broker of the amqtt package in a thread with its own event loop; takes anybody."""

    host = HOST

    def __init__(self) -> None:
        self.port = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    def start(self) -> None:
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        started: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), name="amqtt", daemon=True)
        self._thread.start()
        self.port = started.result(DEADLINE_S)

    def stop(self) -> None:
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(DEADLINE_S)
            assert not self._thread.is_alive(), "amqtt does not stop"
            self._thread = None

    def restart(self) -> None:
        self.stop()
        self.start()

    async def _serve(self, started: "concurrent.futures.Future[int]") -> None:
        from amqtt.broker import Broker as Server

        writers: list[asyncio.StreamWriter] = []

        class ClosingServer(Server):
            """Remembers its connections: amqtt leaves those open that end while it stops."""

            async def stream_connected(
                self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
            ) -> None:
                writers.append(writer)
                await super().stream_connected(reader, writer, listener_name)

        try:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            broker = ClosingServer(
                {
                    "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{self.port}"}},
                    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
                }
            )
            await broker.start()
            started.set_result(broker._servers["default"].instance.sockets[0].getsockname()[1])
        except BaseException as error:  # noqa: BLE001 - for the thread that waits
            started.set_exception(error)
            return
        await self._stop.wait()
        for writer in writers:
            writer.close()
        try:
            await asyncio.wait_for(broker.shutdown(), STOP_S)
        except TimeoutError:  # it sometimes waits for a client that came and went while it stopped
            for server in broker._servers.values():
                server.instance.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


@dataclass(frozen=True)
class Listener:
    """One port of a mosquitto, with its own rules.

    Attributes:
        users: who may come in, with their passwords; None: anybody.
        tls: the broker's certificate and key; with a CA file, clients need a certificate from there. None: plain TCP.
        acl: lines of an access control list; "" means that all is allowed.
    """

    users: Mapping[str, str] | None = None
    tls: TlsFiles | None = None
    acl: str = ""


class MosquittoBroker:
    """A mosquitto of one test's own, in `folder`; each listener has its port in `ports`, `port` is the first's."""

    host = HOST

    def __init__(self, folder: Path, *listeners: Listener) -> None:
        self._binary = require("mosquitto", mosquitto(), "the real broker")
        self._folder = folder
        self._listeners = listeners or (Listener(),)
        self.ports: list[int] = []
        self.log: list[str] = []
        self._logged = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def port(self) -> int:
        return self.ports[0]

    def start(self) -> None:
        self.ports = self.ports or _free_ports(len(self._listeners))
        config = self._folder / "mosquitto.conf"
        config.write_text("\n".join(self._config()) + "\n")
        running, working = threading.Event(), threading.Event()
        self._process = subprocess.Popen(
            [self._binary, "-c", str(config)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, args=(self._process, running, working), daemon=True)
        self._reader.start()
        if running.wait(DEADLINE_S) and self._process.poll() is None:
            # It says so a little early: a signal that comes before its loop has begun is lost.
            socket.create_connection((HOST, self.port), DEADLINE_S).close()
            if working.wait(DEADLINE_S):
                return
        self.kill()
        raise AssertionError("mosquitto does not run:\n" + "\n".join(self.log))

    def freeze(self) -> None:
        """Let it go silent with its connections open, as a peer behind a dead line."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def wait_for_log(self, holds: Callable[[list[str]], bool]) -> list[str]:
        """Its log, once that is as wanted."""
        with self._logged:
            assert self._logged.wait_for(lambda: holds(self.log), DEADLINE_S), "\n".join(self.log)
            return list(self.log)

    def has_logged(self, end: str) -> bool:
        """Whether a line of its log ends so, now or within the deadline."""
        with self._logged:
            return self._logged.wait_for(lambda: any(line.endswith(end) for line in self.log), DEADLINE_S)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(by)
        process.send_signal(signal.SIGCONT)  # it may be frozen
        try:
            process.wait(DEADLINE_S)
        finally:
            process.kill()
            process.wait()
            if self._reader is not None:
                self._reader.join(DEADLINE_S)

    def _read(self, process: "subprocess.Popen[str]", running: threading.Event, working: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                with self._logged:
                    self.log.append(line.rstrip())
                    self._logged.notify_all()
                if " running" in line:
                    running.set()
                if "onnection from 127.0.0.1" in line:  # new, or, with TLS, failed
                    working.set()
        running.set()  # it has ended: nothing to wait for
        working.set()

    def _config(self) -> list[str]:
        lines = [
            "per_listener_settings true",
            "user root",
            "persistence false",
            "log_dest stderr",
            "set_tcp_nodelay true",
        ]
        for number, (listener, port) in enumerate(zip(self._listeners, self.ports, strict=True)):
            lines += [f"listener {port} {HOST}", f"allow_anonymous {'true' if listener.users is None else 'false'}"]
            if listener.users is not None:
                lines.append(f"password_file {self._passwords(number, listener.users)}")
            if listener.acl:
                acl_file = self._folder / f"acl{number}"
                acl_file.write_text(listener.acl + "\n")
                acl_file.chmod(0o600)
                lines.append(f"acl_file {acl_file}")
            if listener.tls is not None:
                lines += [f"certfile {listener.tls.cert_file}", f"keyfile {listener.tls.key_file}"]
                if listener.tls.ca_file:
                    lines += [f"cafile {listener.tls.ca_file}", "require_certificate true"]
        return lines

    def _passwords(self, number: int, users: Mapping[str, str]) -> Path:
        file = self._folder / f"passwords{number}"
        file.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
        file.chmod(0o600)
        tool = require("mosquitto_passwd", program("mosquitto_passwd"), "a broker with users")
        subprocess.run([tool, "-U", str(file)], check=True, stdin=subprocess.DEVNULL)  # hashes them in place
        return file


def _free_ports(count: int) -> list[int]:
    """Mosquitto cannot choose its port itself: take those that the kernel has just given away."""
    held = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
