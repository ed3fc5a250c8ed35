"""Upload a log archive: HTTP PUT, HTTP POST as a form with one file, FTP STOR, SFTP, or a copy.

Only success is success: a 2xx that comes after the last byte, FTP's word that the file is stored (226 or 250; libcurl
makes an error of any other), every byte taken by SFTP, or a file of this machine that is synced; and over FTP and SFTP
the right length, where the server tells it. No redirect is followed (OCPP 2.1 N01.FR.30). A server that refuses before
the body is heard out at once; one that ignores `Expect: 100-continue` costs a second.

Over FTP and SFTP an upload goes on from what a former attempt of the same job has brought there, see `uploaded_part`;
otherwise it begins anew.

Importing this module loads libcurl.
"""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal
from urllib.parse import unquote, urlsplit

import pycurl

from everest_system.io.durable import sync_folder
from everest_system.io.transfers.curl import Engine
from everest_system.io.transfers.exchange import CurlError, Head
from everest_system.io.transfers.options import WEB
from everest_system.io.transfers.outcomes import Own, http_meaning
from everest_system.io.transfers.transfer import TransferError, TransferSettings, retry_after_s
from everest_system.io.transfers.upload_body import UploadBody, form
from everest_system.io.transfers.uploaded_part import NO_PART, remote_length, uploaded_part

_ANSWER_MAX: Final = 64 * 1024
"""Bytes read of an answer's body, which nobody looks at."""

_PROGRESS_S: Final = 0.1
_OTHER_THAN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]")


def upload(
    archive: Path,
    target: str,
    *,
    settings: TransferSettings,
    schemes: Collection[str],
    method: Literal["PUT", "POST"] = "PUT",
    field: str = "file",
    record: Path | None = None,
    canceled: threading.Event,
    on_progress: Callable[[int, int], None],
    attempt_timeout_s: float | None = None,
) -> None:
    """Make one attempt at uploading an archive.

    Args:
        archive: the `.tar.gz` to send, under its own name (N01.FR.14 to .17).
        target: where to, as `url.upload_target` returned it.
        settings: how to transfer.
        schemes: the schemes allowed.
        method: the HTTP method.
        field: with POST, the form's field that holds the archive.
        record: an empty file made once something of the archive is at `target`, for the next attempt to go on from
            that; it belongs to this archive and target alone. None: each attempt begins anew.
        canceled: set from any thread, ends the attempt within 200 ms.
        on_progress: told the bytes there and the whole length, at most ten times a second.
        attempt_timeout_s: how long the attempt may take; None: no limit.

    Raises:
        TransferError: it failed; fault and log status say how. Never `INTERRUPTED`: no status tells it from a failure.
        CanceledError: it was canceled.
    """
    scheme = urlsplit(target).scheme
    try:
        with archive.open("rb", buffering=0) as file, Engine(settings, schemes, canceled, attempt_timeout_s) as engine:
            if scheme in WEB:
                _Attempt(engine, file, target, on_progress).web(archive.name, method, field)
            elif scheme == "file":
                _Attempt(engine, file, target, on_progress).send(UploadBody(file), {})
                _sync(target)
            else:
                _Attempt(engine, file, target, on_progress).store(record)
            size = os.fstat(file.fileno()).st_size
            on_progress(size, size)
    except OSError as error:
        raise TransferError(target, f"cannot read {archive}: {error.strerror}", Own.ARCHIVE.meaning) from None


