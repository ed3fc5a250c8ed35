"""The running service: everything made, wired, and taken down again in the right order."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import structlog

from everest_system.admission import Admission
from everest_system.configuration.settings import Settings
from everest_system.fsm.firmware.rules import FirmwareRules
from everest_system.fsm.firmware.states import ENDS as FIRMWARE_ENDS
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.logs.machine import LogsRules
from everest_system.fsm.logs.states import ENDS as LOGS_ENDS
from everest_system.fsm.logs.states import LogsState
from everest_system.fsm.platform.machine import PlatformMachine
from everest_system.fsm.platform.snapshot import PlatformSnapshot
from everest_system.fsm.presence.machine import PresenceRules
from everest_system.inbox import Inbox
from everest_system.io.control import ControlServer
from everest_system.io.mqtt import MqttLink, MqttSettings, TlsFiles
from everest_system.io.store import Saved, Store
from everest_system.io.topics import Topics
from everest_system.module import Module, Rules, snapshot
from everest_system.ports import BootedInPlace
from everest_system.report import PLATFORM
from everest_system.scheduling.clock import SystemClock
from everest_system.scheduling.reactor import Reactor
from everest_system.station import Edges, Pace, Station
from everest_system.tools import Tools
from everest_system.version import __version__
from everest_system.work import Workshop

CONTROL_SOCKET = "control.sock"
BUILT_SCHEMES = frozenset({"https", "http", "ftp"})
WORK_TIMEOUT_S = 2.5  # of the 5 s that a clean stop may take

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StopRequested:
    """SIGTERM or SIGINT came."""

    signal_name: str


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; a dry run's reboot starts everything anew in here.

    Raises:
        WorldError: the store, the control socket or a folder cannot be used.
        NotBuiltError: something is configured that this version does not have.
    """
    with StopSignals() as signals:
        while Service(settings, signals).run():
            _log.info("the station starts anew, as after a boot")


class StopSignals:
    """SIGTERM and SIGINT, in force from before the first start until after the last one.

    One that comes while nobody listens, as between two starts in place, waits for whoever listens next.
    """

    def __init__(self) -> None:
        self._came: StopRequested | None = None
        self._listener: Callable[[object], None] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def listen(self, post: Callable[[object], None]) -> None:
        """Have `post` take `StopRequested` from now on, at once if one has come."""
        self._listener = post
        if self._came is not None:
            post(self._came)

    def _note(self, number: int, _frame: object) -> None:
        self._came = StopRequested(signal.Signals(number).name)
        if self._listener is not None:
            self._listener(self._came)


class Service:
    """One start of the service, from the store to the stop."""

    def __init__(self, settings: Settings, signals: StopSignals) -> None:
        self._settings, self._signals = settings, signals
        self._booted_in_place = False
        self._reactor: Reactor
        self._station: Station

    def run(self) -> bool:
        """Serve until told to stop; True if only to start anew."""
        settings = self._settings
        with Store.open(settings.station.state_dir) as store:
            tools = Tools.from_settings(settings)
            boot_id = tools.platform.boot_id()
            self._reactor = Reactor(SystemClock(lambda: boot_id), self._handle)
            workshop = Workshop(tools, self._reactor.post)
            self._station = self._make_station(tools, store, workshop)
            with self._control_socket():
                self._signals.listen(self._reactor.post)
                _log.info("started", version=__version__, boot_id=boot_id, state_dir=str(settings.station.state_dir))
                self._station.start()
                try:
                    self._reactor.run()
                finally:
                    self._station.stop(end_communication_check=settings.station.stop_communication_check_on_exit)
                    workshop.close(WORK_TIMEOUT_S)
                while self._reactor.turn(0):
                    pass  # what work still had to say is stored before we go
                self._reactor.shutdown()
        _log.info("stopped")
        return self._booted_in_place

    def _handle(self, event: Any) -> None:
        match event:
            case StopRequested():
                _log.info(f"stopping: {event.signal_name}")
                self._reactor.stop()
            case BootedInPlace():
                self._booted_in_place = True
                self._reactor.stop()
            case _:
                self._station.handle(event)

    def _make_station(self, tools: Tools, store: Store, workshop: Workshop) -> Station:
        settings, saved = self._settings, store.load()
        modules = {module_id: self._load(module_id, saved) for module_id in settings.station.module_ids}
        for module in modules.values():
            firmware, logs = module.firmware.snapshot, module.logs.snapshot
            tools.tidy(
                module.module_id,
                update=None if firmware.state in {*FIRMWARE_ENDS, FirmwareState.IDLE} else firmware.job,
                upload=None if logs.state in {*LOGS_ENDS, LogsState.IDLE} else logs.job,
            )
        link = MqttLink(
            mqtt_settings(settings),
            self._reactor.post,
            [(module.topics.commands_filter, 2) for module in modules.values()],
        )
        return Station(
            Edges(self._reactor.clock, self._reactor, store, link, workshop),
            modules,
            PlatformMachine(snapshot(PlatformSnapshot, saved.snapshots, PLATFORM)),
            Inbox(_admission(settings, tools)),
            Pace(settings.station.status_interval_s, settings.station.communication_check_interval_s),
            saved.last_seq,
        )

    def _load(self, module_id: str, saved: Saved) -> Module:
        topics = Topics(self._settings.mqtt.external_prefix, module_id)
        module = Module.load(topics, rules(self._settings), saved.snapshots)
        module.outbox.add(row for row in saved.rows if row.module_id == module_id)
        return module

    @contextmanager
    def _control_socket(self) -> Iterator[None]:
        server = ControlServer(self._settings.station.state_dir / CONTROL_SOCKET, self._reactor.post)
        try:
            yield
        finally:
            server.close()


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


def _admission(settings: Settings, tools: Tools) -> Admission:
    firmware = settings.firmware
    unsigned = firmware.unsigned == "accept" or (
        firmware.unsigned == "auto" and all(installer.verifies_signatures for installer in tools.installers.values())
    )
    return Admission(
        firmware_schemes=_built(firmware.schemes),
        unsigned=unsigned,
        check_certificate=tools.certificates.check,
        logs_schemes=_built(settings.logs.schemes),
        sources=tools.sources,
    )


def _built(schemes: Sequence[str]) -> tuple[str, ...]:
    """Those of the configured schemes that this version has: a request for another is refused, not failed."""
    return tuple(scheme for scheme in schemes if scheme in BUILT_SCHEMES)
