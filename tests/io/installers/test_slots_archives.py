"""Archives in slots: what is unpacked, and what must never be."""

import hashlib
import os
import random
import tarfile
import threading
import tracemalloc
from pathlib import Path

import pytest
from support import archives
from support.archives import entry, firmware, folder, hard_link, link, manifest, tar
from support.inode import written
from support.machine_time import machine_time

from everest_system.fsm.errors import CanceledError
from everest_system.io.installers import archive as archive_module
from everest_system.io.installers import unpacking as unpacking_module
from everest_system.io.installers.port import Activation, Facts, InstallError, UnfitError
from everest_system.io.installers.requirements import Requirements
from everest_system.io.installers.slots import SlotsInstaller

NEVER = threading.Event()
MIB = 1 << 20
FILES = {"bin/app": b"\x7fELF" + b"app" * 50_000, "etc/app.conf": b"a = 1\n", "empty": b""}


class Bench:
    """An installer beside the files that it gets."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "slots"
        self.subject = self.with_requirements()

    def with_requirements(self, **wanted: object) -> SlotsInstaller:
        self.subject = SlotsInstaller(self.root, Activation.NONE, Requirements(**wanted))
        return self.subject

    def facts(self, content: bytes) -> Facts:
        artifact = self.folder / "firmware.bin"
        artifact.write_bytes(content)
        return Facts(artifact, "https://example.com/f", 1, "m", hashlib.sha256(content).hexdigest())

    def install(self, content: bytes, canceled: threading.Event = NEVER) -> str:
        facts = self.facts(content)
        target = self.subject.check(facts)
        self.subject.install(facts, target, canceled=canceled, on_progress=lambda _: None)
        return target

    def update(self, content: bytes) -> str:
        target = self.install(content)
        self.subject.activate(self.facts(content), target)
        return target

    def holds(self, slot: str) -> dict[str, bytes | str | None]:
        """All that is in a slot: content of files, target of links, None for folders."""
        top = self.root / slot
        return {
            str(path.relative_to(top)): str(path.readlink())
            if path.is_symlink()
            else None
            if path.is_dir()
            else path.read_bytes()
            for path in sorted(top.rglob("*"))
        }

    def refused(self, content: bytes, match: str) -> None:
        """The firmware is unfit, the slot is empty and cannot be activated, and nothing was made beside it."""
        before = self.holds("a")
        with pytest.raises(UnfitError, match=match) as caught:
            self.install(content)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 2000
        assert self.holds("b") == {}
        assert self.holds("a") == before
        assert sorted(path.name for path in self.root.iterdir()) == ["a", "b", "current"]
        assert sorted(path.name for path in self.folder.iterdir()) == ["firmware.bin", "slots"]
        with pytest.raises(InstallError, match="slot b has no"):
            self.subject.activate(self.facts(content), "b")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("packing", archives.PACKINGS)
def test_an_archive_is_unpacked(bench: Bench, packing: str) -> None:
    """An archive, packed or not and whatever its name, is unpacked into the slot, which then can be activated."""
    content = firmware(FILES, packing, version="1.0")
    assert bench.update(content) == "b"
    held = bench.holds("b")
    assert held.pop(".unpacked") == hashlib.sha256(content).hexdigest().encode()
    assert b'"version": "1.0"' in held.pop("manifest.json")
    assert held == {**FILES, "bin": None, "etc": None}
    assert bench.subject.confirm("b") is True


def test_without_a_manifest(bench: Bench) -> None:
    """By default an archive needs no manifest; links and folders come with their modes, and the times of files."""
    bench.update(
        tar(
            [
                folder("."),
                folder("./usr", 0o777),
                folder("./usr/lib", 0o500),
                entry("./usr/lib/libx.so.1", b"so", mode=0o777, mtime=1_600_000_000.5),
                link("./usr/lib/libx.so", "libx.so.1"),
                link("./lib", "usr/lib"),
                link("./usr/lib/up", "../../lib"),
                hard_link("./usr/lib/same", "./usr/lib/libx.so.1"),
                hard_link("./usr/lib/again", "usr/lib/same"),
            ]
        )
    )
    slot = bench.root / "b"
    assert (slot / "lib/libx.so").read_bytes() == b"so"
    assert (slot / "usr/lib/up/libx.so").read_bytes() == b"so"
    assert (slot / "usr").stat().st_mode & 0o7777 == 0o755
    assert (slot / "usr/lib").stat().st_mode & 0o7777 == 0o700
    library = (slot / "usr/lib/libx.so.1").stat()
    assert (library.st_mode & 0o7777, library.st_mtime, library.st_nlink) == (0o755, 1_600_000_000, 3)


def test_a_folder_named_after_what_is_in_it(bench: Bench) -> None:
    """A folder may come behind its content, and once only."""
    bench.install(tar([entry("a/b/c", b"c"), folder("a/b", 0o700), folder("a")]))
    assert (bench.root / "b/a/b").stat().st_mode & 0o777 == 0o700
    bench_a = tar([folder("x"), entry("x/y", b"y"), folder("x")])
    bench.refused(bench_a, "'x' comes twice")


def test_an_image_that_only_looks_packed(bench: Bench) -> None:
    """What is packed but holds no tar is an image, and is stored as it is."""
    for packing, pack in archives.PACKINGS.items():
        content = pack(b"image " * 1000)
        bench.install(content)
        assert bench.holds("b") == {"image": content}, packing


def test_slots_change_kind(bench: Bench) -> None:
    """An archive replaces an image and an image an archive, and nothing of the one before is left."""
    bench.update(b"image")
    bench.update(firmware(FILES))
    bench.update(b"other image")
    assert bench.holds("b") == {"image": b"other image"}
    bench.update(firmware({"only": b"1"}))
    assert set(bench.holds("a")) == {".unpacked", "manifest.json", "only"}


def fifo(name: str) -> archives.Entry:
    return entry(name, type=tarfile.FIFOTYPE)


BAD_ARCHIVES = {
    "an absolute path": ([entry("/etc/passwd", b"x")], "member '/etc/passwd' has an absolute path"),
    "out by a path": ([entry("a/../../x", b"x")], "member 'a/../../x' has a \"..\" in its path"),
    "a .. that stays inside": ([entry("a/../x", b"x")], 'has a ".." in its path'),
    "a link to /": ([link("x", "/etc/passwd")], "member 'x' is a link out of the slot, to '/etc/passwd'"),
    "a link up and out": ([link("a/x", "../../y")], "member 'a/x' is a link out of the slot"),
    "a link out through a name": ([link("x", "a/../../y")], "is a link out of the slot"),
    "a link out through a link": ([link("a/b/s", "../.."), link("y", "a/b/s/../x")], "member 'y' is a link out"),
    "a link to nothing": ([link("x", "")], "is a link out of the slot, to ''"),
    "a long link": ([link("x", "y/" * 600)], "is a link out of the slot"),
    "a file below a link": ([link("x", "y"), folder("y"), entry("x/z", b"z")], "'x/z' is below 'x', which is no"),
    "a folder over a link": ([link("x", "y"), folder("x")], "member 'x' comes twice"),
    "a file below a file": ([entry("x", b"x"), entry("x/y", b"y")], "'x/y' is below 'x', which is no folder"),
    "a hard link out": ([hard_link("x", "../../firmware.bin")], 'member \'x\' has a ".." in its path'),
    "an absolute hard link": ([hard_link("x", "/etc/passwd")], "member 'x' has an absolute path"),
    "a hard link to what comes later": ([hard_link("x", "y"), entry("y", b"y")], "'x' is a hard link to what is no"),
    "a hard link to a symbolic one": ([link("y", "z"), hard_link("x", "y")], "is a hard link to what is no"),
    "a hard link to itself": ([entry("x", b"x"), hard_link("x", "x")], "comes twice"),
    "a file twice": ([entry("x", b"1"), entry("./x", b"2")], "member './x' comes twice"),
    "a file over a folder": ([entry("x/y", b"1"), entry("x", b"2")], "member 'x' comes twice"),
    "a device": ([entry("null", type=tarfile.CHRTYPE)], "member 'null' is a device or a FIFO"),
    "a block device": ([entry("sda", type=tarfile.BLKTYPE)], "is a device or a FIFO"),
    "a FIFO": ([fifo("pipe")], "member 'pipe' is a device or a FIFO"),
    "an unknown kind": ([entry("x", type=b"Z")], "member 'x' is of the unknown kind b'Z'"),
    "a contiguous file": ([entry("x", b"x", type=tarfile.CONTTYPE)], "is of the unknown kind b'7'"),
    "setuid": ([entry("su", b"x", mode=0o4755)], "member 'su' is setuid or setgid"),
    "setgid": ([folder("mail", 0o2755)], "member 'mail' is setuid or setgid"),
    "a mark of ours": ([entry(".unpacked", b"0" * 64)], "member '.unpacked' has a name that belongs to the slot"),
    "a name for an image": ([entry("image", b"x")], "member 'image' has a name that belongs to the slot"),
    "lost+found": ([entry("lost+found/x", b"x")], "has a name that belongs to the slot"),
    "no UTF-8": ([entry("x\udcff", b"x")], r"member 'x\\udcff' has a name that is not printable UTF-8"),
    "a line break": ([entry("x\nFirmware: ok", b"x")], r"'x\\nFirmware: ok' has a name that is not printable"),
    "a link with a control character": ([link("x", "\x1b[2J")], "has a name that is not printable"),
    "a long path": ([entry("/".join(["x" * 100] * 11), b"x")], "has too long a path"),
    "a deep path": ([entry("/".join("x" * 33), b"x")], "member 'x/x/.*' has too long a path"),
    "a long name": ([entry("x" * 256, b"x")], "has too long a name"),
    "the slot as a file": ([entry(".", b"x")], "member '.' is no folder, or comes twice"),
    "the slot twice": ([folder("."), folder("./")], "is no folder, or comes twice"),
    "a folder with content": ([entry("x", b"x" * 512, type=tarfile.DIRTYPE)], "'x' says that it has 512 bytes"),
    "a link with content": ([entry("x", b"x" * 512, type=tarfile.SYMTYPE, linkname="y")], "says that it has 512"),
    "a manifest in the middle": ([entry("x", b"x"), manifest({"x": b"x"})], "'manifest.json' is not its first"),
    "a manifest that is a folder": ([folder("manifest.json"), entry("x", b"x")], "'manifest.json' is no file"),
    "a manifest that is a link": ([link("manifest.json", "x"), entry("x", b"x")], "'manifest.json' is no file"),
    "a huge header": ([entry("x", b"x", pax_headers={"comment": "x" * 300_000})], "more than 262144 bytes of headers"),
    "a huge path": ([entry("x" * 300_000, b"x")], "more than 262144 bytes of headers"),
}  # fmt: skip


@pytest.mark.parametrize(("entries", "reason"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES)
def test_what_is_not_unpacked(bench: Bench, entries: list[archives.Entry], reason: str) -> None:
    """Each way out of the slot, or into trouble, is refused by the name of its member, and leaves the slot empty."""
    first = [] if entries[0][0].name == "manifest.json" else [entry("first", b"1")]
    bench.refused(tar([*first, *entries]), reason)


def test_an_archive_without_a_file(bench: Bench) -> None:
    """An archive of folders and links alone is no firmware, nor is a manifest alone."""
    bench.refused(tar([folder("a"), link("a/b", "c")]), "the archive has no file in it")
    bench.refused(tar([manifest({})]), "the archive has no file in it")


GOOD = tar([entry("first", b"1"), entry("second", b"2" * 3000)])
ODD_BYTES = {
    "cut off in a file": (GOOD[:2000], "the archive is cut off"),
    "cut off before its end": (GOOD[:4608], "it has no end mark"),
    "cut off in a header": (GOOD[:1300], "it has no end mark"),
    "a broken header": (GOOD[:1124] + b"?" + GOOD[1125:], "where it should end, something else is"),
    "something behind it": (GOOD + b"more", "where it should end, something else is"),
    "another archive behind it": (GOOD + GOOD, "where it should end, something else is"),
    "a size below zero": (GOOD[:1148] + b"\xff" * 12 + GOOD[1160:], "the archive"),
}


@pytest.mark.parametrize(("content", "reason"), ODD_BYTES.values(), ids=ODD_BYTES)
@pytest.mark.parametrize("packing", ["plain", "zst"])
def test_archives_that_do_not_hold_together(bench: Bench, content: bytes, reason: str, packing: str) -> None:
    """A tar that is cut off, damaged or goes on behind its end is refused, although `tarfile` would take it."""
    bench.refused(archives.PACKINGS[packing](content), reason)


def test_global_headers(bench: Bench) -> None:
    """The one global header that git writes is fine; many are not."""
    bench.install(tar([entry("x", b"x")], pax_headers={"comment": "0123abcd"}))
    many = {f"key{number}": "x" for number in range(17)}
    with pytest.raises(UnfitError, match="too many global headers"):
        bench.install(tar([entry("x", b"x")], pax_headers=many))


def test_sparse_files(bench: Bench) -> None:
    """A sparse file, old form, is refused: its map is no business of an archive from outside."""
    content = bytearray(tar([entry("first", b"1"), entry("x", b"")], form=tarfile.GNU_FORMAT))
    header = bytearray(content[1024:1536])
    header[156:157], header[148:156] = b"S", b" " * 8
    header[386:398] = header[398:410] = header[483:495] = b"00000000000\0"
    header[148:156] = b"%06o\0 " % sum(header)
    content[1024:1536] = header
    bench.refused(bytes(content), "member 'x' is a sparse file")


def test_what_pep_706_refuses_is_refused(bench: Bench, tmp_path: Path) -> None:
    """Python's own filter of tar archives, which is more lenient, finds nothing that passes here."""
    data_filter = getattr(tarfile, "data_filter", None)
    if data_filter is None:
        pytest.skip("this Python is older than tarfile.data_filter")
    refused = 0
    for entries, reason in BAD_ARCHIVES.values():
        for info, _ in entries:
            try:
                data_filter(info, str(bench.root / "b"))
            except tarfile.FilterError:
                refused += 1
                assert reason
    assert refused >= 6
    for entries in ([entry("a", b"a"), link("b", "a")], [entry("a/b", b"a"), link("a/c", "../a/b")]):
        for info, _ in entries:
            data_filter(info, str(bench.root / "b"))
        bench.install(tar(entries))


