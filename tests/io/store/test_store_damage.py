"""A damaged state.db never keeps the service from starting, and never for longer than one start."""

import errno
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.recorded_disk import RecordedDisk

from everest_system.fsm.machine import Status
from everest_system.fsm.outbox import OutboxRow
from everest_system.io.store import opening, schema, set_aside
from everest_system.io.store.database import DamagedError
from everest_system.io.store.set_aside import KEPT
from everest_system.io.store.store import (
    Change,
    DiskFullError,
    Saved,
    Store,
    StoreError,
    StoreReader,
    Transition,
    remove_damaged,
)

PAGE = 4096
ROW = OutboxRow(7, "system_api", Status("firmware", 3, 42, 2, "Downloading", False, ""))
SNAPSHOTS = {("system_api", "firmware"): '{"state":"DOWNLOADING"}', ("system_api", "logs"): "{}"}
WHOLE = Saved(SNAPSHOTS, (ROW,), 7)
NOTHING = Saved({}, (), 0)


def step(number):
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Transition(at, "system_api", "firmware", 3, 42, "A", "B", "E", f"number {number} " + "x" * 300)


@pytest.fixture
def folder(tmp_path):
    """A state folder with jobs under way and a history of some hundred pages."""
    with Store.open(tmp_path / "state") as store:
        store.commit(Change(SNAPSHOTS, [ROW], transitions=[step(number) for number in range(2000)]))
    assert (tmp_path / "state" / "state.db").stat().st_size > 100 * PAGE
    return tmp_path / "state"


def aside(folder):
    return sorted(path.name for path in folder.glob("state.db.*"))


def overwrite(folder, at, content):
    with (folder / "state.db").open("r+b") as file:
        file.seek(at)
        file.write(content)


def root_page(folder, table):
    with closing(sqlite3.connect(folder / "state.db")) as db:
        return db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]


def starts_again(folder):
    """What a start finds, that it can write, and that the start after it has nothing to complain about."""
    with Store.open(folder) as first:
        saved, loss = first.load(), first.loss
        first.commit(Change(transitions=[step(1)]))
        assert first.history(10)[-1].detail == step(1).detail
    with Store.open(folder) as second:
        assert (second.load(), second.loss) == (saved, "")
    return saved, loss


@pytest.mark.parametrize(
    "content",
    [b"no database at all" * 400, b"SQLite format 3\0" + b"\xff" * 5000, b"SQLite format 3\0", b"\0" * PAGE],
    ids=["text", "magic and garbage", "magic alone", "zeros"],
)
def test_garbage_is_set_aside(folder, content):
    """What is no database is kept as it is under another name, which is told, and the service starts from nothing."""
    (folder / "state.db").write_bytes(content)
    saved, loss = starts_again(folder)
    assert saved == NOTHING
    (name,) = aside(folder)
    assert name.startswith("state.db.corrupt-2")
    assert (folder / name).read_bytes() == content
    assert loss.startswith(f"{folder}/state.db is damaged or no database: it is set aside as {name}; 0 snapshots")


@pytest.mark.parametrize("at", [0, 16, 18, 21, 24, 28, 44, 56], ids=lambda at: f"byte {at}")
def test_a_garbled_header_is_never_in_the_way(folder, at):
    """Whatever bytes of the header are wrong, the service starts, with what it had or from nothing."""
    overwrite(folder, at, b"\xa5" * 4)
    assert starts_again(folder)[0] in (WHOLE, NOTHING)


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_is_a_fresh_start(folder, content):
    """A state.db cut to nothing is said to be a loss; there is nothing to set aside."""
    (folder / "state.db").write_bytes(content)
    saved, loss = starts_again(folder)
    assert (saved, aside(folder)) == (NOTHING, [])
    assert loss == f"{folder}/state.db was empty: nothing is known of what ran before"


def test_a_first_start_loses_nothing(tmp_path):
    """Where no state.db was, there is no word of a loss."""
    with Store.open(tmp_path / "new") as store:
        assert store.loss == ""


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_set_aside(folder, share):
    """However much is missing at its end, the file is set aside."""
    content = (folder / "state.db").read_bytes()
    (folder / "state.db").write_bytes(content[: int(len(content) * share)])
    saved, loss = starts_again(folder)
    assert saved in (WHOLE, NOTHING)
    assert len(aside(folder)) == 1
    assert aside(folder)[0] in loss


