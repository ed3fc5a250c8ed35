"""How long EVerest waits for a reply while 1 GiB of logs is collected: the service beside a bare paho echo, and idle.

The logs are those of `logs`, so the collector has all the work that it ever has: reading, masking, compressing. Nothing
else goes on: what a reply costs beside downloads and installations too is told by `replies`.
"""

import sys
from pathlib import Path
from time import monotonic
from typing import Final

from bench import load, logs, service
from bench.broker import Mosquitto
from bench.caller import Caller
from bench.figures import HEAD, Spread, table, verdict
from bench.replies import PROMISED_MS, read_port, rows

TRIPS: Final = 1500
LONGEST_S: Final = 120.0
_WARM_UP: Final = 300


def run(folder: Path) -> None:
    """Take and print the figures.

    Raises:
        AbsentError: there is no mosquitto on this machine.
        RuntimeError: something did not work as it should.
    """
    served, texts = folder / "served", folder / "logs"
    served.mkdir()
    port_file = folder / "port"
    with Mosquitto(folder) as broker:
        logs.make_logs(texts, logs.SIZE_MIB)
        config = service.write_config(folder, broker.port, service.MODULES, f"{texts}/*")
        with (
            service.Process([sys.executable, "-m", "bench.peer", str(broker.port), "echo"], folder / "echo.log"),
            service.Process(
                [sys.executable, "-m", "bench.file_server", str(served), str(port_file)], folder / "files.log"
            ),
            service.service(config),
            load.Load(broker.port, f"http://127.0.0.1:{read_port(port_file)}/") as work,
            Caller(broker.port, service.MODULES[0]) as caller,
        ):
            caller.take(lambda trips: len(trips) >= _WARM_UP)
            idle = caller.take(lambda trips: len(trips) >= TRIPS)
            work.begin(("upload",))
            deadline = monotonic() + LONGEST_S
            all_of_it = caller.take(
                lambda trips: sum("collect" in trip.busy_with for trip in trips) >= TRIPS or monotonic() > deadline,
                work.busy_with,
            )
    collecting = [trip for trip in all_of_it if "collect" in trip.busy_with]
    blocks = {"idle": idle, f"while {logs.SIZE_MIB} MiB of logs are collected": collecting}
    lines = [line for name, trips in blocks.items() for line in ([name, *[""] * 7], *rows(trips))]
    print(table(HEAD, lines))
    times, seconds = work.done["collect"]
    print(f"collected: {times} times, {seconds / max(times, 1):.1f} s each")
    worst = Spread.of([trip.took for trip in collecting if trip.name != "echo" and trip.took is not None])
    print(verdict("99 of 100 replies while logs are collected", worst.p99 * 1e3, PROMISED_MS, "ms"))
