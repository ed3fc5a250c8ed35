"""What the phases of a firmware update have in common: the request, and the words that are said of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from everest_system.fsm.firmware.rules import FirmwareRules
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.firmware.states import ENDS, STATUS, WITHOUT_REQUEST_ID, FirmwareState
from everest_system.fsm.firmware.table import RECOVERY, TABLE
from everest_system.fsm.machine import Status, TableMachine
from everest_system.fsm.messages import FirmwareUpdateRequest, FirmwareUpdateStatusEnum

S = FirmwareState
Word = FirmwareUpdateStatusEnum


class FirmwareBase(TableMachine[FirmwareSnapshot]):
    """The update's request, and the one place that publishes its statuses."""

    name = "firmware"
    table: Mapping[Any, Any] = TABLE
    recovery: Mapping[Any, str] = RECOVERY

    def __init__(self, snapshot: FirmwareSnapshot, rules: FirmwareRules) -> None:
        self.rules = rules
        super().__init__(snapshot)

    @property
    def request(self) -> FirmwareUpdateRequest:
        """The request that is worked on; only states on the way have one."""
        assert self.draft.request is not None
        return self.draft.request

    def request_id(self) -> int | None:
        """The current request's id, -1 where OCPP 1.6 gave none."""
        return self.draft.request.request_id if self.draft.request else None

    def is_signed(self) -> bool:
        """The request has a certificate or a signature: EVerest then waits for SignatureVerified."""
        return self.request.signing_certificate is not None or self.request.signature is not None

    @property
    def trigger_word(self) -> Word:
        """The status at which EVerest takes the connectors away and then gives its permission."""
        return Word.SIGNATURE_VERIFIED if self.is_signed() else Word.DOWNLOADED

    def entered(self) -> None:
        """Publish the word of the state just entered, if it has one."""
        word = self._word(self.draft.state)
        if word is not None:
            self.publish(word, is_end=self.draft.state in ENDS)

    def publish(self, word: Word, *, is_end: bool = False) -> None:
        """Say `word` of the current request, in the words that a request without an id can bear."""
        if self.request.request_id == -1:
            word = WITHOUT_REQUEST_ID.get(word, word)
        if word != self.draft.last_word:
            self.draft.word_before = self.draft.last_word
        self.say(
            Status(
                machine=self.name,
                job=self.draft.job,
                request_id=self.request.request_id,
                run=self.draft.run,
                word=word,
                is_end=is_end,
                predecessor=self.draft.word_before,
            )
        )
        self.draft.last_word = word

    def _word(self, state: StrEnum) -> Word | None:
        if state is S.DOWNLOAD_RETRY_SCHEDULED and not self.rules.report_each_attempt:
            return None
        if state is S.CANCELED and self.draft.artifact is None:
            return Word.DOWNLOAD_FAILED
        return STATUS[FirmwareState(state)]

    def keep_reason(self) -> None:
        """Remember why, for whoever asks the station later."""
        self.draft.reason = self.event.reason
