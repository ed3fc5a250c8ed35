"""The upload: its statuses, its attempts, its words."""

import pytest
from support.logs_driver import LogsDriver, S

from everest_system.fsm.events import RetryTimeReached, Settled
from everest_system.fsm.logs.events import (
    CollectionFailed,
    LogsCollected,
    UploadAttemptFailed,
    UploadFinished,
    UploadRefused,
)
from everest_system.fsm.orders import CollectLogs, RemoveArchive, StartUpload
from everest_system.fsm.outbox import message

WORDS = ["UploadFailure", "BadMessage", "PermissionDenied", "NotSupportedOperation"]


@pytest.mark.parametrize(("request_id", "said"), [(7, 7), (None, -1), (-1, -1), (0, 0)])
def test_an_upload_without_a_fault(request_id, said):
    """N01.FR.08, N01.FR.09: Uploading, Uploaded, with the request's id, or -1 where OCPP 1.6 gave none."""
    upload = LogsDriver.at(S.UPLOADED, request_id)
    assert [(status.word, status.request_id, status.is_end) for status in upload.statuses] == [
        ("Uploading", said, False),
        ("Uploaded", said, True),
    ]
    assert [status.predecessor for status in upload.statuses] == ["", "Uploading"]
    sent = message(upload.statuses[-1]).model_dump(mode="json")
    assert sent == {"log_status": "Uploaded", "request_id": said}


def test_the_archive_is_made_and_sent_under_the_name_of_the_reply():
    """Collecting, sending and removing all speak of the file that the reply named."""
    upload = LogsDriver.at(S.UPLOADED)
    orders = [upload.ordered(kind)[0] for kind in (CollectLogs, StartUpload, RemoveArchive)]
    assert {order.file_name for order in orders} == {"logs-7.tar.gz"}
    assert (upload.snapshot.length, upload.snapshot.timers) == (4096, {})


@pytest.mark.parametrize("request_id", [-1, 1])
@pytest.mark.parametrize(
    ("report_each_attempt", "words"),
    [(True, ["Uploading", "UploadFailure"] * 3), (False, ["Uploading"] * 3 + ["UploadFailure"])],
)
def test_each_attempt_is_reported_or_only_the_last(request_id, report_each_attempt, words):
    """What EVerest's tests expect: Uploading, UploadFailure three times over, and nothing after."""
    upload = LogsDriver(report_each_attempt=report_each_attempt)
    upload.request(request_id, retries=3, retry_interval_s=2)
    upload.upload()
    for attempt in range(3):
        if attempt:
            assert upload.left(RetryTimeReached) == 2
            upload.fire(RetryTimeReached)
        upload.report(UploadAttemptFailed, f"refused {attempt}", "UploadFailure")
    assert upload.words == words
    assert [status.is_end for status in upload.statuses] == [False] * (len(words) - 1) + [True]
    assert (upload.state, upload.snapshot.reason) == (S.UPLOAD_FAILURE, "refused 2")
    assert len(upload.ordered(CollectLogs)) == 1
    assert len(upload.ordered(StartUpload)) == 3


@pytest.mark.parametrize(
    ("fields", "rules", "attempts"),
    [
        ({"retries": 1}, {}, 1),
        ({}, {}, 3),
        ({}, {"default_retries": 4}, 4),
        ({"retries": 2}, {"default_retries": 4}, 2),
    ],
)
def test_retries_count_attempts_in_all(fields, rules, attempts):
    """With one attempt and a bad host: Uploading, UploadFailure."""
    upload = LogsDriver(**rules)
    upload.request(**fields)
    upload.upload()
    upload.report(UploadAttemptFailed, "no such host", "UploadFailure")
    while upload.state is S.UPLOAD_RETRY_SCHEDULED:
        upload.fire(RetryTimeReached)
        upload.report(UploadAttemptFailed, "no such host", "UploadFailure")
    assert upload.words == ["Uploading", "UploadFailure"] * attempts


