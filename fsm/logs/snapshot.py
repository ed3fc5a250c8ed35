"""What a log upload remembers across crashes and reboots."""

from everest_system.fsm.logs.states import LogsState
from everest_system.fsm.messages import UploadLogsRequest
from everest_system.fsm.request_machine import RequestSnapshot


class LogsSnapshot(RequestSnapshot):
    """The state of an upload, and the facts that its next step needs.

    Attributes:
        request: the current or last request.
        file_name: the archive's name, as the reply gave it.
        length: the archive's length in bytes, once it is complete.
    """

    state: LogsState = LogsState.IDLE
    request: UploadLogsRequest | None = None
    file_name: str = ""
    length: int | None = None
