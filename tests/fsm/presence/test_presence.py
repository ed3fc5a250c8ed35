"""Whether EVerest listens, and whether its CSMS does."""

import pytest
from support.machine_driver import MachineDriver

from everest_system.fsm.events import EverestRestarted
from everest_system.fsm.orders import Tell
from everest_system.fsm.presence.events import (
    BrokerFound,
    BrokerLost,
    EverestSpoke,
    HeartbeatArrived,
    HeartbeatsMissing,
    HeartbeatsNeverCame,
    RegistrationTimedOut,
)
from everest_system.fsm.presence.machine import (
    BASELINE,
    PresenceMachine,
    PresenceRules,
    is_listening,
    life,
    may_be_known,
)
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.fsm.presence.states import PresenceState as S

WORD = EverestSpoke(is_start=False, is_from_csms=False)
START = EverestSpoke(is_start=True, is_from_csms=False)
CSMS = EverestSpoke(is_start=False, is_from_csms=True)
NEW_RUN = Tell("firmware", EverestRestarted())


class Presence(MachineDriver):
    """A presence machine after the service's start, its broker found; the keywords are its rules."""

    def __init__(self, **rules):
        super().__init__(lambda snapshot: PresenceMachine(snapshot, PresenceRules(**rules)), PresenceSnapshot())
        self.restart()
        self.take(BrokerFound())
        self.first_run = self.snapshot.run + 1  # the first EVerest that is heard

    def beat(self, *numbers, period_s=1.0):
        """Heartbeats, one each `period_s`, the first one at once."""
        for number in numbers:
            if number != numbers[0]:
                self.clock.advance(period_s)
            self.take(HeartbeatArrived(number))

    @property
    def runs(self):
        """How many other EVerests were met."""
        return self.snapshot.run - self.first_run


# --- heartbeats ---


def test_a_heartbeat_means_that_everest_listens():
    """The first heartbeat makes it present, a silence of `presence_timeout_s` absent, the next one present again."""
    presence = Presence(timeout_s=10)
    assert presence.state is S.ABSENT
    presence.beat(0, 1, 2)
    assert presence.state is S.PRESENT
    assert presence.left(HeartbeatsMissing) == 10
    presence.fire(HeartbeatsMissing)
    assert presence.state is S.ABSENT
    presence.beat(13)
    assert (presence.state, presence.runs) == (S.PRESENT, 0)


def test_a_lost_broker_means_that_everest_is_absent():
    """Whatever was known of EVerest, without a broker it hears nothing."""
    presence = Presence()
    presence.beat(0)
    presence.take(BrokerLost())
    assert presence.state is S.ABSENT
    assert not is_listening(presence.snapshot, presence.snapshot.run)


@pytest.mark.parametrize("state", [S.PRESENT, S.REGISTERED])
@pytest.mark.parametrize("lost", [HeartbeatsMissing, BrokerLost])
def test_an_everest_that_was_out_of_sight_is_what_it_was(state, lost):
    """When the same EVerest comes back, it is registered if it was before."""
    presence = Presence()
    presence.beat(*range(6))
    if state is S.REGISTERED:
        presence.take(CSMS)
    presence.take(lost(0) if lost is HeartbeatsMissing else lost())
    presence.take(BrokerFound())
    presence.clock.advance(12)
    presence.beat(17)
    assert (presence.state, presence.runs) == (state, 0)


@pytest.mark.parametrize("numbers", [(5, 6, 0), (5, 6, 5), (5, 6, 6), (2**64 - 1, 3, 1)])
@pytest.mark.parametrize("registered", [False, True])
def test_a_number_that_falls_is_another_everest(numbers, registered):
    """A fall means a restart: another run, not registered, and the firmware update is told."""
    presence = Presence()
    presence.beat(*numbers[:2])
    if registered:
        presence.take(CSMS)
    orders = len(presence.orders)
    presence.beat(numbers[2])
    assert (presence.state, presence.runs) == (S.PRESENT, 1)
    assert presence.orders[orders:] == [NEW_RUN]
    assert presence.left(RegistrationTimedOut) == 120


