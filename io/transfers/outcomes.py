"""What each answer of a server and each error of libcurl's means: the one map of all transfers, both ways.

A table for each kind of answer, and in each row what happened, what that means for the request, and OCPP's word for an
upload (N01.FR.10). What stands in no table is `FAILED`. docs/transfers.md is printed from the same tables:

    python -m everest_system.io.transfers.document > docs/transfers.md
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from everest_system.io.transfers.transfer import Fault, Meaning

FAILED: Final = Meaning(Fault.FAILED)
REFUSED: Final = Meaning(Fault.REFUSED)
UNSUPPORTED: Final = Meaning(Fault.REFUSED, "NotSupportedOperation")
DENIED: Final = Meaning(Fault.REFUSED, "PermissionDenied")
BAD: Final = Meaning(Fault.REFUSED, "BadMessage")


class Outcome(NamedTuple):
    """A row: what happened, in words for a person, and what it means."""

    what: str
    meaning: Meaning


HTTP_STATUSES: Final[Mapping[int, Outcome]] = {
    400: Outcome("the server cannot read the request", BAD),
    401: Outcome("user or password are missing or wrong", DENIED),
    403: Outcome("forbidden", DENIED),
    405: Outcome("the method is not allowed there; the server works as it should, so it will not pass", UNSUPPORTED),
    407: Outcome("a proxy wants a user and a password", DENIED),
    408: Outcome("the server has waited too long for us", FAILED),
    422: Outcome("the server does not want such content", BAD),
    429: Outcome("too many requests; `Retry-After` is respected", FAILED),
    501: Outcome(
        "the server does not know the method; a fault of the server's like any 5xx, so it may pass",
        Meaning(Fault.FAILED, "NotSupportedOperation"),
    ),
}
"""The statuses that differ from their class."""

HTTP_CLASSES: Final[Mapping[int, Outcome]] = {
    2: Outcome("a success, but none that we can do with, such as 204 for a file", FAILED),
    3: Outcome("a redirect that is not followed", REFUSED),
    4: Outcome("refused by the server", REFUSED),
    5: Outcome("a fault of the server's; `Retry-After` is respected", FAILED),
}


class Curl(IntEnum):
    """The errors of libcurl that our protocols can come to, by their names and numbers there."""

    UNSUPPORTED_PROTOCOL = 1
    FAILED_INIT = 2
    URL_MALFORMAT = 3
    COULDNT_RESOLVE_PROXY = 5
    COULDNT_RESOLVE_HOST = 6
    COULDNT_CONNECT = 7
    WEIRD_SERVER_REPLY = 8
    REMOTE_ACCESS_DENIED = 9
    FTP_WEIRD_PASV_REPLY = 13
    FTP_WEIRD_227_FORMAT = 14
    FTP_COULDNT_SET_TYPE = 17
    PARTIAL_FILE = 18
    FTP_COULDNT_RETR_FILE = 19
    WRITE_ERROR = 23
    UPLOAD_FAILED = 25
    OPERATION_TIMEDOUT = 28
    FTP_COULDNT_USE_REST = 31
    RANGE_ERROR = 33
    SSL_CONNECT_ERROR = 35
    BAD_DOWNLOAD_RESUME = 36
    FILE_COULDNT_READ_FILE = 37
    GOT_NOTHING = 52
    SEND_ERROR = 55
    RECV_ERROR = 56
    PEER_FAILED_VERIFICATION = 60
    BAD_CONTENT_ENCODING = 61
    USE_SSL_FAILED = 64
    LOGIN_DENIED = 67
    REMOTE_DISK_FULL = 70
    SSL_CACERT_BADFILE = 77
    REMOTE_FILE_NOT_FOUND = 78
    SSH = 79
    PROXY = 97
    TOO_LARGE = 100


CURL_ERRORS: Final[Mapping[Curl, Outcome]] = {
    Curl.UNSUPPORTED_PROTOCOL: Outcome("an answer that is no HTTP at all", FAILED),
    Curl.FAILED_INIT: Outcome("an SSH session does not come about", FAILED),
    Curl.URL_MALFORMAT: Outcome("libcurl cannot read the URL", REFUSED),
    Curl.COULDNT_RESOLVE_PROXY: Outcome("the proxy's name is unknown, or is none", FAILED),
    Curl.COULDNT_RESOLVE_HOST: Outcome("the server's name is unknown", FAILED),
    Curl.COULDNT_CONNECT: Outcome("no connection", FAILED),
    Curl.WEIRD_SERVER_REPLY: Outcome("an answer that makes no sense", FAILED),
    Curl.FTP_WEIRD_PASV_REPLY: Outcome("FTP: no passive mode", FAILED),
    Curl.FTP_WEIRD_227_FORMAT: Outcome("FTP: a strange answer to PASV", FAILED),
    Curl.FTP_COULDNT_SET_TYPE: Outcome("FTP: no binary mode", FAILED),
    Curl.PARTIAL_FILE: Outcome("the file ends before its announced length", FAILED),
    Curl.WRITE_ERROR: Outcome("a `file:` that cannot be written", FAILED),
    Curl.OPERATION_TIMEDOUT: Outcome(
        "no connection and login within `connect_timeout_s`; FTP: also 421 in place of a greeting", FAILED
    ),
    Curl.FTP_COULDNT_USE_REST: Outcome("FTP: no REST; the download begins anew at once", FAILED),
    Curl.RANGE_ERROR: Outcome("SFTP: the file is shorter than the part; the download begins anew at once", FAILED),
    Curl.SSL_CONNECT_ERROR: Outcome("TLS does not come about, as with a server that has none from 1.2 on", FAILED),
    Curl.BAD_DOWNLOAD_RESUME: Outcome("the file is shorter than the part; the download begins anew at once", FAILED),
    Curl.FILE_COULDNT_READ_FILE: Outcome("a `file:` that is not there or cannot be read", REFUSED),
    Curl.GOT_NOTHING: Outcome("the server hangs up without an answer", FAILED),
    Curl.SEND_ERROR: Outcome("the connection broke while sending", FAILED),
    Curl.RECV_ERROR: Outcome("the connection broke while receiving", FAILED),
    Curl.PEER_FAILED_VERIFICATION: Outcome(
        "the server's certificate or host key is not trusted: unknown, expired, changed, or for another name", FAILED
    ),
    Curl.BAD_CONTENT_ENCODING: Outcome("a transfer coding that was not asked for", FAILED),
    Curl.USE_SSL_FAILED: Outcome('FTP: no TLS, and `ftp_tls = "require"` or ftps', FAILED),
    Curl.REMOTE_DISK_FULL: Outcome("the server's disk is full", FAILED),
    Curl.SSL_CACERT_BADFILE: Outcome("the system's CA bundle is broken, until someone mends it", FAILED),
    Curl.SSH: Outcome("SSH or SFTP fails otherwise, also where the path is a folder", FAILED),
    Curl.PROXY: Outcome("a SOCKS proxy says no", FAILED),
    Curl.TOO_LARGE: Outcome("the head of the answer is too long", FAILED),
}
"""Whatever the protocol, where its own tables below do not say otherwise."""

FTP_REFUSALS: Final[Mapping[Curl, str]] = {
    Curl.LOGIN_DENIED: "USER, PASS",
    Curl.REMOTE_ACCESS_DENIED: "CWD",
    Curl.FTP_COULDNT_RETR_FILE: "RETR",
    Curl.REMOTE_FILE_NOT_FOUND: "RETR",
    Curl.UPLOAD_FAILED: "STOR",
}
"""The errors that say at which FTP command the server said no; its answer says what kind of no."""

FTP_ANSWERS: Final[Mapping[tuple[Curl, int], Outcome]] = {
    (Curl.LOGIN_DENIED, 530): Outcome("user or password are wrong", DENIED),
    (Curl.UPLOAD_FAILED, 530): Outcome("storing takes a login", DENIED),
    (Curl.UPLOAD_FAILED, 550): Outcome("storing is not permitted", DENIED),
    (Curl.UPLOAD_FAILED, 553): Outcome("no file may be made there, as vsftpd says it, or not of that name", DENIED),
    (Curl.UPLOAD_FAILED, 552): Outcome("over quota, until someone tidies up", FAILED),
}
"""The pairs that differ from FTP's own rule."""

