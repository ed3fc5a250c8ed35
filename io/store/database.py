"""How SQLite is opened, how it writes, and what its errors mean to the people who run a station.

Every write is one transaction that is on the disk when it returns: `journal_mode=TRUNCATE` with `synchronous=FULL`
syncs the journal, the database and the journal's end, so that neither a killed process nor a power cut leaves half of
it. Errors of the file, the disk or another program become a `StoreError`; errors of our own SQL stay what they are.
"""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from everest_system.fsm.errors import WorldError

WRITE_PATIENCE_S = 10.0
"""How long a write waits for a reader in another process before it gives up."""

READ_PATIENCE_S = 5.0
"""How long a read waits for a write of the running service."""


class StoreError(WorldError):
    """The station's memory cannot be used; `str()` names the file and the way out in one line."""


class DamagedError(StoreError):
    """The file is there, and is no database, or not a whole one any more."""


class NewerError(StoreError):
    """The file was written by a newer version, and has that one's schema."""


class DiskFullError(StoreError):
    """There is no room for what has to be written."""


_DAMAGED = "is damaged or no database: the service sets it aside at its next start"
_IN_USE = "is kept locked by another program: end it, then start again"
_FULL = "cannot grow, the disk is full: make room, then start again"
_ANOTHER_FOLDER = "or set station.state_dir to another folder"
_READ_ONLY = f"cannot be written: make the file and its folder writable for this user, {_ANOTHER_FOLDER}"
_ACCESS = f"check who may use the file and its folder, {_ANOTHER_FOLDER}"

_ADVICE: dict[int, tuple[str, type[StoreError]]] = {
    sqlite3.SQLITE_NOTADB: (_DAMAGED, DamagedError),
    sqlite3.SQLITE_CORRUPT: (_DAMAGED, DamagedError),
    sqlite3.SQLITE_READONLY: (_READ_ONLY, StoreError),
    sqlite3.SQLITE_PERM: (f"cannot be accessed: {_ACCESS}", StoreError),
    sqlite3.SQLITE_CANTOPEN: (f"cannot be opened: {_ACCESS}", StoreError),
    sqlite3.SQLITE_FULL: (_FULL, DiskFullError),
    sqlite3.SQLITE_IOERR: ("cannot be read or written, the disk reports an error: check the disk", StoreError),
    sqlite3.SQLITE_BUSY: (_IN_USE, StoreError),
    sqlite3.SQLITE_LOCKED: (_IN_USE, StoreError),
}
_INTERRUPTED_WRITE = "holds a write that was interrupted: start the service once, it takes that back"

_OS_ADVICE: dict[int | None, tuple[str, type[StoreError]]] = {
    errno.ENOSPC: (_FULL, DiskFullError),
    errno.EDQUOT: (_FULL, DiskFullError),
    errno.EROFS: (_READ_ONLY, StoreError),
    errno.EACCES: (_READ_ONLY, StoreError),
    errno.EPERM: (_READ_ONLY, StoreError),
}


def connect(file: Path, mode: Literal["rw", "ro"]) -> sqlite3.Connection:
    """Open the existing `file`; the connection belongs to the calling thread and leaves transactions to `transaction`.

    Raises:
        StoreError: there is no such file, or it cannot be opened.
    """
    with explained(file):
        db = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=WRITE_PATIENCE_S if mode == "rw" else READ_PATIENCE_S,
            isolation_level=None,
        )
        try:
            if mode == "rw":
                db.execute("PRAGMA journal_mode = TRUNCATE")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA trusted_schema = OFF")  # a planted file gets no say in what our statements run
            # A text that is no UTF-8 any more is for its reader to judge, as any other text that makes no sense.
            db.text_factory = lambda raw: raw.decode("utf-8", "replace")
        except BaseException:
            db.close()
            raise
        return db


@contextmanager
def transaction(
    db: sqlite3.Connection, begin: Literal["BEGIN", "BEGIN IMMEDIATE"] = "BEGIN IMMEDIATE"
) -> Iterator[None]:
    """Run the block in one transaction: all of it is kept, or, when anything is raised, none of it."""
    try:
        db.execute(begin)
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            with suppress(sqlite3.Error):  # the first error says more; an open journal is taken back at the next start
                db.execute("ROLLBACK")
        raise


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn what the file, the disk or another program did to SQLite or to us into a `StoreError` about `file`."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
        if code == sqlite3.SQLITE_READONLY_ROLLBACK:
            raise StoreError(f"{file} {_INTERRUPTED_WRITE}") from error
        if code & 0xFF not in _ADVICE:  # the low byte is the error's family
            raise
        advice, kind = _ADVICE[code & 0xFF]
        raise kind(f"{file} {advice}") from error
    except OSError as error:
        advice, kind = _OS_ADVICE.get(
            error.errno,
            (
                f"cannot be used ({error.strerror}): set station.state_dir to a folder that this user may write to",
                StoreError,
            ),
        )
        raise kind(f"{error.filename or file} {advice}") from error
