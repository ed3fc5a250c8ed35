"""The outbox: statuses in order, until EVerest has provably heard them."""

from dataclasses import replace

import pytest

from everest_system.fsm.machine import Status
from everest_system.fsm.messages import FirmwareUpdateMetadata, FirmwareUpdateStatusEnum
from everest_system.fsm.outbox import MOST_REQUESTS, MOST_ROWS, Outbox, OutboxChange, OutboxRow, message
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.fsm.presence.states import PresenceState

RUN = 5
NOW = 1000.0
ABSENT, PRESENT, REGISTERED = (PresenceSnapshot(state=state, run=RUN) for state in PresenceState)
WAITED = PresenceSnapshot(state=PresenceState.PRESENT, run=RUN, waited=True)


def row(seq, word="Downloading", *, job=1, run=RUN, is_end=False, predecessor="", machine="firmware", **marks):
    return OutboxRow(seq, "system_api", Status(machine, job, 7, run, word, is_end, predecessor), **marks)


def outbox(*rows):
    box = Outbox()
    box.add(rows)
    return box


def send(box, presence=PRESENT):
    """Send the next row, and have the broker acknowledge it; its number."""
    sent = box.next_row(presence)
    box.sending(sent, presence, NOW)
    box.acknowledged(box.in_flight)
    return sent.seq


def test_rows_go_out_in_their_order_one_at_a_time():
    """The next row waits for the broker's word on the one before."""
    box = outbox(row(1), row(2, "Downloaded"))
    first = box.next_row(PRESENT)
    assert (first.seq, box.sending(first, PRESENT, NOW)[1]) == (1, OutboxChange(marked=(replace(first, sent=True),)))
    assert box.next_row(PRESENT) is None
    box.acknowledged(box.in_flight)
    assert send(box) == 2
    assert box.next_row(PRESENT) is None


def test_a_row_is_done_after_the_brokers_word_and_a_later_heartbeat():
    """EVerest listens with QoS 0: neither the broker's word nor a heartbeat alone proves anything."""
    box = outbox(row(1), row(2))
    assert box.heard() == ()
    box.sending(box.next_row(PRESENT), PRESENT, NOW)
    assert box.heard() == ()
    box.acknowledged(box.in_flight)
    assert set(box.rows) == {1, 2}
    assert [done.seq for done in box.heard()] == [1]
    assert set(box.rows) == {2}
    assert box.heard() == ()


@pytest.mark.parametrize(
    ("presence", "run", "goes"),
    [
        (ABSENT, RUN, False),
        (PRESENT, RUN, True),
        (PRESENT, RUN - 1, False),
        (WAITED, RUN - 1, True),
        (REGISTERED, RUN - 1, True),
    ],
)
def test_a_row_goes_out_when_everest_listens(presence, run, goes):
    """The answer is Presence's, by the run that the request came from."""
    assert (outbox(row(1, run=run)).next_row(presence) is not None) is goes


def test_a_row_that_waits_keeps_the_order():
    """What may not go out yet holds back what comes behind it."""
    assert outbox(row(1, run=RUN - 1), row(2, job=2)).next_row(PRESENT) is None


def test_what_the_broker_has_not_acknowledged_goes_out_again():
    """After a lost connection the row in flight is sent once more, the acknowledged ones are not."""
    box = outbox(row(1), row(2))
    send(box)
    box.sending(box.next_row(PRESENT), PRESENT, NOW)
    stale = box.in_flight
    box.disconnected()
    box.acknowledged(stale)
    assert box.next_row(PRESENT).seq == 2


def test_an_acknowledgement_is_for_the_one_sending_that_it_names():
    """EVerest restarted and the row went out anew: the broker's word on the first time says nothing of the second."""
    box = outbox(row(1), row(2, machine="logs"))
    box.sending(box.next_row(PRESENT), PRESENT, NOW)
    stale = box.in_flight
    box.begin_run(NOW, NOW, may_be_same=False)
    box.sending(box.next_row(REGISTERED), REGISTERED, NOW)
    assert (box.in_flight.seq, stale.seq) == (1, 1)
    box.acknowledged(stale)
    assert box.next_row(REGISTERED) is None
    assert box.heard() == ()
    box.acknowledged(box.in_flight)
    assert [done.seq for done in box.heard()] == [1]


