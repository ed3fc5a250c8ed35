"""What the service tells of itself in a log archive: its status and history as `--json` shows them, and versions.

Read as the commands read them, over the control socket and from the store: in a worker's thread, without the station.
What cannot be had is told in the place of it: an archive is wanted most when something is wrong.
"""

import platform
from typing import Any

from everest_system.configuration.settings import Settings
from everest_system.fsm.errors import WorldError
from everest_system.fsm.timestamps import format_rfc3339
from everest_system.io.logs.time_forms import since_epoch_ns
from everest_system.io.logs.window import LogWindow
from everest_system.io.store.records import Transition
from everest_system.version import __version__

HISTORY_MAX = 2_000
"""Transitions that are told at most, the newest."""


def versions() -> dict[str, str]:
    """Of this service and of what it stands on."""
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = ""
    return {
        "everest-system": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "system": system,
    }


def self_report(settings: Settings, window: LogWindow) -> dict[str, Any]:
    """The documents by name: `status` as it is now, `history` within the window."""
    from everest_system.commands.station_status import station_status
    from everest_system.io.store.store import StoreReader

    documents: dict[str, Any] = {}
    try:
        documents["status"] = station_status(settings)
    except WorldError as error:
        documents["status"] = {"error": str(error)}
    try:
        with StoreReader.open(settings.station.state_dir) as store:
            transitions = store.history(HISTORY_MAX)
        documents["history"] = [transition_facts(one) for one in transitions if window.takes(since_epoch_ns(one.at))]
    except WorldError as error:
        documents["history"] = {"error": str(error)}
    return documents


def transition_facts(transition: Transition) -> dict[str, Any]:
    """A step of a machine, as JSON."""
    return {
        "time": format_rfc3339(transition.at),
        "module_id": transition.module_id,
        "machine": transition.machine,
        "job": transition.job,
        "request_id": transition.request_id,
        "from": transition.source,
        "to": transition.target,
        "event": transition.event,
        "detail": transition.detail,
    }
