"""Requests and ends: one end for each, and cancelling."""

import pytest
from support.firmware_driver import WAYS, FirmwareDriver, S

from everest_system.fsm.events import Settled
from everest_system.fsm.firmware.events import UpdateRequested
from everest_system.fsm.firmware.states import ENDS, UNINTERRUPTIBLE
from everest_system.fsm.messages import UpdateFirmwareResponse
from everest_system.fsm.orders import RemoveArtifact, Reply, StopWork, Tell
from everest_system.fsm.platform.events import FirmwareHeard, FirmwareSettled

FREE = sorted({S.IDLE, *ENDS} - {S.CANCELED})
BUSY = sorted(UNINTERRUPTIBLE)
CANCELABLE = sorted(set(WAYS) - {*FREE, *BUSY})
AFTER_DOWNLOAD = {S.DOWNLOADED, S.INSTALL_SCHEDULED, S.AWAITING_PERMISSION}
# Waits for the operator or for EVerest, as long as that takes.
PATIENT = {S.IDLE, S.AWAITING_PERMISSION, *ENDS}

each_signed = pytest.mark.parametrize("signed", [True, False])


@pytest.mark.parametrize("state", FREE)
@each_signed
def test_a_request_is_accepted_where_none_is_under_way(state, signed):
    """The reply comes first; the first status follows when it has settled."""
    update = FirmwareDriver.at(state, signed=signed, settle_s=0.5)
    words, orders = len(update.words), len(update.orders)
    update.request(8, reply_to="reply/8")
    assert update.words[words:] == []
    assert update.orders[orders:] == [Reply("update_firmware", "reply/8", UpdateFirmwareResponse.ACCEPTED)]
    assert update.left(Settled) == 0.5
    assert update.snapshot.run == 1


@pytest.mark.parametrize("state", BUSY)
@each_signed
def test_a_request_is_rejected_while_installing(state, signed):
    """L01.FR.27: Rejected changes nothing."""
    update = FirmwareDriver.at(state, signed=signed)
    before = update.snapshot.model_dump()
    outcome = update.take(UpdateRequested(update.snapshot.request, "reply/again", run=1))
    assert outcome.orders == (Reply("update_firmware", "reply/again", UpdateFirmwareResponse.REJECTED),)
    assert (outcome.statuses, update.snapshot.model_dump()) == ((), before)


@pytest.mark.parametrize("state", CANCELABLE)
@pytest.mark.parametrize(("old_id", "signed"), [(7, True), (7, False), (-1, False)])
@pytest.mark.parametrize("new_id", [8, 7, -1])
def test_a_new_request_cancels_the_old_one(state, old_id, signed, new_id):
    """L01.FR.24: AcceptedCanceled; the old id's one end comes before the new one's first status."""
    update = FirmwareDriver.at(state, signed=signed, request_id=old_id)
    statuses, orders = len(update.statuses), len(update.orders)
    update.request(new_id, signed=False)
    word = "InstallationFailed" if state in AFTER_DOWNLOAD else "DownloadFailed"
    (end,) = update.statuses[statuses:]
    assert (end.word, end.request_id, end.job, end.is_end) == (word, old_id, 1, True)
    assert update.orders[orders:] == [
        StopWork(1),
        RemoveArtifact(1),
        Tell("platform", FirmwareSettled()),
        Reply("update_firmware", "reply/1", UpdateFirmwareResponse.ACCEPTED_CANCELED),
    ]
    assert update.waits_for(Settled)
    update.fire(Settled)
    assert [(status.word, status.request_id, status.job) for status in update.statuses[statuses + 1 :]] == [
        ("Downloading", new_id, 2)
    ]


def test_nothing_of_the_old_job_is_left_in_the_new_one():
    """A new job begins with nothing but its request, the numbers going on."""
    update = FirmwareDriver.at(S.AWAITING_PERMISSION)
    work = update.snapshot.work
    update.request(8, signed=False)
    fresh = FirmwareDriver()
    fresh.request(8, signed=False)
    changed = {"job", "work", "timers"}
    assert update.snapshot.model_dump(exclude=changed) == fresh.snapshot.model_dump(exclude=changed)
    assert update.snapshot.job == 2
    assert update.snapshot.work > work


@pytest.mark.parametrize("state", sorted(set(ENDS) - {S.CANCELED}))
def test_an_end_cleans_up_and_says_so(state):
    """At its end an update has no timers, its file is removed, also after a crash, and waiting resets are told."""
    update = FirmwareDriver.at(state)
    assert update.snapshot.timers == {}
    assert update.orders[-2:] == [RemoveArtifact(1), Tell("platform", FirmwareSettled())]
    assert [status.is_end for status in update.statuses].count(True) == 1
    assert update.statuses[-1].is_end
    outcome = update.restart(boot=True)
    assert (outcome.statuses, outcome.orders) == ((), (RemoveArtifact(1),))


@pytest.mark.parametrize("state", sorted(set(ENDS) - {S.CANCELED}))
def test_a_waiting_reset_is_told_when_the_end_is_heard(state):
    """Only the end status counts for that."""
    update = FirmwareDriver.at(state)
    end = update.words[-1]
    assert not update.deliver("Downloaded").taken
    update.deliver(end)
    assert update.told[-1] == FirmwareHeard()


@pytest.mark.parametrize("state", sorted(set(WAYS)))
@each_signed
@pytest.mark.parametrize("boot", [False, True])
def test_every_state_survives_a_restart(state, signed, boot):
    """After a restart each state waits for a timer, for work ordered again, or for somebody outside."""
    update = FirmwareDriver.at(state, signed=signed)
    ended = [status.is_end for status in update.statuses]
    outcome = update.restart(boot=boot)
    work = [order for order in outcome.orders if hasattr(order, "work")]
    assert update.state in PATIENT or update.snapshot.timers or work
    assert all(order.work == update.snapshot.work for order in work[-1:])
    assert [status.is_end for status in update.statuses].count(True) == ended.count(True)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (S.INVALID_SIGNATURE, "InvalidSignature"),
        (S.INSTALL_VERIFICATION_FAILED, "InstallVerificationFailed"),
    ],
)
def test_ocpp_1_6_is_told_in_words_that_it_knows(state, word):
    """A request without an id ends with InstallationFailed, where OCPP 1.6 would swallow the precise word."""
    assert FirmwareDriver.at(state, signed=False).words[-1] == word
    update = FirmwareDriver.at(state, signed=False, request_id=-1)
    assert (update.state, update.words[-1], update.statuses[-1].is_end) == (state, "InstallationFailed", True)
