"""What has to hold at the end of every simulation, whatever happened in it.

Scenarios say what one story comes to. Invariants hold for all of them, also with the service killed or the power cut
anywhere in between: each accepted request has one end status, EVerest heard it, the statuses came in a legal order,
nothing was written to a slot before its time and permission, the right firmware runs, and nothing is left over.

`violations` looks at a simulation that has come to rest. Before that everybody comes back who is away, EVerest and its
CSMS: what only waits for them is not lost. Then the CSMS says once more what it says with each of its heartbeats, what
the time is, and the station has to answer questions.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.firmware.states import ENDS as UPDATE_ENDS
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.logs.snapshot import LogsSnapshot
from everest_system.fsm.logs.states import ENDS as UPLOAD_ENDS
from everest_system.fsm.messages import FirmwareUpdateRequest, UploadLogsResponse
from everest_system.fsm.platform.states import PlatformState
from everest_system.fsm.timestamps import format_rfc3339
from everest_system.module import Key
from everest_system.report import PLATFORM
from everest_system.simulation.crash_points import AWAY_S
from everest_system.simulation.everest import Heard
from everest_system.simulation.firmware_work import digest
from everest_system.simulation.moments import shown
from everest_system.simulation.simulation import Simulation
from everest_system.simulation.status_order import WORD_OF_KIND, arrival_fault, order_fault
from everest_system.station import OWN

FACTORY = "factory"
REPEATED = 3  # said, said again after each start, and once more to ask for the permission; or said of each attempt
ANSWER_S = 5.0  # a status may follow
ANSWER_BEATS = 4  # what follows may be said behind its predecessor, and each is done with the heartbeat behind it
RETURN_S = 600.0  # a reset may follow, and all that has waited


@dataclass(slots=True)
class Job:
    """An accepted request, as the store tells its story.

    Attributes:
        key: module and machine.
        number: its job number.
        snapshot: the last one stored of it.
        said: the words that its transitions published, in order.
        published: those and what was said again, in order.
        ends: the end words among them.
        installing_at: when it came to INSTALLING, in microseconds since the beginning.
        installing_wall: what the station's clock showed then.
    """

    key: Key
    number: int
    snapshot: FirmwareSnapshot | LogsSnapshot
    said: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    installing_at: int | None = None
    installing_wall: datetime | None = None

    @property
    def request_id(self) -> int:
        """EVerest's number for it."""
        request = self.snapshot.request
        assert request is not None
        return request.request_id if isinstance(request, FirmwareUpdateRequest) else request.status_request_id

    @property
    def is_over(self) -> bool:
        """It has come to an end state."""
        return self.snapshot.state in UPDATE_ENDS or self.snapshot.state in UPLOAD_ENDS

    def __str__(self) -> str:
        return f"{'update' if self.key[1] == 'firmware' else 'upload'} {self.request_id}, job {self.number}"


def jobs(simulation: Simulation) -> list[Job]:
    """Every accepted request, in the order in which they were accepted."""
    found: dict[tuple[Key, int], Job] = {}
    times = iter(simulation.stepped_at)
    for change in simulation.memory.log:
        for key, text in change.snapshots.items():
            number = json.loads(text)["job"] if key[1] in WORD_OF_KIND else 0
            if number:
                kind = FirmwareSnapshot if key[1] == "firmware" else LogsSnapshot
                known = found.setdefault((key, number), Job(key, number, kind()))
                known.snapshot = kind.model_validate_json(text)
        moved = {(step.module_id, step.machine, step.job) for step in change.transitions}
        for step, stepped_at in zip(change.transitions, times, strict=False):
            # A job that another one cancels is never stored in its end state: both are one transaction.
            if step.target == FirmwareState.CANCELED and step.job is not None:
                canceled = found[(step.module_id, step.machine), step.job]
                canceled.snapshot = canceled.snapshot.model_copy(
                    update={"state": type(canceled.snapshot.state).CANCELED}
                )
            if step.target == FirmwareState.INSTALLING and step.job is not None:
                job = found[(step.module_id, step.machine), step.job]
                job.installing_at, job.installing_wall = stepped_at, step.at
        for row in change.rows_added:
            job = found[(row.module_id, row.status.machine), row.status.job]
            job.published.append(row.status.word)
            if (row.module_id, row.status.machine, row.status.job) in moved:
                job.said.append(row.status.word)
            if row.status.is_end:
                job.ends.append(row.status.word)
    return list(found.values())


def violations(simulation: Simulation) -> list[str]:
    """A line for each invariant that does not hold; time goes on a little."""
    _return(simulation)
    lines = list(_answers(simulation))
    accepted = jobs(simulation)
    lines += [
        *_forgotten(simulation, accepted),
        *_ends(accepted),
        *_orders(accepted),
        *_deliveries(simulation, accepted),
        *_connectors(simulation, accepted),
        *_slots(simulation, accepted),
    ]
    return [*lines, *_left_over(simulation), *_faults(simulation)]


