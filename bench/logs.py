"""Logs collected into an archive, beside `tar czf` of the same folder: time, length, memory.

The text is made by a seeded generator in the manner of EVerest's own logs: modules, OCPP messages, measured values. It
is written once and lies in the page cache for both. Ours is what the service starts, the process of its own included,
with the masks that it has by default. It runs at the lowest priority, and so does its peer here: on a machine with
other work the wall clock would say how much of that there is. Each of ours is compared with the peer just before it.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

from bench.broker import AbsentError
from bench.figures import table, verdict
from everest_system.io.logs.collect_request import CollectRequest
from everest_system.io.logs.collector import collect_apart
from everest_system.io.logs.masking import AUTHORIZATION, PASSWORDS
from everest_system.io.logs.sources import LogSource
from everest_system.io.logs.window import LogWindow

SIZE_MIB = int(os.environ.get("EVEREST_BENCH_LOGS_MIB", "1024"))
FILE_MIB = 64
ROUNDS = 5
PROMISED_SPEED = 8
PROMISED_LENGTH = 1.15
PROMISED_MEMORY_MIB = 32
SEED = 5

_LOW = ("nice", "-n", "19", "ionice", "-c", "3")


def run(folder: Path) -> None:
    """Take and print the figures.

    Raises:
        AbsentError: a program is not on this machine, or too little room.
    """
    for program in ("tar", "gzip", "nice", "ionice"):
        if shutil.which(program) is None:
            raise AbsentError(f"{program} is not on this machine")
    if shutil.disk_usage(folder).free < (SIZE_MIB * 3 << 20) // 2:
        raise AbsentError(f"{SIZE_MIB} MiB of logs and their archives do not fit on this disk")
    logs = folder / "logs"
    make_logs(logs, SIZE_MIB)
    ours, theirs, peaks = [], [], []
    for _ in range(ROUNDS):
        with _timed(theirs):
            subprocess.run([*_LOW, "tar", "czf", folder / "theirs.tar.gz", "-C", folder, "logs"], check=True)
        with _timed(ours):
            length, peak = _ours(logs, folder / "spool")
        peaks.append(peak)
    their_length = (folder / "theirs.tar.gz").stat().st_size
    rows = [
        ["ours", *_middle(ours), f"{length / 1e6:.1f}", f"{max(peaks):.1f}"],
        ["tar czf", *_middle(theirs), f"{their_length / 1e6:.1f}", ""],
    ]
    print(table((f"{SIZE_MIB} MiB of logs, median of {ROUNDS}", "wall s", "CPU s", "MB", "peak MiB"), rows))
    for name, place in (("wall clock", 0), ("CPU time", 1)):
        shares = [mine[place] / other[place] for mine, other in zip(ours, theirs, strict=True)]
        share = statistics.median(shares)
        speeds = ", ".join(f"x{1 / one:.1f}" for one in shares)
        print(f"{name}, times faster than tar czf beside it, in each round: {speeds}")
        print(verdict(f"{name} beside tar czf (x{1 / share:.1f} faster),", share, 1 / PROMISED_SPEED, "of theirs"))
    print(verdict("length beside tar czf,", length / their_length, PROMISED_LENGTH, "of theirs"))
    print(verdict("peak memory of the collector, above the idle service,", max(peaks), PROMISED_MEMORY_MIB, "MiB"))


@contextmanager
def _timed(took: list[tuple[float, float]]) -> Iterator[None]:
    """Note wall clock and CPU seconds, ours and those of children that end."""
    begun, begun_cpu = monotonic(), _cpu_s()
    yield
    took.append((monotonic() - begun, _cpu_s() - begun_cpu))


def _cpu_s() -> float:
    return sum(os.times()[:4])


def _middle(took: list[tuple[float, float]]) -> list[str]:
    return [f"{statistics.median(one[place] for one in took):.2f}" for place in (0, 1)]


def _ours(logs: Path, spool: Path) -> tuple[int, float]:
    """Bytes, and the most memory in MiB that the collector's process held (the kernel's VmHWM)."""
    request = CollectRequest(
        LogSource((f"{logs}/**/*",)),
        LogWindow(),
        spool,
        "ours.tar.gz",
        max_size_bytes=1 << 40,
        masks=(PASSWORDS, AUTHORIZATION),
    )
    peak = 0.0

    def look(_done: int, _total: int) -> None:
        nonlocal peak
        peak = max(peak, _held_mib())

    collected = collect_apart(request, canceled=threading.Event(), on_progress=look)
    return collected.length, peak


def _held_mib() -> float:
    """The peak of our only child, as far as it has come."""
    held = 0
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            status = Path(f"/proc/{child}/status").read_text()
            held += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return held / 1024


def make_logs(folder: Path, size_mib: int) -> None:
    """Write that much text, in files of `FILE_MIB` as a rotation leaves them."""
    folder.mkdir()
    dice = random.Random(SEED)
    time = datetime(2026, 11, 22, tzinfo=UTC)
    for number in range(-(-size_mib // FILE_MIB)):
        left = min(FILE_MIB, size_mib - number * FILE_MIB) << 20
        with (folder / f"everest.log.{number}").open("w") as file:
            while left > 0:
                lines = []
                for _ in range(2000):
                    time += timedelta(microseconds=dice.randrange(200_000))
                    lines.append(_line(dice, time))
                text = "".join(lines)
                left -= file.write(text)


def _line(dice: random.Random, time: datetime) -> str:
    connector = dice.randint(1, 4)
    stamp = f"{time:%Y-%m-%d %H:%M:%S.%f}"
    kind = dice.random()
    if kind < 0.45:
        current = ", ".join(f"{dice.uniform(0, 32):.2f}" for _ in range(3))
        return (
            f"{stamp} [DEBG] evse_manager_{connector} :: power meter {dice.uniform(0, 22000):.1f} W, "
            f"currents [{current}] A, energy {dice.uniform(0, 1e6):.1f} Wh\n"
        )
    if kind < 0.65:
        message = [
            2,
            f"{dice.getrandbits(128):032x}",
            "MeterValues",
            {
                "evseId": connector,
                "meterValue": [{"timestamp": f"{time:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z", "sampledValue": [
                    {"value": round(dice.uniform(0, 32), 2), "measurand": "Current.Import", "phase": f"L{phase}"}
                    for phase in (1, 2, 3)
                ]}],
            },
        ]  # fmt: skip
        return f"{stamp} [INFO] ocpp:OCPP201 :: ChargePoint>CSMS: {json.dumps(message)}\n"
    if kind < 0.85:
        state = dice.choice(["Idle", "Waiting for authorization", "Charging", "Charging paused EV", "Finished"])
        return (
            f"{stamp} [INFO] evse_manager_{connector} :: \N{WHITE HEAVY CHECK MARK} IEC {state} "
            f"session {dice.getrandbits(64):016x}\n"
        )
    if kind < 0.97:
        data = f"{dice.getrandbits(256):064x}"
        return f"{stamp} [DEBG] iso15118_charger_{connector} :: EXI {data} took {dice.randint(1, 90)} ms\n"
    peer = f"10.0.{dice.randrange(8)}.{dice.randrange(256)}"
    return (
        f"{stamp} [WARN] ocpp:OCPP201 :: connection to wss://csms.example/{peer} lost after {dice.randrange(9999)} s\n"
    )
