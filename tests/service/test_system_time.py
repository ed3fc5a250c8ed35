"""When the clock is set, and when it is left alone. No clock is really set here."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from everest_system import system_time
from everest_system.io.platforms import ntp
from everest_system.io.platforms.port import PlatformError
from everest_system.system_time import SystemTime, TimeRules, kept_by_ntp
from everest_system.version import BUILT

NEVER = threading.Event()
NOW = datetime(2030, 1, 1, tzinfo=UTC)
JUST_NOW = 1000.0


class Watchmaker:
    """A platform, as far as time goes: keeps what the clock is to be set to, and says whether it was."""

    def __init__(self, answer: bool | PlatformError = True) -> None:
        self.answer, self.set_to = answer, []

    def set_time(self, now: datetime, *, canceled: threading.Event) -> bool:
        """Keep it."""
        assert canceled is NEVER
        if isinstance(self.answer, PlatformError):
            raise self.answer
        self.set_to.append(now)
        return self.answer


class StandingClock(datetime):
    """It is always NOW."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return NOW.astimezone(tz)


@pytest.fixture(autouse=True)
def _it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_time, "datetime", StandingClock)
    monkeypatch.setattr(system_time, "monotonic", lambda: JUST_NOW)


def attempt(
    wanted: datetime, *, ntp: bool = False, pretends: bool = False, **rules: Any
) -> tuple[bool, list[datetime]]:
    """What came of it, and what the platform was told."""
    platform = Watchmaker()
    subject = SystemTime(platform, TimeRules(**rules), pretends, lambda: ntp)  # type: ignore[arg-type]
    return subject.set(wanted, JUST_NOW, canceled=NEVER), platform.set_to


@pytest.mark.parametrize(
    ("off_s", "is_set"),
    [(0, False), (2, False), (-2, False), (2.001, True), (-2.001, True), (86400 * 365, True)],
)
def test_tolerance(off_s: float, is_set: bool) -> None:
    """A clock that is near enough is left alone, and that is said: false."""
    wanted = NOW + timedelta(seconds=off_s)
    assert attempt(wanted) == (is_set, [wanted] if is_set else [])


def test_no_tolerance() -> None:
    """With a tolerance of 0 any difference counts."""
    assert attempt(NOW + timedelta(microseconds=1), tolerance_s=0)[0]
    assert not attempt(NOW, tolerance_s=0)[0]


@pytest.mark.parametrize("despite_ntp", [True, False])
def test_never_before_the_build(despite_ntp: bool) -> None:
    """A time before the day of the build is nobody's."""
    assert attempt(BUILT - timedelta(seconds=1), despite_ntp=despite_ntp) == (False, [])
    assert attempt(BUILT, despite_ntp=despite_ntp)[0]


def test_ntp() -> None:
    """While NTP keeps the clock it is left alone, unless configured otherwise."""
    wanted = NOW + timedelta(hours=1)
    assert attempt(wanted, ntp=True) == (False, [])
    assert attempt(wanted, ntp=True, despite_ntp=True) == (True, [wanted])


def test_ntp_is_asked_last() -> None:
    """Nobody is asked about a clock that is right, nor where it does not matter."""

    def asked() -> bool:
        raise AssertionError

    for rules, wanted in ((TimeRules(), NOW), (TimeRules(despite_ntp=True), NOW + timedelta(hours=1))):
        SystemTime(Watchmaker(), rules, False, asked).set(wanted, JUST_NOW, canceled=NEVER)  # type: ignore[arg-type]


def test_ntp_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default the kernel is asked."""
    for kept in (True, False):
        monkeypatch.setattr(ntp, "is_synchronized", lambda kept=kept: kept)
        assert kept_by_ntp() is kept


@pytest.mark.parametrize(
    ("wanted", "ntp", "told"),
    [
        (
            NOW + timedelta(hours=1),
            True,
            "NTP keeps it (platform.time_despite_ntp), though the CSMS's differs by +3600",
        ),
        (datetime(2000, 1, 1, tzinfo=UTC), False, "2000-01-01T00:00:00.000Z is before the day of this build (20"),
    ],
)
def test_why_not(wanted: datetime, ntp: bool, told: str) -> None:
    """The log says why a clock that is wrong was left as it is."""
    with capture_logs() as lines:
        attempt(wanted, ntp=ntp)
    assert told in lines[0]["event"]


def test_clock_set() -> None:
    """The log says from when to when."""
    with capture_logs() as lines:
        attempt(NOW + timedelta(hours=1))
    assert lines == [
        {
            "event": "the clock was set",
            "log_level": "info",
            "before": "2030-01-01T00:00:00.000Z",
            "after": "2030-01-01T01:00:00.000Z",
        }
    ]


def test_not_ours_to_set() -> None:
    """A platform that has no clock to set says no, and nothing was set; one that fails says why."""
    with capture_logs() as lines:
        platform: Any = Watchmaker(answer=False)
        assert SystemTime(platform, TimeRules(), False, lambda: False).set(BUILT, JUST_NOW, canceled=NEVER) is False
    assert lines == []
    platform.answer = PlatformError("broken")
    with pytest.raises(PlatformError, match="broken"):
        SystemTime(platform, TimeRules(), False, lambda: False).set(BUILT, JUST_NOW, canceled=NEVER)


@pytest.mark.parametrize(
    ("wanted", "ntp", "set_to"),
    [
        (NOW, False, []),
        (NOW + timedelta(hours=1), True, []),
        (NOW + timedelta(hours=1), False, [NOW + timedelta(hours=1)]),
    ],
)
def test_dry_run(wanted: datetime, ntp: bool, set_to: list[datetime]) -> None:
    """A dry run answers that it is done, whatever the rules say; what they say is in the log."""
    with capture_logs() as lines:
        assert attempt(wanted, ntp=ntp, pretends=True) == (True, set_to)
    assert all(line["event"].startswith("dry run: ") for line in lines if line["log_level"] == "info")
    assert "the clock was set" not in [line["event"] for line in lines]


@pytest.mark.parametrize(("off_s", "set_to_s"), [(0, None), (-3, None), (60, 65)])
def test_what_passes_until_then(off_s: float, set_to_s: float | None) -> None:
    """A time that waited for its turn is as much later by now, both to judge by and to be set."""
    platform: Any = Watchmaker()
    wanted = NOW + timedelta(seconds=off_s)
    SystemTime(platform, TimeRules(tolerance_s=5), False, lambda: False).set(wanted, JUST_NOW - 5, canceled=NEVER)
    assert platform.set_to == ([] if set_to_s is None else [NOW + timedelta(seconds=set_to_s)])


def test_ntp_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is not late by as long as it took to find out who keeps it."""

    def asked() -> bool:
        monkeypatch.setattr(system_time, "monotonic", lambda: JUST_NOW + 2)
        return False

    platform: Any = Watchmaker()
    SystemTime(platform, TimeRules(), False, asked).set(NOW + timedelta(hours=1), JUST_NOW, canceled=NEVER)
    assert platform.set_to == [NOW + timedelta(hours=1, seconds=2)]


def test_the_last_moment_of_all() -> None:
    """Nothing comes after it, and that is no fault of ours."""
    last, platform = datetime.max.replace(tzinfo=UTC), cast("Any", Watchmaker())
    assert SystemTime(platform, TimeRules(), False, lambda: False).set(last, JUST_NOW - 1, canceled=NEVER)
    assert platform.set_to == [last]
