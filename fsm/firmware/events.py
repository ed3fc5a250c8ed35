"""The facts of a firmware update: from EVerest and the operator, from timers, from work."""

from dataclasses import dataclass

from everest_system.fsm.artifact import Artifact, Part
from everest_system.fsm.events import Event, JobEvent, WorkEvent
from everest_system.fsm.messages import FirmwareUpdateRequest


@dataclass(frozen=True, slots=True)
class UpdateRequested(Event):
    """`update_firmware` came, well-formed and allowed.

    Attributes:
        run: counts the EVerest that sent it.
        disable_connectors: whether EVerest is to take the connectors out of service, if the location says.
    """

    request: FirmwareUpdateRequest
    reply_to: str | None
    run: int
    disable_connectors: bool | None = None


@dataclass(frozen=True, slots=True)
class PermissionGiven(Event):
    """`allow_firmware_installation` came."""


@dataclass(frozen=True, slots=True)
class PauseRequested(Event):
    """The operator holds the download."""


@dataclass(frozen=True, slots=True)
class ResumeRequested(Event):
    """The operator lets the download go on."""


@dataclass(frozen=True, slots=True)
class RetrieveTimeReached(JobEvent):
    """The wall clock has reached the request's retrieve time (L01.FR.13)."""


@dataclass(frozen=True, slots=True)
class InstallTimeReached(JobEvent):
    """The wall clock has reached the request's install time (L01.FR.16)."""


@dataclass(frozen=True, slots=True)
class DownloadTimedOut(JobEvent):
    """All attempts together have taken as long as they may."""


@dataclass(frozen=True, slots=True)
class PermissionTimedOut(JobEvent):
    """The permission to install has not come within the time that it had."""


@dataclass(frozen=True, slots=True)
class RebootDue(JobEvent):
    """The grace before a reboot, or the longest wait for its announcement to be delivered, is over."""


@dataclass(frozen=True, slots=True)
class RebootOverdue(JobEvent):
    """A reboot was ordered and has not come."""


@dataclass(frozen=True, slots=True)
class HealthCheckDue(JobEvent):
    """The new firmware is to be looked at once more."""


@dataclass(frozen=True, slots=True)
class BootedTooOften(Event):
    """The machine went down each time before the new firmware had proved healthy."""

    reason: str


@dataclass(frozen=True, slots=True)
class PartKept(WorkEvent):
    """More of the download is safe on disk."""

    part: Part


@dataclass(frozen=True, slots=True)
class DownloadFinished(WorkEvent):
    """The whole file is safe on disk; `disable_connectors` as it says itself, where nobody has to vouch for it."""

    artifact: Artifact
    disable_connectors: bool | None = None


@dataclass(frozen=True, slots=True)
class DownloadInterrupted(WorkEvent):
    """The connection broke; the part kept can be continued."""

    reason: str


@dataclass(frozen=True, slots=True)
class DownloadAttemptFailed(WorkEvent):
    """The attempt failed, another one may help; `retry_after_s` is the server's wish, if it had one."""

    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class DownloadRefused(WorkEvent):
    """No further attempt can help."""

    reason: str


@dataclass(frozen=True, slots=True)
class SignatureVerified(WorkEvent):
    """The signature is good, and the installer, which will install to `target`, found nothing wrong.

    What the file says itself of `disable_connectors` can be believed now.
    """

    target: str
    disable_connectors: bool | None = None


@dataclass(frozen=True, slots=True)
class NothingToVerify(WorkEvent):
    """The request carries no signature, and the installer, which will install to `target`, found nothing wrong."""

    target: str


@dataclass(frozen=True, slots=True)
class SignatureInvalid(WorkEvent):
    """The firmware's signature, or that of its bundle, does not hold."""

    reason: str


@dataclass(frozen=True, slots=True)
class ArtifactUnfit(WorkEvent):
    """The firmware fails a check other than that of its signature (L01.FR.29)."""

    reason: str


@dataclass(frozen=True, slots=True)
class InstallFinished(WorkEvent):
    """The new firmware is in place; `activation` (`reboot`, `restart`, `none`) is what makes it the active one."""

    activation: str


@dataclass(frozen=True, slots=True)
class InstallFailed(WorkEvent):
    """The firmware could not be installed."""

    reason: str


@dataclass(frozen=True, slots=True)
class RebootFailed(WorkEvent):
    """The order to reboot, or to restart EVerest, could not be carried out."""

    reason: str


@dataclass(frozen=True, slots=True)
class Booted(WorkEvent):
    """The boot, or the restart of EVerest, that activates the new firmware has taken place."""


@dataclass(frozen=True, slots=True)
class Confirmed(WorkEvent):
    """The new firmware is the active one, and healthy (L01.FR.28)."""


@dataclass(frozen=True, slots=True)
class OldFirmwareFound(WorkEvent):
    """After the boot the old firmware is the active one."""

    reason: str


@dataclass(frozen=True, slots=True)
class FirmwareUnhealthy(WorkEvent):
    """The new firmware is active and fails its health check."""

    reason: str


@dataclass(frozen=True, slots=True)
class RolledBack(WorkEvent):
    """The old firmware is in its place again; `activation` is what makes it the active one."""

    activation: str


@dataclass(frozen=True, slots=True)
class RollBackFailed(WorkEvent):
    """There is no way back to the old firmware."""

    reason: str