def test_numbers_wrap():
    """After 2^64 - 1 comes 0 of the same EVerest, also when some in between were lost."""
    presence = Presence()
    presence.beat(2**64 - 3, 2**64 - 2, 2**64 - 1, 0, 1, 2)
    assert (presence.state, presence.runs) == (S.REGISTERED, 0)
    presence = Presence()
    presence.beat(2**64 - 10, 5, period_s=15)
    assert presence.runs == 0


@pytest.mark.parametrize("mode", ["heartbeat", "any_message"])
@pytest.mark.parametrize(
    ("silence_s", "growth", "runs"),
    [(3600, 3600, 0), (3600, 2000, 0), (3600, 1700, 1), (3600, 60, 1), (9, 1, 0)],
)
def test_a_number_below_what_the_time_allows_is_another_everest(mode, silence_s, growth, runs):
    """After a silence a number above the last one can still be another EVerest's: it grew too slowly."""
    presence = Presence(mode=mode)
    presence.beat(*range(50))
    presence.clock.advance(silence_s)
    presence.beat(49 + growth)
    assert presence.runs == runs


@pytest.mark.parametrize("held_up", [2, 5, 9])
def test_heartbeats_that_were_held_up_are_no_restart(held_up):
    """A bunch of heartbeats after a stall, and the ones after it, are the same EVerest's."""
    presence = Presence()
    presence.beat(*range(20))
    presence.clock.advance(held_up)
    presence.beat(*range(20, 20 + held_up), period_s=0.0001)
    presence.beat(*range(20 + held_up, 60))
    assert (presence.state, presence.runs) == (S.PRESENT, 0)


@pytest.mark.parametrize("period_s", [0.1, 0.5, 2, 8, 10, 30])
def test_the_pace_is_everests_own(period_s):
    """Heartbeats may come faster or slower than once a second."""
    presence = Presence()
    presence.beat(*range(30), period_s=period_s)
    assert (presence.state, presence.runs) == (S.PRESENT, 0)
    presence.clock.advance(1000 * period_s)
    presence.beat(100)
    assert presence.runs == 1


@pytest.mark.parametrize("period_s", [6, 10, 30])
def test_slow_heartbeats_may_be_silent_for_longer(period_s):
    """Two heartbeats have to be missed, however slowly they come: EVerest is not lost in between."""
    presence = Presence(timeout_s=10)
    presence.beat(*range(6), period_s=period_s)
    assert presence.left(HeartbeatsMissing) == 2 * period_s
    presence.fire(HeartbeatsMissing)
    presence.beat(7)
    assert (presence.state, presence.runs) == (S.PRESENT, 0)


def test_a_connection_that_breaks_again_and_again_makes_no_other_everest():
    """Its pace is never measured, and yet it is one and the same, registered once."""
    presence = Presence()
    presence.beat(40)
    presence.take(CSMS)
    for number in range(41, 60):
        presence.take(BrokerLost())
        presence.clock.advance(0.2)
        presence.take(BrokerFound())
        presence.beat(number)
        assert (presence.state, presence.runs) == (S.REGISTERED, 0)


# --- registration ---


@pytest.mark.parametrize("first", ["word", "heartbeat"])
def test_a_word_of_the_csms_registers(first):
    """What only an accepted CSMS can have caused registers, also if it came before the first heartbeat."""
    presence = Presence()
    if first == "word":
        presence.take(CSMS)
        assert presence.state is S.ABSENT
        presence.beat(0)
    else:
        presence.beat(0)
        presence.take(WORD)
        assert presence.state is S.PRESENT
        presence.take(CSMS)
        assert presence.waits_for(HeartbeatsMissing)
    presence.take(WORD)
    presence.beat(1)
    assert presence.state is S.REGISTERED


