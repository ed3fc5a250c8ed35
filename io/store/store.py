"""What the station remembers: the machines' snapshots, the outbox and the history, in `STATE_DIR/state.db`.

`Store` is the running service's: it holds the folder's lock, and one thread, the deciding one, opens it, uses it and
closes it. `commit` is the only write: one transaction, all or nothing, on the disk when it returns. `StoreReader` is
for other processes (`status`, `history`): it creates and changes nothing, and works beside a running service.

    store = Store.open(Path("/var/lib/everest-system"))
    saved = store.load()                                    # where the last run stopped
    store.commit(Change(snapshots={("system_api", "firmware"): text}, rows_added=[row], transitions=[transition]))
    store.close()

A file that turns out to be damaged is set aside (`set_aside`) and a new one begun; snapshots and outbox, which are
tables of their own, are taken over where they are whole. So a start always comes about, and nothing is destroyed.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from everest_system.fsm.machine import Status
from everest_system.fsm.outbox import OutboxRow
from everest_system.io.folder_lock import FolderLock
from everest_system.io.store import schema
from everest_system.io.store.database import DamagedError, DiskFullError, StoreError, connect, explained, transaction
from everest_system.io.store.set_aside import copy_aside, move_aside, remove_aside

__all__ = [
    "HISTORY_LENGTH",
    "Change",
    "DiskFullError",
    "Saved",
    "Store",
    "StoreError",
    "StoreReader",
    "Transition",
    "remove_damaged",
]

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
    """The running service's memory; from `open` to `close` no other service can have the folder.

    Attributes:
        loss: what was lost at the opening, and where it is kept now, in one line; "" where nothing was.
    """

    def __init__(self, file: Path, db: sqlite3.Connection, lock: FolderLock) -> None:
        super().__init__(file, db)
        self._lock: FolderLock | None = lock
        self._last_seq = self._highest_seq()
        self.loss = ""

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the memory in `folder`; what is missing is made: the folder (0700), `state.db` (0600), its tables.

        What a crash left half written is taken back here, and a damaged file is set aside.

        Raises:
            DiskFullError: the disk is full.
            StoreError: another service runs there, or the file is another program's, newer than this version or
                read-only; the message says what to do, and the file is as it was.
        """
        file = folder / _FILE
        with ExitStack() as undo, explained(file):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FolderLock(folder)
            undo.callback(lock.release)
            schema.refuse_others(file)
            loss, rescued = _emptied(file), Saved({}, (), 0)
            try:
                db = _sound(file)
            except DamagedError as damage:
                rescued = _rescued(file)
                aside = move_aside(file)
                kept = f"{len(rescued.snapshots)} snapshots and {len(rescued.rows)} waiting statuses were still whole"
                loss = f"{damage.args[0].partition(': ')[0]}: it is set aside as {aside.name}; {kept}"
                db = _sound(file)
            undo.callback(db.close)
            store = cls(file, db, lock)
            store.commit(Change(snapshots=rescued.snapshots, rows_added=rescued.rows))
            store.loss = loss
            undo.pop_all()
            return store

    def load(self) -> Saved:
        """Read the snapshots and the outbox, both of the same moment.

        Raises:
            StoreError: the file cannot be read; a damaged one is set aside.
        """
        with self._set_aside_if_damaged():
            return super().load()

    def keep_copy(self) -> str:
        """Keep a copy of the file as it is, for people to look into, and return its name.

        Raises:
            StoreError: there is no room for it.
        """
        with explained(self._file):
            return copy_aside(self._file).name

    def commit(self, change: Change) -> None:
        """Write `change` in one transaction: when this returns all of it is on the disk, when it raises none of it.

        An empty change touches no file.

        Raises:
            DiskFullError: the disk is full.
            StoreError: the disk is broken, the file read-only, or another program keeps it locked; a file that turns
                out to be damaged is set aside.
            ValueError: a row's `seq` was used before, or a time has no zone: a bug of the caller.
        """
        if change.is_empty:
            return
        last_seq = self._checked_last_seq(change.rows_added)
        transitions = [_history_row(transition) for transition in change.transitions]
        with self._set_aside_if_damaged(), explained(self._file), transaction(self._db):
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

    @contextmanager
    def _set_aside_if_damaged(self) -> Iterator[None]:
        """What the check at the start left out shows here: the next start shall not find the same file again."""
        try:
            yield
        except DamagedError as damage:
            self._db.close()
            with explained(self._file):
                aside = move_aside(self._file)
            raise StoreError(f"{self._file} is damaged and set aside as {aside.name}: start again") from damage

    def _checked_last_seq(self, rows: Sequence[OutboxRow]) -> int:
        last = self._last_seq
        for row in rows:
            if row.seq <= last:
                raise ValueError(f"outbox number {row.seq} is not above {last}")
            last = row.seq
        return last


def remove_damaged(folder: Path) -> bool:
    """Remove what was set aside in `folder`; whether there was anything.

    Raises:
        StoreError: it cannot be removed.
    """
    file = folder / _FILE
    with explained(file):
        return remove_aside(file)


def _sound(file: Path) -> sqlite3.Connection:
    with explained(file), ExitStack() as undo:
        _make_private(file)
        try:
            db = connect(file, "rw")
            undo.callback(db.close)
            schema.require_sound(db, file)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            # Nothing was asked yet that could be wrong in itself: it is the file ("unsupported file format").
            raise DamagedError(f"{file} is damaged: {error}") from error
        schema.migrate(db, file)
        undo.pop_all()
        return db


def _emptied(file: Path) -> str:
    if file.exists() and file.stat().st_size <= 1:  # SQLite takes a file of one byte for an empty one
        return f"{file} was empty: nothing is known of what ran before"
    return ""


def _rescued(file: Path) -> Saved:
    """The snapshots and the outbox of a damaged file, if these are whole; most of a file is history."""
    with suppress(sqlite3.Error, StoreError), closing(connect(file, "rw")) as db:
        schema.require_current(db, file)
        if all(db.execute(f"PRAGMA quick_check('{name}')").fetchall() == [("ok",)] for name in ("snapshots", "outbox")):
            return StoreReader(file, db).load()
    return Saved({}, (), 0)


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
