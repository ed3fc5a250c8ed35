"""The facts of a log upload: from EVerest, and from work."""

from dataclasses import dataclass

from everest_system.fsm.events import Event, WorkEvent
from everest_system.fsm.messages import UploadLogsRequest


@dataclass(frozen=True, slots=True)
class UploadRequested(Event):
    """`upload_logs` came, well-formed and allowed, and the archive will have this name."""

    request: UploadLogsRequest
    file_name: str
    reply_to: str | None
    run: int


@dataclass(frozen=True, slots=True)
class LogsCollected(WorkEvent):
    """The archive is complete and safe on disk; `length` is in bytes."""

    length: int


@dataclass(frozen=True, slots=True)
class CollectionFailed(WorkEvent):
    """The archive could not be made."""

    reason: str


@dataclass(frozen=True, slots=True)
class UploadFinished(WorkEvent):
    """The server has confirmed that it has the whole archive."""


@dataclass(frozen=True, slots=True)
class UploadAttemptFailed(WorkEvent):
    """The attempt failed, another one may help; `word` is the log status that says why (N01.FR.10)."""

    reason: str
    word: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class UploadRefused(WorkEvent):
    """No further attempt can help; `word` is the log status that says why (N01.FR.10)."""

    reason: str
    word: str
