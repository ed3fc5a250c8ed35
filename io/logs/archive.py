"""One archive of the logs of a source: a `.tar.gz` in the spool that opens anywhere and says what it lacks.

The journal, commands and the service's own words come first, then the files, newest first, each under its original
folders, `manifest.json` last. Each file is read in blocks, masked and compressed as it is read and never held: a window
inside a file is found first (`window.runs`), so that the header can say the size, and copied then. A file that grows,
shrinks, rotates or vanishes meanwhile costs a note in the manifest, never the
archive. At the size limit the file that breaks it is taken back out, and the older ones are left out.

The archive is written as NAME.part, synced, and renamed: what has its final name is complete. After any error and after
a cancel neither is left. The same input gives the same bytes.

Not here: what to collect, how to name it, where to send it, and the process that this runs in (`collector`). Importing
this module loads the compressor: nothing for the service itself.
"""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from everest_system.fsm.errors import CanceledError
from everest_system.io.durable import sync_folder
from everest_system.io.logs.collect_request import Collected, CollectError, CollectRequest, Progress
from everest_system.io.logs.log_file import LogFile, Selection
from everest_system.io.logs.manifest import OVER, Manifest, modified, shown
from everest_system.io.logs.masking import Masker
from everest_system.io.logs.sources import LogFileError, matching, open_log, reason
from everest_system.io.logs.tar_gz import TarGz, member
from everest_system.io.logs.told_sources import add_told

MANIFEST = "manifest.json"


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
            with work.masker.watch():
                work.add_everything()
            manifest = work.manifest.text(request, work.masker)
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
    return Collected(spool / request.name, length, len(work.manifest.taken), work.manifest.left_out_count)


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
        self._full = False
        self.masker, self.manifest = Masker(request.masks), Manifest()
        self.newest_s = 0

    def tick(self) -> None:
        if self._canceled.is_set():
            raise CanceledError("log collection canceled")

    def add_everything(self) -> None:
        """Take what the machine says now, then its files, then look once more for what rotated meanwhile."""
        paths = list(matching(self._source, self.manifest.leave_out, self.tick))
        if paths and not self._window.empty:
            self.newest_s = _changed(paths[0])
        add_told(self._request, self.manifest, self._add_member, self.tick)
        for again in (False, True):
            if self._window.empty or (again and self._full):
                return
            if again:
                paths = list(matching(self._source, None, self.tick))
            self._total = max(self._total, sum(_size(path) for path in paths))
            for path in paths:
                self.tick()
                self._add(path)

    def _add_member(self, name: str, length: int, blocks: Iterable[bytes]) -> bool:
        """Add what is not of a file: as old as the newest file, so that the same input gives the same bytes."""
        return self._put(name, self.newest_s, length, blocks)

    def _put(self, name: str, modified_s: int, length: int, blocks: Iterable[bytes]) -> bool:
        """Add a member, masked; whether it fits."""
        counts = self.masker.counts.copy()
        if not self._archive.add(member(name, modified_s), (length, self.masker.blocks(blocks))):
            self.masker.counts = counts
            return False
        self._names.add(name)
        return True

    def _add(self, path: Path) -> None:
        if self._full:
            self.manifest.leave_out(path, OVER)
            return
        try:
            fd = open_log(path, self._source)
        except LogFileError as error:
            self.manifest.leave_out(path, str(error))
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
            self.manifest.leave_out(log.path, "the spool itself")
        else:
            self._take(log)
        self._done = before + log.status.st_size
        self._on_progress(self._done, max(self._done, self._total))

    def _take(self, log: LogFile) -> None:
        try:
            selection = Selection.of(log, self._window)
        except LogFileError as error:
            self.manifest.leave_out(log.path, str(error))
            return
        name = self._member_name(log.content_path)
        modified_s = log.status.st_mtime_ns // 1_000_000_000
        if not self._put(name, modified_s, selection.length, log.blocks(selection)):
            self._full = True
            self.manifest.leave_out(log.path, OVER)
            return
        self.newest_s = max(self.newest_s, modified_s)
        self.manifest.take(
            name,
            path=shown(str(log.path)),
            bytes=selection.length,
            of_bytes=log.status.st_size,
            modified=modified(modified_s),
            **({"compression": log.compression} if log.compression else {}),
            lines=selection.lines,
            notes=log.notes(),
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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 1_000_000_000
    except OSError:
        return 0
