"""The states of a log upload, and the status that each of them publishes (OCPP 2.0.1 N01)."""

from enum import StrEnum

from everest_system.fsm.messages import LogStatusEnum as Word


class LogsState(StrEnum):
    """Where an upload stands."""

    IDLE = "IDLE"
    ACCEPTED = "ACCEPTED"
    COLLECTING = "COLLECTING"
    UPLOADING = "UPLOADING"
    UPLOAD_RETRY_SCHEDULED = "UPLOAD_RETRY_SCHEDULED"
    UPLOADED = "UPLOADED"
    UPLOAD_FAILURE = "UPLOAD_FAILURE"
    BAD_MESSAGE = "BAD_MESSAGE"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_SUPPORTED_OPERATION = "NOT_SUPPORTED_OPERATION"
    CANCELED = "CANCELED"


S = LogsState

STATUS: dict[LogsState, Word | None] = {
    S.IDLE:                    None,  # OCPP allows Idle only as an answer to a trigger, which EVerest gives
    S.ACCEPTED:                None,
    S.COLLECTING:              None,
    S.UPLOADING:               Word.UPLOADING,
    S.UPLOAD_RETRY_SCHEDULED:  Word.UPLOAD_FAILURE,  # only where every attempt is reported
    S.UPLOADED:                Word.UPLOADED,
    S.UPLOAD_FAILURE:          Word.UPLOAD_FAILURE,
    S.BAD_MESSAGE:             Word.BAD_MESSAGE,
    S.PERMISSION_DENIED:       Word.PERMISSION_DENIED,
    S.NOT_SUPPORTED_OPERATION: Word.NOT_SUPPORTED_OPERATION,
    S.CANCELED:                Word.ACCEPTED_CANCELED,
}  # fmt: skip

ENDS = frozenset(
    {
        S.UPLOADED,
        S.UPLOAD_FAILURE,
        S.BAD_MESSAGE,
        S.PERMISSION_DENIED,
        S.NOT_SUPPORTED_OPERATION,
        S.CANCELED,
    }
)

# EVerest's OCPP 1.6 module ends at any other word for a request without an id, and at AcceptedCanceled for every one.
WITHOUT_REQUEST_ID = frozenset({Word.UPLOADING, Word.UPLOADED, Word.UPLOAD_FAILURE})
NOT_IN_OCPP_1_6 = frozenset({Word.ACCEPTED_CANCELED})