def _forgotten(simulation: Simulation, accepted: list[Job]) -> Iterator[str]:
    """Whatever EVerest was told to be accepted is a job: an answer that is not stored behind it is worth nothing."""
    told = Counter(
        (module_id, "firmware" if question.command == "update_firmware" else "logs", question.payload["request_id"])
        for module_id in simulation.settings.station.module_ids
        for question in simulation.everest(module_id).questions
        if question.command in {"update_firmware", "upload_logs"}
        and isinstance(question.payload, dict)
        and "request_id" in question.payload
        and any(map(_accepts, question.replies))
    )
    known = Counter((*job.key, job.request_id) for job in accepted)
    for (module_id, machine, request_id), count in (told - known).items():
        yield f"{machine} {request_id} of {module_id}: accepted, and {count} times forgotten"


def _accepts(reply: Any) -> bool:
    word = reply.upload_logs_status if isinstance(reply, UploadLogsResponse) else reply
    return word in {"Accepted", "AcceptedCanceled"}


def _ends(accepted: list[Job]) -> Iterator[str]:
    for job in accepted:
        if not job.is_over:
            yield f"{job}: has no end, it is {job.snapshot.state} ({', '.join(job.published) or 'nothing said'})"
        elif len(set(job.ends)) != 1:
            yield f"{job}: has {len(set(job.ends))} end statuses: {', '.join(job.ends) or 'none'}"


def _orders(accepted: list[Job]) -> Iterator[str]:
    for job in accepted:
        request = job.snapshot.request
        is_signed = isinstance(request, FirmwareUpdateRequest) and bool(
            request.signing_certificate is not None or request.signature is not None
        )
        fault = order_fault(WORD_OF_KIND[job.key[1]], job.said, is_signed=is_signed)
        if fault:
            yield f"{job}: {fault}"


def _deliveries(simulation: Simulation, accepted: list[Job]) -> Iterator[str]:
    """What reached EVerest is what was published, in that order, and its CSMS knows the end."""
    published: dict[tuple[str, str, int], list[Job]] = {}
    for job in accepted:
        published.setdefault((*job.key, job.request_id), []).append(job)
    for (module_id, machine, request_id), together in published.items():
        heard = [
            one
            for one in simulation.everest(module_id).heard
            if (one.kind, one.request_id) == (WORD_OF_KIND[machine], request_id)
        ]
        name = " and ".join(map(str, together))
        fault = arrival_fault([job.published for job in together], [one.word for one in heard])
        if fault:
            yield f"{name}: {fault}"
        told = [one for one in heard if not one.dropped]
        ends = together[-1].ends
        if ends and (not told or told[-1].word != ends[-1]):
            yield f"{name}: ends with {ends[-1]}, the CSMS heard {_words(told)}"
        for (word, _), same in groupby(told, key=lambda one: (one.word, one.run)):
            times = [one.at for one in same]
            if len(times) > max(REPEATED, 2 + _starts(simulation, times[0], times[-1])):
                yield f"{name}: the same EVerest's CSMS heard {word} again and again ({_words(told)})"


def _connectors(simulation: Simulation, accepted: list[Job]) -> Iterator[str]:
    """At the status that takes the connectors out of service, EVerest was told whether it shall, each time."""
    ids = Counter((job.key, job.request_id) for job in accepted)
    for job in accepted:
        snapshot = job.snapshot
        if not isinstance(snapshot, FirmwareSnapshot) or snapshot.request is None or ids[job.key, job.request_id] > 1:
            continue
        wanted, trigger = snapshot.disable_connectors is not False, _trigger(snapshot.request)
        for one in simulation.everest(job.key[0]).heard:
            if (one.word, one.request_id) == (trigger, job.request_id) and one.disable_connectors is not wanted:
                yield f"{job}: {trigger} at {shown(one.at)} says {one.disable_connectors} of the connectors"


def _trigger(request: FirmwareUpdateRequest) -> str:
    is_signed = request.signing_certificate is not None or request.signature is not None
    return "SignatureVerified" if is_signed else "Downloaded"


def _starts(simulation: Simulation, first: int, last: int) -> int:
    entries = simulation.timeline.entries
    return sum(entry.what == "the service starts" and first <= entry.at <= last for entry in entries)


def _words(heard: list[Heard]) -> str:
    return ", ".join(one.word for one in heard) or "nothing"


def _slots(simulation: Simulation, accepted: list[Job]) -> Iterator[str]:
    for module_id in simulation.settings.station.module_ids:
        slots = simulation.world.slots(module_id)
        updates = [job for job in accepted if job.key == (module_id, "firmware")]
        installed = [job.number for job in updates if job.snapshot.state is FirmwareState.INSTALLED]
        good = digest(module_id, installed[-1]) if installed else FACTORY
        world = simulation.world.behaviour
        starts = slots.content[slots.current]
        if world.roll_back == "ok" and starts != good:
            yield f"slots: {slots.current} is to come up next with {starts}, it should be {good}"
        # Where no order to reboot is obeyed, all that the station can do is to give it.
        is_obeyed = world.reboot == "comes" and world.restart == "ok"
        owes_order = world.roll_back == "ok" and not _tried_to_leave(simulation, module_id)
        if slots.current != slots.running and (is_obeyed or owes_order):
            yield f"slots: {slots.running} runs, the next boot comes up with {slots.current}"
        running = "a"
        for at, verb, slot in slots.log:
            if verb == "running":
                running = slot
            elif verb in {"torn", "written"}:
                if slot == running:
                    yield f"slots: {slot} was written at {shown(at)} while it ran"
                yield from _too_early(simulation, module_id, updates, at)


