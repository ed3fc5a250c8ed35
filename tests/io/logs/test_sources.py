"""Patterns find what they should, and nothing outside of their folders."""

import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from everest_system.io.logs import sources
from everest_system.io.logs.sources import LogFileError, LogSource, any_file, matching, open_log


def put(path: Path, modified_s: int = 1000, text: str = "x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (modified_s, modified_s))
    return path


def names(root: Path, *patterns: str) -> list[str]:
    source = LogSource(tuple(f"{root}/{pattern}" for pattern in patterns))
    return [str(path.relative_to(root)) for path in matching(source)]


def look(source: LogSource) -> tuple[list[Path], dict[str, str]]:
    left_out: dict[str, str] = {}
    paths = list(matching(source, lambda path, why: left_out.setdefault(str(path), why)))
    return paths, left_out


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "pattern", ["logs/*", "/var/../etc/*", "", "/", "/a\0b"], ids=["relative", "up", "empty", "root", "nul"]
)
def test_a_pattern_that_is_no_absolute_path_is_refused(pattern):
    """A pattern must be absolute and lead nowhere but down."""
    with pytest.raises(ValueError, match="no absolute file pattern"):
        LogSource((pattern,))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*", {"a.log", "b.txt", "d/c.log", "d/e/f.log"}),
        ("**", {"a.log", "b.txt", "d/c.log", "d/e/f.log"}),
        ("**/*.log", {"a.log", "d/c.log", "d/e/f.log"}),
        ("*", {"a.log", "b.txt"}),
        ("?.log", {"a.log"}),
        ("[!b].*", {"a.log"}),
        ("d/**/f.log", {"d/e/f.log"}),
        ("d/**/**/*.log", {"d/c.log", "d/e/f.log"}),
        ("*/*/f.log", {"d/e/f.log"}),
        (".*", {".z.log"}),
        ("d/.hidden/*", {"d/.hidden/y.log"}),
        ("a.log", {"a.log"}),
        ("d", set()),
        ("nowhere/*", set()),
        ("a.log/*", set()),
    ],
)
def test_patterns_match_as_a_shell_would(logs, pattern, expected):
    """`**` is any number of folders; a leading dot must be spelled."""
    for name in ("a.log", "b.txt", "d/c.log", "d/e/f.log", "d/.hidden/y.log", ".z.log"):
        put(logs / name)
    assert set(names(logs, pattern)) == expected


def test_newest_first_and_by_name_at_the_same_time(logs):
    """The order is by modification, newest first, and the same each time."""
    for name, modified in (("old", 1), ("new", 3), ("b", 2), ("a", 2)):
        put(logs / name, modified)
    assert names(logs, "*") == ["new", "a", "b", "old"]


def test_each_file_comes_once(logs):
    """Two patterns, hard links, and links to a file or its folder: one file, by its own name."""
    put(logs / "d" / "x.log")
    os.link(logs / "d" / "x.log", logs / "d" / "y.log")
    (logs / "a.log").symlink_to(logs / "d" / "x.log")
    (logs / "c").symlink_to(logs / "d")
    assert names(logs, "**/*.log", "*", "c/*") == ["d/x.log"]


def test_links_inside_the_allowed_folder_are_followed(logs):
    """A link that stays inside is taken under its own name when nothing else matches; loops end."""
    put(logs / "data" / "x.1")
    (logs / "current.log").symlink_to("data/x.1")
    (logs / "data" / "loop").symlink_to(logs)
    (logs / "data" / "other").symlink_to(logs / "data")
    assert names(logs, "*.log") == ["current.log"]
    assert names(logs, "**/x.*") == ["data/x.1"]


def test_the_allowed_folder_may_be_a_link_itself(logs, tmp_path):
    """A folder that the pattern spells out is what it leads to."""
    put(logs / "x.log")
    (tmp_path / "link").symlink_to(logs)
    source = LogSource((f"{tmp_path}/link/*",))
    (path,) = matching(source)
    assert path == tmp_path / "link" / "x.log"
    os.close(open_log(path, source))


def test_links_out_of_the_allowed_folder_are_left_out(logs, tmp_path):
    """Neither a file nor a folder elsewhere is reached over a link, and that is said."""
    put(tmp_path / "secret" / "key.log")
    put(tmp_path / "logs-of-others" / "x.log")
    (logs / "key.log").symlink_to(tmp_path / "secret" / "key.log")
    (logs / "folder").symlink_to(tmp_path / "secret")
    (logs / "sibling").symlink_to(tmp_path / "logs-of-others")
    (logs / "broken").symlink_to("nothing")
    paths, left_out = look(LogSource((f"{logs}/**/*",)))
    assert paths == []
    out = "a symbolic link out of the allowed folders"
    assert left_out.pop(f"{logs}/broken") == "no such file or directory"
    assert left_out.pop(f"{logs}/**/*") == "no file matches"
    assert left_out == {f"{logs}/key.log": out, f"{logs}/folder": out, f"{logs}/sibling": out}


