"""What the station remembers: the machines' snapshots, the outbox and the history, in `STATE_DIR/state.db`.

`Store` is the running service's: it holds the folder's lock, and one thread, the deciding one, opens it, uses it and
closes it. `commit` is the only write: one transaction, all or nothing, on the disk when it returns. `StoreReader` is
for other processes (`status`, `history`): it creates and changes nothing, and works beside a running service.

    store = Store.open(Path("/var/lib/everest-system"))
    saved = store.load()                                    # where the last run stopped
    store.commit(Change(snapshots={("system_api", "firmware"): text}, rows_added=[row], transitions=[transition]))
    store.close()
"""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from everest_system.fsm.machine import Status
from everest_system.fsm.outbox import OutboxRow
from everest_system.io import schema
from everest_system.io.database import StoreError, connect, explained, transaction
from everest_system.io.folder_lock import FolderLock

__all__ = ["HISTORY_LENGTH", "Change", "Saved", "Store", "StoreError", "StoreReader", "Transition"]

HISTORY_LENGTH = 10_000
"""Transitions kept, of all modules and machines together; the oldest go first."""

_DETAIL_LENGTH = 500
_FILE = "state.db"


@dataclass(frozen=True)
class Transition:
    """One step of a machine, as `history` shows it.

    Attributes:
        at: the wall-clock time, with a zone; comes back in UTC.
        job: the machine's job number, None where a machine has no jobs.
        request_id: EVerest's number for the request, None where no request is concerned.
        source: the state before.
        target: the state after.
        event: the event's name.
        detail: why, for people, without secrets; longer than 500 characters is cut.
    """

    at: datetime
    module_id: str
    machine: str
    job: int | None
    request_id: int | None
    source: str
    target: str
    event: str
    detail: str = ""


@dataclass(frozen=True)
class Change:
    """All that one event changes in the station's memory.

    Attributes:
        snapshots: the new JSON text by module id and machine; those left out stay as they are.
        rows_added: statuses written, in ascending order of `seq`.
        rows_removed: the `seq` of statuses that are done or superseded; one that is not there is no fault.
        rows_marked: statuses whose marks (`early`, `sent`) are now as given.
        transitions: what history is to say about it, oldest first.
    """

    snapshots: Mapping[tuple[str, str], str] = field(default_factory=dict)
    rows_added: Sequence[OutboxRow] = ()
    rows_removed: Sequence[int] = ()
    rows_marked: Sequence[OutboxRow] = ()
    transitions: Sequence[Transition] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        rows = self.rows_added or self.rows_removed or self.rows_marked
        return not (self.snapshots or rows or self.transitions)


@dataclass(frozen=True)
class Saved:
    """What `load` found.

    Attributes:
        snapshots: JSON text by module id and machine.
        rows: the outbox, in the order of sending.
        last_seq: the highest `OutboxRow.seq` ever used, also by rows that are gone; 0 if there was none.
    """

    snapshots: dict[tuple[str, str], str]
    rows: tuple[OutboxRow, ...]
    last_seq: int


