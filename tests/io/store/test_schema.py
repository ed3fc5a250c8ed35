"""From schema to schema: nothing is lost on the way, and the way is gone in one step or not at all."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.machine import Status
from everest_system.fsm.outbox import OutboxRow
from everest_system.io.store import schema
from everest_system.io.store.store import Saved, Store, StoreError, StoreReader

# Version 1 as it went out: what this says is what stations in the field have, so it never changes.
VERSION_1 = """
PRAGMA application_id = 0x45565359;
PRAGMA user_version = 1;
CREATE TABLE snapshots (
    module_id  TEXT NOT NULL,
    machine    TEXT NOT NULL,
    json       TEXT NOT NULL,
    PRIMARY KEY (module_id, machine)
) WITHOUT ROWID;
CREATE TABLE outbox (
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
);
CREATE TABLE history (
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
);
INSERT INTO snapshots VALUES ('system_api', 'firmware', '{"job": 3, "state": "INSTALLING", "work": 5}');
INSERT INTO snapshots VALUES ('', 'platform', '{"boot_id": "b"}');
INSERT INTO outbox VALUES (9, 'system_api', 'firmware', 3, 42, 2, 'Installing', 0, 'Downloaded', 0, 1);
INSERT INTO history VALUES (
    1, '2026-03-01T12:00:00+00:00', 'system_api', 'firmware', 3, 42, 'ACCEPTED', 'DOWNLOADING', 'Settled', ''
);
"""
SAVED = Saved(
    {
        ("system_api", "firmware"): '{"job": 3, "state": "INSTALLING", "work": 5}',
        ("", "platform"): '{"boot_id": "b"}',
    },
    (OutboxRow(9, "system_api", Status("firmware", 3, 42, 2, "Installing", False, "Downloaded"), sent=True),),
    9,
)

TODAY = schema.VERSION
# Made up, behind today's: a column more, its value worked out from what there is, and a table that replaces another.
NEXT = (
    "ALTER TABLE snapshots ADD COLUMN written TEXT NOT NULL DEFAULT ''",
    "UPDATE snapshots SET written = 'before the next'",
)
NEXT_BUT_ONE = (
    "CREATE TABLE notes (seq INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    "INSERT INTO notes SELECT seq, source || ' to ' || target FROM history",
    "UPDATE snapshots SET written = written || ', then the one behind'",
)


@pytest.fixture
def folder(tmp_path):
    """A state folder that a service of version 1 has left."""
    folder = tmp_path / "state"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "state.db")) as db:
        db.executescript(VERSION_1)
    return folder


def upgrade(monkeypatch, *steps):
    """Have the code know these versions behind today's."""
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS[:TODAY], *steps))
    monkeypatch.setattr(schema, "VERSION", TODAY + len(steps))


def query(folder, text):
    with closing(sqlite3.connect(folder / "state.db")) as db:
        return db.execute(text).fetchall()


def test_a_file_of_version_1_is_understood(folder):
    """What the first version wrote is read, statuses, history and snapshots with fewer properties than today's."""
    with Store.open(folder) as store:
        assert (store.load(), store.loss) == (SAVED, "")
        assert [step.target for step in store.history(9)] == ["DOWNLOADING"]
    assert query(folder, "PRAGMA user_version") == [(schema.VERSION,)]
    text = SAVED.snapshots["system_api", "firmware"]
    assert FirmwareSnapshot.model_validate_json(text).starts == 0


def test_a_new_file_has_the_tables_of_version_1(tmp_path, folder):
    """The first step leads to exactly the tables that version 1 had; a change of theirs is a step of its own."""
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as db:
        for statement in schema.MIGRATIONS[0]:
            db.execute(statement)
        columns = "SELECT m.name, c.name, c.type, c.pk, c.'notnull' FROM sqlite_master m, pragma_table_info(m.name) c"
        assert sorted(db.execute(columns)) == sorted(query(folder, columns))


def test_an_upgrade_over_two_versions_keeps_everything(folder, monkeypatch):
    """Each step finds what the one before has left, and what was there is there."""
    upgrade(monkeypatch, NEXT, NEXT_BUT_ONE)
    with Store.open(folder) as store:
        assert (store.load(), store.loss) == (SAVED, "")
    assert query(folder, "SELECT text FROM notes") == [("ACCEPTED to DOWNLOADING",)]
    assert query(folder, "SELECT DISTINCT written FROM snapshots") == [("before the next, then the one behind",)]
    assert query(folder, "PRAGMA user_version") == [(TODAY + 2,)]


