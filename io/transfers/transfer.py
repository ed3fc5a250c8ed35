"""What a transfer may be told, how it can fail, and what a failure means: for the retries, and in OCPP's words.

The meanings are tables, one for each kind of answer: libcurl's errors, HTTP statuses, FTP answers. They hold for both
directions; a download has no use for the word.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, NamedTuple

from everest_system.fsm.errors import WorldError
from everest_system.io.transfers.url import origin


class Fault(StrEnum):
    """What a failed transfer means for the request.

    Attributes:
        REFUSED: trying again cannot help: the request is over.
        FAILED: another attempt may help.
        INTERRUPTED: the connection broke in the middle, and the part kept can be continued.
    """

    REFUSED = "refused"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Meaning(NamedTuple):
    """What an error or an answer means: for the request, and as a log status (N01.FR.10)."""

    fault: Fault
    log_status: str = "UploadFailure"


class TransferError(WorldError):
    """A transfer failed; `str()` is one line with scheme, host and cause.

    Attributes:
        fault: what that means for the request.
        log_status: the most precise log status (N01.FR.10).
        retry_after_s: how long the server asks to wait before the next attempt, in seconds, if it said.
    """

    def __init__(self, url: str, cause: str, meaning: Meaning, retry_after_s: float | None = None) -> None:
        super().__init__(f"{origin(url)}: {cause}")
        self.url, self.cause, self.meaning = url, cause, meaning
        self.fault, self.log_status = meaning
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class TransferSettings:
    """How to transfer, both ways.

    Attributes:
        ca_files: PEM files with roots to trust besides the system's CA bundle.
        client_cert_file: PEM certificate to show to servers that ask for one.
        client_key_file: its key, if that stands in a file of its own.
        ftp_tls: TLS on ftp:// by AUTH TLS: `try` falls back to none when the server has none.
        connect_timeout_s: for name, connection, TLS and login together; 0: libcurl's own limit of 300 s.
        stall_timeout_s: no byte for this long ends the attempt; 0: never.
        rate_limit_kbps: kilobits a second; 0: no limit.
    """

    ca_files: tuple[Path, ...] = ()
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    ftp_tls: Literal["try", "require", "never"] = "try"
    connect_timeout_s: float = 20
    stall_timeout_s: float = 60
    rate_limit_kbps: int = 0


FAILED: Final = Meaning(Fault.FAILED)
REFUSED: Final = Meaning(Fault.REFUSED)
UNSUPPORTED: Final = Meaning(Fault.REFUSED, "NotSupportedOperation")
_DENIED: Final = Meaning(Fault.REFUSED, "PermissionDenied")
_BAD: Final = Meaning(Fault.REFUSED, "BadMessage")

HTTP_STATUSES: Final[Mapping[int, Meaning]] = {
    400: _BAD,
    401: _DENIED,
    403: _DENIED,
    405: UNSUPPORTED,
    407: _DENIED,  # a proxy's
    408: FAILED,
    422: _BAD,
    429: FAILED,
    501: Meaning(Fault.FAILED, "NotSupportedOperation"),
}
"""The statuses that differ from their class."""

HTTP_CLASSES: Final[Mapping[int, Meaning]] = {
    2: FAILED,  # a success, but none that we can do with
    3: REFUSED,  # a redirect that is not followed
    4: REFUSED,
    5: FAILED,
}


class Curl:
    """The libcurl errors that mean something other than `FAILED`, by their names there."""

    URL_MALFORMAT: Final = 3
    REMOTE_ACCESS_DENIED: Final = 9  # FTP: CWD
    FTP_COULDNT_RETR_FILE: Final = 19
    UPLOAD_FAILED: Final = 25  # FTP: STOR
    FTP_COULDNT_USE_REST: Final = 31
    LOGIN_DENIED: Final = 67  # FTP: USER, PASS
    REMOTE_FILE_NOT_FOUND: Final = 78  # FTP: RETR


CURL_ERRORS: Final[Mapping[int, Meaning]] = {
    Curl.URL_MALFORMAT: REFUSED,
}

FTP_REFUSALS: Final = frozenset(
    {
        Curl.REMOTE_ACCESS_DENIED,
        Curl.FTP_COULDNT_RETR_FILE,
        Curl.UPLOAD_FAILED,
        Curl.LOGIN_DENIED,
        Curl.REMOTE_FILE_NOT_FOUND,
    }
)
"""The errors that say at which FTP command the server said no; its answer says what kind of no."""

FTP_ANSWERS: Final[Mapping[tuple[int, int], Meaning]] = {
    (Curl.LOGIN_DENIED, 530): _DENIED,
    (Curl.UPLOAD_FAILED, 530): _DENIED,
    (Curl.UPLOAD_FAILED, 550): _DENIED,
    (Curl.UPLOAD_FAILED, 552): FAILED,  # over quota, until someone tidies up
}
"""The pairs that differ from FTP's own rule: 4yz is for now, 5yz is for good."""


def http_meaning(status: int) -> Meaning:
    """Return what an HTTP status means that is not the one hoped for."""
    return HTTP_STATUSES.get(status) or HTTP_CLASSES.get(status // 100, FAILED)


def curl_meaning(code: int, ftp_answer: int = 0) -> Meaning:
    """Return what a libcurl error means.

    Args:
        code: libcurl's number (`CURLcode`).
        ftp_answer: the last answer of an FTP server, 0 if there was none.
    """
    if code not in FTP_REFUSALS:
        return CURL_ERRORS.get(code, FAILED)
    return FTP_ANSWERS.get((code, ftp_answer)) or (REFUSED if ftp_answer // 100 == 5 else FAILED)


def retry_after_s(value: str | None, date: str | None = None) -> float | None:
    """Return how long a `Retry-After` field asks to wait, in seconds from 0 on, or None if it says nothing clear.

    Args:
        value: the field's value: seconds or an HTTP date.
        date: the `Date` field of the same answer; a date is counted from it, since our clock may be wrong.
    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    until = http_date(value)
    if until is None:
        return None
    return max(0.0, (until - (http_date(date) or datetime.now(UTC))).total_seconds())


def http_date(value: str | None) -> datetime | None:
    """Return an HTTP date (RFC 9110, 5.6.7), or None if it is none."""
    try:
        when = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
