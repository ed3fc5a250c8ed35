"""What a log upload remembers across crashes and reboots."""

from everest_system.fsm.logs.states import LogsState
from everest_system.fsm.machine import Snapshot
from everest_system.fsm.messages import UploadLogsRequest


class LogsSnapshot(Snapshot):
    """The state of an upload, and the facts that its next step needs.

    Attributes:
        request: the current or last request.
        reply_to: where it wanted its reply; a second delivery of it is known by this.
        run: the count of the EVerest that sent it.
        file_name: the archive's name, as the reply gave it.
        length: the archive's length in bytes, once it is complete.
        last_word: the status published last for it; "" before the first.
        word_before: the last one that was another than that; "" if there was none.
        attempts: upload attempts used up.
        reason: why the upload ended as it did, or why the last attempt failed.
    """

    state: LogsState = LogsState.IDLE
    request: UploadLogsRequest | None = None
    reply_to: str | None = None
    run: int = 0
    file_name: str = ""
    length: int | None = None
    last_word: str = ""
    word_before: str = ""
    attempts: int = 0
    reason: str = ""
