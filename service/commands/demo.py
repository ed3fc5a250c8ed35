"""`everest-system demo`: the demonstration."""

from pathlib import Path
from typing import Annotated

import typer

from everest_system.commands.options import examples
from everest_system.fsm.errors import WorldError

Fast = Annotated[bool, typer.Option("--fast", help="Without the pauses made for watching.", show_default=False)]
Keep = Annotated[
    Path | None,
    typer.Option("--keep", metavar="DIR", help="Leave all files in this folder.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=examples("everest-system demo", "everest-system demo --fast --keep /tmp/station"))(demo)


def demo(fast: Fast = False, keep: Keep = None) -> None:
    """Show the main job on this machine.

    A signed firmware update and a log upload, through the real service. Brings its own broker, EVerest's side, a
    file server and an image; changes nothing on the host. Exit code 0 only if
    every step went as it should. Needs: pip install 'everest-system[demo]'
    """
    from everest_system import log_lines as _  # noqa: F401  # before anything that imports structlog

    try:
        from everest_system.demo.main import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "everest_system":
            raise
        raise WorldError("the demonstration needs more packages: pip install 'everest-system[demo]'") from error
    raise typer.Exit(run(fast=fast, keep=keep))
