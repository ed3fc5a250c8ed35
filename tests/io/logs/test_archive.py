"""One archive holds what was asked for, says what it lacks, and is complete or not there."""

import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.endless_log import write_endless_log

from everest_system.fsm.errors import CanceledError, WorldError
from everest_system.io.logs import archive as log_archive
from everest_system.io.logs import manifest as log_manifest
from everest_system.io.logs.archive import collect
from everest_system.io.logs.collect_request import CollectError, CollectRequest
from everest_system.io.logs.masking import PASSWORDS, Mask
from everest_system.io.logs.sources import LogSource
from everest_system.io.logs.window import LogWindow

BASE = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
NAME = "s_DiagnosticsLog_begin_20261122T093000Z.tar.gz"
OPEN = LogWindow(zone=UTC)


class Station:
    """A folder of logs and a spool, and what is in the archive that is made of them."""

    def __init__(self, root: Path) -> None:
        self.root, self.logs, self.spool = root, root / "logs", root / "spool"
        self.logs.mkdir()
        self.source = LogSource((f"{self.logs}/**/*",))
        self.masks: tuple[Mask, ...] = ()
        self.canceled = threading.Event()
        self.progress: list[tuple[int, int]] = []
        self.on_progress = lambda done, total: self.progress.append((done, total))

    def put(self, name: str, content: bytes, modified: datetime = BASE) -> Path:
        path = self.logs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (modified.timestamp(),) * 2)
        return path

    def collect(self, window: LogWindow = OPEN, max_size_bytes: int = 1 << 30, **facts):
        request = CollectRequest(
            self.source, window, self.spool, NAME, facts=facts, max_size_bytes=max_size_bytes, masks=self.masks
        )
        return collect(request, canceled=self.canceled, on_progress=self.on_progress)

    def spooled(self) -> list[str]:
        return [path.name for path in self.spool.iterdir()]

    def members(self) -> dict[str, bytes]:
        with tarfile.open(self.spool / NAME, "r:gz") as archive:
            found = [(info.name, archive.extractfile(info).read()) for info in archive]
        assert len(dict(found)) == len(found), "a name twice"
        assert found[-1][0] == "manifest.json"
        prefix = str(self.logs).lstrip("/") + "/"
        return {name.removeprefix(prefix): data for name, data in found}

    def manifest(self) -> dict:
        return json.loads(self.members()["manifest.json"])

    def left_out(self) -> dict[str, str]:
        return {Path(one["path"]).name: one["reason"] for one in self.manifest()["left_out"]}


@pytest.fixture
def station(tmp_path):
    return Station(tmp_path)


def line(seconds: float, text: str = "x") -> bytes:
    return f"{BASE + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S.%f} [INFO] {text}\n".encode()


def seconds(oldest: float | None, latest: float | None) -> LogWindow:
    return LogWindow(
        None if oldest is None else BASE + timedelta(seconds=oldest),
        None if latest is None else BASE + timedelta(seconds=latest),
        zone=UTC,
    )


def test_everything_under_its_own_folders(station):
    """N01.FR.02: one file that holds every log, newest first, the manifest last."""
    station.put("a.log", b"one\n", BASE)
    station.put("d/e/b.log", b"two\n", BASE + timedelta(seconds=1))
    station.put("empty", b"", BASE - timedelta(seconds=1))
    collected = station.collect(log_type="DiagnosticsLog", version="1.2.3")
    members = station.members()
    assert list(members) == ["d/e/b.log", "a.log", "empty", "manifest.json"]
    assert (members["a.log"], members["d/e/b.log"], members["empty"]) == (b"one\n", b"two\n", b"")
    assert collected.path == station.spool / NAME
    assert collected.length == collected.path.stat().st_size
    assert (collected.files_taken, collected.files_left_out) == (3, 0)
    assert station.spooled() == [NAME]


