"""Drives the logs machine, and knows the way into each of its states.

upload = LogsDriver(ocpp_1_6=True)
upload.request(7, retries=2)
upload = LogsDriver.at(S.UPLOADING)
"""

from collections.abc import Callable
from typing import Any

from support.machine_driver import MachineDriver

from everest_system.fsm.events import Settled
from everest_system.fsm.logs.events import (
    LogsCollected,
    UploadAttemptFailed,
    UploadFinished,
    UploadRefused,
    UploadRequested,
)
from everest_system.fsm.logs.machine import LogsMachine, LogsRules
from everest_system.fsm.logs.snapshot import LogsSnapshot
from everest_system.fsm.logs.states import LogsState
from everest_system.fsm.messages import UploadLogsRequest

S = LogsState


class LogsDriver(MachineDriver):
    """A logs machine; the keywords are its rules."""

    def __init__(self, **rules: Any) -> None:
        super().__init__(lambda snapshot: LogsMachine(snapshot, LogsRules(**rules)), LogsSnapshot())

    def request(self, request_id: int | None = 7, *, reply_to: str = "reply/1", **fields: Any) -> None:
        """Have EVerest ask for logs; the archive is named after the request."""
        asked = UploadLogsRequest(request_id=request_id, location="https://example.com/logs/", **fields)
        self.take(UploadRequested(asked, f"logs-{request_id}.tar.gz", reply_to, run=1))

    def upload(self) -> None:
        """From the request to Uploading."""
        self.fire(Settled)
        self.report(LogsCollected, 4096)

    @classmethod
    def at(cls, state: LogsState, request_id: int | None = 7, **rules: Any) -> "LogsDriver":
        """An upload that stands in `state`; CANCELED is left as soon as it is entered."""
        upload = cls(**rules)
        for step in WAYS[state]:
            step(upload, request_id)
        assert upload.state is state
        return upload


Way = tuple[Callable[[LogsDriver, int | None], Any], ...]

_ASK: Way = (lambda upload, number: upload.request(number),)
_SEND: Way = (*_ASK, lambda upload, _: upload.upload())


def _refused(word: str) -> Way:
    return (*_SEND, lambda upload, _: upload.report(UploadRefused, "refused", word))


WAYS: dict[LogsState, Way] = {
    S.IDLE: (),
    S.ACCEPTED: _ASK,
    S.COLLECTING: (*_ASK, lambda upload, _: upload.fire(Settled)),
    S.UPLOADING: _SEND,
    S.UPLOAD_RETRY_SCHEDULED: (
        *_SEND,
        lambda upload, _: upload.report(UploadAttemptFailed, "HTTP 500", "UploadFailure"),
    ),
    S.UPLOADED: (*_SEND, lambda upload, _: upload.report(UploadFinished)),
    S.UPLOAD_FAILURE: _refused("UploadFailure"),
    S.BAD_MESSAGE: _refused("BadMessage"),
    S.PERMISSION_DENIED: _refused("PermissionDenied"),
    S.NOT_SUPPORTED_OPERATION: _refused("NotSupportedOperation"),
}
