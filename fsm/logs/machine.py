"""The log upload: the guards and actions that its table names."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from everest_system.fsm.logs.snapshot import LogsSnapshot
from everest_system.fsm.logs.states import ENDS, NOT_IN_OCPP_1_6, STATUS, WITHOUT_REQUEST_ID, LogsState
from everest_system.fsm.logs.table import RECOVERY, TABLE
from everest_system.fsm.messages import (
    NO_REQUEST_ID,
    LogStatusEnum,
    UploadLogsRequest,
    UploadLogsResponse,
    UploadLogsStatus,
)
from everest_system.fsm.orders import CollectLogs, RemoveArchive, Reply, StartUpload
from everest_system.fsm.request_machine import RequestMachine


@dataclass(frozen=True, slots=True)
class LogsRules:
    """The configured part of an upload's behaviour; durations in seconds, from 0 on.

    Attributes:
        settle_s: between the reply and the first status.
        default_retries: attempts in all, where the request names none.
        default_retry_interval_s: between attempts, where the request names none.
        report_each_attempt: UploadFailure after every failed attempt, not only after the last one.
        ocpp_1_6: keep to the words that EVerest's OCPP 1.6 module survives.
    """

    settle_s: float = 0.5
    default_retries: int = 3
    default_retry_interval_s: float = 60
    report_each_attempt: bool = True
    ocpp_1_6: bool = False


class LogsMachine(RequestMachine[LogsSnapshot]):
    """The machine that `upload_logs` drives (OCPP 2.0.1 N01, OCPP 1.6 GetDiagnostics)."""

    name = "logs"
    table: Mapping[Any, Any] = TABLE
    recovery: Mapping[Any, str] = RECOVERY
    rules: LogsRules

    def __init__(self, snapshot: LogsSnapshot, rules: LogsRules) -> None:
        self.rules = rules
        super().__init__(snapshot)

    @property
    def request(self) -> UploadLogsRequest:
        """The request that is worked on; only states on the way have one."""
        assert self.draft.request is not None
        return self.draft.request

    def request_id(self) -> int | None:
        """The current request's id, -1 where OCPP 1.6 gave none."""
        return self.draft.request.status_request_id if self.draft.request else None

    def entered(self) -> None:
        """Publish the word of the state just entered, if it has one."""
        word = self._word(self.draft.state)
        if word is not None:
            self.publish(word, is_end=self.draft.state in ENDS)

    def _word(self, state: StrEnum) -> LogStatusEnum | None:
        if state is LogsState.UPLOAD_RETRY_SCHEDULED and not self.rules.report_each_attempt:
            return None
        word = STATUS[LogsState(state)]
        unbearable = (self.request.status_request_id == NO_REQUEST_ID and word not in WITHOUT_REQUEST_ID) or (
            self.rules.ocpp_1_6 and word in NOT_IN_OCPP_1_6
        )
        return LogStatusEnum.UPLOAD_FAILURE if word and unbearable else word

    # --- actions and guards ---

    def accept(self) -> None:
        """Begin a new job; AcceptedCanceled if another one had to make way for it (N01.FR.12)."""
        canceled = self.draft.state is LogsState.CANCELED
        self.draft = LogsSnapshot(
            state=self.draft.state,
            job=self.draft.job + 1,
            work=self.draft.work + 1,
            request=self.event.request,
            run=self.event.run,
            file_name=self.event.file_name,
        )
        response = UploadLogsResponse(
            upload_logs_status=UploadLogsStatus.ACCEPTED_CANCELED if canceled else UploadLogsStatus.ACCEPTED,
            file_name=self.draft.file_name,
        )
        self.order(Reply("upload_logs", self.event.reply_to, response))

    def collect(self) -> None:
        """Make the archive."""
        self.order(CollectLogs(self.draft.job, self.new_work(), self.request, self.draft.file_name))

    def keep_archive(self) -> None:
        """The archive is complete."""
        self.draft.length = self.event.length

    def upload(self) -> None:
        """Send the archive."""
        self.order(StartUpload(self.draft.job, self.new_work(), self.request, self.draft.file_name))

    def is_bad_message(self) -> bool:
        """The server understood the protocol otherwise."""
        return bool(self.event.word == LogStatusEnum.BAD_MESSAGE)

    def is_permission_denied(self) -> bool:
        """The server does not let us."""
        return bool(self.event.word == LogStatusEnum.PERMISSION_DENIED)

    def is_not_supported(self) -> bool:
        """The server cannot do it."""
        return bool(self.event.word == LogStatusEnum.NOT_SUPPORTED_OPERATION)

    def end(self) -> None:
        """Nothing of the job is left but its snapshot."""
        self.clear_timers()
        self.clean_up()

    def clean_up(self) -> None:
        """Remove the archive, also where a crash came in between."""
        self.order(RemoveArchive(self.draft.job, self.draft.file_name))
