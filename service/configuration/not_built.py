"""What a configuration may name and this version does not have: told before anything starts, with the key."""

from collections.abc import Iterator

from everest_system.configuration.settings import Settings


def not_built(settings: Settings) -> Iterator[str]:
    """One line for each key that asks for something that is not there yet, with what there is."""
    if settings.firmware.installer == "rauc":
        yield 'firmware.installer: "rauc" is not in this version; use "slots" or "command"'
