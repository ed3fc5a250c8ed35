"""What becomes of a log upload's orders."""

from everest_system.fsm.events import Event
from everest_system.fsm.logs.events import (
    CollectionFailed,
    LogsCollected,
    UploadAttemptFailed,
    UploadFinished,
    UploadRefused,
)
from everest_system.fsm.messages import LogStatusEnum
from everest_system.fsm.orders import CollectLogs, StartUpload
from everest_system.io.transfers.outcomes import http_meaning
from everest_system.io.transfers.transfer import Fault
from everest_system.simulation.behaviour import MEGABYTE
from everest_system.simulation.firmware_work import QUICK_S, SUCCESS
from everest_system.simulation.plan import Plan, ending
from everest_system.simulation.world import World


def collect(world: World, module_id: str, order: CollectLogs) -> Plan:
    """Make the archive."""
    behaviour = world.behaviour

    def end() -> Event:
        if behaviour.collect == "fails":
            return CollectionFailed(order.work, "the spool is full")
        length = int(behaviour.archive_mb * MEGABYTE)
        world.files[module_id, "spool", order.job] = length
        return LogsCollected(order.work, length)

    return Plan(behaviour.collect_s, end)


def upload(world: World, module_id: str, order: StartUpload) -> Plan:
    """One attempt, from the archive's first byte."""
    behaviour, answer, failure = world.behaviour, world.answer("upload"), LogStatusEnum.UPLOAD_FAILURE
    if (module_id, "spool", order.job) not in world.files:
        return ending(QUICK_S, UploadRefused(order.work, "the archive is gone", failure))
    if not answer.reachable:
        reason = "the server cannot be reached"
        return ending(answer.after_s or QUICK_S, UploadAttemptFailed(order.work, reason, failure))
    if answer.status != SUCCESS:
        meaning, reason = http_meaning(answer.status), f"the server answers {answer.status}"
        refused = UploadRefused(order.work, reason, meaning.log_status)
        failed = UploadAttemptFailed(order.work, reason, meaning.log_status, answer.retry_after_s)
        return ending(answer.after_s or QUICK_S, refused if meaning.fault is Fault.REFUSED else failed)
    whole_s = behaviour.upload_s if answer.after_s is None else answer.after_s
    if answer.breaks_at_mb is not None and answer.breaks_at_mb < behaviour.archive_mb:
        broken = UploadAttemptFailed(order.work, "the connection broke", failure)
        return ending(whole_s * answer.breaks_at_mb / behaviour.archive_mb, broken)

    def end() -> Event:
        world.uploaded.append((module_id, order.file_name))
        return UploadFinished(order.work)

    return Plan(whole_s, end)
