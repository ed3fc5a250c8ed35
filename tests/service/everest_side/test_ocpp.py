"""EVerest's OCPP modules and what they make of statuses."""

import pytest

from everest_system.everest_side.ocpp import OcppModule, Verdict
from everest_system.everest_side.status import Report


def take(module, *words, request_id=7, kind="firmware"):
    return [module.take(Report(kind, word, request_id)) for word in words]


def registered(version="2.0.1"):
    module = OcppModule(version)
    module.accept_boot()
    return module


PASSED, PERMITS = Verdict(), Verdict(permits=True)
REPEATED = Verdict(dropped="repeats the last one")


def test_2x_filters_each_kind_by_itself():
    """A log status between two firmware statuses does not make the second one new."""
    module = registered()
    assert take(module, "Downloading") == [PASSED]
    assert take(module, "Uploading", kind="log") == [PASSED]
    assert take(module, "Downloading") == [REPEATED]
    assert take(module, "Uploading", kind="log") == [REPEATED]


def test_2x_takes_the_same_word_of_another_request():
    """The filter looks at the request id as well."""
    module = registered()
    assert take(module, "Downloading") + take(module, "Downloading", request_id=8) == [PASSED, PASSED]


def test_2x_takes_an_unknown_update_for_a_signed_one():
    """After its restart EVerest permits at SignatureVerified only."""
    assert take(registered(), "Downloaded", "SignatureVerified") == [PASSED, PERMITS]


def test_2x_permits_nothing_before_the_boot_is_accepted():
    """A trigger status that is dropped triggers nothing."""
    (verdict,) = take(OcppModule("2.0.1"), "SignatureVerified")
    assert not verdict.permits
    assert verdict.dropped


@pytest.mark.parametrize(("signed", "trigger"), [(True, "SignatureVerified"), (False, "Downloaded")])
def test_16_permits_again_with_each_later_status(signed, trigger):
    """From its trigger on each firmware status brings the permission, also into the next update."""
    module = OcppModule("1.6")
    module.update_accepted(7, signed=signed)
    assert take(module, "Downloading", trigger, "Installing") == [PASSED, PERMITS, PERMITS]
    assert take(module, "Downloading", request_id=8) == [PERMITS]
    assert take(module, "Uploading", request_id=8, kind="log") == [PASSED]


def test_16_neither_filters_nor_waits_for_the_boot():
    """OCPP 1.6 passes a repeated status on, and one before the boot is accepted."""
    assert take(OcppModule("1.6"), "Downloading", "Downloading") == [PASSED, PASSED]


def test_16_without_request_id_knows_the_old_words_only():
    """With -1 six words pass, all others are swallowed."""
    module = OcppModule("1.6")
    words = ("Downloading", "Downloaded", "DownloadFailed", "Installing", "Installed", "InstallationFailed")
    assert [verdict.dropped for verdict in take(module, *words, request_id=-1)] == [""] * 6
    for word in ("InvalidSignature", "InstallVerificationFailed", "DownloadPaused", "SignatureVerified"):
        (verdict,) = take(module, word, request_id=-1)
        assert verdict.dropped


@pytest.mark.parametrize(
    "word", ["BadMessage", "PermissionDenied", "NotSupportedOperation", "AcceptedCanceled", "Idle"]
)
def test_16_without_request_id_falls_over_at_new_log_words(word):
    """With -1 any log status but the old three ends EVerest."""
    (verdict,) = take(OcppModule("1.6"), word, request_id=-1, kind="log")
    assert verdict.ends == f"the OCPP 1.6 module threw at log status {word}, request id -1"


def test_16_takes_precise_log_words_with_a_request_id():
    """With an id only AcceptedCanceled ends EVerest."""
    words = ("Uploading", "Uploaded", "UploadFailure", "BadMessage", "PermissionDenied")
    assert take(OcppModule("1.6"), *words, kind="log") == [PASSED] * 5
    assert take(OcppModule("1.6"), "AcceptedCanceled", kind="log")[0].ends
    assert take(OcppModule("1.6"), "Uploading", "Uploaded", "UploadFailure", kind="log", request_id=-1) == [PASSED] * 3


def test_without_ocpp_everything_passes():
    """Without an OCPP module nothing is dropped and nothing is permitted."""
    assert take(OcppModule(None), "SignatureVerified", "SignatureVerified") == [PASSED, PASSED]