@pytest.mark.parametrize(
    ("number", "period_s", "state"),
    [
        (121, 1, S.REGISTERED),
        (120, 1, S.PRESENT),
        (0, 1, S.PRESENT),
        (1000, 0.1, S.PRESENT),
        (1210, 0.1, S.REGISTERED),
        (13, 10, S.REGISTERED),
        (12, 10, S.PRESENT),
    ],
)
@pytest.mark.parametrize("spoke", [True, False])
def test_who_was_up_for_long_when_we_came_is_registered(number, period_s, state, spoke):
    """It has been up for longer than `registration_timeout_s` already, as its number and its pace say together."""
    presence = Presence(registration_timeout_s=120)
    if spoke:
        presence.take(WORD)
    presence.beat(*range(number, number + BASELINE), period_s=period_s)
    assert presence.state is S.PRESENT  # how old it is nobody knows yet
    presence.clock.advance(period_s)
    presence.beat(number + BASELINE)
    assert (presence.state, presence.runs) == (state, 0)


@pytest.mark.parametrize("period_s", [1, 10])
def test_an_age_not_known_when_we_ended_is_judged_after_our_start(period_s):
    """The heartbeat by which it was met is remembered: it was old then, and its pace is measured now."""
    presence = Presence(registration_timeout_s=120)
    presence.beat(500, 501, period_s=period_s)
    presence.restart()
    presence.clock.advance(period_s)
    presence.beat(*range(502, 508), period_s=period_s)
    assert presence.state is S.REGISTERED


def test_who_was_seen_starting_has_to_show_its_registration():
    """Its CSMS may be out of reach for hours: results go out after the timeout, and again when it has accepted."""
    presence = Presence(registration_timeout_s=120)
    presence.beat(*range(119))
    old = presence.snapshot.run - 1
    assert not is_listening(presence.snapshot, old)
    presence.fire(RegistrationTimedOut)
    assert is_listening(presence.snapshot, old)
    presence.beat(*range(120, 400))
    assert presence.state is S.PRESENT
    presence.take(CSMS)
    assert presence.state is S.REGISTERED


@pytest.mark.parametrize(("number", "period_s", "left"), [(0, 1, 115), (100, 1, 15), (100, 0.1, 109.5), (10, 8, 0)])
def test_the_wait_for_the_registration_counts_from_everests_start(number, period_s, left):
    """While its pace is not known it is taken for a young one; from then on the wait is shorter by its age."""
    presence = Presence(registration_timeout_s=120)
    presence.beat(*range(number, number + BASELINE), period_s=period_s)
    assert presence.left(RegistrationTimedOut) == pytest.approx(120 - (BASELINE - 1) * period_s)
    presence.clock.advance(period_s)
    presence.beat(number + BASELINE)
    assert presence.left(RegistrationTimedOut) == pytest.approx(left)


def test_a_silence_does_not_prolong_the_wait_for_the_registration():
    """What is over is over: results go out to the EVerest that comes back, if it is the same one."""
    presence = Presence(registration_timeout_s=120)
    presence.beat(*range(10))
    presence.take(BrokerLost())
    presence.fire(RegistrationTimedOut)
    assert (presence.state, presence.snapshot.waited) == (S.ABSENT, True)
    presence.beat(130)
    assert presence.waits_for(HeartbeatsMissing)
    assert is_listening(presence.snapshot, presence.snapshot.run - 1)


@pytest.mark.parametrize(
    ("state", "own", "waited", "listens"),
    [
        (S.ABSENT, True, True, False),
        (S.PRESENT, True, False, True),
        (S.PRESENT, False, False, False),
        (S.PRESENT, False, True, True),
        (S.REGISTERED, False, False, True),
    ],
)
def test_results_from_before_wait_for_the_registration(state, own, waited, listens):
    """A status of this run's own request needs a present EVerest, one from before a registered one or the timeout."""
    assert is_listening(PresenceSnapshot(state=state, run=5, waited=waited), 5 if own else 4) is listens


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("silent", [HeartbeatsMissing, BrokerLost])
def test_a_word_behind_a_silence_is_of_the_everest_that_beats_next(silent, registered):
    """Its CSMS accepted the new EVerest before its first heartbeat: nobody else was there to say so."""
    presence = Presence()
    presence.beat(*range(20))
    if registered:
        presence.take(CSMS)
    presence.take(silent(0) if silent is HeartbeatsMissing else silent())
    presence.take(BrokerFound())
    presence.clock.advance(12)
    presence.take(START)
    presence.take(CSMS)
    assert presence.state is S.ABSENT
    presence.beat(0)
    assert (presence.state, presence.runs) == (S.REGISTERED, 1)
    presence.beat(1)
    assert presence.state is S.REGISTERED


