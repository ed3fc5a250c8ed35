"""A connection to a D-Bus: calls with a time-out, signals, and an end soon after a cancel.

Made for worker threads: it blocks, one thread uses one connection, and each wait looks at `canceled` 20 times a second.
What comes over it is bounded by the bus itself; the text of foreign errors is cut and freed of control characters.

Values are as jeepney has them: a variant is a pair of signature and value, a structure a tuple, an array a list.
`plain` takes the variants of an `a{sv}` away.

Jeepney is used without its own input and output, which could not be canceled, and is loaded only when a bus is opened.

Example:
    >>> with Bus("system", canceled=canceled) as bus:
    ...     bus.listen("org.freedesktop.systemd1", "/org/freedesktop/systemd1", MANAGER, "JobRemoved")
    ...     (job,) = bus.call(SYSTEMD, PATH, MANAGER, "RestartUnit", "ss", "everest.service", "replace", timeout_s=30)
    ...     while signal := bus.signal(timeout_s=60):
    ...         if signal.values[1] == job:
    ...             return signal.values[3] == "done"
"""

import select
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Final, Self

from everest_system.fsm.errors import CanceledError, WorldError

if TYPE_CHECKING:
    from jeepney import Message

DAEMON: Final = "org.freedesktop.DBus"
_DAEMON_PATH: Final = "/org/freedesktop/DBus"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_TICK_S: Final = 0.05
_CHUNK: Final = 65536
_SIGNALS: Final = 1024
_LONGEST_WORD: Final = 400


class BusError(WorldError):
    """The bus cannot be reached, or who was called does not answer in time."""


