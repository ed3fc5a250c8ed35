"""An archive's name says what is in it and is safe wherever it goes."""

import re
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everest_system.io.logs.archive_name import NAME_MAX, archive_name

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
OLDEST = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
LATEST = datetime(2026, 11, 21, 23, 59, 59, 999000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("oldest", "latest", "expected"),
    [
        (None, None, "system_api_DiagnosticsLog_begin_20261122T093000Z.tar.gz"),
        (OLDEST, None, "system_api_DiagnosticsLog_20261120T000000Z_20261122T093000Z.tar.gz"),
        (None, LATEST, "system_api_DiagnosticsLog_begin_20261121T235959Z.tar.gz"),
        (OLDEST, LATEST, "system_api_DiagnosticsLog_20261120T000000Z_20261121T235959Z.tar.gz"),
    ],
)
def test_name_says_station_type_and_window(oldest, latest, expected):
    """N01.FR.01: the name is known at the reply; an open begin is `begin`, an open end the time of the request."""
    assert archive_name("system_api", "DiagnosticsLog", oldest, latest, NOW) == expected


def test_times_are_written_in_utc():
    """Another zone is converted, and a time without one is taken as UTC."""
    berlin = datetime(2026, 11, 20, 1, 0, tzinfo=timezone(timedelta(hours=1)))
    assert "_20261120T000000Z_" in archive_name("s", "T", berlin, None, NOW)
    assert "_20261120T000000Z_" in archive_name("s", "T", OLDEST.replace(tzinfo=None), None, NOW)


def test_times_at_the_edge_of_the_calendar_get_a_name():
    """A zone that leads out of the years 1 to 9999 does no harm."""
    oldest = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    latest = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12)))
    assert archive_name("s", "T", oldest, latest, NOW) == "s_T_00010101T000000Z_99991231T235900Z.tar.gz"


@pytest.mark.parametrize(
    ("station", "safe"),
    [("../../etc/x", "etc-x"), ("a b?c#d%", "a-b-c-d-"), ("-rf", "rf"), ("", "station"), ("...", "station")],
)
def test_what_is_unsafe_is_replaced(station, safe):
    """No separator, no hidden file, no option, never empty."""
    assert archive_name(station, "T", None, None, NOW).startswith(f"{safe}_T_begin_")


def test_two_long_types_leave_room_for_the_station():
    """A long type is cut at 64 characters, and the station is still there."""
    name = archive_name("station", "T" * 500, None, None, NOW)
    assert name.startswith("station_" + "T" * 64 + "_begin_")


@given(st.text(max_size=400), st.text(max_size=400), st.none() | st.datetimes(timezones=st.timezones()))
def test_any_name_is_safe_in_a_url_and_as_a_file_name(station, log_type, oldest):
    """At most 250 characters (255 with `.part`) that a URL and a file system take as they are."""
    name = archive_name(station, log_type, oldest, None, NOW)
    assert len(name) <= NAME_MAX
    assert quote(name, safe="") == name
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.tar\.gz", name)
