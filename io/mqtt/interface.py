"""What is spoken with EVerest: each command and variable of `system_API.yaml`, with the schema of what it says.

`configure_network` is newer than the specification: it says nothing that we read, and its reply has no schema yet.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from pydantic import BaseModel

from everest_system.fsm.messages import (
    BootReason,
    CommunicationCheck,
    FirmwareUpdateRequest,
    FirmwareUpdateStatus,
    HeartBeatId,
    LogStatus,
    ResetAllowed,
    ResetRequest,
    ResetType,
    SystemTime,
    SystemTimeSet,
    UpdateFirmwareResponse,
    UploadLogsRequest,
    UploadLogsResponse,
)

Payload: TypeAlias = FirmwareUpdateRequest | UploadLogsRequest | ResetType | ResetRequest | SystemTime | HeartBeatId

REQUESTS: Final[Mapping[str, type[Payload] | None]] = {
    "update_firmware": FirmwareUpdateRequest,
    "upload_logs": UploadLogsRequest,
    "is_reset_allowed": ResetType,
    "set_system_time": SystemTime,
    "get_boot_reason": None,
    "configure_network": None,
}
"""The commands that are answered, wrapped with a `replyTo`; None: the payload is of no interest."""

REPLIES: Final[Mapping[str, type[StrEnum] | type[BaseModel]]] = {
    "update_firmware": UpdateFirmwareResponse,
    "upload_logs": UploadLogsResponse,
    "is_reset_allowed": ResetAllowed,
    "set_system_time": SystemTimeSet,
    "get_boot_reason": BootReason,
}
"""How they are answered."""

ONE_WAY: Final[Mapping[str, type[Payload]]] = {"reset": ResetRequest, "heartbeat": HeartBeatId}
"""The commands that are not answered and come bare."""

EMPTY: Final = "allow_firmware_installation"
"""The command whose message says nothing: that it comes is all."""

VARIABLES: Final[Mapping[str, type[BaseModel]]] = {
    "firmware_update_status": FirmwareUpdateStatus,
    "log_status": LogStatus,
    "communication_check": CommunicationCheck,
}
"""What we publish unasked."""
