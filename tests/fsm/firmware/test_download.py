"""The download: schedule, attempts, broken connections, the operator's pause."""

from datetime import timedelta

import pytest
from support.firmware_driver import ARTIFACT, WAYS, FirmwareDriver, S

from everest_system.fsm.artifact import Part
from everest_system.fsm.events import RetryTimeReached, Settled
from everest_system.fsm.firmware.events import (
    DownloadAttemptFailed,
    DownloadFinished,
    DownloadInterrupted,
    DownloadRefused,
    DownloadTimedOut,
    PartKept,
    PauseRequested,
    ResumeRequested,
    RetrieveTimeReached,
)
from everest_system.fsm.orders import RemoveArtifact, StartDownload, StopWork

MIB = 1 << 20
LOADING = [S.DOWNLOADING, S.DOWNLOAD_PAUSED, S.DOWNLOAD_RETRY_SCHEDULED]


def downloading(**rules):
    """An update that downloads: three attempts, two seconds apart."""
    update = FirmwareDriver(**rules)
    update.request(retries=3, retry_interval_s=2)
    update.fire(Settled)
    return update


@pytest.mark.parametrize(
    ("retrieve_in", "words"),
    [
        (None, ["Downloading"]),
        (-3600, ["Downloading"]),
        (0.5, ["Downloading"]),
        (3600, ["DownloadScheduled"]),
    ],
)
def test_the_download_begins_at_its_time(retrieve_in, words):
    """L01.FR.13: DownloadScheduled only when the retrieve time lies ahead once the reply has settled."""
    update = FirmwareDriver()
    update.request(retrieve_in=retrieve_in)
    assert update.words == []
    update.fire(Settled)
    assert update.words == words


def test_a_scheduled_download_begins_by_the_wall_clock():
    """The retrieve time belongs to the wall clock, and survives a power cut."""
    update = FirmwareDriver.at(S.DOWNLOAD_SCHEDULED)
    update.restart(boot=True)
    update.clock.set_wall(1800)
    assert update.left(RetrieveTimeReached) == pytest.approx(3600 - 0.5 - 20 - 1800, abs=1)
    update.fire(RetrieveTimeReached)
    assert update.words == ["DownloadScheduled", "Downloading"]
    assert update.waits_for(DownloadTimedOut)


@pytest.mark.parametrize("request_id", [-1, 1])
@pytest.mark.parametrize(
    ("report_each_attempt", "words"),
    [(True, ["Downloading", "DownloadFailed"] * 3), (False, ["Downloading"] * 3 + ["DownloadFailed"])],
)
def test_each_attempt_is_reported_or_only_the_last(request_id, report_each_attempt, words):
    """What EVerest's tests expect: Downloading, DownloadFailed for every attempt; OCPP 2.0.1 prefers the last alone."""
    update = FirmwareDriver(report_each_attempt=report_each_attempt)
    update.request(request_id, signed=request_id == 1, retries=3, retry_interval_s=2)
    update.fire(Settled)
    for attempt in range(3):
        if attempt:
            assert update.left(RetryTimeReached) == 2
            update.fire(RetryTimeReached)
        update.report(DownloadAttemptFailed, f"refused {attempt}")
    assert update.words == words
    assert (update.state, update.snapshot.reason) == (S.DOWNLOAD_FAILED, "refused 2")
    assert [status.is_end for status in update.statuses] == [False] * (len(words) - 1) + [True]
    assert update.snapshot.timers == {}
    assert update.ordered(RemoveArtifact) == [RemoveArtifact(1)]


@pytest.mark.parametrize(
    ("fields", "rules", "attempts"),
    [
        ({"retries": 1}, {}, 1),
        ({"retries": 2}, {}, 2),
        ({}, {}, 3),
        ({}, {"default_retries": 5}, 5),
        ({"retries": 2}, {"default_retries": 5}, 2),
    ],
)
def test_retries_count_attempts_in_all(fields, rules, attempts):
    """`retries` is the number of attempts in all, the request's before the configured one."""
    update = FirmwareDriver(**rules)
    update.request(**fields)
    update.fire(Settled)
    update.report(DownloadAttemptFailed, "no route")
    while update.state is S.DOWNLOAD_RETRY_SCHEDULED:
        update.fire(RetryTimeReached)
        update.report(DownloadAttemptFailed, "no route")
    assert len(update.ordered(StartDownload)) == attempts
    assert update.state is S.DOWNLOAD_FAILED


