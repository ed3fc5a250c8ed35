"""What a configuration may name and is not there: told before anything starts, with the key."""

from collections.abc import Iterator
from importlib.util import find_spec

from everest_system.configuration.settings import Settings
from everest_system.io.installers.port import BUILT_IN


def not_built(settings: Settings) -> Iterator[str]:
    """One line for each key that asks for something that is not there, with what there is."""
    firmware = settings.firmware
    if firmware.installer == "rauc" and find_spec("jeepney") is None:
        yield 'firmware.installer: "rauc" needs the library jeepney, which comes with everest-system[rauc]'
    if firmware.installer not in BUILT_IN:
        from everest_system.io.installers.discovery import UnusableInstallerError, make

        try:
            make(firmware.installer, firmware.own, settings.station.state_dir / "installer")
        except UnusableInstallerError as error:
            yield f"firmware.{error.key}: {error}"