def test_a_damaged_history_costs_no_job(folder):
    """Most of the file is history: garbage there is set aside, and running jobs and waiting statuses go on."""
    overwrite(folder, 60 * PAGE, b"\xa5" * PAGE)
    saved, loss = starts_again(folder)
    assert saved == WHOLE
    assert "2 snapshots and 1 waiting statuses were still whole" in loss
    assert len(aside(folder)) == 1


@pytest.mark.parametrize("table", ["snapshots", "outbox"])
def test_a_damaged_table_of_jobs_is_not_trusted(folder, table):
    """If what the jobs are made of is damaged, nothing of it is taken over."""
    overwrite(folder, (root_page(folder, table) - 1) * PAGE, b"\xa5" * PAGE)
    saved, loss = starts_again(folder)
    assert saved == NOTHING
    assert "0 snapshots and 0 waiting statuses" in loss


def test_a_journal_of_a_damaged_file_goes_with_it(folder):
    """What is played back from a journal that was left behind belongs to the old file, never to the new one."""
    running = sqlite3.connect(folder / "state.db", isolation_level=None)
    running.execute("PRAGMA cache_size = 1")
    running.execute("BEGIN IMMEDIATE")
    running.execute("UPDATE history SET detail = 'half'")
    journal = (folder / "state.db-journal").read_bytes()
    running.execute("ROLLBACK")
    running.close()
    (folder / "state.db").write_bytes(b"garbage " * 1000)
    (folder / "state.db-journal").write_bytes(journal)
    assert starts_again(folder)[0] in (WHOLE, NOTHING)


