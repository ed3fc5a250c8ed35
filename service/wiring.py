"""The configuration as each part of the station wants it, and the station made of what the store says."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from everest_system.admission import Admission
from everest_system.configuration.settings import Settings
from everest_system.fsm.firmware.rules import FirmwareRules
from everest_system.fsm.firmware.states import ENDS as FIRMWARE_ENDS
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.logs.machine import LogsRules
from everest_system.fsm.logs.states import ENDS as LOGS_ENDS
from everest_system.fsm.logs.states import LogsState
from everest_system.fsm.platform.boot_reasons import BootFacts
from everest_system.fsm.platform.machine import PlatformMachine, PlatformRules
from everest_system.fsm.platform.snapshot import PlatformSnapshot
from everest_system.fsm.presence.machine import PresenceRules
from everest_system.inbox import Inbox
from everest_system.io.mqtt.settings import MqttSettings, TlsFiles
from everest_system.io.mqtt.topics import Topics
from everest_system.io.store.store import Saved
from everest_system.module import Module, Rules, snapshot
from everest_system.report import PLATFORM
from everest_system.resets import Resets
from everest_system.station import Edges, Pace, Station

if TYPE_CHECKING:
    from everest_system.discovery.search import Search


class Tidy(Protocol):
    """Removes what a crash may have left of any job but the present ones; None where there is no job."""

    def __call__(self, module_id: str, *, update: int | None, upload: int | None) -> None:
        """Do it for one module."""


def topics(settings: Settings) -> list[Topics]:
    """Those of each module."""
    return [Topics(settings.mqtt.external_prefix, module_id) for module_id in settings.station.module_ids]


def make_search(settings: Settings) -> "Search | None":
    """The search for EVerest's modules, where it is wanted; elsewhere nothing of it is loaded.

    Raises:
        WorldError: what is known already cannot be read.
    """
    if not settings.finds_modules:
        return None
    from everest_system.discovery.search import Search

    return Search(settings)


def make_station(
    settings: Settings, saved: Saved, edges: Edges, admission: Admission, tidy: Tidy, boot: BootFacts
) -> Station:
    """The station as it stopped, not yet started; `boot` is what the machine shows of its last boot.

    Raises:
        WorldError: what is saved cannot be read.
    """
    modules = load_modules(settings, saved)
    tidy_up(modules, tidy)
    platform_rules = PlatformRules(reset_delay_s=settings.platform.reset.delay_s)
    return Station(
        edges,
        modules,
        PlatformMachine(snapshot(PlatformSnapshot, saved.snapshots, PLATFORM), platform_rules, boot),
        Inbox(admission, Resets(settings.platform)),
        Pace(settings.station.status_interval_s, settings.station.communication_check_interval_s),
        saved.last_seq,
    )


def load_modules(settings: Settings, saved: Saved) -> dict[str, Module]:
    """The modules as they stopped.

    Raises:
        WorldError: what is saved cannot be read.
    """
    modules = {}
    for module_topics in topics(settings):
        module = Module.load(module_topics, rules(settings), saved.snapshots)
        module.outbox.add(row for row in saved.rows if row.module_id == module.module_id)
        modules[module.module_id] = module
    return modules


def tidy_up(modules: Mapping[str, Module], tidy: Tidy) -> None:
    """Leave no files but those of the jobs under way."""
    for module in modules.values():
        firmware, logs = module.firmware.snapshot, module.logs.snapshot
        tidy(
            module.module_id,
            update=None if firmware.state in {*FIRMWARE_ENDS, FirmwareState.IDLE} else firmware.job,
            upload=None if logs.state in {*LOGS_ENDS, LogsState.IDLE} else logs.job,
        )


def mqtt_settings(settings: Settings) -> MqttSettings:
    """The broker, as the wire wants it."""
    mqtt = settings.mqtt
    tls = None
    if mqtt.tls is not None:
        tls = TlsFiles(*(str(file or "") for file in (mqtt.tls.ca_file, mqtt.tls.cert_file, mqtt.tls.key_file)))
    return MqttSettings(
        host=mqtt.host,
        port=mqtt.port,
        protocol=mqtt.protocol,
        username=mqtt.username,
        password_file=str(mqtt.password_file or ""),
        tls=tls,
    )


def rules(settings: Settings) -> Rules:
    """The configuration, as the machines want it."""
    station, firmware, logs = settings.station, settings.firmware, settings.logs
    return Rules(
        firmware=FirmwareRules(
            settle_s=station.reply_settle_s,
            default_retries=firmware.default_retries,
            default_retry_interval_s=firmware.default_retry_interval_s,
            report_each_attempt=firmware.attempt_reporting == "each",
            permission_required=firmware.permission == "required",
            permission_timeout_s=firmware.permission_timeout_s,
            download_timeout_s=firmware.download_timeout_s,
            reboot_grace_s=firmware.reboot_grace_s,
            health_check_retries=settings.platform.health_check_retries,
            health_check_interval_s=settings.platform.health_check_interval_s,
            confirm_boots=firmware.confirm_boots,
        ),
        logs=LogsRules(
            settle_s=station.reply_settle_s,
            default_retries=logs.default_retries,
            default_retry_interval_s=logs.default_retry_interval_s,
            report_each_attempt=logs.attempt_reporting == "each",
            ocpp_1_6=station.ocpp_version == "1.6",
        ),
        presence=PresenceRules(
            mode=station.presence,
            timeout_s=station.presence_timeout_s,
            registration_timeout_s=station.registration_timeout_s,
        ),
    )
