"""What the station does: told by the running service, or read from what the last one left behind."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everest_system.fsm.errors import WorldError
from everest_system.io.control.client import NotRunningError, ask
from everest_system.io.control.wire import CONTROL_SOCKET
from everest_system.version import __version__

if TYPE_CHECKING:
    from everest_system.configuration.settings import Settings
    from everest_system.io.store.store import Saved


def control_socket(settings: "Settings") -> Path:
    """Where a running service listens for the operator."""
    return settings.station.state_dir / CONTROL_SOCKET


def told(settings: "Settings", command: str, **arguments: Any) -> dict[str, Any]:
    """The running service's answer.

    Raises:
        NotRunningError: none runs.
        WorldError: it cannot be asked, or says no.
    """
    answer = ask(control_socket(settings), command, **arguments)
    if "error" in answer:
        raise WorldError(str(answer["error"]))
    return answer


def station_status(settings: "Settings") -> dict[str, Any]:
    """The report of the running service, else one of the same form from its store, with `running` false.

    Raises:
        WorldError: neither can be had.
    """
    try:
        return told(settings, "status")
    except NotRunningError:
        return _stored(settings)


def _stored(settings: "Settings") -> dict[str, Any]:
    from everest_system.fsm.deadlines import Now
    from everest_system.io.store.store import StoreReader
    from everest_system.report import report

    with StoreReader.open(settings.station.state_dir) as store:
        saved = store.load()
    snapshots = _snapshots(settings.station.module_ids, saved)
    parts = {
        key: (snapshot.part.length, snapshot.part.total)
        for key, snapshot in snapshots.items()
        if key[1] == "firmware" and snapshot.part.length and snapshot.artifact is None
    }
    waiting = {
        module_id: sum(row.module_id == module_id for row in saved.rows) for module_id in settings.station.module_ids
    }
    # No boot id: what is left of a duration is what the wall clock says, as it is after a boot.
    now = Now(datetime.now(UTC), time.monotonic(), "")
    told = report(snapshots, waiting, parts, now)
    return {"running": False, "version": __version__, "broker_connected": False, **told}


def _snapshots(module_ids: tuple[str, ...], saved: "Saved") -> dict[tuple[str, str], Any]:
    from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
    from everest_system.fsm.logs.snapshot import LogsSnapshot
    from everest_system.fsm.platform.snapshot import PlatformSnapshot
    from everest_system.fsm.presence.snapshot import PresenceSnapshot
    from everest_system.fsm.presence.states import PresenceState
    from everest_system.module import snapshot
    from everest_system.report import PLATFORM

    snapshots: dict[tuple[str, str], Any] = {PLATFORM: snapshot(PlatformSnapshot, saved.snapshots, PLATFORM)}
    for module_id in module_ids:
        presence = snapshot(PresenceSnapshot, saved.snapshots, (module_id, "presence"))
        # EVerest may well be there; but nobody is who could know.
        snapshots[module_id, "presence"] = presence.model_copy(update={"state": PresenceState.ABSENT})
        snapshots[module_id, "firmware"] = snapshot(FirmwareSnapshot, saved.snapshots, (module_id, "firmware"))
        snapshots[module_id, "logs"] = snapshot(LogsSnapshot, saved.snapshots, (module_id, "logs"))
    return snapshots
