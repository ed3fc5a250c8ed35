"""`everest-system discover`: EVerest's API modules."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everest_system.commands.options import Config, Json, examples
from everest_system.commands.terminal import columns, painted

if TYPE_CHECKING:
    from everest_system.io.mqtt.discovery import ApiModule

_Timeout = Annotated[
    float,
    typer.Option("--timeout", min=0.1, max=86400, metavar="SECONDS", help="How long to wait for the first answer."),
]
_HEADING = ["TYPE", "MODULE", "VERSION", "HEARTBEAT", "COMMUNICATION CHECK", "REPLY TIME-OUT", "SERVED"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "discover",
        epilog=examples("everest-system discover", "everest-system discover -c station.toml --json --timeout 30"),
    )(discover)


def discover(config: Config = None, as_json: Json = False, timeout: _Timeout = 5.0) -> None:
    """List EVerest's API modules and their settings.

    Asks the EVerest at the configured broker, whether the service runs or not. SERVED says of system modules whether
    the configuration has them served. Exit code 1 when nobody answers, as releases before 2026.10 do not.
    """
    served, modules = _survey(config, timeout)
    rows = [_facts(module, served) for module in modules]
    typer.echo(json.dumps(rows, indent=2) if as_json else "\n".join(_table(modules, served)))


def _survey(config: Path | None, timeout_s: float) -> "tuple[tuple[str, ...], list[ApiModule]]":
    from everest_system import log_lines as _log_lines  # noqa: F401  # before anything that imports structlog
    from everest_system.commands.configured import settings_of
    from everest_system.discovery.survey import survey
    from everest_system.wiring import mqtt_settings

    settings = settings_of(config)
    modules = survey(mqtt_settings(settings), settings.mqtt.external_prefix, timeout_s)
    return settings.station.module_ids, modules


def _is_served(module: "ApiModule", served: tuple[str, ...]) -> bool | None:
    return module.module_id in served if module.type == "system" else None


def _facts(module: "ApiModule", served: tuple[str, ...]) -> dict[str, object]:
    return {**module.model_dump(), "served": _is_served(module, served)}


def _table(modules: "list[ApiModule]", served: tuple[str, ...]) -> list[str]:
    rows = [_HEADING]
    for module in modules:
        watch = module.communication_monitoring
        rows.append(
            [
                module.type,
                module.module_id,
                str(module.version),
                _period(watch.heartbeat_period_ms, "ms"),
                _period(watch.communication_check_period_s, "s"),
                _period(watch.request_reply_timeout_s, "s"),
                {True: "yes", False: "no", None: ""}[_is_served(module, served)],
            ]
        )
    heading, *lines = columns(rows)
    return [painted(heading, "bold"), *lines]


def _period(value: int | None, unit: str) -> str:
    if value is None:
        return "not said"
    return f"{value} {unit}" if value else "off"
