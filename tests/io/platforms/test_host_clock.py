"""The machine's clocks: which way they are set, and what is done where one may not be. None is really set."""

import errno
import fcntl
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support import peers
from support.fake_clocks import FakeClocks
from support.system_programs import SystemPrograms

from everest_system.io.platforms.host_clock import HostClock, Kernel
from everest_system.io.platforms.ntp import timedateds_word
from everest_system.io.platforms.port import PlatformError

NEVER = threading.Event()
TO = datetime(2030, 2, 3, 5, 5, 6, 700000, timezone(timedelta(hours=1)))
FORBIDDEN = PermissionError(errno.EPERM, "Operation not permitted")


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A hardware clock, as far as anybody may tell."""
    (tmp_path / "rtc0").touch()
    return tmp_path / "rtc0"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SystemPrograms:
    """The system's programs, all of them harmless."""
    return SystemPrograms(tmp_path, monkeypatch)


def test_both_clocks(device: Path, programs: SystemPrograms) -> None:
    """Where the kernel lets us it is asked, and the hardware clock follows; nobody else is."""
    clocks = FakeClocks()
    HostClock(device, clocks, adjtime=Path("/nowhere")).set(TO, canceled=NEVER)
    assert (clocks.clock, clocks.hardware) == ([TO], [(device, TO)])
    assert programs.told("busctl") == []


@pytest.mark.parametrize("missing", [None, Path("/nowhere/rtc0")])
def test_no_hardware_clock(missing: Path | None) -> None:
    """A machine without a hardware clock has no less of a clock."""
    clocks = FakeClocks()
    HostClock(missing, clocks).set(TO, canceled=NEVER)
    assert (clocks.clock, clocks.hardware) == ([TO], [])


@pytest.mark.parametrize(
    ("adjtime", "is_set"),
    [("0.0 0 0.0\n0\nLOCAL\n", False), ("0.0 0 0.0\n0\nUTC\n", True), ("", True), ("LOCAL\n", True)],
)
def test_hardware_clock_in_local_time(adjtime: str, is_set: bool, device: Path, tmp_path: Path) -> None:
    """Where the hardware clock is kept in local time it is left alone, and that is told."""
    clocks, file = FakeClocks(), tmp_path / "adjtime"
    file.write_text(adjtime)
    with capture_logs() as lines:
        HostClock(device, clocks, adjtime=file).set(TO, canceled=NEVER)
    assert (len(clocks.clock), len(clocks.hardware)) == (1, int(is_set))
    assert [line["log_level"] for line in lines] == ([] if is_set else ["warning"])


def test_hardware_clock_that_may_not_be_set(device: Path) -> None:
    """The clock is set all the same; the log says that the other one is not."""
    clocks = FakeClocks(hardware_refuses=PermissionError(errno.EACCES, "Permission denied"))
    with capture_logs() as lines:
        HostClock(device, clocks, adjtime=Path("/nowhere")).set(TO, canceled=NEVER)
    assert clocks.clock == [TO]
    assert [line["event"] for line in lines] == [f"{device} was not set: Permission denied"]


def test_a_time_that_the_kernel_does_not_take() -> None:
    """Anything but a missing right is a failure, and nobody else is asked."""
    clocks = FakeClocks(OSError(errno.EINVAL, "Invalid argument"))
    with pytest.raises(PlatformError, match=r"^the clock cannot be set: Invalid argument$"):
        HostClock(None, clocks).set(TO, canceled=NEVER)


# --- timedated ---


def test_without_the_right(device: Path, programs: SystemPrograms) -> None:
    """Without CAP_SYS_TIME timedated is told how far the clock is off; the hardware clock is its affair too."""
    clocks = FakeClocks(FORBIDDEN)
    ahead = timedelta(days=-3, microseconds=-5)
    HostClock(device, clocks).set(datetime.now(UTC) + ahead, canceled=NEVER)
    ((*words, change, relative, interactive),) = programs.told("busctl")
    assert words == [
        "--system", "call", "--", "org.freedesktop.timedate1", "/org/freedesktop/timedate1",
        "org.freedesktop.timedate1", "SetTime", "xbb",
    ]  # fmt: skip
    assert (relative, interactive) == ("true", "false")
    assert timedelta(0) <= ahead - timedelta(microseconds=int(change)) < timedelta(seconds=5)
    assert clocks.hardware == []


def test_timedated_refuses(programs: SystemPrograms) -> None:
    """Its word is the reason."""
    programs.add("busctl", "echo 'Call failed: Automatic time synchronization is enabled' >&2", "exit 1")
    with pytest.raises(PlatformError, match=r"^timedated, .*: Call failed: Automatic time synchronization is enabled$"):
        HostClock(None, FakeClocks(FORBIDDEN)).set(TO, canceled=NEVER)


