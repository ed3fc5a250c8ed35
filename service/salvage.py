"""What is read from the store and makes no sense: left out, and the request that it was about still comes to an end.

A snapshot that cannot be read (a bit that flipped in it, a state that only a newer version knows) costs its machine
what it remembers, and no other machine anything. If the request can still be told and its end was not said yet, the
machine comes back in a step that was resumed too often: it ends the request as failed, rolled back where something may
have been installed. A status that cannot be read is dropped.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.firmware.states import ENDS as FIRMWARE_ENDS
from everest_system.fsm.firmware.states import STATUS as FIRMWARE_STATUS
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.logs.snapshot import LogsSnapshot
from everest_system.fsm.logs.states import ENDS as LOGS_ENDS
from everest_system.fsm.logs.states import LogsState
from everest_system.fsm.machine import RESUMES_MAX, Snapshot
from everest_system.fsm.outbox import OutboxRow, message
from everest_system.fsm.platform.snapshot import PlatformSnapshot
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.io.store.store import Change, Saved
from everest_system.module import Key

KINDS: Final[Mapping[str, type[Snapshot]]] = {
    "firmware": FirmwareSnapshot,
    "logs": LogsSnapshot,
    "presence": PresenceSnapshot,
    "platform": PlatformSnapshot,
}
_OVER: Final = {
    "firmware": {str(state) for state in (*FIRMWARE_ENDS, FirmwareState.IDLE)},
    "logs": {str(state) for state in (*LOGS_ENDS, LogsState.IDLE)},
}
_DOWNLOADING: Final = ("", "DownloadScheduled", "Downloading", "DownloadPaused", "DownloadFailed")
_UPLOADING: Final = ("", "Uploading", "UploadFailure")  # the last one may have been that of an attempt
_SAID: Final = {str(FIRMWARE_STATUS[state]) for state in FIRMWARE_ENDS} - {"DownloadFailed"}
# What it takes to end a request, from most of it to the least.
_FACTS: Final = (
    ("work", "request", "run", "file_name", "target", "last_word", "word_before"),
    ("request", "file_name", "target"),
    ("request",),
)


@dataclass(frozen=True, slots=True)
class Salvage:
    """What the station can start from.

    Attributes:
        saved: all that can be read.
        change: what the store has to follow; empty where all could be read.
        problems: what could not, and what becomes of it, a line each.
    """

    saved: Saved
    change: Change
    problems: tuple[str, ...]


def salvage(saved: Saved) -> Salvage:
    """Look through what was read from the store."""
    problems: list[str] = []
    rows = [row for row in saved.rows if _makes_sense(row)]
    dropped = [row.seq for row in saved.rows if row not in rows]
    if dropped:
        problems.append(f"{len(dropped)} waiting statuses cannot be read, and are dropped")
    mended: dict[Key, str] = {}
    for (module_id, machine), text in saved.snapshots.items():
        if machine not in KINDS:
            continue
        try:
            KINDS[machine].model_validate_json(text)
        except ValidationError as error:
            snapshot = _mended(machine, text, [row for row in rows if row.module_id == module_id])
            mended[module_id, machine] = snapshot.model_dump_json()
            problems.append(
                f"the stored state of {machine} of {module_id or 'the station'} cannot be read ({_cause(error)}): "
                + ("its request ends as failed" if snapshot.starts else "it begins anew")
            )
    return Salvage(
        replace(saved, snapshots={**saved.snapshots, **mended}, rows=tuple(rows)),
        Change(snapshots=mended, rows_removed=dropped),
        tuple(problems),
    )


def _cause(error: ValidationError) -> str:
    """The first fault, without the values: there are addresses with passwords among them."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['type']}" if where else fault["type"]


def _makes_sense(row: OutboxRow) -> bool:
    status = row.status
    numbers = (status.job, status.request_id, status.run)
    try:
        for word in {status.word, status.predecessor or status.word}:
            message(replace(status, word=word))
    except ValueError:
        return False
    return status.machine in _OVER and all(isinstance(number, int) for number in numbers)


def _mended(machine: str, text: str, rows: Sequence[OutboxRow]) -> Snapshot:
    facts = _facts(text)
    # Numbers that may still be spoken of elsewhere are not given a second time.
    jobs = [row.status.job for row in rows if row.status.machine == machine]
    job = max([*jobs, _number(facts, "job")])
    state = _last_step(machine, facts)
    if state is not None:
        step: dict[str, Any] = {"state": state, "job": job, "timers": {}, "starts": RESUMES_MAX}
        for names in (tuple(facts), *_FACTS):
            snapshot = _read(KINDS[machine], {name: facts[name] for name in names if name in facts} | step)
            if snapshot is not None and getattr(snapshot, "request", None) is not None:
                return snapshot
    anew = {"job": job}
    if machine == "presence":
        anew["run"] = max([*(row.status.run for row in rows), _number(facts, "run")])
    return KINDS[machine].model_validate(anew)


def _last_step(machine: str, facts: Mapping[str, Any]) -> str | None:
    """The step that the request stood in as far as can be told; None if there is nothing left to end."""
    word = str(facts.get("last_word", ""))
    if machine not in _OVER or str(facts.get("state")) in _OVER[machine] or word in _SAID:
        return None
    if machine == "logs":
        return LogsState.UPLOADING if word in _UPLOADING else None
    return FirmwareState.DOWNLOADING if word in _DOWNLOADING else FirmwareState.INSTALLING


def _facts(text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _read(kind: type[Snapshot], facts: Mapping[str, Any]) -> Snapshot | None:
    try:
        return kind.model_validate_json(json.dumps(facts))
    except ValidationError:
        return None


def _number(facts: Mapping[str, Any], name: str) -> int:
    number = facts.get(name)
    return number if isinstance(number, int) and 0 <= number < 1 << 62 else 0
