"""The messages of EVerest's system interface: a class for each schema of `system_API.yaml`, under the schema's name.

The models are strict about JSON types (`"1"`, 1.5 and `true` are no integers), keep properties they do not know, and
bound every number and every text, because EVerest forwards what a CSMS said unchecked. They are immutable and survive
a round trip through JSON unharmed, null for what is absent: so they are stored in snapshots. On the wire an absent
property is left out; the codec sees to that in both directions.

Whether a location is an address, and one that may be used, is not decided here.

Example:
    >>> UploadLogsRequest.model_validate({"location": "http://example.com/logs"}).status_request_id
    -1
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    StrictBool,
    StringConstraints,
    ValidationInfo,
)

from everest_system.fsm.timestamps import parse_rfc3339

NO_REQUEST_ID: Final = -1
"""The request id of statuses of a request that had none (OCPP 1.6)."""

_THIRTY_DAYS_S: Final = 30 * 24 * 3600


class BootReason(StrEnum):
    """Why the system started last."""

    APPLICATION_RESET = "ApplicationReset"
    FIRMWARE_UPDATE = "FirmwareUpdate"
    LOCAL_RESET = "LocalReset"
    POWER_UP = "PowerUp"
    REMOTE_RESET = "RemoteReset"
    SCHEDULED_RESET = "ScheduledReset"
    TRIGGERED = "Triggered"
    UNKNOWN = "Unknown"
    WATCHDOG = "Watchdog"


class FirmwareUpdateStatusEnum(StrEnum):
    """The state of a firmware update, as it is published."""

    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    DOWNLOADING = "Downloading"
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOAD_PAUSED = "DownloadPaused"
    IDLE = "Idle"
    INSTALLATION_FAILED = "InstallationFailed"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    INSTALL_REBOOTING = "InstallRebooting"
    INSTALL_SCHEDULED = "InstallScheduled"
    INSTALL_VERIFICATION_FAILED = "InstallVerificationFailed"
    INVALID_SIGNATURE = "InvalidSignature"
    SIGNATURE_VERIFIED = "SignatureVerified"


class LogStatusEnum(StrEnum):
    """The state of a log upload, as it is published."""

    ACCEPTED_CANCELED = "AcceptedCanceled"
    BAD_MESSAGE = "BadMessage"
    IDLE = "Idle"
    NOT_SUPPORTED_OPERATION = "NotSupportedOperation"
    PERMISSION_DENIED = "PermissionDenied"
    UPLOADED = "Uploaded"
    UPLOAD_FAILURE = "UploadFailure"
    UPLOADING = "Uploading"


class ResetType(StrEnum):
    """How thorough a reset is meant to be."""

    SOFT = "Soft"
    HARD = "Hard"
    NOT_SPECIFIED = "NotSpecified"


class UpdateFirmwareResponse(StrEnum):
    """The answer to `update_firmware`."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    ACCEPTED_CANCELED = "AcceptedCanceled"
    INVALID_CERTIFICATE = "InvalidCertificate"
    REVOKED_CERTIFICATE = "RevokedCertificate"


class UploadLogsStatus(StrEnum):
    """The verdict in the answer to `upload_logs`."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    ACCEPTED_CANCELED = "AcceptedCanceled"


def _moment(value: object, info: ValidationInfo) -> datetime:
    """Read a time; a list given as validation context receives the warning if the text names no zone."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time without a zone is no moment")
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise ValueError("should be an RFC 3339 time in a string")  # noqa: TRY004 - pydantic lets a TypeError through
    return parse_rfc3339(value, info.context.append if isinstance(info.context, list) else None)


_RequestId = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]
"""EVerest keeps request ids in 32 signed bits and wraps larger ones silently."""
_Attempts = Annotated[int, Field(strict=True, ge=1, le=1000)]
_IntervalS = Annotated[int, Field(strict=True, ge=0, le=_THIRTY_DAYS_S)]
_Location = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=8192)]
_Timestamp = Annotated[datetime, BeforeValidator(_moment)]


