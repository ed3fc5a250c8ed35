"""The installation: its checks, its time, the permission for it."""

import pytest
from support.firmware_driver import ARTIFACT, FirmwareDriver, S

from everest_system.fsm.events import EverestRestarted, Settled, StatusSending, WordsLost
from everest_system.fsm.firmware.events import (
    ArtifactUnfit,
    DownloadFinished,
    InstallFailed,
    InstallFinished,
    InstallTimeReached,
    PermissionGiven,
    PermissionTimedOut,
    SignatureInvalid,
)
from everest_system.fsm.firmware.snapshot import Permission
from everest_system.fsm.orders import CheckArtifact, RemoveArtifact, RollBack, StartInstall

LISTENING = [S.DOWNLOADED, S.INSTALL_SCHEDULED, S.AWAITING_PERMISSION]
OTHERS = sorted(set(S) - {*LISTENING, S.SIGNATURE_VERIFIED, S.CANCELED})


def verified(*, signed=True, request_id=7, install_in=None, **rules):
    """An update whose checks have found nothing wrong."""
    update = FirmwareDriver(**rules)
    update.request(request_id, signed=signed, install_in=install_in)
    update.download()
    update.verify()
    return update


# --- the checks ---


@pytest.mark.parametrize(
    ("signed", "words"),
    [
        (True, ["Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallVerificationFailed"]),
        (False, ["Downloading", "Downloaded", "Installing", "InstallVerificationFailed"]),
    ],
)
@pytest.mark.parametrize("install_in", [None, 3600])
def test_an_unfit_bundle_goes_at_once_to_its_end(signed, words, install_in):
    """L01.FR.29: neither time nor permission is waited for, nothing is installed, and the order is OCPP's."""
    update = FirmwareDriver()
    update.request(signed=signed, install_in=install_in)
    update.download()
    update.report(ArtifactUnfit, "not for this station")
    assert update.words == words
    assert (update.state, update.snapshot.reason) == (S.INSTALL_VERIFICATION_FAILED, "not for this station")
    assert (update.ordered(StartInstall), update.snapshot.timers) == ([], {})
    assert update.ordered(RemoveArtifact)


@pytest.mark.parametrize("signed", [True, False])
def test_a_check_that_fails_ends_as_a_failed_installation(signed):
    """Where the installer could not even look, the end is InstallationFailed."""
    update = FirmwareDriver.at(S.DOWNLOADED, signed=signed)
    update.report(InstallFailed, "rauc is not there")
    assert update.words[2:] == [*(["SignatureVerified"] if signed else []), "Installing", "InstallationFailed"]
    assert (update.snapshot.reason, update.ordered(StartInstall)) == ("rauc is not there", [])


@pytest.mark.parametrize("signed", [True, False])
def test_a_bad_signature_ends_the_update(signed):
    """The request's signature and the bundle's both end in InvalidSignature."""
    update = FirmwareDriver.at(S.DOWNLOADED, signed=signed)
    update.report(SignatureInvalid, "the signature does not fit the file")
    assert update.words == ["Downloading", "Downloaded", "InvalidSignature"]
    assert update.statuses[-1].is_end


@pytest.mark.parametrize("fields", [{"signing_certificate": "PEM"}, {"signature": "c2ln"}])
def test_half_a_signature_waits_for_verification(fields):
    """With a certificate or a signature alone, EVerest waits for SignatureVerified."""
    update = FirmwareDriver()
    update.request(signed=False, **fields)
    assert update.machine.trigger_word == "SignatureVerified"


def test_the_target_is_kept_before_anything_is_written():
    """The installation is ordered with the check's target and the artifact."""
    update = verified(permission_required=False)
    (check,), (order,) = update.ordered(CheckArtifact), update.ordered(StartInstall)
    assert check.artifact == order.artifact == ARTIFACT
    assert (order.target, order.again, update.snapshot.target) == ("slot-b", False, "slot-b")
    assert order.work > check.work


def test_checks_are_made_again_after_a_crash():
    """A crash while checking orders the checks again, and says nothing twice."""
    update = FirmwareDriver.at(S.DOWNLOADED)
    update.restart()
    assert len(update.ordered(CheckArtifact)) == 2
    assert update.words == ["Downloading", "Downloaded"]


def test_an_installation_goes_on_after_a_crash():
    """The installer is told that it may have begun already; nothing is said twice."""
    update = FirmwareDriver.at(S.INSTALLING)
    words = list(update.words)
    update.restart(boot=True)
    assert [order.again for order in update.ordered(StartInstall)] == [False, True]
    assert update.words == words


@pytest.mark.parametrize(
    ("event", "word"),
    [
        (ArtifactUnfit, "InstallVerificationFailed"),
        (SignatureInvalid, "InstallVerificationFailed"),
        (InstallFailed, "InstallationFailed"),
    ],
)
def test_an_installation_that_fails_says_how(event, word):
    """While installing it is too late for InvalidSignature; a failed check is told from all other failures."""
    update = FirmwareDriver.at(S.INSTALLING)
    update.report(event, "why")
    assert (update.words[-1], update.statuses[-1].is_end, update.snapshot.reason) == (word, True, "why")


