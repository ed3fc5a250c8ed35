"""A connection to a D-Bus: what is called, what is heard, and what goes wrong with either."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.dbus_peers import BusService, PrivateBus, ServiceError
from support.machine_time import machine_time

from everest_system.fsm.errors import CanceledError
from everest_system.io.dbus import DAEMON, Bus, BusError, CallError, Signal, plain

CLOCK = "org.example.Clock"
CANCEL_S = 0.2
SLACK_S = 1.0  # the machine may be busy


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBus]:
    """A real bus of our own."""
    with PrivateBus(tmp_path_factory.mktemp("bus")) as bus:
        yield bus


@pytest.fixture
def clock(daemon: PrivateBus) -> Iterator[BusService]:
    """Somebody to call."""
    with BusService(daemon.address, CLOCK) as service:
        yield service


@pytest.fixture
def bus(daemon: PrivateBus) -> Iterator[Bus]:
    """A connection."""
    with Bus(daemon.address) as bus:
        yield bus


@contextmanager
def canceled_soon(after_s: float = 0.1) -> Iterator[threading.Event]:
    """An event that is set a little later."""
    canceled = threading.Event()
    timer = threading.Timer(after_s, canceled.set)
    timer.start()
    yield canceled
    timer.join()


@contextmanager
def false_bus(tmp_path: Path, talk: Callable[[socket.socket], object]) -> Iterator[str]:
    """The address of what takes a connection, talks as given, and is silent then."""
    path = tmp_path / "false"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"unix:path={path}"
        thread.join(10)


def test_values_there_and_back(bus: Bus, clock: BusService) -> None:
    """What a method is given arrives, and what it returns comes back."""
    clock.do("Set", lambda text, options: ("sa{sv}", (text.upper(), options)))
    text, options = bus.call(CLOCK, "/", CLOCK, "Set", "sa{sv}", "noon", {"force": ("b", True)}, timeout_s=5)
    assert text == "NOON"
    assert plain(options) == {"force": True}
    assert clock.calls == [("Set", ("noon", {"force": ("b", True)}))]


def test_long_values(bus: Bus, clock: BusService) -> None:
    """A message longer than what a socket holds gets there in pieces, and back."""
    clock.do("Echo", lambda text: ("s", (text,)))
    text = "x" * (4 << 20)
    assert bus.call(CLOCK, "/", CLOCK, "Echo", "s", text, timeout_s=20) == (text,)


def test_properties(bus: Bus, clock: BusService) -> None:
    """All properties come at once, without their variants."""
    clock.properties = {"Zone": ("s", "UTC"), "Drift": ("(id)", (3, 0.5))}
    assert bus.properties(CLOCK, "/", CLOCK, timeout_s=5) == {"Zone": "UTC", "Drift": (3, 0.5)}


def test_answer_that_is_an_error(bus: Bus, clock: BusService) -> None:
    """An error comes with its name and its text, in one line of bounded length."""

    def stop() -> tuple[str, tuple[object, ...]]:
        raise ServiceError("org.example.Broken", "the spring\nbroke" + "!" * 1000)

    clock.do("Wind", stop)
    with pytest.raises(CallError, match=r"^org\.example\.Clock Wind: the spring broke!") as caught:
        bus.call(CLOCK, "/", CLOCK, "Wind", timeout_s=5)
    assert caught.value.name == "org.example.Broken"
    assert len(caught.value.text) == 401


def test_nobody_there(bus: Bus) -> None:
    """Who is not on the bus and cannot be started is told by the error's name."""
    for ask in (
        lambda: bus.call("org.example.Nobody", "/", CLOCK, "Now", timeout_s=5),
        lambda: bus.owner("org.example.Nobody", start=True),
    ):
        with pytest.raises(CallError) as caught:
            ask()
        assert caught.value.name == "org.freedesktop.DBus.Error.ServiceUnknown"
    with pytest.raises(CallError, match="no such name"):
        bus.owner("org.example.Nobody")


