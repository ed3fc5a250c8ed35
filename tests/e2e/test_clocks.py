"""The wall clock of a running service is really set: by libfaketime, which lies to that one process.

It is told of steps by a file that it reads at every look at the clock, which therefore is replaced as a whole. Its
library for programs with threads is the one that holds a lock while it reads. The monotonic clock stays the kernel's,
and whoever observes the service is not lied to at all.
"""

import sysconfig
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
from support import peers
from support.http_server import Reply
from support.service_process import ServiceProcess
from support.stations import Station, words

from everest_system.everest_side import EverestSide
from everest_system.fsm.timestamps import format_rfc3339

NOTICED_S = 5.0
RETRY_S = 7  # longer than EVerest bears without a communication check
TOLERANCE_S = 2.0  # of the observer, whose clock is read when a message has come, on a machine that may be busy


class WallClock:
    """The wall clock of the services that run under it; `offset` is how far it is ahead of the true one."""

    def __init__(self, file: Path, library: str) -> None:
        self._file = file
        self.offset = timedelta()
        # Without FORCE_MONOTONIC_FIX=0 it stretches each timed wait for Python's own lock, and threads starve.
        # The shell stays, so that the service is its child.
        self.under = [
            *("sh", "-c", 'env "$@"; exit $?', "sh"),
            *(f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={file}"),
            *("FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"),
            "FAKETIME_FORCE_MONOTONIC_FIX=0",
        ]
        self.step(timedelta())

    def step(self, by: timedelta) -> None:
        """Set it forward or back."""
        self.offset += by
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{self.offset.total_seconds():+.0f}\n")
        fresh.replace(self._file)

    def after(self, duration: timedelta) -> str:
        """What it shows after `duration`, as EVerest writes it."""
        return format_rfc3339(datetime.now(UTC) + self.offset + duration)


@pytest.fixture
def wall_clock(tmp_path: Path) -> WallClock:
    """A clock of this test's own."""
    library = Path("/usr/lib", str(sysconfig.get_config_var("MULTIARCH")), "faketime", "libfaketimeMT.so.1")
    found = peers.require("faketime", str(library) if library.exists() else None, "a wall clock that is set")
    return WallClock(tmp_path / "clock", found)


@pytest.fixture
def both(station: Station, wall_clock: WallClock) -> tuple[ServiceProcess, EverestSide]:
    """A service under that clock, and an EVerest under the true one."""
    service = station.service(start=False)
    service.under = wall_clock.under
    service.start()
    return service, station.everest()


mosquitto = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)


@mosquitto
def test_durations(station: Station, wall_clock, both):
    """A clock set by hours and by days neither hastens nor delays a retry, nor does a communication check fail."""
    service, everest = both
    station.http.plan("/fw.bin", Reply(status=503), Reply(status=503), Reply())
    request = {"location": station.http.url("/fw.bin"), "request_id": 1, "retries": 3, "retry_interval_s": RETRY_S}
    everest.call("update_firmware", request)
    for number, hours in enumerate((5, -24 * 30)):
        failed = everest.wait_for("DownloadFailed", 1, since=2 * number, timeout_s=20)
        wall_clock.step(timedelta(hours=hours))
        begun = everest.wait_for("Downloading", 1, since=2 * number + 2, timeout_s=20)
        assert RETRY_S - TOLERANCE_S <= begun.at - failed.at <= RETRY_S + NOTICED_S
    everest.wait_for("Installed", 1, timeout_s=20)
    assert everest.communication_gaps == 0
    assert abs(told_offset(service) - wall_clock.offset) < timedelta(minutes=1)


@mosquitto
def test_times_of_day(station: Station, wall_clock, both):
    """A download and an installation that are days ahead begin within 5 s of a step past their times, not before."""
    _, everest = both
    request = {
        "location": station.http.url("/fw.bin"),
        "request_id": 1,
        "retrieve_timestamp": wall_clock.after(timedelta(days=2)),
        "install_timestamp": wall_clock.after(timedelta(days=4)),
        **station.maker.signed(),
    }
    everest.call("update_firmware", request)
    for scheduled, due in (("DownloadScheduled", "Downloading"), ("InstallScheduled", "Installing")):
        everest.wait_for(scheduled, 1, timeout_s=20)
        wall_clock.step(timedelta(days=-3))
        everest.call("is_reset_allowed", "Soft")  # a turn of its loop later
        assert words(everest)[-1] == scheduled
        stepped = monotonic()
        wall_clock.step(timedelta(days=5, hours=1))
        assert 0 <= everest.wait_for(due, 1, timeout_s=20).at - stepped <= NOTICED_S
    everest.wait_for("Installed", 1, timeout_s=20)
    assert everest.communication_gaps == 0


def told_offset(service: ServiceProcess) -> timedelta:
    """How far ahead of the true time the service is by its own log: whether it was lied to at all."""
    return datetime.fromisoformat(service.log[-1]["timestamp"]) - datetime.now(UTC)