def test_only_regular_files_are_taken(logs):
    """FIFOs, sockets and devices are left out without being opened."""
    os.mkfifo(logs / "fifo")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(str(logs / "socket"))
    source = LogSource((f"{logs}/*", "/dev/null"))
    paths, left_out = look(source)
    assert paths == []
    assert {path for path, why in left_out.items() if why == "no regular file"} == {
        f"{logs}/fifo",
        f"{logs}/socket",
        "/dev/null",
    }
    assert not any_file(source)
    for name in ("fifo", "socket"):
        with pytest.raises(LogFileError, match="no regular file"):
            open_log(logs / name, source)


def test_opening_settles_where_a_file_lies(logs, tmp_path):
    """A file swapped for a link to the outside after it was found is not read."""
    path = put(logs / "x.log")
    source = LogSource((f"{logs}/*",))
    assert list(matching(source)) == [path]
    path.unlink()
    path.symlink_to(put(tmp_path / "secret"))
    with pytest.raises(LogFileError, match="out of the allowed folders"):
        open_log(path, source)
    path.unlink()
    with pytest.raises(LogFileError, match="vanished"):
        open_log(path, source)


def test_opening_reads_what_is_inside(logs):
    """A regular file, also over a link inside, can be read."""
    put(logs / "x.log", text="hello")
    (logs / "link").symlink_to("x.log")
    with os.fdopen(open_log(logs / "link", LogSource((f"{logs}/*",))), "rb") as log:
        assert log.read() == b"hello"


@contextmanager
def nobody():
    """Somebody without root's rights, for what only they are refused."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_what_may_not_be_read_is_said():
    """A file or folder without permission is left out, with the reason."""
    root = Path(tempfile.mkdtemp())  # tmp_path is closed to others from further up
    try:
        with nobody():
            source = LogSource((f"{root}/**/*",))
        root.chmod(0o755)
        put(root / "closed" / "x.log")
        put(root / "secret.log").chmod(0)
        (root / "closed").chmod(0)
        with nobody():
            paths, left_out = look(source)
            assert paths == [root / "secret.log"]
            assert left_out == {f"{root}/closed": "permission denied"}
            with pytest.raises(LogFileError, match="permission denied"):
                open_log(root / "secret.log", source)
    finally:
        (root / "closed").chmod(0o755)
        shutil.rmtree(root)


def test_names_that_are_not_utf8_are_found(logs):
    """Any bytes that the file system takes are a name."""
    name = os.fsdecode(b"caf\xe9\n.log")
    put(logs / name)
    assert names(logs, "*.log") == [name]


def test_more_files_than_can_be_looked_at(logs, monkeypatch):
    """Only the newest are looked at, and that is said."""
    monkeypatch.setattr(sources, "FILES_MAX", 3)
    for number in range(20):
        put(logs / f"{number:02}", 1000 + number)
    paths, left_out = look(LogSource((f"{logs}/*",)))
    assert [path.name for path in paths] == ["19", "18", "17"]
    assert left_out == {"/": "more than 3 files match: only the newest are looked at"}


def test_exactly_as_many_files_as_can_be_looked_at(logs, monkeypatch):
    """Nothing is said when nothing is dropped."""
    monkeypatch.setattr(sources, "FILES_MAX", 3)
    for number in range(3):
        put(logs / f"{number}")
    paths, left_out = look(LogSource((f"{logs}/*",)))
    assert len(paths) == 3
    assert left_out == {}


class StepClock:
    """A clock that goes on by a fixed step each time it is asked."""

    def __init__(self, step_s: float) -> None:
        self.now, self.step_s, self.asked = 0.0, step_s, 0

    def __call__(self) -> float:
        self.asked += 1
        self.now += self.step_s
        return self.now


def test_any_file_finds_the_first_match(logs):
    """One match of any pattern is enough, and none is none."""
    source = LogSource((f"{logs}/*.no", f"{logs}/**/*.log"))
    assert not any_file(source)
    put(logs / "d" / "x.log")
    assert any_file(source)
    assert not any_file(LogSource(()))


def test_any_file_does_not_say_no_when_the_time_is_over(logs):
    """The look ends with the time, and a slow disk is no reason to refuse a request."""
    for number in range(20):
        put(logs / f"{number}.txt")
    source = LogSource((f"{logs}/**/*.log",))
    clock = StepClock(0.01)
    assert any_file(source, within_s=0.05, clock=clock)
    assert clock.asked <= 7
    assert not any_file(source, within_s=0.05, clock=StepClock(0.001))


def test_a_look_ends_when_its_tick_raises(logs):
    """Cancel reaches into the walk."""
    for number in range(10):
        put(logs / f"{number}")
    seen = 0

    def tick():
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(matching(LogSource((f"{logs}/*",)), tick=tick))
    assert seen == 3
