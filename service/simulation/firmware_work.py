"""What becomes of an update's orders: the world's script, in the machine's events."""

from everest_system.fsm.artifact import Artifact, Part
from everest_system.fsm.events import Event
from everest_system.fsm.firmware.events import (
    ArtifactUnfit,
    Confirmed,
    DownloadAttemptFailed,
    DownloadFinished,
    DownloadInterrupted,
    DownloadRefused,
    FirmwareUnhealthy,
    InstallFailed,
    InstallFinished,
    NothingToVerify,
    OldFirmwareFound,
    PartKept,
    RollBackFailed,
    RolledBack,
    SignatureInvalid,
    SignatureVerified,
)
from everest_system.fsm.orders import CheckArtifact, ConfirmInstall, RollBack, StartDownload, StartInstall
from everest_system.io.transfers.outcomes import http_meaning
from everest_system.io.transfers.transfer import Fault
from everest_system.simulation.behaviour import MEGABYTE
from everest_system.simulation.plan import Plan, ending
from everest_system.simulation.world import TORN, World

QUICK_S = 0.1  # an answer that brings no file
CONFIRM_S = 0.5
PARTS = 4  # of a download: what has come is safe on disk so often
SUCCESS = 200


def digest(module_id: str, job: int) -> str:
    """The firmware that a job downloads."""
    return f"{module_id}/update-{job}"


def download(world: World, module_id: str, order: StartDownload) -> Plan:
    """One attempt, on from the part that is there."""
    behaviour, answer = world.behaviour, world.answer("download")
    if not answer.reachable:
        reason = "the server cannot be reached"
        return ending(answer.after_s or QUICK_S, DownloadAttemptFailed(order.work, reason))
    if answer.status != SUCCESS:
        return ending(answer.after_s or QUICK_S, _refusal(order.work, answer.status, answer.retry_after_s))
    total = int(behaviour.size_mb * MEGABYTE)
    breaks_at = None if answer.breaks_at_mb is None else int(answer.breaks_at_mb * MEGABYTE)
    until = total if breaks_at is None else min(max(breaks_at, order.part.length), total)
    whole_s = behaviour.download_s if answer.after_s is None else answer.after_s

    def takes_s(length: int) -> float:
        return whole_s * (length - order.part.length) / total

    marks = [total * part // PARTS for part in range(1, PARTS)]
    kept = [length for length in (*marks, until) if order.part.length < length <= until and length != total]
    parts = tuple(
        (takes_s(length), PartKept(order.work, Part(length=length, total=total, validator='"etag"')))
        for length in dict.fromkeys(kept)
    )

    def end() -> Event:
        world.files[module_id, "artifact", order.job] = until
        if breaks_at is not None and until < total:
            return DownloadInterrupted(order.work, "the connection broke")
        says = None if _is_signed(order) else behaviour.disable_connectors
        return DownloadFinished(order.work, Artifact(length=total, sha256=digest(module_id, order.job)), says)

    world.files.setdefault((module_id, "artifact", order.job), order.part.length)
    return Plan(takes_s(until), end, parts)


def _refusal(work: int, status: int, retry_after_s: float | None) -> Event:
    reason = f"the server answers {status}"
    if http_meaning(status).fault is Fault.REFUSED:
        return DownloadRefused(work, reason)
    return DownloadAttemptFailed(work, reason, retry_after_s)


def _is_signed(order: StartDownload | CheckArtifact) -> bool:
    return order.request.signing_certificate is not None or order.request.signature is not None


def check(world: World, module_id: str, order: CheckArtifact) -> Plan:
    """The signature, then the installer's look at the file."""
    behaviour, request, is_signed = world.behaviour, order.request, _is_signed(order)
    event: Event
    match behaviour.verify:
        case "bad_signature":
            event = SignatureInvalid(order.work, "the signature does not hold")
        case "unfit":
            event = ArtifactUnfit(order.work, "the firmware is for another machine")
        case "fails":
            event = InstallFailed(order.work, "the installer cannot look at the firmware")
        case _ if is_signed and (request.signing_certificate is None or request.signature is None):
            event = SignatureInvalid(order.work, "the request has a certificate but no signature")
        case _ if is_signed:
            event = SignatureVerified(order.work, world.slots(module_id).other, behaviour.disable_connectors)
        case _:
            event = NothingToVerify(order.work, world.slots(module_id).other)
    return ending(behaviour.verify_s, event)


def install(world: World, module_id: str, order: StartInstall, activation: str) -> Plan:
    """Write the slot, and make it the one to come up with; `again`: only if it is not there already."""
    slots, behaviour, firmware = world.slots(module_id), world.behaviour, order.artifact.sha256
    is_there = order.again and slots.content[order.target] == firmware
    if not is_there:
        if order.target in {slots.current, slots.running}:
            return ending(QUICK_S, InstallFailed(order.work, f"slot {order.target} is the active one"))
        world.write_slot(module_id, order.target, TORN)

    def end() -> Event:
        match behaviour.install:
            case "bad_signature" | "unfit":
                return ArtifactUnfit(order.work, "the firmware fails a check")
            case "fails":
                return InstallFailed(order.work, "the slot cannot be written")
            case _:
                if not is_there:
                    world.write_slot(module_id, order.target, firmware)
                world.swap(module_id, order.target)
                if activation == "none":
                    world.come_up()
                return InstallFinished(order.work, activation)

    return Plan(QUICK_S if is_there else behaviour.install_s, end)


def confirm(world: World, module_id: str, order: ConfirmInstall) -> Plan:
    """Which firmware runs, and how well."""
    if world.slots(module_id).current != order.target:
        return ending(CONFIRM_S, OldFirmwareFound(order.work, "after the boot the old firmware is the active one"))
    if world.behaviour.health == "bad":
        return ending(CONFIRM_S, FirmwareUnhealthy(order.work, "the new firmware fails the health check"))
    return ending(CONFIRM_S, Confirmed(order.work))


def roll_back(world: World, module_id: str, order: RollBack, activation: str) -> Plan:
    """Make the other slot the one to come up with."""

    def end() -> Event:
        if world.behaviour.roll_back == "fails":
            return RollBackFailed(order.work, "the other slot holds nothing")
        world.swap(module_id, "b" if order.target == "a" else "a")
        if activation == "none":
            world.come_up()
        return RolledBack(order.work, activation)

    return Plan(CONFIRM_S, end)