def test_removing_what_is_in_flight_makes_room():
    """A row removed in flight does not block the next, and one that is gone already does no harm."""
    box = outbox(row(1), row(2))
    box.sending(box.next_row(PRESENT), PRESENT, NOW)
    box.remove([1, 99])
    assert box.next_row(PRESENT).seq == 2


def test_a_heartbeat_is_awaited_only_where_it_would_prove_something():
    """From the broker's word on until it is heard; an early row waits for the registration instead."""
    box = outbox(row(1))
    awaited = [box.awaits_heartbeat]
    send(box)
    awaited.append(box.awaits_heartbeat)
    box.heard()
    assert [*awaited, box.awaits_heartbeat, early_end().awaits_heartbeat] == [False, True, False, False]


def test_our_start_sends_again_what_went_out_last():
    """EVerest's filter drops that repetition; what went out before it the broker had, and a heartbeat proves it."""
    box = outbox(
        row(1, "Downloading"),
        row(2, "Uploading", machine="logs"),
        row(3, "Downloaded"),
        row(4, "SignatureVerified"),
        row(5, "Uploaded", machine="logs"),
    )
    for _ in range(3):
        send(box)
    after_a_crash = outbox(*box.rows.values())
    after_a_crash.begin_again()
    assert [send(after_a_crash) for _ in range(3)] == [3, 4, 5]
    assert [done.seq for done in after_a_crash.heard()] == [1, 2, 3, 4, 5]


def test_our_start_beside_another_everest_begins_anew():
    """What had gone out went to one that is gone: the latest of each request is said to the next."""
    box = outbox(row(1, "Downloading"), row(2, "Downloaded"), row(3, "Uploading", machine="logs"))
    for _ in range(3):
        send(box)
    after_a_crash = outbox(*box.rows.values())
    after_a_crash.begin_again()
    assert after_a_crash.begin_run(NOW, NOW, may_be_same=False).removed == (1,)
    assert [send(after_a_crash, REGISTERED) for _ in range(2)] == [2, 3]


def test_another_everest_hears_the_latest_of_each_request():
    """What the last EVerest did not provably hear is said to the next: of each request the latest status."""
    box = outbox(
        row(1, "Downloading"),
        row(2, "DownloadFailed", is_end=True),
        row(3, "Uploading", machine="logs"),
        row(4, "Downloading", job=2),
        row(5, "Uploaded", machine="logs", is_end=True),
        row(6, "Downloaded", job=2),
    )
    for _ in range(3):
        send(box)
    box.sending(box.next_row(PRESENT), PRESENT, NOW)
    box.disconnected()
    assert box.begin_run(NOW, NOW, may_be_same=False) == OutboxChange(
        removed=(1, 3, 4), marked=(row(2, "DownloadFailed", is_end=True),)
    )
    assert [send(box, REGISTERED) for _ in range(3)] == [2, 5, 6]
    assert [done.seq for done in box.heard()] == [2, 5, 6]


@pytest.mark.parametrize(
    ("presence", "run", "is_early"), [(WAITED, RUN - 1, True), (WAITED, RUN, False), (REGISTERED, RUN - 1, False)]
)
def test_what_goes_out_before_the_registration_is_marked(presence, run, is_early):
    """A result of a request from before may be dropped by an EVerest that is not registered."""
    box = outbox(row(1, run=run))
    _, change = box.sending(box.next_row(presence), presence, NOW)
    assert change == OutboxChange(marked=(replace(row(1, run=run), sent=True, early=is_early),))
    assert box.rows[1].early is is_early
    box.acknowledged(box.in_flight)
    assert len(box.heard()) == (0 if is_early else 1)
    assert box.next_row(WAITED) is None