@dataclass
class _Attempt:
    """One attempt; `engine`, the archive's `file`, `target` and `on_progress` as `upload` has them."""

    engine: Engine
    file: BinaryIO
    target: str
    on_progress: Callable[[int, int], None]
    next_progress: float = 0.0

    def web(self, name: str, method: str, field: str) -> None:
        """PUT or POST it."""
        quoted = _OTHER_THAN_NAMES.sub("_", name)
        if method == "POST":
            kind, body = form(self.file, quoted, field)
            fields = [f"Content-Type: {kind}"]
        else:
            body = UploadBody(self.file)
            fields = ["Content-Type: application/gzip", f'Content-Disposition: attachment; filename="{quoted}"']
        early: list[Head] = []

        def on_head(head: Head) -> bool:
            if head.status // 100 == 2 and not body.is_read:
                early.append(head)
            return not early

        try:
            head = self.send(
                body, {pycurl.CUSTOMREQUEST: method, pycurl.HTTPHEADER: fields}, on_head=on_head, early=early
            )
        except CurlError as error:
            # The server may say no and hang up while we are still sending: its word is the better one.
            if error.head is not None:
                _check_status(self.target, error.head)
            raise
        if head is not None:
            _check_status(self.target, head)

    def store(self, record: Path | None) -> None:
        """Bring it to an FTP or SFTP server, or the rest of it."""
        begun = record is not None and record.exists()
        body = UploadBody(self.file)
        there = uploaded_part(self.engine, self.target, self.file, body.size) if begun else 0
        if there and there == body.size:
            return  # only the server's last word was lost
        if not there or not self._store_rest(body, there, record):
            _forget(record)
            # A refusal has ended the connection for us, which libcurl would use again.
            self.send(body, {pycurl.FRESH_CONNECT: int(begun)}, record=record)
        # The server has said that it is stored: a connection that breaks now takes nothing of that back.
        with contextlib.suppress(CurlError):
            length = remote_length(self.engine, self.target)
            if length not in {None, body.size}:
                _forget(record)
                raise TransferError(self.target, f"{length} bytes are there of {body.size}", Own.SHORT.meaning)

    def _store_rest(self, body: UploadBody, there: int, record: Path | None) -> bool:
        try:
            self.send(body, {pycurl.RESUME_FROM_LARGE: there}, start=there, record=record)
        except CurlError as error:
            # Once it was on its way this was no refusal: the next attempt goes on from here.
            if error.code not in NO_PART or body.position > there:
                raise
            body.seek(0)
            return False
        return True

    def send(
        self,
        body: UploadBody,
        options: dict[int, Any],
        *,
        start: int = 0,
        record: Path | None = None,
        on_head: Callable[[Head], bool] = lambda _: True,
        early: list[Head] | None = None,
    ) -> Head | None:
        """Send `body` from `start` on, and return the head of the answer, if it is one of HTTP."""
        read_answer = 0

        def on_body(chunk: bytes) -> bool:
            nonlocal read_answer
            read_answer += len(chunk)
            return read_answer <= _ANSWER_MAX

        def on_step(sent: int) -> None:
            nonlocal record
            if sent and record is not None:
                _remember(record)
                record = None
            now = time.monotonic()
            if sent and now >= self.next_progress:
                self.next_progress = now + _PROGRESS_S
                self.on_progress(min(start + sent, body.size), body.size)

        wanted = {
            pycurl.UPLOAD: 1,
            pycurl.INFILESIZE_LARGE: body.length,
            pycurl.READFUNCTION: body.read,
            pycurl.SEEKFUNCTION: body.seek,
        }
        try:
            answer = self.engine.exchange(
                self.target, {**wanted, **options}, on_head=on_head, on_body=on_body, on_step=on_step
            )
        except CurlError:
            body.check()
            raise
        if early or (start + answer.sent != body.length and (answer.head is None or answer.head.status // 100 == 2)):
            cause = f"{start + answer.sent} bytes went out of {body.length}"
            raise TransferError(self.target, cause, Own.SHORT.meaning)
        return answer.head


def _remember(record: Path) -> None:
    with contextlib.suppress(OSError):  # the next attempt begins anew
        record.touch()


def _forget(record: Path | None) -> None:
    if record is not None:
        with contextlib.suppress(OSError):  # what is there is compared before anything is added to it
            record.unlink(missing_ok=True)


def _sync(target: str) -> None:
    file = Path(unquote(urlsplit(target).path))
    try:
        with file.open("rb") as written:
            os.fsync(written.fileno())
        sync_folder(file.parent)
    except OSError as error:
        raise TransferError(target, f"cannot sync {file}: {error.strerror}", Own.DISK.meaning) from None


def _check_status(target: str, head: Head) -> None:
    if head.status // 100 != 2:
        wait_s = retry_after_s(head.fields.get("retry-after"), head.fields.get("date"))
        raise TransferError(target, f"HTTP status {head.status}", http_meaning(head.status), wait_s)
