"""The transition table of EVerest's presence.

A heartbeat means that EVerest listens: it subscribes to our statuses before its first one. Registered means that its
CSMS has accepted it: OCPP 2.x drops for good what is published before that.
"""

from everest_system.fsm.events import Event
from everest_system.fsm.presence.events import (
    BrokerFound,
    BrokerLost,
    EverestSpoke,
    HeartbeatArrived,
    HeartbeatsMissing,
    HeartbeatsNeverCame,
    RegistrationTimedOut,
)
from everest_system.fsm.presence.states import PresenceState
from everest_system.fsm.table import Row, StateRows

S = PresenceState

EVENTS: tuple[type[Event], ...] = (
    BrokerFound, BrokerLost, HeartbeatArrived, EverestSpoke,
    HeartbeatsMissing, HeartbeatsNeverCame, RegistrationTimedOut,
)  # fmt: skip

# fmt: off
TABLE: dict[PresenceState, StateRows] = {
    S.ABSENT: StateRows(
        Row(BrokerFound,          S.REGISTERED, when="takes_everest_for_granted", do="meet"),
        Row(BrokerFound,          do="await_heartbeats"),
        Row(HeartbeatArrived,     S.REGISTERED, when="is_registered_new_run", do="meet_new_run"),
        Row(HeartbeatArrived,     S.PRESENT,    when="is_new_run", do="meet_new_run"),
        Row(HeartbeatArrived,     S.REGISTERED, when="is_registered", do="hear_heartbeat"),
        Row(HeartbeatArrived,     S.PRESENT,    do="hear_heartbeat"),
        Row(EverestSpoke,         S.REGISTERED, when="word_registers", do="meet_by_word"),
        Row(EverestSpoke,         S.PRESENT,    when="words_count", do="meet_by_word"),
        Row(EverestSpoke,         do="remember_word"),
        Row(HeartbeatsNeverCame,  S.REGISTERED, when="has_registered", do="meet"),
        Row(HeartbeatsNeverCame,  S.PRESENT,    when="has_spoken", do="meet"),
        Row(HeartbeatsNeverCame,  do="count_words"),
        Row(RegistrationTimedOut, do="stop_waiting"),
        Row(BrokerLost,           do="lose_words"),
        ignored=(HeartbeatsMissing,),
    ),
    S.PRESENT: StateRows(
        Row(HeartbeatArrived,     S.REGISTERED, when="is_registered_new_run", do="meet_new_run"),
        Row(HeartbeatArrived,     S.PRESENT,    when="is_new_run", do="meet_new_run"),
        Row(HeartbeatArrived,     S.REGISTERED, when="is_registered", do="hear_heartbeat"),
        Row(HeartbeatArrived,     do="hear_heartbeat"),
        Row(EverestSpoke,         S.PRESENT,    when="is_another_start", do="meet_by_word"),
        Row(EverestSpoke,         S.REGISTERED, when="is_from_csms", do="register"),
        Row(EverestSpoke,         do="remember_word"),
        Row(HeartbeatsMissing,    S.ABSENT),
        Row(RegistrationTimedOut, do="stop_waiting"),
        Row(BrokerLost,           S.ABSENT,     do="lose_words"),
        ignored=(BrokerFound, HeartbeatsNeverCame),
    ),
    S.REGISTERED: StateRows(
        Row(HeartbeatArrived,     S.REGISTERED, when="is_registered_new_run", do="meet_new_run"),
        Row(HeartbeatArrived,     S.PRESENT,    when="is_new_run", do="meet_new_run"),
        Row(HeartbeatArrived,     do="hear_heartbeat"),
        Row(EverestSpoke,         S.PRESENT,    when="is_another_start", do="meet_by_word"),
        Row(EverestSpoke,         do="remember_word"),
        Row(HeartbeatsMissing,    S.ABSENT),
        Row(BrokerLost,           S.ABSENT,     do="lose_words"),
        ignored=(BrokerFound, HeartbeatsNeverCame, RegistrationTimedOut),
    ),
}

# A start of ours begins at ABSENT, whatever was: EVerest may have come and gone in between.
RECOVERY: dict[PresenceState, str] = {
    S.ABSENT:     "begin",
    S.PRESENT:    "begin",
    S.REGISTERED: "begin",
}
# fmt: on