def _tried_to_leave(simulation: Simulation, module_id: str) -> bool:
    """A reset was ordered behind the end of the module's last update."""
    history = simulation.memory.history
    ends = [
        number
        for number, step in enumerate(history)
        if (step.module_id, step.machine) == (module_id, "firmware") and step.target in UPDATE_ENDS
    ]
    return any(step.target == PlatformState.RESETTING for step in history[max(ends, default=0) :])


def _too_early(simulation: Simulation, module_id: str, updates: list[Job], at: int) -> Iterator[str]:
    """Nothing is written before the time of its update and the permission for it."""
    begun = [job for job in updates if job.installing_at is not None and job.installing_at <= at]
    if not begun:
        yield f"slots: written at {shown(at)}, and no update was being installed"
        return
    job = max(begun, key=lambda one: one.installing_at or 0)
    snapshot, began = job.snapshot, job.installing_at or 0
    assert isinstance(snapshot, FirmwareSnapshot)
    assert snapshot.request is not None
    wanted = snapshot.request.install_timestamp
    if wanted is not None and job.installing_wall is not None and job.installing_wall < wanted:
        yield f"{job}: was installed at {shown(began)}, before its time"
    if simulation.settings.firmware.permission == "required" and snapshot.disable_connectors is not False:
        everest = simulation.everest(module_id)
        trigger = _trigger(snapshot.request)
        asked = [one.at for one in everest.heard if (one.word, one.request_id) == (trigger, job.request_id)]
        if not any(min(asked, default=at + 1) <= permitted <= began for permitted in everest.permitted_at):
            yield f"{job}: was installed at {shown(began)}, without a permission"


def _left_over(simulation: Simulation) -> Iterator[str]:
    saved = simulation.memory.load()
    for row in saved.rows:
        yield f"left over in the outbox: {row.status.word} of request {row.status.request_id}"
    for (module_id, folder, job), length in simulation.world.files.items():
        yield f"left over on the disk: {folder} of job {job} of {module_id}, {length} bytes"
    for (module_id, machine), text in saved.snapshots.items():
        timers = [] if machine == "presence" else list(json.loads(text)["timers"])
        if timers:
            yield f"left over in {machine} of {module_id or 'the station'}: timers {', '.join(timers)}"
    if simulation.life is not None:
        for owner, name in simulation.life.reactor.seconds_left():
            if owner != OWN and not owner.endswith("/presence"):
                yield f"left over in the reactor: {name} of {owner}"
    platform = json.loads(saved.snapshots.get(PLATFORM, '{"state": "IDLE"}'))["state"]
    if platform != "IDLE":
        yield f"left over: a reset, the platform is {platform}"


def _faults(simulation: Simulation) -> Iterator[str]:
    for entry in simulation.timeline.entries:
        if entry.who == "station" and entry.what.startswith(("error:", "critical:")):
            yield f"at {shown(entry.at)} the station says {entry.what}"


def _return(simulation: Simulation) -> None:
    everests = [simulation.everest(module_id) for module_id in simulation.settings.station.module_ids]
    if simulation.life is not None and all(one.is_registered for one in everests):
        return
    if simulation.life is None:
        simulation.run_for(max(AWAY_S.values()))
    simulation.start_everest()
    for one in everests:
        if one.is_running and not one.is_registered:
            one.accept_boot()
    simulation.run_for(RETURN_S)


def _answers(simulation: Simulation) -> Iterator[str]:
    if simulation.life is None:
        yield "the service does not run"
        return
    wanted = simulation.clock.true_wall
    sets = simulation.world.behaviour.set_time == "ok" and simulation.would_set_clock(wanted)
    asked = [
        (simulation.everest(module_id).ask(command, payload), expected)
        for module_id in simulation.settings.station.module_ids
        for command, payload, expected in (
            ("set_system_time", format_rfc3339(wanted), sets),
            ("is_reset_allowed", "Soft", True),
            ("get_boot_reason", None, None),
        )
    ]
    beat_s = max(simulation.everest(name).behaviour.heartbeat_every for name in simulation.settings.station.module_ids)
    simulation.run_for(max(ANSWER_S, ANSWER_BEATS * beat_s) + 2 * simulation.world.behaviour.ack_s)
    for question, expected in asked:
        if len(question.replies) != 1 or expected not in {None, *question.replies}:
            yield f"{question.command} is answered {', '.join(map(str, question.replies)) or 'nothing'}"
