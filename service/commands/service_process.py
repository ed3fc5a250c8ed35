"""The process of the headless service. Nothing is loaded here that an idle station does not use."""

import os
from pathlib import Path

from everest_system.commands.configured import usable_settings_of
from everest_system.commands.lean_imports import load_lean


def run_service(config: Path | None) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the configuration is wrong, or asks for something that this version does not have.
        WorldError: the store, the control socket or a folder cannot be used.
    """
    # A plugin would see every message; to look for one reads what every installed package says of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    settings = usable_settings_of(config)
    load_lean(_load_libraries)
    from everest_system import log_lines
    from everest_system.fsm.errors import WorldError
    from everest_system.serve import serve

    log_lines.configure()
    try:
        serve(settings)
    except WorldError:
        raise
    except Exception as error:
        # A bug in the field is looked for in the log: its traceback has to be there, on one line like all others.
        log_lines.get_logger().critical("the service failed", exc_info=error)
        raise


def _load_libraries() -> None:
    import apscheduler.schedulers.base  # noqa: F401

    import everest_system.log_lines  # noqa: F401  # before anything that imports structlog, which it does its own way
