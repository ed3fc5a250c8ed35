"""What the machines want done, as data. An order says what; the edges know how.

Orders are carried out after the transaction that records why. Each order of work carries the number of its job, which
names its files, and a number of its own, which the events that answer it bring back.
"""

from dataclasses import dataclass

from everest_system.fsm.artifact import Artifact, Part
from everest_system.fsm.events import Event
from everest_system.fsm.messages import FirmwareUpdateRequest, SystemTime, UploadLogsRequest


@dataclass(frozen=True, slots=True)
class Order:
    """The base of all orders."""


@dataclass(frozen=True, slots=True)
class Reply(Order):
    """Answer the request that named `reply_to`; None is nobody to answer."""

    command: str
    reply_to: str | None
    value: object


@dataclass(frozen=True, slots=True)
class Tell(Order):
    """Let another machine of the station know, within the same transaction."""

    machine: str
    event: Event


@dataclass(frozen=True, slots=True)
class JobOrder(Order):
    """An order for one job."""

    job: int


@dataclass(frozen=True, slots=True)
class WorkOrder(JobOrder):
    """An order whose work takes its time, and answers with events that carry `work`."""

    work: int


@dataclass(frozen=True, slots=True)
class StopWork(JobOrder):
    """End whatever work runs for the job, at once."""


@dataclass(frozen=True, slots=True)
class StartDownload(WorkOrder):
    """Fetch the file at the request's location, on from `part`."""

    request: FirmwareUpdateRequest
    part: Part


@dataclass(frozen=True, slots=True)
class CheckArtifact(WorkOrder):
    """Verify the signature, if the request has one, and let the installer look at the file."""

    request: FirmwareUpdateRequest
    artifact: Artifact


@dataclass(frozen=True, slots=True)
class StartInstall(WorkOrder):
    """Install to `target`; `again` after a crash in the middle: compare first, and never harm the good slot."""

    request: FirmwareUpdateRequest
    artifact: Artifact
    target: str
    again: bool


@dataclass(frozen=True, slots=True)
class ActivateByReboot(WorkOrder):
    """Reboot the machine into the new firmware."""


@dataclass(frozen=True, slots=True)
class ActivateByRestart(WorkOrder):
    """Restart EVerest, so that it runs from the new firmware."""


@dataclass(frozen=True, slots=True)
class ConfirmInstall(WorkOrder):
    """See whether the firmware in `target` is the active one, and healthy."""

    request: FirmwareUpdateRequest
    target: str


@dataclass(frozen=True, slots=True)
class RollBack(WorkOrder):
    """Make the firmware that was there before `target` the active one again."""

    request: FirmwareUpdateRequest
    target: str


@dataclass(frozen=True, slots=True)
class RemoveArtifact(JobOrder):
    """Remove what was downloaded for the job."""


@dataclass(frozen=True, slots=True)
class CollectLogs(WorkOrder):
    """Make the archive `file_name` in the spool."""

    request: UploadLogsRequest
    file_name: str


@dataclass(frozen=True, slots=True)
class StartUpload(WorkOrder):
    """Send the archive `file_name` to the request's location."""

    request: UploadLogsRequest
    file_name: str


@dataclass(frozen=True, slots=True)
class RemoveArchive(JobOrder):
    """Remove the job's archive from the spool."""

    file_name: str


@dataclass(frozen=True, slots=True)
class RebootMachine(WorkOrder):
    """Reboot, because a reset was asked for."""


@dataclass(frozen=True, slots=True)
class RestartEverest(WorkOrder):
    """Restart EVerest, because a reset was asked for."""


@dataclass(frozen=True, slots=True)
class SetSystemTime(Order):
    """Set the machine's clock, and answer the request that named `reply_to` with what became of it."""

    time: SystemTime
    reply_to: str | None
