"""The configuration behind `-c`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everest_system.configuration.settings import Settings


def settings_of(config: Path | None) -> "Settings":
    """The settings from the file, the environment and the defaults.

    Raises:
        ConfigurationError: they are wrong.
    """
    from everest_system.configuration.settings_sources import load

    return load(config, os.environ)


def usable_settings_of(config: Path | None) -> "Settings":
    """The same, once all that they name has been found: files, programs, and what this version has of the rest.

    Raises:
        ConfigurationError: they are wrong, or something cannot be used.
    """
    from everest_system.configuration.not_built import not_built
    from everest_system.configuration.problems import ConfigurationError
    from everest_system.configuration.settings_files import check_files

    settings = settings_of(config)
    problems = [*not_built(settings), *check_files(settings)]
    if problems:
        raise ConfigurationError(problems)
    return settings
