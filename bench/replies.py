"""How long EVerest waits for a reply: the service beside a bare paho echo, idle and while it works at full speed."""

import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from time import monotonic, sleep

from bench import bare_store, load, service
from bench.broker import Mosquitto
from bench.caller import Caller, Trip
from bench.figures import HEAD, Spread, compared, table, verdict

PROMISED_MS = 50
"""99 of 100 replies come within this, whatever is going on."""

IDLE_TRIPS = 1500
LOADED_TRIPS = 3000
LONGEST_S = 60.0
_WARM_UP = 300
_PATIENCE_S = 10.0


def run(folder: Path) -> None:
    """Take and print the figures.

    Raises:
        AbsentError: there is no mosquitto on this machine.
        RuntimeError: something did not work as it should.
    """
    served, logs = folder / "served", folder / "logs"
    served.mkdir()
    logs.mkdir()
    load.write_files(served, logs)
    port_file = folder / "port"
    with (
        Mosquitto(folder) as broker,
        service.Process([sys.executable, "-m", "bench.peer", str(broker.port), "echo"], folder / "echo.log"),
        service.Process([sys.executable, "-m", "bench.file_server", str(served), str(port_file)], folder / "files.log"),
        service.service(service.write_config(folder, broker.port, service.MODULES, f"{logs}/*")) as station,
        load.Load(broker.port, f"http://127.0.0.1:{read_port(port_file)}/") as work,
        Caller(broker.port, service.MODULES[0]) as caller,
    ):
        caller.take(lambda trips: len(trips) >= _WARM_UP)
        idle = caller.take(lambda trips: len(trips) >= IDLE_TRIPS)
        before_kib, _ = station.resident_kib()
        work.begin()
        deadline = monotonic() + LONGEST_S
        with bare_store.Commits(folder / "bare.db") as commits:
            loaded = caller.take(
                lambda trips: len(_all_at_once(trips)) >= LOADED_TRIPS or monotonic() > deadline,
                work.busy_with,
            )
        busy_kib, _ = station.resident_kib()
    _print(idle, loaded)
    disk = Spread.of(commits.took)
    print(
        f"a bare sqlite3 commit on the same disk under this load: p50 {disk.p50 * 1e3:.1f} ms,"
        f" p99 {disk.p99 * 1e3:.1f} ms, max {disk.worst * 1e3:.1f} ms, {disk.count} of them"
    )
    for kind, (times, seconds) in work.done.items():
        size_mib = load.LOGS_MIB if kind in {"collect", "upload"} else load.IMAGE_MIB
        rate = f", {times * size_mib / seconds:.0f} MiB/s on average" if times else ""
        print(f"{kind}: {times} times {size_mib} MiB{rate}")
    print(f"resident memory of the service: {before_kib / 1024:.1f} MiB before, {busy_kib / 1024:.1f} MiB at work")
    worst = Spread.of([trip.took for trip in loaded if trip.name != "echo" and trip.took is not None]).p99
    print(verdict("99 of 100 replies under all of this load", worst * 1e3, PROMISED_MS, "ms"))


def _print(idle: Sequence[Trip], loaded: Sequence[Trip]) -> None:
    blocks = {"idle": list(idle), "under load, whatever of it": list(loaded)}
    blocks |= {f"during {kind}, others beside it": _while(loaded, (kind,)) for kind in load.KINDS}
    blocks["download, install and log upload at once"] = _all_at_once(loaded)
    lines: list[list[str]] = []
    for name, trips in blocks.items():
        lines += [[name, *[""] * 7], *rows(trips)]
    print(table(HEAD, lines))


def rows(trips: Sequence[Trip]) -> Iterable[list[str]]:
    """The lines of a table: the echo, and each of our replies beside it."""
    names = ("is_reset_allowed", "get_boot_reason")
    figures = {name: [trip.took for trip in trips if trip.name == name and trip.took] for name in (*names, "echo")}
    if not all(figures.values()):
        return [["  too short to tell", *[""] * 7]]
    echo = Spread.of(figures["echo"])
    return [compared("  bare paho echo", echo, None)] + [
        compared(f"  {name}", Spread.of(figures[name]), echo) for name in names
    ]


def _while(trips: Sequence[Trip], kinds: Collection[str]) -> list[Trip]:
    return [trip for trip in trips if trip.busy_with.issuperset(kinds)]


def _all_at_once(trips: Sequence[Trip]) -> list[Trip]:
    """A log upload means collecting as well as sending: sending alone takes a second a GiB."""
    both = _while(trips, ("download", "install"))
    return [trip for trip in both if trip.busy_with & {"collect", "upload"}]


def read_port(port_file: Path) -> int:
    """Wait for the file server to start, and return its port.

    Raises:
        RuntimeError: it did not start within 10 s.
    """
    deadline = monotonic() + _PATIENCE_S
    while not port_file.exists():
        if monotonic() > deadline:
            raise RuntimeError("the file server does not start")
        sleep(0.02)
    return int(port_file.read_text())
