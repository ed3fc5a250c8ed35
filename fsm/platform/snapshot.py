"""What the station remembers of resets and boots."""

from pydantic import BaseModel, ConfigDict, Field

from everest_system.fsm.machine import Snapshot
from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.platform.states import PlatformState


class Told(BaseModel):
    """What an EVerest was told about the boot; when it asks again it hears the same.

    Attributes:
        life: tells it from the next EVerest.
    """

    model_config = ConfigDict(frozen=True)

    life: int
    reason: BootReason


class BootWord(BaseModel):
    """What a boot is said to be.

    Attributes:
        boot_reason: why it came about, for whoever has not been told yet.
        told: what each module's EVerest was told of it, by module id.
    """

    model_config = ConfigDict(frozen=True)

    boot_reason: BootReason
    told: dict[str, Told]


class PlatformSnapshot(Snapshot):
    """A reset on its way, and why the machine booted.

    Attributes:
        type: of the reset asked for last.
        reason: what the boot after it will give as its reason.
        tries: how many times it was ordered.
        boot_id: the boot that the station last ran in; "" before its first start.
        intended: the reason of a reboot that was ordered and has not come yet.
        boot_reason: why this boot came about, for whoever has not been told yet.
        told: what each module's EVerest was told of it, by module id.
        before_restart: what both were before a restart of EVerest that was ordered; it may fail.
    """

    state: PlatformState = PlatformState.IDLE
    type: ResetType = ResetType.NOT_SPECIFIED
    reason: BootReason = BootReason.REMOTE_RESET
    tries: int = 0
    boot_id: str = ""
    intended: BootReason | None = None
    boot_reason: BootReason = BootReason.UNKNOWN
    told: dict[str, Told] = Field(default={})
    before_restart: BootWord | None = None
