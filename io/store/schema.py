"""The tables of `state.db`, and the way from each schema version to the next.

`PRAGMA user_version` is the schema's version, `PRAGMA application_id` says that the file is ours. A new version of the
service appends one step to `MIGRATIONS` and never changes an older one; a step and its version number are one
transaction. A step adds: it takes nothing away from `snapshots` and `outbox`, since a firmware that is rolled back
brings back an older version, which has to go on with them. Only the service migrates: a reader in another process takes
the current version or says why not. What another program or a newer version wrote is told by its first bytes, before
anything is opened, let alone written.
"""

import sqlite3
from pathlib import Path

from everest_system.io.store.database import DamagedError, NewerError, StoreError, transaction

APPLICATION_ID = 0x45565359
"""The letters EVSY."""

_VERSION_1 = (
    """CREATE TABLE snapshots (
        module_id  TEXT NOT NULL,
        machine    TEXT NOT NULL,
        json       TEXT NOT NULL,
        PRIMARY KEY (module_id, machine)
    ) WITHOUT ROWID""",
    # AUTOINCREMENT: SQLite keeps the highest number ever used, also of rows that are gone
    """CREATE TABLE outbox (
        seq         INTEGER PRIMARY KEY AUTOINCREMENT,
        module_id   TEXT NOT NULL,
        machine     TEXT NOT NULL,
        job         INTEGER NOT NULL,
        request_id  INTEGER NOT NULL,
        run         INTEGER NOT NULL,
        word        TEXT NOT NULL,
        is_end      INTEGER NOT NULL,
        predecessor TEXT NOT NULL,
        early       INTEGER NOT NULL,
        sent        INTEGER NOT NULL
    )""",
    """CREATE TABLE history (
        seq        INTEGER PRIMARY KEY,
        at         TEXT NOT NULL,
        module_id  TEXT NOT NULL,
        machine    TEXT NOT NULL,
        job        INTEGER,
        request_id INTEGER,
        source     TEXT NOT NULL,
        target     TEXT NOT NULL,
        event      TEXT NOT NULL,
        detail     TEXT NOT NULL
    )""",
)

# what a status says of the connectors; NULL: nothing
_VERSION_2 = ("ALTER TABLE outbox ADD COLUMN disable_connectors INTEGER",)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1, _VERSION_2)
"""`MIGRATIONS[n]` are the statements that lead from version n to n + 1; version 0 is an empty file."""

VERSION = len(MIGRATIONS)
"""The schema version that this code reads and writes."""

CHECKED_BYTES = 16 << 20
"""Up to this size the whole file is checked at a start, which takes about 1 ms a MiB; the service's own stays below."""

# Where SQLite's file format has what is told apart here.
_MAGIC = b"SQLite format 3\0"
_PAYLOAD_FRACTIONS_AT, _PAYLOAD_FRACTIONS = 21, bytes([64, 32, 32])  # the same in every database there is
_VERSION_AT, _APPLICATION_AT, _HEADER_BYTES = 60, 68, 72


def refuse_others(file: Path) -> None:
    """Look at the first bytes of `file`, which no connection has open, and leave alone what is not for this version.

    A file whose first bytes are no database's passes: it is damaged, and SQLite will say so.

    Raises:
        NewerError: it is a newer version's.
        StoreError: it is another program's database.
        OSError: it cannot be read.
    """
    if not file.exists():
        return
    with file.open("rb") as stream:
        header = stream.read(_HEADER_BYTES)
    is_database = header.startswith(_MAGIC) and header.startswith(_PAYLOAD_FRACTIONS, _PAYLOAD_FRACTIONS_AT)
    if is_database and len(header) == _HEADER_BYTES:
        version = int.from_bytes(header[_VERSION_AT : _VERSION_AT + 4], "big", signed=True)
        application = int.from_bytes(header[_APPLICATION_AT : _APPLICATION_AT + 4], "big")
        journal = file.with_name(f"{file.name}-journal")
        if application == APPLICATION_ID and journal.exists() and journal.stat().st_size:
            return  # the version may be that of an upgrade which a crash cut short, and SQLite takes back
        _require_ours(file, version, is_ours=application == APPLICATION_ID)


def require_sound(db: sqlite3.Connection, file: Path) -> None:
    """Check that the file's pages hang together; of a large file only those that a start needs.

    Raises:
        DamagedError: they do not.
        sqlite3.Error: it cannot be read.
    """
    is_small = file.stat().st_size <= CHECKED_BYTES
    for check in ("1",) if is_small else ("'snapshots'", "'outbox'", "'sqlite_sequence'"):
        found = db.execute(f"PRAGMA quick_check({check})").fetchone()[0]
        if found != "ok":
            raise DamagedError(f"{file} is damaged: {' '.join(found.split())}")


def migrate(db: sqlite3.Connection, file: Path) -> None:
    """Bring the database to `VERSION`, and find out whether it can be written.

    Raises:
        NewerError: the file is a newer version's; it is as it was.
        StoreError: the file is another program's, or a step failed; the file is as it was.
        sqlite3.Error: the file cannot be written.
    """
    with transaction(db):
        old = _version(db, file)
        for number, step in enumerate(MIGRATIONS[old:], old + 1):
            _take(db, file, step, number)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        # Written at each start: a file that cannot be written shows now, not when the first status is due.
        db.execute(f"PRAGMA user_version = {VERSION}")


def require_current(db: sqlite3.Connection, file: Path) -> None:
    """Check that the database can be read as it stands.

    Raises:
        StoreError: the file is another program's, or a newer or an older version's.
    """
    with transaction(db, "BEGIN"):
        version = _version(db, file)
    if version < VERSION:
        raise StoreError(f"{file} has schema {version}, this version reads {VERSION}: start the service once")


def _version(db: sqlite3.Connection, file: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    is_empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    _require_ours(file, version, is_ours=application == APPLICATION_ID or (is_empty and application == version == 0))
    return version


def _take(db: sqlite3.Connection, file: Path, step: tuple[str, ...], number: int) -> None:
    try:
        for statement in step:
            db.execute(statement)
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT}:
            raise  # the disk's fault, not the step's
        raise StoreError(
            f"{file} could not be brought from schema {number - 1} to {number}: {error}; it is as it was: "
            "install the version before again"
        ) from error


def _require_ours(file: Path, version: int, *, is_ours: bool) -> None:
    if not is_ours:
        raise StoreError(f"{file} belongs to another program: set station.state_dir to a folder of the service's own")
    if version > VERSION:
        raise NewerError(
            f"{file} was written by a newer version of everest-system (schema {version}, this one knows {VERSION}): "
            "install that version again, or move the file away"
        )
