"""The guard against a step that ends the service each time: it is taken up again five times, and then given up."""

import pytest
from support.firmware_driver import ARTIFACT, FirmwareDriver
from support.firmware_driver import S as F
from support.logs_driver import LogsDriver
from support.logs_driver import S as L
from support.machines import KINDS

from everest_system.fsm.artifact import Part
from everest_system.fsm.events import ResumedTooOften, RetryTimeReached
from everest_system.fsm.firmware.events import (
    DownloadAttemptFailed,
    DownloadFinished,
    PartKept,
    RollBackFailed,
    RolledBack,
)
from everest_system.fsm.firmware.states import UNINTERRUPTIBLE
from everest_system.fsm.logs.events import LogsCollected
from everest_system.fsm.machine import RESUMES_MAX
from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.orders import (
    CheckArtifact,
    CollectLogs,
    ConfirmInstall,
    RemoveArchive,
    RemoveArtifact,
    RollBack,
    StartDownload,
    StartInstall,
    StartUpload,
    WorkOrder,
)
from everest_system.fsm.platform.events import FirmwareBusy, FirmwareSettled, ResetRequested

MIB = 1 << 20
REASON = "resumed 5 times without progress, and cut short each time"

STEPS = [
    (FirmwareDriver, F.DOWNLOADING, StartDownload, F.DOWNLOAD_FAILED, "DownloadFailed"),
    (FirmwareDriver, F.DOWNLOADED, CheckArtifact, F.INSTALLATION_FAILED, "InstallationFailed"),
    (FirmwareDriver, F.INSTALLING, StartInstall, F.ROLLING_BACK, None),
    (FirmwareDriver, F.CONFIRMING, ConfirmInstall, F.ROLLING_BACK, None),
    (FirmwareDriver, F.ROLLING_BACK, RollBack, F.INSTALLATION_FAILED, "InstallationFailed"),
    (LogsDriver, L.COLLECTING, CollectLogs, L.UPLOAD_FAILURE, "UploadFailure"),
    (LogsDriver, L.UPLOADING, StartUpload, L.UPLOAD_FAILURE, "UploadFailure"),
]
each_step = pytest.mark.parametrize(
    ("driver", "state", "order", "target", "word"), STEPS, ids=[f"{step[1]}" for step in STEPS]
)


def crash(job, times, *, boot=False):
    """End the service with SIGKILL, or with the power, and start it again, so many times."""
    for _ in range(times):
        job.restart(boot=boot)


def stop(job):
    """Stop the service as SIGTERM does, and start it again."""
    job._adopt(job.machine.note_clean_stop(job.clock.now()))
    job.restart()


@each_step
@pytest.mark.parametrize("boot", [False, True], ids=["killed", "power cut"])
def test_a_step_that_ends_us_each_time_is_given_up(driver, state, order, target, word, boot):
    """Five starts take it up again, the sixth ends it, with the reason in the history, and orders it no more."""
    job = driver.at(state, **({"confirm_boots": RESUMES_MAX + 1} if state is F.CONFIRMING else {}))
    said = list(job.words)
    crash(job, RESUMES_MAX, boot=boot)
    assert (job.state, job.words) == (state, said)
    assert len(job.ordered(order)) == 1 + RESUMES_MAX
    job.restart(boot=boot)
    assert job.state is target
    assert job.words == said + ([word] if word else [])
    assert len(job.ordered(order)) == 1 + RESUMES_MAX
    last = job.steps[-1]
    assert (last.source, last.target, last.event, last.detail) == (state, target, "ResumedTooOften", REASON)
    assert job.snapshot.reason.endswith(REASON)
    assert job.snapshot.starts == 0


@each_step
def test_a_clean_stop_is_no_crash(driver, state, order, target, word):
    """Whoever stops and starts the service a hundred times gives up no step; crashes in between still count."""
    job = driver.at(state)
    for _ in range(100):
        stop(job)
    crash(job, RESUMES_MAX)
    for _ in range(100):
        stop(job)
    assert job.state is state
    job.restart()
    assert job.state is target


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_guarded_states_are_those_that_order_work_again(kind):
    """Each state whose way back in orders work has a row for the guard, or a count of its own; no other state has."""
    own_count = {"REBOOTING", "RESETTING"}
    guarded, ordering = set(), set()
    for state in kind.states:
        machine = kind.machine(state)
        if any(row.event is ResumedTooOften for row in machine.table[state].rows):
            guarded.add(str(state))
        if any(isinstance(order, WorkOrder) for order in machine.recover(_now(machine)).orders):
            ordering.add(str(state))
    assert guarded == ordering - own_count - {"SIGNATURE_VERIFIED"}


def _now(machine):
    return FirmwareDriver().clock.now()


@pytest.mark.parametrize("state", [F.ACCEPTED, F.DOWNLOAD_RETRY_SCHEDULED, F.INSTALL_SCHEDULED, F.AWAITING_PERMISSION])
def test_waiting_is_never_given_up(state):
    """A station that is switched off each night for a month goes on waiting."""
    update = FirmwareDriver.at(state)
    crash(update, 30, boot=True)
    assert (update.state, update.snapshot.starts) == (state, 0)


def test_a_part_that_grows_is_progress():
    """A download that brings new bytes in each life goes on for as long as it takes."""
    update = FirmwareDriver.at(F.DOWNLOADING)
    for mebibytes in range(4, 80, 4):
        crash(update, RESUMES_MAX)
        update.report(PartKept, Part(length=mebibytes * MIB, validator='"v1"'))
    assert update.state is F.DOWNLOADING
    crash(update, RESUMES_MAX + 1)
    assert update.state is F.DOWNLOAD_FAILED
    assert update.ordered(RemoveArtifact) == [RemoveArtifact(1)]


