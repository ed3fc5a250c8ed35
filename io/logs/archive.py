"""One archive of the logs of a source: a `.tar.gz` in the spool that opens anywhere and says what it lacks.

Newest file first, each under its original folders, `manifest.json` last. Each file is read in blocks, compressed as it
is read and never held: a window inside a file is found first (`log_window.runs`), so that the header can say the size,
and copied then. A file that grows, shrinks, rotates or vanishes meanwhile costs a note in the manifest, never the
archive. At the size limit the file that breaks it is taken back out, and the older ones are left out.

The archive is written as NAME.part, synced, and renamed: what has its final name is complete. After any error and after
a cancel neither is left. The same input gives the same bytes.

Not here: what to collect, how to name it, where to send it, and the process that this runs in (`collector`). Importing
this module loads the compressor: nothing for the service itself.
"""

import json
import os
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from everest_system.fsm.errors import CanceledError
from everest_system.io.durable import sync_folder
from everest_system.io.logs.collect_request import Collected, CollectError, CollectRequest, Progress
from everest_system.io.logs.log_file import LogFile, Selection
from everest_system.io.logs.sources import LogFileError, matching, open_log, reason
from everest_system.io.logs.tar_gz import TarGz, member

MANIFEST = "manifest.json"
LISTED_MAX = 5_000
"""Paths that the manifest lists as left out; the rest are counted."""

_OVER = "over the size limit, newer files went first"


def collect(request: CollectRequest, *, canceled: threading.Event, on_progress: Progress) -> Collected:
    """Collect what a source has in a window into one archive; an empty window gives an archive with its manifest.

    Args:
        request: what is wanted.
        canceled: looked at every block; within 200 ms the work ends.
        on_progress: called in this thread, after each block.

    Raises:
        CollectError: the disk is full, or the spool cannot be written.
        CanceledError: it was canceled.
    """
    spool = request.spool
    unfinished = part = spool / f"{request.name}.part"
    try:
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TarGz(part, request.max_size_bytes) as archive:
            work = _Collection(request, archive, canceled, on_progress)
            work.add_files()
            manifest = work.manifest()
            archive.add(member(MANIFEST, work.newest_s), (len(manifest), [manifest]), limited=False)
            length = archive.finish()
        work.tick()
        unfinished = part.replace(spool / request.name)
        sync_folder(spool)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink()
        if isinstance(error, OSError):
            raise CollectError(f"cannot write the log archive: {reason(error)}") from error
        raise
    return Collected(spool / request.name, length, len(work.taken), work.left_out_count)


class _Collection:
    """The files of one request on their way into the archive, and what is said of them."""

    def __init__(
        self, request: CollectRequest, archive: TarGz, canceled: threading.Event, on_progress: Progress
    ) -> None:
        self._request, self._archive = request, archive
        self._source, self._window = request.source, request.window
        self._spool = str(request.spool.resolve()) + "/"
        self._canceled, self._on_progress = canceled, on_progress
        self._done = self._total = 0
        self._seen: set[tuple[int, int]] = set()
        self._names = {MANIFEST}
        self._left_out: dict[str, str] = {}
        self._unlisted = 0
        self._full = False
        self.taken: list[dict[str, Any]] = []
        self.newest_s = 0

    @property
    def left_out_count(self) -> int:
        return len(self._left_out) + self._unlisted

    def tick(self) -> None:
        if self._canceled.is_set():
            raise CanceledError("log collection canceled")

    def add_files(self) -> None:
        """Take what there is, then look once more for what rotated to another name meanwhile."""
        if self._source.journal:
            self._leave_out("journal", "collecting the systemd journal is not supported")
        for again in (False, True):
            if self._window.empty or (again and self._full):
                return
            paths = list(matching(self._source, None if again else self._leave_out, self.tick))
            self._total = max(self._total, sum(_size(path) for path in paths))
            for path in paths:
                self.tick()
                self._add(path)

    def manifest(self) -> bytes:
        """What was taken, what was left out and why, as JSON; the facts of the request come first."""
        window = self._window
        content: dict[str, Any] = {
            **self._request.facts,
            "format": 1,
            "archive": self._request.name,
            "window": {"oldest": _rfc3339(window.oldest), "latest": _rfc3339(window.latest), "inclusive": True},
            "taken": self.taken,
            "left_out": [{"path": path, "reason": why} for path, why in sorted(self._left_out.items())],
        }
        if window.empty:
            content["note"] = "the window ends before it begins: nothing lies in it"
        if self._unlisted:
            content["left_out_unlisted"] = self._unlisted
        return json.dumps(content, indent=1).encode() + b"\n"

    def _leave_out(self, path: Path | str, why: str) -> None:
        shown = _shown(str(path))
        if shown in self._left_out or len(self._left_out) < LISTED_MAX:
            self._left_out.setdefault(shown, why)  # two patterns may have met the same path
        else:
            self._unlisted += 1

    def _add(self, path: Path) -> None:
        if self._full:
            self._leave_out(path, _OVER)
            return
        try:
            fd = open_log(path, self._source)
        except LogFileError as error:
            self._leave_out(path, str(error))
            return
        try:
            status = os.fstat(fd)
            key = (status.st_dev, status.st_ino)
            if key not in self._seen:
                self._seen.add(key)
                self._add_open(LogFile(fd, path, status, self._read_on))
        finally:
            os.close(fd)

    def _add_open(self, log: LogFile) -> None:
        before = self._done
        if os.path.realpath(log.path).startswith(self._spool):
            self._leave_out(log.path, "the spool itself")
        else:
            self._take(log)
        self._done = before + log.status.st_size
        self._on_progress(self._done, max(self._done, self._total))

    def _take(self, log: LogFile) -> None:
        try:
            selection = Selection.of(log, self._window)
        except LogFileError as error:
            self._leave_out(log.path, str(error))
            return
        name = self._member_name(log.content_path)
        modified_s = log.status.st_mtime_ns // 1_000_000_000
        if not self._archive.add(member(name, modified_s), (selection.length, log.blocks(selection))):
            self._full = True
            self._leave_out(log.path, _OVER)
            return
        self._names.add(name)
        self.newest_s = max(self.newest_s, modified_s)
        self.taken.append(
            {
                "path": _shown(str(log.path)),
                "member": _shown(name),
                "bytes": selection.length,
                "of_bytes": log.status.st_size,
                "modified": _modified(modified_s),
                **({"compression": log.compression} if log.compression else {}),
                "lines": selection.lines,
                "notes": log.notes(),
            }
        )

    def _member_name(self, path: Path) -> str:
        """The path without its leading slash; another one if a file that rotated has taken it already."""
        name = base = str(path).lstrip("/")
        count = 1
        while name in self._names:
            count += 1
            name = f"{base}.~{count}~"
        return name

    def _read_on(self, length: int) -> None:
        self.tick()
        self._done += length
        self._on_progress(min(self._done, self._total), self._total)


def _shown(path: str) -> str:
    r"""A path as text: bytes that are not UTF-8 are written `\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _rfc3339(time: datetime | None) -> str | None:
    if time is None:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return time.isoformat().replace("+00:00", "Z")


def _modified(seconds: int) -> str | None:
    try:
        return _rfc3339(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    except OverflowError:  # a file may claim any time at all
        return None
