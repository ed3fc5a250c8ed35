"""`everest-system run`: the headless service."""

import typer

from everest_system.commands.options import Config, examples


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples("everest-system run", "everest-system run -c /etc/everest-system/config.toml")
    app.command("run", epilog=lines)(run)


def run(config: Config = None) -> None:
    """Run the service until SIGTERM or SIGINT.

    Serves EVerest over MQTT, keeps what it does in station.state_dir, and goes on from there after a crash. Logs to
    standard error: JSON lines, or text on a terminal. Stops within 5 s, with exit code 0.
    """
    from everest_system.commands.service_process import run_service

    run_service(config)