@pytest.mark.parametrize(("retry_after_s", "pause_s"), [(None, 2), (15, 15), (300, 20)])
def test_the_servers_wish_is_heard_within_bounds(retry_after_s, pause_s):
    """Retry-After is respected up to the interval's tenfold."""
    upload = LogsDriver()
    upload.request(retry_interval_s=2)
    upload.upload()
    upload.report(UploadAttemptFailed, "HTTP 503", "UploadFailure", retry_after_s)
    assert upload.left(RetryTimeReached) == pause_s


def test_the_configured_interval_is_taken_where_the_request_has_none():
    """Without an interval in the request the station's own holds."""
    upload = LogsDriver.at(S.UPLOAD_RETRY_SCHEDULED, default_retry_interval_s=33)
    assert upload.left(RetryTimeReached) == 33


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("by", [UploadRefused, UploadAttemptFailed])
@pytest.mark.parametrize(
    ("request_id", "ocpp_1_6", "is_precise"),
    [(7, False, True), (7, True, True), (-1, False, False), (None, True, False)],
)
def test_a_failure_ends_with_the_word_that_everest_survives(word, by, request_id, ocpp_1_6, is_precise):
    """N01.FR.10: the most precise word; without a request id always UploadFailure, any other ends EVerest's module."""
    upload = LogsDriver(ocpp_1_6=ocpp_1_6)
    upload.request(request_id, retries=1)
    upload.upload()
    upload.report(by, "why", word)
    assert upload.words == ["Uploading", word if is_precise else "UploadFailure"]
    assert (upload.statuses[-1].is_end, upload.snapshot.reason) == (True, "why")
    assert (
        upload.state
        == {
            "UploadFailure": S.UPLOAD_FAILURE,
            "BadMessage": S.BAD_MESSAGE,
            "PermissionDenied": S.PERMISSION_DENIED,
            "NotSupportedOperation": S.NOT_SUPPORTED_OPERATION,
        }[word]
    )


@pytest.mark.parametrize("request_id", [7, None])
def test_between_attempts_the_word_is_always_the_same(request_id):
    """A precise word is an end; between attempts it is UploadFailure."""
    upload = LogsDriver()
    upload.request(request_id)
    upload.upload()
    upload.report(UploadAttemptFailed, "HTTP 429", "PermissionDenied")
    assert upload.words == ["Uploading", "UploadFailure"]
    assert not upload.statuses[-1].is_end


def test_an_archive_that_cannot_be_made_ends_the_upload():
    """Without an archive nothing is uploaded."""
    upload = LogsDriver.at(S.COLLECTING)
    upload.report(CollectionFailed, "no space left")
    assert (upload.words, upload.snapshot.reason) == (["UploadFailure"], "no space left")
    assert upload.ordered(StartUpload) == []
    assert upload.ordered(RemoveArchive)


@pytest.mark.parametrize("boot", [False, True])
def test_work_goes_on_after_a_restart(boot):
    """Collecting and uploading are ordered again, nothing is said twice, and the archive is not made again."""
    upload = LogsDriver.at(S.COLLECTING)
    upload.restart(boot=boot)
    assert len(upload.ordered(CollectLogs)) == 2
    upload.report(LogsCollected, 4096)
    upload.restart(boot=boot)
    assert (len(upload.ordered(CollectLogs)), len(upload.ordered(StartUpload))) == (2, 2)
    upload.report(UploadFinished)
    assert upload.words == ["Uploading", "Uploaded"]


def test_pauses_survive_a_restart():
    """Neither the settling pause nor the one before a retry is lost."""
    upload = LogsDriver.at(S.ACCEPTED)
    upload.restart()
    assert upload.waits_for(Settled)
    upload.upload()
    upload.report(UploadAttemptFailed, "no route", "UploadFailure")
    upload.restart(boot=True)
    assert upload.waits_for(RetryTimeReached)
    assert upload.left(RetryTimeReached) == 40


def test_a_repeated_word_names_another_before_it():
    """A repetition that EVerest may have dropped can be said again behind another word."""
    upload = LogsDriver.at(S.UPLOAD_RETRY_SCHEDULED, ocpp_1_6=True)
    upload.request(8)
    assert upload.words == ["Uploading", "UploadFailure", "UploadFailure"]
    assert upload.statuses[-1].predecessor == "Uploading"