_SERVICE = """
import sys
from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection
daemon = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
connection = open_dbus_connection(sys.argv[1])
connection.send_and_get_reply(new_method_call(daemon, "RequestName", "su", (sys.argv[2], 0)))
try:
    while True:
        connection.receive()
except OSError:
    pass
"""


def test_somebody_who_has_to_be_started(tmp_path: Path) -> None:
    """Who is not there, and is known to the bus, is started if that is asked for, and has a name of his own then."""
    daemon = PrivateBus(tmp_path)
    (tmp_path / "service.py").write_text(_SERVICE)
    daemon.can_start(CLOCK, sys.executable, str(tmp_path / "service.py"), daemon.address, CLOCK)
    with daemon, Bus(daemon.address) as bus:
        with pytest.raises(CallError, match="no such name"):
            bus.owner(CLOCK)
        name = bus.owner(CLOCK, start=True)
        assert name.startswith(":")
        assert bus.owner(CLOCK) == bus.owner(CLOCK, start=True) == name


def test_signals_that_nobody_asked_for_yet(bus: Bus, clock: BusService) -> None:
    """Signals can be forgotten up to an answer."""
    bus.listen(CLOCK, "/", CLOCK, "Ticked")
    clock.answer("Now", "s", "12:00")
    clock.say("Ticked", "u", 1)
    bus.call(CLOCK, "/", CLOCK, "Now", timeout_s=5)
    bus.drop_signals()
    clock.say("Ticked", "u", 2)
    assert bus.signal(5) == Signal("Ticked", (2,))


def test_no_answer(bus: Bus, clock: BusService) -> None:
    """Who does not answer in time is given up; his answer is no answer to the next call."""
    go = threading.Event()
    clock.do("Think", lambda: ("b", (go.wait(10),)))
    clock.answer("Now", "s", "12:00")
    with pytest.raises(BusError, match=r"Think: no answer within 0\.1 s"):
        bus.call(CLOCK, "/", CLOCK, "Think", timeout_s=0.1)
    go.set()
    assert bus.call(CLOCK, "/", CLOCK, "Now", timeout_s=5) == ("12:00",)


def test_gone_in_the_middle(bus: Bus, daemon: PrivateBus) -> None:
    """Who leaves the bus while he is called has not answered."""
    with BusService(daemon.address, CLOCK) as clock:
        clock.do("Die", clock.hang_up)
        with pytest.raises(CallError) as caught:
            bus.call(CLOCK, "/", CLOCK, "Die", timeout_s=5)
        assert caught.value.name == "org.freedesktop.DBus.Error.NoReply"


def test_canceled_call(daemon: PrivateBus, clock: BusService) -> None:
    """A call ends soon after it is canceled."""
    go = threading.Event()
    clock.do("Think", lambda: ("b", (go.wait(10),)))
    with canceled_soon() as canceled, Bus(daemon.address, canceled=canceled) as bus:
        begun = machine_time()
        with pytest.raises(CanceledError):
            bus.call(CLOCK, "/", CLOCK, "Think", timeout_s=30)
        assert machine_time() - begun < CANCEL_S + SLACK_S
    go.set()


def test_signals_in_their_order(bus: Bus, clock: BusService) -> None:
    """What is listened for comes in its order, also what came beside an answer; nothing else does."""
    bus.listen(CLOCK, "/", CLOCK, "Ticked")
    clock.answer("Now", "s", "12:00")
    clock.say("Rang")
    clock.say("Ticked", "u", 1)
    clock.say("Ticked", "u", 2)
    assert bus.call(CLOCK, "/", CLOCK, "Now", timeout_s=5) == ("12:00",)
    assert [bus.signal(5), bus.signal(5)] == [Signal("Ticked", (1,)), Signal("Ticked", (2,))]
    assert bus.signal(0.05) is None


