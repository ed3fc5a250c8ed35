"""The legal orders of statuses: as the station publishes them, and as they reach EVerest.

Published is what the transitions of one request say (OCPP 2.0.1 L01, L02 and N01). On the way some of it may be lost
or said again: an EVerest that restarts hears only the latest of what it missed, and after a crash what went out last
goes out once more. What arrives may skip and repeat, but it never goes back.
"""

import re
from collections.abc import Sequence
from typing import Final

from everest_system.everest_side.status import Kind

WORD_OF_KIND: Final[dict[str, Kind]] = {"firmware": "firmware", "logs": "log"}
"""What EVerest calls the statuses of a machine."""

# Each word with a blank behind it. Downloading may be repeated for each attempt.
_DOWNLOAD = (
    "(DownloadScheduled )?"
    "(Downloading (DownloadFailed )?(DownloadPaused )?)+"
)  # fmt: skip
_DOWNLOAD_ENDS = "(DownloadScheduled )?(Downloading (DownloadFailed )?(DownloadPaused )?)*DownloadFailed "
_INSTALLATION = (
    "(Installing ("
    "InstallVerificationFailed |InstallationFailed |Installed |InstallRebooting (Installed |InstallationFailed )"
    ")|InstallationFailed )"
)
_SIGNED = (
    f"({_DOWNLOAD_ENDS}|{_DOWNLOAD}Downloaded ("
    "InvalidSignature |InstallationFailed |"
    f"SignatureVerified (InstallScheduled |SignatureVerified )*{_INSTALLATION}))"
)
_UNSIGNED = f"({_DOWNLOAD_ENDS}|{_DOWNLOAD}Downloaded (InstallScheduled |Downloaded )*{_INSTALLATION})"
# OCPP 1.6 has InstallationFailed in place of InvalidSignature where there is no request id.
_UPLOAD_ENDS = "(Uploaded |UploadFailure |BadMessage |PermissionDenied |NotSupportedOperation |AcceptedCanceled )"
_UPLOAD = f"(Uploading (UploadFailure )?)*{_UPLOAD_ENDS}"


def order_fault(kind: Kind, words: Sequence[str], *, is_signed: bool) -> str:
    """What is wrong with the order in which one request's statuses were published; "" if nothing is."""
    pattern = _UPLOAD if kind == "log" else _SIGNED if is_signed else _UNSIGNED
    if re.fullmatch(pattern, "".join(f"{word} " for word in words)):
        return ""
    return f"no legal order: {', '.join(words) or 'nothing'}"


def arrival_fault(jobs: Sequence[Sequence[str]], arrived: Sequence[str]) -> str:
    """What is wrong with what arrived of `jobs`, the words published of each request of one id; "" if nothing is.

    Requests without an id cannot be told apart: each word is taken for the latest of them that it fits.
    """
    places = [-1] * len(jobs)
    for word in arrived:
        for number in reversed(range(len(jobs))):
            place = _next_place(jobs[number], places[number], word)
            if place is not None:
                places[number] = place
                break
        else:
            published = "; ".join(", ".join(words) for words in jobs)
            return f"{word} arrived out of order ({', '.join(arrived)}; published: {published})"
    return ""


def _next_place(words: Sequence[str], place: int, word: str) -> int | None:
    if place >= 0 and words[place] == word:
        return place
    return words.index(word, place + 1) if word in words[place + 1 :] else None
