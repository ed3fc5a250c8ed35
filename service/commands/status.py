"""`everest-system status`: what the service is doing now."""

import json

import typer

from everest_system.commands.configured import settings_of
from everest_system.commands.options import Config, Json, examples


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status", epilog=examples("everest-system status", "everest-system status --json -c station.toml"))(
        status
    )


def status(config: Config = None, as_json: Json = False) -> None:
    """Show what the service is doing now.

    The state of each machine, requests, progress, next timers, messages waiting, whether EVerest is there. Asks the
    running service. Where none runs, the store says what the next one will go on with.
    """
    settings = settings_of(config)
    from everest_system.commands.station_status import station_status
    from everest_system.commands.status_text import status_text

    report = station_status(settings)
    typer.echo(json.dumps(report, indent=2) if as_json else "\n".join(status_text(report)))
