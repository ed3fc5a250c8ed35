"""What is known of EVerest. What is needed to know it again is stored; the rest lives in memory."""

from pydantic import BaseModel, ConfigDict, Field

from everest_system.fsm.deadlines import Deadline
from everest_system.fsm.machine import Snapshot
from everest_system.fsm.presence.states import PresenceState


class Acquaintance(BaseModel):
    """What it takes to know an EVerest again after a start of ours: nobody else counts as it does.

    Attributes:
        boot_id: the boot in which it was met.
        number: a heartbeat of its, which all later ones exceed.
        began_at: when its heartbeat was 0, in seconds of the monotonic clock; by EVerest's default pace at first.
        period_s: the time between its heartbeats; None until it is measured.
        met: its heartbeat when we met it: times the pace, that is its age then; 0 if we saw it start.
    """

    model_config = ConfigDict(frozen=True)

    boot_id: str
    number: int
    began_at: float
    period_s: float | None
    met: int = 0


class PresenceSnapshot(Snapshot):
    """EVerest as it was last heard.

    Attributes:
        known: how it counts, once it has beaten.
        was_registered: the EVerest known before our start was registered.
        met: one was heard since our start.
        run: a number for the EVerest that is, or was last, present; another one follows with each start of ours and of
            EVerest's.
        number: its last heartbeat; None before the first.
        heard_at: when that came, in seconds of the monotonic clock.
        first_number: the first heartbeat of this run that was heard, ...
        first_at: ... and when that came.
        period_s: the time between its heartbeats, above 0; None until it is measured.
        has_spoken: other messages of this run came.
        has_started: what EVerest says once in its life came in this run.
        registered: its CSMS has accepted it in this run, whether or not it is present now.
        words_count: in the absence of heartbeats, any message shows that EVerest is there.
        lives: how many EVerests heartbeats have shown to begin since our start.
        lost_at: when our connection broke, since which words of this run may have been lost; None: it did not.
        waited: the time that results wait for the registration of this run is over.
        next_started: what EVerest says once in its life came since the last heartbeat, and not from this run.
        next_registered_at: when a word of an accepted CSMS came since the last heartbeat that, if the next one shows
            another run, was that one's.
    """

    state: PresenceState = PresenceState.ABSENT
    run: int = 0
    known: Acquaintance | None = None
    registered: bool = False
    was_registered: bool = Field(default=False, exclude=True)
    met: bool = Field(default=False, exclude=True)
    timers: dict[str, Deadline] = Field(default={}, exclude=True)
    number: int | None = Field(default=None, exclude=True)
    heard_at: float = Field(default=0.0, exclude=True)
    first_number: int = Field(default=0, exclude=True)
    first_at: float = Field(default=0.0, exclude=True)
    period_s: float | None = Field(default=None, exclude=True)
    has_spoken: bool = Field(default=False, exclude=True)
    words_count: bool = Field(default=False, exclude=True)
    lives: int = Field(default=0, exclude=True)
    lost_at: float | None = Field(default=None, exclude=True)
    waited: bool = Field(default=False, exclude=True)
    has_started: bool = Field(default=False, exclude=True)
    next_started: bool = Field(default=False, exclude=True)
    next_registered_at: float | None = Field(default=None, exclude=True)
