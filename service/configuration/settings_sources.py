"""Where settings come from, the stronger before the weaker.

1. The environment: `EVEREST_SYSTEM_MQTT__HOST`.
2. The file: `-c FILE`, else `$EVEREST_SYSTEM_CONFIG`, else `/etc/everest-system/config.toml`. Only the last may be
   missing.
3. The variables that EVerest itself reads: `MQTT_SERVER_ADDRESS` and `MQTT_SERVER_PORT`.
4. The defaults.

A table of one source leaves alone what it does not name. Nothing is guessed: an unknown key is an error in the file and
in the environment alike, and all errors come at once.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from everest_system.configuration.problems import ConfigurationError, KeyPath, validated
from everest_system.configuration.settings import Settings
from everest_system.configuration.settings_environment import FILE_VARIABLE, from_environment, from_everest
from everest_system.configuration.settings_file import Given, from_file
from everest_system.configuration.transfer_settings import LOG_TYPES

DEFAULT_FILE = Path("/etc/everest-system/config.toml")


def load(config_file: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings from all sources.

    Args:
        config_file: the file of `-c`, if given.
        environ: the environment.

    Raises:
        ConfigurationError: a file cannot be read, or keys are wrong; `problems` has a line for each.
    """
    named = config_file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    in_file = from_file(named or DEFAULT_FILE, may_be_missing=named is None)
    sources = [given.path[2] for given in in_file if given.path[:2] == ("logs", "sources") and len(given.path) > 2]
    in_environment, problems = from_environment(environ, [*LOG_TYPES, *sources])
    values, origins = _laid_over([*from_everest(environ), *in_file, *in_environment])
    try:
        settings = validated(values, origins)
    except ConfigurationError as error:
        raise ConfigurationError(error.problems + problems) from None
    if problems:
        raise ConfigurationError(problems)
    return settings


def _laid_over(layers: Iterable[Given]) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """One tree of values, the later over the earlier, and where each value came from."""
    values: dict[str, Any] = {}
    origins: dict[KeyPath, str] = {}
    for path, value, origin in layers:
        table = values
        for name in path[:-1]:
            if not isinstance(table.get(name), dict):
                table[name] = {}
            table = table[name]
        if value != {} or not isinstance(table.get(path[-1]), dict):
            table[path[-1]] = value
        origins[path] = origin
    return values, origins