def test_bombs_by_size(bench: Bench) -> None:
    """What unpacks to more than is configured is refused before the member that would pass it is whole."""
    bench.with_requirements(max_unpacked_bytes=2 * MIB)
    bench.refused(tar([entry("zeros", bytes(3 * MIB))]), "unpacks to more than 2097152 bytes")


def test_a_large_first_member(bench: Bench) -> None:
    """A look for the manifest takes no offence at an archive that begins with something large."""
    assert bench.install(tar([entry("large", bytes(17 * MIB))])) == "b"


def test_a_size_beyond_all(bench: Bench) -> None:
    """A member that says it is larger than anything is refused for that, not for the room on the disk."""
    huge = bytearray(tar([entry("first", b"1"), entry("x", b"")], form=tarfile.GNU_FORMAT))
    header = huge[1024:1536]
    header[124:136], header[148:156] = b"\x80" + b"\x7f" * 11, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    huge[1024:1536] = header
    bench.refused(bytes(huge), "unpacks to more than 8589934592 bytes")


def test_mutations(bench: Bench) -> None:
    """Whatever happens to the bytes of an archive, it is installed or unfit, and nothing is made beside its slot."""
    chance, outcomes = random.Random(4), set[str]()
    good = [
        tar([manifest({"a/b": b"b", "c": b"b"}), entry("a/b", b"b"), link("l", "a"), hard_link("c", "a/b")]),
        tar([entry("p" * 200, b"1", pax_headers={"comment": "c"}), folder("q"), link("l" * 120, "q" * 120)]),
        tar([entry("p" * 200, b"1"), folder("q"), link("l" * 120, "q" * 120)], form=tarfile.GNU_FORMAT),
    ]
    for _ in range(400):
        content = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(4096)
            content[at : at + chance.choice((1, 1, 12))] = chance.randbytes(1) * chance.choice((1, 1, 12))
        for start in range(0, len(content) - 511, 512):  # with good check sums, or nothing else would be looked at
            header = content[start : start + 512]
            if header[257:262] == b"ustar":
                header[148:156] = b" " * 8
                content[start + 148 : start + 156] = b"%06o\0 " % sum(header)
        before, reason = bench.holds("b"), ""
        try:
            bench.install(archives.PACKINGS[chance.choice(["plain", "gz"])](bytes(content)))
        except UnfitError as error:
            reason = str(error)
        outcomes.add(reason)
        assert "\n" not in reason
        assert not reason or bench.holds("b") in ({}, before)
        assert bench.holds("a") == {}
        assert sorted(path.name for path in bench.root.iterdir()) == ["a", "b", "current"]
        assert sorted(path.name for path in bench.folder.iterdir()) == ["firmware.bin", "slots"]
    assert "" in outcomes
    assert len(outcomes) > 10


