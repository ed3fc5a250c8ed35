"""Compressed logs in an archive: lines that open anywhere, and word of what could not be read."""

import gzip
import json
import lzma
import os
import tarfile
import threading
from datetime import UTC, datetime, timedelta

import pytest
import zstandard

from everest_system.io.logs.archive import collect
from everest_system.io.logs.collect_request import CollectRequest
from everest_system.io.logs.sources import LogSource
from everest_system.io.logs.window import LogWindow

BASE = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def line(second: int) -> bytes:
    return f"{BASE + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ} x\n".encode()


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def collected(logs, window: LogWindow) -> tuple[dict[str, bytes], dict]:
    """The members by their name in the folder, and the manifest."""
    request = CollectRequest(LogSource((f"{logs}/*",)), window, logs.parent / "spool", "a.tar.gz")
    done = collect(request, canceled=threading.Event(), on_progress=lambda done, total: None)
    with tarfile.open(done.path, "r:gz") as archive:
        members = {info.name.rpartition("/")[2]: archive.extractfile(info).read() for info in archive}
    return members, json.loads(members.pop("manifest.json"))


def put(logs, name: str, content: bytes) -> None:
    (logs / name).write_bytes(content)
    os.utime(logs / name, ((BASE + timedelta(seconds=60)).timestamp(),) * 2)


@pytest.mark.parametrize("window", [LogWindow(), LogWindow(BASE, BASE + timedelta(seconds=10))])
def test_lines_under_the_name_without_suffix(logs, window):
    """Each compressed file is in the archive as text, and the manifest names its format."""
    for suffix, pack in ((".gz", gzip.compress), (".xz", lzma.compress), (".zst", zstandard.compress)):
        put(logs, f"{suffix[1:]}.log.1{suffix}", pack(b"".join(map(line, range(30)))))
    members, manifest = collected(logs, window)
    taken = b"".join(map(line, range(30 if window.open else 11)))
    assert members == {"gz.log.1": taken, "xz.log.1": taken, "zst.log.1": taken}
    assert {one["compression"] for one in manifest["taken"]} == {"gzip", "xz", "zstd"}
    assert all(one["bytes"] == len(taken) and not one["notes"] for one in manifest["taken"])
    assert all(one["of_bytes"] == (logs / one["path"].rpartition("/")[2]).stat().st_size for one in manifest["taken"])


def test_a_file_and_its_compressed_self(logs):
    """While a file is being compressed both are there: neither takes the other's name."""
    put(logs, "x.log.1", line(0) + line(1))
    put(logs, "x.log.1.gz", gzip.compress(line(0) + line(1))[:-9])
    members, manifest = collected(logs, LogWindow())
    assert members["x.log.1"] == line(0) + line(1)
    assert (line(0) + line(1)).startswith(members["x.log.1.~2~"])
    assert manifest["taken"][1]["notes"][0].startswith("cut off after ")


def test_broken_files_do_not_end_the_archive(logs):
    """What can be read of each is taken, and what cannot be is named."""
    packed = bytearray(gzip.compress(b"".join(map(line, range(30)))))
    packed[-6] ^= 1
    put(logs, "a.gz", bytes(packed))
    put(logs, "b.gz", b"\x1f\x8b\x08 and no more")
    put(logs, "c.log", line(3))
    members, manifest = collected(logs, LogWindow())
    assert members == {"a": b"".join(map(line, range(30))), "c.log": line(3)}
    (left_out,) = manifest["left_out"]
    assert left_out["path"].endswith("/b.gz")
    assert left_out["reason"].startswith(("broken after 0", "cut off after 0"))
