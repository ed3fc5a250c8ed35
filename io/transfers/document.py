"""The page about transfers, written from the map of outcomes.

python -m everest_system.io.transfers.document > docs/transfers.md
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from everest_system.io.transfers.outcomes import (
    CURL_ERRORS,
    FTP_ANSWERS,
    FTP_CLASSES,
    FTP_REFUSALS,
    HTTP_CLASSES,
    HTTP_STATUSES,
    SFTP_ERRORS,
    Outcome,
    Own,
)
from everest_system.io.transfers.transfer import Fault

_OPENING = """\
# Transfers

<!-- Written by `python -m everest_system.io.transfers.document > docs/transfers.md`: do not edit. -->

Downloads and uploads go through one engine (libcurl), with the same promises for http, https, ftp, ftps and sftp, and
for `file:` where `schemes` names it. The keys are those of `[transfers]` in [configuration.md](configuration.md).
"""

_PROMISES: Final[Mapping[str, str]] = {
    "time-outs": (
        "`connect_timeout_s` for name, connection, TLS or SSH and login; `stall_timeout_s` without a byte; a "
        "limit for each upload and for all attempts at a download"
    ),
    "cancel": "within 200 ms, whatever the server does",
    "resume of downloads": (
        "HTTP: `Range` with `If-Range` and a strong ETag, or a `Last-Modified` that can be relied on. FTP: "
        "`REST`, after `MDTM` and `SIZE`. SFTP: an offset, after a look at date and size. A file that changed, or "
        "whose identity nobody can tell, is fetched anew"
    ),
    "resume of uploads": (
        "FTP: `APPE`, after `SIZE` and a look at the end of what is there (`REST`, `RETR`). SFTP: an offset, after the "
        "same look. Only what an earlier attempt of the same request brought there is gone on from; else, and over "
        "HTTP, anew"
    ),
    "success of uploads": (
        "HTTP: a 2xx after the last byte. FTP: 226 or 250. SFTP: every byte taken. FTP and SFTP: and the right length, "
        "where the server tells it"
    ),
    "redirects": (
        "downloads over HTTP: at most 5, within `schemes`, never from https to http, passwords stay with their "
        "server. Uploads: none"
    ),
    "trust in TLS": (
        "from 1.2 on; the system's CAs and `ca_files`; the name is checked, for http and ftp alike; "
        "`client_cert_file` is shown to who asks. ftps is TLS from the first byte, ftp after AUTH TLS as "
        "`ftp_tls` has it"
    ),
    "trust in SSH": (
        "`sftp_host_keys`: the key seen first is kept in `STATE_DIR/known_hosts` and must not change, or it must "
        "be in `known_hosts_file`. To accept a new key, remove the line that the error names"
    ),
    "passwords": (
        "from the URL, else from `credentials_file`; for SFTP also `sftp_key_file`. In no log, error or process "
        "list; never sent to another host"
    ),
    "proxies": (
        "`http_proxy` (lower case), `https_proxy`, `ftp_proxy`, `all_proxy` and `no_proxy` in the environment of "
        "the service; HTTP, HTTPS and SOCKS proxies; all but plain http in a tunnel"
    ),
    "room": (
        "`max_size_mb` and free space are looked at before and on the way, `free_space_reserve_mb` is left over; "
        "the parts of ended updates are removed, those that a crash left at the next start"
    ),
    "hostile servers": (
        "heads of at most 64 KiB, interim answers included; no content coding is asked for or undone; FTP data "
        "only from the server itself"
    ),
}

_MEANINGS = """\
## What each answer means

`refused`: the request is over. `retried`: the next attempt comes after the interval, or after `Retry-After` where that
is later. A download that has received something in this attempt and can be continued is DownloadPaused instead, and
goes on from the byte that it had. The last column is the log status that an upload ends with; a download ends with
DownloadFailed.
"""


def document() -> str:
    """The whole page, as Markdown."""
    return "\n".join([_OPENING, *_promises(), _MEANINGS, *_tables()])


def _promises() -> Iterator[str]:
    yield "| promise | how |\n| --- | --- |"
    yield from (f"| {name} | {how} |" for name, how in _PROMISES.items())
    yield ""


def _tables() -> Iterator[str]:
    yield from _table("HTTP", ((str(status), row) for status, row in HTTP_STATUSES.items()))
    yield from _table("HTTP, other statuses", ((f"{first}xx", row) for first, row in HTTP_CLASSES.items()))
    answers = [
        (f"{answer} to {FTP_REFUSALS[error]} ({_named(error.name, error)})", row)
        for (error, answer), row in FTP_ANSWERS.items()
    ]
    commands = ", ".join(dict.fromkeys(FTP_REFUSALS.values()))
    others = [(f"other {first}yz to {commands}", row) for first, row in FTP_CLASSES.items()]
    yield from _table("FTP and FTPS", answers + others)
    yield from _table("SFTP", ((_named(error.name, error), row) for error, row in SFTP_ERRORS.items()))
    yield from _table("All protocols", ((_named(error.name, error), row) for error, row in CURL_ERRORS.items()))
    own = ((name.lower().replace("_", " "), row) for name, row in vars(Own).items() if isinstance(row, Outcome))
    yield from _table("Found by the engine itself", own)
    yield "Any other error of libcurl's is retried.\n"


def _named(name: str, number: int) -> str:
    return f"CURLE_{name}, {number:d}"


def _table(heading: str, rows: Iterable[tuple[str, Outcome]]) -> Iterator[str]:
    yield f"### {heading}\n\n| answer | what happened | the request is | log status |\n| --- | --- | --- | --- |"
    for answer, (what, meaning) in rows:
        yield f"| {answer} | {what} | {_WORDS[meaning.fault]} | {meaning.log_status} |"
    yield ""


_WORDS = {Fault.REFUSED: "refused", Fault.FAILED: "retried"}


if __name__ == "__main__":
    sys.stdout.write(document())
