"""The station's memory keeps its word across crashes, strangers' files, second services and full disks."""

import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from everest_system.fsm.machine import Status
from everest_system.fsm.outbox import OutboxRow
from everest_system.io.store import database, opening, schema, tables
from everest_system.io.store.store import Change, Saved, Store, StoreError, StoreReader, Transition

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

# One number in every table: whatever a crash leaves must agree with itself.
COMMIT_LOOP = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from everest_system.fsm.machine import Status
from everest_system.fsm.outbox import OutboxRow
from everest_system.io.store.store import Change, Store, Transition
store = Store.open(Path(sys.argv[1]))
number = store.load().last_seq
while True:
    number += 1
    store.commit(Change(
        snapshots={("m", "firmware"): str(number), ("m", "logs"): str(number)},
        rows_added=[OutboxRow(number, "m", Status("firmware", 1, 7, 1, "Downloading", False, ""))],
        rows_removed=[number - 1],
        transitions=[Transition(datetime.now(UTC), "m", "firmware", 1, 7, "A", "B", "E", str(number))],
    ))
    print(number, flush=True)
"""


def row(
    seq: int, word: str = "Downloading", *, is_end: bool = False, early: bool = False, connectors: bool | None = None
) -> OutboxRow:
    status = Status("firmware", 3, 42, 2, word, is_end, "Downloaded", disable_connectors=connectors)
    return OutboxRow(seq, "system_api", status, early)


def step(number: int, module_id: str = "system_api") -> Transition:
    at = NOW + timedelta(seconds=number)
    return Transition(at, module_id, "firmware", 3, 42, "IDLE", "ACCEPTED", "UpdateRequested", f"number {number}")


def files(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        file.name: (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_mode)
        for file in sorted(folder.iterdir())
    }


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def opened(folder):
    with Store.open(folder) as opened:
        yield opened


def test_what_was_committed_is_there_after_reopening(folder):
    """Snapshots, outbox and history come back as they were written, the outbox in the order of sending."""
    change = Change(
        snapshots={("system_api", "firmware"): '{"state":"IDLE"}', ("system_api", "logs"): "{}"},
        rows_added=[row(1), row(2, "Installed", is_end=True), row(10)],
        transitions=[step(1), step(2)],
    )
    with Store.open(folder) as first:
        first.commit(change)
        first.commit(Change(snapshots={("system_api", "logs"): '{"é":"\\u0000"}'}, rows_removed=[1]))
    with Store.open(folder) as second:
        assert second.load() == Saved(
            {("system_api", "firmware"): '{"state":"IDLE"}', ("system_api", "logs"): '{"é":"\\u0000"}'},
            (row(2, "Installed", is_end=True), row(10)),
            10,
        )
        assert second.load().rows[0].status.is_end is True
        assert second.history(10) == [step(1), step(2)]


def test_what_a_status_says_of_the_connectors_is_kept(folder):
    """Yes, no and nothing are three things, before and after reopening."""
    rows = tuple(row(number, connectors=said) for number, said in enumerate([True, False, None], 1))
    with Store.open(folder) as first:
        first.commit(Change(rows_added=rows))
    with Store.open(folder) as second:
        assert second.load().rows == rows
        assert [type(row.status.disable_connectors) for row in second.load().rows] == [bool, bool, type(None)]


def test_a_new_memory_is_empty_and_private(folder):
    """A first start makes the folder for its owner alone, and a file that only the owner reads."""
    with Store.open(folder / "deeper") as new:
        assert new.load() == Saved({}, (), 0)
        assert new.history(5) == []
        new.commit(Change(snapshots={("m", "logs"): "{}"}))
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder / "deeper", *(folder / "deeper").iterdir()]
    }
    assert modes == {"deeper": 0o700, "lock": 0o600, "state.db": 0o600, "state.db-journal": 0o600}


def test_a_file_open_to_others_is_closed_to_them(folder):
    """A state.db that was put back with a wider mode is private again after the next start."""
    Store.open(folder).close()
    (folder / "state.db").chmod(0o644)
    Store.open(folder).close()
    assert stat.S_IMODE((folder / "state.db").stat().st_mode) == 0o600


def test_sequence_numbers_are_never_reused(folder):
    """The highest number counts also when its row is gone, and a number at or below it is refused unwritten."""
    with Store.open(folder) as first:
        first.commit(Change(rows_added=[row(1), row(5)]))
        first.commit(Change(rows_removed=[1, 5]))
    with Store.open(folder) as second:
        assert second.load() == Saved({}, (), 5)
        for numbers in ([5], [4], [6, 6], [7, 6]):
            with pytest.raises(ValueError, match="is not above"):
                second.commit(Change(snapshots={("m", "logs"): "{}"}, rows_added=[row(number) for number in numbers]))
        assert second.load() == Saved({}, (), 5)
        second.commit(Change(rows_added=[row(6)]))
        assert second.load().last_seq == 6


def test_an_empty_change_touches_no_file(opened, folder):
    """Nothing to say means nothing written: no byte and no time of any file changes."""
    opened.commit(Change(snapshots={("m", "logs"): "{}"}))
    before = files(folder)
    opened.commit(Change())
    assert files(folder) == before
    opened.commit(Change(rows_removed=[99]))
    assert opened.load() == Saved({("m", "logs"): "{}"}, (), 0)


def test_writes_are_synced_before_commit_returns(opened):
    """The journal is truncated and synced in full, foreign keys hold, and a planted schema gets no functions."""
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
    assert [opened._db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == ["truncate", 2, 1, 0]


def test_history_is_bounded_and_newest(opened, monkeypatch):
    """Only the newest transitions stay; a limit and a module narrow what is shown, oldest first."""
    monkeypatch.setattr(tables, "HISTORY_LENGTH", 50)
    for start in range(0, 120, 30):
        opened.commit(Change(transitions=[step(n, "even" if n % 2 == 0 else "odd") for n in range(start, start + 30)]))
    assert [kept.detail for kept in opened.history(1000)] == [f"number {n}" for n in range(70, 120)]
    assert [kept.detail for kept in opened.history(3, "even")] == ["number 114", "number 116", "number 118"]
    assert opened.history(5, "nobody") == opened.history(0) == opened.history(-1) == []


def test_history_keeps_times_in_utc_and_bounds_details(opened):
    """A zone is converted, a long or unwritable detail is cut and escaped, and a time without a zone is refused."""
    at = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    opened.commit(
        Change(transitions=[Transition(at, "m", "presence", None, None, "A", "B", "E", "\ud800" + "x" * 600)])
    )
    (kept,) = opened.history(1)
    assert (kept.at, kept.at.tzinfo, kept.job, kept.request_id) == (at, UTC, None, None)
    assert kept.detail == "\\ud800" + "x" * 499
    naive = Transition(at.replace(tzinfo=None), "m", "presence", None, None, "A", "B", "E")
    with pytest.raises(ValueError, match="zone"):
        opened.commit(Change(snapshots={("m", "logs"): "{}"}, transitions=[naive]))
    assert opened.load().snapshots == {}


def test_a_change_that_breaks_off_leaves_nothing(opened):
    """Wherever inside a commit an error strikes, the memory stays as it was, and the next commit works."""
    opened.commit(Change(snapshots={("m", "logs"): "before"}, rows_added=[row(1)], transitions=[step(1)]))
    before = (opened.load(), opened.history(10))
    change = Change(snapshots={("m", "logs"): "after"}, rows_added=[row(2)], rows_removed=[1], transitions=[step(2)])
    strikes = 0
    for instructions in range(1, 400, 7):
        strike = iter([1])
        opened._db.set_progress_handler(lambda strike=strike: next(strike, 0), instructions)
        try:
            opened.commit(change)
        except sqlite3.OperationalError:
            strikes += 1
            opened._db.set_progress_handler(None, 0)
            assert (opened.load(), opened.history(10)) == before
        else:
            break
    opened._db.set_progress_handler(None, 0)
    assert strikes > 5
    assert opened.load() == Saved({("m", "logs"): "after"}, (row(2),), 2)


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_service_leaves_all_of_a_change_or_nothing(folder, seed):
    """After SIGKILL at any moment the tables agree with each other, and nothing that was acknowledged is missing."""
    chance = random.Random(seed)
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", COMMIT_LOOP, str(folder)], stdout=subprocess.PIPE) as child:
            for _ in range(chance.randint(1, 15)):
                acknowledged = int(child.stdout.readline())
            for _ in range(chance.randint(0, 60_000)):  # to strike at another point of the commit each time
                pass
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().splitlines()
        acknowledged = int(rest[-1]) if rest else acknowledged
        with Store.open(folder) as after:
            saved, history = after.load(), after.history(1)
        number = saved.last_seq
        assert number in (acknowledged, acknowledged + 1)
        assert saved.snapshots == {("m", "firmware"): str(number), ("m", "logs"): str(number)}
        assert [waiting.seq for waiting in saved.rows] == [number]
        assert history[0].detail == str(number)


@pytest.fixture
def cut_off(folder, tmp_path):
    """A folder as a power cut leaves it in the middle of a write: half in the file, the way back in the journal."""
    with Store.open(folder) as running:
        running.commit(Change(snapshots={("m", "logs"): "before"}))
        copy = tmp_path / "copy"
        running._db.execute("PRAGMA cache_size = 1")
        running._db.execute("BEGIN IMMEDIATE")
        running._db.execute("UPDATE snapshots SET json = 'after'")
        text = "x" * 3000
        running._db.executemany("INSERT INTO snapshots VALUES (?, 'logs', ?)", [(str(n), text) for n in range(200)])
        shutil.copytree(folder, copy)
        running._db.execute("ROLLBACK")
    assert (copy / "state.db").stat().st_size > 100_000
    return copy


def test_a_reader_leaves_an_interrupted_write_to_the_service(cut_off):
    """A reader says that the service has to mend the file and changes nothing; the service takes the write back."""
    before = files(cut_off)
    with pytest.raises(StoreError, match=r"state\.db holds a write that was interrupted: start the service once"):
        StoreReader.open(cut_off)
    assert files(cut_off) == before
    with Store.open(cut_off) as mended:
        assert mended.load() == Saved({("m", "logs"): "before"}, (), 0)


def test_a_reader_works_beside_the_service_and_changes_nothing(opened, folder):
    """`status` and `history` of another process see the last commit, and leave every file as it is."""
    opened.commit(Change(snapshots={("m", "logs"): "one"}, rows_added=[row(1)], transitions=[step(1)]))
    before = files(folder)
    with StoreReader.open(folder) as reader:
        assert (reader.load(), reader.history(10)) == (opened.load(), [step(1)])
        assert files(folder) == before
        opened.commit(Change(snapshots={("m", "logs"): "two"}))
        assert reader.load().snapshots == {("m", "logs"): "two"}
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._db.execute("DELETE FROM history")


def test_a_reader_makes_no_memory_where_none_is(folder):
    """Without a state.db a reader says so, and creates neither file nor folder."""
    with pytest.raises(StoreError, match=r"state\.db does not exist: no service has run"):
        StoreReader.open(folder)
    assert not folder.exists()
    folder.mkdir()
    (folder / "state.db").touch()
    with pytest.raises(StoreError, match=f"has schema 0, this version reads {schema.VERSION}: start the service once"):
        StoreReader.open(folder)
    assert (folder / "state.db").read_bytes() == b""


def test_two_services_never_share_a_folder(opened, folder):
    """The second one is told which folder, by whom, and what to do; after the first has closed, it may."""
    with pytest.raises(StoreError, match=r"state is in use by another running service \(process \d+\): stop that one"):
        Store.open(folder)
    opened.commit(Change(snapshots={("m", "logs"): "{}"}))
    opened.close()
    opened.close()
    with Store.open(folder) as second:
        assert second.load().snapshots == {("m", "logs"): "{}"}


def test_a_killed_service_leaves_no_lock(folder):
    """The folder is free at once when the process that held it is gone, however it ended."""
    with subprocess.Popen([sys.executable, "-c", COMMIT_LOOP, str(folder)], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        with pytest.raises(StoreError, match=rf"\(process {child.pid}\)"):
            Store.open(folder)
        child.kill()
    Store.open(folder).close()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_reader_leaves_a_damaged_file_alone(folder, content):
    """To a reader garbage in place of state.db is an error that names it and the way out, and it is not touched."""
    folder.mkdir()
    (folder / "state.db").write_bytes(content)
    with pytest.raises(StoreError, match=rf"^{folder}/state\.db is damaged or no database: the service sets it aside"):
        StoreReader.open(folder)
    assert (folder / "state.db").read_bytes() == content


@pytest.mark.parametrize("open_it", [Store.open, StoreReader.open])
@pytest.mark.parametrize("statement", ["CREATE TABLE contacts (name)", "PRAGMA user_version = 1"])
def test_a_foreign_database_is_left_alone(folder, open_it, statement):
    """Another program's SQLite file is recognised, named and not changed."""
    folder.mkdir()
    foreign = sqlite3.connect(folder / "state.db")
    foreign.execute(statement)
    foreign.close()
    content = (folder / "state.db").read_bytes()
    with pytest.raises(StoreError, match=r"state\.db belongs to another program: set station\.state_dir"):
        open_it(folder)
    assert (folder / "state.db").read_bytes() == content


