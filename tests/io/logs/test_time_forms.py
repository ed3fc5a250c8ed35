"""Each way of writing a time is known by its first lines, and read to the nanosecond."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from everest_system.io.logs.time_forms import form_of

BASE = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=1))


def at(seconds: float) -> datetime:
    return BASE + timedelta(seconds=seconds)


def ns(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def times(text: str, *, zone=UTC, modified: datetime | None = None) -> list[tuple[int, datetime]]:
    """Line numbers and times of the records of a whole file."""
    content = text.encode()
    known = form_of(content, zone, None if modified is None else ns(modified))
    assert known is not None
    return [
        (content.count(b"\n", 0, place), datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000))
        for place, time_ns in known[0].times(content, 0, len(content))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 09:30:00.000000 [INFO] x",
        "2026-11-22T09:30:00.000Z: ChargePoint>CentralSystem Heartbeat",
        "2026-11-22T09:30:00Z x",
        "2026-11-22t09:30:00z x",
        "2026-11-22T10:30:00+01:00 x",
        "2026-11-22T10:30:00+0100 x",
        "2026-11-22T04:00:00-05:30 x",
        "2026-11-22 08:30:00-01 x",
        "2026-11-22 09:30:00,000 x",
        "2026-11-22 09:30:00.000000000 x",
        "2026-11-22 09:30:00",
        "[2026-11-22 09:30:00.000] x",
        '"2026-11-22T09:30:00Z",x',
        "<165>1 2026-11-22T09:30:00.000Z host app",
        "\x1b[1;32m2026-11-22 09:30:00.000000\x1b[0m x",
        '{"timestamp":"2026-11-22T09:30:00.000Z","type":"StartupOfTheDevice"}',
        '{"type":"Reset","techInfo":"","timestamp" : "2026-11-22T09:30:00Z"}',
        '{"level":"info","ts":"2026-11-22T09:30:00Z"}',
    ],
)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
def test_forms_of_times(text, bom):
    """ISO 8601 at the front of a line, with and without zone, and JSON lines."""
    known = form_of(bom + text.encode() + b"\n", UTC)
    assert known is not None
    assert known[1] == ns(BASE)


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [("2026-11-22 09:30:00.000000001", 1), ("2026-11-22 09:30:00.5", 500_000_000), ("2026-11-22 09:30:60", 60 * 10**9)],
)
def test_fractions_and_leap_seconds(text, expected_ns):
    """Nanoseconds count, and a leap second is the second after 59."""
    known = form_of(text.encode(), UTC)
    assert known is not None
    assert known[1] - ns(BASE) == expected_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no time here\n",
        "at 2026-11-22 09:30:00 it happened\n",
        "  2026-11-22 09:30:00 indented\n",
        "2026-02-31 09:30:00 x\n",
        "2026-11-22 25:30:00 x\n",
        "2026-11-22 09:30:61 x\n",
        "2026-11-22 09:30:00+25:00 x\n",
        "2026-11-22 09:30 x\n",
        "0000-00-00 00:00:00\n",
        '{"value":"2026-11-22T09:30:00Z"}\n',
        "\n" * 100 + "2026-11-22 09:30:00 too late\n",
        "x" * 65536 + "\n2026-11-22 09:30:00 too far\n",
    ],
)
def test_what_is_no_time(text):
    """A file whose first lines carry no valid time has no form."""
    assert form_of(text.encode(), UTC) is None


def test_hundredth_line_still_counts():
    """The form is looked for in the first hundred lines."""
    assert form_of(b"\n" * 99 + b"2026-11-22 09:30:00 x\n", UTC) is not None


def test_lines_without_zone_are_in_the_machines():
    """EVerest logs in local time, so a time without zone is local unless the window says otherwise."""
    known = form_of(b"2026-11-22 09:30:00 x\n")
    assert known is not None
    assert known[1] == ns(datetime(2026, 11, 22, 9, 30).astimezone())
    berlin = form_of(b"2026-11-22 09:30:00 x\n", timezone(timedelta(hours=1)))
    assert berlin is not None
    assert berlin[1] == ns(at(-3600))


def test_years_at_the_edge_are_no_times():
    """A time that cannot be moved to UTC does no harm."""
    assert form_of(b"0001-01-01 00:00:00 x\n", timezone(timedelta(hours=14))) is not None
    assert form_of(b"9999-12-31 23:59:60-12:00 x\n") is not None


EVEREST = """\
2026-11-22 10:30:00.722889 [INFO] manager          ::   ________      __                _   \n\
2026-11-22 10:30:01.000001 [INFO] evse_manager_1:  :: \x1b[1;34mEVSE ISO V2G SessionSetupRes<V2G_Message>
    <Header>
        <SessionID>2026-01-01 00:00:00</SessionID>
    </Header>
</V2G_Message>\x1b[1;0m
2026-11-22 10:30:02.500000 [\x1b[1;31mERRO\x1b[0m] ocpp             :: Traceback (most recent call last):
  File "module.py", line 7, in <module>
ValueError: 2026
"""
LIBOCPP = """\
2026-11-22T09:30:00.000Z: SYS> Session logging started. \n\


2026-11-22T09:30:01.250Z: ChargePoint>CentralSystem StatusNotification \n\
[
  2,
  "1f6b3c",
  "StatusNotification",
  {
    "timestamp": "2026-11-22T09:29:59.999Z"
  }
]

2026-11-22T09:30:02.000Z: CentralSystem>ChargePoint  StatusNotificationResponse
[
  3,
  "1f6b3c",
  {}
]

"""
LIBOCPP_HTML = """\
<html><head><title>EVerest OCPP log session</title>
<style>.log {  width: 100%;}</style></head><body><table class="log">
<tr class="SYS"> <td>2026-11-22T09:30:00.000Z</td> <td>SYS&gt;</td> <td><b>Session logging started.</b></td><td><b></b>\
</td> <td><pre lang="json"></pre></td> </tr>
<tr class="ChargePoint"> <td>2026-11-22T09:30:01.250Z</td> <td>ChargePoint&gt;CentralSystem</td> <td><b>Heartbeat</b>\
</td><td><b></b></td> <td><pre lang="json">[
  2,
  {}
]</pre></td> </tr>
</table></body></html>
"""
SECURITY = """\
{"techInfo":"","timestamp":"2026-11-22T09:30:00.000Z","type":"StartupOfTheDevice"}
{"techInfo":"as said {\\"timestamp\\":\\"2000-01-01T00:00:00Z\\"}","timestamp":"2026-11-22T09:30:01Z","type":"x"}
"""
EVENTLOG = """\
"2026-11-22T09:30:00.000Z","SYS","Session logging started.",""
"2026-11-22T09:30:01.250Z","CAR","SupportedAppProtocolReq","<supportedAppProtocolReq>
  <Priority>1</Priority>
</supportedAppProtocolReq>
"
"2026-11-22T09:30:02.000Z","EVSE","Set PWM On (5.00%)",""
"""


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        (EVEREST, BERLIN, [(0, 0.722889), (1, 1.000001), (6, 2.5)]),
        (LIBOCPP, BERLIN, [(0, 0), (3, 1.25), (13, 2)]),
        (LIBOCPP_HTML, BERLIN, [(2, 0), (3, 1.25)]),
        (SECURITY, BERLIN, [(0, 0), (1, 1)]),
        (EVENTLOG, BERLIN, [(0, 0), (1, 1.25), (5, 2)]),
    ],
    ids=["console and file", "libocpp", "libocpp html", "security", "eventlog.csv"],
)
def test_everests_own_files(text, zone, expected):
    """Each of EVerest's files is read record by record: its logging in local time, all others in UTC."""
    assert times(text, zone=zone) == [(line, at(seconds)) for line, seconds in expected]


SYSLOG = """\
Nov 22 09:30:00 cs01 systemd[1]: Started EVerest.
Nov 22 09:30:01 cs01 kernel: [    5.123456] usb 1-1: new device
Nov 22 09:30:01.250000 cs01 manager[2683]: [INFO] manager
    at line 3
<30>Nov 22 09:30:02 cs01 manager[2683]: x
"""


def test_syslog_of_rfc_3164():
    """Month, day and time, with and without priority and fraction; the year is that of the last change."""
    expected = [(0, at(0)), (1, at(1)), (2, at(1.25)), (4, at(2))]
    assert times(SYSLOG, modified=at(2)) == expected
    assert times(SYSLOG, modified=at(2 + 300 * 86400)) == expected
    assert times(SYSLOG, modified=at(2 + 366 * 86400)) != expected
    assert times(SYSLOG, zone=BERLIN, modified=at(2))[0] == (0, at(-3600))


def test_december_stands_before_january():
    """Over the turn of the year each line has the year that it was written in."""
    text = "Dec 31 23:59:59 a\nJan  1 00:00:00 b\nJan 1 00:00:01 c\n"
    turn = datetime(2027, 1, 1, tzinfo=UTC)
    expected = [(0, turn - timedelta(seconds=1)), (1, turn), (2, turn + timedelta(seconds=1))]
    assert times(text, modified=turn + timedelta(seconds=1)) == expected
    assert times(text, modified=turn + timedelta(days=300)) == expected
    late = timezone(timedelta(hours=-12))
    assert times(text, zone=late, modified=turn + timedelta(hours=12))[0] == (0, turn + timedelta(hours=12, seconds=-1))


def test_a_file_that_grows_into_january():
    """A line that is somewhat younger than the change that was looked at is of the new year."""
    modified = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert times("Dec 31 23:59:00 a\nJan  1 00:00:01 b\n", modified=modified)[1][1].year == 2027


def test_the_29th_of_february():
    """It is that of the last leap year, also over a century that has none."""
    assert times("Feb 29 01:00:00 a\n", modified=at(0)) == [(0, datetime(2024, 2, 29, 1, tzinfo=UTC))]
    assert times("Feb 29 01:00:00 a\n", modified=datetime(2103, 6, 1, tzinfo=UTC))[0][1].year == 2096


@pytest.mark.parametrize(
    ("text", "modified_ns"),
    [
        ("Nov 22 09:30:00 a\n", None),
        ("Nov 31 09:30:00 a\n", ns(BASE)),
        ("Nov 22 09:30:61 a\n", ns(BASE)),
        ("Nov 22 09:30:000 a\n", ns(BASE)),
        ("Nov  09:30:00 a\n", ns(BASE)),
        ("Nox 22 09:30:00 a\n", ns(BASE)),
        ("Nov 22 09:30:00 a\n", -(1 << 70)),
    ],
)
def test_what_is_no_syslog(text, modified_ns):
    """Without a last change that makes sense no year is guessed, and a day must exist."""
    assert form_of(text.encode(), UTC, modified_ns) is None


@pytest.mark.parametrize(
    "text",
    [
        "1795339800 x",
        "1795339800.000 x",
        "1795339800.000000000: x",
        "1795339800: mosquitto version 2.0.18 starting",
        "1795339800000 x",
        "1795339800000000 x",
        "1795339800000000000 x",
        "[1795339800.000] x",
        '"1795339800","x"',
        "1795339800",
        "type=USER_LOGIN msg=audit(1795339800.000:42): pid=1",
        '{"level":"info","ts":1795339800.0,"msg":"x"}',
        '{"level":30,"time":1795339800000,"msg":"x"}',
        '{"timestamp": "1795339800"}',
    ],
)
def test_seconds_since_1970(text):
    """Seconds with and without fraction, and milli-, micro- and nanoseconds, whatever the zone."""
    assert times(text + "\n", zone=BERLIN) == [(0, BASE)]


def test_fractions_of_seconds_since_1970():
    """Fractions count, however they are written."""
    for text, fraction in (("1795339800.25", 0.25), ("1795339800250", 0.25), ("1795339800000001", 0.000001)):
        assert times(f"{text} x\n") == [(0, at(fraction))]


@pytest.mark.parametrize(
    "text",
    [
        "[    5.123456] usb 1-1: new device\n",
        "[12345.678901] usb 1-1: new device\n",
        "1234567890,17,3\n",
        "17953398001 x\n",
        "1795339800.1.2 x\n",
        "1795339800abc x\n",
        "3795339800 x\n",
        "at 1795339800 x\n",
        '{"ts":5.5}\n',
    ],
)
def test_what_is_no_time_of_day(text):
    """The kernel's seconds since the start, and any other number, are no time of day."""
    assert form_of(text.encode(), UTC, ns(BASE)) is None


def test_the_first_form_that_is_seen_holds():
    """Other times further on belong to the record that they stand in."""
    text = "2026-11-22 09:30:00 x\n1795339999 y\nNov 22 09:40:00 z\n2026-11-22 09:30:05 x\n"
    assert times(text, modified=at(600)) == [(0, at(0)), (3, at(5))]


def test_rfc_5424():
    """The version behind the priority is no part of the time, and a record without time belongs to the one before."""
    text = "<165>1 2026-11-22T09:30:00.003Z cs01 everest - - - x\n<165>1 - cs01 everest - - - y\n"
    assert times(text) == [(0, at(0.003))]
