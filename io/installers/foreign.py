"""An installer of another package, held to the port.

It is code that this project has never seen, and an update must come to its end whatever that does. So each answer is
looked at, and whatever it raises that the port does not know, `sys.exit()` and a cancel that nobody asked for among it,
is an `InstallError` that names the call. The traceback is in the log, for whoever wrote it.
"""

from collections.abc import Callable
from threading import Event
from typing import Any, Final

import structlog

from everest_system.fsm.errors import CanceledError, WorldError
from everest_system.io.installers.port import Activation, Facts, Installer, InstallError, OnProgress

LONGEST_TARGET: Final = 255
"""A target is a name: it is stored, told and logged."""

_log = structlog.get_logger(__name__)


class ForeignInstaller:
    """Somebody else's installer.

    Args:
        installer: theirs; it has all that the port asks for.
        name: of its entry point.
    """

    def __init__(self, installer: Installer, name: str) -> None:
        self.installer, self._name = installer, name
        self.verifies_signatures = installer.verifies_signatures

    def check(self, facts: Facts, *, canceled: Event) -> str:
        """As the port says.

        Raises:
            InstallError: also where the target is no text, or longer than `LONGEST_TARGET`.
        """
        target = self._answer("check", canceled, facts, canceled=canceled)
        if not isinstance(target, str) or len(target) > LONGEST_TARGET:
            raise self._wrong("check", "a target", target)
        return target

    def install(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """As the port says; progress that is no percentage is passed over."""
        tell = _percentages(on_progress)
        self._answer("install", canceled, facts, target, canceled=canceled, on_progress=tell)

    def resume(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """As the port says; progress that is no percentage is passed over."""
        tell = _percentages(on_progress)
        self._answer("resume", canceled, facts, target, canceled=canceled, on_progress=tell)

    def activate(self, facts: Facts, target: str) -> Activation:
        """As the port says.

        Raises:
            InstallError: also where the answer is none of the three words.
        """
        return self._activation("activate", facts, target)

    def confirm(self, target: str) -> bool:
        """As the port says.

        Raises:
            InstallError: also where the answer is neither True nor False.
        """
        answer = self._answer("confirm", None, target)
        if not isinstance(answer, bool):
            raise self._wrong("confirm", "True or False", answer)
        return answer

    def mark_good(self, target: str) -> None:
        """As the port says."""
        self._answer("mark_good", None, target)

    def roll_back(self, target: str) -> Activation:
        """As the port says.

        Raises:
            InstallError: also where the answer is none of the three words.
        """
        return self._activation("roll_back", target)

    def _activation(self, call: str, *values: Any) -> Activation:
        answer = self._answer(call, None, *values)
        try:
            return Activation(answer)
        except ValueError:
            raise self._wrong(call, "an activation (reboot, restart or none)", answer) from None

    def _answer(self, call: str, canceled: Event | None, /, *values: Any, **named: Any) -> Any:
        try:
            return getattr(self.installer, call)(*values, **named)
        except WorldError:
            raise
        except CanceledError:
            if canceled is not None and canceled.is_set():
                raise
            raise InstallError(f"{self._name}.{call} says that it was canceled, and it was not") from None
        except BaseException as error:
            _log.exception("an installer of another package failed", installer=self._name, call=call)
            raise InstallError(f"{self._name}.{call} failed: {type(error).__name__}") from error

    def _wrong(self, call: str, wanted: str, answer: object) -> InstallError:
        return InstallError(f"{self._name}.{call} has to answer with {wanted}, not with a {type(answer).__name__}")


def _percentages(on_progress: OnProgress) -> Callable[[object], None]:
    def tell(percent: object) -> None:
        if isinstance(percent, int | float) and 0 <= percent <= 100:
            on_progress(int(percent))

    return tell
