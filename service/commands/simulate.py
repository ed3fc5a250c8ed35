"""`everest-system simulate`: a scenario in virtual time."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everest_system.commands.options import examples
from everest_system.commands.terminal import printable
from everest_system.fsm.errors import WorldError

if TYPE_CHECKING:
    from everest_system.simulation import Scenario

FAILED, WRONG = 1, 2


class Format(StrEnum):
    """How the timeline is written."""

    TEXT = "text"
    JSON = "json"
    SVG = "svg"


File = Annotated[
    Path, typer.Argument(metavar="SCENARIO.toml", help="What happens and when, and what is expected of the station.")
]
As = Annotated[Format, typer.Option("--format", help="Text, JSON, or a sequence chart.")]
Crash = Annotated[
    bool,
    typer.Option(
        "--crashes",
        help="In place of the timeline: let the service, and then the whole machine, die at every transaction, "
        "and check what must hold all the same. (An unsigned update that EVerest has forgotten ends only where the "
        "scenario sets firmware.permission_timeout_s.)",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "simulate",
        epilog=examples(
            "everest-system simulate update.toml",
            "everest-system simulate update.toml --format svg > update.svg",
            "everest-system simulate update.toml --crashes",
        ),
    )(simulate)


def simulate(file: File, as_: As = Format.TEXT, crash: Crash = False) -> None:
    """Run a scenario in virtual time.

    The real machines, scheduler and station, with the world around them played: days take milliseconds. Prints the
    timeline; exit code 0 if all came as the scenario expects, 1 if not, 2 if the file is wrong.
    Needs: pip install 'everest-system[simulation]'
    """
    from everest_system import log_lines as _  # noqa: F401  # before anything that imports structlog

    try:
        from everest_system.simulation import ScenarioError, load, run
        from everest_system.simulation.chart import as_svg
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "everest_system":
            raise
        raise WorldError("simulations need more packages: pip install 'everest-system[simulation]'") from error
    try:
        scenario = load(file)
    except ScenarioError as error:
        for problem in error.problems:
            typer.echo(printable(problem), err=True)
        raise typer.Exit(WRONG) from None
    scenario.name = file.name
    if crash:
        _crash(scenario)
        return
    timeline = run(scenario)
    match as_:
        case Format.TEXT:
            typer.echo(timeline.as_text(), nl=False)
        case Format.JSON:
            typer.echo(timeline.as_json(), nl=False)
        case Format.SVG:
            typer.echo(as_svg(timeline), nl=False)
    if timeline.failures:
        raise typer.Exit(FAILED)


def _crash(scenario: "Scenario") -> None:
    from everest_system.simulation.crashes import StoryError, crashes

    try:
        found = crashes(scenario)
    except StoryError as error:
        raise WorldError(f"the scenario fails without a crash too: {error}") from error
    for line in found.violations:
        typer.echo(printable(line))
    typer.echo(
        f"{found.cases} crashes at {len(found.points)} points; "
        + (f"{len(found.violations)} findings" if found.violations else "nothing lost")
    )
    if found.violations:
        raise typer.Exit(FAILED)