def test_signal_of_somebody_else(bus: Bus, daemon: PrivateBus, clock: BusService) -> None:
    """A signal that a stranger sends us straight is not his whom we listen to."""
    bus.listen(CLOCK, "/", CLOCK, "Ticked")
    with BusService(daemon.address, "org.example.Stranger", interface=CLOCK) as stranger:
        with Bus(daemon.address) as other:
            names = other.call(DAEMON, "/org/freedesktop/DBus", DAEMON, "ListNames", timeout_s=5)[0]
        for name in names:
            if name.startswith(":"):
                stranger.say("Ticked", "u", 666, to=name)
        stranger.answer("Done")
        with Bus(daemon.address) as other:
            other.call("org.example.Stranger", "/", CLOCK, "Done", timeout_s=5)
    clock.say("Ticked", "u", 1)
    assert bus.signal(5) == Signal("Ticked", (1,))


def test_end_of_the_bus(tmp_path: Path) -> None:
    """A bus that goes away is told as that, whatever one waits for."""
    with PrivateBus(tmp_path) as daemon, Bus(daemon.address) as bus:
        daemon.kill()
        with pytest.raises(BusError, match="went away"):
            bus.signal(5)
        with pytest.raises(BusError, match="went away"):
            bus.call(CLOCK, "/", CLOCK, "Now", timeout_s=5)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("unix:path=/nowhere/bus", r"^the unix:path=/nowhere/bus bus cannot be reached: No such file or directory$"),
        ("unix:path=" + "x" * 200, "too long"),
        ("tcp:host=localhost", "is no address of a bus that can be reached"),
        ("nonsense", "is no address of a bus that can be reached"),
        ("session", "DBUS_SESSION_BUS_ADDRESS is not set"),
    ],
)
def test_no_bus(address: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no bus, the error says which one."""
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    with pytest.raises(BusError, match=why):
        Bus(address)


@pytest.mark.parametrize("name", ["system", "session"])
def test_buses_by_name(daemon: PrivateBus, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two buses of a machine are found as every program finds them."""
    monkeypatch.setenv(f"DBUS_{name.upper()}_BUS_ADDRESS", daemon.address)
    with Bus(name) as bus:
        assert bus.owner(DAEMON) == DAEMON


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (b"", "no answer in time"),
        (b"REJECTED EXTERNAL\r\n", "does not let us in"),
        (b"x" * 9000, "does not let us in"),
        (b"OK 1234\r\n", "no answer within"),
    ],
)
def test_bus_that_is_none(tmp_path: Path, words: bytes, why: str) -> None:
    """What listens there and is no bus is given up in time."""
    done = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(words)
        done.wait(10)

    with false_bus(tmp_path, talk) as address:
        with pytest.raises(BusError, match=why):
            Bus(address, timeout_s=0.3)
        done.set()


def test_bus_that_talks_nonsense(tmp_path: Path) -> None:
    """What lets us in and then speaks something else is told as that."""
    done = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"OK 1234\r\n")
        connection.recv(1024)
        connection.sendall(b"l\x63" + bytes(30))
        done.wait(10)

    with false_bus(tmp_path, talk) as address:
        with pytest.raises(BusError, match="speaks no D-Bus"):
            Bus(address, timeout_s=5)
        done.set()


def test_bus_that_hangs_up(tmp_path: Path) -> None:
    """What takes the connection and drops it has gone away."""
    with false_bus(tmp_path, lambda _: None) as address, pytest.raises(BusError, match="went away"):
        Bus(address, timeout_s=5)


def test_bus_too_busy_to_let_us_in(tmp_path: Path) -> None:
    """Where too many wait before us, a cancel ends our waiting too."""
    path = str(tmp_path / "full")
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(path)
        server.listen(0)
        with closing(socket.socket(socket.AF_UNIX)) as first:
            first.connect(path)
            with canceled_soon() as canceled, pytest.raises(CanceledError):
                Bus(f"unix:path={path}", canceled=canceled, timeout_s=30)
            with pytest.raises(BusError, match="no answer in time"):
                Bus(f"unix:path={path}", timeout_s=0.1)