# --- the time ---


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("permission_required", [True, False])
@pytest.mark.parametrize(("install_in", "scheduled"), [(None, False), (-60, False), (3600, True)])
def test_an_install_time_ahead_is_announced(signed, permission_required, install_in, scheduled):
    """L01.FR.05, L01.FR.16: InstallScheduled only for a time ahead; then, or at once, the permission decides."""
    update = verified(signed=signed, install_in=install_in, permission_required=permission_required)
    words = ["Downloading", "Downloaded", *(["SignatureVerified"] if signed else [])]
    if scheduled:
        assert update.words == [*words, "InstallScheduled"]
        update.send(words[-1])
        update.fire(InstallTimeReached)
        words.append("InstallScheduled")
    assert update.words == [*words, *([] if permission_required else ["Installing"])]
    assert update.state is (S.AWAITING_PERMISSION if permission_required else S.INSTALLING)


@pytest.mark.parametrize("signed", [True, False])
def test_a_trigger_status_that_never_went_out_is_said_when_the_time_has_come(signed):
    """An EVerest that comes after InstallScheduled is told that alone: it would never give its permission."""
    update = verified(signed=signed, install_in=3600)
    trigger = update.words[-2]
    update.fire(InstallTimeReached)
    assert (update.state, update.words[-2:]) == (S.AWAITING_PERMISSION, ["InstallScheduled", trigger])


# --- the permission ---


@pytest.mark.parametrize("state", OTHERS)
def test_a_permission_left_over_is_ignored(state):
    """EVerest's OCPP 1.6 repeats its permission even during the next update: elsewhere it means nothing."""
    update = FirmwareDriver.at(state)
    before = update.snapshot
    outcome = update.take(PermissionGiven())
    assert (outcome.taken, outcome.snapshot) == (False, before)


@pytest.mark.parametrize("state", LISTENING)
@pytest.mark.parametrize("signed", [True, False])
def test_a_permission_before_the_trigger_status_is_ignored(state, signed):
    """Until the trigger status goes out a permission is another update's; other statuses do not arm it."""
    update = FirmwareDriver.at(state, signed=signed)
    for word in ("Downloading", "InstallScheduled", *(["Downloaded"] if signed else [])):
        update.send(word)
    assert not update.take(PermissionGiven()).taken
    assert update.state is state
    assert update.snapshot.permission is Permission.NONE


@pytest.mark.parametrize("state", LISTENING)
def test_a_permission_from_the_trigger_status_on_is_kept(state):
    """Armed by Downloaded, an unsigned update keeps its permission wherever it stands, and takes it twice."""
    update = FirmwareDriver.at(state, signed=False)
    update.send("Downloaded")
    assert update.snapshot.permission is Permission.ARMED
    update.take(PermissionGiven())
    update.take(PermissionGiven())
    assert update.snapshot.permission is Permission.GIVEN
    if state is S.DOWNLOADED:
        update.verify()
    elif state is S.INSTALL_SCHEDULED:
        update.fire(InstallTimeReached)
    assert update.words[-1] == "Installing"
    assert update.words.count("Installing") == 1


def test_a_status_sent_again_does_not_take_the_permission_back():
    """When the outbox repeats the trigger status, a permission given meanwhile stays."""
    update = verified(install_in=3600)
    update.permit()
    update.send("SignatureVerified")
    assert update.snapshot.permission is Permission.GIVEN


def test_another_jobs_status_arms_nothing():
    """What still goes out for a canceled update does not arm its successor, even with the same request id."""
    update = FirmwareDriver.at(S.DOWNLOADED, signed=False)
    old = update.snapshot.job
    update.request(signed=False)
    update.download()
    update.take(StatusSending(old, "Downloaded"))
    assert update.snapshot.permission is Permission.NONE


def test_cancel_clears_the_permission():
    """The next update needs its own permission."""
    update = verified(install_in=3600)
    update.permit()
    update.request(8)
    assert update.snapshot.permission is Permission.NONE


@pytest.mark.parametrize("permission_timeout_s", [0, 90])
def test_the_permission_is_waited_for_as_configured(permission_timeout_s):
    """0 waits for as long as it takes; else the update ends with InstallationFailed, also across a crash."""
    update = FirmwareDriver.at(S.AWAITING_PERMISSION, permission_timeout_s=permission_timeout_s)
    update.clock.advance(30)
    update.restart()
    if not permission_timeout_s:
        assert update.snapshot.timers == {}
        return
    assert update.left(PermissionTimedOut) == 60
    update.fire(PermissionTimedOut)
    assert (update.words[-1], update.state) == ("InstallationFailed", S.INSTALLATION_FAILED)
    assert update.snapshot.reason == "no permission to install came within 90 s"


# --- restarts while the permission is waited for ---


@pytest.mark.parametrize("signed", [True, False])
def test_a_new_everest_is_asked_again(signed):
    """EVerest restarted while we wait: the trigger status again, and only what answers that one counts."""
    update = FirmwareDriver.at(S.AWAITING_PERMISSION, signed=signed)
    trigger = update.machine.trigger_word
    update.send(trigger)
    before = len(update.words)
    update.take(EverestRestarted())
    assert update.words[before:] == [trigger]
    assert not update.take(PermissionGiven()).taken
    update.permit()
    assert update.state is S.INSTALLING


