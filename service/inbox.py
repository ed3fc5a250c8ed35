"""What EVerest's commands mean: events for the machines, or a reply at once.

Every message tells Presence something as well, and first: a request belongs to the EVerest that it shows. A refused
request means its reply and a warning, and nothing else.
"""

from dataclasses import dataclass, field
from datetime import datetime

import structlog

from everest_system.admission import Admission, RefusedError, disable_connectors
from everest_system.fsm.deadlines import Now
from everest_system.fsm.events import Event
from everest_system.fsm.firmware.events import PermissionGiven, UpdateRequested
from everest_system.fsm.logs.events import UploadRequested
from everest_system.fsm.messages import (
    BootReason,
    FirmwareUpdateRequest,
    HeartBeatId,
    ResetRequest,
    ResetType,
    SystemTime,
    UpdateFirmwareResponse,
    UploadLogsRequest,
    UploadLogsResponse,
    UploadLogsStatus,
)
from everest_system.fsm.orders import Order, Reply, SetSystemTime
from everest_system.fsm.platform.events import BootReasonAsked, ResetRequested
from everest_system.fsm.presence.events import EverestSpoke, HeartbeatArrived
from everest_system.fsm.presence.machine import life
from everest_system.io.mqtt.codec import Command
from everest_system.module import Module
from everest_system.resets import Resets

# What only a CSMS that has accepted EVerest can have caused.
FROM_CSMS = frozenset({"update_firmware", "upload_logs", "reset", "set_system_time"})

BUSY = "an update is being installed, or its boot confirmed"

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Meaning:
    """What follows from a command: `events` by machine, in order, and `orders` that need no machine."""

    events: list[tuple[str, Event]] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Inbox:
    """Reads the commands of all modules."""

    admission: Admission
    resets: Resets

    def presence(self, command: Command) -> Event:
        """What a command shows of EVerest, whatever it means otherwise."""
        if isinstance(command.payload, HeartBeatId):
            return HeartbeatArrived(command.payload.root)
        return EverestSpoke(is_start=command.name == "get_boot_reason", is_from_csms=command.name in FROM_CSMS)

    def read(self, command: Command, module: Module, now: Now, *, busy: bool) -> Meaning:
        """What `command` of `module` means; `busy`: some update must not be interrupted."""
        meaning = Meaning()
        match command.name, command.payload:
            case "update_firmware", FirmwareUpdateRequest() as request:
                self._update(request, command, module, now.wall, meaning)
            case "upload_logs", UploadLogsRequest() as request:
                self._upload(request, command, module, now.wall, meaning)
            case "allow_firmware_installation", _:
                meaning.events.append(("firmware", PermissionGiven()))
            case "heartbeat", _:
                pass  # it says nothing but that it came
            case "is_reset_allowed", ResetType() as kind:
                refusal = self.resets.refusal(kind) or (BUSY if busy else "")
                meaning.orders.append(Reply(command.name, command.reply_to, not refusal))
                if refusal:
                    _log.info(f"a {kind} reset is not allowed: {refusal}", module_id=module.module_id)
            case "reset", ResetRequest() as request:
                self._reset(request, module, meaning, busy=busy)
            case "set_system_time", SystemTime() as time:
                meaning.orders.append(SetSystemTime(time, command.reply_to))
            case "get_boot_reason", _:
                asker = life(module.presence.snapshot, now)
                meaning.events.append(("platform", BootReasonAsked(command.reply_to, module.module_id, asker)))
            case name, _:
                raise AssertionError(f"the codec gave a command without a meaning: {name}")
        return meaning

    def _reset(self, request: ResetRequest, module: Module, meaning: Meaning, *, busy: bool) -> None:
        refusal = self.resets.refusal(request.type)
        if refusal:
            _log.warning(f"a {request.type} reset is not done: {refusal}", module_id=module.module_id)
            return
        if busy:
            _log.info(f"a {request.type} reset waits: {BUSY}", module_id=module.module_id)
        reason = BootReason.SCHEDULED_RESET if request.scheduled else BootReason.REMOTE_RESET
        meaning.events.append(("platform", ResetRequested(self.resets.meant(request.type), reason, busy)))

    def _update(
        self, request: FirmwareUpdateRequest, command: Command, module: Module, now: datetime, meaning: Meaning
    ) -> None:
        try:
            admitted = self.admission.update(request, now)
        except RefusedError as refused:
            self._warn(command, module, request.request_id, refused)
            response = UpdateFirmwareResponse(refused.response)
            meaning.orders.append(Reply(command.name, command.reply_to, response))
        else:
            run = module.presence.snapshot.run
            says = disable_connectors(request.location)
            meaning.events.append(("firmware", UpdateRequested(admitted, command.reply_to, run, says)))

    def _upload(
        self, request: UploadLogsRequest, command: Command, module: Module, now: datetime, meaning: Meaning
    ) -> None:
        try:
            admitted, file_name = self.admission.upload(request, module.module_id, now)
        except RefusedError as refused:
            self._warn(command, module, request.status_request_id, refused)
            response = UploadLogsResponse(upload_logs_status=UploadLogsStatus.REJECTED)
            meaning.orders.append(Reply(command.name, command.reply_to, response))
        else:
            run = module.presence.snapshot.run
            meaning.events.append(("logs", UploadRequested(admitted, file_name, command.reply_to, run)))

    @staticmethod
    def _warn(command: Command, module: Module, request_id: int, refused: RefusedError) -> None:
        _log.warning(
            f"{command.name} refused: {refused}",
            module_id=module.module_id,
            request_id=request_id,
            reply=refused.response,
        )
