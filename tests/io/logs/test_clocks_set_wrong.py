"""A clock that was set wrong, and right again, costs no line of the window."""

import gzip
import json
import os
import tarfile
import threading
from datetime import UTC, datetime, timedelta

import pytest

from everest_system.io.logs.archive import collect
from everest_system.io.logs.collect_request import CollectRequest
from everest_system.io.logs.sources import LogSource
from everest_system.io.logs.window import LogWindow

BASE = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
WINDOW = LogWindow(BASE, BASE + timedelta(seconds=10), UTC)
BATTERY_DEAD = datetime(2000, 1, 1, tzinfo=UTC) - BASE
YEARS_AHEAD = datetime(2036, 2, 7, tzinfo=UTC) - BASE


def line(at: timedelta | float) -> bytes:
    time = BASE + (at if isinstance(at, timedelta) else timedelta(seconds=at))
    return f"{time:%Y-%m-%dT%H:%M:%SZ} x\n".encode()


@pytest.fixture
def taken(tmp_path):
    """Collects what a file holds of the window: its lines, or why it is left out."""

    def collect_from(name: str, content: bytes, modified: timedelta | float) -> bytes | str:
        logs = tmp_path / "logs"
        logs.mkdir()
        (logs / name).write_bytes(content)
        time = BASE + (modified if isinstance(modified, timedelta) else timedelta(seconds=modified))
        os.utime(logs / name, (time.timestamp(),) * 2)
        request = CollectRequest(LogSource((f"{logs}/*",)), WINDOW, tmp_path / "spool", "a.tar.gz")
        done = collect(request, canceled=threading.Event(), on_progress=lambda *_: None)
        with tarfile.open(done.path, "r:gz") as archive:
            members = {info.name: archive.extractfile(info).read() for info in archive}
        manifest = json.loads(members.pop("manifest.json"))
        return next(iter(members.values())) if members else manifest["left_out"][0]["reason"]

    return collect_from


@pytest.fixture(params=["x.log", "x.log.1.gz"])
def file(request):
    """A name, and how a file of that name is written."""
    return request.param, gzip.compress if request.param.endswith(".gz") else bytes


def test_last_changed_while_the_clock_stood_in_the_past(taken, file):
    """A file whose last change is older than its first line has not told when it was changed: its lines count."""
    name, pack = file
    content = line(-5) + line(5) + line(BATTERY_DEAD)
    assert taken(name, pack(content), BATTERY_DEAD) == line(5)


def test_begun_while_the_clock_stood_in_the_future(taken, file):
    """A file whose first line is younger than its last change may hold anything, compressed or not."""
    name, pack = file
    content = line(YEARS_AHEAD) + line(5) + line(50)
    assert taken(name, pack(content), 50) == line(5)


def test_wrong_in_between(taken, file):
    """Lines of another time stand between those of the window: only these are taken, and all of them."""
    name, pack = file
    content = line(-5) + line(1) + line(BATTERY_DEAD) + line(2) + line(YEARS_AHEAD) + line(3) + line(50)
    assert taken(name, pack(content), 50) == line(1) + line(2) + line(3)


def test_what_agrees_with_itself_is_not_read(taken, file):
    """A file that begins before its last change, both before the window, is left out by its life."""
    name, pack = file
    assert taken(name, pack(line(-50) + line(-40)), -40) == "last changed before the window"


@pytest.mark.parametrize("wrong", [BATTERY_DEAD, YEARS_AHEAD], ids=["past", "future"])
def test_a_large_file_is_read_through_where_its_order_is_broken(taken, wrong):
    """Where a wrong clock shows in a large file it is not searched, and no line is lost wherever it stands."""
    before = [line(second) + b"y" * 1000 + b"\n" for second in range(-3600, 0)]
    late = [line(wrong + timedelta(seconds=second)) + b"y" * 1000 + b"\n" for second in range(300)]
    after = [line(second) + b"y" * 1000 + b"\n" for second in range(600, 4000)]
    content = b"".join([*before, line(1), *late, line(2), *after, line(3), *after])
    assert taken("x.log", content, 8000) == line(1) + line(2) + line(3)
