"""Times as they stand in messages: RFC 3339 text outside, aware UTC datetimes inside.

The text must look like RFC 3339 before anything else reads it: what merely resembles a date (`20261122`, a bare number,
`yesterday`) is refused rather than guessed at. One leniency: EVerest forwards a time unchecked from the CSMS, so a
missing zone is taken as UTC and the caller is told.

Example:
    >>> format_rfc3339(parse_rfc3339("2026-11-22T08:48:40+01:00"))
    '2026-11-22T07:48:40.000Z'
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?(?:([Zz])|([+-])([01]\d|2[0-3]):([0-5]\d))?",
    re.ASCII,
)
_LEAP_SECOND: Final = 60


def parse_rfc3339(text: str, on_warning: Callable[[str], object] | None = None) -> datetime:
    """Read a time.

    Args:
        text: RFC 3339 text; a space may stand for its `T`, and digits of a second past the sixth are cut off.
        on_warning: told in one line when the text names no zone and UTC is taken.

    Returns:
        The moment, aware and in UTC. A leap second (23:59:60 UTC) is the moment a second after 23:59:59.

    Raises:
        ValueError: the text is not RFC 3339, or names a moment that does not exist or is beyond the years 1 to 9999.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time")
    *date_and_time, fraction, zulu, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, date_and_time)
    leap = int(second == _LEAP_SECOND)
    microsecond = int((fraction or "")[:6].ljust(6, "0"))
    zone = UTC if sign is None else timezone(int(sign + "1") * timedelta(hours=int(hours), minutes=int(minutes)))
    try:
        moment = datetime(year, month, day, hour, minute, second - leap, microsecond, zone).astimezone(UTC)
        following = moment + timedelta(seconds=leap)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"not an RFC 3339 time: {error}") from error
    if leap and (moment.hour, moment.minute) != (23, 59):
        raise ValueError("not an RFC 3339 time: a leap second comes at 23:59:60 UTC only")
    if zulu is None and sign is None and on_warning is not None:
        on_warning(f"{text} names no time zone, UTC taken")
    return following


def format_rfc3339(moment: datetime) -> str:
    """Write a time the way EVerest does, `YYYY-MM-DDTHH:MM:SS.mmmZ`, cut to whole milliseconds.

    Raises:
        ValueError: `moment` has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone is no moment")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
