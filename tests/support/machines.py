"""All machines of the core, side by side, and an example of each of their events."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from everest_system.fsm.artifact import Artifact, Part
from everest_system.fsm.events import Event
from everest_system.fsm.firmware.machine import FirmwareMachine
from everest_system.fsm.firmware.rules import FirmwareRules
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.firmware.table import EVENTS as FIRMWARE_EVENTS
from everest_system.fsm.logs.machine import LogsMachine, LogsRules
from everest_system.fsm.logs.snapshot import LogsSnapshot
from everest_system.fsm.logs.states import LogsState
from everest_system.fsm.logs.table import EVENTS as LOGS_EVENTS
from everest_system.fsm.machine import Snapshot, TableMachine
from everest_system.fsm.messages import BootReason, FirmwareUpdateRequest, ResetType, UploadLogsRequest
from everest_system.fsm.platform.machine import PlatformMachine
from everest_system.fsm.platform.snapshot import PlatformSnapshot
from everest_system.fsm.platform.states import PlatformState
from everest_system.fsm.platform.table import EVENTS as PLATFORM_EVENTS
from everest_system.fsm.presence.machine import PresenceMachine, PresenceRules
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.fsm.presence.states import PresenceState
from everest_system.fsm.presence.table import EVENTS as PRESENCE_EVENTS


@dataclass(frozen=True)
class Kind:
    """A kind of machine: its events, its states, and how to stand one up in any of them, with a job under way."""

    name: str
    states: type[StrEnum]
    events: tuple[type[Event], ...]
    request: Any

    def machine(self, state: StrEnum) -> TableMachine[Any]:
        """A machine that stands in `state`."""
        match self.name:
            case "firmware":
                return FirmwareMachine(
                    FirmwareSnapshot(
                        state=FirmwareState(state), job=3, work=5, request=self.request, artifact=EXAMPLES["artifact"]
                    ),
                    FirmwareRules(),
                )
            case "logs":
                return LogsMachine(
                    LogsSnapshot(state=LogsState(state), job=3, work=5, request=self.request), LogsRules()
                )
            case "presence":
                return PresenceMachine(PresenceSnapshot(state=PresenceState(state), job=3, work=5), PresenceRules())
            case _:
                return PlatformMachine(PlatformSnapshot(state=PlatformState(state), job=3, work=5))

    def event(self, kind: type[Event], snapshot: Snapshot) -> Event:
        """An event of that kind, of the job and the work that `snapshot` waits for."""
        facts = {"job": snapshot.job, "work": snapshot.work, **EXAMPLES, "request": self.request}
        if self.name == "platform":
            facts["reason"] = BootReason.REMOTE_RESET
        return kind(**{field.name: facts[field.name] for field in fields(kind)})


EXAMPLES: dict[str, Any] = {
    "word": "Downloading",
    "reply_to": "reply/1",
    "run": 1,
    "reason": "a reason",
    "retry_after_s": None,
    "part": Part(length=4096),
    "artifact": Artifact(length=4096, sha256="ab" * 32),
    "disable_connectors": None,
    "target": "slot-b",
    "activation": "reboot",
    "file_name": "logs.tar.gz",
    "length": 4096,
    "number": 12,
    "module_id": "system_api",
    "life": 0,
    "is_start": False,
    "is_from_csms": False,
    "type": ResetType.HARD,
    "busy": False,
    "restart": False,
}
UPDATE = FirmwareUpdateRequest(
    request_id=7,
    location="https://example.com/fw",
    retrieve_timestamp=datetime(2030, 1, 1, tzinfo=UTC),
    install_timestamp=datetime(2030, 1, 1, tzinfo=UTC),
)
UPLOAD = UploadLogsRequest(request_id=7, location="https://example.com/logs/")

KINDS = (
    Kind("firmware", FirmwareState, FIRMWARE_EVENTS, UPDATE),
    Kind("logs", LogsState, LOGS_EVENTS, UPLOAD),
    Kind("presence", PresenceState, PRESENCE_EVENTS, None),
    Kind("platform", PlatformState, PLATFORM_EVENTS, None),
)