@pytest.mark.parametrize(
    ("interval_s", "retry_after_s", "pause_s"),
    [(2, None, 2), (2, 1, 2), (2, 15, 15), (2, 20, 20), (2, 21, 20), (2, 86400, 20), (0, 30, 0), (None, None, 60)],
)
def test_the_servers_wish_is_heard_within_bounds(interval_s, retry_after_s, pause_s):
    """Retry-After is respected up to the interval's tenfold, and never shortens the interval."""
    update = FirmwareDriver()
    update.request(retry_interval_s=interval_s)
    update.fire(Settled)
    update.report(DownloadAttemptFailed, "HTTP 503", retry_after_s)
    assert update.left(RetryTimeReached) == pause_s


def test_a_refused_download_ends_at_once():
    """After a 404 no further attempt is made."""
    update = FirmwareDriver.at(S.DOWNLOAD_FAILED)
    assert update.words == ["Downloading", "DownloadFailed"]
    assert (len(update.ordered(StartDownload)), update.snapshot.reason) == (1, "HTTP 404")


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ([0, 0, 0], "Downloading DownloadPaused Downloading DownloadPaused Downloading DownloadFailed"),
        ([1, 1, 1, 1], "Downloading DownloadPaused " * 3 + "Downloading DownloadFailed"),
        ([1, 1, 2, 3, 3], "Downloading DownloadPaused " * 4 + "Downloading DownloadPaused"),
        ([1, 2, 3, 4, 5], "Downloading DownloadPaused " * 5),
        ([2, 1, 2, 2.5], "Downloading DownloadPaused " * 3 + "Downloading DownloadFailed"),
    ],
    ids=["nothing kept", "the first grew", "two more grew", "each grew", "less than before"],
)
def test_a_broken_connection_uses_up_an_attempt_unless_it_brought_much(kept, words):
    """An interruption counts as an attempt, unless the furthest byte ever kept grew by at least 1 MiB."""
    update = downloading()
    for mebibytes in kept:
        if update.state is S.DOWNLOAD_PAUSED:
            assert update.left(RetryTimeReached) == 2
            update.fire(RetryTimeReached)
        if update.state is S.DOWNLOADING:
            update.report(PartKept, Part(length=int(mebibytes * MIB)))
            update.report(DownloadInterrupted, "the connection broke")
    assert update.words == words.split()


@pytest.mark.parametrize(("length", "attempts"), [(MIB - 1, 1), (MIB, 0)])
def test_growth_counts_from_one_mebibyte_on(length, attempts):
    """One byte less than 1 MiB is an attempt used up."""
    update = downloading()
    update.report(PartKept, Part(length=length))
    update.report(DownloadInterrupted, "the connection broke")
    assert update.snapshot.attempts == attempts


@pytest.mark.parametrize("leave", ["timer", "operator", "crash"])
def test_an_interrupted_download_goes_on_from_its_part(leave):
    """Timer, operator and a crash in the middle all continue with the part that is safe on disk."""
    part = Part(length=3 * MIB, total=9 * MIB, validator='"v1"')
    update = downloading()
    update.report(PartKept, part)
    if leave == "crash":
        update.restart(boot=True)
        assert update.words == ["Downloading"]
    else:
        update.report(DownloadInterrupted, "the connection broke")
        if leave == "timer":
            update.fire(RetryTimeReached)
        else:
            update.take(ResumeRequested())
        assert update.words == ["Downloading", "DownloadPaused", "Downloading"]
    assert update.waits_for(DownloadTimedOut)
    first, second = update.ordered(StartDownload)
    assert (first.part, second.part) == (Part(), part)
    assert second.work > first.work


