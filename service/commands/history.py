"""`everest-system history`: past transitions."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from everest_system.commands.configured import settings_of
from everest_system.commands.options import Config, Json, Module, examples, module_of
from everest_system.commands.terminal import columns, painted, printable

if TYPE_CHECKING:
    from everest_system.io.store.store import Transition

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="The newest so many transitions.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "history",
        epilog=examples(
            "everest-system history",
            "everest-system history --limit 1000 --json",
            "watch -n 1 everest-system history -n 20",
        ),
    )(history)


def history(config: Config = None, as_json: Json = False, limit: Limit = 50, module: Module = None) -> None:
    """Show past transitions, the newest last.

    When, which machine and request, from where to where, the event, and why. Read from the store, whether the
    service runs or not.
    """
    settings = settings_of(config)
    from everest_system.io.store.store import StoreReader
    from everest_system.self_report import transition_facts

    with StoreReader.open(settings.station.state_dir) as store:
        transitions = store.history(limit, module)
    if module is not None and not transitions:
        module_of(settings, module)  # one that is served no more may still have a past
    if as_json:
        typer.echo(json.dumps([transition_facts(transition) for transition in transitions], indent=2))
    elif transitions:
        typer.echo("\n".join(_table(transitions)))
    else:
        typer.echo("No transitions yet.")


def _table(transitions: "list[Transition]") -> list[str]:
    from everest_system.self_report import transition_facts

    several = len({transition.module_id for transition in transitions} - {""}) > 1
    rows = [["TIME", *(["MODULE"] if several else []), "MACHINE", "REQUEST", "FROM", "", "TO", "EVENT", "DETAIL"]]
    for facts in map(transition_facts, transitions):
        request_id = "" if facts["request_id"] is None else str(facts["request_id"])
        module = [facts["module_id"]] if several else []
        steps = [facts["from"], "→", facts["to"]]
        row = [facts["time"], *module, facts["machine"], request_id, *steps, facts["event"], facts["detail"]]
        rows.append([printable(cell) for cell in row])
    heading, *lines = columns(rows)
    return [painted(heading, "bold"), *lines]
