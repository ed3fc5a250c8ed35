"""`everest-system asyncapi`: the document of what the service speaks."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from everest_system.commands.options import examples
from everest_system.fsm.errors import WorldError


class Format(StrEnum):
    """How the document is written."""

    YAML = "yaml"
    JSON = "json"


As = Annotated[Format, typer.Option("--format", help="YAML (needs PyYAML), or JSON.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "asyncapi",
        epilog=examples("everest-system asyncapi > everest-system.yaml", "everest-system asyncapi --format json"),
    )(asyncapi)


def asyncapi(as_: As = Format.YAML) -> None:
    """Print the AsyncAPI 3.0 document of what the service speaks with EVerest.

    It is made of the service's own message models, so it says what this version takes and sends.
    """
    from everest_system.asyncapi import document

    if as_ is Format.JSON:
        typer.echo(json.dumps(document(), indent=2))
        return
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise WorldError("YAML needs one more package: pip install PyYAML, or use --format json") from error
    typer.echo(yaml.safe_dump(document(), sort_keys=False, width=120), nl=False)
