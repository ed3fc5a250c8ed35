"""Installers of other packages, found by their name among the entry points of what is installed.

A package offers one in its `pyproject.toml`, and `firmware.installer = "NAME"` takes it:

    [project.entry-points."everest_system.installers"]
    NAME = "its.module:its_installer"

What stands there is called with the table `[firmware.NAME]` and a folder for the installer's own files, and returns an
`Installer`. It is called to check a configuration too, so it looks at its settings and touches nothing else. docs/
installers.md has an example.

Code of others is loaded here, so whatever it does wrong is an `UnusableInstallerError`, in one line.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from everest_system.fsm.errors import WorldError
from everest_system.io.installers.foreign import ForeignInstaller
from everest_system.io.installers.port import BUILT_IN, Installer, SettingError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "everest_system.installers"

Factory = Callable[[Mapping[str, Any], Path], Installer]
"""Makes an installer of its settings and a folder of its own, which need not exist."""

_CALLS: Final = ("check", "install", "resume", "activate", "confirm", "mark_good", "roll_back")


class UnusableInstallerError(WorldError):
    """There is no such installer, or it cannot be used; `key` is the key to mend, below `firmware`."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def make(name: str, settings: Mapping[str, Any], folder: Path) -> Installer:
    """Make the installer of another package.

    Args:
        name: of its entry point.
        settings: its own table, not looked at here.
        folder: where it may keep files.

    Raises:
        UnusableInstallerError: there is none of that name or more than one, it does not load, does not want these
            settings, or is no installer.
    """
    entry = _found(name)
    source = f"the installer {name!r} of {entry.value}"
    try:
        made: Installer = entry.load()(settings, folder)
    except SettingError as error:
        raise UnusableInstallerError(f"{name}.{error.key}" if error.key else name, str(error)) from error
    except Exception as error:
        raise UnusableInstallerError("installer", f"{source} cannot be made: {_told(error)}") from error
    missing = [call for call in _CALLS if not callable(getattr(made, call, None))]
    if not isinstance(getattr(made, "verifies_signatures", None), bool):
        missing.append("verifies_signatures")
    if missing:
        raise UnusableInstallerError("installer", f"{source} is none: it has no {', '.join(missing)}")
    return ForeignInstaller(made, name)


def _found(name: str) -> "EntryPoint":
    from importlib.metadata import entry_points  # large, and only for who has an installer of his own

    offered = entry_points(group=GROUP)
    found = {entry.value: entry for entry in offered.select(name=name)}
    if not found:
        names = ", ".join(f'"{known}"' for known in sorted({*BUILT_IN, *(entry.name for entry in offered)}))
        raise UnusableInstallerError("installer", f'there is no installer "{name}"; there are {names}')
    if len(found) > 1:
        places = " and ".join(sorted(found))
        raise UnusableInstallerError("installer", f'there is more than one installer "{name}": {places}')
    return next(iter(found.values()))


def _told(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
