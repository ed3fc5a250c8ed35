"""Five minutes out of a sorted log, beside `wc -l` of it: what it takes to find them and to read them.

`EVEREST_BENCH_LOG_GIB` says how large the log is: 1 GiB without it, and the promise is of 10 GiB. It is written as
EVerest writes its own, 20 lines a second, and has no holes. Both are taken with the file in memory, and with none of it
there. The archive's compression is not part of it.
"""

import os
import random
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic

from bench.broker import AbsentError
from bench.figures import table, verdict
from everest_system.io.logs.log_file import LogFile, Selection
from everest_system.io.logs.window import LogWindow

PROMISED_PERCENT = 1.0
PROMISED_GIB = 10
LINES_A_SECOND = 20
WINDOW = timedelta(minutes=5)
ROUNDS = 5

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_SEED = 5
_MODULES = ("manager", "evse_manager_1", "evse_manager_2", "ocpp", "energy_manager", "iso15118_car", "token_validator")
_TEXTS = (
    "Received message on everest/modules/{}/impl/main/var: {{}}",
    "Power meter: {}.{} V, {}.{} A, {} Wh",
    "EVSE IEC Set PWM On ({}.5%) took {} ms",
    "CAR ISO V2G CurrentDemandReq: present voltage {}, target current {}",
    "Published limits of energy node {}: {} A of {} A",
)


def run(folder: Path) -> None:
    """Take and print the figures.

    Raises:
        AbsentError: there is no wc on this machine.
        RuntimeError: what was found is not what was asked for.
    """
    if shutil.which("wc") is None:
        raise AbsentError("wc is not on this machine")
    gib = float(os.environ.get("EVEREST_BENCH_LOG_GIB", "1"))
    log = folder / "everest.log"
    seconds = _write(log, int(gib * 1024**3))
    rows, percents = [], {}
    for name, prepare in (("in memory", _load), ("on the disk", _drop)):
        theirs = _median(partial(_wc, log), log, prepare)
        for place in (0.1, 0.5, 0.9):
            ours = _median(
                lambda place=place: _ours(log, _BEGIN + timedelta(seconds=int(seconds * place))), log, prepare
            )
            percents[name] = max(percents.get(name, 0.0), 100 * ours / theirs)
            rows.append(
                [f"{name}, at {place:.0%}", f"{ours * 1e3:.1f}", f"{theirs * 1e3:.0f}", f"{100 * ours / theirs:.2f} %"]
            )
    print(table((f"{gib:g} GiB, {seconds / 86400:.0f} days", "ours, ms", "wc -l, ms", "ratio"), rows))
    if gib < PROMISED_GIB:
        print(f"the promise is of {PROMISED_GIB} GiB: EVEREST_BENCH_LOG_GIB={PROMISED_GIB}")
        return
    for name, percent in percents.items():
        print(verdict(f"five minutes of {gib:g} GiB {name}, of the time of wc -l,", percent, PROMISED_PERCENT, "%"))


def _ours(path: Path, begin: datetime) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        log = LogFile(fd, path, os.fstat(fd), lambda _length: None)
        selection = Selection.of(log, LogWindow(begin, begin + WINDOW, UTC))
        lines = sum(block.count(b"\n") for block in log.blocks(selection))
    finally:
        os.close(fd)
    expected = LINES_A_SECOND * int(WINDOW.total_seconds()) + 1  # both ends are inclusive
    if lines != expected:
        raise RuntimeError(f"{lines} lines found instead of {expected}")


def _wc(path: Path) -> None:
    subprocess.run(("wc", "-l", path), stdout=subprocess.DEVNULL, check=True)


def _median(work: Callable[[], None], log: Path, prepare: Callable[[Path], None]) -> float:
    took = []
    for _ in range(ROUNDS):
        prepare(log)
        begun = monotonic()
        work()
        took.append(monotonic() - begun)
    return statistics.median(took)


def _load(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        block = bytearray(1 << 20)
        while file.readinto(block):
            pass


def _drop(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def _write(path: Path, size: int) -> int:
    """Write the log, all of it on the disk; the seconds that it spans."""
    with path.open("wb", buffering=1 << 20) as file:
        seconds = 0
        for lines in _seconds():
            file.write(lines)
            seconds += 1
            if file.tell() >= size:
                break
        file.flush()
        os.fsync(file.fileno())
    return seconds


def _seconds() -> Iterator[bytes]:
    """What is logged in each second, from `_BEGIN` on."""
    chance = random.Random(_SEED)
    kinds = [[_line(chance, index) for index in range(LINES_A_SECOND)] for _ in range(256)]
    now = _BEGIN
    while True:
        stamp = f"{now:%Y-%m-%d %H:%M:%S}".encode()
        yield b"".join([stamp + line for line in chance.choice(kinds)])
        now += timedelta(seconds=1)


def _line(chance: random.Random, index: int) -> bytes:
    fraction = index * (1_000_000 // LINES_A_SECOND)
    text = chance.choice(_TEXTS).format(*(chance.randrange(1000) for _ in range(6)))
    return f".{fraction:06} [INFO] {chance.choice(_MODULES):16} :: {text}\n".encode()
