"""The transition table of a log upload, and the way back into each of its states.

Order of statuses that it gives (OCPP 2.0.1 N01): Uploading, and UploadFailure between attempts where each is reported;
then one end. A retry uploads the archive that exists; nothing is collected twice.
"""

from everest_system.fsm.events import (
    Event,
    ResumedTooOften,
    RetryTimeReached,
    Settled,
    StatusDelivered,
    StatusSending,
)
from everest_system.fsm.logs.events import (
    CollectionFailed,
    LogsCollected,
    UploadAttemptFailed,
    UploadFinished,
    UploadRefused,
    UploadRequested,
)
from everest_system.fsm.logs.states import LogsState
from everest_system.fsm.table import Row, StateRows

S = LogsState

_FROM_OUTSIDE: tuple[type[Event], ...] = (UploadRequested, StatusSending, StatusDelivered)

EVENTS: tuple[type[Event], ...] = (
    *_FROM_OUTSIDE, Settled, RetryTimeReached, ResumedTooOften,
    LogsCollected, CollectionFailed, UploadFinished, UploadAttemptFailed, UploadRefused,
)  # fmt: skip


def _state(*rows: Row, enter: str | None = None) -> StateRows:
    """Rows over a ground of: what comes from outside is ignored, what we cause ourselves is impossible."""
    named = {row.event for row in rows}
    ignored = tuple(event for event in _FROM_OUTSIDE if event not in named)
    impossible = tuple(event for event in EVENTS if event not in named and event not in ignored)
    return StateRows(*rows, ignored=ignored, impossible=impossible, enter=enter)


_NEW_REQUEST = Row(UploadRequested, S.ACCEPTED, do="accept")
_CANCEL      = Row(UploadRequested, S.CANCELED)  # fmt: skip


def _ends_by_word(event: type[Event]) -> tuple[Row, ...]:
    """N01.FR.10: the most precise word."""
    return (
        Row(event, S.BAD_MESSAGE,             when="is_bad_message",       do="keep_reason"),
        Row(event, S.PERMISSION_DENIED,       when="is_permission_denied", do="keep_reason"),
        Row(event, S.NOT_SUPPORTED_OPERATION, when="is_not_supported",     do="keep_reason"),
        Row(event, S.UPLOAD_FAILURE,                                       do="keep_reason"),
    )  # fmt: skip


# fmt: off
TABLE: dict[LogsState, StateRows] = {
    S.IDLE: _state(_NEW_REQUEST),
    S.ACCEPTED: _state(
        Row(Settled, S.COLLECTING),
        _CANCEL,
        enter="wait_until_settled",
    ),
    S.COLLECTING: _state(
        Row(LogsCollected,    S.UPLOADING,      do="keep_archive"),
        Row(CollectionFailed, S.UPLOAD_FAILURE, do="keep_reason"),
        Row(ResumedTooOften,  S.UPLOAD_FAILURE, do="keep_reason"),
        _CANCEL,
        enter="collect",
    ),
    S.UPLOADING: _state(
        Row(UploadFinished, S.UPLOADED),
        Row(UploadAttemptFailed, S.UPLOAD_RETRY_SCHEDULED, when="attempts_left", do="count_attempt"),
        *_ends_by_word(UploadAttemptFailed),
        *_ends_by_word(UploadRefused),
        Row(ResumedTooOften, S.UPLOAD_FAILURE, do="keep_reason"),
        _CANCEL,
        enter="upload",
    ),
    S.UPLOAD_RETRY_SCHEDULED: _state(
        Row(RetryTimeReached, S.UPLOADING),
        _CANCEL,
    ),
    S.UPLOADED:                _state(_NEW_REQUEST, enter="end"),
    S.UPLOAD_FAILURE:          _state(_NEW_REQUEST, enter="end"),
    S.BAD_MESSAGE:             _state(_NEW_REQUEST, enter="end"),
    S.PERMISSION_DENIED:       _state(_NEW_REQUEST, enter="end"),
    S.NOT_SUPPORTED_OPERATION: _state(_NEW_REQUEST, enter="end"),
    S.CANCELED:                _state(_NEW_REQUEST, enter="make_way"),  # left at once for the new request
}

# What a start of the service orders again, unless the step was resumed too often. Timers need no row: they are made
# anew from the snapshot.
RECOVERY: dict[LogsState, str] = {
    S.IDLE:                    "nothing",
    S.ACCEPTED:                "nothing",
    S.COLLECTING:              "collect",
    S.UPLOADING:               "upload",
    S.UPLOAD_RETRY_SCHEDULED:  "nothing",
    S.UPLOADED:                "clean_up",
    S.UPLOAD_FAILURE:          "clean_up",
    S.BAD_MESSAGE:             "clean_up",
    S.PERMISSION_DENIED:       "clean_up",
    S.NOT_SUPPORTED_OPERATION: "clean_up",
    S.CANCELED:                "clean_up",
}
# fmt: on
