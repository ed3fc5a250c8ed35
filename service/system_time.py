"""The machine's clock, as EVerest's CSMS wants it: when it is set, and when it is left alone.

The same rules hold for every platform, in this order. The clock is left alone when

1. it shows the time already, but for `platform.time_tolerance_s`: the way here takes its time too;
2. the time is before the day of this build: it is wrong, whoever says so;
3. NTP keeps the clock, which knows better, unless `platform.time_despite_ntp`.

A dry run sets nothing, says which rule would hold, and answers that the clock was set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic

import structlog

from everest_system.fsm.timestamps import format_rfc3339
from everest_system.io.platforms.port import Platform
from everest_system.version import BUILT

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TimeRules:
    """When the clock is left alone.

    Attributes:
        tolerance_s: what it may be off by, in seconds, from 0 on.
        despite_ntp: set it also while NTP keeps it.
        not_before: the earliest time to believe.
    """

    tolerance_s: float = 2.0
    despite_ntp: bool = False
    not_before: datetime = BUILT

    def is_near(self, wanted: datetime, now: datetime) -> bool:
        """Whether a clock that shows `now` is right enough, if it is `wanted`."""
        return abs((wanted - now).total_seconds()) <= self.tolerance_s

    def objection(self, wanted: datetime, now: datetime, is_synchronized: Callable[[], bool]) -> str:
        """Why a clock that shows `now` is not to be set to `wanted`, which is not near it; "" if it is."""
        if wanted < self.not_before:
            return f"{format_rfc3339(wanted)} is before the day of this build ({self.not_before:%Y-%m-%d})"
        if not self.despite_ntp and is_synchronized():
            off_s = (wanted - now).total_seconds()
            return f"NTP keeps it (platform.time_despite_ntp), though the CSMS's differs by {off_s:+.3f} s"
        return ""


def kept_by_ntp() -> bool:
    """Whether NTP keeps this machine's clock."""
    from everest_system.io.platforms.ntp import is_synchronized  # loads ctypes: nothing for an idle station

    return is_synchronized()


@dataclass(frozen=True, slots=True)
class SystemTime:
    """Sets the clock, or does not.

    Attributes:
        platform: sets it.
        rules: when.
        pretends: nothing is really set.
        is_synchronized: whether NTP keeps the clock.
    """

    platform: Platform
    rules: TimeRules
    pretends: bool
    is_synchronized: Callable[[], bool] = kept_by_ntp

    def set(self, wanted: datetime, came_at: float, *, canceled: Event) -> bool:
        """Set the clock, unless a rule is against it; whether it was set.

        Args:
            wanted: the time that it was at `came_at`, with a zone.
            came_at: in seconds of the monotonic clock.
            canceled: end this.

        Raises:
            PlatformError: it could not be set.
            CanceledError: `canceled` was set.
        """
        now, wanted_now = datetime.now(UTC), _later(wanted, came_at)
        if self.rules.is_near(wanted_now, now):
            _log.debug("the clock is left as it is: it is near enough")  # so it goes with most Heartbeats of a CSMS
            return self.pretends
        objection = self.rules.objection(wanted_now, now, self.is_synchronized)
        if objection:
            _log.info(f"{'dry run: ' if self.pretends else ''}the clock is left as it is: {objection}")
            return self.pretends
        wanted_now = _later(wanted, came_at)  # whether NTP keeps the clock can take seconds to find out
        done = self.platform.set_time(wanted_now, canceled=canceled)
        if done and not self.pretends:
            _log.info("the clock was set", before=format_rfc3339(now), after=format_rfc3339(wanted_now))
        return done


def _later(time: datetime, came_at: float) -> datetime:
    """What has become of `time` since `came_at`."""
    try:
        return time + timedelta(seconds=monotonic() - came_at)
    except OverflowError:  # the last moment of the year 9999, which no clock can be set to anyway
        return time
