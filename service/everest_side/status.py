"""A status as it arrives, and what became of it."""

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from everest_system.everest_side.strict_json import read_json
from everest_system.fsm.messages import FirmwareUpdateStatusEnum, LogStatusEnum

Kind: TypeAlias = Literal["firmware", "log"]

_KEYS: Final[dict[Kind, str]] = {"firmware": "firmware_update_status", "log": "log_status"}
_WORDS: Final[dict[Kind, frozenset[str]]] = {
    "firmware": frozenset(FirmwareUpdateStatusEnum),
    "log": frozenset(LogStatusEnum),
}


@dataclass(frozen=True, slots=True)
class Report:
    """What a status message says.

    Attributes:
        kind: of which job.
        word: the status, as it stands on the wire.
        request_id: in 32 signed bits: EVerest wraps what is larger.
        disable_connectors: whether EVerest takes the connectors out of service, and permits the installation then.
    """

    kind: Kind
    word: str
    request_id: int
    disable_connectors: bool = True


@dataclass(frozen=True, slots=True)
class Status:
    """One well-formed status.

    Attributes:
        at: when it came, monotonic seconds.
        kind: of which job.
        word: the status, as it stands on the wire.
        request_id: the request that it is about.
        dropped: why the CSMS never hears of it; "" when it does.
        disable_connectors: as in `Report`.
    """

    at: float
    kind: Kind
    word: str
    request_id: int
    dropped: str = ""
    disable_connectors: bool = True


def parse_status(kind: Kind, payload: bytes) -> Report:
    """Read a status message; unknown keys are ignored.

    Raises:
        ValueError: EVerest would drop it with a warning; `str()` is that warning, in one line.
    """
    message = read_json(payload)
    if not isinstance(message, dict):
        raise ValueError("a status should be an object")  # noqa: TRY004 - one kind of error for all malformed statuses
    word, request_id = message.get(_KEYS[kind]), message.get("request_id")
    if not isinstance(word, str) or word not in _WORDS[kind]:
        raise ValueError(f"{_KEYS[kind]} is none that EVerest knows")
    if type(request_id) is not int:
        raise ValueError(f"{word} without a whole number as request_id")
    return Report(kind, word, (request_id + 2**31) % 2**32 - 2**31, _disables(message.get("firmware_update_metadata")))


def _disables(metadata: Any) -> bool:
    if metadata is None:
        return True
    value = metadata.get("disable_connectors_during_install", True) if isinstance(metadata, dict) else None
    if not isinstance(value, bool):
        raise ValueError("firmware_update_metadata is malformed")  # noqa: TRY004 - as above
    return value