class CallError(BusError):
    """Who was called answered with an error.

    Attributes:
        name: of the error, such as `org.freedesktop.DBus.Error.ServiceUnknown`.
        text: what it says.
    """

    def __init__(self, what: str, name: str, text: str) -> None:
        super().__init__(f"{what}: {text or name}")
        self.name, self.text = name, text


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that came: its name, and its values."""

    member: str
    values: tuple[Any, ...]


def plain(values: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """Take the variants of an `a{sv}` away."""
    return {name: value for name, (_, value) in values.items()}


class Bus:
    """A connection; use it as a context.

    Args:
        address: `system`, `session`, or an address such as `unix:path=/run/bus`.
        canceled: ends every wait with `CanceledError`; None: nothing does.
        timeout_s: how long the bus itself may take to answer.

    Raises:
        BusError: there is no such bus, or it does not want us.
        CanceledError: `canceled` was set.
    """

    def __init__(self, address: str, *, canceled: Event | None = None, timeout_s: float = 10.0) -> None:
        from jeepney import Parser

        self._address = address
        self._canceled = canceled or Event()
        self._timeout_s = timeout_s
        self._parser = Parser()
        self._serial = 0
        self._listened: set[tuple[str, str, str, str]] = set()
        self._signals: deque[Signal] = deque(maxlen=_SIGNALS)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setblocking(False)
        try:
            self._connect(time.monotonic() + timeout_s)
            self._daemon("Hello")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bus."""
        self._socket.close()

    def call(
        self,
        destination: str,
        path: str,
        interface: str,
        method: str,
        signature: str = "",
        *values: Any,
        timeout_s: float,
    ) -> tuple[Any, ...]:
        """Call a method, and wait for what it returns.

        Args:
            destination: who is called, by a name of his or by the one that the bus gave him (`owner`). By name, he is
                started if he is not there and the bus knows how.
            signature: of `values`.
            timeout_s: in seconds.

        Raises:
            CallError: he answered with an error, or there is nobody of that name.
            BusError: no answer came in time, or the bus went away.
            CanceledError: it was canceled; he may do what he was asked to all the same.
        """
        from jeepney import DBusAddress, HeaderFields, MessageType, new_method_call

        what = f"{destination} {method}"
        deadline = time.monotonic() + timeout_s
        self._serial += 1
        serial = self._serial
        whom = DBusAddress(path, bus_name=destination, interface=interface)
        self._send(new_method_call(whom, method, signature or None, values).serialise(serial), deadline, what)
        while (message := self._receive(deadline)) is not None:
            if message.header.fields.get(HeaderFields.reply_serial) != serial:
                continue
            if message.header.message_type is MessageType.error:
                name = str(message.header.fields.get(HeaderFields.error_name, "an error without a name"))
                text = message.body[0] if message.body and isinstance(message.body[0], str) else ""
                raise CallError(what, _word(name), _word(text))
            return tuple(message.body)
        raise BusError(f"{what}: no answer within {timeout_s:g} s")

    def properties(self, destination: str, path: str, interface: str, *, timeout_s: float) -> dict[str, Any]:
        """All properties of an interface by name; raises as `call`."""
        (values,) = self.call(destination, path, _PROPERTIES, "GetAll", "s", interface, timeout_s=timeout_s)
        return plain(values)

    def owner(self, name: str, *, start: bool = False) -> str:
        """Return the name that the bus gave to who has `name`: his for as long as he lives, and never another's.

        Args:
            start: start him, if he is not there and the bus knows how.

        Raises:
            CallError: nobody has that name.
        """
        try:
            return str(self._daemon("GetNameOwner", "s", name)[0])
        except CallError:
            if not start:
                raise
        self._daemon("StartServiceByName", "su", name, 0)
        return self.owner(name)

    def listen(self, sender: str, path: str, interface: str, member: str) -> None:
        """From now on keep the signals of that name, if they come from who has the name `sender` now.

        Anybody on the bus can send us a signal; his are dropped.
        """
        from jeepney import MatchRule

        owner = sender if sender == DAEMON or sender.startswith(":") else self.owner(sender)
        rule = MatchRule(type="signal", sender=owner, path=path, interface=interface, member=member)
        self._listened.add((owner, path, interface, member))
        self._daemon("AddMatch", "s", rule.serialise())

    def signal(self, timeout_s: float) -> Signal | None:
        """Return the next signal listened for; None if none comes in so many seconds.

        Raises:
            BusError: the bus went away.
            CanceledError: it was canceled.
        """
        deadline = time.monotonic() + timeout_s
        while not self._signals and self._receive(deadline) is not None:
            pass
        return self._signals.popleft() if self._signals else None

    def drop_signals(self) -> None:
        """Forget the signals that came before the last answer, and were not asked for yet."""
        self._signals.clear()

    def _daemon(self, method: str, signature: str = "", *values: Any) -> tuple[Any, ...]:
        return self.call(DAEMON, _DAEMON_PATH, DAEMON, method, signature, *values, timeout_s=self._timeout_s)

    def _connect(self, deadline: float) -> None:
        from jeepney.auth import BEGIN, AuthenticationError, Authenticator

        path = _socket_path(self._address)
        what = f"the {self._address} bus"
        while not self._connected(path, what):
            self._look(deadline, what)
            self._canceled.wait(_TICK_S)
        greeting = Authenticator()
        try:
            for words in greeting:
                self._send(words, deadline, what)
                greeting.feed(self._read(deadline, what))
        except AuthenticationError as error:
            raise BusError(f"{what} does not let us in") from error
        self._send(BEGIN, deadline, what)

    def _connected(self, path: str, what: str) -> bool:
        try:
            self._socket.connect(path)
        except BlockingIOError:  # too many wait to be let in
            return False
        except OSError as error:
            raise BusError(f"{what} cannot be reached: {error.strerror or error}") from error
        return True

    def _send(self, data: bytes, deadline: float, what: str) -> None:
        rest = memoryview(data)
        while rest:
            self._wait(select.POLLOUT, deadline, what)
            try:
                rest = rest[self._socket.send(rest) :]
            except OSError as error:
                raise self._gone() from error

    def _receive(self, deadline: float) -> "Message | None":
        """Return the next message; None if the time is up. Signals are put aside as well."""
        from jeepney import HeaderFields, MessageType

        try:
            while (message := self._parser.get_next_message()) is None:
                try:
                    self._parser.add_data(self._read(deadline, ""))
                except TimeoutError:
                    return None
        except (ValueError, IndexError, KeyError) as error:
            raise BusError(f"the {self._address} bus speaks no D-Bus") from error
        fields = message.header.fields
        if message.header.message_type is MessageType.signal:
            names = (HeaderFields.sender, HeaderFields.path, HeaderFields.interface, HeaderFields.member)
            if tuple(fields.get(name) for name in names) in self._listened:
                self._signals.append(Signal(str(fields[HeaderFields.member]), tuple(message.body)))
        return message

    def _read(self, deadline: float, what: str) -> bytes:
        self._wait(select.POLLIN, deadline, what)
        try:
            data = self._socket.recv(_CHUNK)
        except OSError as error:
            raise self._gone() from error
        if not data:
            raise self._gone()
        return data

    def _wait(self, event: int, deadline: float, what: str) -> None:
        """Wait until the socket can be read or written; without `what` the end of the time is a `TimeoutError`."""
        poll = select.poll()
        poll.register(self._socket, event)
        while not poll.poll(0):
            self._look(deadline, what)
            poll.poll(max(min(deadline - time.monotonic(), _TICK_S), 0) * 1000)
        self._look(float("inf"), what)

    def _look(self, deadline: float, what: str) -> None:
        if self._canceled.is_set():
            raise CanceledError(f"waiting on the {self._address} bus was canceled")
        if time.monotonic() >= deadline:
            raise BusError(f"{what}: no answer in time") if what else TimeoutError

    def _gone(self) -> BusError:
        return BusError(f"the {self._address} bus went away")


def _socket_path(address: str) -> str:
    from jeepney.bus import get_bus

    names = {"system": "SYSTEM", "session": "SESSION"}
    try:
        return str(get_bus(names.get(address, address)))
    except KeyError as error:
        raise BusError("there is no session bus: DBUS_SESSION_BUS_ADDRESS is not set") from error
    except (RuntimeError, ValueError) as error:
        raise BusError(f"{address!r} is no address of a bus that can be reached: unix:path=… is") from error


def _word(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return shown if len(shown) <= _LONGEST_WORD else f"{shown[:_LONGEST_WORD]}…"
