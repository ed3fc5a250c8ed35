"""The tables of `state.db`, and the way from each schema version to the next.

`PRAGMA user_version` is the schema's version, `PRAGMA application_id` says that the file is ours. A new version of the
service appends one step to `MIGRATIONS` and never changes an older one; a step and its version number are one
transaction. Only the service migrates: a reader in another process takes the current version or says why not.
"""

import sqlite3
from pathlib import Path

from everest_system.io.database import StoreError, transaction

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

MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1,)
"""`MIGRATIONS[n]` are the statements that lead from version n to n + 1; version 0 is an empty file."""

VERSION = len(MIGRATIONS)
"""The schema version that this code reads and writes."""


def migrate(db: sqlite3.Connection, file: Path) -> None:
    """Bring the database to `VERSION`, and find out whether it can be written.

    Raises:
        StoreError: the file is another program's, or a newer version's.
        sqlite3.Error: the file cannot be written.
    """
    with transaction(db):
        for step in MIGRATIONS[_version(db, file) :]:
            for statement in step:
                db.execute(statement)
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
    if application != APPLICATION_ID and not (is_empty and application == version == 0):
        raise StoreError(f"{file} belongs to another program: set station.state_dir to a folder of the service's own")
    if version > VERSION:
        raise StoreError(
            f"{file} was written by a newer version of everest-system (schema {version}, this one knows {VERSION}): "
            "install that version again, or move the file away"
        )
    return version
