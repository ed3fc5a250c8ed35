"""Updates that leave the connectors in service: told with the statuses that EVerest reads it of, not waited for."""

from typing import Any

import pytest
from support.firmware_driver import ARTIFACT, FirmwareDriver, S

from everest_system.fsm.events import Settled
from everest_system.fsm.firmware.events import (
    DownloadFinished,
    InstallTimeReached,
    NothingToVerify,
    SignatureVerified,
)
from everest_system.fsm.firmware.snapshot import Permission
from everest_system.fsm.messages import FirmwareUpdateMetadata
from everest_system.fsm.orders import StartInstall
from everest_system.fsm.outbox import message

Said = bool | None


def ready(
    location: Said, artifact: Said, *, signed: bool = True, install_in: float | None = None, **rules: Any
) -> FirmwareDriver:
    """An update that has been checked, with the word of its location and of its file; the latter only when trusted."""
    update = FirmwareDriver(**rules)
    update.disable_connectors = location
    update.request(signed=signed, install_in=install_in)
    update.fire(Settled)
    if signed:
        update.report(DownloadFinished, ARTIFACT)
        update.report(SignatureVerified, "slot-b", artifact)
    else:
        update.report(DownloadFinished, ARTIFACT, artifact)
        update.report(NothingToVerify, "slot-b")
    return update


def told(update: FirmwareDriver) -> list[tuple[str, Said]]:
    """What EVerest reads in each status: its word, and its metadata."""
    read = []
    for status in update.statuses:
        metadata = getattr(message(status), "firmware_update_metadata", None)
        said = metadata.disable_connectors_during_install if isinstance(metadata, FirmwareUpdateMetadata) else None
        read.append((str(status.word), said))
    return read


@pytest.mark.parametrize("signed", [True, False])
def test_what_leaves_the_connectors_alone_waits_for_nobody(signed: bool) -> None:
    """EVerest never permits such an installation: it begins once the checks are done."""
    update = ready(False, None, signed=signed)
    assert update.state is S.INSTALLING
    assert len(update.ordered(StartInstall)) == 1
    verified: list[tuple[str, Said]] = [("SignatureVerified", False)] if signed else []
    assert told(update) == [("Downloading", None), ("Downloaded", False), *verified, ("Installing", None)]


@pytest.mark.parametrize("said", [None, True])
@pytest.mark.parametrize("signed", [True, False])
def test_all_other_firmware_waits_for_the_permission(signed: bool, said: Said) -> None:
    """Nobody said anything, or that the connectors go out of service: both are EVerest's default."""
    update = ready(said, None, signed=signed)
    assert update.state is S.AWAITING_PERMISSION
    assert dict(told(update))["SignatureVerified" if signed else "Downloaded"] is said
    update.permit()
    assert update.state is S.INSTALLING


@pytest.mark.parametrize(
    ("location", "artifact", "counts"),
    [(None, False, False), (None, True, True), (False, True, False), (True, False, True), (None, None, None)],
)
@pytest.mark.parametrize("signed", [True, False])
def test_the_request_has_the_first_word_and_the_file_the_second(
    signed: bool, location: Said, artifact: Said, counts: Said
) -> None:
    """Who asks for the update decides; what the file says counts where the request says nothing."""
    update = ready(location, artifact, signed=signed)
    assert update.state is (S.INSTALLING if counts is False else S.AWAITING_PERMISSION)
    assert dict(told(update))["SignatureVerified" if signed else "Downloaded"] is counts


def test_signed_firmware_says_nothing_before_its_signature_holds() -> None:
    """Downloaded has the request's word only; SignatureVerified that of the firmware."""
    update = ready(None, False)
    assert told(update)[1:3] == [("Downloaded", None), ("SignatureVerified", False)]


@pytest.mark.parametrize("signed", [True, False])
def test_its_time_is_waited_for_all_the_same(signed: bool) -> None:
    """The install time is the CSMS's; when it comes, nobody has to be asked."""
    update = ready(False, None, signed=signed, install_in=3600)
    assert update.state is S.INSTALL_SCHEDULED
    update.restart()
    update.fire(InstallTimeReached)
    assert update.state is S.INSTALLING
    assert [word for word, _ in told(update)][-2:] == ["InstallScheduled", "Installing"]


@pytest.mark.parametrize("state", [S.DOWNLOADED, S.INSTALL_SCHEDULED])
def test_a_start_of_ours_remembers_it(state: S) -> None:
    """What was said is in the snapshot, and no permission is asked for after a crash."""
    update = FirmwareDriver()
    update.disable_connectors = False
    update.request(install_in=3600 if state is S.INSTALL_SCHEDULED else None)
    update.download()
    if state is S.INSTALL_SCHEDULED:
        update.verify()
    update.restart(boot=True)
    assert (update.state, update.snapshot.disable_connectors) == (state, False)


def test_the_next_update_says_for_itself() -> None:
    """Nothing is left over from the update that made way."""
    update = ready(False, None, install_in=3600)
    update.disable_connectors = None
    update.request(8)
    assert update.snapshot.disable_connectors is None
    update.download()
    update.verify()
    assert (update.state, update.snapshot.permission) == (S.AWAITING_PERMISSION, Permission.NONE)


def test_a_permission_that_comes_all_the_same_does_no_harm() -> None:
    """An older EVerest knows no metadata, and permits what has begun already."""
    update = ready(False, None, signed=False)
    orders = list(update.orders)
    update.permit()
    assert (update.state, update.orders) == (S.INSTALLING, orders)
