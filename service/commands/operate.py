"""`everest-system pause`, `resume` and `reset`: the operator's hand."""

from pathlib import Path
from typing import Annotated, Any

import typer

from everest_system.commands.configured import settings_of
from everest_system.commands.options import Config, Module, examples, module_of

Soft = Annotated[
    bool,
    typer.Option("--soft", help="Restart EVerest only, without a reboot of the machine.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("pause", epilog=examples("everest-system pause", "everest-system pause --module system_api"))(pause)
    app.command("resume", epilog=examples("everest-system resume"))(resume)
    app.command("reset", epilog=examples("everest-system reset", "everest-system reset --soft"))(reset)


def pause(config: Config = None, module: Module = None) -> None:
    """Pause a firmware download.

    It stays paused until `resume`, also across restarts.
    """
    _ask(config, "pause", module)


def resume(config: Config = None, module: Module = None) -> None:
    """Go on with a paused firmware download.

    From the byte that it had, if the server has the same file still.
    """
    _ask(config, "resume", module)


def reset(config: Config = None, soft: Soft = False) -> None:
    """Reset the station.

    Reboots the machine, unless platform.reset says otherwise; the boot reason will be LocalReset. While an update
    cannot be interrupted the reset waits for its end. With platform.kind "dry_run" nothing reboots: the service starts
    anew in place.
    """
    _ask(config, "reset", None, type="Soft" if soft else "Hard")


def _ask(config: Path | None, command: str, module: str | None, **arguments: Any) -> None:
    settings = settings_of(config)
    from everest_system.commands.station_status import told

    if module is not None:
        arguments["module_id"] = module_of(settings, module)
    typer.echo(told(settings, command, **arguments).get("done", "done"))
