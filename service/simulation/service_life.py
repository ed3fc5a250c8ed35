"""One life of the service inside a simulation, from its start to its stop or crash: the real reactor and station."""

from collections.abc import Callable
from typing import Any

from everest_system.admission import Admission
from everest_system.configuration.settings import Settings
from everest_system.fsm.platform.boot_reasons import BootFacts
from everest_system.io.logs.sources import LogSource
from everest_system.io.trust.verification_error import CertificateError
from everest_system.ports import BootedInPlace
from everest_system.scheduling.reactor import Reactor
from everest_system.simulation.agenda import Agenda
from everest_system.simulation.broker import FakeBroker, FakeWire
from everest_system.simulation.clock import FakeClock
from everest_system.simulation.crash_points import Watch, WatchedMemory, WatchedWire, WatchedWorkshop
from everest_system.simulation.memory import FakeMemory
from everest_system.simulation.workshop import FakeWorkshop, Machine
from everest_system.simulation.world import World
from everest_system.station import Edges
from everest_system.wiring import make_station


class ServiceLife:
    """Everything that `everest_system.serve.Service` makes at a start, with fakes at the edges.

    Args:
        settings: the configuration.
        clock: the machine's.
        memory: what the life before has stored.
        world, agenda, broker: the outside.
        machine: whom power and clock belong to.
        boot_in_place: called when a dry run's reboot wants the service to start anew.
        watch: where the service may die.
        boot: what the machine shows of its last boot.

    Attributes:
        reactor, station, wire, workshop: as they are in this life.
    """

    def __init__(
        self,
        settings: Settings,
        clock: FakeClock,
        memory: FakeMemory,
        world: World,
        agenda: Agenda,
        broker: FakeBroker,
        machine: Machine,
        boot_in_place: Callable[[], None],
        watch: Watch,
        boot: BootFacts,
    ) -> None:
        self._settings, self._boot_in_place = settings, boot_in_place
        self.reactor = Reactor(clock, self._handle)
        self.wire = FakeWire(broker, self.reactor.post)
        self.workshop = FakeWorkshop(settings, world, agenda, machine, self.reactor.post)
        edges = Edges(
            clock,
            self.reactor,
            WatchedMemory(memory, watch),
            WatchedWire(self.wire, watch),
            WatchedWorkshop(self.workshop, watch),
        )
        self.station = make_station(settings, memory.load(), edges, _admission(settings, world), world.tidy, boot)

    def start(self) -> None:
        """Go on where the life before has ended."""
        self.station.start()

    def turn(self) -> bool:
        """Let the reactor take one event, if there is one; whether there was."""
        return self.reactor.turn(0)

    def stop(self) -> None:
        """End as after SIGTERM: say goodbye, end the work, store what it still had to say."""
        self.station.stop(end_communication_check=self._settings.station.stop_communication_check_on_exit)
        self.workshop.close()
        while self.turn():
            pass
        self.station.note_clean_stop()
        self.reactor.shutdown()

    def crash(self) -> None:
        """End as after SIGKILL: here and now."""
        self.wire.abandon()
        self.workshop.close()
        self.reactor.shutdown()

    def _handle(self, event: Any) -> None:
        if isinstance(event, BootedInPlace):
            self._boot_in_place()
        else:
            self.station.handle(event)


def _admission(settings: Settings, world: World) -> Admission:
    """Admission by the configuration, with the world's word on certificates and on which logs there are."""
    firmware = settings.firmware

    def check_certificate(_pem: str, _now: object) -> None:
        match world.behaviour.certificate:
            case "invalid":
                raise CertificateError("the certificate does not end in a trust anchor")
            case "revoked":
                raise CertificateError("the certificate is revoked", "RevokedCertificate")

    return Admission(
        firmware_schemes=firmware.schemes,
        unsigned=firmware.unsigned == "accept" or (firmware.unsigned == "auto" and firmware.installer == "rauc"),
        check_certificate=check_certificate,
        logs_schemes=settings.logs.schemes,
        # The simulation looks into no real folder: a type's logs are there, or they are not.
        sources={name: LogSource((), journal=name in world.behaviour.log_types) for name in settings.logs.sources},
    )
