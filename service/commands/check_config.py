"""`everest-system check-config`: is the configuration right?"""

import os
from pathlib import Path

import typer

from everest_system.commands.configured import usable_settings_of
from everest_system.commands.options import Config, examples


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check-config", epilog=examples("everest-system check-config -c /etc/everest-system/config.toml"))(
        check_config
    )


def check_config(config: Config = None) -> None:
    """Check the configuration.

    Also that the files and programs that it names are there (but for the health check, which may come with the
    firmware), and what is in certificates and keys. Exit code 0 when it is right; 2 and one line for each wrong key
    when not: its full name, what is wrong, what is allowed.
    """
    settings = usable_settings_of(config)
    from everest_system.configuration.problems import ConfigurationError
    from everest_system.configuration.settings_files import check_trust

    if problems := check_trust(settings):
        raise ConfigurationError(problems)
    file = _file(config)
    typer.echo(f"OK: {file}" if file else "OK: there is no file, the defaults hold")


def _file(config: Path | None) -> Path | None:
    from everest_system.configuration.settings_environment import FILE_VARIABLE
    from everest_system.configuration.settings_sources import DEFAULT_FILE

    named = config or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    return named or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
