"""Points in time that a machine waits for, as data.

There are two kinds. `At` belongs to the wall clock: it is reached when that clock says so, also after somebody set it.
`After` belongs to the monotonic clock: setting the wall clock neither hurries nor delays it. The monotonic clock
starts anew with each boot, so an `After` also notes the boot, and what the wall clock showed: in another boot what is
left of it is what the wall clock says, between zero and the whole duration.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class Now:
    """One reading of the clocks: aware wall time, monotonic seconds, and the id of the boot that they count in."""

    wall: datetime
    monotonic: float
    boot_id: str


class At(BaseModel):
    """A time of day that the wall clock has to reach."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["at"] = "at"
    wall: datetime


class After(BaseModel):
    """The end of a duration that the monotonic clock measures."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["after"] = "after"
    boot_id: str
    monotonic: float
    wall: datetime
    duration_s: float = Field(ge=0)


Deadline = Annotated[At | After, Field(discriminator="kind")]


def after(now: Now, seconds: float) -> After:
    """The deadline that lies `seconds` (from 0 on) after `now`."""
    return After(
        boot_id=now.boot_id,
        monotonic=now.monotonic + seconds,
        wall=now.wall + timedelta(seconds=seconds),
        duration_s=seconds,
    )


def remaining(deadline: At | After, now: Now) -> float:
    """Seconds until `deadline`; zero or less when it is reached."""
    by_wall = (deadline.wall - now.wall).total_seconds()
    if isinstance(deadline, At):
        return by_wall
    if deadline.boot_id == now.boot_id:
        return deadline.monotonic - now.monotonic
    return min(max(by_wall, 0.0), deadline.duration_s)
