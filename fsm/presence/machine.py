"""EVerest's presence: the guards and actions that its table names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from everest_system.fsm.events import EverestRestarted, WordsLost
from everest_system.fsm.machine import TableMachine
from everest_system.fsm.orders import Tell
from everest_system.fsm.presence.events import HeartbeatsMissing, HeartbeatsNeverCame, RegistrationTimedOut
from everest_system.fsm.presence.snapshot import Acquaintance, PresenceSnapshot
from everest_system.fsm.presence.states import PresenceState
from everest_system.fsm.presence.table import RECOVERY, TABLE

HEARTBEAT_LIMIT = 1 << 64  # heartbeats wrap to 0 here
SLOWEST = 0.5  # after a silence, a number that grew slower than this share of the pace is another EVerest's
KNOWN_WITHIN_S, KNOWN_WITHIN = 2.0, 0.05  # seconds, and a share of its age, that an EVerest's count may be off
BASELINE = 5  # heartbeats that a pace is measured over: fewer may have come in a bunch


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

    def is_new_run(self) -> bool:
        """The number is not above the last, or below what the time passed allows: another EVerest counts."""
        last = self.draft.number
        if last is None:
            return False
        growth = self.event.number - last
        if growth < -HEARTBEAT_LIMIT // 2:
            growth += HEARTBEAT_LIMIT  # it wrapped
        silence_s = self.now.monotonic - self.draft.heard_at
        too_slow = silence_s >= self.rules.timeout_s and growth < SLOWEST * silence_s / self.draft.period_s
        # The broker may have gone, and EVerest with it, to come back before we did.
        lost_at = self.draft.lost_at
        began_since = lost_at is not None and self._up_s() <= self.now.monotonic - lost_at
        return bool(growth <= 0 or too_slow or began_since)

    def _is_known(self) -> bool:
        """It counts as the EVerest did that we knew before our start."""
        known = self.draft.known
        if known is None or known.boot_id != self.now.boot_id or self.event.number <= known.number:
            return False
        up_s = self.now.monotonic - known.began_at
        return bool(abs(self.event.number * known.period_s - up_s) <= KNOWN_WITHIN_S + KNOWN_WITHIN * up_s)

    def is_registered(self) -> bool:
        """A word of its CSMS came in this run, or it had been up for long when we met it.

        One whose start we saw has to show it: its CSMS may be out of reach for longer than any timeout.
        """
        if self.draft.registered or self.draft.number is not None:
            return self.draft.registered
        if self._is_known():
            return self.draft.was_registered
        return self._up_s() > self.rules.registration_timeout_s

    def _up_s(self) -> float:
        return float(self.event.number * self.draft.period_s)

    def hear_heartbeat(self) -> None:
        """Note the number, and the pace."""
        self._hear_again()
        if self.draft.number is None:
            self.draft.registered = self.is_registered()
            is_known = self._is_known()
            self._meet(known=is_known)
            self._begin_counting(known=is_known)
            self._await_registration(self._up_s())
        elif self.event.number - self.draft.first_number >= BASELINE:
            was_measured = self.draft.number - self.draft.first_number >= BASELINE
            counted_s = self.now.monotonic - self.draft.first_at
            self.draft.period_s = max(counted_s / (self.event.number - self.draft.first_number), 0.001)
            if not was_measured:
                self._note_pace()
        self._note_heartbeat()

    def lose_words(self) -> None:
        """Our connection broke: if EVerest lives on, it may say what we do not hear."""
        if self.draft.lost_at is None:
            self.draft.lost_at = self.now.monotonic

    def _hear_again(self) -> None:
        if self.draft.lost_at is not None and self.draft.met:
            self.order(Tell("firmware", WordsLost()))
        self.draft.lost_at = None

    def _begin_counting(self, *, known: bool) -> None:
        self.draft.first_number, self.draft.first_at = self.event.number, self.now.monotonic
        self.draft.period_s = self.draft.known.period_s if known and self.draft.known else 1.0
        if not known:
            self._note_pace()

    def _note_pace(self) -> None:
        began_at = self.now.monotonic - self._up_s()
        self.draft.known = Acquaintance(
            boot_id=self.now.boot_id, number=self.event.number, began_at=began_at, period_s=self.draft.period_s
        )

    def meet_new_run(self) -> None:
        """Another EVerest: what the last one did not hear is to be said again."""
        self._new_run()
        self._begin_counting(known=False)
        self._note_heartbeat()

    def _note_heartbeat(self) -> None:
        self.draft.number, self.draft.heard_at = self.event.number, self.now.monotonic
        self.draft.words_count = self.rules.mode == "any_message"
        self.clear_timers(HeartbeatsNeverCame)
        if self.rules.mode == "heartbeat":
            self.set_timer(HeartbeatsMissing, self.rules.timeout_s)

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
        self._await_registration(0)
        self.draft.words_count = True

    def meet_by_word(self) -> None:
        """EVerest is there, because it spoke; by what it says once, it is another one than before."""
        if self.draft.has_spoken and self.event.is_start:
            self._new_run()
        else:
            self._hear_again()
            self._meet(known=False)
            self._await_registration(0)
        self.remember_word()

    def remember_word(self) -> None:
        """Note that it came, and what it shows."""
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
        self.draft.has_spoken = self.draft.registered = self.draft.waited = False
        self.draft.lost_at = None
        self.clear_timers(RegistrationTimedOut)
        self._await_registration(0)
        self.order(Tell("firmware", EverestRestarted()))

    def _await_registration(self, up_s: float) -> None:
        if not self.draft.waited and RegistrationTimedOut.__name__ not in self.draft.timers:
            self.set_timer(RegistrationTimedOut, max(self.rules.registration_timeout_s - up_s, 0.0))

    def stop_waiting(self) -> None:
        """Results have waited for the registration for as long as they may."""
        self.draft.waited = True


def is_listening(presence: PresenceSnapshot, run: int) -> bool:
    """Whether a status of a request that came from EVerest's `run` may go out."""
    if presence.state is PresenceState.ABSENT:
        return False
    return presence.state is PresenceState.REGISTERED or run == presence.run or presence.waited
