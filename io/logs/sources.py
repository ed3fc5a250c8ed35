"""Where the logs of a type come from: files by pattern (what else there is, is named here and collected elsewhere).

Patterns are absolute; `*`, `?` and `[…]` match within one name, `**` matches any number of folders, and none of them
matches a leading dot that the pattern does not spell. The folders before a pattern's first wildcard are its allowed
folder: a symbolic link is followed only to a place inside the allowed folders of its source.

Nothing here opens anything but regular files: a FIFO would block, a device might act. `open_log` settles what it has
in hand before it opens it for reading, so that a file swapped for a link in between wins nothing.

    source = LogSource(files=("/var/log/everest/**/*",))
    for path in matching(source):      # newest first
        with os.fdopen(open_log(path, source), "rb") as log: ...
"""

import errno
import fnmatch
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from everest_system.fsm.errors import WorldError

FILES_MAX = 10_000
"""Files of one source: the newest so many are looked at, for memory is bounded and file trees are not."""

LeftOut = Callable[[Path, str], None]
"""Told of each path that is left out, with the reason in a few words."""


class LogFileError(WorldError):
    """A log file cannot be taken; `str()` is the reason in a few words, without the path."""


class _TimeOverError(Exception):
    """The look for a first match has lasted long enough."""


@dataclass(frozen=True)
class LogCommand:
    """A program whose output belongs to a log type.

    Attributes:
        name: of the output in the archive.
        argv: the program and its arguments.
        timeout_s: seconds that it may take; 0: as long as it takes.
        max_bytes: of its output, at most.
    """

    name: str
    argv: tuple[str, ...]
    timeout_s: float = 30.0
    max_bytes: int = 16_000_000


@dataclass(frozen=True)
class LogSource:
    """What is collected for one log type.

    Attributes:
        files: file patterns, absolute and without `..`.
        journal: whether the systemd journal belongs to it.
        journal_units: of these systemd units only; none: of all.
        journal_priority: what is at least as grave as this, in syslog's words; "": everything.
        journal_max_bytes: of the journal, as text and in the export format each; the newest are kept.
        commands: programs whose output belongs to it.
        service: whether the service's own history and status do.

    Raises:
        ValueError: a pattern is relative, or has a `..` in it.
    """

    files: tuple[str, ...]
    journal: bool = False
    journal_units: tuple[str, ...] = ()
    journal_priority: str = ""
    journal_max_bytes: int = 64_000_000
    commands: tuple[LogCommand, ...] = ()
    service: bool = False

    def __post_init__(self) -> None:
        for pattern in self.files:
            parts = PurePosixPath(pattern).parts
            if not pattern.startswith("/") or len(parts) < 2 or ".." in parts or "\0" in pattern:
                raise ValueError(f"{pattern!r} is no absolute file pattern without '..'")

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """What `dataclasses.asdict` made, after JSON."""
        commands = (LogCommand(**{**command, "argv": tuple(command["argv"])}) for command in fields["commands"])
        lists = {name: tuple(fields[name]) for name in ("files", "journal_units")}
        return cls(**{**fields, **lists, "commands": tuple(commands)})

    @property
    def has_something(self) -> bool:
        """Whether it promises something at all times; else that depends on which files there are (`any_file`)."""
        return self.journal or bool(self.commands) or (self.service and not self.files)

    @property
    def folders(self) -> tuple[str, ...]:
        """The allowed folders as they really are now, links resolved."""
        return tuple(sorted({os.path.realpath(_Pattern(pattern).folder) for pattern in self.files}))


@dataclass(frozen=True)
class _Found:
    """A file that a pattern matches."""

    path: str
    status: os.stat_result
    linked: bool  # reached over a symbolic link


def any_file(source: LogSource, within_s: float = 0.05, clock: Callable[[], float] = time.monotonic) -> bool:
    """Whether there is anything to send, as far as can be said within `within_s` seconds.

    The reply to `upload_logs` waits for it. When the time is over without a match the answer is True: refusing a
    request because the disk is slow would be wrong, and an archive may well hold nothing but its manifest.
    """
    end = clock() + within_s

    def tick() -> None:
        if clock() > end:
            raise _TimeOverError

    folders = source.folders
    try:
        return any(
            next(_walk(_Pattern(pattern), folders, _unheard, tick), None) is not None for pattern in source.files
        )
    except _TimeOverError:
        return True


def matching(
    source: LogSource, left_out: LeftOut | None = None, tick: Callable[[], None] = lambda: None
) -> Iterator[Path]:
    """The files of a source, newest modification first, each file once however many names and links it has.

    Args:
        source: where to look.
        left_out: told of links out of the allowed folders, of what is no regular file, of folders that cannot be
            read and of patterns without a match.
        tick: called for each directory entry; what it raises ends the look.
    """
    left_out = left_out or _unheard
    folders = source.folders
    found: dict[tuple[int, int], _Found] = {}
    crowded = False
    for pattern in source.files:
        matched = False
        for file in _walk(_Pattern(pattern), folders, left_out, tick):
            matched = True
            key = (file.status.st_dev, file.status.st_ino)
            found[key] = min(found.get(key, file), file, key=lambda same: (same.linked, os.fsencode(same.path)))
            if len(found) >= 2 * FILES_MAX:
                found, crowded = dict(sorted(found.items(), key=_newest_first)[:FILES_MAX]), True
        if not matched:
            left_out(Path(pattern), "no file matches")
    newest = sorted(found.items(), key=_newest_first)
    for _, file in newest[:FILES_MAX]:
        yield Path(file.path)
    if crowded or len(newest) > FILES_MAX:
        left_out(Path("/"), f"more than {FILES_MAX} files match: only the newest are looked at")


