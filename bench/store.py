"""What one event costs to store: the station's store beside a bare sqlite3 transaction with the same pragmas.

Both write in turn to the same disk: alone, and beside a writer that syncs every 4 MiB, as downloads and installations
do. The store's transaction is a firmware machine's step: its snapshot, a status added and one done, a line of history.
The bare one writes as many bytes into one table.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from bench import bare_store
from bench.figures import HEAD, Spread, compared, table
from everest_system.fsm.machine import Status
from everest_system.fsm.outbox import OutboxRow
from everest_system.io.store.store import Change, Store, Transition

TIMES = 500
_SYNC_EVERY = 4 << 20
_FILE_SIZE = 512 << 20


def run(folder: Path) -> None:
    """Take and print the figures."""
    rows: list[list[str]] = []
    with Store.open(folder / "state") as store, bare_store.opened(folder / "state" / "bare.db") as peer_db:
        number = store.load().last_seq
        for name, writer in (("alone", None), ("beside a bulk writer", folder / "bulk")):
            ours: list[float] = []
            peers: list[float] = []
            with _bulk_writer(writer):
                for _ in range(TIMES):
                    number += 1
                    ours.append(_store(store, number))
                    peers.append(bare_store.commit(peer_db, number))
            peer = Spread.of(peers)
            rows.append([name, *[""] * 7])
            rows.append(compared("  bare sqlite3", peer, None))
            rows.append(compared("  Store.commit", Spread.of(ours), peer))
    print(table(HEAD, rows))


def _store(store: Store, number: int) -> float:
    change = Change(
        {("system_api", "firmware"): bare_store.SNAPSHOT % number},
        [OutboxRow(number, "system_api", Status("firmware", number, 7, 1, "Downloaded", False, "Downloading"))],
        [number - 1],
        transitions=[
            Transition(
                datetime.now(UTC), "system_api", "firmware", number, 7, "DOWNLOADING", "DOWNLOADED", "DownloadFinished"
            )
        ],
    )
    begun = perf_counter()
    store.commit(change)
    return perf_counter() - begun


@contextmanager
def _bulk_writer(file: Path | None) -> Iterator[None]:
    """Write to `file` while the context lasts, round and round; None: do not."""
    if file is None:
        yield
        return
    ending = threading.Event()
    thread = threading.Thread(target=_write, args=(file, ending), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def _write(file: Path, ending: threading.Event) -> None:
    block = os.urandom(_SYNC_EVERY)
    with file.open("wb", buffering=0) as stream:
        while not ending.is_set():
            stream.write(block)
            os.fdatasync(stream.fileno())
            if stream.tell() >= _FILE_SIZE:
                stream.seek(0)
                stream.truncate()