@pytest.mark.parametrize("again", [1, 2])
@pytest.mark.parametrize("signed", [True, False])
def test_a_repeated_trigger_status_names_another_word_before_it(signed, again):
    """A repetition that went out too early is said again behind its predecessor: that must be another word."""
    update = FirmwareDriver.at(S.AWAITING_PERMISSION, signed=signed)
    for _ in range(again):
        update.take(EverestRestarted())
    assert update.statuses[-1].predecessor == ("Downloaded" if signed else "Downloading")


@pytest.mark.parametrize(
    ("request_id", "signed", "pair"),
    [
        (7, True, ["InstallScheduled", "SignatureVerified"]),
        (7, False, ["InstallScheduled", "Downloaded"]),
        (-1, False, ["Downloaded"]),
    ],
)
@pytest.mark.parametrize("install_in", [None, 3600])
@pytest.mark.parametrize("boot", [False, True])
def test_after_our_restart_everest_is_asked_behind_another_word(request_id, signed, pair, install_in, boot):
    """EVerest filters a status repeated: the pair gets through; OCPP 1.6 has no filter. A second time as well."""
    update = verified(signed=signed, request_id=request_id, install_in=install_in)
    if install_in:
        update.fire(InstallTimeReached)
    for _ in range(2):
        before = len(update.words)
        last = update.words[-1]
        update.restart(boot=boot)
        assert update.words[before:] == (pair[-1:] if last == "InstallScheduled" else pair)
    update.permit()
    assert update.words[-1] == "Installing"


def test_a_permission_that_is_needed_no_longer_is_not_waited_for():
    """A station configured anew, without permissions, goes on after its restart."""
    update = FirmwareDriver.at(S.AWAITING_PERMISSION)
    update.restart_with(permission_required=False)
    assert (update.state, update.words[-1]) == (S.INSTALLING, "Installing")


@pytest.mark.parametrize("what", ["everest", "we", "power"])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(
    ("state", "signed"), [(S.INSTALL_SCHEDULED, True), (S.INSTALL_SCHEDULED, False), (S.DOWNLOADED, False)]
)
def test_a_restart_before_the_install_time_takes_the_permission_back(what, given, state, signed):
    """Whoever restarted, the connectors may be in use again: EVerest is asked once more when the time has come."""
    update = FirmwareDriver.at(state, signed=signed)
    if given:
        update.permit()
    if what == "everest":
        update.take(EverestRestarted())
    else:
        update.restart(boot=what == "power")
    assert not update.take(PermissionGiven()).taken
    before = len(update.words)
    if state is S.DOWNLOADED:
        update.verify()
    else:
        update.fire(InstallTimeReached)
    trigger = update.machine.trigger_word
    assert update.words[before:] == ([trigger] if state is S.INSTALL_SCHEDULED else ["InstallScheduled", trigger])
    assert update.state is S.AWAITING_PERMISSION
    update.permit()
    assert update.state is S.INSTALLING


@pytest.mark.parametrize("what", ["everest", "we"])
def test_a_question_not_asked_yet_is_asked_once(what):
    """A restart before SignatureVerified was said needs no repetition of it."""
    update = FirmwareDriver.at(S.DOWNLOADED)
    if what == "everest":
        update.take(EverestRestarted())
    else:
        update.restart()
    update.verify()
    assert update.words == ["Downloading", "Downloaded", "SignatureVerified"]


def test_an_installation_without_permission_ends():
    """Permission = not_required: the whole way in one go, after the pause behind the reply."""
    update = FirmwareDriver(permission_required=False)
    update.request(-1, signed=False)
    update.fire(Settled)
    update.report(DownloadFinished, ARTIFACT)
    update.verify()
    update.report(InstallFinished, "none")
    assert update.words == ["Downloading", "Downloaded", "Installing", "Installed"]


def test_a_permission_that_may_have_been_lost_is_asked_for_when_it_is_needed():
    """Our connection broke after the trigger status: the answer may have come, so EVerest is asked again in time."""
    update = FirmwareDriver.at(S.INSTALL_SCHEDULED, signed=True)
    update.send("SignatureVerified")
    update.take(WordsLost())
    assert update.words[-1] == "InstallScheduled"
    update.fire(InstallTimeReached)
    assert (update.state, update.words[-1]) == (S.AWAITING_PERMISSION, "SignatureVerified")


@pytest.mark.parametrize("resumed", [False, True])
def test_an_installation_that_cannot_be_resumed_is_taken_back(resumed):
    """Before the crash it may have come as far as activating; one that fails at its first go has not."""
    update = FirmwareDriver.at(S.INSTALLING)
    if resumed:
        update.restart()
    update.report(InstallFailed, "no space left")
    assert update.state is (S.ROLLING_BACK if resumed else S.INSTALLATION_FAILED)
    assert len(update.ordered(RollBack)) == int(resumed)
    assert update.snapshot.reason == "no space left"