def open_log(path: Path, source: LogSource) -> int:
    """Open a file of a source for reading.

    Returns:
        A file descriptor; closing it is the caller's.

    Raises:
        LogFileError: it has vanished, may not be read, is no regular file, or lies outside the allowed folders.
    """
    try:
        # O_PATH touches nothing: what it is and where it lies is known for sure before it is really opened.
        held = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(held).st_mode):
                raise LogFileError("no regular file")
            here = Path(f"/proc/self/fd/{held}")
            if not _inside(str(here.readlink()), source.folders):
                raise LogFileError("a symbolic link out of the allowed folders")
            return os.open(here, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        finally:
            os.close(held)
    except FileNotFoundError:
        raise LogFileError("vanished before it was read") from None
    except OSError as error:
        raise LogFileError(reason(error)) from error


def reason(error: OSError) -> str:
    """The system's own words for what went wrong, without the path."""
    return (error.strerror or type(error).__name__).lower()


class _Pattern:
    """A pattern, taken apart: the folder before its first wildcard, and a matcher for each part after it.

    A matcher is None for `**`; a `**` at the end means every file below.
    """

    def __init__(self, text: str) -> None:
        parts = PurePosixPath(text).parts[1:]
        literal = 0
        while literal < len(parts) - 1 and not re.search(r"[*?[]", parts[literal]):
            literal += 1
        wild = parts[literal:]
        if wild[-1] == "**":
            wild = (*wild, "*")
        self.folder = "/" + "/".join(parts[:literal])
        self.matchers = tuple(None if part == "**" else _matcher(part) for part in wild)
        self.begin = self._closed({0})

    def after(self, states: frozenset[int], name: str) -> frozenset[int]:
        """The positions in the pattern that a name leads to; `len(matchers)` is a match of the whole."""
        reached = set()
        for state in states:
            matcher = self.matchers[state]
            if matcher is None:
                if not name.startswith("."):
                    reached.add(state)
            elif matcher(name):
                reached.add(state + 1)
        return self._closed(reached)

    def _closed(self, states: set[int]) -> frozenset[int]:
        """Add what `**` reaches by matching no folder at all."""
        for state in sorted(states):
            here = state
            while here < len(self.matchers) and self.matchers[here] is None:
                here += 1
                states.add(here)
        return frozenset(states)


def _matcher(part: str) -> Callable[[str], object]:
    match = re.compile(fnmatch.translate(part)).match
    if part.startswith("."):
        return match
    return lambda name: not name.startswith(".") and match(name)


def _walk(pattern: _Pattern, folders: tuple[str, ...], left_out: LeftOut, tick: Callable[[], None]) -> Iterator[_Found]:
    """Every regular file that a pattern matches; each folder is read once for each position in the pattern."""
    whole = len(pattern.matchers)
    ahead = [(pattern.folder, pattern.begin, os.path.realpath(pattern.folder) != pattern.folder)]
    linked: list[tuple[str, frozenset[int], bool]] = []  # read last: a file is best known by its own name
    seen: set[tuple[int, int, frozenset[int]]] = set()
    while ahead or linked:
        if not ahead:
            linked.sort(key=lambda entry: entry[0], reverse=True)
            ahead.append(linked.pop())
        folder, states, over_link = ahead.pop()
        try:
            status = Path(folder).stat()
            mark = (status.st_dev, status.st_ino, states)
            if mark in seen:
                continue
            seen.add(mark)
            for entry, reached, status in _entries(folder, pattern, states, folders, left_out, tick):
                is_link = entry.is_symlink()
                if stat.S_ISDIR(status.st_mode):
                    if deeper := reached - {whole}:
                        (linked if is_link else ahead).append((entry.path, deeper, over_link or is_link))
                elif whole in reached:
                    yield _Found(entry.path, status, over_link or is_link)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                left_out(Path(folder), reason(error))


def _entries(
    folder: str,
    pattern: _Pattern,
    states: frozenset[int],
    folders: tuple[str, ...],
    left_out: LeftOut,
    tick: Callable[[], None],
) -> Iterator[tuple[os.DirEntry[str], frozenset[int], os.stat_result]]:
    """Folders and regular files that lead on in the pattern: entry, positions reached, and what is behind its links."""
    with os.scandir(folder) as entries:
        for entry in entries:
            tick()
            reached = pattern.after(states, entry.name)
            if not reached:
                continue
            if entry.is_symlink() and not _inside(os.path.realpath(entry.path), folders):
                left_out(Path(entry.path), "a symbolic link out of the allowed folders")
                continue
            try:
                status = entry.stat()
            except OSError as error:  # a broken link, or gone since
                left_out(Path(entry.path), reason(error))
                continue
            if stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
                yield entry, reached, status
            elif len(pattern.matchers) in reached:
                left_out(Path(entry.path), "no regular file")


def _newest_first(item: tuple[object, _Found]) -> tuple[int, bytes]:
    return -item[1].status.st_mtime_ns, os.fsencode(item[1].path)


def _inside(real: str, folders: tuple[str, ...]) -> bool:
    return any(real.startswith(folder.rstrip("/") + "/") for folder in folders)


def _unheard(path: Path, why: str) -> None:
    """Nobody wants to know."""
