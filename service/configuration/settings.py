"""The settings: every key of the configuration, with its kind, its default and its meaning.

What a key takes is decided in these models and nowhere else; where its value comes from is the business of
`settings_sources`. Settings never change while the service runs. Sizes are written in megabytes and read
in bytes:

    >>> Settings().firmware.max_size_bytes
    4096000000
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from everest_system.configuration.firmware_settings import Firmware
from everest_system.configuration.setting_types import (
    AUTO,
    Arguments,
    Attempts,
    ModuleIds,
    Name,
    OptionalPath,
    Port,
    RequiredPath,
    RetryInterval,
    Seconds,
    Section,
    Text,
    TopicPrefix,
    UnitName,
    contradiction,
    needs_partner,
)
from everest_system.configuration.transfer_settings import Logs, Transfers

ResetChoice = Literal["reboot", "restart", "refuse"]


DEFAULT_MODULE_ID = "system_api"
"""The id that EVerest's own configurations give the module."""


class Tls(Section):
    """TLS to the broker, which this table switches on, empty or not; without it plain TCP is spoken."""

    ca_file: OptionalPath = Field(
        default=None, description="PEM file of the CAs that vouch for the broker; none: the system's."
    )
    cert_file: OptionalPath = Field(default=None, description="PEM file of our client certificate; needs `key_file`.")
    key_file: OptionalPath = Field(
        default=None, description="PEM file of the client certificate's key, without a passphrase."
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        needs_partner(self, "cert_file", "key_file")
        return self


class Mqtt(Section):
    """The broker that EVerest speaks through."""

    host: Name = Field(
        default="localhost",
        description="The broker's name or address. EVerest's `MQTT_SERVER_ADDRESS` is its default where set.",
    )
    port: Port = Field(
        default=1883, description="The broker's TCP port. EVerest's `MQTT_SERVER_PORT` is its default where set."
    )
    protocol: Literal["3.1.1", "5"] = Field(default="3.1.1", description="The version of MQTT to speak.")
    external_prefix: TopicPrefix = Field(
        default="", description="EVerest's `mqtt_external_prefix`: put before every topic as it stands, no slash added."
    )
    username: Text = Field(default="", description="The user to log in as at the broker; none: no login.")
    password_file: OptionalPath = Field(
        default=None,
        description=(
            "File whose content is the password, one newline at its end not counted. The password itself is never "
            "a setting."
        ),
    )
    tls: Tls | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.password_file is not None and not self.username:
            raise contradiction("username", "must be set, since password_file is: without a user there is no login")
        return self


class Station(Section):
    """The station's side: which EVerest modules are served, and how patiently."""

    module_ids: ModuleIds = Field(
        default=(DEFAULT_MODULE_ID,),
        description=(
            'The EVerest modules to serve, by their module ids. `["auto"]`: those that EVerest names when it is asked '
            "(docs/discovery.md)."
        ),
    )
    discovery_timeout_s: Seconds = Field(
        default=10.0,
        description=(
            'With `module_ids = ["auto"]`, and only as long as no EVerest ever answered: seconds to wait for that, '
            f"before `{DEFAULT_MODULE_ID}` is served."
        ),
    )
    state_dir: RequiredPath = Field(
        default=Path("/var/lib/everest-system"), description="Folder for all that must survive a restart."
    )
    ocpp_version: Literal["1.6", "2.0.1", "2.1"] = Field(
        default="2.0.1",
        description=(
            "The OCPP version spoken to the CSMS. `1.6` keeps log statuses to the words that EVerest's OCPP 1.6 "
            "module survives."
        ),
    )
    presence: Literal["heartbeat", "any_message", "none"] = Field(
        default="heartbeat",
        description=(
            "What shows that EVerest listens: its heartbeats, any message of its, or `none`: it is taken to be "
            "always there."
        ),
    )
    presence_timeout_s: Seconds = Field(
        default=10.0,
        description=(
            "Seconds without a heartbeat after which EVerest counts as gone, once two of them have been missed as "
            "well. If none ever came for this long, any message of EVerest's counts instead."
        ),
    )
    registration_timeout_s: Seconds = Field(
        default=120.0,
        description=(
            "Seconds that the result of an update waits, after a reboot, for the CSMS to accept EVerest "
            "(`set_system_time`)."
        ),
    )
    reply_settle_s: Seconds = Field(
        default=0.5, description="Seconds between a reply and the first status of that request."
    )
    status_interval_s: Seconds = Field(
        default=0.1, description="Least seconds between two statuses: bursts end the EVerest modules that read them."
    )
    communication_check_interval_s: Seconds = Field(
        default=1.5,
        description=(
            "Seconds between two communication checks. EVerest raises a fault after 5 s without one, unless "
            'configured otherwise; with `module_ids = ["auto"]` they come more often where it says so itself.'
        ),
    )
    stop_communication_check_on_exit: bool = Field(
        default=False,
        description="Tell EVerest on a clean stop to check no more. It then never does again until it restarts.",
    )


class PlatformCommand(Section):
    """The platform `command`: programs of the integrator's; exit code 0 is success."""

    reboot: Arguments = Field(default=(), description="Reboots the machine.")
    restart: Arguments = Field(default=(), description="Restarts EVerest; none: it cannot be restarted.")
    set_time: Arguments = Field(
        default=(),
        description=(
            "Sets the clock; `{time}` is filled in, as RFC 3339 has it, or comes last where it is missing. None: the "
            "clock cannot be set."
        ),
    )


class PlatformReset(Section):
    """What a reset does, by the type asked for. OCPP 1.6 asks for `Soft` or `Hard`, OCPP 2.x for `NotSpecified`."""

    hard: ResetChoice = Field(
        default="reboot",
        description=(
            "What `Hard` does: `reboot` the machine, `restart` EVerest only, or `refuse`: `is_reset_allowed` says no."
        ),
    )
    soft: ResetChoice = Field(default="restart", description="What `Soft` does.")
    not_specified: ResetChoice = Field(default="reboot", description="What a reset without a type does.")
    delay_s: Seconds = Field(
        default=2.0, description="Seconds between a reset's acceptance and the reset: EVerest's answer gets out."
    )


class PlatformSystemd(Section):
    """The platform `systemd`: `systemctl` reboots and restarts, the clock is set by `clock_settime` or timedated."""

    everest_unit: UnitName = Field(default="everest.service", description="EVerest's unit, which a restart restarts.")
    hardware_clock: OptionalPath = Field(
        default=Path("/dev/rtc0"),
        description=(
            "Device of the hardware clock, set together with the clock where it exists and may be written; none: leave "
            "it alone."
        ),
    )


class Platform(Section):
    """The machine underneath."""

    kind: Literal["dry_run", "systemd", "command"] = Field(
        default="dry_run",
        description=(
            "Who reboots the machine and sets its clock. `dry_run` changes nothing on it: a reboot restarts the "
            "station in place."
        ),
    )
    dry_run: bool = Field(
        default=False,
        description=(
            "Log what a platform of this kind would do, program by program, and do as the kind `dry_run` does instead."
        ),
    )
    boot_id_file: RequiredPath = Field(
        default=Path("/proc/sys/kernel/random/boot_id"),
        description="File whose content is another after each boot. `dry_run` counts by itself instead.",
    )
    health_check: Arguments = Field(
        default=(),
        description="Run after the boot into new firmware; exit code 0 is healthy. None: a boot is health enough.",
    )
    health_check_timeout_s: Seconds = Field(
        default=300.0,
        description="Seconds after which a health check is ended, and counts as failed; 0: as long as it takes.",
    )
    health_check_retries: Attempts = Field(
        default=3,
        description="Attempts in all, in one boot, before new firmware counts as unhealthy and is rolled back.",
    )
    health_check_interval_s: RetryInterval = Field(default=10.0, description="Seconds between two attempts.")
    time_tolerance_s: Seconds = Field(
        default=2.0, description="Seconds that the clock may be off before `set_system_time` sets it."
    )
    time_despite_ntp: bool = Field(
        default=False, description="Set the clock also while NTP keeps it; else NTP is taken to know better."
    )
    watchdog_dir: OptionalPath = Field(
        default=Path("/sys/class/watchdog"),
        description="Folder of the watchdogs, whose marks tell of a boot that they brought; none: do not look.",
    )
    boot_reason_file: OptionalPath = Field(
        default=None,
        description=(
            "File that a program of yours writes in each boot before the service starts, if the board knows why it "
            "booted: one of EVerest's boot reasons. It counts where nothing had ordered the boot."
        ),
    )
    reset: PlatformReset = PlatformReset()
    systemd: PlatformSystemd = PlatformSystemd()
    command: PlatformCommand = PlatformCommand()

    @property
    def pretends(self) -> bool:
        """Nothing is really done to the machine."""
        return self.dry_run or self.kind == "dry_run"

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.kind == "command" and not self.command.reboot:
            raise contradiction("command.reboot", 'must be set, since platform.kind is "command"')
        return self


class Settings(Section):
    """All settings."""

    mqtt: Mqtt = Mqtt()
    station: Station = Station()
    firmware: Firmware = Firmware()
    transfers: Transfers = Transfers()
    logs: Logs = Logs()
    platform: Platform = Platform()

    # Folders of modules that were found stay where they are when a second one is found, or one is found no more.
    _found: bool = PrivateAttr(default=False)

    @property
    def finds_modules(self) -> bool:
        """Whether EVerest has to be asked which modules there are; until then none is known."""
        return self.station.module_ids == (AUTO,) and not self._found

    def with_modules(self, module_ids: tuple[str, ...], communication_check_interval_s: float) -> Self:
        """These settings, once the modules are known that `finds_modules` asks for; there may be none yet."""
        found = {"module_ids": module_ids, "communication_check_interval_s": communication_check_interval_s}
        settings = self.model_copy(update={"station": self.station.model_copy(update=found)})
        settings._found = True  # noqa: SLF001 - a copy of our own
        return settings

    def artifacts_dir(self, module_id: str) -> Path:
        """The folder of a module's downloads."""
        return self._module_dir(module_id) / "artifacts"

    def spool_dir(self, module_id: str) -> Path:
        """The folder of a module's log archives on their way out."""
        return self._module_dir(module_id) / "spool"

    def slots_dir(self, module_id: str) -> Path:
        """The folder of a module's slots; below `firmware.slots.root`, where set, modules stand side by side."""
        root = self.firmware.slots.root
        if root is None:
            return self._module_dir(module_id) / "slots"
        return root / module_id if self._side_by_side else root

    def _module_dir(self, module_id: str) -> Path:
        state = self.station.state_dir
        return state / "modules" / module_id if self._side_by_side else state

    @property
    def _side_by_side(self) -> bool:
        return self._found or len(self.station.module_ids) > 1
