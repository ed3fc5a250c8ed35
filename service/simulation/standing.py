"""Where a simulation stands, compared with where a scenario wants it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.logs.states import LogsState
from everest_system.fsm.messages import BootReason
from everest_system.fsm.platform.snapshot import PlatformSnapshot
from everest_system.fsm.platform.states import PlatformState
from everest_system.fsm.presence.states import PresenceState
from everest_system.module import snapshot
from everest_system.report import PLATFORM
from everest_system.simulation.behaviour import Table
from everest_system.simulation.moments import Duration
from everest_system.simulation.simulation import Simulation

CLOCK_SLACK_S = 1.0
_BY_NAME = Field(strict=False)


class Standing(Table):
    """Where things are expected to stand; a key that is left out is not looked at.

    Attributes:
        firmware, logs, presence, platform: the machines' states; `module` says whose, the first one's by default.
        boot_reason: as `get_boot_reason` would be answered.
        active_slot: the slot that runs.
        slots: what each slot holds: `factory`, `update-1` for the first update's firmware, `torn`, or nothing.
        waiting: statuses in the outbox.
        files: artifacts and archives on the disk.
        uploaded: archives that the log server has got.
        boots: of the machine since the beginning.
        everest_runs: starts of EVerest since the beginning.
        communication_gaps: CommunicationFaults that a silence of ours raised in EVerest.
        is_behind: how far the station's clock is behind the true time (ahead: write `is_ahead`).
    """

    module: str | None = None
    firmware: Annotated[FirmwareState | None, _BY_NAME] = None
    logs: Annotated[LogsState | None, _BY_NAME] = None
    presence: Annotated[PresenceState | None, _BY_NAME] = None
    platform: Annotated[PlatformState | None, _BY_NAME] = None
    boot_reason: Annotated[BootReason | None, _BY_NAME] = None
    active_slot: Literal["a", "b"] | None = None
    slots: dict[str, str] | None = None
    waiting: int | None = None
    files: int | None = None
    uploaded: int | None = None
    boots: int | None = None
    everest_runs: int | None = None
    communication_gaps: int | None = None
    is_behind: Duration | None = None
    is_ahead: Duration | None = None


def differences(name: str, expected: Standing, simulation: Simulation) -> list[str]:
    """A line for each key of `expected` that is not so; `name` stands in front."""
    wanted = expected.model_dump(mode="json", exclude_none=True, exclude={"module"})
    behind_s = (simulation.clock.true_wall - simulation.clock.wall).total_seconds()
    lines = []
    for key, sign in (("is_behind", 1), ("is_ahead", -1)):
        wanted_s = wanted.pop(key, None)
        if wanted_s is not None and abs(sign * behind_s - wanted_s) > CLOCK_SLACK_S:
            lines.append(f"{name}.{key}: expected {wanted_s:g} s, it is {sign * behind_s + 0:g} s")
    found = standing(simulation, expected.module)
    lines += [
        f"{name}.{key}: expected {value!r}, it is {found[key]!r}"
        for key, value in wanted.items()
        if found[key] != value
    ]
    return lines


def standing(simulation: Simulation, module_id: str | None = None) -> dict[str, Any]:
    """Where everything stands, by the keys of `Standing`; what the store says, also while no service runs."""
    module_id = module_id or simulation.settings.station.module_ids[0]
    saved, world, everest = simulation.memory.load(), simulation.world, simulation.everest(module_id)
    platform = snapshot(PlatformSnapshot, saved.snapshots, PLATFORM)
    slots = world.slots(module_id)
    found: dict[str, Any] = {
        "boot_reason": str(platform.boot_reason),
        "platform": str(platform.state),
        "active_slot": slots.running,
        "slots": {name: content.removeprefix(f"{module_id}/") for name, content in slots.content.items()},
        "waiting": sum(row.module_id == module_id for row in saved.rows),
        "files": sum(key[0] == module_id for key in world.files),
        "uploaded": sum(owner == module_id for owner, _ in world.uploaded),
        "boots": simulation.clock.boots,
        "everest_runs": everest.runs,
        "communication_gaps": everest.gaps,
    }
    for machine in ("firmware", "logs", "presence"):
        found[machine] = simulation.state(module_id, machine)
    return found
