"""What a platform is: the machine underneath, as far as the service has a hand in it.

Its calls block and run in a worker thread. They return when the machine has taken the order, which for a reboot is
mostly before it comes, and raise `PlatformError` when it has not. An order may come again, for instance because no
reboot came.

Example, a platform without a clock of its own and with a reboot button:
    >>> class ButtonPlatform:
    ...     def __init__(self, button: Button) -> None:
    ...         self._button = button
    ...
    ...     def boot_id(self) -> str:
    ...         return str(self._button.times_pressed)
    ...
    ...     def reboot(self, *, canceled: Event) -> Reboot:
    ...         self._button.press()
    ...         return Reboot.BY_HOST
    ...
    ...     def restart(self, *, canceled: Event) -> None:
    ...         raise PlatformError("only the whole machine can be restarted")
    ...
    ...     def set_time(self, now: datetime, *, canceled: Event) -> bool:
    ...         return False
"""

from datetime import datetime
from enum import StrEnum
from threading import Event
from typing import Final, Protocol

from everest_system.fsm.errors import WorldError

SET_TIME_TIMEOUT_S: Final = 5.0
"""How long setting the clock may take: EVerest waits for the answer, and does nothing else meanwhile."""


class PlatformError(WorldError):
    """The machine did not do what it was told to; `str()` says in one line what and why."""


class Reboot(StrEnum):
    """Who carries a reboot out.

    `BY_HOST`: the machine goes down and takes this process with it. `IN_PLACE`: nothing goes down; the boot id has
    changed, and the station has to restart within this process as if the machine had booted anew.
    """

    BY_HOST = "by_host"
    IN_PLACE = "in_place"


class Platform(Protocol):
    """The machine underneath."""

    def boot_id(self) -> str:
        """Return the name of this boot: another one after each reboot, the same one until then. Does not block.

        Raises:
            PlatformError: it cannot be told.
        """

    def reboot(self, *, canceled: Event) -> Reboot:
        """Order a reboot, and say who carries it out.

        Raises:
            PlatformError: it will not come.
            CanceledError: `canceled` was set before the machine had answered; the reboot may come all the same.
        """

    def restart(self, *, canceled: Event) -> None:
        """Restart EVerest, not the machine and not this service.

        Raises:
            PlatformError: it was not restarted.
            CanceledError: `canceled` was set before the machine had answered.
        """

    def set_time(self, now: datetime, *, canceled: Event) -> bool:
        """Set the machine's clock to `now`, which has a zone; say whether that is done. False: it is not ours to set.

        Raises:
            PlatformError: it could not be set.
            CanceledError: `canceled` was set.
        """