class _Message(BaseModel):
    """What the object messages share: immutable, unknown properties kept, no secrets in the text of an error."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)


class FirmwareUpdateRequest(_Message):
    """A request to update the firmware.

    Attributes:
        retries: attempts to download in all, the first one included; 1 to 1000.
        retry_interval_s: seconds between attempts; up to 30 days.
        request_id: -1 if OCPP 1.6 asked for an unsigned update.
        location: where the firmware is; at most 8192 characters. May hold a password: not in `repr`.
        retrieve_timestamp: the download starts no earlier.
        install_timestamp: the installation starts no earlier.
        signing_certificate: PEM text, a chain perhaps.
        signature: base64 text.
    """

    retries: _Attempts | None = None
    retry_interval_s: _IntervalS | None = None
    request_id: _RequestId
    location: _Location = Field(repr=False)
    retrieve_timestamp: _Timestamp | None = None
    install_timestamp: _Timestamp | None = None
    signing_certificate: Annotated[str, StringConstraints(strict=True, max_length=65536)] | None = Field(
        default=None, repr=False
    )
    signature: Annotated[str, StringConstraints(strict=True, max_length=16384)] | None = Field(default=None, repr=False)


class FirmwareUpdateMetadata(_Message):
    """What newer EVerest wants to know with Downloaded and SignatureVerified; not in the specification.

    Attributes:
        disable_connectors_during_install: whether EVerest takes the connectors out of service, and permits then.
    """

    disable_connectors_during_install: StrictBool = True


class FirmwareUpdateStatus(_Message):
    """The status of a firmware update."""

    firmware_update_status: FirmwareUpdateStatusEnum
    request_id: _RequestId
    firmware_update_metadata: FirmwareUpdateMetadata | None = None


class LogStatus(_Message):
    """The status of a log upload."""

    log_status: LogStatusEnum
    request_id: _RequestId


class ResetRequest(_Message):
    """An order to reset; without a type it is NotSpecified, and not scheduled unless it says so (OCPP's OnIdle)."""

    type: ResetType = ResetType.NOT_SPECIFIED
    scheduled: StrictBool = False


class UploadLogsRequest(_Message):
    """A request to upload logs.

    Attributes:
        retries: attempts in all, the first one included; 1 to 1000.
        retry_interval_s: seconds between attempts; up to 30 days.
        oldest_timestamp: where the wanted time begins, itself included.
        latest_timestamp: where it ends, itself included.
        location: where the logs go; at most 8192 characters. May hold a password: not in `repr`.
        type: as it came; see `log_type`.
        request_id: as it came; see `status_request_id`.
    """

    retries: _Attempts | None = None
    retry_interval_s: _IntervalS | None = None
    oldest_timestamp: _Timestamp | None = None
    latest_timestamp: _Timestamp | None = None
    location: _Location = Field(repr=False)
    type: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=255)] | None = None
    request_id: _RequestId | None = None

    @property
    def log_type(self) -> str:
        """The type of log meant: without one, as OCPP 1.6 asks, the diagnostics."""
        return "DiagnosticsLog" if self.type is None else self.type

    @property
    def status_request_id(self) -> int:
        """The request id that statuses carry: -1 for a request that had none, as OCPP 1.6 asks."""
        return NO_REQUEST_ID if self.request_id is None else self.request_id


class UploadLogsResponse(_Message):
    """The answer to `upload_logs`; the name is that of the file to come, 1 to 255 characters (N01.FR.01)."""

    file_name: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=255)] | None = None
    upload_logs_status: UploadLogsStatus


class ResetAllowed(RootModel[StrictBool]):
    """The answer to `is_reset_allowed`."""

    model_config = ConfigDict(frozen=True)


class SystemTime(RootModel[_Timestamp]):
    """The time to set the clock to."""

    model_config = ConfigDict(frozen=True)


class SystemTimeSet(RootModel[StrictBool]):
    """The answer to `set_system_time`: whether the clock was set."""

    model_config = ConfigDict(frozen=True)


class CommunicationCheck(RootModel[StrictBool]):
    """Our sign of life; false ends the checking for as long as that EVerest runs."""

    model_config = ConfigDict(frozen=True)


class HeartBeatId(RootModel[Annotated[int, Field(strict=True, ge=0, lt=2**64)]]):
    """The number of EVerest's heartbeat: 64 unsigned bits, one more each time, wraps."""

    model_config = ConfigDict(frozen=True)