def test_a_word_behind_a_second_start_is_of_the_everest_that_beats_next():
    """EVerest asks for the boot reason once in its life: who does it again, and is registered, has not beaten yet."""
    presence = Presence()
    presence.take(START)
    presence.beat(*range(20))
    for run in (1, 2):
        presence.take(START)
        presence.take(CSMS)
        presence.beat(0)
        assert (presence.state, presence.runs) == (S.REGISTERED, run)


@pytest.mark.parametrize("words", [(CSMS,), (CSMS, START), (START, CSMS), (START, START, CSMS, START)])
def test_a_word_that_may_be_the_last_everests_registers_nobody_else(words):
    """Said between two heartbeats, by whom cannot be told: another EVerest has to show its own registration."""
    presence = Presence()
    presence.beat(*range(20))
    for word in words:
        presence.take(word)
    presence.beat(0)
    assert (presence.state, presence.runs) == (S.PRESENT, 1)
    presence.take(CSMS)
    assert presence.state is S.REGISTERED


def test_a_word_behind_a_second_start_registers_nobody_when_everest_beats_on():
    """Somebody else asked for the boot reason: that is no word of an EVerest that restarts later."""
    presence = Presence()
    presence.take(START)
    presence.beat(*range(20))
    presence.take(START)
    presence.take(CSMS)
    presence.beat(20)
    assert (presence.state, presence.runs) == (S.REGISTERED, 0)
    presence.beat(0)
    assert (presence.state, presence.runs) == (S.PRESENT, 1)


# --- without heartbeats ---


@pytest.mark.parametrize(("word", "state"), [(WORD, S.PRESENT), (START, S.PRESENT), (CSMS, S.REGISTERED)])
@pytest.mark.parametrize("mode", ["heartbeat", "any_message"])
def test_without_heartbeats_any_message_counts(mode, word, state):
    """Heartbeats can be off: none for `presence_timeout_s`, and any message shows that EVerest is there."""
    presence = Presence(mode=mode, timeout_s=10)
    if mode == "heartbeat":
        assert not presence.take(HeartbeatsMissing(0)).taken
        presence.fire(HeartbeatsNeverCame)
        assert presence.state is S.ABSENT
    presence.take(word)
    assert (presence.state, presence.snapshot.words_count) == (state, True)


@pytest.mark.parametrize(("word", "state"), [(WORD, S.PRESENT), (CSMS, S.REGISTERED)])
def test_a_message_that_came_meanwhile_counts(word, state):
    """What came while heartbeats were waited for is not forgotten when none comes."""
    presence = Presence()
    presence.take(word)
    assert presence.state is S.ABSENT
    presence.fire(HeartbeatsNeverCame)
    assert presence.state is state
    assert is_listening(presence.snapshot, presence.snapshot.run)


@pytest.mark.parametrize("first", [WORD, CSMS])
def test_without_heartbeats_a_second_start_is_another_everest(first):
    """`get_boot_reason` comes once in EVerest's life: after other messages it is another EVerest's."""
    presence = Presence(mode="any_message")
    presence.take(first)
    presence.take(START)
    assert (presence.state, presence.runs) == (S.PRESENT, 1)
    presence.take(BrokerLost())
    presence.take(BrokerFound())
    presence.take(START)
    assert (presence.state, presence.runs) == (S.PRESENT, 2)


