"""What is on an FTP or SFTP server of an archive that was on its way there when the connection broke.

A file of the archive's name need not be ours: two stations may have been told the same name. So the end of what is
there is fetched and compared, and only what is byte for byte the archive's own is gone on from. A server that does not
tell the length, or does not let us read, gets the archive anew.

Importing this module loads libcurl.
"""

import os
from typing import BinaryIO, Final

import pycurl

from everest_system.io.transfers.curl import Engine
from everest_system.io.transfers.exchange import CurlError
from everest_system.io.transfers.outcomes import Curl

_COMPARED: Final = 64 * 1024
"""Bytes at the end of what is there."""

NO_PART: Final = frozenset(
    {
        Curl.REMOTE_ACCESS_DENIED,
        Curl.FTP_COULDNT_RETR_FILE,
        Curl.UPLOAD_FAILED,
        Curl.FTP_COULDNT_USE_REST,
        Curl.RANGE_ERROR,
        Curl.BAD_DOWNLOAD_RESUME,
        Curl.REMOTE_FILE_NOT_FOUND,
        Curl.SSH,
    }
)
"""The errors that say: not with this file; the connection itself is fine."""


def remote_length(engine: Engine, target: str) -> int | None:
    """Return the bytes of a file on a server (SIZE, stat), None if it does not tell.

    Raises:
        CurlError: the connection broke, or did not come about.
        CanceledError: it was canceled.
    """
    try:
        found = engine.exchange(target, {pycurl.NOBODY: 1, pycurl.OPT_FILETIME: 1})
    except CurlError as error:
        if error.code in NO_PART:
            return None
        raise
    return found.length if found.length >= 0 else None


def uploaded_part(engine: Engine, target: str, archive: BinaryIO, size: int) -> int:
    """Return how many of the first bytes of `archive` are at `target`; 0: none, or what is there is something else.

    Raises:
        CurlError: the connection broke, or did not come about.
        CanceledError: it was canceled.
        OSError: the archive cannot be read.
    """
    length = remote_length(engine, target)
    if not length or length > size:
        return 0
    first = max(0, length - _COMPARED)
    ours = os.pread(archive.fileno(), length - first, first)
    theirs = bytearray()

    def on_body(chunk: bytes) -> bool:
        theirs.extend(chunk)
        return len(theirs) <= len(ours)

    try:
        engine.exchange(target, {pycurl.RESUME_FROM_LARGE: first}, on_body=on_body)
    except CurlError as error:
        if error.code in NO_PART:
            return 0
        raise
    return length if theirs == ours else 0
