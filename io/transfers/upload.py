"""Upload a log archive: HTTP PUT or POST with the file as the body, FTP STOR, SFTP, or a copy.

Only success is success: a 2xx after the last byte, FTP's word that the file is stored (226 or 250; libcurl makes an
error of any other), every byte taken by SFTP, or a file of this machine that is synced. No redirect is followed (OCPP
2.1 N01.FR.30). A server that refuses before the body is heard out at once; one that ignores `Expect: 100-continue`
costs a second.

Importing this module loads libcurl.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Collection
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

_ANSWER_MAX: Final = 64 * 1024
"""Bytes read of an answer's body, which nobody looks at."""

_PROGRESS_S: Final = 0.1
_READ_ABORT: Final[int] = pycurl.READFUNC_ABORT


def upload(
    archive: Path,
    target: str,
    *,
    settings: TransferSettings,
    schemes: Collection[str],
    method: Literal["PUT", "POST"] = "PUT",
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
        canceled: set from any thread, ends the attempt within 200 ms.
        on_progress: told the bytes sent and the whole length, at most ten times a second.
        attempt_timeout_s: how long the attempt may take; None: no limit.

    Raises:
        TransferError: it failed; fault and log status say how. Never `INTERRUPTED`: an upload starts over.
        CanceledError: it was canceled.
    """
    try:
        with archive.open("rb", buffering=0) as body, Engine(settings, schemes, canceled, attempt_timeout_s) as engine:
            _send(engine, body, archive.name, target, method, on_progress)
    except OSError as error:
        raise TransferError(target, f"cannot read {archive}: {error.strerror}", Own.ARCHIVE.meaning) from None


def _send(
    engine: Engine, body: BinaryIO, name: str, target: str, method: str, on_progress: Callable[[int, int], None]
) -> None:
    size = os.fstat(body.fileno()).st_size
    source = _Source(body)
    read_answer = 0
    next_progress = 0.0

    def on_body(chunk: bytes) -> bool:
        nonlocal read_answer
        read_answer += len(chunk)
        return read_answer <= _ANSWER_MAX

    def on_step(sent: int) -> None:
        nonlocal next_progress
        now = time.monotonic()
        if sent and now >= next_progress:
            next_progress = now + _PROGRESS_S
            on_progress(sent, size)

    options: dict[int, Any] = {
        pycurl.UPLOAD: 1,
        pycurl.INFILESIZE_LARGE: size,
        pycurl.READFUNCTION: source.read,
    }
    web = urlsplit(target).scheme in WEB
    if web:
        quoted = re.sub(r"[^A-Za-z0-9._-]", "_", name)
        options[pycurl.CUSTOMREQUEST] = method
        options[pycurl.HTTPHEADER] = [
            "Content-Type: application/gzip",
            f'Content-Disposition: attachment; filename="{quoted}"',
        ]
    try:
        answer = engine.exchange(target, options, on_body=on_body, on_step=on_step)
    except CurlError as error:
        source.check()
        # The server may say no and hang up while we are still sending: its word is the better one.
        if error.head is not None:
            _check_status(target, error.head)
        raise
    if answer.head is not None:
        _check_status(target, answer.head)
    if answer.sent != size:
        raise TransferError(target, f"{answer.sent} bytes went out of {size}", Own.SHORT.meaning)
    if urlsplit(target).scheme == "file":
        _sync(target)
    on_progress(size, size)


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


class _Source:
    """The archive as libcurl reads it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def read(self, size: int) -> bytes | int:
        # An exception that left this callback would be printed by pycurl and forgotten.
        try:
            return self._file.read(size)
        except OSError as error:
            self._error = error
            return _READ_ABORT

    def check(self) -> None:
        """Raise what reading raised."""
        if self._error is not None:
            raise self._error
