"""What the station remembers: the machines' snapshots, the outbox and the history, in `STATE_DIR/state.db`.

`Store` is the running service's: it holds the folder's lock, and one thread, the deciding one, opens it, uses it and
closes it. `commit` is the only write: one transaction, all or nothing, on the disk when it returns. `StoreReader` is
for other processes (`status`, `history`): it creates and changes nothing, and works beside a running service.

    store = Store.open(Path("/var/lib/everest-system"))
    saved = store.load()                                    # where the last run stopped
    store.commit(Change(snapshots={("system_api", "firmware"): text}, rows_added=[row], transitions=[transition]))
    store.close()

A file that is damaged, or of a newer version, is set aside (`set_aside`) and a new one begun (`opening`); snapshots and
outbox, which are tables of their own, are taken over where they are whole. So a start always comes about, and nothing
is destroyed.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from everest_system.fsm.outbox import OutboxRow
from everest_system.io.folder_lock import FolderLock
from everest_system.io.store import schema, tables
from everest_system.io.store.database import DamagedError, DiskFullError, StoreError, connect, explained, transaction
from everest_system.io.store.opening import open_sound, replace
from everest_system.io.store.records import Change, Saved, Transition
from everest_system.io.store.set_aside import copy_aside, remove_aside
from everest_system.io.store.tables import HISTORY_LENGTH

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

_FILE = "state.db"


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
            return tables.read(self._db)

    def history(self, limit: int, module_id: str | None = None) -> list[Transition]:
        """Return the newest `limit` transitions, of one module if it is named, oldest of them first.

        Raises:
            StoreError: the file cannot be read.
        """
        with explained(self._file):
            return tables.read_history(self._db, limit, module_id)

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Store(StoreReader):
    """The running service's memory; from `open` to `close` no other service can have the folder.

    Attributes:
        loss: what was lost at the opening, and where it is kept now, in one line; "" where nothing was.
    """

    def __init__(self, file: Path, db: sqlite3.Connection, lock: FolderLock, loss: str) -> None:
        super().__init__(file, db)
        self._lock: FolderLock | None = lock
        self._last_seq = tables.highest_seq(db)
        self.loss = loss

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the memory in `folder`; what is missing is made: the folder (0700), `state.db` (0600), its tables.

        What a crash left half written is taken back here, and a damaged file is set aside.

        Raises:
            DiskFullError: the disk is full; the file is as it was, a damaged one too.
            StoreError: another service runs there, the folder cannot be used, or the file is another program's,
                read-only, or so new that nothing can be told of it; the message says what to do, and the file is as
                it was.
        """
        file = folder / _FILE
        with ExitStack() as undo, explained(file):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FolderLock(folder)
            undo.callback(lock.release)
            db, loss = open_sound(file)
            undo.callback(db.close)
            store = cls(file, db, lock, loss)
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
        with self._set_aside_if_damaged(), explained(self._file), transaction(self._db):
            tables.write(self._db, change)
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
            try:
                loss = replace(self._file, damage)
            except StoreError as error:  # not for want of room: this file is no longer one to write to
                raise StoreError(f"{damage}; {error}") from damage
            raise StoreError(f"{loss}: start again") from damage

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
