"""A D-Bus of the test's own, and what can be on it.

    with PrivateBus(tmp_path) as bus:                     # a real dbus-daemon
        with BusService(bus.address, "org.example.Clock") as clock:
            clock.answer("Now", "s", "12:00")             # what a call of Now returns
            clock.say("Ticked", "u", 1)                   # a signal
            clock.calls                                   # [("Now", ())]

Nothing of the machine's own buses is touched. A service answers from a thread of its own; a method without an answer is
an error as D-Bus has it for an unknown one.
"""

import shlex
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any, Self

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    new_error,
    new_method_call,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from support.peers import program, require
from support.server_process import DEADLINE_S, ServerProcess

DAEMON = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <auth>EXTERNAL</auth>
  <listen>{address}</listen>
  <servicedir>{folder}</servicedir>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class PrivateBus(ServerProcess):
    """A real dbus-daemon while the context lasts.

    Args:
        folder: for its socket and its configuration; a short path, as sockets want it.
    """

    def __init__(self, folder: Path) -> None:
        self._binary = require("dbus-daemon", program("dbus-daemon"), "a D-Bus of the test's own")
        super().__init__(folder)
        self.address = f"unix:path={folder}/bus"

    def command(self) -> list[str]:
        """A bus on a socket in the folder, where everybody may do everything."""
        config = self.folder / "bus.conf"
        config.write_text(_CONFIG.format(address=self.address, folder=self.folder))
        return [self._binary, f"--config-file={config}", "--nofork", "--nopidfile"]

    def can_start(self, name: str, *argv: str) -> None:
        """Let the bus know what to run when somebody asks for a name; before the bus is started."""
        service = f"[D-BUS Service]\nName={name}\nExec={shlex.join(argv)}\n"
        (self.folder / f"{name}.service").write_text(service)

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._process is not None

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.folder / "bus")) == 0

    def wait_for(self, name: str) -> None:
        """Wait until somebody has that name."""
        deadline = time.monotonic() + DEADLINE_S
        with open_dbus_connection(self.address) as connection:
            call = new_method_call(DAEMON, "NameHasOwner", "s", (name,))
            while not connection.send_and_get_reply(call, timeout=DEADLINE_S).body[0]:
                assert time.monotonic() < deadline, f"{name} did not come to the bus"
                time.sleep(0.01)  # to be told would take a connection that listens


Answer = Callable[..., tuple[str, tuple[Any, ...]]]
"""What a method does: it gets the call's values, and returns a signature and values, or raises a `ServiceError`."""


class ServiceError(Exception):
    """An error as an answer: its name, then its text."""


class BusService:
    """Somebody on a bus, with a name, while the context lasts.

    Args:
        address: of the bus.
        name: his.
        path: of his one object; everything is in the interface called as he is, or in `interface`.

    Attributes:
        calls: each method that was called, with its values.
        properties: by name, as pairs of signature and value.
        after_answer: done once, behind the next answer.
    """

    def __init__(self, address: str, name: str, path: str = "/", interface: str = "") -> None:
        self._connection: DBusConnection = open_dbus_connection(address)
        self._emitter = DBusAddress(path, interface=interface or name)
        self._answers: dict[str, Answer] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.properties: dict[str, tuple[str, Any]] = {}
        self.after_answer: Callable[[], object] | None = None
        request = new_method_call(DAEMON, "RequestName", "su", (name, 0))
        assert self._connection.send_and_get_reply(request, timeout=DEADLINE_S).body == (1,)
        self._thread = Thread(target=self._serve, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()

    def answer(self, method: str, signature: str = "", *values: Any) -> None:
        """Let a method return these values."""
        self.do(method, lambda *_: (signature, values))

    def do(self, method: str, answer: Answer) -> None:
        """Let a method do that, in the service's thread."""
        self._answers[method] = answer

    def say(self, signal: str, signature: str = "", *values: Any, to: str | None = None) -> None:
        """Send a signal, to everybody or to one."""
        message = new_signal(self._emitter, signal, signature or None, values)
        if to:
            message.header.fields[HeaderFields.destination] = to
        self._connection.send(message)

    def say_as(self, interface: str, signal: str, signature: str, *values: Any) -> None:
        """Send a signal of another interface, to everybody."""
        emitter = DBusAddress(self._emitter.object_path, interface=interface)
        self._connection.send(new_signal(emitter, signal, signature, values))

    def hang_up(self, *_: Any) -> tuple[str, tuple[Any, ...]]:
        """Leave the bus without a word; can be what a method does."""
        self._connection.sock.shutdown(socket.SHUT_RDWR)
        return "", ()

    def vanish(self) -> None:
        """Leave the bus, and end."""
        self.hang_up()
        self._thread.join(DEADLINE_S)
        self._connection.close()

    def _serve(self) -> None:
        while True:
            try:
                message = self._connection.receive()
                if message.header.message_type is MessageType.method_call:
                    self._connection.send(self._reply(message))
                    after, self.after_answer = self.after_answer, None
                    if after:
                        after()
            except OSError:
                return

    def _reply(self, message: Message) -> Message:
        method, values = message.header.fields[HeaderFields.member], tuple(message.body)
        if method == "GetAll":
            return new_method_return(message, "a{sv}", (self.properties,))
        self.calls.append((method, values))
        if method not in self._answers:
            return new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "s", (f"no method {method}",))
        try:
            signature, result = self._answers[method](*values)
        except ServiceError as error:
            return new_error(message, error.args[0], "s", error.args[1:])
        return new_method_return(message, signature or None, result)