def early_end():
    """An end status that went out before the registration."""
    box = outbox(row(8, "Installed", run=RUN - 1, is_end=True, predecessor="InstallRebooting"))
    send(box, WAITED)
    return box


def test_a_late_registration_repeats_behind_the_predecessor():
    """EVerest's filter drops a status repeated: the pair gets through, and is done when it is heard."""
    box = early_end()
    change = box.repeat_early(20)
    assert change.removed == (8,)
    assert [(each.seq, each.status.word, each.status.is_end, each.early) for each in change.added] == [
        (20, "InstallRebooting", False, False),
        (21, "Installed", True, False),
    ]
    assert [send(box, REGISTERED), send(box, REGISTERED)] == [20, 21]
    assert [done.seq for done in box.heard()] == [20, 21]
    assert box.repeat_early(30) == OutboxChange()


def test_a_first_word_is_repeated_alone():
    """Without a predecessor there is nothing to put before it."""
    box = outbox(row(1, run=RUN - 1))
    send(box, WAITED)
    assert [each.status.word for each in box.repeat_early(2).added] == ["Downloading"]


def test_only_the_latest_of_a_request_is_repeated():
    """What was early and has a successor need not be said again; each request has its own pair, numbered on."""
    box = outbox(
        row(1, "Downloading", run=RUN - 1),
        row(2, "Downloaded", run=RUN - 1, predecessor="Downloading"),
        row(3, "Uploaded", run=RUN - 1, machine="logs", predecessor="Uploading"),
        row(4, "Downloading", job=2),
    )
    for _ in range(4):
        send(box, WAITED)
    change = box.repeat_early(10)
    assert change.removed == (1, 2, 3)
    assert [(each.seq, each.status.word) for each in change.added] == [
        (10, "Downloading"),
        (11, "Downloaded"),
        (12, "Uploading"),
        (13, "Uploaded"),
    ]
    assert [done.seq for done in box.heard()] == [4]


def test_what_went_out_around_a_restart_goes_out_behind_its_predecessor():
    """Since the last heartbeat EVerest may have restarted, heard it before its registration, and dropped it."""
    box = outbox(row(1, "Installed", is_end=True, predecessor="Installing"), row(2, "Uploading", machine="logs"))
    send(box)
    change = box.begin_run(NOW, NOW, may_be_same=False)
    assert [(each.seq, each.early, each.sent) for each in change.marked] == [(1, True, False)]
    assert box.next_row(PresenceSnapshot(state=PresenceState.PRESENT, run=RUN + 1)) is None
    assert [(each.status.word, each.early) for each in box.repeat_early(10).added] == [
        ("Installing", False),
        ("Installed", False),
    ]


def test_what_went_out_around_a_restart_does_not_wait_for_ever():
    """Where the registration does not come in time, it goes out alone, and behind its predecessor after all."""
    box = outbox(row(1, "Installed", is_end=True, predecessor="Installing", run=RUN - 1))
    send(box, REGISTERED)
    box.begin_run(NOW, NOW, may_be_same=False)
    assert send(box, WAITED) == 1
    assert (box.rows[1].early, box.next_row(WAITED)) == (True, None)
    assert [each.status.word for each in box.repeat_early(10).added] == ["Installing", "Installed"]


@pytest.mark.parametrize("how", ["heartbeat", "connection", "long ago"])
def test_what_went_out_to_the_last_everest_alone_is_new_to_the_next(how):
    """A heartbeat of its, a broken connection, or a long time lies between: the next one cannot have heard it."""
    box = outbox(row(1, "Installed", is_end=True, predecessor="Installing"))
    box.sending(box.next_row(PRESENT), PRESENT, NOW)
    if how == "heartbeat":
        box.heard()
    elif how == "connection":
        box.disconnected()
    box.begin_run(NOW + 1 if how == "long ago" else NOW, NOW + 1, may_be_same=False)
    assert not box.rows[1].early


