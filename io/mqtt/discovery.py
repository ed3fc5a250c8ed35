"""What EVerest's API modules say of themselves when they are asked (EVerest 2026.10 and later).

A question goes to `everest_api/discover`, or to `everest_api/query-modules/TYPE`, and every module that it concerns
answers with a message of its own: the answer is whole when no more of them come, and nobody says when that is. An
older EVerest says nothing at all.

Answers are as hostile as all that comes from outside: one of more than 64 KiB counts for nothing, no more than 64
modules are read from one, and an entry that is malformed, or whose names are no plain ones, is left out.

    >>> read_modules(b'{"apis":[{"module_id":"system_api","type":"system","version":1}]}')[0].module_id
    'system_api'
"""

import json
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from everest_system.io.mqtt.topics import DiscoveryTopics

SYSTEM: Final = "system"
"""The type of API that this service is the other side of."""

_LARGEST_BYTES: Final = 64 * 1024
_MOST_MODULES: Final = 64
_LARGEST: Final = 2**31 - 1

_PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}\z")]
_Whole = Annotated[int, Field(ge=0, le=_LARGEST)]


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class CommunicationParameters(_Schema):
    """How a module watches over its other side; what it leaves out is None, and 0 is never.

    Attributes:
        heartbeat_period_ms: milliseconds between its heartbeats.
        communication_check_period_s: seconds of silence of ours that it takes for a fault.
        request_reply_timeout_s: seconds that it waits for a reply.
    """

    heartbeat_period_ms: _Whole | None = None
    communication_check_period_s: _Whole | None = None
    request_reply_timeout_s: _Whole | None = None


class ApiModule(_Schema):
    """An API module of EVerest's, by its own word.

    Attributes:
        module_id: its id in EVerest's configuration.
        type: of API, such as `system`.
        version: of that API.
        communication_monitoring: see there.
    """

    module_id: _PlainName
    type: _PlainName
    version: _Whole
    communication_monitoring: CommunicationParameters = CommunicationParameters()


class _Answer(_Schema):
    apis: list[Any]


def question(topics: DiscoveryTopics) -> bytes:
    """What is sent to `topics.discover` or `topics.query()`."""
    return json.dumps({"headers": {"replyTo": topics.reply_to}}, separators=(",", ":")).encode()


def read_modules(payload: bytes) -> list[ApiModule]:
    """The modules that an answer names, as far as they make sense.

    Raises:
        ValueError: it is no answer; one line for the log.
    """
    if len(payload) > _LARGEST_BYTES:
        raise ValueError(f"{len(payload)} bytes are more than {_LARGEST_BYTES}")
    try:
        entries = _Answer.model_validate_json(payload).apis
    except ValidationError:
        raise ValueError("it has no list of apis") from None
    return [module for entry in entries[:_MOST_MODULES] if (module := _module(entry)) is not None]


def _module(entry: Any) -> ApiModule | None:
    try:
        return ApiModule.model_validate(entry)
    except ValidationError:
        return None