@pytest.mark.parametrize("state", LOADING)
def test_the_operator_holds_the_download_until_resumed(state):
    """Only the operator ends an operator's pause, also across a power cut, and the time to download begins anew."""
    update = FirmwareDriver.at(state)
    before = list(update.words)
    assert update.take(PauseRequested()).taken
    assert update.words == [*before, *(["DownloadPaused"] if state is not S.DOWNLOAD_PAUSED else [])]
    assert update.ordered(StopWork)
    update.restart(boot=True)
    assert (update.state, update.snapshot.timers, update.snapshot.held) == (S.DOWNLOAD_PAUSED, {}, True)
    update.clock.advance(7 * 86400)
    update.take(ResumeRequested())
    assert (update.words[-1], update.snapshot.held) == ("Downloading", False)
    assert update.left(DownloadTimedOut) == 86400


@pytest.mark.parametrize("state", sorted(set(WAYS) - {*LOADING}))
@pytest.mark.parametrize("event", [PauseRequested, ResumeRequested])
def test_there_is_nothing_to_hold_elsewhere(state, event):
    """Pause and resume mean nothing where nothing is being downloaded."""
    update = FirmwareDriver.at(state)
    before = update.snapshot
    outcome = update.take(event())
    assert (outcome.taken, outcome.snapshot) == (False, before)


@pytest.mark.parametrize("state", LOADING)
def test_all_attempts_together_have_one_time(state):
    """When `download_timeout_s` is over the update ends, wherever the download stands."""
    update = FirmwareDriver.at(state, download_timeout_s=50)
    first = update.left(DownloadTimedOut)
    assert first == 50
    late = update.snapshot.work
    update.fire(DownloadTimedOut)
    assert (update.state, update.words[-1]) == (S.DOWNLOAD_FAILED, "DownloadFailed")
    assert update.snapshot.reason == "the download took longer than 50 s"
    assert update.ordered(StopWork)
    assert not update.take(DownloadFinished(late, ARTIFACT)).taken


def test_a_start_after_the_time_asks_no_server_again():
    """A download whose time is over when the service starts ends there, without one more request."""
    update = downloading(download_timeout_s=50)
    update.clock.advance(50)
    asked = len(update.ordered(StartDownload))
    update.restart()
    assert (update.state, update.words[-1]) == (S.DOWNLOAD_FAILED, "DownloadFailed")
    assert len(update.ordered(StartDownload)) == asked


def test_a_new_attempt_does_not_prolong_the_time():
    """The time for the download runs on through pauses between attempts."""
    update = downloading(download_timeout_s=50)
    update.clock.advance(10)
    update.report(DownloadAttemptFailed, "no route")
    update.fire(RetryTimeReached)
    assert update.left(DownloadTimedOut) == 38


def test_a_set_clock_does_not_delay_a_retry():
    """Retries belong to the monotonic clock: setting the wall clock back by an hour changes nothing."""
    update = FirmwareDriver.at(S.DOWNLOAD_RETRY_SCHEDULED)
    update.clock.set_wall(-timedelta(hours=1).total_seconds())
    assert update.left(RetryTimeReached) == 60


def test_a_finished_download_leaves_nothing_behind():
    """The timer and the part are gone with Downloaded; what it is is known by length and digest."""
    update = FirmwareDriver.at(S.DOWNLOADED)
    assert update.words == ["Downloading", "Downloaded"]
    assert (update.snapshot.timers, update.snapshot.part, update.snapshot.artifact) == ({}, Part(), ARTIFACT)


def test_a_refusal_after_failures_keeps_its_own_reason():
    """The reason that is kept is that of the end."""
    update = FirmwareDriver.at(S.DOWNLOAD_RETRY_SCHEDULED)
    update.fire(RetryTimeReached)
    update.report(DownloadRefused, "HTTP 410")
    assert update.snapshot.reason == "HTTP 410"
    assert update.words == ["Downloading", "DownloadFailed", "Downloading", "DownloadFailed"]