def test_a_full_disk_is_a_store_error_and_changes_nothing(opened, folder):
    """A change that finds no room leaves the memory as it was; with room again it is written."""
    opened.commit(Change(snapshots={("m", "logs"): "before"}))
    pages = opened._db.execute("PRAGMA page_count").fetchone()[0]
    opened._db.execute(f"PRAGMA max_page_count = {pages}")
    large = Change(snapshots={("m", "logs"): "x" * 100_000}, rows_added=[row(1)])
    with pytest.raises(StoreError, match=r"state\.db cannot grow, the disk is full: make room"):
        opened.commit(large)
    assert opened.load() == Saved({("m", "logs"): "before"}, (), 0)
    opened._db.execute("PRAGMA max_page_count = 100000")
    opened.commit(large)
    assert opened.load().last_seq == 1


def test_a_read_only_file_is_found_at_the_start(folder, monkeypatch):
    """A service that could not write its first status does not start, and says which file to make writable."""
    Store.open(folder).close()
    connect = database.connect
    monkeypatch.setattr(opening, "connect", lambda file, _mode: connect(file, "ro"))
    with pytest.raises(StoreError, match=r"state\.db cannot be written: make the file and its folder writable"):
        Store.open(folder)
    monkeypatch.undo()
    Store.open(folder).close()


