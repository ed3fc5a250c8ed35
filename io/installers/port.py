"""What an installer is: the piece that puts a downloaded firmware into place on one kind of station.

The order of calls for one update, each in a worker thread:

1. `check`, before anything is installed and maybe hours before it is. It picks the target, which is stored.
2. `install`, then `activate`. After a crash in the middle of either: `resume`, then `activate`.
3. After the reboot or restart that `activate` asked for: `confirm`, then the station's health check, then `mark_good`.
   If the new firmware is found unhealthy: `roll_back`.

Everything but `install` can come twice for one update, since a crash may fall right behind it, and must then end the
same way. No call may touch the firmware that is running, save by making another one active. All of them raise
`InstallError` when the installer itself cannot do its work; a `WorldError` of another class counts the same.

Example, an installer that appends to a list:
    >>> class ListInstaller:
    ...     verifies_signatures = False
    ...
    ...     def __init__(self, installed: list[bytes]) -> None:
    ...         self._installed = installed
    ...
    ...     def check(self, facts: Facts, *, canceled: Event) -> str:
    ...         if not facts.artifact.read_bytes().startswith(b"FW"):
    ...             raise UnfitError("the firmware does not begin with FW")
    ...         return str(len(self._installed))
    ...
    ...     def install(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
    ...         self._installed.append(facts.artifact.read_bytes())
    ...         on_progress(100)
    ...
    ...     def resume(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
    ...         del self._installed[int(target) :]
    ...         self.install(facts, target, canceled=canceled, on_progress=on_progress)
    ...
    ...     def activate(self, facts: Facts, target: str) -> Activation:
    ...         return Activation.NONE
    ...
    ...     def confirm(self, target: str) -> bool:
    ...         return len(self._installed) > int(target)
    ...
    ...     def mark_good(self, target: str) -> None:
    ...         pass
    ...
    ...     def roll_back(self, target: str) -> Activation:
    ...         del self._installed[int(target) :]
    ...         return Activation.NONE
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Final, Protocol

from everest_system.fsm.errors import WorldError

BUILT_IN: Final = ("slots", "command", "rauc")
"""The installers that come with the service; any other is looked for among the installed packages."""

OnProgress = Callable[[int], object]
"""Is told how much is done, in percent from 0 to 100."""


class Activation(StrEnum):
    """What it takes until an installed firmware is the one that runs."""

    REBOOT = "reboot"
    RESTART = "restart"
    NONE = "none"


class UnfitError(WorldError):
    """The firmware fails a check other than that of its signature, and is not installed (L01.FR.29)."""


class BadSignatureError(WorldError):
    """The signature that the firmware itself carries does not hold."""


class InstallError(WorldError):
    """The firmware could not be installed, activated or rolled back, through no known fault of its own."""


class SettingError(ValueError):
    """A setting of an installer's own is wrong; `str()` says how.

    Attributes:
        key: in the installer's table, "" for all of it.
    """

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


@dataclass(frozen=True, slots=True)
class Facts:
    """What an installer is told about an update.

    Attributes:
        artifact: the downloaded file, complete and not to be changed.
        location: where it came from, without user and password.
        request_id: of the request; -1 if it had none.
        module_id: the EVerest module that asked.
        sha256: the artifact's digest, in lower-case hex, taken while it was downloaded.
    """

    artifact: Path
    location: str
    request_id: int
    module_id: str
    sha256: str


class Installer(Protocol):
    """Installs firmware on one kind of station; see the module for the order of the calls."""

    @property
    def verifies_signatures(self) -> bool:
        """Whether a firmware without a good signature of its own never gets installed, so that requests need none."""

    def check(self, facts: Facts, *, canceled: Event) -> str:
        """Look at the firmware, write nothing, and pick where it would go.

        Returns:
            The target that the later calls get, a slot's name for one; "" if there is nothing to choose.

        Raises:
            BadSignatureError: its own signature does not hold.
            UnfitError: anything else is wrong with it.
            InstallError: the installer cannot tell.
            CanceledError: `canceled` was set while it waited for something; what takes a moment need not look.
        """

    def install(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """Put the firmware into the target; on return it is complete and on the disk.

        Raises:
            UnfitError: it fails a check (InstallVerificationFailed).
            InstallError: it could not be installed (InstallationFailed).
            CanceledError: `canceled` was set; noticed within 200 ms.
        """

    def resume(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """Finish, after a crash, what `install` or `activate` may or may not have begun or finished.

        Raises:
            UnfitError, InstallError, CanceledError: as for `install`.
        """

    def activate(self, facts: Facts, target: str) -> Activation:
        """Make the target the one to run, in one step that a power cut cannot halve, and say what that still takes."""

    def confirm(self, target: str) -> bool:
        """Say, after what `activate` asked for has happened, whether the target is the active one (L01.FR.28).

        If it is not, what boots the slots has given it up: the place to keep it from being tried again.
        """

    def mark_good(self, target: str) -> None:
        """Keep the target for good: it is the active one, and has passed the health check.

        What boots the slots may count boots, and go back to the old one unless it is told. Where nothing counts, there
        is nothing to do.
        """

    def roll_back(self, target: str) -> Activation:
        """Make active again what was active before the target, and say what that still takes.

        Raises:
            InstallError: there is no way back.
        """
