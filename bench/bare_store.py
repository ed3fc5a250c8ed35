"""The peer of the store: a bare sqlite3 transaction, with the pragmas that the store has and as many bytes."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Self

SNAPSHOT = '{"state":"DOWNLOADING","padding":"' + "x" * 1000 + '","number":%d}'
"""What a firmware machine's snapshot looks like, for its length."""

_PERIOD_S = 0.2


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """A new database with one table, for the thread that opens it."""
    db = sqlite3.connect(file, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = TRUNCATE")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE one (number INTEGER PRIMARY KEY, text TEXT)")
        yield db
    finally:
        db.close()


def commit(db: sqlite3.Connection, number: int) -> float:
    """Write one row in place of the last, and return the seconds that took."""
    text = SNAPSHOT % number + "y" * 200
    begun = perf_counter()
    db.execute("BEGIN IMMEDIATE")
    db.execute("REPLACE INTO one VALUES (1, ?)", (text,))
    db.execute("COMMIT")
    return perf_counter() - begun


class Commits:
    """Commits five times a second while the context lasts: what the disk lets anybody do beside the load.

    Attributes:
        took: the seconds of each.
    """

    def __init__(self, file: Path) -> None:
        self.took: list[float] = []
        self._file = file
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bare commits", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        with opened(self._file) as db:
            while not self._ending.wait(_PERIOD_S):
                self.took.append(commit(db, len(self.took)))