class StoreReader:
    """The station's memory, to be read only; used and closed by the thread that opened it (`open`)."""

    def __init__(self, file: Path, db: sqlite3.Connection) -> None:
        self._file = file
        self._db = db

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the memory that a service keeps in `folder`; creates and changes nothing.

        Raises:
            StoreError: it is not there, damaged, of another version, or cannot be read; the message says what to do.
        """
        file = folder / _FILE
        if not file.exists():
            raise StoreError(f"{file} does not exist: no service has run with {folder} as its station.state_dir")
        with ExitStack() as undo, explained(file):
            db = connect(file, "ro")
            undo.callback(db.close)
            schema.require_current(db, file)
            undo.pop_all()
            return cls(file, db)

    def load(self) -> Saved:
        """Read the snapshots and the outbox, both of the same moment.

        Raises:
            StoreError: the file cannot be read.
        """
        with explained(self._file), transaction(self._db, "BEGIN"):
            snapshots = {
                (module_id, machine): text
                for module_id, machine, text in self._db.execute("SELECT module_id, machine, json FROM snapshots")
            }
            rows = tuple(
                OutboxRow(
                    seq,
                    module_id,
                    Status(machine, job, request_id, run, word, bool(is_end), predecessor),
                    early=bool(early),
                    sent=bool(sent),
                )
                for (
                    seq,
                    module_id,
                    machine,
                    job,
                    request_id,
                    run,
                    word,
                    is_end,
                    predecessor,
                    early,
                    sent,
                ) in self._db.execute(
                    "SELECT seq, module_id, machine, job, request_id, run, word, is_end, predecessor, early, sent"
                    " FROM outbox ORDER BY seq"
                )
            )
            return Saved(snapshots, rows, self._highest_seq())

    def history(self, limit: int, module_id: str | None = None) -> list[Transition]:
        """Return the newest `limit` transitions, of one module if it is named, oldest of them first.

        Raises:
            StoreError: the file cannot be read.
        """
        with explained(self._file):
            found = self._db.execute(
                "SELECT at, module_id, machine, job, request_id, source, target, event, detail FROM history"
                " WHERE :module_id IS NULL OR module_id = :module_id ORDER BY seq DESC LIMIT max(:limit, 0)",
                {"module_id": module_id, "limit": limit},
            ).fetchall()
        return [Transition(datetime.fromisoformat(at), *facts) for at, *facts in reversed(found)]

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _highest_seq(self) -> int:
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        return int(found[0]) if found else 0


class Store(StoreReader):
    """The running service's memory; from `open` to `close` no other service can have the folder."""

    def __init__(self, file: Path, db: sqlite3.Connection, lock: FolderLock) -> None:
        super().__init__(file, db)
        self._lock: FolderLock | None = lock
        self._last_seq = self._highest_seq()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the memory in `folder`; what is missing is made: the folder (0700), `state.db` (0600), its tables.

        What a crash left half written is taken back here.

        Raises:
            StoreError: another service runs there, or the file is damaged, newer than this version, read-only or on a
                full disk; the message says what to do.
        """
        file = folder / _FILE
        with ExitStack() as undo, explained(file):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FolderLock(folder)
            undo.callback(lock.release)
            _make_private(file)
            db = connect(file, "rw")
            undo.callback(db.close)
            schema.migrate(db, file)
            store = cls(file, db, lock)
            undo.pop_all()
            return store

    def commit(self, change: Change) -> None:
        """Write `change` in one transaction: when this returns all of it is on the disk, when it raises none of it.

        An empty change touches no file.

        Raises:
            StoreError: the disk is full or broken, the file read-only, or another program keeps it locked.
            ValueError: a row's `seq` was used before, or a time has no zone: a bug of the caller.
        """
        if change.is_empty:
            return
        last_seq = self._checked_last_seq(change.rows_added)
        transitions = [_history_row(transition) for transition in change.transitions]
        with explained(self._file), transaction(self._db):
            self._db.executemany(
                "INSERT INTO snapshots VALUES (?, ?, ?)"
                " ON CONFLICT (module_id, machine) DO UPDATE SET json = excluded.json",
                [(module_id, machine, text) for (module_id, machine), text in change.snapshots.items()],
            )
            self._db.executemany(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(row.seq, row.module_id, *astuple(row.status), row.early, row.sent) for row in change.rows_added],
            )
            self._db.executemany(
                "UPDATE outbox SET early = ?, sent = ? WHERE seq = ?",
                [(row.early, row.sent, row.seq) for row in change.rows_marked],
            )
            self._db.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in change.rows_removed])
            if transitions:
                self._db.executemany("INSERT INTO history VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", transitions)
                self._db.execute(
                    "DELETE FROM history WHERE seq <= (SELECT max(seq) FROM history) - ?", (HISTORY_LENGTH,)
                )
        self._last_seq = last_seq

    def close(self) -> None:
        """Let go of the file and the folder; a second call does nothing."""
        super().close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _checked_last_seq(self, rows: Sequence[OutboxRow]) -> int:
        last = self._last_seq
        for row in rows:
            if row.seq <= last:
                raise ValueError(f"outbox number {row.seq} is not above {last}")
            last = row.seq
        return last


def _make_private(file: Path) -> None:
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        # By name: to open and close the database beside SQLite would drop the locks that this process holds on it.
        file.chmod(0o600)


def _history_row(transition: Transition) -> tuple[str | int | None, ...]:
    at, *facts, detail = astuple(transition)
    if at.tzinfo is None:
        raise ValueError("the time of a transition needs a zone")
    # Half of a surrogate pair may come in with a peer's words, and has no place in UTF-8.
    shown = detail[:_DETAIL_LENGTH].encode("utf-8", "backslashreplace").decode()
    return (at.astimezone(UTC).isoformat(), *facts, shown)