def test_another_program_that_keeps_the_file_locked_is_named_as_the_cause(opened, folder, monkeypatch):
    """A reader that holds on makes the commit give up, with nothing written; when it lets go, the commit works."""
    opened._db.execute("PRAGMA busy_timeout = 20")
    reader = sqlite3.connect(folder / "state.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM snapshots").fetchall()
    with pytest.raises(StoreError, match="is kept locked by another program"):
        opened.commit(Change(snapshots={("m", "logs"): "{}"}))
    reader.execute("COMMIT")
    assert opened.load().snapshots == {}
    opened.commit(Change(snapshots={("m", "logs"): "{}"}))
    reader.close()


@pytest.mark.parametrize("place", ["/proc/no-such-folder", "/dev/null"])
def test_a_folder_that_cannot_be_made_is_named(place):
    """Where no folder can be, the error names the place, the key and the way out in one line."""
    with pytest.raises(StoreError, match=rf"^{place}\S* cannot be used \([^\n]+\): set station.state_dir to a folder"):
        Store.open(Path(place))


def test_a_lock_that_the_file_system_refuses_is_no_rival(folder, monkeypatch):
    """A file system without locks is said to be the trouble, not another service."""

    def refuse(_descriptor, _operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("everest_system.io.folder_lock.fcntl.flock", refuse)
    with pytest.raises(StoreError, match=r"lock cannot be used \(No locks available\): set station.state_dir"):
        Store.open(folder)
    monkeypatch.undo()
    Store.open(folder).close()


def test_rows_keep_the_marks_of_having_gone_out(opened: Store) -> None:
    """Whether a status went out before EVerest was registered outlives us."""
    opened.commit(Change(rows_added=[row(1), row(2, early=True), row(3)]))
    marked = [replace(row(1), sent=True), row(2), row(3, early=True)]
    opened.commit(Change(rows_marked=marked))
    assert opened.load().rows == tuple(marked)
