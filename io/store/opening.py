"""How the service comes by a sound `state.db`: opened, made, or put in the place of a damaged or a newer one.

Such a file is replaced in this order, so that neither a full disk nor a crash costs what is whole of it:

    state.db.new    a new file with the snapshots and the outbox, if these tables are whole
    state.db        renamed to state.db.corrupt-TIMESTAMP, or state.db.newer-TIMESTAMP
    state.db.new    renamed to state.db; by the next start, if this one dies in between
"""

import os
import sqlite3
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from everest_system.io.durable import sync_folder
from everest_system.io.store import schema, tables
from everest_system.io.store.database import (
    DamagedError,
    NewerError,
    StoreError,
    connect,
    explained,
    transaction,
)
from everest_system.io.store.records import Change
from everest_system.io.store.set_aside import move_aside


def open_sound(file: Path) -> tuple[sqlite3.Connection, str]:
    """Open `file`, which is made if it is not there, and replaced if it is damaged or a newer version's.

    Returns:
        The connection, and what was lost, in one line; "" where nothing was.

    Raises:
        DiskFullError: the disk is full; a damaged file is as it was.
        StoreError: the file is another program's or read-only, or so new that nothing can be told of it; it is as it
            was.
    """
    with explained(file):
        loss = _finish_replacing(file)
        try:
            schema.refuse_others(file)
            loss = loss or _emptied(file)
            return _open(file), loss
        except (DamagedError, NewerError) as fault:
            loss = replace(file, fault)
            return _open(file), loss


def replace(file: Path, fault: DamagedError | NewerError) -> str:
    """Set `file`, which nobody has open, aside, and put in its place a new one with what is whole of it.

    Returns:
        What was lost, and where it is kept now, in one line.

    Raises:
        DiskFullError: the disk is full; the file is as it was.
        StoreError: it cannot be done for another reason.
    """
    with explained(file):
        rescued = _taken_over(file, fault) if isinstance(fault, NewerError) else _rescued(file)
        new = _new(file)
        _remove(new)
        try:
            with closing(_open(new)) as db, explained(new), transaction(db):
                tables.write(db, rescued)
        except BaseException:
            _remove(new)
            raise
        sync_folder(file.parent)
        aside = move_aside(file, "newer" if isinstance(fault, NewerError) else "corrupt")
        _put_in_place(new, file)
    kept = f"{len(rescued.snapshots)} snapshots and {len(rescued.rows_added)} waiting statuses were still whole"
    return f"{fault.args[0].partition(': ')[0]}: it is set aside as {aside.name}; {kept}"


def _open(file: Path) -> sqlite3.Connection:
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


def _finish_replacing(file: Path) -> str:
    new = _new(file)
    if not new.exists():
        return ""
    if file.exists():  # it may be half a file, and the damaged one is still there to begin again with
        _remove(new)
        return ""
    _put_in_place(new, file)
    return f"{file} was set aside, and the start that did it was cut short: what was still whole is there again"


def _put_in_place(new: Path, file: Path) -> None:
    _journal(new).unlink(missing_ok=True)
    _journal(file).unlink(missing_ok=True)
    new.rename(file)
    sync_folder(file.parent)


def _remove(new: Path) -> None:
    _journal(new).unlink(missing_ok=True)
    new.unlink(missing_ok=True)


def _new(file: Path) -> Path:
    return file.with_name(f"{file.name}.new")


def _journal(file: Path) -> Path:
    return file.with_name(f"{file.name}-journal")


def _emptied(file: Path) -> str:
    if file.exists() and file.stat().st_size <= 1:  # SQLite takes a file of one byte for an empty one
        return f"{file} was empty: nothing is known of what ran before"
    return ""


def _rescued(file: Path) -> Change:
    """The snapshots and the outbox of a damaged file, if these are whole; most of a file is history."""
    with suppress(sqlite3.Error, StoreError), closing(connect(file, "rw")) as db:
        schema.require_current(db, file)
        if _are_whole(db):
            return _read(db)
    return Change()


def _taken_over(file: Path, newer: NewerError) -> Change:
    """What this version knows of a newer one's tables: brought back, it goes on where the newer one was.

    Raises:
        NewerError: nothing can be told of the file.
        StoreError: it cannot be read just now.
    """
    with suppress(DamagedError), explained(file), closing(connect(file, "rw")) as db:
        try:
            if _are_whole(db):
                return _read(db)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            raise newer from error  # no such table, no such column
    return Change()


def _are_whole(db: sqlite3.Connection) -> bool:
    return all(db.execute(f"PRAGMA quick_check('{name}')").fetchall() == [("ok",)] for name in ("snapshots", "outbox"))


def _read(db: sqlite3.Connection) -> Change:
    with transaction(db, "BEGIN"):
        return tables.read_whole(db)


def _make_private(file: Path) -> None:
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        # By name: to open and close the database beside SQLite would drop the locks that this process holds on it.
        file.chmod(0o600)