@pytest.mark.parametrize("content", [b"garbage" * 100, b"\0" * 600, b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\xff" * 99])
def test_a_journal_that_is_none_is_passed_over(folder, content):
    """Garbage beside a sound state.db changes nothing in it."""
    (folder / "state.db-journal").write_bytes(content)
    saved, loss = starts_again(folder)
    assert (saved, loss, aside(folder)) == (WHOLE, "", [])


def test_a_journal_without_its_file_is_passed_over(folder):
    """A journal whose state.db is gone is not played back into the new one."""
    with Store.open(folder) as running:
        running._db.execute("PRAGMA cache_size = 1")
        running._db.execute("BEGIN IMMEDIATE")
        running._db.execute("UPDATE history SET detail = 'half'")
        shutil.copy(folder / "state.db-journal", folder / "kept")
        running._db.execute("ROLLBACK")
    (folder / "state.db").unlink()
    (folder / "kept").rename(folder / "state.db-journal")
    assert starts_again(folder) == (NOTHING, "")


def test_a_bounded_number_is_kept(folder):
    """A disk that garbles the file at each start is not filled with its remains; the newest stay."""
    for number in range(KEPT + 3):
        (folder / "state.db").write_bytes(b"garbage %d" % number)
        Store.open(folder).close()
    kept = [(folder / name).read_bytes() for name in aside(folder)]
    assert len(kept) == KEPT
    assert b"garbage %d" % (KEPT + 2) in kept


def test_what_was_set_aside_can_be_removed(folder):
    """Before the disk is full for good, the remains go; whether there were any is told."""
    (folder / "state.db").write_bytes(b"garbage")
    Store.open(folder).close()
    assert remove_damaged(folder)
    assert aside(folder) == []
    assert not remove_damaged(folder)


def test_a_copy_can_be_kept(folder):
    """The file can be kept as it is beside the one that goes on being used, and those are bounded too."""
    with Store.open(folder) as store:
        names = [store.keep_copy() for _ in range(KEPT + 1)]
        assert store.load() == WHOLE
        assert names[-1] in aside(folder)
        assert len(aside(folder)) == KEPT
    with closing(sqlite3.connect(folder / names[-1])) as copy:
        assert copy.execute("SELECT count(*) FROM outbox").fetchone() == (1,)


def test_half_a_copy_is_not_kept(folder, monkeypatch):
    """A copy that the disk has no room for leaves nothing behind."""

    def half(_, aside):
        aside.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(set_aside.shutil, "copy", half)
    with Store.open(folder) as store, pytest.raises(DiskFullError):
        store.keep_copy()
    assert aside(folder) == []


def test_a_large_file_is_checked_where_it_matters(folder, monkeypatch):
    """Beyond the size that is checked as a whole, snapshots and outbox still are."""
    monkeypatch.setattr(schema, "CHECKED_BYTES", 10 * PAGE)
    page = root_page(folder, "snapshots")
    overwrite(folder, 60 * PAGE, b"\xa5" * PAGE)
    with Store.open(folder) as store:
        assert (store.load(), store.loss) == (WHOLE, "")
    overwrite(folder, (page - 1) * PAGE, b"\xa5" * PAGE)
    saved, loss = starts_again(folder)
    assert (saved, len(aside(folder))) == (NOTHING, 1)
    assert "set aside" in loss


@pytest.mark.parametrize("checked_bytes", [10 * PAGE, schema.CHECKED_BYTES], ids=["large", "small"])
def test_damage_beside_the_jobs_costs_no_job(folder, monkeypatch, checked_bytes):
    """Where SQLite keeps the highest number is looked at in a large file too, and not needed to go on."""
    monkeypatch.setattr(schema, "CHECKED_BYTES", checked_bytes)
    overwrite(folder, (root_page(folder, "sqlite_sequence") - 1) * PAGE, b"\xa5" * PAGE)
    saved, loss = starts_again(folder)
    assert saved == WHOLE
    assert "2 snapshots and 1 waiting statuses were still whole" in loss


def test_damage_that_a_write_finds_is_the_last_of_that_file(folder, monkeypatch):
    """Damage that the start did not see ends the service once: the next start has a new file, with all jobs."""
    monkeypatch.setattr(schema, "CHECKED_BYTES", 10 * PAGE)
    overwrite(folder, (root_page(folder, "history") - 1) * PAGE, b"\xa5" * PAGE)
    with (
        Store.open(folder) as store,
        pytest.raises(StoreError, match=r"set aside as state\.db\.corrupt"),
    ):
        store.commit(Change(transitions=[step(1)]))
    assert starts_again(folder) == (WHOLE, "")


@pytest.mark.parametrize("fault", [DiskFullError("state.db.new cannot grow"), StoreError("the disk reports an error")])
def test_a_damaged_file_without_room_for_another_loses_nothing(folder, monkeypatch, fault):
    """Where the new file cannot be made the damaged one stays, and gives what is whole once there is room."""
    overwrite(folder, 60 * PAGE, b"\xa5" * PAGE)
    before = (folder / "state.db").read_bytes()

    def fail(*_):
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(opening.tables, "write", fail)
        with pytest.raises(type(fault), match=str(fault)):
            Store.open(folder)
    assert (folder / "state.db").read_bytes() == before
    assert aside(folder) == []
    assert starts_again(folder)[0] == WHOLE


def test_damage_met_on_a_full_disk_is_no_want_of_room(folder, monkeypatch):
    """A write that meets damage ends the service also where there is no room: nobody tries it again in that file."""
    monkeypatch.setattr(schema, "CHECKED_BYTES", 10 * PAGE)
    overwrite(folder, (root_page(folder, "history") - 1) * PAGE, b"\xa5" * PAGE)

    def full(*_):
        raise DiskFullError("state.db.new cannot grow, the disk is full")

    with Store.open(folder) as store:
        monkeypatch.setattr(opening, "_open", full)
        with pytest.raises(StoreError, match=r"is damaged .*; state\.db\.new cannot grow, the disk is full") as caught:
            store.commit(Change(transitions=[step(1)]))
    assert type(caught.value) is StoreError
    assert aside(folder) == []
    monkeypatch.undo()
    assert starts_again(folder)[0] == WHOLE


@pytest.mark.parametrize("step_of_it", ["write", "move_aside", "_put_in_place"])
def test_a_crash_while_it_is_set_aside_loses_nothing(folder, monkeypatch, step_of_it):
    """Wherever the replacement of a damaged file is cut short, the next start has what is whole of it."""
    overwrite(folder, 60 * PAGE, b"\xa5" * PAGE)

    class PowerCut(BaseException):
        """No cleaning up behind this."""

    def cut(*_):
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(opening, "_remove", lambda _: None)
        patch.setattr(opening.tables if step_of_it == "write" else opening, step_of_it, cut)
        with pytest.raises(PowerCut):
            Store.open(folder)
    assert (folder / "state.db.new").exists()
    saved, loss = starts_again(folder)
    assert saved == WHOLE
    assert "was set aside" in loss if step_of_it == "_put_in_place" else "is set aside as" in loss
    assert len(aside(folder)) == 1


def test_a_power_cut_while_it_is_set_aside_leaves_a_file_to_go_on_with(folder):
    """Whichever names reach the disk before the power goes, the damaged file or the one in its place is among them."""
    overwrite(folder, 60 * PAGE, b"\xa5" * PAGE)
    damage = DamagedError(f"{folder / 'state.db'} is damaged: a page")
    with RecordedDisk(folder) as disk:
        opening.replace(folder / "state.db", damage)
    left = [{name for name, _ in tree} for _, tree in disk.crashes()]
    assert any("./state.db.new" in names for names in left)
    assert all(names & {"./state.db", "./state.db.new"} for names in left)


def test_damage_that_a_read_finds_is_the_last_of_that_file(folder):
    """Damage that comes while the service runs is set aside as soon as it is met."""
    page = root_page(folder, "outbox")
    with Store.open(folder) as store:
        overwrite(folder, (page - 1) * PAGE, b"\xa5" * PAGE)
        overwrite(folder, 24, b"\0\0\xff\xff")  # the change counter: SQLite drops what it has in memory
        with pytest.raises(StoreError, match="set aside as"):
            store.load()
    assert starts_again(folder)[0] == NOTHING


def test_texts_that_are_no_texts_do_not_end_the_service(folder):
    """A bit that flipped inside a text is for the reader of that text to judge; the rest is read as ever."""
    with closing(sqlite3.connect(folder / "state.db")) as db, db:
        db.execute("UPDATE snapshots SET json = CAST(X'7bff7d' AS TEXT) WHERE machine = 'logs'")
    saved, loss = starts_again(folder)
    assert saved == replace(WHOLE, snapshots={**SNAPSHOTS, ("system_api", "logs"): "{�}"})
    assert loss == ""


@pytest.mark.parametrize("number", ["6", "0", "-121", "NULL", "'x'", "X'ff'"])
def test_a_highest_number_that_is_wrong_costs_no_status_its_place(folder, number):
    """Whatever a bit that flipped made of the highest number, the next status gets one behind those that wait."""
    with closing(sqlite3.connect(folder / "state.db")) as db, db:
        db.execute(f"UPDATE sqlite_sequence SET seq = {number} WHERE name = 'outbox'")
    after = replace(ROW, seq=8)
    with Store.open(folder) as store:
        assert store.load() == WHOLE
        store.commit(Change(rows_added=[after]))
    with Store.open(folder) as store:
        assert store.load() == Saved(SNAPSHOTS, (ROW, after), 8)


@pytest.mark.parametrize(
    "wrong",
    ["at = '2026-99-01T12:00:00+00:00'", "at = '2026-03-01T12:00:00'", "at = 5", "target = X'42'", "job = 'x'"],
)
def test_a_step_that_makes_no_sense_costs_no_other_its_place(folder, wrong):
    """A bit that flipped in one row of the history leaves the others to be read."""
    with closing(sqlite3.connect(folder / "state.db")) as db, db:
        db.execute(f"UPDATE history SET {wrong} WHERE seq = 1999")
    with StoreReader.open(folder) as reader:
        assert reader.history(3) == [step(1997), step(1999)]


@pytest.mark.parametrize("journal_mode", ["WAL", "DELETE"])
def test_another_programs_file_is_not_touched(tmp_path, journal_mode):
    """Neither bytes nor mode nor the journal mode of a foreign database change, and nothing is put beside it."""
    file = tmp_path / "state.db"
    with closing(sqlite3.connect(file)) as foreign:
        foreign.execute(f"PRAGMA journal_mode = {journal_mode}")
        foreign.execute("CREATE TABLE contacts (name)")
    file.chmod(0o644)
    before = (file.read_bytes(), file.stat().st_mode, file.stat().st_mtime_ns)
    with pytest.raises(StoreError, match="belongs to another program: set"):
        Store.open(tmp_path)
    assert (file.read_bytes(), file.stat().st_mode, file.stat().st_mtime_ns) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "state.db"]


def test_a_reader_never_sets_aside(folder):
    """`status` beside a damaged file says so, and leaves it to the service."""
    overwrite(folder, 0, b"\xa5" * PAGE)
    with pytest.raises(StoreError, match="the service sets it aside at its next start"):
        StoreReader.open(folder)
    assert aside(folder) == []
