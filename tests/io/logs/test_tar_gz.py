"""A tar.gz that any tool reads, and whose last member can be taken back out."""

import gzip
import os
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples

from everest_system.io.logs import gzip_stream
from everest_system.io.logs.tar_gz import TarGz, member

NO_LIMIT = 1 << 40


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path, "r:gz") as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}


def test_members_come_back_as_they_went_in(tmp_path):
    """Names, bytes and times survive; a name that is not UTF-8 and a time before 1970 too."""
    odd = os.fsdecode(b"var/caf\xe9.log")
    with TarGz(tmp_path / "a", NO_LIMIT) as archive:
        assert archive.add(member("empty", 0), (0, []))
        assert archive.add(member(odd, -5), (5, [b"he", b"llo"]))
        assert archive.add(member("x" * 300, 1 << 40), (3, [b"abc"]))
        length = archive.finish()
    assert (tmp_path / "a").stat().st_size == length
    assert unpacked(tmp_path / "a") == {"empty": b"", odd: b"hello", "x" * 300: b"abc"}
    with tarfile.open(tmp_path / "a") as archive:
        assert [info.mtime for info in archive] == [0, -5, 1 << 40]
        assert {info.mode for info in archive} == {0o644}


def test_the_file_is_for_its_owner_only(tmp_path):
    """Logs are nobody else's business, and a link in the way is not followed."""
    with TarGz(tmp_path / "a", NO_LIMIT) as archive:
        archive.finish()
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic links"):
        TarGz(tmp_path / "link", NO_LIMIT)


def test_header_holds_neither_name_nor_time(tmp_path):
    """The gzip header is the same each time."""
    with TarGz(tmp_path / "a", NO_LIMIT) as archive:
        archive.finish()
    raw = (tmp_path / "a").read_bytes()
    assert raw[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    assert len(gzip.decompress(raw)) % tarfile.RECORDSIZE == 0


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(st.integers(0, 30_000), st.booleans()), max_size=8), st.integers(0, 60_000))
def test_what_breaks_the_limit_is_as_if_it_had_never_been(tmp_path_factory, sizes, limit):
    """Whatever is refused in between, the members taken are whole, and the length keeps the limit."""
    path = tmp_path_factory.mktemp("tar") / "a"
    dice = random.Random(7)
    expected = {}
    with TarGz(path, limit) as archive:
        for number, (size, noise) in enumerate(sizes):
            data = dice.randbytes(size) if noise else bytes(size)
            if archive.add(member(f"{number}", 0), (size, [data[:100], data[100:]])):
                expected[f"{number}"] = data
        assert not expected or path.stat().st_size <= limit
        assert archive.add(member("manifest", 0), (2, [b"{}"]), limited=False)
        archive.finish()
    assert unpacked(path) == expected | {"manifest": b"{}"}


def test_a_refused_member_is_not_read_to_its_end(tmp_path):
    """Compressing stops where the limit is broken."""
    dice = random.Random(1)
    given_out = 0

    def blocks():
        nonlocal given_out
        for _ in range(100):
            given_out += 1
            yield dice.randbytes(10_000)

    with TarGz(tmp_path / "a", 50_000) as archive:
        assert not archive.add(member("big", 0), (1_000_000, blocks()))
    assert given_out < 20


def test_the_last_of_the_disk_is_left_to_others(tmp_path, monkeypatch):
    """When less than the reserve is free, at the begin or on the way, it is a full disk."""
    free = os.statvfs(tmp_path)
    monkeypatch.setattr(gzip_stream, "KEEP_FREE", free.f_bavail * free.f_frsize * 2)
    with pytest.raises(OSError, match="No space left"), TarGz(tmp_path / "a", NO_LIMIT):
        pass
    monkeypatch.setattr(gzip_stream, "KEEP_FREE", 0)
    monkeypatch.setattr(gzip_stream, "_SYNC", 1000)
    with TarGz(tmp_path / "b", NO_LIMIT) as archive:
        monkeypatch.setattr(gzip_stream, "KEEP_FREE", free.f_bavail * free.f_frsize * 2)
        with pytest.raises(OSError, match="No space left"):
            archive.add(member("a", 0), (5000, [random.Random(1).randbytes(5000)]))
