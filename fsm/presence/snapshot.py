"""What is known of EVerest. Only the state and the count of its runs are stored; the rest lives in memory."""

from pydantic import Field

from everest_system.fsm.deadlines import Deadline
from everest_system.fsm.machine import Snapshot
from everest_system.fsm.presence.states import PresenceState


class PresenceSnapshot(Snapshot):
    """EVerest as it was last heard.

    Attributes:
        run: a number for the EVerest that is, or was last, present; another one follows with each start of ours and of
            EVerest's.
        number: its last heartbeat; None before the first.
        heard_at: when that came, in seconds of the monotonic clock.
        first_number: the first heartbeat of this run that was heard, ...
        first_at: ... and when that came.
        period_s: the time between its heartbeats, as observed since then; above 0.
        has_spoken: other messages of this run came.
        registered: its CSMS has accepted it in this run, whether or not it is present now.
        words_count: in the absence of heartbeats, any message shows that EVerest is there.
        has_missed: our connection broke, so that words of this run may have been lost.
        waited: the time that results wait for the registration of this run is over.
    """

    state: PresenceState = PresenceState.ABSENT
    run: int = 0
    timers: dict[str, Deadline] = Field(default={}, exclude=True)
    number: int | None = Field(default=None, exclude=True)
    heard_at: float = Field(default=0.0, exclude=True)
    first_number: int = Field(default=0, exclude=True)
    first_at: float = Field(default=0.0, exclude=True)
    period_s: float = Field(default=1.0, exclude=True)
    has_spoken: bool = Field(default=False, exclude=True)
    registered: bool = Field(default=False, exclude=True)
    words_count: bool = Field(default=False, exclude=True)
    has_missed: bool = Field(default=False, exclude=True)
    waited: bool = Field(default=False, exclude=True)
