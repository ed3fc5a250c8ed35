"""What a newer version wrote, found by an older one: a firmware was rolled back, and the station goes on."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.recorded_disk import RecordedDisk

from everest_system.fsm.machine import Status
from everest_system.fsm.outbox import OutboxRow
from everest_system.io.store import opening, schema
from everest_system.io.store.set_aside import KEPT
from everest_system.io.store.store import Change, Saved, Store, StoreError, StoreReader, Transition

ROW = OutboxRow(7, "system_api", Status("firmware", 3, 42, 2, "InstallRebooting", False, "", None))
SNAPSHOTS = {("system_api", "firmware"): '{"state":"REBOOTING"}', ("system_api", "logs"): "{}"}
WHOLE = Saved(SNAPSHOTS, (ROW,), 7)
NEWER = schema.VERSION + 1
ADDITION = ("ALTER TABLE outbox ADD COLUMN colour TEXT DEFAULT 'red'", "CREATE TABLE wishes (wish TEXT)")
EACH_TABLE = tuple(
    f"ALTER TABLE {table} ADD COLUMN {column}"
    for table in ("snapshots", "outbox", "history")
    for column in ("taste TEXT", "size INTEGER NOT NULL DEFAULT 1")
)


def run_newer(folder, *statements, version=NEWER):
    """What a newer version does at its first start: it brings the file to its own schema."""
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as db:
        for statement in (*statements, f"PRAGMA user_version = {version}"):
            db.execute(statement)


@pytest.fixture
def folder(tmp_path):
    """A state folder that a newer version has had, with an update in the middle of its reboot."""
    with Store.open(tmp_path / "state") as store:
        store.commit(Change(SNAPSHOTS, [ROW]))
    run_newer(tmp_path / "state", *ADDITION)
    return tmp_path / "state"


def says(seq, word="InstallationFailed"):
    return OutboxRow(seq, "system_api", Status("firmware", 3, 42, 2, word, True, "", None))


def step(target):
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Transition(at, "system_api", "firmware", 3, 42, "REBOOTING", target, "OldFirmwareFound")


def aside(folder):
    return sorted(path.name for path in folder.glob("state.db.*-*"))


def test_the_version_before_goes_on(folder):
    """Machines and outbox are taken over, the newer file is kept under a name that says why, and the log has both."""
    newer = (folder / "state.db").read_bytes()
    with Store.open(folder) as store:
        assert store.load() == WHOLE
        (name,) = aside(folder)
        assert name.startswith("state.db.newer-2")
        assert store.loss == (
            f"{folder}/state.db was written by a newer version of everest-system (schema {NEWER}, this one knows "
            f"{schema.VERSION}): it is set aside as {name}; 2 snapshots and 1 waiting statuses were still whole"
        )
        store.commit(Change(rows_removed=[ROW.seq]))
    assert (folder / name).read_bytes() == newer
    with Store.open(folder) as store:
        assert (store.load(), store.loss) == (Saved(SNAPSHOTS, (), 7), "")


@pytest.mark.parametrize("version", [schema.VERSION, NEWER], ids=["same number", "newer"])
def test_columns_that_it_does_not_know_are_no_obstacle(folder, version):
    """With more columns in each table all is written as ever: changed, added, marked, removed, and in the history."""
    run_newer(folder, *EACH_TABLE, version=version)
    after = {**SNAPSHOTS, ("system_api", "logs"): "changed", ("", "platform"): "added"}
    with Store.open(folder) as store:
        assert store.load() == WHOLE
        store.commit(Change(after, [says(8), says(9)], [7], [replace(says(9), sent=True)], [step("ROLLING_BACK")]))
        assert store.load() == Saved(after, (says(8), replace(says(9), sent=True)), 9)
        assert store.history(9) == [step("ROLLING_BACK")]


@pytest.mark.parametrize("waiting", [(), (ROW,)], ids=["empty", "waiting"])
def test_the_numbers_of_the_new_file_are_its_own(folder, waiting):
    """Whatever numbers the newer one has used, those to come are above all that wait, and keep their order."""
    run_newer(folder, "INSERT INTO outbox SELECT 500, 'm', 'logs', 1, 1, 1, '', 0, '', 0, 0, NULL, '' FROM outbox")
    run_newer(folder, "DELETE FROM outbox WHERE seq = 500", *(() if waiting else ("DELETE FROM outbox",)))
    with Store.open(folder) as store:
        saved = store.load()
        assert (saved.rows, saved.last_seq) == (waiting, max([row.seq for row in waiting], default=0))
        added = (says(saved.last_seq + 1, "Installing"), says(saved.last_seq + 2))
        store.commit(Change(rows_added=added))
    with Store.open(folder) as store:
        assert store.load().rows == (*waiting, *added)


def test_there_and_back_again(folder):
    """Rolled back and updated again, time after time, it goes on, and no more than a few files are kept."""
    for _ in range(KEPT + 2):
        with Store.open(folder) as store:
            assert store.load() == WHOLE
        run_newer(folder, *ADDITION)
    assert len(aside(folder)) == KEPT


def test_a_newer_version_that_was_cut_off(folder):
    """A write of the newer version that the power cut short is taken back first."""
    crashed = folder.with_name("crashed")
    crashed.mkdir()
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the end of the transaction
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE snapshots SET json = 'half'")
        db.executemany("INSERT INTO wishes VALUES (?)", [("x" * 4000,)] * 20)
        for name in ("state.db", "state.db-journal"):
            (crashed / name).write_bytes((folder / name).read_bytes())
        db.execute("ROLLBACK")
    assert (crashed / "state.db-journal").stat().st_size
    with Store.open(crashed) as store:
        assert store.load() == WHOLE
        assert "newer version" in store.loss


def test_a_power_cut_while_it_is_set_aside_leaves_a_file_to_go_on_with(folder):
    """Whichever names reach the disk before the power goes, the newer file or the one in its place is among them."""
    with RecordedDisk(folder) as disk:
        opening.open_sound(folder / "state.db")[0].close()
    left = [{name for name, _ in tree} for _, tree in disk.crashes()]
    assert any("./state.db.new" in names for names in left)
    assert all(names & {"./state.db", "./state.db.new"} for names in left)


@pytest.mark.parametrize(
    "statement",
    ["ALTER TABLE outbox RENAME COLUMN word TO said", "ALTER TABLE snapshots RENAME TO states", "DROP TABLE outbox"],
)
def test_what_it_cannot_read_it_leaves_alone(folder, statement):
    """Where a newer version broke the rule that it only adds, the file stays, and the way out is named."""
    run_newer(folder, statement)
    newer = (folder / "state.db").read_bytes()
    with pytest.raises(StoreError, match=r"newer version .*: install that version again, or move the file away$"):
        Store.open(folder)
    assert (folder / "state.db").read_bytes() == newer
    assert aside(folder) == []


@pytest.mark.parametrize(("page_of", "at"), [("snapshots", 0), ("outbox", 0), ("sqlite_master", 100)])
def test_newer_and_damaged_is_damaged(folder, page_of, at):
    """Damage in a newer file's jobs is no reason to stand still for ever either: it begins anew, and only once."""
    with closing(sqlite3.connect(folder / "state.db")) as db:
        roots = {"sqlite_master": 1, **dict(db.execute("SELECT name, rootpage FROM sqlite_master"))}
    with (folder / "state.db").open("r+b") as file:
        file.seek((roots[page_of] - 1) * 4096 + at)
        file.write(b"\xa5" * (4096 - at))
    damaged = (folder / "state.db").read_bytes()
    with Store.open(folder) as store:
        assert store.load() == Saved({}, (), 0)
        (name,) = aside(folder)
        assert f"is set aside as {name}; 0 snapshots and 0 waiting statuses were still whole" in store.loss
        store.commit(Change(SNAPSHOTS, [ROW]))
    assert (folder / name).read_bytes() == damaged
    with Store.open(folder) as store:
        assert (store.load(), store.loss) == (WHOLE, "")


def test_a_reader_changes_nothing(folder):
    """`status` and `history` of the older version say what is the matter, and leave the file to the service."""
    newer = (folder / "state.db").read_bytes()
    with pytest.raises(StoreError, match="was written by a newer version of everest-system"):
        StoreReader.open(folder)
    assert (folder / "state.db").read_bytes() == newer
