"""What a transfer may be told, and how it can fail; which failure means what stands in `outcomes`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple

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
        credentials_file: users and passwords of servers whose URLs have none; a `credentials_file`.
        sftp_key_file: private key to log in with over SFTP.
        known_hosts_file: the SFTP servers' keys, as OpenSSH writes them; None: the user's own.
        keep_new_hosts: take the key of an SFTP server that is not in there yet on trust, and keep it there.
        ftp_tls: TLS on ftp:// by AUTH TLS: `try` falls back to none when the server has none.
        connect_timeout_s: for name, connection, TLS and login together; 0: libcurl's own limit of 300 s.
        stall_timeout_s: no byte for this long ends the attempt; 0: never.
        rate_limit_kbps: kilobits a second; 0: no limit.
        reserve_bytes: space that a download leaves free on its disk.
    """

    ca_files: tuple[Path, ...] = ()
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    credentials_file: Path | None = None
    sftp_key_file: Path | None = None
    known_hosts_file: Path | None = None
    keep_new_hosts: bool = False
    ftp_tls: Literal["try", "require", "never"] = "try"
    connect_timeout_s: float = 20
    stall_timeout_s: float = 60
    rate_limit_kbps: int = 0
    reserve_bytes: int = 16 * 1024 * 1024


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