def test_timedated_on_a_real_bus(tmp_path: Path, programs: SystemPrograms) -> None:
    """The real busctl says, on a bus of the test's own, what timedated's interface wants to hear."""
    busctl = peers.require("busctl", shutil.which("busctl", path="/usr/bin:/bin"), "what timedated is told")
    daemon = peers.require("dbus-daemon", shutil.which("dbus-daemon", path="/usr/bin:/bin"), "what timedated is told")
    peers.require("jeepney", find_spec("jeepney"), "what timedated is told")
    with private_bus(daemon, tmp_path) as address, FakeTimedated(address) as timedated:
        # In place of the system's bus; the argument that names that one is left out.
        programs.add("busctl", "shift", f'exec {busctl} --address={address} "$@"')
        HostClock(None, FakeClocks(FORBIDDEN)).set(datetime.now(UTC) - timedelta(hours=1), canceled=NEVER)
        ((change, relative, interactive),) = timedated.calls
        assert -3_605_000_000 < change <= -3_600_000_000
        assert (relative, interactive) == (True, False)
        for timedated.synchronized in (True, False):
            assert timedateds_word() is timedated.synchronized
        timedated.refusal = "Automatic time synchronization is enabled"
        with pytest.raises(PlatformError, match="Automatic time synchronization is enabled"):
            HostClock(None, FakeClocks(FORBIDDEN)).set(TO, canceled=NEVER)


@contextmanager
def private_bus(daemon: str, folder: Path) -> Iterator[str]:
    """A D-Bus daemon of the test's own; its address."""
    config = folder / "bus.conf"
    config.write_text(
        f"<busconfig><listen>unix:path={folder}/bus</listen><policy context='default'>"
        "<allow send_destination='*'/><allow own='*'/><allow receive_sender='*'/></policy></busconfig>"
    )
    with subprocess.Popen([daemon, f"--config-file={config}", "--nofork", "--print-address"], stdout=-1) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.terminate()


class FakeTimedated:
    """Owns timedated's name on a bus, and answers SetTime and whether the clock is synchronized.

    Attributes:
        calls: the arguments of each, in order.
        synchronized: whether NTP keeps the clock.
        refusal: the error to answer with; "": it is done.
    """

    def __init__(self, address: str) -> None:
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import open_dbus_connection

        self.calls: list[tuple[Any, ...]] = []
        self.refusal, self.synchronized = "", False
        self._bus = open_dbus_connection(address)
        self._bus.send_and_get_reply(message_bus.RequestName("org.freedesktop.timedate1"))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "FakeTimedated":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)
        self._bus.close()

    def _serve(self) -> None:
        from jeepney import HeaderFields, MessageType, new_error, new_method_return

        while not self._ended.is_set():
            try:
                message = self._bus.receive(timeout=0.1)
            except TimeoutError:
                continue
            if message.header.message_type is not MessageType.method_call:
                continue
            if message.header.fields[HeaderFields.member] == "Get":
                assert message.body == ("org.freedesktop.timedate1", "NTPSynchronized")
                self._bus.send(new_method_return(message, "v", (("b", self.synchronized),)))
                continue
            assert message.header.fields[HeaderFields.member] == "SetTime"
            assert message.header.fields[HeaderFields.signature] == "xbb"
            self.calls.append(message.body)
            error = "org.freedesktop.timedate1.AutomaticTimeSyncEnabled"
            self._bus.send(
                new_error(message, error, "s", (self.refusal,)) if self.refusal else new_method_return(message)
            )


# --- the kernel's calls ---


def test_clock_settime(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is told the time to the microsecond."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(time, "clock_settime_ns", lambda clock, ns: told.append((clock, ns)))
    Kernel().set_clock(TO)
    assert told == [(time.CLOCK_REALTIME, int(TO.timestamp()) * 10**9 + 700_000_000)]


def test_clock_settime_without_the_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time that does not fit into the kernel's is refused like any other."""

    def refuse(_clock: int, _ns: int) -> None:
        raise OverflowError

    monkeypatch.setattr(time, "clock_settime_ns", refuse)
    with pytest.raises(PlatformError, match="Value too large"):
        HostClock(None, Kernel()).set(TO, canceled=NEVER)


def test_hardware_clock(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hardware clock is set in UTC, as `struct rtc_time` has it, and its device is closed again."""
    told: list[tuple[str, int, bytes]] = []

    def ioctl(opened: int, number: int, fields: bytes) -> None:
        told.append((str(Path(f"/proc/self/fd/{opened}").readlink()), number, fields))

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    before = len(list(Path("/proc/self/fd").iterdir()))
    Kernel().set_hardware_clock(device, TO)
    ((name, number, fields),) = told
    assert (name, number & 0xFFFF, number >> 16 & 0x3FFF) == (str(device), 0x700A, 36)
    assert struct.unpack("9i", fields) == (6, 5, 4, 3, 1, 130, 0, 0, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_is_no_hardware_clock(device: Path) -> None:
    """A file that is no clock refuses."""
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        Kernel().set_hardware_clock(device, TO)
