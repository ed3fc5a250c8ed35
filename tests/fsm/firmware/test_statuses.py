"""The statuses of an update: the sequences that OCPP's tests expect, and that no others can come."""

from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.firmware_driver import ARTIFACT, WAYS, FirmwareDriver, S
from support.firmware_world import LETTERS, WHOLE, World

from everest_system.fsm.firmware.events import (
    Confirmed,
    DownloadFinished,
    DownloadInterrupted,
    InstallFinished,
    ResumeRequested,
    RollBackFailed,
    SignatureInvalid,
)
from everest_system.fsm.firmware.states import ENDS
from everest_system.fsm.outbox import message


def straight(activation, **fields):
    """An update without a fault."""
    update = FirmwareDriver(reboot_grace_s=0)
    update.request(**fields)
    update.download()
    update.verify()
    update.permit()
    update.report(InstallFinished, activation)
    if activation == "reboot":
        update.reboot()
        update.report(Confirmed)
    return update


SIGNED = "Downloading Downloaded SignatureVerified Installing"
UNSIGNED = "Downloading Downloaded Installing"


@pytest.mark.parametrize(
    ("fields", "activation", "words"),
    [
        ({"request_id": -1, "signed": False}, "none", f"{UNSIGNED} Installed"),
        ({"request_id": -1, "signed": False}, "reboot", f"{UNSIGNED} InstallRebooting Installed"),
        ({"request_id": 1, "signed": True}, "none", f"{SIGNED} Installed"),
        ({"request_id": 1, "signed": True}, "reboot", f"{SIGNED} InstallRebooting Installed"),
    ],
)
def test_an_update_without_a_fault(fields, activation, words):
    """The order that EVerest's OCPP tests expect, with each word said once and of the request's id."""
    update = straight(activation, **fields)
    assert update.words == words.split()
    assert {status.request_id for status in update.statuses} == {fields["request_id"]}
    assert [status.is_end for status in update.statuses] == [False] * (len(update.words) - 1) + [True]


def test_a_signature_that_is_missing_or_wrong():
    """Downloading, Downloaded, InvalidSignature."""
    update = FirmwareDriver()
    update.request(1, signed=False, signing_certificate="PEM")
    update.download()
    update.report(SignatureInvalid, "the request has a certificate but no signature")
    assert update.words == ["Downloading", "Downloaded", "InvalidSignature"]


def test_a_connection_that_breaks_once():
    """Downloading, DownloadPaused, Downloading, Downloaded."""
    update = FirmwareDriver.at(S.DOWNLOADING)
    update.report(DownloadInterrupted, "the connection broke")
    update.take(ResumeRequested())
    update.report(DownloadFinished, ARTIFACT)
    assert update.words == ["Downloading", "DownloadPaused", "Downloading", "Downloaded"]


def test_an_installation_that_fails_after_the_reboot():
    """InstallRebooting, InstallationFailed."""
    update = FirmwareDriver.at(S.ROLLING_BACK)
    update.report(RollBackFailed, "the slot is gone")
    assert update.words[-2:] == ["InstallRebooting", "InstallationFailed"]


def test_each_status_names_its_predecessor():
    """The outbox can say each status behind the word that went before it."""
    update = straight("reboot", request_id=1, signed=True)
    assert [str(status.predecessor) for status in update.statuses] == ["", *update.words[:-1]]


def test_statuses_become_the_specifications_messages():
    """Each word of the machine is one of the wire's."""
    update = straight("none", request_id=1, signed=True)
    last = message(update.statuses[-1])
    assert last.model_dump(mode="json", exclude_none=True) == {"firmware_update_status": "Installed", "request_id": 1}


@pytest.mark.parametrize("state", sorted(WAYS))
@given(
    choices=st.lists(st.integers(0, 255), min_size=1, max_size=60),
    signed=st.booleans(),
    report_each_attempt=st.booleans(),
)
@settings(max_examples=examples(30))
def test_no_walk_leaves_the_order(state, choices, signed, report_each_attempt):
    """Whatever the world brings, in whatever order: statuses in their order, one end for each request, no dead end."""
    rules = {"report_each_attempt": report_each_attempt, "permission_timeout_s": 100, "download_timeout_s": 500}
    world = World(FirmwareDriver.at(state, signed=signed, **rules))
    for choice in choices:
        world.move(choice)
        assert not world.is_stuck()
    assert_order(world.update)


def assert_order(update):
    """Every job's statuses are a whole, but for the last one's, which may still be under way; and no two jobs mix."""
    jobs = [(job, list(statuses)) for job, statuses in groupby(update.statuses, key=lambda status: status.job)]
    assert [job for job, _ in jobs] == sorted({job for job, _ in jobs})
    for job, statuses in jobs:
        signed = any(status.word in {"SignatureVerified"} for status in statuses)
        said = "".join(LETTERS[status.word] for status in statuses)
        ends = [status.is_end for status in statuses]
        if job == update.snapshot.job and update.state not in ENDS:
            assert not any(ends), said
            continue
        assert ends == [False] * (len(ends) - 1) + [True], said
        assert WHOLE[signed, statuses[0].request_id != -1].fullmatch(said), said
    reported = [status.job for status in update.statuses if status.is_end]
    assert len(reported) == len(set(reported))


def test_a_request_delivered_in_the_middle_never_mixes_with_the_old_one():
    """Sixty cancellations in a row: each request has its one end, in the order of the requests."""
    world = World(FirmwareDriver())
    for number in range(60):
        world.update.request(number)
    ends = [(status.request_id, str(status.word)) for status in world.update.statuses]
    assert ends == [(number, "DownloadFailed") for number in range(59)]