def test_a_part_that_begins_anew_is_no_progress():
    """A download that comes as far as the last time in each life, and then begins anew, is given up."""
    update = FirmwareDriver.at(F.DOWNLOADING)
    update.report(PartKept, Part(length=8 * MIB))
    for _ in range(RESUMES_MAX):
        update.restart()
        update.report(PartKept, Part())
        update.report(PartKept, Part(length=4 * MIB))
        update.report(PartKept, Part(length=8 * MIB))
        assert update.state is F.DOWNLOADING
    update.restart()
    assert update.state is F.DOWNLOAD_FAILED


def test_another_state_counts_anew():
    """An attempt that failed in its own way, and a download that came to its end, leave nothing of the count."""
    update = FirmwareDriver.at(F.DOWNLOADING)
    crash(update, RESUMES_MAX)
    update.report(DownloadAttemptFailed, "HTTP 503")
    update.fire(RetryTimeReached)
    crash(update, RESUMES_MAX)
    update.report(DownloadFinished, ARTIFACT)
    crash(update, RESUMES_MAX)
    update.verify()
    assert update.state is F.AWAITING_PERMISSION
    upload = LogsDriver.at(L.COLLECTING)
    crash(upload, RESUMES_MAX)
    upload.report(LogsCollected, 4096)
    crash(upload, RESUMES_MAX)
    assert upload.state is L.UPLOADING


def test_the_next_request_counts_anew():
    """A given up update leaves nothing of its count to the next one."""
    update = FirmwareDriver.at(F.DOWNLOADING)
    crash(update, RESUMES_MAX + 1)
    update.request(8)
    update.download()
    assert update.state is F.DOWNLOADED
    assert (update.snapshot.starts, update.snapshot.reached) == (0, 0)


@pytest.mark.parametrize("signed", [True, False])
def test_an_installation_that_ends_us_is_rolled_back(signed):
    """It may have come as far as activating: the old firmware is put in its place, and the update ends as failed."""
    update = FirmwareDriver.at(F.INSTALLING, signed=signed)
    crash(update, RESUMES_MAX + 1)
    assert [order.target for order in update.ordered(RollBack)] == ["slot-b"]
    update.report(RolledBack, "reboot")
    assert (update.state, update.snapshot.reason) == (F.INSTALLATION_FAILED, REASON)
    assert update.words[-2:] == ["Installing", "InstallationFailed"]
    assert not any(isinstance(told, ResetRequested) for told in update.told)


def test_a_firmware_that_goes_down_while_it_is_looked_at_is_left():
    """Back in the old firmware's place, and a reboot into it once the end status is delivered."""
    update = FirmwareDriver.at(F.CONFIRMING)
    crash(update, RESUMES_MAX + 1)
    update.report(RolledBack, "reboot")
    assert (update.state, update.words[-2:]) == (F.INSTALLATION_FAILED, ["InstallRebooting", "InstallationFailed"])
    assert ResetRequested(ResetType.HARD, BootReason.FIRMWARE_UPDATE, busy=True) in update.told


def test_whatever_ends_us_each_time_an_installation_comes_to_its_end():
    """Not even a station on which installing, and then rolling back, is deadly stays stuck: twelve starts at most."""
    update = FirmwareDriver.at(F.INSTALLING)
    crash(update, 2 * (RESUMES_MAX + 1), boot=True)
    assert (update.state, update.words[-1]) == (F.INSTALLATION_FAILED, "InstallationFailed")
    assert update.snapshot.reason == f"{REASON}; and rolling back failed: {REASON}"
    assert update.told[-1] == FirmwareSettled()
    assert update.state not in UNINTERRUPTIBLE


def test_no_way_back_is_the_end_too():
    """An installer that cannot roll back ends the update with both reasons."""
    update = FirmwareDriver.at(F.INSTALLING)
    crash(update, RESUMES_MAX + 1)
    update.report(RollBackFailed, "no way back")
    assert (update.state, update.snapshot.reason) == (
        F.INSTALLATION_FAILED,
        f"{REASON}; and rolling back failed: no way back",
    )


def test_resets_wait_while_an_installation_is_resumed():
    """Each start says again that it must not be interrupted."""
    update = FirmwareDriver.at(F.INSTALLING)
    crash(update, 2)
    assert update.told == [FirmwareBusy()] * 3


def test_a_given_up_upload_leaves_no_archive():
    """The spool is empty afterwards."""
    upload = LogsDriver.at(L.UPLOADING)
    crash(upload, RESUMES_MAX + 1)
    assert upload.ordered(RemoveArchive) == [RemoveArchive(1, "logs-7.tar.gz")]
    assert (upload.state, upload.snapshot.timers) == (L.UPLOAD_FAILURE, {})


def test_a_clean_stop_says_and_orders_nothing():
    """It changes the count and nothing else, and where no work runs not even that."""
    update = FirmwareDriver.at(F.DOWNLOADING)
    outcome = update.machine.note_clean_stop(update.clock.now())
    assert (outcome.statuses, outcome.orders, outcome.steps, outcome.taken) == ((), (), (), False)
    assert outcome.snapshot == update.snapshot.model_copy(update={"starts": -1})
    idle = FirmwareDriver.at(F.IDLE)
    assert idle.machine.note_clean_stop(idle.clock.now()).snapshot == idle.snapshot
