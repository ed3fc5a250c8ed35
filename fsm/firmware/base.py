"""What the phases of a firmware update have in common: the request, and the words that are said of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from everest_system.fsm.firmware.rules import FirmwareRules
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.firmware.states import ENDS, STATUS, WITHOUT_REQUEST_ID, FirmwareState
from everest_system.fsm.firmware.table import RECOVERY, TABLE
from everest_system.fsm.messages import NO_REQUEST_ID, FirmwareUpdateRequest, FirmwareUpdateStatusEnum
from everest_system.fsm.request_machine import RequestMachine

S = FirmwareState
Word = FirmwareUpdateStatusEnum


class FirmwareBase(RequestMachine[FirmwareSnapshot]):
    """The update's request, and the one place that publishes its statuses."""

    name = "firmware"
    table: Mapping[Any, Any] = TABLE
    recovery: Mapping[Any, str] = RECOVERY
    rules: FirmwareRules

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
            self.speak(word, is_end=self.draft.state in ENDS)

    def speak(self, word: Word, *, is_end: bool = False) -> None:
        """Publish `word`, or the one for it that a request without an id can bear."""
        bearable = WITHOUT_REQUEST_ID.get(word, word) if self.request.request_id == NO_REQUEST_ID else word
        self.publish(bearable, is_end=is_end, disable_connectors=self.draft.disable_connectors)

    def hear_artifact(self) -> None:
        """What the file says of the connectors counts where the request said nothing."""
        if self.draft.disable_connectors is None:
            self.draft.disable_connectors = self.event.disable_connectors

    def _word(self, state: StrEnum) -> Word | None:
        if state is S.DOWNLOAD_RETRY_SCHEDULED and not self.rules.report_each_attempt:
            return None
        if state is S.CANCELED and self.draft.artifact is None:
            return Word.DOWNLOAD_FAILED
        return STATUS[FirmwareState(state)]