def test_without_heartbeats_a_registered_everest_stays_so_over_a_broken_connection():
    """Any message of an EVerest that had been registered shows it registered again."""
    presence = Presence(mode="any_message")
    presence.take(CSMS)
    presence.take(BrokerLost())
    presence.take(BrokerFound())
    presence.take(WORD)
    assert (presence.state, presence.runs) == (S.REGISTERED, 0)


def test_with_heartbeats_a_start_is_no_other_everest():
    """Where heartbeats tell, `get_boot_reason` need not."""
    presence = Presence()
    presence.beat(0, 1)
    presence.take(WORD)
    presence.take(START)
    assert (presence.state, presence.runs) == (S.PRESENT, 0)


def test_heartbeats_that_come_late_count_from_then_on():
    """EVerest started after us: its messages counted at first, its heartbeats take over."""
    presence = Presence()
    presence.fire(HeartbeatsNeverCame)
    presence.take(START)
    presence.beat(0)
    assert (presence.state, presence.snapshot.words_count, presence.runs) == (S.PRESENT, False, 0)
    presence.fire(HeartbeatsMissing)
    assert presence.state is S.ABSENT
    presence.take(WORD)
    assert presence.state is S.ABSENT


def test_with_any_message_heartbeats_cannot_be_missed():
    """Presence = any_message never makes EVerest absent while the broker stays."""
    presence = Presence(mode="any_message")
    presence.beat(0, 1)
    assert presence.waits_for(RegistrationTimedOut)


@pytest.mark.parametrize("beats", [False, True])
def test_everest_can_be_taken_for_granted(beats):
    """Presence = none: it is there, and registered, as soon as the broker is."""
    presence = Presence(mode="none")
    assert presence.state is S.REGISTERED
    if beats:
        presence.beat(0, 1)
    presence.take(BrokerLost())
    assert presence.state is S.ABSENT
    presence.take(BrokerFound())
    assert presence.state is S.REGISTERED


# --- our own start ---


@pytest.mark.parametrize("state", list(S))
def test_our_start_begins_with_an_absent_everest(state):
    """EVerest may have come and gone: it is absent until it is heard, and only what it takes to know it outlives us."""
    presence = Presence()
    if state is not S.ABSENT:
        presence.beat(7)
    if state is S.REGISTERED:
        presence.take(CSMS)
    before = presence.snapshot.run
    assert set(presence.snapshot.model_dump()) == {"job", "work", "starts", "state", "run", "known", "registered"}
    outcome = presence.restart()
    assert (presence.state, presence.snapshot.run) == (S.ABSENT, before)
    assert (outcome.orders, presence.snapshot.timers, presence.snapshot.number) == ((), {}, None)


@pytest.mark.parametrize(("word", "state"), [(WORD, S.PRESENT), (CSMS, S.REGISTERED)])
def test_an_everest_is_known_again_after_our_start(word, state):
    """Nobody else counts as it does: the same run, registered if it was, and nobody is told of a restart."""
    presence = Presence()
    presence.beat(*range(10), period_s=0.25)
    presence.take(word)
    presence.restart()
    presence.clock.advance(5)
    presence.take(HeartbeatArrived(29))
    assert (presence.state, presence.runs, presence.told) == (state, 0, [])


@pytest.mark.parametrize(("number", "boots"), [(3, False), (90, False), (29, True)])
def test_an_everest_that_counts_otherwise_is_another_one(number, boots):
    """Another count, or another boot: what it is to be told waits for its registration."""
    presence = Presence(registration_timeout_s=1000)
    presence.beat(*range(10))
    presence.take(CSMS)
    presence.restart(boot=boots)
    presence.clock.advance(20)
    presence.take(HeartbeatArrived(number))
    assert (presence.state, presence.runs) == (S.PRESENT, 1)
    assert not is_listening(presence.snapshot, presence.snapshot.run - 1)


