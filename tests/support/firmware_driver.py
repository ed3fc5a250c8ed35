"""Drives the firmware machine, and knows the way into each of its states.

    update = FirmwareDriver(permission_required=False)
    update.request(install_in=3600, signed=True)
    update.fire(Settled)

    update = FirmwareDriver.at(S.INSTALLING)               # by the shortest way, signed
    update = FirmwareDriver.at(S.INSTALLING, signed=False)

`at` plays what the world would do; nothing is set from within.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from support.machine_driver import MachineDriver

from everest_system.fsm.artifact import Artifact
from everest_system.fsm.events import Settled
from everest_system.fsm.firmware.events import (
    ArtifactUnfit,
    Confirmed,
    DownloadAttemptFailed,
    DownloadFinished,
    DownloadInterrupted,
    DownloadRefused,
    FirmwareUnhealthy,
    HealthCheckDue,
    InstallFailed,
    InstallFinished,
    NothingToVerify,
    PermissionGiven,
    RebootDue,
    SignatureInvalid,
    SignatureVerified,
    UpdateRequested,
)
from everest_system.fsm.firmware.machine import FirmwareMachine
from everest_system.fsm.firmware.rules import FirmwareRules
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.messages import FirmwareUpdateRequest

S = FirmwareState
ARTIFACT = Artifact(length=4 << 20, sha256="ab" * 32)


class FirmwareDriver(MachineDriver):
    """A firmware machine; the keywords are its rules.

    Attributes:
        disable_connectors: what the location of the next request says of the connectors.
    """

    def __init__(self, **rules: Any) -> None:
        self.disable_connectors: bool | None = None
        super().__init__(self._maker(rules), FirmwareSnapshot())

    @staticmethod
    def _maker(rules: dict[str, Any]) -> Callable[[Any], FirmwareMachine]:
        return lambda snapshot: FirmwareMachine(snapshot, FirmwareRules(**rules))

    def restart_with(self, **rules: Any) -> None:
        """Come back from the store with other rules."""
        self.restart(make=self._maker(rules))

    def request(
        self,
        request_id: int = 7,
        *,
        signed: bool = True,
        retrieve_in: float | None = None,
        install_in: float | None = None,
        reply_to: str = "reply/1",
        **fields: Any,
    ) -> None:
        """Have EVerest ask for an update; the times are seconds from now."""
        if signed:
            fields = {"signing_certificate": "PEM", "signature": "c2ln", **fields}
        for name, seconds in (("retrieve_timestamp", retrieve_in), ("install_timestamp", install_in)):
            if seconds is not None:
                fields[name] = self.clock.wall + timedelta(seconds=seconds)
        asked = FirmwareUpdateRequest(request_id=request_id, location="https://example.com/fw", **fields)
        self.take(UpdateRequested(asked, reply_to, run=1, disable_connectors=self.disable_connectors))

    # --- the phases ---

    def download(self) -> None:
        """From the first settled moment to Downloaded."""
        self.fire(Settled)
        self.report(DownloadFinished, ARTIFACT)

    def verify(self) -> None:
        """The checks find nothing wrong."""
        self.report(SignatureVerified if self.machine.is_signed() else NothingToVerify, "slot-b")

    def permit(self) -> None:
        """The trigger status goes out, and EVerest answers it."""
        self.send(self.machine.trigger_word)
        self.take(PermissionGiven())

    def fail_health_checks(self) -> None:
        """Every attempt in this boot finds the new firmware unhealthy."""
        self.report(FirmwareUnhealthy, "the health check failed")
        while self.state is S.CONFIRMING:
            self.fire(HealthCheckDue)
            self.report(FirmwareUnhealthy, "the health check failed")

    def reboot(self) -> None:
        """The announcement is not heard, and yet the machine goes down and comes back."""
        self.fire(RebootDue)
        self.restart(boot=True)

    @classmethod
    def at(cls, state: FirmwareState, *, signed: bool = True, request_id: int = 7, **rules: Any) -> "FirmwareDriver":
        """An update that stands in `state`; SIGNATURE_VERIFIED and CANCELED are left as soon as they are entered."""
        update = cls(**rules)
        for step in WAYS[state]:
            step(update, request_id, signed)
        assert update.state is state
        return update


Way = tuple[Callable[[FirmwareDriver, int, bool], Any], ...]

_ASK: Way = (lambda update, number, signed: update.request(number, signed=signed),)
_LOAD: Way = (*_ASK, lambda update, *_: update.fire(Settled))
_LOADED: Way = (*_LOAD, lambda update, *_: update.report(DownloadFinished, ARTIFACT))
_WAIT: Way = (*_LOADED, lambda update, *_: update.verify())
_INSTALL: Way = (*_WAIT, lambda update, *_: update.permit())
_REBOOT: Way = (*_INSTALL, lambda update, *_: update.report(InstallFinished, "reboot"))
_CONFIRM: Way = (*_REBOOT, lambda update, *_: update.reboot())

WAYS: dict[FirmwareState, Way] = {
    S.IDLE: (),
    S.ACCEPTED: _ASK,
    S.DOWNLOAD_SCHEDULED: (
        lambda update, number, signed: update.request(number, signed=signed, retrieve_in=3600),
        lambda update, *_: update.fire(Settled),
    ),
    S.DOWNLOADING: _LOAD,
    S.DOWNLOAD_PAUSED: (*_LOAD, lambda update, *_: update.report(DownloadInterrupted, "the connection broke")),
    S.DOWNLOAD_RETRY_SCHEDULED: (*_LOAD, lambda update, *_: update.report(DownloadAttemptFailed, "HTTP 500")),
    S.DOWNLOADED: _LOADED,
    S.INSTALL_SCHEDULED: (
        lambda update, number, signed: update.request(number, signed=signed, install_in=3600),
        lambda update, *_: update.download(),
        lambda update, *_: update.verify(),
    ),
    S.AWAITING_PERMISSION: _WAIT,
    S.INSTALLING: _INSTALL,
    S.REBOOTING: _REBOOT,
    S.CONFIRMING: _CONFIRM,
    S.ROLLING_BACK: (*_CONFIRM, lambda update, *_: update.fail_health_checks()),
    S.INSTALLED: (*_CONFIRM, lambda update, *_: update.report(Confirmed)),
    S.DOWNLOAD_FAILED: (*_LOAD, lambda update, *_: update.report(DownloadRefused, "HTTP 404")),
    S.INVALID_SIGNATURE: (*_LOADED, lambda update, *_: update.report(SignatureInvalid, "a wrong signature")),
    S.INSTALL_VERIFICATION_FAILED: (*_INSTALL, lambda update, *_: update.report(ArtifactUnfit, "a broken bundle")),
    S.INSTALLATION_FAILED: (*_INSTALL, lambda update, *_: update.report(InstallFailed, "no space left")),
}
