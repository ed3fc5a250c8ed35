"""The settings of firmware updates: `[firmware]` and the tables of its installers."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from everest_system.configuration.setting_types import (
    DAY_S,
    MEGABYTE,
    REMOTE_SCHEMES,
    Activation,
    Arguments,
    Attempts,
    Megabytes,
    OptionalPath,
    Paths,
    RetryInterval,
    Schemes,
    Seconds,
    Section,
    SignatureSchemes,
    Text,
    Words,
    contradiction,
)

BusAddress = Annotated[
    str,
    Field(max_length=1024, pattern=r"^(system|session|unix:[!-~]+)\z"),
    Words('"system", "session", or a bus\'s address, such as "unix:path=/run/bus"'),
]
InstallerName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_-]{1,64}\z"),
    Words('"slots", "command", "rauc", or the name of an installer that is installed'),
]


class Slots(Section):
    """The installer `slots`: two folders and a symbolic link."""

    root: OptionalPath = Field(
        default=None, description="Folder that holds the slots; none: `slots` in the state folder."
    )
    activation: Activation = Field(
        default="reboot",
        description=(
            "What makes new firmware active: a reboot, a restart of EVerest, or nothing more than the installation."
        ),
    )
    manifest: Literal["optional", "required"] = Field(
        default="optional",
        description=(
            "Whether firmware has to be an archive with a manifest (`docs/slots.md`). `required`: an archive without "
            "one fails verification, and so does an image."
        ),
    )
    compatible: Text = Field(
        default="",
        description=(
            "The kind of station that this is: firmware whose manifest does not say the same fails verification; "
            "none: any firmware."
        ),
    )
    max_unpacked_mb: Megabytes = Field(
        default=8192.0, description="The most that an archive may unpack to, in megabytes (1,000,000 bytes)."
    )

    @property
    def max_unpacked_bytes(self) -> int:
        """The most that an archive may unpack to, in bytes."""
        return int(self.max_unpacked_mb * MEGABYTE)


class InstallCommand(Section):
    """The installer `command`: a program of the integrator's."""

    install: Arguments = Field(
        default=(),
        description=(
            "The program and its arguments; `{artifact}`, `{location}` and `{request_id}` are filled in. Without "
            "`{artifact}` its path comes last."
        ),
    )
    timeout_s: Seconds = Field(
        default=3600.0, description="Seconds after which the program is ended and the installation has failed."
    )
    activation: Activation = Field(
        default="reboot", description="What makes new firmware active, as in `firmware.slots.activation`."
    )
    repeatable: bool = Field(
        default=False,
        description="After a crash in its middle the program may be run once more; else the installation has failed.",
    )


class Rauc(Section):
    """The installer `rauc` (`docs/rauc.md`); its library comes with `everest-system[rauc]`."""

    bus: BusAddress = Field(default="system", description="The D-Bus that RAUC is on.")
    busy_timeout_s: Seconds = Field(
        default=600.0,
        description=(
            "Seconds to wait for what RAUC is doing for somebody else, before the installation has failed; 0: not at "
            "all."
        ),
    )
    timeout_s: Seconds = Field(
        default=3600.0,
        description="Seconds after which an installation by RAUC has failed; 0: it may take as long as it takes.",
    )


