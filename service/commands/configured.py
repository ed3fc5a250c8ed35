"""The configuration behind `-c`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everest_system.configuration.settings import Settings


def settings_of(config: Path | None) -> "Settings":
    """The settings from the file, the environment and the defaults, with the modules that are known of EVerest.

    Raises:
        ConfigurationError: they are wrong.
        WorldError: what is known of EVerest cannot be read.
    """
    from everest_system.configuration.settings_sources import load

    settings = load(config, os.environ)
    if settings.finds_modules:
        from everest_system.discovery import known

        settings = known.settings_with(settings, known.load(settings.station.state_dir) or known.ASSUMED)
    return settings


def usable_settings_of(config: Path | None) -> "Settings":
    """The settings as they stand, once all that they name has been found: files, programs, what this version has.

    Raises:
        ConfigurationError: they are wrong, or something cannot be used.
    """
    from everest_system.configuration.not_built import not_built
    from everest_system.configuration.problems import ConfigurationError
    from everest_system.configuration.settings_files import check_files
    from everest_system.configuration.settings_sources import load

    settings = load(config, os.environ)
    problems = [*not_built(settings), *check_files(settings)]
    if problems:
        raise ConfigurationError(problems)
    return settings
