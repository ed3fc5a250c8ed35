"""Requests for logs and their ends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.logs_driver import WAYS, LogsDriver, S

from everest_system.fsm.events import Settled
from everest_system.fsm.logs import events as facts
from everest_system.fsm.logs.states import ENDS
from everest_system.fsm.messages import UploadLogsResponse
from everest_system.fsm.orders import CollectLogs, RemoveArchive, Reply, StartUpload, StopWork, WorkOrder

FREE = sorted({S.IDLE, *ENDS} - {S.CANCELED})
CANCELABLE = sorted(set(WAYS) - set(FREE))


@pytest.mark.parametrize("state", FREE)
def test_a_request_is_accepted_where_none_is_under_way(state):
    """N01.FR.01: the reply names the file, before anything is collected."""
    upload = LogsDriver.at(state, settle_s=0.5)
    words, orders = len(upload.words), len(upload.orders)
    upload.request(8, reply_to="reply/8")
    response = UploadLogsResponse(upload_logs_status="Accepted", file_name="logs-8.tar.gz")
    assert upload.orders[orders:] == [Reply("upload_logs", "reply/8", response)]
    assert (upload.words[words:], upload.left(Settled)) == ([], 0.5)


@pytest.mark.parametrize("state", CANCELABLE)
@pytest.mark.parametrize(
    ("old_id", "ocpp_1_6", "word"),
    [
        (7, False, "AcceptedCanceled"),
        (7, True, "UploadFailure"),
        (-1, False, "UploadFailure"),
        (None, True, "UploadFailure"),
    ],
)
@pytest.mark.parametrize("new_id", [8, 7, None])
def test_a_new_request_cancels_the_old_one(state, old_id, ocpp_1_6, word, new_id):
    """N01.FR.12, N01.FR.20: AcceptedCanceled with the old id and nothing more of it, then the new one's Uploading."""
    upload = LogsDriver.at(state, old_id, ocpp_1_6=ocpp_1_6)
    statuses, orders = len(upload.statuses), len(upload.orders)
    upload.request(new_id)
    (end,) = upload.statuses[statuses:]
    assert (end.word, end.request_id, end.job, end.is_end) == (word, -1 if old_id is None else old_id, 1, True)
    response = UploadLogsResponse(upload_logs_status="AcceptedCanceled", file_name=f"logs-{new_id}.tar.gz")
    assert upload.orders[orders:] == [
        StopWork(1),
        RemoveArchive(1, f"logs-{old_id}.tar.gz"),
        Reply("upload_logs", "reply/1", response),
    ]
    assert upload.waits_for(Settled)
    upload.upload()
    (first,) = upload.statuses[statuses + 1 :]
    assert (first.word, first.job, first.request_id) == ("Uploading", 2, -1 if new_id is None else new_id)


@pytest.mark.parametrize("state", sorted(set(ENDS) - {S.CANCELED}))
def test_an_end_cleans_up(state):
    """At its end an upload has no timers, and its archive is removed, also after a crash."""
    upload = LogsDriver.at(state)
    remove = RemoveArchive(1, "logs-7.tar.gz")
    assert (upload.snapshot.timers, upload.orders[-1]) == ({}, remove)
    outcome = upload.restart(boot=True)
    assert (outcome.statuses, outcome.orders) == ((), (remove,))


@pytest.mark.parametrize("state", sorted(WAYS))
@pytest.mark.parametrize("boot", [False, True])
def test_every_state_survives_a_restart(state, boot):
    """After a restart each state waits for a timer, for work ordered again, or for a request."""
    upload = LogsDriver.at(state)
    outcome = upload.restart(boot=boot)
    work = [order for order in outcome.orders if isinstance(order, WorkOrder)]
    assert state in FREE or upload.snapshot.timers or work
    assert (upload.state, outcome.statuses) == (state, ())


ANSWERS = {
    CollectLogs: [(facts.LogsCollected, (1,)), (facts.CollectionFailed, ("failed",))],
    StartUpload: [
        (facts.UploadFinished, ()),
        (facts.UploadAttemptFailed, ("failed", "UploadFailure")),
        (facts.UploadAttemptFailed, ("failed", "PermissionDenied")),
        (facts.UploadRefused, ("refused", "BadMessage")),
    ],
}


def moves(upload):
    """All that the world can bring to an upload at this moment."""
    working = {S.COLLECTING: CollectLogs, S.UPLOADING: StartUpload}.get(upload.state)
    answers = ANSWERS[working] if working else []
    return [
        *(lambda kind=kind, about=about: upload.report(kind, *about) for kind, about in answers),
        *(lambda name=name: upload.fire(type(upload.machine.timer_event(name))) for name in upload.snapshot.timers),
        lambda: upload.restart(),
        lambda: upload.restart(boot=True),
        lambda: upload.send("Uploading"),
        lambda: upload.deliver("Uploading"),
        lambda: upload.request(8, retries=2),
        lambda: upload.request(None, retries=2),
    ]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.booleans())
@settings(max_examples=examples(100))
def test_no_walk_leaves_the_order(choices, ocpp_1_6):
    """Whatever the world brings: one end for each request, its last word, and no word that ends EVerest's module."""
    upload = LogsDriver(ocpp_1_6=ocpp_1_6)
    for choice in choices:
        now = moves(upload)
        now[choice % len(now)]()
    jobs = {status.job: [each for each in upload.statuses if each.job == status.job] for status in upload.statuses}
    assert [status.job for status in upload.statuses] == sorted(status.job for status in upload.statuses)
    for job, statuses in jobs.items():
        over = job < upload.snapshot.job or upload.state in ENDS
        assert [status.is_end for status in statuses] == [False] * (len(statuses) - 1) + [over]
        words = {str(status.word) for status in statuses}
        if statuses[0].request_id == -1:
            assert words <= {"Uploading", "Uploaded", "UploadFailure"}
        if ocpp_1_6:
            assert "AcceptedCanceled" not in words
    assert all(job in jobs for job in range(1, upload.snapshot.job))
