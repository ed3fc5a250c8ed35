"""EVerest's presence: the guards and actions that its table names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from everest_system.fsm.deadlines import Now, remaining
from everest_system.fsm.events import Event, EverestRestarted, WordsLost
from everest_system.fsm.machine import TableMachine
from everest_system.fsm.orders import Tell
from everest_system.fsm.presence.events import (
    HeartbeatArrived,
    HeartbeatsMissing,
    HeartbeatsNeverCame,
    RegistrationTimedOut,
)
from everest_system.fsm.presence.snapshot import Acquaintance, PresenceSnapshot
from everest_system.fsm.presence.states import PresenceState
from everest_system.fsm.presence.table import RECOVERY, TABLE

HEARTBEAT_LIMIT = 1 << 64  # heartbeats wrap to 0 here
TIMER_WITHIN_S = 1.0  # a wait is not aimed anew for less: the pace varies a little with each heartbeat
SILENT_BEATS = 2  # a silence shorter than this many heartbeats is none, however slowly they come
SLOWEST = 0.5  # after a silence, a number that grew slower than this share of the pace is another EVerest's
KNOWN_WITHIN_S, KNOWN_WITHIN = 2.0, 0.05  # seconds, and a share of its age, that an EVerest's count may be off
BASELINE = 5  # heartbeats that a pace is measured over: fewer may have come in a bunch
GONE_BEATS = 2.5  # who asks after a silence this long is the EVerest whose first heartbeat is still to come
ASSUMED_PERIOD_S = 1.0  # EVerest's default, by which it is known again while its pace is not measured


@dataclass(frozen=True, slots=True)
class PresenceRules:
    """The configured part of presence; durations in seconds, from 0 on.

    Attributes:
        mode: what shows that EVerest is there: its heartbeats, any message, or nothing, because it always is.
        timeout_s: heartbeats gone this long mean absent; none ever seen for this long: any message counts instead.
        registration_timeout_s: the longest that results wait for the registration.
    """

    mode: Literal["heartbeat", "any_message", "none"] = "heartbeat"
    timeout_s: float = 10
    registration_timeout_s: float = 120


class PresenceMachine(TableMachine[PresenceSnapshot]):
    """The machine that every message of EVerest's drives."""

    name = "presence"
    table: Mapping[Any, Any] = TABLE
    recovery: Mapping[Any, str] = RECOVERY

    def __init__(self, snapshot: PresenceSnapshot, rules: PresenceRules) -> None:
        self.rules = rules
        super().__init__(snapshot)

    def begin(self) -> None:
        """Forget all but what it takes to know EVerest again."""
        self.draft = PresenceSnapshot(
            run=self.draft.run,
            known=self.draft.known,
            was_registered=self.draft.registered,
            words_count=self.rules.mode == "any_message",
        )

    # --- the broker ---

    def takes_everest_for_granted(self) -> bool:
        """Configured so: there is nothing to wait for."""
        return self.rules.mode == "none"

    def await_heartbeats(self) -> None:
        """Give the first heartbeat its time."""
        if self.draft.number is None:
            self.set_timer(HeartbeatsNeverCame, self.rules.timeout_s)

    # --- heartbeats ---

    @property
    def silence_s(self) -> float:
        """How long heartbeats may be gone: as configured, and longer for an EVerest that beats slowly."""
        return max(self.rules.timeout_s, SILENT_BEATS * (self.draft.period_s or 0.0))

    def is_new_run(self) -> bool:
        """The number is not above the last, or below what the time passed allows: another EVerest counts."""
        last, period_s = self.draft.number, self.draft.period_s
        if last is None:
            return False
        growth = self.event.number - last
        if growth < -HEARTBEAT_LIMIT // 2:
            growth += HEARTBEAT_LIMIT  # it wrapped
        silence_s = self.now.monotonic - self.draft.heard_at
        too_slow = period_s is not None and silence_s >= self.silence_s and growth < SLOWEST * silence_s / period_s
        return bool(growth <= 0 or too_slow or self._may_have_begun_since_loss())

    def _may_have_begun_since_loss(self) -> bool:
        """The broker may have gone, and EVerest with it, to come back before we did.

        While the pace is not measured EVerest's default has to do: a connection that breaks again and again would
        never let it be measured, and make each EVerest another one.
        """
        lost_at = self.draft.lost_at
        up_s = self.event.number * (self.draft.period_s or ASSUMED_PERIOD_S)
        return lost_at is not None and up_s <= self.now.monotonic - lost_at

    def is_registered_new_run(self) -> bool:
        """Another EVerest counts, and its CSMS spoke before its first heartbeat."""
        return self.draft.next_registered_at is not None and self.is_new_run()

    def _known_again(self) -> Acquaintance | None:
        """The EVerest that we knew before our start, if this one counts as it did."""
        known = self.draft.known
        if known is None or known.boot_id != self.now.boot_id or self.event.number <= known.number:
            return None
        up_s = self.now.monotonic - known.began_at
        counted_s = self.event.number * (known.period_s or ASSUMED_PERIOD_S)
        is_it = abs(counted_s - up_s) <= KNOWN_WITHIN_S + KNOWN_WITHIN * up_s
        return known if is_it else None

    def is_registered(self) -> bool:
        """A word of its CSMS came in this run, or it had been up for long when we met it.

        One whose start we saw has to show it: its CSMS may be out of reach for longer than any timeout. How long it had
        been up is only known once its pace is.
        """
        if self.draft.registered:
            return True
        if self.draft.number is None:
            known = self._known_again()
            return known is not None and (self.draft.was_registered or self._was_old(known, known.period_s))
        known, period_s = self.draft.known, self._measured_s()
        return known is not None and self._was_old(known, period_s)

    def _was_old(self, known: Acquaintance, period_s: float | None) -> bool:
        return period_s is not None and known.met * period_s > self.rules.registration_timeout_s

    def _counted_to(self, number: int) -> int:
        """Heartbeats from the first that we heard of this run to `number`."""
        return (number - self.draft.first_number) % HEARTBEAT_LIMIT

    def _measured_s(self) -> float | None:
        """The time between two heartbeats, this one included; None while there are too few."""
        counted = self._counted_to(self.event.number)
        if counted < BASELINE:
            return self.draft.period_s
        return max((self.now.monotonic - self.draft.first_at) / counted, 0.001)

    def hear_heartbeat(self) -> None:
        """Note the number, and the pace."""
        self._hear_again()
        self.draft.registered = self.is_registered()
        if self.draft.number is None:
            known = self._known_again()
            self._meet(known=known is not None)
            self._begin_counting(known, met=self.event.number)
        else:
            self.draft.period_s = self._measured_s()
            if self._has_doubled(since=self.draft.number) and self.draft.known is not None:
                self.draft.known = self._acquaintance(self.draft.known.met)
        self._await_registration()
        self._note_heartbeat()

    def _has_doubled(self, *, since: int) -> bool:
        """The pace is measured over twice as many heartbeats as what is stored of it, or at last at all.

        Thus what is stored stays precise enough to know EVerest again by, however old that grows, with few writes.
        """
        before, counted = (self._counted_to(number) // BASELINE for number in (since, self.event.number))
        return counted.bit_length() > before.bit_length()

    def lose_words(self) -> None:
        """Our connection broke: if EVerest lives on, it may say what we do not hear."""
        if self.draft.lost_at is None:
            self.draft.lost_at = self.now.monotonic

    def _hear_again(self) -> None:
        if self.draft.lost_at is not None and self.draft.met:
            self.order(Tell("firmware", WordsLost()))
        self.draft.lost_at = None

    def _begin_counting(self, known: Acquaintance | None, *, met: int) -> None:
        """Count from here, at the pace of one that is `known`; `met`: the number to judge another one's age by."""
        self.draft.first_number, self.draft.first_at = self.event.number, self.now.monotonic
        self.draft.period_s = known.period_s if known is not None else None
        self.draft.known = known or self._acquaintance(met)

    def _acquaintance(self, met: int) -> Acquaintance:
        began_at = self.now.monotonic - self.event.number * (self.draft.period_s or ASSUMED_PERIOD_S)
        return Acquaintance(
            boot_id=self.now.boot_id,
            number=self.event.number,
            began_at=began_at,
            period_s=self.draft.period_s,
            met=met,
        )

    def meet_new_run(self) -> None:
        """Another EVerest: what the last one did not hear is to be said again."""
        registered, started = self.draft.next_registered_at is not None, self.draft.next_started
        self.draft.lives += 1
        self._new_run()
        self.draft.registered, self.draft.has_started = registered, started
        self._begin_counting(None, met=0)
        self._note_heartbeat()

    def _note_heartbeat(self) -> None:
        self.draft.number, self.draft.heard_at = self.event.number, self.now.monotonic
        self.draft.next_started, self.draft.next_registered_at = False, None
        self.draft.words_count = self.rules.mode == "any_message"
        self.clear_timers(HeartbeatsNeverCame)
        if self.rules.mode == "heartbeat":
            self.set_timer(HeartbeatsMissing, self.silence_s)

    # --- words ---

    def words_count(self) -> bool:
        """Any message shows that EVerest is there."""
        return self.draft.words_count

    def word_registers(self) -> bool:
        """Any message shows that EVerest is there, and this one that its CSMS has accepted it, now or before."""
        is_registered = self.event.is_from_csms or (self.draft.registered and not self.event.is_start)
        return bool(self.draft.words_count and is_registered)

    def has_registered(self) -> bool:
        """A message of an accepted CSMS came while heartbeats were waited for in vain."""
        return self.draft.registered

    def has_spoken(self) -> bool:
        """A message came while heartbeats were waited for in vain."""
        return self.draft.has_spoken

    def is_another_start(self) -> bool:
        """Without heartbeats, only what EVerest says once in its life tells of another one."""
        return bool(self.draft.words_count and self.draft.has_spoken and self.event.is_start)

    def is_from_csms(self) -> bool:
        """Only an accepted CSMS can have caused it."""
        return bool(self.event.is_from_csms)

    def count_words(self) -> None:
        """There are no heartbeats: any message counts from now on."""
        self.draft.words_count = True

    def meet(self) -> None:
        """EVerest is there, however we know."""
        self._hear_again()
        self._meet(known=False)
        self._await_registration()
        self.draft.words_count = True

    def meet_by_word(self) -> None:
        """EVerest is there, because it spoke; by what it says once, it is another one than before."""
        if self.draft.has_spoken and self.event.is_start:
            self._new_run()
        else:
            self._hear_again()
            self._meet(known=False)
            self._await_registration()
        self.remember_word()

    def remember_word(self) -> None:
        """Note that it came, and what it shows, of this run or of the one whose heartbeat comes next.

        It is the next one's, if there is one, when heartbeats had ceased, or when that one had said before what EVerest
        says once in its life, and ahead of its registration.
        """
        is_next = self.state is PresenceState.ABSENT or self.draft.next_started
        if self.event.is_start:
            self.draft.next_started = is_next or self.draft.has_started
            self.draft.next_registered_at = None
            self.draft.has_started = True
        elif self.event.is_from_csms and is_next:
            self.draft.next_registered_at = self.now.monotonic
        self.draft.has_spoken = True
        self.draft.registered = self.draft.registered or self.event.is_from_csms

    def register(self) -> None:
        """The CSMS has accepted EVerest."""
        self.remember_word()
        self.clear_timers(RegistrationTimedOut)

    # --- runs ---

    def _meet(self, *, known: bool) -> None:
        """The first that we hear after our start: the EVerest that we knew, or another one."""
        if not self.draft.met and not known:
            self.draft.run += 1
        self.draft.met = True

    def _new_run(self) -> None:
        self.draft.run += 1
        self.draft.has_spoken = self.draft.registered = self.draft.waited = self.draft.has_started = False
        self.draft.lost_at = None
        self.clear_timers(RegistrationTimedOut)
        self._await_registration()
        self.order(Tell("firmware", EverestRestarted()))

    def _await_registration(self) -> None:
        """Let results wait from now on, or for less once EVerest's age is known; never for longer."""
        if self.draft.waited or self.draft.registered:
            return
        wait_s = self.rules.registration_timeout_s
        if self.draft.period_s is not None and isinstance(self.event, HeartbeatArrived):
            wait_s = max(wait_s - self.event.number * self.draft.period_s, 0.0)
        deadline = self.draft.timers.get(RegistrationTimedOut.__name__)
        if deadline is None or wait_s < remaining(deadline, self.now) - TIMER_WITHIN_S:
            self.set_timer(RegistrationTimedOut, wait_s)

    def stop_waiting(self) -> None:
        """Results have waited for the registration for as long as they may."""
        self.draft.waited = True


def life(presence: PresenceSnapshot, now: Now) -> int:
    """A number for the EVerest that speaks now, as far as heartbeats tell it from the one before.

    Words alone show nothing: who asks twice what EVerest asks once in its life may be an operator.
    """
    period_s = presence.period_s or ASSUMED_PERIOD_S
    is_next = presence.number is not None and now.monotonic - presence.heard_at > GONE_BEATS * period_s
    return presence.lives + 1 if is_next else presence.lives


def may_be_known(before: PresenceSnapshot, after: PresenceSnapshot, event: Event, now: Now) -> bool:
    """Whether the EVerest that has just been met for another one may be the one that we knew before our start.

    Its count is only as good as its pace was measured, and without heartbeats nobody can tell at all. One that began
    with the machine, or whose number is not above one that was heard before, is another one for sure.
    """
    if before.met:
        return False
    if not isinstance(event, HeartbeatArrived):
        return after.words_count
    known = before.known
    return known is not None and known.boot_id == now.boot_id and event.number > known.number


def is_listening(presence: PresenceSnapshot, run: int) -> bool:
    """Whether a status of a request that came from EVerest's `run` may go out."""
    if presence.state is PresenceState.ABSENT:
        return False
    return presence.state is PresenceState.REGISTERED or run == presence.run or presence.waited
