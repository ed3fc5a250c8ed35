"""Times in messages."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everest_system.fsm.timestamps import format_rfc3339, parse_rfc3339


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T07:48:40.123Z", datetime(2026, 11, 22, 7, 48, 40, 123000, UTC)),
        ("2026-11-22T08:48:40+01:00", datetime(2026, 11, 22, 7, 48, 40, 0, UTC)),
        ("2026-11-22T07:48:40-00:00", datetime(2026, 11, 22, 7, 48, 40, 0, UTC)),
        ("2026-01-01T00:30:00+05:45", datetime(2025, 12, 31, 18, 45, 0, 0, UTC)),
        ("2026-11-22t07:48:40z", datetime(2026, 11, 22, 7, 48, 40, 0, UTC)),
        ("2026-11-22 07:48:40Z", datetime(2026, 11, 22, 7, 48, 40, 0, UTC)),
        ("2026-11-22T07:48:40.5Z", datetime(2026, 11, 22, 7, 48, 40, 500000, UTC)),
        ("2026-11-22T07:48:40.123456789Z", datetime(2026, 11, 22, 7, 48, 40, 123456, UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, 0, 0, 0, 0, UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, 0, 0, 0, 0, UTC)),
        ("2017-01-01T00:59:60.25+01:00", datetime(2017, 1, 1, 0, 0, 0, 250000, UTC)),
    ],
)
def test_rfc3339_is_read(text, moment):
    """Every form of RFC 3339 is read as the moment it names, in UTC, without a warning."""
    warnings = []
    parsed = parse_rfc3339(text, warnings.append)
    assert (parsed, parsed.tzinfo, warnings) == (moment, UTC, [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "yesterday",
        "1795333720",
        "20261122",
        "2026-11-22",
        "2026-11-22T07:48Z",
        "2026-11-22T07:48:40.Z",
        "2026-11-22T07:48:40,5Z",
        "2026-11-22T07:48:40+0100",
        "2026-11-22T07:48:40+24:00",
        "2026-11-22T07:48:40+01:60",
        "2026-11-22T07:48:40Z ",
        " 2026-11-22T07:48:40Z",
        "2026-11-22T07:48:40Z\n",
        "2026-W47-7T07:48:40Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T07:60:00Z",
        "2026-11-22T07:48:61Z",
        "2026-11-22T07:48:60Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:60Z",
        "٢٠٢٦-11-22T07:48:40Z",
        "2026-11-22T07:48:40." + "1" * 5000 + "Z",
    ],
)
def test_everything_else_is_refused(text):
    """What is not RFC 3339, or names no moment, is an error and never a guess."""
    with pytest.raises(ValueError, match="not an RFC 3339 time"):
        parse_rfc3339(text)


def test_a_missing_zone_is_utc_and_told():
    """A time without a zone is taken as UTC, and the caller learns of it, if it wants to."""
    warnings = []
    assert parse_rfc3339("2026-11-22T07:48:40", warnings.append) == datetime(2026, 11, 22, 7, 48, 40, 0, UTC)
    assert warnings == ["2026-11-22T07:48:40 names no time zone, UTC taken"]
    assert parse_rfc3339("2026-11-22T07:48:40").tzinfo is UTC


def test_times_are_written_as_everest_writes_them():
    """A time is written in UTC with three digits of a second and a Z."""
    moment = datetime(2026, 11, 22, 8, 48, 40, 123999, timezone(timedelta(hours=1)))
    assert format_rfc3339(moment) == "2026-11-22T07:48:40.123Z"


def test_a_time_without_a_zone_is_not_written():
    """A naive datetime is no moment, and is refused."""
    with pytest.raises(ValueError, match="without a zone"):
        format_rfc3339(datetime(2026, 11, 22))  # noqa: DTZ001 - the point of the test


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again(moment):
    """A time survives being written and read, to the millisecond."""
    millisecond = timedelta(milliseconds=1)
    assert moment - millisecond < parse_rfc3339(format_rfc3339(moment)) <= moment


@settings(deadline=None)
@given(st.text(max_size=64) | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"))
def test_no_text_does_harm(text):
    """Whatever the text, it is a moment in UTC or a ValueError."""
    with contextlib.suppress(ValueError):
        assert parse_rfc3339(text).tzinfo is UTC