def test_the_manifest_says_what_was_taken(station):
    """From where, how many bytes, which window, and the facts given."""
    path = station.put("a.log", line(0) + line(1))
    station.collect(seconds(1, None), log_type="DiagnosticsLog", version="1.2.3")
    assert station.manifest() == {
        "log_type": "DiagnosticsLog",
        "version": "1.2.3",
        "format": 2,
        "archive": NAME,
        "window": {"oldest": "2026-11-22T09:30:01Z", "latest": None, "inclusive": True},
        "zone": "UTC",
        "bytes": 0,
        "taken": [],
        "left_out": [{"path": str(path), "reason": "last changed before the window"}],
        "masked": {},
        "errors": [],
    }
    os.utime(path, (BASE.timestamp() + 1,) * 2)
    station.collect(seconds(1, None))
    assert station.manifest()["taken"] == [
        {
            "path": str(path),
            "member": str(path).lstrip("/"),
            "bytes": len(line(1)),
            "of_bytes": 2 * len(line(1)),
            "modified": "2026-11-22T09:30:01Z",
            "lines": "in the window, by ISO 8601 times",
            "notes": [],
        }
    ]


def test_the_window_inside_of_files(station):
    """Lines by their times, files without times whole, each by its life."""
    later = BASE + timedelta(seconds=100)
    station.put("timed.log", line(0) + line(1) + b"more\n" + line(2), later)
    station.put("plain.txt", b"no times here\n", later)
    station.put("old.txt", b"too old\n", BASE)
    station.put("late.log", line(3) + line(4), later)
    station.put("clock_set_back.log", line(3) + line(1), later)
    station.put("around.log", line(0) + line(3), later)
    collected = station.collect(seconds(1, 2))
    members = station.members()
    del members["manifest.json"]
    assert members == {
        "timed.log": line(1) + b"more\n" + line(2),
        "plain.txt": b"no times here\n",
        "clock_set_back.log": line(1),
    }
    assert station.left_out() == {
        "old.txt": "last changed before the window",
        "late.log": "begins after the window",
        "around.log": "no line in the window",
    }
    assert (collected.files_taken, collected.files_left_out) == (3, 3)


@pytest.mark.parametrize("window", [seconds(5, 4), seconds(None, -99), seconds(999, None)])
def test_an_empty_window_is_an_archive_with_its_manifest(station, window):
    """Nothing in the window is no failure."""
    station.put("a.log", line(0))
    assert station.collect(window).files_taken == 0
    assert list(station.members()) == ["manifest.json"]


def test_a_source_without_files_says_so(station):
    """A pattern without a match is in the manifest."""
    station.collect()
    assert station.left_out() == {"*": "no file matches"}


def test_the_same_input_gives_the_same_bytes(station):
    """Made twice, at different times and in another order of the folder, it is the same archive."""
    for number in range(20):
        station.put(f"{number}.log", line(number))
    station.collect()
    first = (station.spool / NAME).read_bytes()
    for number in reversed(range(20)):
        (station.logs / f"{number}.log").rename(station.root / f"{number}.log")
        (station.root / f"{number}.log").rename(station.logs / f"{number}.log")
    (station.spool / NAME).unlink()
    station.collect()
    assert (station.spool / NAME).read_bytes() == first
    with tarfile.open(station.spool / NAME) as archive:
        assert {info.mtime for info in archive} == {int(BASE.timestamp())}


def test_names_that_are_not_utf8_are_kept(station):
    """The member has the name's bytes, and the manifest shows them readably."""
    station.put(os.fsdecode(b"caf\xe9.log"), b"x")
    station.collect()
    assert os.fsdecode(b"caf\xe9.log") in station.members()
    assert station.manifest()["taken"][0]["path"] == f"{station.logs}/caf\\xe9.log"


