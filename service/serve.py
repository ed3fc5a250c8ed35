"""The running service: everything made, wired, and taken down again in the right order."""

import faulthandler
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import structlog

from everest_system.admission import Admission
from everest_system.configuration.settings import Settings
from everest_system.io.control.server import ControlServer
from everest_system.io.control.wire import CONTROL_SOCKET
from everest_system.io.mqtt.link import MqttLink
from everest_system.io.notify_socket import NotifySocket
from everest_system.io.store.store import Saved, Store, StoreError
from everest_system.ports import BootedInPlace, ModulesChanged
from everest_system.report import PLATFORM
from everest_system.room import MemoryWithRoom, make_room, open_store
from everest_system.salvage import salvage
from everest_system.scheduling.clock import SystemClock
from everest_system.scheduling.reactor import Reactor, TimerFired
from everest_system.sign_of_life import OWNER as SIGN_OF_LIFE
from everest_system.sign_of_life import SignOfLife
from everest_system.station import Edges, Station
from everest_system.tools import Tools, boot_facts, tidy
from everest_system.version import __version__
from everest_system.wiring import make_search, make_station, mqtt_settings, topics
from everest_system.work import Workshop

if TYPE_CHECKING:
    from everest_system.discovery.search import Search

WORK_TIMEOUT_S = 2.5  # of the 5 s that a clean stop may take

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StopRequested:
    """SIGTERM or SIGINT came."""

    signal_name: str


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; a dry run's reboot and other modules of EVerest's start everything anew in here.

    Raises:
        WorldError: the store, the control socket or a folder cannot be used.
    """
    notify = NotifySocket.from_environment(os.environ)
    if notify.watchdog_s is not None:
        # systemd ends a loop that hangs with SIGABRT: the journal then has where. (Of this thread alone, which the loop
        # is in: to look at others while they run can end in another signal.)
        faulthandler.enable(all_threads=False)
    with StopSignals() as signals:
        search = make_search(settings)
        cause: BootedInPlace | ModulesChanged | None = None
        while cause := Service(settings, signals, notify, search, cause).run():
            _log.info("the station starts anew")


class StopSignals:
    """SIGTERM and SIGINT, in force from before the first start until after the last one.

    One that comes while nobody listens, as between two starts in place, waits for whoever listens next. When all is
    over they are ignored: the process is about to end, and somebody impatient shall not spoil its exit code.
    """

    def __init__(self) -> None:
        self._came: StopRequested | None = None
        self._listener: Callable[[object], None] | None = None

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

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
    """One start of the service, from the store to the stop.

    Args:
        settings: as configured.
        signals: end it.
        notify: tells systemd.
        search: finds EVerest's modules; None: they are configured.
        cause: what had the start before this one end; None: this is the process's first.
    """

    def __init__(
        self,
        settings: Settings,
        signals: StopSignals,
        notify: NotifySocket,
        search: "Search | None" = None,
        cause: BootedInPlace | ModulesChanged | None = None,
    ) -> None:
        self._search = search
        self._goes_on = isinstance(cause, ModulesChanged)
        self._settings = settings if search is None else search.settings
        self._signals, self._notify = signals, notify
        self._tidy = partial(tidy, self._settings)
        self._starts_anew: BootedInPlace | ModulesChanged | None = None
        self._reactor: Reactor
        self._station: Station
        self._sign_of_life: SignOfLife

    def run(self) -> BootedInPlace | ModulesChanged | None:
        """Serve until told to stop; why, if only to start anew."""
        settings = self._settings
        with open_store(settings, self._tidy) as store:
            tools = Tools.from_settings(settings)
            boot_id = tools.platform.boot_id()
            self._reactor = Reactor(SystemClock(lambda: boot_id), self._handle)
            workshop = Workshop(tools, self._reactor.post)
            self._station = self._make_station(tools, store, workshop)
            if self._search is not None:
                self._search.begin(self._station, self._reactor.post)
            self._sign_of_life = SignOfLife(self._notify, self._reactor, self._station)
            with self._control_socket():
                self._signals.listen(self._reactor.post)
                _log.info("started", version=__version__, boot_id=boot_id, state_dir=str(settings.station.state_dir))
                self._station.start()
                self._sign_of_life.begin()
                try:
                    self._reactor.run()
                finally:
                    self._station.stop(end_communication_check=settings.station.stop_communication_check_on_exit)
                    workshop.close(WORK_TIMEOUT_S)
                while self._reactor.turn(0):
                    pass  # what work still had to say is stored before we go
                self._station.note_clean_stop()
                self._reactor.shutdown()
        _log.info("stopped")
        return self._starts_anew

    def _handle(self, event: Any) -> None:
        match event:
            case StopRequested():
                _log.info(f"stopping: {event.signal_name}")
                self._sign_of_life.stop()
                self._reactor.stop()
            case BootedInPlace() | ModulesChanged():
                self._starts_anew = event
                self._reactor.stop()
            case TimerFired(owner=owner) if owner == SIGN_OF_LIFE:
                self._sign_of_life.beat()
            case _ if self._search is not None and self._search.takes(event):
                pass
            case _:
                self._station.handle(event)
                self._sign_of_life.tell()

    def _make_station(self, tools: Tools, store: Store, workshop: Workshop) -> Station:
        settings = self._settings
        subscriptions = [(module_topics.commands_filter, 2) for module_topics in topics(settings)]
        if self._search is not None:
            subscriptions += self._search.subscriptions
        link = MqttLink(mqtt_settings(settings), self._reactor.post, subscriptions)
        memory = MemoryWithRoom(store, lambda: make_room(settings, self._tidy))
        edges = Edges(self._reactor.clock, self._reactor, memory, link, workshop)
        saved, forgotten = self._saved(store, memory)
        tidy_beside = partial(self._tidy, discard=workshop.discard)
        facts = boot_facts(settings, forgotten=forgotten, goes_on=self._goes_on)
        return make_station(settings, saved, edges, _admission(settings, tools), tidy_beside, facts)

    def _saved(self, store: Store, memory: MemoryWithRoom) -> tuple[Saved, bool]:
        """What the store has, as far as it makes sense, and whether it has forgotten boots and resets.

        What makes no sense is told, and kept for people to look into.
        """
        if store.loss:
            _log.error(store.loss)
        found = salvage(store.load())
        if found.problems:
            for problem in found.problems:
                _log.error(problem)
            with suppress(StoreError):  # on a full disk it has to do without
                _log.error(f"a copy of the store as it was is kept as {store.keep_copy()}")
            memory.commit(found.change)
        known = {*self._settings.station.module_ids, PLATFORM[0]}
        for module_id in sorted({module_id for module_id, _ in found.saved.snapshots} - known, key=str):
            _log.warning(f"the store remembers {module_id}, which is not served: it is left as it is")
        lost = bool(store.loss) and PLATFORM not in found.saved.snapshots
        return found.saved, lost or PLATFORM in found.change.snapshots

    @contextmanager
    def _control_socket(self) -> Iterator[None]:
        server = ControlServer(self._settings.station.state_dir / CONTROL_SOCKET, self._reactor.post)
        try:
            yield
        finally:
            server.close()


def _admission(settings: Settings, tools: Tools) -> Admission:
    firmware = settings.firmware
    unsigned = firmware.unsigned == "accept" or (
        firmware.unsigned == "auto" and all(installer.verifies_signatures for installer in tools.installers.values())
    )
    return Admission(
        firmware_schemes=firmware.schemes,
        unsigned=unsigned,
        check_certificate=tools.certificates.check,
        logs_schemes=settings.logs.schemes,
        sources=tools.sources,
    )