class Firmware(Section):
    """Firmware updates."""

    installer: InstallerName = Field(
        default="slots",
        description=(
            "What installs: two slots of our own, a program of the integrator's, RAUC, or an installer of another "
            "package (`docs/installers.md`), whose settings are in the table `[firmware.NAME]` of the file."
        ),
    )
    chain: Literal["anchors", "everest"] = Field(
        default="anchors",
        description=(
            "Who vouches for a signing certificate: `trust_anchors` (with none of them every certificate is "
            "invalid), or EVerest's own check."
        ),
    )
    trust_anchors: Paths = Field(
        default=(), description="PEM files, or folders of them: the manufacturer's root certificates."
    )
    crls: Paths = Field(default=(), description="PEM files, or folders of them: lists of revoked certificates.")
    crl_policy: Literal["try", "require"] = Field(
        default="try",
        description=(
            "Where no current list speaks of a certificate, because there is none or it is out of date: `try` warns "
            "and goes on, `require` answers InvalidCertificate. Who is on a list is refused either way."
        ),
    )
    unsigned: Literal["auto", "reject", "accept"] = Field(
        default="auto",
        description=(
            "Requests with neither certificate nor signature. `auto`: accepted where the installer verifies "
            "signatures by itself (`rauc`), else rejected."
        ),
    )
    signature_schemes: SignatureSchemes = Field(
        default=("rsa-pss", "rsa-pkcs1v15", "ecdsa"), description="The signatures that are taken."
    )
    schemes: Schemes = Field(
        default=REMOTE_SCHEMES,
        description="The kinds of URL that firmware is fetched from. `file` reads files of this machine.",
    )
    default_retries: Attempts = Field(default=3, description="Attempts in all, where a request does not say.")
    default_retry_interval_s: RetryInterval = Field(
        default=60.0, description="Seconds between two attempts, where a request does not say."
    )
    attempt_reporting: Literal["each", "last"] = Field(
        default="each",
        description="`each`: DownloadFailed after every failed attempt; `last`: only after the last one.",
    )
    permission: Literal["required", "not_required"] = Field(
        default="required", description="Whether an installation waits for EVerest's `allow_firmware_installation`."
    )
    permission_timeout_s: Seconds = Field(
        default=0.0,
        description="Seconds to wait for the permission before the installation has failed; 0: as long as it takes.",
    )
    max_size_mb: Megabytes = Field(
        default=4096.0, description="The largest firmware file taken, in megabytes (1,000,000 bytes)."
    )
    download_timeout_s: Seconds = Field(
        default=float(DAY_S), description="Seconds for all attempts of a download together."
    )
    rate_limit_kbps: Annotated[int, Field(ge=0, le=100_000_000)] = Field(
        default=0,
        description="The fastest that firmware is downloaded, in kilobits (1,000 bits) a second; 0: no limit.",
    )
    reboot_grace_s: Seconds = Field(
        default=5.0, description="Seconds between the delivered InstallRebooting and the reboot."
    )
    confirm_boots: Annotated[int, Field(ge=1, le=5)] = Field(
        default=3,
        description=(
            "How many boots of new firmware may begin before it has passed `platform.health_check`; with one more it "
            "is rolled back. 1: a second boot is a failure already, be it by a power cut."
        ),
    )
    allow_downgrade: bool = Field(
        default=True,
        description=(
            "Whether firmware may be older than what is active, where the installer knows versions (`slots`, by the "
            "manifest; `rauc`, by the bundle). If false, older firmware fails verification, and so does firmware that "
            "says no version."
        ),
    )
    slots: Slots = Slots()
    command: InstallCommand = InstallCommand()
    rauc: Rauc = Rauc()
    _own: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def own(self) -> Mapping[str, Any]:
        """The table of an installer of another package, which only that installer can judge."""
        return self._own

    @property
    def max_size_bytes(self) -> int:
        """The largest firmware file taken, in bytes."""
        return int(self.max_size_mb * MEGABYTE)

    @model_validator(mode="wrap")
    @classmethod
    def _with_own(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Take the table of the chosen installer out, where it is one that is not known here."""
        name = values.get("installer") if isinstance(values, dict) else None
        if not isinstance(name, str) or name in cls.model_fields or name not in values:
            return handler(values)
        own = values[name]
        if not isinstance(own, dict):
            raise contradiction(name, "is no table")
        made = handler({key: value for key, value in values.items() if key != name})
        made._own = own  # noqa: SLF001 - its own
        return made

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.installer == "command" and not self.command.install:
            raise contradiction("command.install", 'must be set, since firmware.installer is "command"')
        if self.crl_policy == "require" and not self.crls:
            raise contradiction("crls", 'must be set, since firmware.crl_policy is "require"')
        return self
