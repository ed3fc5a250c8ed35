"""What libcurl sends in an upload: the archive as it is, or in a form of one field (RFC 7578).

No more than a block of it is in memory.

Importing this module loads libcurl.
"""

import os
import secrets
from typing import BinaryIO, Final

import pycurl

_READ_ABORT: Final[int] = pycurl.READFUNC_ABORT


class UploadBody:
    """The archive as libcurl reads it, with what stands around it.

    Args:
        archive: from its first byte on, unbuffered.
        before: what is sent before it.
        after: and what after it.

    Attributes:
        archive: the file.
        size: bytes of the archive.
        length: bytes of all.
    """

    def __init__(self, archive: BinaryIO, before: bytes = b"", after: bytes = b"") -> None:
        self.archive, self.size = archive, os.fstat(archive.fileno()).st_size
        self.length = len(before) + self.size + len(after)
        self._before, self._after = before, after
        self._at = 0
        self._error: OSError | None = None

    @property
    def position(self) -> int:
        """How far libcurl has come in it."""
        return self._at

    @property
    def is_read(self) -> bool:
        """Whether libcurl has had all of it."""
        return self._at >= self.length

    def read(self, size: int) -> bytes | int:
        """Give libcurl the next bytes."""
        # An exception that left this callback would be printed by pycurl and forgotten.
        try:
            block = self._next(size)
        except OSError as error:
            self._error = error
            return _READ_ABORT
        self._at += len(block)
        return block

    def seek(self, position: int, _origin: int = os.SEEK_SET) -> int:
        """Go on from `position` (libcurl knows no other origin), for a second try or the rest."""
        try:
            self.archive.seek(min(max(position - len(self._before), 0), self.size))
        except OSError as error:
            self._error = error
            return int(pycurl.SEEKFUNC_FAIL)
        self._at = position
        return int(pycurl.SEEKFUNC_OK)

    def check(self) -> None:
        """Raise what reading raised."""
        if self._error is not None:
            raise self._error

    def _next(self, size: int) -> bytes:
        if self._at < len(self._before):
            return self._before[self._at : self._at + size]
        end = len(self._before) + self.size
        if self._at < end:
            # Never beyond the length announced: an archive is complete before it is sent.
            return self.archive.read(min(size, end - self._at))
        return self._after[self._at - end :][:size]


def form(archive: BinaryIO, name: str, field: str) -> tuple[str, UploadBody]:
    """Return the content type and the body of a form with one file.

    Args:
        archive: the file.
        name: its name there, of letters, digits and `._-`.
        field: the field's name, of the same.
    """
    boundary = secrets.token_hex(16)
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        "Content-Type: application/gzip\r\n\r\n"
    )
    after = f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", UploadBody(archive, head.encode(), after)
