"""What systemd hears of the service: that it serves, what it does, and from the loop itself that it still turns.

All of it comes out of the reactor's turns. The first one says READY: by then the store is open, the control socket
listens and the stored state is taken up; the broker is not waited for, it may be away for days. From there on a timer
says WATCHDOG twice in the time that systemd allows, so a loop that hangs in one event falls silent and is killed.
"""

from typing import Final

from everest_system.fsm.platform.states import PlatformState
from everest_system.io.notify_socket import NotifySocket
from everest_system.ports import Timers
from everest_system.report import PLATFORM
from everest_system.station import Station

OWNER: Final = "service"  # of the timer, as its events bring it back
_BEAT: Final = "SignOfLife"


class SignOfLife:
    """Tells `notify` of one start of the service; in the thread of the loop."""

    def __init__(self, notify: NotifySocket, timers: Timers, station: Station) -> None:
        self._notify, self._timers, self._station = notify, timers, station
        self._serves = False

    def begin(self) -> None:
        """Have the loop's first turn bring an event of `OWNER`."""
        self._timers.arm(OWNER, _BEAT, 0)

    def beat(self) -> None:
        """Take an event of `OWNER`: the loop turns."""
        if not self._serves:
            self._serves = True
            self._notify.ready()
            self.tell()
        if self._notify.watchdog_s is not None:
            self._notify.alive()
            self._timers.arm(OWNER, _BEAT, self._notify.watchdog_s / 2)

    def tell(self) -> None:
        """Say what the station is doing, if that has changed."""
        if self._serves:
            self._notify.status(summary(self._station))

    def stop(self) -> None:
        """Say that the service is on its way out."""
        self._notify.stopping()


def summary(station: Station) -> str:
    """The states of all machines in a line."""
    modules = []
    for module_id, module in station.modules.items():
        states = ", ".join(
            f"{name} {machine.snapshot.state}"
            for name, machine in (("firmware", module.firmware), ("logs", module.logs), ("EVerest", module.presence))
        )
        modules.append(states if len(station.modules) == 1 else f"{module_id}: {states}")
    told = "; ".join(modules)
    platform = station.platform.snapshot.state
    return told if platform == PlatformState.IDLE else f"{told}; {PLATFORM[1]} {platform}"
