"""The name of a log archive: STATION_TYPE_FROM_TO.tar.gz, known when the request is answered (`N01.FR.01`).

    >>> from datetime import UTC, datetime
    >>> archive_name("system_api", "DiagnosticsLog", None, None, datetime(2026, 11, 22, 9, 30, tzinfo=UTC))
    'system_api_DiagnosticsLog_begin_20261122T093000Z.tar.gz'

The name goes into a URL, a header and two file systems, so it holds nothing but letters, digits, `.`, `_` and `-`.
"""

import re
from datetime import UTC, datetime

NAME_MAX = 250
"""The longest name in characters: OCPP allows 255, and so do file systems, but the unfinished archive adds `.part`."""

_TYPE_MAX = 64
_SUFFIX = ".tar.gz"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def archive_name(station: str, log_type: str, oldest: datetime | None, latest: datetime | None, now: datetime) -> str:
    """Name the archive of one request.

    Args:
        station: the module id.
        log_type: `DiagnosticsLog`, `SecurityLog` or any other name configured.
        oldest: begin of the window; None is written `begin`.
        latest: end of the window; None stands for `now`.
        now: the time of the request.

    Returns:
        1 to 250 characters, safe in a URL and as a file name. A long station or type is cut, anything unsafe is
        replaced by `-`. Times are UTC in whole seconds; one without zone is taken as UTC.
    """
    begin = "begin" if oldest is None else _stamp(oldest)
    end = _stamp(now if latest is None else latest)
    tail = f"_{_safe(log_type, 'Log')[:_TYPE_MAX]}_{begin}_{end}{_SUFFIX}"
    return _safe(station, "station")[: NAME_MAX - len(tail)] + tail


def _safe(text: str, otherwise: str) -> str:
    """Replace what is unsafe; a leading dot would hide the file, a leading dash would make it an option."""
    return _UNSAFE.sub("-", text).lstrip(".-") or otherwise


def _stamp(time: datetime) -> str:
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    try:
        time = time.astimezone(UTC)
    except OverflowError:  # within a day of year 1 or 9999: the name needs no better
        time = time.replace(tzinfo=UTC)
    return f"{time.year:04}{time:%m%dT%H%M%SZ}"