def test_each_step_is_taken_once(folder, monkeypatch):
    """A station that has the next version takes only the step behind it, and one that has that takes none."""
    upgrade(monkeypatch, NEXT)
    Store.open(folder).close()
    upgrade(monkeypatch, NEXT, NEXT_BUT_ONE)
    for _ in range(2):
        Store.open(folder).close()
        assert query(folder, "SELECT DISTINCT written FROM snapshots") == [("before the next, then the one behind",)]


def test_a_reader_asks_for_the_upgrade(folder, monkeypatch):
    """Until the service has started once with the new version, `status` says so and changes nothing."""
    content = (folder / "state.db").read_bytes()
    upgrade(monkeypatch, NEXT)
    with pytest.raises(StoreError, match=f"has schema 1, this version reads {TODAY + 1}: start the service once"):
        StoreReader.open(folder)
    assert (folder / "state.db").read_bytes() == content


@pytest.mark.parametrize(
    "broken",
    [("DROP TABLE snapshots", "no statement"), (*NEXT_BUT_ONE, "INSERT INTO outbox SELECT * FROM outbox")],
    ids=["syntax", "constraint"],
)
def test_a_migration_that_fails_changes_nothing(folder, monkeypatch, broken):
    """A step that fails takes those before it back too, and says which it was; the old version goes on."""
    content = (folder / "state.db").read_bytes()
    upgrade(monkeypatch, NEXT, broken)
    with pytest.raises(
        StoreError, match=rf"state\.db could not be brought from schema {TODAY + 1} to {TODAY + 2}: .*; it is as it was"
    ):
        Store.open(folder)
    assert (folder / "state.db").read_bytes() == content
    assert list(folder.glob("state.db.*")) == []
    monkeypatch.undo()
    with Store.open(folder) as store:
        assert store.load() == SAVED


CRASHING = """
import json, os, signal, sys
from pathlib import Path
from everest_system.io.store import database, opening, schema, store
steps, at = json.loads(sys.argv[2]), int(sys.argv[3])
schema.MIGRATIONS = (*schema.MIGRATIONS, *steps)
schema.VERSION += len(steps)
connect = database.connect

def watched(file, mode):
    db = connect(file, mode)
    db.execute("PRAGMA cache_size = 1")
    db.execute("PRAGMA cache_spill = 1")
    said = iter(range(1000))
    db.set_trace_callback(lambda text: next(said) == at and os.kill(os.getpid(), signal.SIGKILL))
    return db

opening.connect = watched
store.Store.open(Path(sys.argv[1])).close()
"""


def test_a_crash_in_the_middle_of_a_migration_leaves_the_old_version_whole(folder, monkeypatch):
    """Killed before any of its statements, the next start finds version 1 as it was, or, at the end, the last one."""
    fill = ("CREATE TABLE filling (text)", *(f"INSERT INTO filling VALUES (zeroblob({n}9000))" for n in range(1, 9)))
    steps = [NEXT, (*NEXT_BUT_ONE, *fill)]
    clean = (folder / "state.db").read_bytes()
    versions = []
    for at in range(0, 60, 3):
        (folder / "state.db").write_bytes(clean)
        (folder / "state.db-journal").unlink(missing_ok=True)
        done = subprocess.run([sys.executable, "-c", CRASHING, str(folder), json.dumps(steps), str(at)], check=False)
        assert done.returncode in {0, -signal.SIGKILL}
        with monkeypatch.context() as patch:
            upgrade(patch, *steps)
            ((version,),) = query(folder, "PRAGMA user_version")
            versions.append(version)
            if version == 1:
                assert query(folder, "SELECT count(*) FROM sqlite_master WHERE name IN ('notes', 'filling')") == [(0,)]
            with Store.open(folder) as store:
                assert (store.load(), store.loss) == (SAVED, "")
            assert query(folder, "SELECT DISTINCT written FROM snapshots") == [
                ("before the next, then the one behind",)
            ]
        if done.returncode == 0:
            break
    assert set(versions) == {1, TODAY + 2}
    assert versions == sorted(versions)
    assert versions.count(1) > 5


def test_the_old_version_takes_back_what_the_new_one_left_half_done(folder):
    """An upgrade that a crash cut short can be given up: the version before starts, with all that it had."""
    steps = [NEXT, (*NEXT_BUT_ONE, "CREATE TABLE filling (text)", "INSERT INTO filling VALUES (zeroblob(90000))")]
    for at in range(8, 16, 2):
        done = subprocess.run([sys.executable, "-c", CRASHING, str(folder), json.dumps(steps), str(at)], check=False)
        assert done.returncode == -signal.SIGKILL
        with Store.open(folder) as store:
            assert (store.load(), store.loss) == (SAVED, "")
