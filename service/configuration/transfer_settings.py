"""The settings of transfers both ways, and of the logs that are uploaded: `[transfers]` and `[logs]`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from everest_system.configuration.log_settings import LogCommand, LogMask, Priority, Units
from everest_system.configuration.setting_types import (
    MEGABYTE,
    REMOTE_SCHEMES,
    Attempts,
    Megabytes,
    OptionalPath,
    Paths,
    Patterns,
    PlainName,
    RetryInterval,
    Schemes,
    Seconds,
    Section,
    Words,
    contradiction,
    needs_partner,
)

FieldName = Annotated[PlainName, Words("a name of 1 to 64 letters, digits, _ and -")]
Reserve = Annotated[float, Field(ge=0, le=1_000_000)]


class Transfers(Section):
    """Downloads and uploads."""

    ca_files: Paths = Field(default=(), description="PEM files of CAs that are trusted besides the system's.")
    client_cert_file: OptionalPath = Field(
        default=None, description="PEM file of the certificate we show to servers; needs `client_key_file`."
    )
    client_key_file: OptionalPath = Field(
        default=None, description="PEM file of that certificate's key, without a passphrase."
    )
    credentials_file: OptionalPath = Field(
        default=None,
        description=(
            "File of users and passwords for servers whose URLs have none, one line each: `machine HOST login USER "
            "password PASSWORD`. Users other than its owner and group must have no access to it."
        ),
    )
    ftp_tls: Literal["try", "require", "never"] = Field(
        default="try",
        description=(
            "TLS on `ftp://` (explicit): used where the server has it, insisted on, or never. `ftps://` is "
            "implicit TLS whatever stands here."
        ),
    )
    sftp_host_keys: Literal["first_use", "known_hosts"] = Field(
        default="first_use",
        description=(
            "A server's key over SFTP: the one seen first is kept in the state folder and must not change, or it "
            "must be in `known_hosts_file`."
        ),
    )
    known_hosts_file: OptionalPath = Field(
        default=None, description="OpenSSH known-hosts file for `known_hosts`; none: the user's own."
    )
    sftp_key_file: OptionalPath = Field(
        default=None, description="Private key to log in with over SFTP, without a passphrase; none: by password."
    )
    connect_timeout_s: Seconds = Field(
        default=20.0, description="Seconds for a connection to come about, login and all."
    )
    stall_timeout_s: Seconds = Field(
        default=60.0, description="Seconds without progress after which an attempt has failed."
    )
    free_space_reserve_mb: Reserve = Field(
        default=16.0, description="Space that a download leaves free on its disk, in megabytes (1,000,000 bytes)."
    )

    @property
    def free_space_reserve_bytes(self) -> int:
        """Space that a download leaves free, in bytes."""
        return int(self.free_space_reserve_mb * MEGABYTE)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        needs_partner(self, "client_cert_file", "client_key_file")
        if self.known_hosts_file is not None and self.sftp_host_keys == "first_use":
            # Whoever names the file means its servers and no others.
            raise contradiction("known_hosts_file", 'counts only where sftp_host_keys is "known_hosts"')
        return self


class LogSource(Section):
    """Where the logs of one type come from. Without any of these the type cannot be asked for."""

    files: Patterns = Field(default=(), description="Files to take, by pattern (`**`: any folders below).")
    journal: bool = Field(
        default=False, description="Take the system's journal as well, as text and in its export format."
    )
    journal_units: Units = Field(default=(), description="Take the journal of these units only; none: of all.")
    journal_priority: Priority = Field(
        default="", description="Take what is at least as grave as this from the journal; none: everything."
    )
    service: bool = Field(default=False, description="Take this service's own status and history as well.")
    commands: dict[PlainName, LogCommand] = Field(
        default={}, description="Programs whose output is taken as well, a table for each."
    )


DEFAULT_SOURCES: dict[str, LogSource] = {
    "DiagnosticsLog": LogSource(files=("/var/log/everest/**/*",), journal=True, service=True),
    "SecurityLog": LogSource(files=("/var/log/everest/ocpp/*security*",)),
}


LOG_TYPES = (*DEFAULT_SOURCES, "DataCollectorLog")
"""The log types that OCPP names (2.1 N01.FR.04); requests may ask for others."""


def _over_defaults(given: Any) -> Any:
    """Each key of a source keeps its own default, as everywhere else: setting one does not clear its neighbours."""
    if not isinstance(given, Mapping):
        return given
    merged: dict[Any, Any] = {**DEFAULT_SOURCES, **given}
    for name, default in DEFAULT_SOURCES.items():
        if isinstance(given.get(name), Mapping):
            merged[name] = {**dict(default), **given[name]}
    return merged


def _with_something(sources: dict[str, LogSource]) -> dict[str, LogSource]:
    return {
        name: source
        for name, source in sources.items()
        if source.files or source.journal or source.service or source.commands
    }


Sources = Annotated[
    dict[PlainName, LogSource],
    BeforeValidator(_over_defaults),
    AfterValidator(_with_something),
]


class Logs(Section):
    """Log uploads."""

    schemes: Schemes = Field(
        default=REMOTE_SCHEMES,
        description="The kinds of URL that logs are sent to. `file` writes files of this machine.",
    )
    upload_method: Literal["PUT", "POST"] = Field(
        default="PUT", description="The HTTP method of an upload: `PUT` the archive itself, or `POST` a form with it."
    )
    upload_field: FieldName = Field(default="file", description="The form's field that holds the archive.")
    default_retries: Attempts = Field(default=3, description="Attempts in all, where a request does not say.")
    default_retry_interval_s: RetryInterval = Field(
        default=60.0, description="Seconds between two attempts, where a request does not say."
    )
    attempt_reporting: Literal["each", "last"] = Field(
        default="each", description="`each`: UploadFailure after every failed attempt; `last`: only after the last one."
    )
    max_size_mb: Megabytes = Field(
        default=512.0, description="The largest archive made, in megabytes (1,000,000 bytes)."
    )
    journal_max_size_mb: Megabytes = Field(
        default=64.0,
        description=(
            "The most that is taken of the journal, as text and in its export format each, in megabytes (1,000,000 "
            "bytes) before compression; the newest is kept."
        ),
    )
    mask_passwords: bool = Field(
        default=True, description="Hide passwords in URLs and what `Authorization` headers say, in all that is taken."
    )
    mask_id_tokens: bool = Field(default=False, description="Hide the id tokens and id tags of drivers too.")
    mask: dict[PlainName, LogMask] = Field(default={}, description="More to hide, a table for each.")
    sources: Sources = Field(
        default=DEFAULT_SOURCES,
        description=(
            "A table for each log type, by the name that requests give it. DiagnosticsLog and SecurityLog have "
            "defaults of their own."
        ),
    )

    @property
    def max_size_bytes(self) -> int:
        """The largest archive made, in bytes."""
        return int(self.max_size_mb * MEGABYTE)

    @property
    def journal_max_bytes(self) -> int:
        """The most that is taken of the journal, in bytes."""
        return max(1, int(self.journal_max_size_mb * MEGABYTE))