def test_tar_itself_reads_it(station):
    """An engineer's own tar unpacks it without a word."""
    path = station.put("a.log", b"one\n")
    names = ["x" * 200 + "/y.log", "\N{BLACK STAR}" * 50, os.fsdecode(b"caf\xe9.log"), os.fsdecode(b"\xe9" * 250)]
    for name in names:
        station.put(name, b"two\n")
    station.collect()
    done = subprocess.run(
        ["tar", "xzf", station.spool / NAME, "-C", station.root], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (station.root / str(path).lstrip("/")).read_bytes() == b"one\n"
    for name in names:
        assert (station.root / str(station.logs / name).lstrip("/")).read_bytes() == b"two\n"


def test_at_the_size_limit_the_newest_win(station):
    """What breaks the limit and all that is older is left out, and the manifest says so."""
    dice = random.Random(3)
    for number in range(5):
        station.put(f"{number}.bin", dice.randbytes(100_000), BASE - timedelta(seconds=number))
    collected = station.collect(max_size_bytes=250_000)
    assert list(station.members()) == ["0.bin", "1.bin", "manifest.json"]
    assert set(station.left_out()) == {"2.bin", "3.bin", "4.bin"}
    assert set(station.left_out().values()) == {"over the size limit, newer files went first"}
    assert (collected.files_taken, collected.files_left_out) == (2, 3)
    assert collected.length < 251_000


def test_a_long_list_of_what_is_left_out_is_counted(station, monkeypatch):
    """The manifest lists so many and counts the rest."""
    monkeypatch.setattr(log_manifest, "LISTED_MAX", 2)
    for number in range(5):
        station.put(f"{number}.log", line(0))
    assert station.collect(seconds(1, None)).files_left_out == 5
    assert len(station.manifest()["left_out"]) == 2
    assert station.manifest()["left_out_unlisted"] == 3


def test_links_and_fifos_are_recorded(station):
    """What is not taken is in the manifest with its reason; nothing blocks."""
    (station.root / "secret").write_text("key")
    (station.logs / "link").symlink_to(station.root / "secret")
    os.mkfifo(station.logs / "fifo")
    station.collect()
    assert station.left_out() == {
        "link": "a symbolic link out of the allowed folders",
        "fifo": "no regular file",
        "*": "no file matches",
    }


def test_the_spool_is_not_collected(station):
    """A pattern that covers the spool does not put the archive into itself."""
    station.source = LogSource((f"{station.root}/**/*",))
    station.put("a.log", b"x")
    station.collect()
    station.collect()
    assert set(station.members()) == {"a.log", "manifest.json"}
    assert set(station.left_out().values()) == {"the spool itself"}


def test_a_time_no_calendar_has(station):
    """A file may claim to be changed at any time at all."""
    path = station.put("a.log", b"x")
    os.utime(path, (1 << 33, 1 << 33))
    if path.stat().st_mtime_ns != (1 << 33) * 10**9:
        pytest.skip("the file system knows no such time")
    station.collect()
    assert station.manifest()["taken"][0]["modified"] == "2242-03-16T12:56:32Z"
    assert log_manifest.modified(1 << 40) is None


def during(station, action, when=lambda done: done > 0):
    """Have something happen once the first bytes have been copied."""
    happened = []

    def on_progress(done, total):
        if not happened and when(done):
            happened.append(True)
            action()

    station.on_progress = on_progress
    return happened


def test_a_file_that_grows_and_one_that_shrinks(station):
    """The tar stays whole, whatever is done to a file while it is read."""
    size = 1_000_000
    grows = station.put("grows.log", b"g" * size, BASE + timedelta(seconds=1))
    shrinks = station.put("shrinks.log", b"s" * size)

    def change():
        with grows.open("ab") as writer:
            writer.write(b"!" * 10)

    assert during(station, change) == []
    station.collect()
    assert station.members()["grows.log"] == b"g" * size
    notes = {Path(one["path"]).name: one["notes"] for one in station.manifest()["taken"]}
    assert notes["grows.log"] == ["grew while it was read: 10 bytes at its end not taken"]

    during(station, lambda: os.truncate(shrinks, 300_000), lambda done: done > size + 20)
    station.collect()
    data = station.members()["shrinks.log"]
    assert len(data) == size
    assert data.strip(b"\0").strip(b"s") == b""
    notes = {Path(one["path"]).name: one["notes"] for one in station.manifest()["taken"]}
    assert notes["shrinks.log"][1:] == ["shrank while it was read, to 300000 bytes"]
    assert "zeros" in notes["shrinks.log"][0]


def test_a_log_that_rotates_is_not_lost(station):
    """Names that move on between finding and reading: each content once, none over another."""
    station.put("a.log", b"a" * 400_000, BASE + timedelta(seconds=9))
    first = station.put("x.log", b"newest\n", BASE)
    station.put("x.log.1", b"older\n", BASE - timedelta(seconds=1))

    def rotate():
        (station.logs / "x.log.1").rename(station.logs / "x.log.2")
        first.rename(station.logs / "x.log.1")
        station.put("x.log", b"brand new\n", BASE + timedelta(seconds=5))

    happened = during(station, rotate)
    station.collect()
    assert happened
    members = station.members()
    assert {name: data for name, data in members.items() if name.startswith("x.")} == {
        "x.log": b"brand new\n",
        "x.log.1": b"newest\n",
        "x.log.2": b"older\n",
    }


def test_a_log_that_rotates_after_it_was_read_keeps_its_name(station):
    """What stands at a name by then gets another one in the archive, and is lost no more than the first."""
    station.put("x.log", b"first\n", BASE + timedelta(seconds=9))
    station.put("a.log", b"a" * 400_000, BASE)

    def rotate():
        (station.logs / "x.log").rename(station.logs / "x.log.1")
        station.put("x.log", b"second\n", BASE)

    happened = during(station, rotate, lambda done: done > 10)
    station.collect()
    assert happened
    members = station.members()
    assert (members["x.log"], members["x.log.~2~"]) == (b"first\n", b"second\n")
    assert "x.log.1" not in members


def test_what_vanishes_or_empties_is_recorded(station):
    """A file that goes between finding and reading is left out, with the reason."""
    station.put("a.log", b"a" * 400_000, BASE + timedelta(seconds=9))
    gone = station.put("gone.log", b"x\n")
    happened = during(station, gone.unlink)
    station.collect()
    assert happened
    assert station.left_out() == {"gone.log": "vanished before it was read"}


def test_a_file_emptied_in_hand_is_left_out(station, monkeypatch):
    """A file cut to nothing between opening and reading is left out rather than filled with zeros."""
    path = station.put("a.log", b"x\n")
    real = log_archive.LogFile

    def emptied(*args):
        os.truncate(path, 0)
        return real(*args)

    monkeypatch.setattr(log_archive, "LogFile", emptied)
    station.collect()
    assert station.left_out() == {"a.log": "emptied before it was read"}


def test_what_cannot_be_read_is_recorded(station, monkeypatch):
    """A disk that gives no bytes is named as the reason."""
    station.put("a.log", b"x\n")
    station.put("b.log", b"y\n", BASE - timedelta(seconds=1))
    real, failed = os.pread, []

    def pread(fd, length, offset):
        if not failed:
            failed.append(True)
            raise OSError(5, "Input/output error")
        return real(fd, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    station.collect()
    assert set(station.members()) == {"b.log", "manifest.json"}
    assert station.left_out() == {"a.log": "cannot be read from byte 0 on: input/output error"}


@contextmanager
def files_of_at_most(length: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_leaves_a_clean_spool(station):
    """The reason is one line, and nothing of the archive is left."""
    station.put("a.bin", random.Random(5).randbytes(2_000_000))
    with files_of_at_most(1_000_000), pytest.raises(CollectError, match="cannot write the log archive: file too large"):
        station.collect()
    assert issubclass(CollectError, WorldError)
    assert station.spooled() == []


def test_a_spool_that_cannot_be_is_a_failure_of_the_world(station):
    """A file in the spool's place is said, and stays."""
    station.spool.write_text("mine")
    with pytest.raises(CollectError, match="file exists"):
        station.collect()
    assert station.spool.read_text() == "mine"


def test_a_folder_that_cannot_be_synced_leaves_a_clean_spool(station, monkeypatch):
    """An archive that a power cut could take back is none."""

    def sync_folder(folder):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(log_archive, "sync_folder", sync_folder)
    with pytest.raises(CollectError, match="input/output error"):
        station.collect()
    assert station.spooled() == []


def test_leftovers_of_a_crash_are_written_over(station):
    """An unfinished archive of the same name does no harm, however long it is."""
    station.spool.mkdir()
    (station.spool / f"{NAME}.part").write_bytes(b"x" * 1_000_000)
    station.put("a.log", b"one\n")
    station.collect()
    assert station.members()["a.log"] == b"one\n"
    assert station.spooled() == [NAME]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(station, name):
    """The archive's name is a name in the spool."""
    with pytest.raises(ValueError, match="no file name"):
        CollectRequest(station.source, OPEN, station.spool, name)


def test_canceled_before_it_began(station):
    """Nothing is left of an archive that nobody wants."""
    station.put("a.log", b"x")
    station.canceled.set()
    with pytest.raises(CanceledError):
        station.collect()
    assert station.spooled() == []


@pytest.mark.parametrize("window", [OPEN, seconds(None, 10**9)], ids=["whole files", "by line"])
def test_canceled_in_the_middle_it_ends_at_once(station, window):
    """Within 200 ms of the cancel the work has ended and the spool is clean."""
    write_endless_log(station.logs / "huge.log", line(0) + b"y" * 1000 + b"\n" + line(1))
    reading, ended = threading.Event(), []
    station.on_progress = lambda done, total: reading.set()

    def work():
        with pytest.raises(CanceledError):
            station.collect(window)
        ended.append(time.monotonic())

    worker = threading.Thread(target=work)
    worker.start()
    assert reading.wait(30)
    begin = time.monotonic()
    station.canceled.set()
    worker.join(30)
    assert ended[0] - begin < 0.2
    assert station.spooled() == []


def test_progress_goes_from_nothing_to_all(station):
    """The bytes dealt with never fall and end at the total, also for what is left out."""
    station.put("a.log", line(0) * 20_000)
    station.put("b.log", line(0) * 10_000, BASE - timedelta(days=1))
    total = 30_000 * len(line(0))
    station.collect(seconds(0, 0))
    done = [now for now, _ in station.progress]
    assert done == sorted(done)
    assert station.progress[-1] == (total, total)
    assert len(set(done)) > 3


def test_memory_does_not_grow_with_the_logs(station):
    """8 MiB of lines in and out of the window, and one line of 32 MiB, are never held."""
    many = b"".join(line(second % 3, "z" * 60) for second in range(10_000))
    with (station.logs / "many.log").open("wb") as writer:
        for _ in range(8 * 1024 * 1024 // len(many)):
            writer.write(many)
    station.put("long.log", line(1))
    with (station.logs / "long.log").open("r+b") as writer:
        writer.write(line(1)[:-1])
        for _ in range(32):
            writer.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        station.collect(seconds(1, 2))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert station.manifest()["taken"][0]["bytes"] > 1000
    assert peak < 6 * 1024 * 1024


def test_the_crc_holds_over_everything(station):
    """The gzip trailer fits what was compressed, also after a file was taken back out."""
    dice = random.Random(9)
    station.put("a.bin", dice.randbytes(50_000), BASE)
    station.put("b.bin", dice.randbytes(90_000), BASE - timedelta(seconds=1))
    station.collect(max_size_bytes=100_000)
    assert len(gzip.decompress((station.spool / NAME).read_bytes())) % 512 == 0
    assert set(station.left_out()) == {"b.bin"}


def test_the_compressor_is_loaded_by_the_archive_alone():
    """Finding sources and naming archives costs no compressor: idle memory is for charging."""
    code = (
        "import sys\nfrom everest_system.io.logs import archive_name, collector, sources\n"
        "sys.exit('isal' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_not_in_the_archive_is_not_counted_as_masked(station):
    """A file taken back out at the size limit leaves no trace among the counts."""
    noise = random.Random(4).randbytes(300_000)
    station.put("a.log", b"ftp://me:secret@host\n")
    station.put("b.log", b"ftp://me:secret@host\n" * 9 + noise, BASE - timedelta(seconds=1))
    station.masks = (PASSWORDS,)
    station.collect(max_size_bytes=100_000)
    assert set(station.left_out()) == {"b.log"}
    assert station.manifest()["masked"] == {"url_password": 1}