def test_one_that_may_be_the_same_is_told_all_that_never_went_out():
    """A trigger status alone, said again, would be dropped as a repetition; what had gone out is not said again."""
    box = outbox(row(1, "Downloaded", sent=True), row(2, "InstallScheduled"), row(3, "SignatureVerified"))
    assert box.begin_run(NOW, NOW, may_be_same=True).removed == (1,)
    assert [send(box, REGISTERED) for _ in range(2)] == [2, 3]


def test_another_everest_begins_without_marks():
    """What went out too early to the last EVerest is new to the next one."""
    box = early_end()
    box.heard()
    assert box.begin_run(NOW, NOW, may_be_same=False) == OutboxChange(marked=(box.rows[8],))
    assert not box.rows[8].early
    assert not box.rows[8].sent
    assert send(box, REGISTERED) == 8
    assert [done.seq for done in box.heard()] == [8]


def test_an_early_row_that_was_stored_waits_for_the_registration():
    """After our restart an early row is known as that: it goes out when EVerest is registered."""
    box = outbox(replace(row(1, run=RUN - 1, early=True), sent=True))
    assert box.next_row(WAITED) is None
    assert box.next_row(REGISTERED).seq == 1


def test_a_full_outbox_keeps_the_latest_of_each_request():
    """Up to the bound nothing is lost; beyond it each request is left its last word."""
    box = outbox(*(row(seq, job=(seq - 1) // 4) for seq in range(1, MOST_ROWS + 1)))
    assert box.trim() == ()
    box.add([row(MOST_ROWS + 1, job=MOST_ROWS)])
    dropped = box.trim()
    assert list(box.rows) == [*range(4, MOST_ROWS + 1, 4), MOST_ROWS + 1]
    assert {*dropped, *box.rows} == set(range(1, MOST_ROWS + 2))


def test_the_outbox_has_a_bound_however_many_requests_come():
    """Ten thousand requests without an acknowledgement: the last ones are left, and the row in flight."""
    box = outbox(row(1))
    box.sending(box.next_row(PRESENT), PRESENT, NOW)
    most = 0
    for seq in range(2, 20_002):
        box.add([row(seq, job=seq // 2)])
        box.trim()
        most = max(most, len(box.rows))
    assert most == MOST_ROWS
    assert box.in_flight.seq == 1
    assert 1 in box.rows
    assert {20_001, 19_999, 19_997} <= set(box.rows)


def test_a_full_outbox_keeps_what_a_machine_waits_for():
    """Hundreds of log requests after InstallRebooting: its delivery, which the reboot waits for, is still told."""
    box = outbox(row(1, "Installing"), row(2, "InstallRebooting"))
    assert [send(box), send(box)] == [1, 2]
    box.add(row(seq, "Uploading", machine="logs", job=seq) for seq in range(3, MOST_ROWS + MOST_REQUESTS))
    box.trim()
    assert [done.seq for done in box.heard()] == [2]


@pytest.mark.parametrize("said", [True, False])
def test_the_connectors_go_with_the_words_that_everest_reads_them_of(said):
    """Downloaded and SignatureVerified carry what was said of the connectors; all other words are as ever."""
    for word in FirmwareUpdateStatusEnum:
        status = replace(row(1, word).status, disable_connectors=said)
        metadata = FirmwareUpdateMetadata(disable_connectors_during_install=said)
        expected = metadata if word in {"Downloaded", "SignatureVerified"} else None
        assert message(status).firmware_update_metadata == expected
        assert message(row(1, word).status).firmware_update_metadata is None


def test_the_pair_that_passes_everests_filter_says_the_same_of_the_connectors():
    """A status said again behind its predecessor brings its metadata along, and the predecessor has the same."""
    status = replace(row(1, "SignatureVerified", predecessor="Downloaded").status, disable_connectors=False)
    box = outbox(OutboxRow(1, "system_api", status, early=True, sent=True))
    pair = [message(again.status) for again in box.repeat_early(2).added]
    assert [str(each.firmware_update_status) for each in pair] == ["Downloaded", "SignatureVerified"]
    assert all(each.firmware_update_metadata.disable_connectors_during_install is False for each in pair)