def test_bombs_by_ratio(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What unpacks to 500 times its size is refused, past a size that no bomb is worth."""
    monkeypatch.setattr(archive_module, "RATIO_FROM_BYTES", MIB)
    bench.refused(archives.PACKINGS["zst"](tar([entry("zeros", bytes(8 * MIB))])), "more than 500 times its size")
    monkeypatch.setattr(archive_module, "RATIO_FROM_BYTES", 16 * MIB)
    bench.install(archives.PACKINGS["zst"](tar([entry("zeros", bytes(8 * MIB))])))


def test_bombs_by_count(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive has only so many members, the folders that nobody named among them."""
    monkeypatch.setattr(archive_module, "MAX_MEMBERS", 5)
    bench.install(tar([entry("a/b/c", b"1"), entry("a/b/d", b"1"), entry("e", b"1")]))
    bench.refused(
        tar([entry("a/b/c", b"1"), entry("a/b/d", b"1"), entry("e", b"1"), entry("f/g", b"")]), "than 5 members"
    )


def test_no_room_for_what_is_unpacked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that the disk has no room for is not begun, and the slot is emptied again."""
    real = os.statvfs

    def statvfs(path: object) -> os.statvfs_result:
        values = list(real(path))
        values[0], values[1], values[4] = 1, 1, 2 * MIB
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", statvfs)
    with pytest.raises(InstallError, match="too little room for 'big': 3145728 bytes needed, 1048576 free"):
        bench.install(archives.PACKINGS["gz"](tar([entry("small", b"1"), entry("big", bytes(3 * MIB))])))
    assert bench.holds("b") == {}


MANIFESTS = {
    "no JSON": (b"{", r"manifest\.json: Expecting"),
    "no object": (b"[]", r"manifest\.json: all of it: Input should be"),
    "no UTF-8": (b'{"format": 1, "\xff": 0}', r"manifest\.json: .*decode"),
    "too deep": (b"[" * 100_000, r"manifest\.json: .*recursion"),
    "another format": (b'{"format": 2, "files": {}}', r"manifest\.json: format: Input should be 1"),
    "no format": (b'{"files": {}}', r"manifest\.json: format: Field required"),
    "no files": (b'{"format": 1}', r"manifest\.json: files: Field required"),
    "no digest": (b'{"format": 1, "files": {"x": "abc"}}', r"manifest\.json: files\.'x': String should match"),
    "no digest, under a name of a megabyte": (
        b'{"format": 1, "files": {"%s": "abc"}}' % (b"x" * MIB),
        r"manifest\.json: files\.'x{200}.u2026': String should match",
    ),
    "a key twice": (b'{"format": 1, "format": 1, "files": {}}', r"manifest\.json: a key comes twice"),
    "no version": (b'{"format": 1, "version": "latest", "files": {}}', r"version: Value error, 'latest' is no version"),
    "a version as a number": (b'{"format": 1, "version": 1.10, "files": {}}', r"manifest\.json: version: "),
    "nothing compatible": (b'{"format": 1, "compatible": "", "files": {}}', r"manifest\.json: compatible: "),
    "itself listed": (
        b'{"format": 1, "files": {"manifest.json": "%s"}}' % (b"0" * 64),
        r"files: Value error, it lists itself",
    ),
}


@pytest.mark.parametrize(("content", "reason"), MANIFESTS.values(), ids=MANIFESTS)
def test_manifests_that_are_none(bench: Bench, content: bytes, reason: str) -> None:
    """A manifest that is not understood keeps the firmware out, in one line that says where it fails."""
    bench.refused(tar([entry("manifest.json", content), entry("x", b"x")]), reason)


def test_a_manifest_too_long(bench: Bench) -> None:
    """A manifest is read into memory, so it is bounded."""
    bench.refused(tar([entry("manifest.json", bytes(9 * MIB)), entry("x", b"x")]), "no file of at most 8388608 bytes")


def test_keys_of_later_versions(bench: Bench) -> None:
    """A key that this version does not know is left alone."""
    bench.install(firmware(FILES, later={"key": 1}))


def test_a_file_that_is_not_what_the_manifest_says(bench: Bench) -> None:
    """A file, or a hard link to it, with another SHA-256 than listed is unfit."""
    bench.refused(
        tar([manifest({"x": b"x", "y": b"y"}), entry("x", b"x"), entry("y", b"other")]),
        "member 'y' is not what its manifest says",
    )
    bench.refused(
        tar([manifest({"x": b"x", "y": b"y"}), entry("x", b"x"), hard_link("y", "x")]),
        "member 'y' is not what its manifest says",
    )
    bench.install(tar([manifest({"x": b"x", "y": b"x"}), entry("x", b"x"), hard_link("y", "x")]))


def test_a_file_that_is_not_listed(bench: Bench) -> None:
    """A file that the manifest does not list is unfit, however it is made."""
    for more in (entry("y", b"y"), hard_link("y", "x")):
        bench.refused(tar([manifest({"x": b"x"}), entry("x", b"x"), more]), "member 'y' is not in its manifest")


def test_a_file_that_is_missing(bench: Bench) -> None:
    """A file that the manifest lists has to be there, and to be a file."""
    reason = "the archive has no file 'y', which its manifest lists"
    bench.refused(tar([manifest({"x": b"x", "y": b"y"}), entry("x", b"x")]), reason)
    bench.refused(tar([manifest({"x": b"x", "y": b"x"}), entry("x", b"x"), link("y", "x")]), reason)
    bench.refused(tar([manifest({"x": b"x", "z" * MIB: b"x"}), entry("x", b"x")]), "has no file 'z{200}.u2026', which")


def test_a_hard_link_to_the_manifest(bench: Bench) -> None:
    """A manifest cannot hold its own digest, so a second name of it is unfit, listed or not."""
    for files in ({"x": b"x"}, {"x": b"x", "y": b"y"}):
        bench.refused(
            tar([manifest(files), entry("x", b"x"), hard_link("y", "manifest.json")]),
            "member 'y' is (not in|a hard link to) its manifest",
        )


def test_firmware_without_a_manifest_where_it_is_required(bench: Bench) -> None:
    """Where a manifest is required, archives without one and images are refused by the check, before anything."""
    subject = bench.with_requirements(manifest=True)
    for content in (tar([entry("x", b"x")]), b"image"):
        with pytest.raises(UnfitError, match="has no manifest"):
            subject.check(bench.facts(content))
    assert subject.check(bench.facts(firmware(FILES))) == "b"


def test_versions_where_older_ones_are_refused(bench: Bench) -> None:
    """An older version is refused by the check, the same and a newer one are not, nor is any if nothing is known."""
    bench.with_requirements(allow_downgrade=False)
    assert bench.update(firmware(FILES, version="2.9.0")) == "b"
    facts = bench.facts(firmware(FILES, version="2.10.0-rc.1"))
    assert bench.update(firmware(FILES, version="2.10.0-rc.1")) == "a"
    assert bench.subject.check(facts) == "b"
    for older in ("2.9.0", "2.10.0-beta"):
        with pytest.raises(UnfitError, match=rf"version {older}, older than 2\.10\.0-rc\.1, which is active"):
            bench.subject.check(bench.facts(firmware(FILES, version=older)))
    for nameless in (firmware(FILES), tar([entry("x", b"x")]), b"image"):
        with pytest.raises(UnfitError, match="does not say its version"):
            bench.subject.check(bench.facts(nameless))


def test_versions_where_older_ones_are_taken(bench: Bench) -> None:
    """By default a version is no reason to refuse anything."""
    bench.update(firmware(FILES, version="2"))
    bench.update(firmware(FILES, version="1"))
    bench.update(b"image")


def test_a_broken_manifest_in_the_active_slot(bench: Bench) -> None:
    """What is written into the running firmware does not keep updates out."""
    bench.with_requirements(allow_downgrade=False)
    bench.update(firmware(FILES, version="2"))
    content = firmware(FILES, version="1")
    for broken in (b"{", b"{" + b" " * 9 * MIB):
        (bench.root / "b/manifest.json").write_bytes(broken)
        assert bench.subject.check(bench.facts(content)) == "a"
    (bench.root / "b/manifest.json").unlink()
    (bench.root / "b/manifest.json").mkdir()
    assert bench.subject.check(bench.facts(content)) == "a"


def test_what_the_firmware_is_for(bench: Bench) -> None:
    """Where the station says what it is, firmware for another, or for nobody knows what, is refused by the check."""
    bench.with_requirements(compatible="acme-dc-50")
    assert bench.install(firmware(FILES, compatible="acme-dc-50")) == "b"
    for content, reason in (
        (firmware(FILES, compatible="acme-ac-22"), "is for 'acme-ac-22', and this station is 'acme-dc-50'"),
        (firmware(FILES), "is for nobody says what"),
        (b"image", "is for nobody says what"),
    ):
        with pytest.raises(UnfitError, match=reason):
            bench.subject.check(bench.facts(content))


def test_a_changed_archive(bench: Bench) -> None:
    """An archive that is not what was downloaded is unfit, also where it unpacks well."""
    facts = bench.facts(firmware(FILES))
    facts.artifact.write_bytes(firmware({"other": b"1"}))
    with pytest.raises(UnfitError, match="SHA-256 is another"):
        bench.subject.install(facts, "b", canceled=NEVER, on_progress=lambda _: None)
    assert bench.holds("b") == {}


def test_progress(bench: Bench) -> None:
    """Progress rises to 100, and follows what was read."""
    facts, percents = bench.facts(firmware({str(n): os.urandom(MIB) for n in range(8)})), list[int]()
    bench.subject.install(facts, "b", canceled=NEVER, on_progress=percents.append)
    assert percents == sorted(percents)
    assert len(percents) >= 8
    assert percents[-1] == 100


def test_cancel(bench: Bench) -> None:
    """A cancel is noticed within 200 ms; what is left has no mark, cannot be activated, and is replaced on resume."""
    content = firmware({str(n): os.urandom(MIB) for n in range(8)})
    facts, canceled, at = bench.facts(content), threading.Event(), 0.0

    def cancel(percent: int) -> None:
        nonlocal at
        at = machine_time()
        canceled.set()

    with pytest.raises(CanceledError):
        bench.subject.install(facts, "b", canceled=canceled, on_progress=cancel)
    assert machine_time() - at < 0.2
    with pytest.raises(InstallError, match="slot b has no"):
        bench.subject.activate(facts, "b")
    bench.subject.resume(facts, "b", canceled=NEVER, on_progress=lambda _: None)
    assert len(bench.holds("b")) == 10


def test_cancel_between_folders(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel is noticed while folders are synced, too."""
    facts, canceled = bench.facts(tar([entry("f", b"1"), *(folder(str(n)) for n in range(9))])), threading.Event()
    monkeypatch.setattr(unpacking_module, "sync_folder", lambda _: canceled.set())
    with pytest.raises(CanceledError):
        bench.subject.install(facts, "b", canceled=canceled, on_progress=lambda _: None)


def test_resume_keeps_what_is_whole(bench: Bench) -> None:
    """A slot that holds the archive whole is kept as it is, also without the artifact and when it is active."""
    content = firmware(FILES)
    bench.update(content)
    facts, percents = bench.facts(content), list[int]()
    facts.artifact.unlink()
    before = written(bench.root / "b/bin/app")
    bench.subject.resume(facts, "b", canceled=NEVER, on_progress=percents.append)
    assert written(bench.root / "b/bin/app") == before
    assert percents == [100]


def test_memory_is_bounded(bench: Bench) -> None:
    """Unpacking 16 MiB takes no more than a few MiB of memory, whatever the packing."""
    for packing, pack in archives.PACKINGS.items():
        facts = bench.facts(pack(tar([entry("big", os.urandom(MIB) * 16)])))
        tracemalloc.start()
        bench.subject.install(facts, "b", canceled=NEVER, on_progress=lambda _: None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * MIB, packing
