"""Where orders of work are carried out: each in the lane of its machine, with an event at its end.

A lane takes one piece of work after the other, so that a removal waits until the work that was stopped has really
ended. Whatever goes wrong becomes an event too: every order of work is answered by exactly one, unless it is stopped.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from everest_system.clock_setting import ClockSetting
from everest_system.fsm.errors import CanceledError, WorldError
from everest_system.fsm.events import Event
from everest_system.fsm.firmware.events import (
    DownloadAttemptFailed,
    FirmwareUnhealthy,
    InstallFailed,
    RebootFailed,
    RollBackFailed,
)
from everest_system.fsm.logs.events import CollectionFailed, UploadAttemptFailed
from everest_system.fsm.messages import LogStatusEnum
from everest_system.fsm.orders import (
    ActivateByReboot,
    ActivateByRestart,
    CheckArtifact,
    CollectLogs,
    ConfirmInstall,
    Order,
    RebootMachine,
    RemoveArchive,
    RemoveArtifact,
    RestartEverest,
    RollBack,
    SetSystemTime,
    StartDownload,
    StartInstall,
    StartUpload,
    StopWork,
    WorkOrder,
)
from everest_system.fsm.platform.events import ResetFailed
from everest_system.io.removal import free, let_go, remove
from everest_system.io.workers import Workers
from everest_system.job import Job
from everest_system.module import Key
from everest_system.ports import WorkReport
from everest_system.progress import Progress, ProgressBoard
from everest_system.tools import Tools

_log = structlog.get_logger(__name__)

# What an order comes to when it fails in a way that it has no word of its own for.
FAILURES: Mapping[type[WorkOrder], Callable[[int, str], Event]] = {
    StartDownload: DownloadAttemptFailed,
    CheckArtifact: InstallFailed,
    StartInstall: InstallFailed,
    ActivateByReboot: RebootFailed,
    ActivateByRestart: RebootFailed,
    ConfirmInstall: FirmwareUnhealthy,
    RollBack: RollBackFailed,
    CollectLogs: CollectionFailed,
    StartUpload: lambda work, reason: UploadAttemptFailed(work, reason, LogStatusEnum.UPLOAD_FAILURE),
    RebootMachine: ResetFailed,
    RestartEverest: ResetFailed,
}
NAMES: Mapping[type[WorkOrder], str] = {
    StartDownload: "downloading",
    StartInstall: "installing",
    CollectLogs: "collecting logs",
    StartUpload: "uploading",
}


class Workshop:
    """Carries out orders of work in threads, and posts what comes of them.

    Args:
        tools: what the work is done with.
        post: takes `WorkReport`, `SystemTimeSet` and `BootedInPlace`; called from the threads.
    """

    def __init__(self, tools: Tools, post: Callable[[object], None]) -> None:
        self._tools, self._post = tools, post
        self._workers = Workers(on_crash=lambda lane, error: _log.error("work crashed", lane=lane, exc_info=error))
        self._clock_setting = ClockSetting(tools.system_time, self._workers, post)
        self._board = ProgressBoard()
        self._closed = False

    def carry_out(self, module_id: str, machine: str, order: Order) -> None:
        """Begin with `order`; returns at once."""
        if self._closed:
            return  # the next start orders it again
        key = (module_id, machine)
        lane = "/".join(key)
        match order:
            case StopWork():
                self._workers.cancel(lane)
            case RemoveArtifact(job=job):
                artifact = self._tools.artifact(module_id, job)
                self._workers.start(lane, lambda canceled: remove(artifact, canceled), always=True)
            case RemoveArchive(job=job):
                spool = self._tools.spool(module_id, job)
                self._workers.start(lane, lambda canceled: remove(spool, canceled), always=True)
            case SetSystemTime():
                self._clock_setting.take(module_id, order)
            case WorkOrder():
                self._workers.start(lane, lambda canceled: self._do(key, order, canceled))
            case _:
                raise AssertionError(f"an order without a worker: {order!r}")

    def discard(self, module_id: str, machine: str, path: Path) -> None:
        """Take a file or folder of a machine's away at once, and free its room before the machine's next work begins.

        At a start there may be gigabytes to free, and replies do not wait for that.
        """
        contents = let_go(path)
        if contents:
            lane = "/".join((module_id, machine))
            self._workers.start(lane, lambda canceled: free(contents, canceled), always=True)

    def progress(self) -> Mapping[Key, tuple[int, int | None]]:
        """How far the work has come that runs."""
        return self._board.figures()

    def close(self, timeout_s: float) -> None:
        """Cancel everything, and wait for all of it to end, at most `timeout_s`."""
        self._closed = True
        if not self._workers.close(timeout_s):
            _log.warning("some work did not end in time; the next start goes on with it")

    def _do(self, key: Key, order: WorkOrder, canceled: threading.Event) -> None:
        module_id, machine = key
        request = getattr(order, "request", None)
        log = _log.bind(module_id=module_id or None, request_id=getattr(request, "request_id", None))
        progress = Progress(self._board, key, NAMES.get(type(order), type(order).__name__), log)
        event: Event | None
        try:
            event = Job(self._tools, key, progress, self._post, canceled).run(order)
        except CanceledError:
            raise
        except WorldError as error:
            event = FAILURES[type(order)](order.work, str(error))
        except BaseException as error:  # a bug of ours, and yet the request must end
            log.exception("work failed unexpectedly", order=type(order).__name__)
            event = FAILURES[type(order)](order.work, f"internal error: {type(error).__name__}")
        finally:
            self._board.remove(key)
        if event is not None:
            self._post(WorkReport(module_id, machine, event))
