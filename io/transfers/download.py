"""Download a file to a part file, so that whatever happens, what has arrived need not be fetched again.

In order: the part that a former attempt left is cut to its synced length and hashed from disk; the rest is asked for
under the condition that the file is still the same one (HTTP `Range` with `If-Range`; FTP, SFTP and files of this
machine from an offset, after a look at date and size); if it is not, or nobody can tell, the download begins anew. Done
means: the server says success, the length is the one announced, file and folder are synced.

What it never does: ask for or undo a content coding, follow a redirect from https to http or out of HTTP, or write
beyond the size limit or into the reserve of the disk.

Importing this module loads libcurl.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import pycurl

from everest_system.fsm.artifact import Artifact, Part
from everest_system.fsm.errors import CanceledError, RequestError
from everest_system.io.transfers.curl import Engine
from everest_system.io.transfers.exchange import CurlError, Head
from everest_system.io.transfers.options import WEB
from everest_system.io.transfers.outcomes import Curl, Own, http_meaning
from everest_system.io.transfers.part_file import DiskError, PartFile
from everest_system.io.transfers.transfer import (
    Fault,
    Meaning,
    TransferError,
    TransferSettings,
    http_date,
    retry_after_s,
)
from everest_system.io.transfers.url import redirect_target

REDIRECTS_MAX: Final = 5

_OK: Final = frozenset({200, 203})
_PARTIAL: Final = 206
_UNSATISFIABLE: Final = 416
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NO_OFFSET: Final = frozenset({Curl.FTP_COULDNT_USE_REST, Curl.RANGE_ERROR, Curl.BAD_DOWNLOAD_RESUME})
_PROGRESS_S: Final = 0.1
_PART_S: Final = 1.0
_LONGEST_LENGTH: Final = 18
_VALIDATOR: Final = re.compile(r'"[\x21\x23-\x7e]{1,256}"')
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


def download(
    location: str,
    part_file: Path,
    part: Part,
    *,
    settings: TransferSettings,
    schemes: Collection[str],
    max_size_bytes: int,
    canceled: threading.Event,
    on_part: Callable[[Part], None],
    on_progress: Callable[[int, int | None], None],
    attempt_timeout_s: float | None = None,
) -> Artifact:
    """Make one attempt at downloading a file.

    Args:
        location: where from, as `url.location` returned it.
        part_file: where to; its folder exists. It is left in place whatever happens.
        part: what former attempts have told to `on_part`.
        settings: how to transfer.
        schemes: the schemes allowed, for redirects too.
        max_size_bytes: more than this is refused.
        canceled: set from any thread, ends the attempt within 200 ms and the time of a sync.
        on_part: told the part that is safe on disk: at most once a second after a sync, when a download begins anew,
            and when the attempt ends without success.
        on_progress: told the bytes there are and the whole length if known, at most ten times a second.
        attempt_timeout_s: how long the attempt may take; None: no limit.

    Returns:
        Length and digest of the complete, synced file.

    Raises:
        TransferError: it failed. Its fault is `INTERRUPTED` only if bytes came in this attempt and a part is kept
            that can be continued.
        CanceledError: it was canceled.
    """
    try:
        with (
            PartFile(part_file, settings.reserve_bytes) as file,
            Engine(settings, schemes, canceled, attempt_timeout_s) as engine,
        ):
            return _Attempt(engine, file, part, schemes, max_size_bytes, on_part, on_progress).run(location, canceled)
    except DiskError as error:
        raise TransferError(location, str(error), Own.DISK.meaning) from None


class _Attempt:
    """One attempt: what it asks for, and what it makes of the answers."""

    def __init__(
        self,
        engine: Engine,
        file: PartFile,
        part: Part,
        schemes: Collection[str],
        max_size_bytes: int,
        on_part: Callable[[Part], None],
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        self._engine, self._file, self._schemes, self._max_size = engine, file, schemes, max_size_bytes
        self._on_part, self._on_progress = on_part, on_progress
        self._told, self._known = part.length, part
        self._validator, self._total = part.validator, part.total
        self._url = ""
        self._received = 0
        self._another = False  # the range that came belongs to another file
        self._next_progress = self._next_part = 0.0

    def run(self, location: str, canceled: threading.Event) -> Artifact:
        """Do it; see `download`."""
        self._url = location
        try:
            self._restore(canceled)
            self._file.require(0)
            if urlsplit(location).scheme in WEB:
                self._web()
            else:
                self._from_offset()
            if self._total is not None and self._file.length != self._total:
                cause = f"{self._file.length} bytes came of {self._total} announced"
                raise CurlError(self._url, cause, Own.SHORT.meaning)
            artifact = self._file.finish()
        except (TransferError, CanceledError, DiskError) as error:
            self._keep()
            if isinstance(error, CurlError) and error.fault is Fault.FAILED and self._received and self._can_continue():
                raise TransferError(error.url, error.cause, Meaning(Fault.INTERRUPTED)) from None
            raise
        self._on_progress(artifact.length, artifact.length)
        return artifact

    def _restore(self, canceled: threading.Event) -> None:
        known = self._known
        # Of a file that is all there the last byte is asked for again: the server then says whether it still is that
        # file, in the words it uses for any other range.
        start = known.length if known.total is None else min(known.length, known.total - 1)
        usable = known.validator is not None and start > 0 and (known.total is None or known.length <= known.total)
        if not usable or not self._file.continue_at(start, canceled):
            self._begin_anew()

    def _begin_anew(self) -> None:
        self._file.restart()
        self._validator = self._total = None
        if self._told:
            self._tell()

    def _can_continue(self) -> bool:
        return self._validator is not None and self._file.synced > 0

    def _keep(self) -> None:
        # If this fails, what was synced before is kept; the attempt has failed already.
        with contextlib.suppress(DiskError):
            self._file.sync()
        self._tell()

    def _tell(self) -> None:
        self._told = self._file.synced
        self._on_part(Part(length=self._told, total=self._total, validator=self._validator))

    def _exchange(self, options: dict[int, Any], on_head: Callable[[Head], bool] = lambda _: True) -> Head | None:
        return self._engine.exchange(
            self._url, options, on_head=on_head, on_body=self._on_body, on_step=self._on_step
        ).head

    def _on_body(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if self._file.length + len(chunk) > self._max_size:
            self._refuse_size()
        self._file.write(chunk)

    def _on_step(self, _sent: int) -> None:
        now = time.monotonic()
        if now >= self._next_progress and self._received:
            self._next_progress = now + _PROGRESS_S
            self._on_progress(self._file.length, self._total)
        if now >= self._next_part and self._file.synced > self._told:
            self._next_part = now + _PART_S
            self._tell()

    def _refuse_size(self) -> NoReturn:
        raise TransferError(self._url, f"the file is larger than the {self._max_size} bytes allowed", Own.LARGE.meaning)

    def _expect(self, total: int | None, validator: str | None) -> None:
        """Take what the server says of the file, before its first byte."""
        if total is not None:
            if total > self._max_size:
                self._refuse_size()
            self._file.require(max(0, total - self._file.length))
        self._total, self._validator = total, validator

    # HTTP

    def _web(self) -> None:
        redirects = 0
        while True:
            start = self._file.length
            fields = [f"Range: bytes={start}-", f"If-Range: {self._validator}"] if start else []
            self._another = False
            head = self._exchange({pycurl.HTTPHEADER: fields}, self._on_head)
            assert head is not None  # libcurl reports an answer without one as an error
            if head.status in _REDIRECTS and "location" in head.fields:
                redirects += 1
                if redirects > REDIRECTS_MAX:
                    cause = f"more than {REDIRECTS_MAX} redirects"
                    raise TransferError(self._url, cause, Own.REDIRECTS.meaning)
                self._redirect(head.fields["location"])
            elif start and (self._another or head.status == _UNSATISFIABLE):
                self._begin_anew()
            elif head.status in _OK or (start and head.status == _PARTIAL):
                return
            else:
                wait_s = retry_after_s(head.fields.get("retry-after"), head.fields.get("date"))
                raise TransferError(self._url, f"HTTP status {head.status}", http_meaning(head.status), wait_s)

    def _redirect(self, to: str) -> None:
        try:
            self._url = redirect_target(self._url, to, self._schemes)
        except RequestError as error:
            raise TransferError(self._url, str(error), Own.REDIRECT.meaning) from None

    def _on_head(self, head: Head) -> bool:
        if head.status in _OK:
            if self._file.length:
                self._begin_anew()
            self._expect(_length(head), _strong_validator(head))
            return True
        if head.status == _PARTIAL and self._file.length:
            total = _range_total(head, self._file.length)
            # Servers that know ranges but not If-Range send the rest of whatever they have.
            now = head.fields.get("etag" if (self._validator or "").startswith('"') else "last-modified")
            self._another = total is None or now not in {None, self._validator} or self._total not in {None, total}
            if not self._another:
                self._expect(total, self._validator)
                return True
        return False

    # FTP, SFTP and files of this machine

    def _from_offset(self) -> None:
        if urlsplit(self._url).path.endswith("/") or not urlsplit(self._url).path:
            raise TransferError(self._url, "the location names a folder, not a file", Own.FOLDER.meaning)
        found = self._engine.exchange(self._url, {pycurl.NOBODY: 1, pycurl.OPT_FILETIME: 1})
        total = found.length if found.length >= 0 else None
        validator = f"MDTM {found.file_time} SIZE {total}" if total is not None and found.file_time >= 0 else None
        if self._file.length and validator != self._validator:
            self._begin_anew()
        self._expect(total, validator)
        try:
            self._exchange({pycurl.RESUME_FROM_LARGE: self._file.length})
        except CurlError as error:
            if not self._file.length or error.code not in _NO_OFFSET:
                raise
            self._begin_anew()
            self._expect(total, validator)
            self._exchange({})


def _length(head: Head) -> int | None:
    """Return the length that an answer announces; one beyond all numbers here is the largest, which no limit allows.

    libcurl takes such an answer for one without a length, and its end, wherever that is, for the end of the file.
    """
    text = head.fields.get("content-length", "")
    if "transfer-encoding" in head.fields or not re.fullmatch(r"[0-9]+", text):
        return None
    return int(text) if len(text) <= _LONGEST_LENGTH else 10**_LONGEST_LENGTH


def _range_total(head: Head, start: int) -> int | None:
    """Return the whole length that an answer with a range announces, None if its range is not the one asked for."""
    match = _RANGE.fullmatch(head.fields.get("content-range", ""))
    if not match:
        return None
    first, last, total = map(int, match.groups())
    return total if first == start and first <= last < total else None


def _strong_validator(head: Head) -> str | None:
    """Return what the rest may be asked for with: a strong ETag, else a Last-Modified that can be relied on."""
    etag = head.fields.get("etag", "")
    if _VALIDATOR.fullmatch(etag):
        return etag
    modified, date = http_date(head.fields.get("last-modified")), http_date(head.fields.get("date"))
    # A file changed within the second of the answer may change again within it; whether it was, only the server's own
    # clock says (RFC 9110, 8.8.2.2).
    if modified is None or date is None or date - modified < timedelta(seconds=1):
        return None
    text = head.fields["last-modified"]
    return text if text.isascii() and text.isprintable() and len(text) <= 64 else None
