"""The facts of a reset: from EVerest, the operator and the firmware update, from timers, from work."""

from dataclasses import dataclass

from everest_system.fsm.events import Event, JobEvent, WorkEvent
from everest_system.fsm.messages import BootReason, ResetType


@dataclass(frozen=True, slots=True)
class ResetRequested(Event):
    """A reset is wanted.

    Attributes:
        type: how thorough it is meant to be.
        reason: what the boot after it will give as its reason.
        busy: an update is in a part that must not be interrupted (B11.FR.06).
    """

    type: ResetType
    reason: BootReason
    busy: bool


@dataclass(frozen=True, slots=True)
class BootReasonAsked(Event):
    """`get_boot_reason` came.

    Attributes:
        module_id: whose EVerest asks.
        life: tells one EVerest of that module from the next, as far as heartbeats show it.
    """

    reply_to: str | None
    module_id: str
    life: int


@dataclass(frozen=True, slots=True)
class FirmwareRebootOrdered(Event):
    """A reboot, or only a restart of EVerest, activates a firmware."""

    restart: bool


@dataclass(frozen=True, slots=True)
class FirmwareBusy(Event):
    """An update has come to the part that must not be interrupted (B11.FR.06)."""


@dataclass(frozen=True, slots=True)
class FirmwareSettled(Event):
    """The update that a reset has to wait for has ended."""


@dataclass(frozen=True, slots=True)
class FirmwareHeard(Event):
    """The end status of the update that a reset has to wait for is delivered."""


@dataclass(frozen=True, slots=True)
class MachineBooted(Event):
    """The machine has booted since the station last ran."""


@dataclass(frozen=True, slots=True)
class ResetDue(JobEvent):
    """A reset that had to wait for an update has waited for as long as it may."""


@dataclass(frozen=True, slots=True)
class ResetOverdue(JobEvent):
    """A reset was ordered and has not come."""


@dataclass(frozen=True, slots=True)
class ResetFailed(WorkEvent):
    """The reset could not be carried out."""

    reason: str


@dataclass(frozen=True, slots=True)
class EverestRestartDone(WorkEvent):
    """EVerest was restarted, which was all that the reset asked for."""
