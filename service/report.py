"""What the station is doing, for `status`: the same words for a running service and for what its store says."""

from collections.abc import Mapping
from typing import Any

from everest_system.fsm.deadlines import Now, remaining
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.logs.snapshot import LogsSnapshot
from everest_system.fsm.machine import Snapshot
from everest_system.fsm.platform.snapshot import PlatformSnapshot
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.fsm.timestamps import format_rfc3339
from everest_system.io.transfers.url import redacted
from everest_system.module import Key

PLATFORM: Key = ("", "platform")


def report(
    snapshots: Mapping[Key, Snapshot],
    waiting: Mapping[str, int],
    progress: Mapping[Key, tuple[int, int | None]],
    now: Now,
) -> dict[str, Any]:
    """Everything that can be told from the machines' snapshots, as JSON.

    Args:
        snapshots: of every machine, by module id and name.
        waiting: statuses in the outbox, by module id.
        progress: of the work that runs: done and whole, in bytes or percent.
        now: durations are counted from here.
    """
    modules: dict[str, dict[str, Any]] = {}
    told: dict[str, Any] = {"modules": modules}
    for key, snapshot in snapshots.items():
        module_id, name = key
        facts = {"state": str(snapshot.state), **_facts(snapshot), "timers": _timers(snapshot, now)}  # type: ignore[attr-defined]
        if key in progress:
            done, whole = progress[key]
            facts["progress"] = {"done": done, "total": whole}
        if key == PLATFORM:
            told["platform"] = facts
        else:
            modules.setdefault(module_id, {"messages_waiting": waiting.get(module_id, 0)})[name] = facts
    return told


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    match snapshot:
        case FirmwareSnapshot(request=request) if request is not None:
            facts = {
                "job": snapshot.job,
                "request_id": request.request_id,
                "location": redacted(request.location),
                "signed": request.signing_certificate is not None or request.signature is not None,
                "attempts": snapshot.attempts,
                "received": snapshot.artifact.length if snapshot.artifact else snapshot.part.length,
                "permission": str(snapshot.permission),
                "disable_connectors": snapshot.disable_connectors,
                "held": snapshot.held,
                "target": snapshot.target,
            }
        case LogsSnapshot(request=request) if request is not None:
            facts = {
                "job": snapshot.job,
                "request_id": request.status_request_id,
                "location": redacted(request.location),
                "file_name": snapshot.file_name,
                "attempts": snapshot.attempts,
            }
        case PlatformSnapshot():
            return {"boot_id": snapshot.boot_id, "boot_reason": str(snapshot.boot_reason)}
        case PresenceSnapshot():
            return {"everest": snapshot.run}
        case _:
            return {}
    return {**facts, "last_status": snapshot.last_word, "reason": snapshot.reason}


def _timers(snapshot: Snapshot, now: Now) -> list[dict[str, Any]]:
    timers = [
        {"name": name, "in_s": round(max(remaining(deadline, now), 0.0), 3), "at": format_rfc3339(deadline.wall)}
        for name, deadline in snapshot.timers.items()
    ]
    return sorted(timers, key=lambda timer: (timer["in_s"], timer["name"]))
