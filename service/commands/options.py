"""The options that commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from everest_system.configuration.settings import Settings

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration. Without it: $EVEREST_SYSTEM_CONFIG, else /etc/everest-system/config.toml, else the "
        "defaults.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.", show_default=False)]
Module = Annotated[
    str | None,
    typer.Option(
        "--module", "-m", metavar="ID", help="The EVerest module meant, where several are served.", show_default=False
    ),
]


def examples(*lines: str) -> str:
    """The end of a command's help: command lines to start from."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def module_of(settings: "Settings", module_id: str | None) -> str:
    """The module id meant.

    Raises:
        typer.BadParameter: there is no such module, or there are several and none is named.
    """
    served = settings.station.module_ids
    if module_id is None and len(served) == 1:
        return served[0]
    if module_id not in served:
        wrong = "name one of several" if module_id is None else f"{module_id} is not served"
        raise typer.BadParameter(f"{wrong}; station.module_ids: {', '.join(served)}", param_hint="--module")
    return module_id
