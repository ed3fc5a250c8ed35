"""How fast the demonstration goes: slow enough to be watched, or as fast as it can."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Pace:
    """Durations in seconds, from 0 on.

    Attributes:
        retrieve_in_s: from the request to the time that it names for the download.
        rate_kib_s: of the file server; None: as fast as it can.
        permission_delay_s: from the trigger status to the permission, as if somebody still charged.
        reboot_grace_s: the service's, between InstallRebooting and the reboot.
        boot_s: how long the machine is down.
        registration_s: from EVerest's start until the CSMS has accepted it, after the reboot.
        pause_s: between two acts.
        heartbeat_s: EVerest's; a status counts as heard with the next one.
    """

    retrieve_in_s: float
    rate_kib_s: int | None
    permission_delay_s: float
    reboot_grace_s: float
    boot_s: float
    registration_s: float
    pause_s: float
    heartbeat_s: float


CALM: Final = Pace(
    retrieve_in_s=4.0,
    rate_kib_s=6 * 1024,
    permission_delay_s=2.0,
    reboot_grace_s=1.0,
    boot_s=1.5,
    registration_s=2.0,
    pause_s=1.5,
    heartbeat_s=1.0,
)

FAST: Final = Pace(
    retrieve_in_s=1.5,
    rate_kib_s=None,
    permission_delay_s=0.0,
    reboot_grace_s=0.1,
    boot_s=0.0,
    registration_s=0.0,
    pause_s=0.0,
    heartbeat_s=0.25,
)
