"""The facts that tell whether EVerest listens."""

from dataclasses import dataclass

from everest_system.fsm.events import Event, JobEvent


@dataclass(frozen=True, slots=True)
class BrokerFound(Event):
    """The connection to the broker stands."""


@dataclass(frozen=True, slots=True)
class BrokerLost(Event):
    """The connection to the broker is gone; when its broker goes away, EVerest ends."""


@dataclass(frozen=True, slots=True)
class HeartbeatArrived(Event):
    """EVerest's heartbeat, an unsigned number of 64 bits that grows by one each time and begins at 0."""

    number: int


@dataclass(frozen=True, slots=True)
class EverestSpoke(Event):
    """Another message of EVerest's came.

    Attributes:
        is_start: it is one that EVerest sends once in its life, when its OCPP module gets ready (`get_boot_reason`).
        is_from_csms: it is one that only an accepted CSMS can have caused.
    """

    is_start: bool
    is_from_csms: bool


@dataclass(frozen=True, slots=True)
class HeartbeatsMissing(JobEvent):
    """No heartbeat came for as long as EVerest may be silent."""


@dataclass(frozen=True, slots=True)
class HeartbeatsNeverCame(JobEvent):
    """The connection has stood for as long as EVerest may be silent, and never was there a heartbeat."""


@dataclass(frozen=True, slots=True)
class RegistrationTimedOut(JobEvent):
    """EVerest has been up for as long as results wait for its registration."""