@pytest.mark.parametrize(
    ("number", "boots", "started", "may_be"),
    [(90, False, True, True), (29, False, True, True), (5, False, True, False), (0, False, True, False),
     (90, True, True, False), (29, False, False, False)],
)  # fmt: skip
def test_whether_it_may_be_the_same_though_it_counts_otherwise(number, boots, started, may_be):
    """Only a boot, or a number that was heard before, makes sure that it is another one; within our life we know."""
    presence = Presence()
    presence.beat(*range(10))
    if started:
        presence.restart(boot=boots)
        presence.clock.advance(20)
    before, event = presence.snapshot, HeartbeatArrived(number)
    presence.take(event)
    assert may_be_known(before, presence.snapshot, event, presence.clock.now()) is may_be


def test_nobody_may_be_known_who_was_never_met():
    """The first EVerest of all is no other than itself."""
    presence = Presence()
    before, event = presence.snapshot, HeartbeatArrived(5)
    presence.take(event)
    assert not may_be_known(before, presence.snapshot, event, presence.clock.now())


@pytest.mark.parametrize("bunched_s", [0.05, 0.09, 0.11, 0.18])
def test_an_everest_is_known_again_though_its_first_heartbeats_came_in_a_bunch(bunched_s):
    """The pace that is stored grows more precise as EVerest grows older: an hour later it is known as well as ever."""
    presence = Presence()
    presence.beat(*range(BASELINE + 1), period_s=bunched_s)
    presence.clock.advance(0.1)
    presence.beat(*range(BASELINE + 1, 3600), period_s=0.1)
    presence.restart()
    presence.take(BrokerFound())
    presence.clock.advance(5)
    presence.beat(3600 + 50)
    assert presence.runs == 0


def test_an_everest_known_again_has_to_show_its_registration():
    """It has been up for longer than the timeout, and we know that its CSMS had not accepted it when we ended."""
    presence = Presence(registration_timeout_s=120)
    presence.beat(*range(119))
    presence.restart()
    presence.clock.advance(5)
    presence.take(HeartbeatArrived(123))
    assert (presence.state, presence.runs) == (S.PRESENT, 0)


def test_a_heartbeat_that_was_heard_before_is_another_everests():
    """EVerest restarted with us, a moment after its own start: the count alone would fit."""
    presence = Presence()
    presence.beat(0, 1)
    presence.take(CSMS)
    presence.restart()
    presence.take(HeartbeatArrived(0))
    assert (presence.state, presence.runs) == (S.PRESENT, 1)


def test_a_word_heard_before_the_first_heartbeat_is_of_the_same_everest():
    """A request that comes in the second before shows that the EVerest that then beats is registered."""
    presence = Presence()
    presence.beat(0)
    presence.restart()
    presence.take(CSMS)
    presence.clock.advance(60)
    presence.take(HeartbeatArrived(1))
    assert (presence.state, presence.runs) == (S.REGISTERED, 1)


def test_an_everest_that_began_after_the_broker_went_is_another_one():
    """The broker took EVerest with it, and we came back later: its number has passed the old one's by then."""
    presence = Presence()
    presence.beat(0, 1, 2)
    presence.take(CSMS)
    presence.take(BrokerLost())
    presence.clock.advance(3)
    presence.take(BrokerLost())
    presence.clock.advance(2)
    presence.take(BrokerFound())
    presence.take(HeartbeatArrived(3))
    assert (presence.state, presence.runs) == (S.PRESENT, 1)


# --- lives ---


def test_another_life_is_what_heartbeats_show():
    """Asking twice shows nothing; a heartbeat that begins anew does, and so does a question after a silence."""
    presence = Presence()

    def asking():
        presence.take(START)
        return life(presence.snapshot, presence.clock.now())

    assert [asking(), asking()] == [0, 0]
    presence.beat(0, 1, 2)
    presence.clock.advance(2.5)
    assert asking() == 0
    presence.clock.advance(0.1)
    assert asking() == 1
    presence.beat(0)
    assert asking() == 1
    presence.beat(1, 2, 0)
    assert asking() == 2
