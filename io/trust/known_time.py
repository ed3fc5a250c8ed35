"""What is known of the time when certificates are judged by it.

A station without a battery for its clock wakes in 1970 or 2000, and stays there until somebody tells it the time. A
clock before the day on which this software was built is wrong, and all that is known then is that the day has passed:
what had expired by then has expired, what begins later may have begun.

    time = KnownTime.told(clock=now, built=built)
    time.surely_after(certificate.not_after)        # expired
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class KnownTime:
    """The true time is one of these two instants, or between them."""

    earliest: datetime
    latest: datetime

    @classmethod
    def told(cls, clock: datetime, built: datetime) -> Self:
        """Take the clock's word for it, unless it stands before the day on which this software was built."""
        return cls(clock, clock) if clock >= built else cls(built, _END)

    @property
    def exact(self) -> bool:
        """The clock was believed."""
        return self.earliest == self.latest

    def surely_before(self, instant: datetime) -> bool:
        """Tell whether `instant` is still to come, whatever the time is."""
        return self.latest < instant

    def surely_after(self, instant: datetime) -> bool:
        """Tell whether `instant` has passed, whatever the time is."""
        return self.earliest > instant
