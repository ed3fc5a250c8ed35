"""The typer application: all commands, and the options before them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from everest_system.commands import (
    asyncapi,
    check_config,
    demo,
    diagram,
    discover,
    history,
    operate,
    request,
    run,
    simulate,
    status,
    verify,
)
from everest_system.version import __version__

INTERRUPTED = 130
NAME = "everest-system"

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""Wrong arguments. Typer has no public name for what its errors about them have in common."""

app = typer.Typer(
    name=NAME,
    help="The system side of an EVerest charging station: firmware, logs, reset, clock and boot reason over MQTT.",
    epilog="`everest-system COMMAND --help` says more of each command.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    run,
    status,
    history,
    operate,
    request,
    verify,
    check_config,
    discover,
    diagram,
    simulate,
    asyncapi,
    demo,
):
    _command.add_to(app)


@dataclass
class Invocation:
    """What was asked of the command line as a whole."""

    debug: bool = False


def _tell_version(value: bool) -> None:  # noqa: FBT001  # typer calls it
    if value:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from, with its traceback.", show_default=False)
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_tell_version, is_eager=True),
    ] = False,
) -> None:
    context.ensure_object(Invocation).debug = debug


def invoke(arguments: Sequence[str], invocation: Invocation) -> int:
    """Run the command that the arguments name, and return its exit code; without any, show the help.

    Raises:
        UsageError: the arguments are wrong.
        Exception: whatever the command raises.
    """
    command = typer.main.get_command(app)
    try:
        code = command.main(args=list(arguments) or ["--help"], prog_name=NAME, standalone_mode=False, obj=invocation)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def usage_message(error: Exception) -> str:
    """One line for a `UsageError`."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else NAME
    said = error.format_message() if hasattr(error, "format_message") else str(error)
    said = said.replace("Value error, ", "")  # pydantic's, before words that do not need it
    return f"{command}: {' '.join(said.split())} (see {command} --help)"
