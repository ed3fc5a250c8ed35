"""What a firmware update remembers across crashes and reboots."""

from enum import StrEnum

from everest_system.fsm.artifact import Artifact, Part
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.messages import FirmwareUpdateRequest
from everest_system.fsm.request_machine import RequestSnapshot


class Permission(StrEnum):
    """What came of `allow_firmware_installation`: too early to listen, listening, given."""

    NONE = "none"
    ARMED = "armed"
    GIVEN = "given"


class Fault(StrEnum):
    """What the installer's check found before anything was installed."""

    NONE = "none"
    UNFIT = "unfit"
    FAILED = "failed"


class FirmwareSnapshot(RequestSnapshot):
    """The state of an update, and the facts that its next step needs.

    Attributes:
        request: the current or last request.
        part: what of the file is safe on disk.
        furthest: the furthest byte kept when an attempt was last cut short.
        reached: the furthest byte ever kept for this update.
        held: the operator, and not a broken connection, has paused the download.
        artifact: the complete download.
        target: where the installer will install to (a slot).
        fault: what the installer's check found.
        disable_connectors: whether EVerest takes the connectors out of service for the installation, and permits it
            then; None: nobody said, and it does.
        permission: what came of the permission to install.
        ask_again: EVerest, or we, restarted since the trigger status: it has to be said again.
        resumed: the installation was cut short and taken up again: it may have come as far as activating.
        install_boot_id: the boot in which the installation began; in any other one the new firmware may be running.
        reboots: how many times the activating reboot was ordered.
        reboot_boot_id: the boot that the activating reboot ends.
        activation: what makes the new firmware active: `reboot`, `restart`, `none`.
        booted: the boot, or restart, that activates the new firmware has taken place.
        boots: how many boots the new firmware has had to prove healthy in.
        confirm_boot_id: the last of them.
        checks: how often it was found unhealthy in that one.
    """

    state: FirmwareState = FirmwareState.IDLE
    request: FirmwareUpdateRequest | None = None
    part: Part = Part()
    furthest: int = 0
    reached: int = 0
    held: bool = False
    artifact: Artifact | None = None
    target: str = ""
    fault: Fault = Fault.NONE
    disable_connectors: bool | None = None
    permission: Permission = Permission.NONE
    ask_again: bool = False
    resumed: bool = False
    install_boot_id: str = ""
    reboots: int = 0
    reboot_boot_id: str = ""
    activation: str = ""
    booted: bool = False
    boots: int = 0
    confirm_boot_id: str = ""
    checks: int = 0