FTP_CLASSES: Final[Mapping[int, Outcome]] = {
    4: Outcome("no for now", FAILED),
    5: Outcome("no for good, such as a file that is not there", REFUSED),
}
"""FTP's own rule, by the first digit of the answer."""

SFTP_ERRORS: Final[Mapping[Curl, Outcome]] = {
    Curl.LOGIN_DENIED: Outcome("user, password or key are wrong", DENIED),
    Curl.REMOTE_ACCESS_DENIED: Outcome("permission denied", DENIED),
    Curl.REMOTE_FILE_NOT_FOUND: Outcome("no such file or folder", REFUSED),
}
"""What SFTP's status codes come to."""


class Own:
    """What the engine says itself."""

    SCHEME: Final = Outcome("a scheme that is not allowed, also behind a redirect", UNSUPPORTED)
    STALLED: Final = Outcome("no byte for `stall_timeout_s`", FAILED)
    LATE: Final = Outcome("the attempt took too long", FAILED)
    LONG_HEAD: Final = Outcome("an answer's head of more than 64 KiB, interim answers included", FAILED)
    SHORT: Final = Outcome("another length than the one announced", FAILED)
    LARGE: Final = Outcome("a file larger than `max_size_mb`, by its announced length or on the way", REFUSED)
    REDIRECT: Final = Outcome("a redirect to a scheme that is not allowed, from https to http, or to no URL", REFUSED)
    REDIRECTS: Final = Outcome("more than 5 redirects", REFUSED)
    FOLDER: Final = Outcome("a location that is a folder, or a `file:` that is no plain file", REFUSED)
    DISK: Final = Outcome("our disk is full, but for the reserve, or broken", FAILED)
    FILES: Final = Outcome(
        "a file that the configuration names is gone or broken, until someone mends it; `check-config` finds it", FAILED
    )
    ARCHIVE: Final = Outcome("the archive to upload is gone", REFUSED)


def http_meaning(status: int) -> Meaning:
    """Return what an HTTP status means that is not the one hoped for."""
    found = HTTP_STATUSES.get(status) or HTTP_CLASSES.get(status // 100)
    return found.meaning if found else FAILED


def curl_meaning(code: int, scheme: str, ftp_answer: int = 0) -> Meaning:
    """Return what a libcurl error means.

    Args:
        code: libcurl's number (`CURLcode`).
        scheme: of the URL.
        ftp_answer: the last answer of an FTP server, 0 if there was none.
    """
    try:
        error = Curl(code)
    except ValueError:
        return FAILED
    found = CURL_ERRORS.get(error)
    if scheme == "sftp":
        found = SFTP_ERRORS.get(error, found)
    elif scheme in {"ftp", "ftps"} and error in FTP_REFUSALS:
        found = FTP_ANSWERS.get((error, ftp_answer)) or FTP_CLASSES.get(ftp_answer // 100)
    return found.meaning if found else FAILED
