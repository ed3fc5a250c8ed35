"""Between the bytes of MQTT and the commands they stand for.

`decode` turns a message into a `Command`, or into a `Refusal` that says in one line why not and holds the reply to give
at once; it never raises, whatever comes. A request whose `headers.replyTo` can be read, and is one of this module's own
reply topics, always gets an answer: EVerest's caller would wait for minutes. What is malformed gets the conservative
one (Rejected, false, Unknown), and nothing is carried out:

- bytes that are not UTF-8 or not JSON, more than 256 KiB, NaN and Infinity, numbers of more than 64 characters, more
  than 64 levels, a key twice in one object, half of a surrogate pair, null for a property;
- properties that are missing, of the wrong type or out of their range (`everest_system.fsm.messages`);
- a `replyTo` that is not below the module's own reply topic: refused without a reply, because whoever sent it is not
  EVerest, or wants us to publish elsewhere.

A well-formed request without `replyTo` is carried out without a reply, as the specification says. Reasons and warnings
are fit for a log: without secrets and line breaks, and bounded.

`encode_reply` and `encode_status` write compact JSON without nulls, since EVerest would rather wait 550 s than take a
malformed answer.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeAlias

from pydantic import BaseModel, ValidationError

from everest_system.fsm.errors import RequestError
from everest_system.fsm.messages import (
    BootReason,
    CommunicationCheck,
    FirmwareUpdateStatus,
    LogStatus,
    ResetType,
    UpdateFirmwareResponse,
    UploadLogsResponse,
    UploadLogsStatus,
)
from everest_system.io.mqtt.interface import EMPTY, ONE_WAY, REPLIES, REQUESTS, Payload
from everest_system.io.mqtt.topics import Topics

Reply: TypeAlias = UpdateFirmwareResponse | UploadLogsResponse | BootReason | bool

_LARGEST_BYTES: Final = 256 * 1024
_SEARCHED_BYTES: Final = 2 * 1024 * 1024
_LONGEST_NUMBER: Final = 64
_MOST_LEVELS: Final = 64
_LONGEST_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Command:
    """A well-formed command.

    Attributes:
        name: the command, as the last level of its topic names it.
        module_id: the EVerest module that it came through.
        reply_to: the full topic for the reply, prefix included; None where none is wanted.
        payload: what it says; None for `get_boot_reason` and `allow_firmware_installation`, which say nothing.
        warnings: what was put up with, each in one line.
    """

    name: str
    module_id: str
    reply_to: str | None
    payload: Payload | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that nothing is done about, except that `reply`, if there is one, goes to `reply_to` at once.

    Attributes:
        command: the command; `unknown` where it is none of ours.
        reply_to: the full topic for the reply, prefix included; None exactly when `reply` is.
        reply: the conservative reply.
        reason: what is wrong, in one line for the log.
    """

    command: str
    reply_to: str | None
    reply: bytes | None
    reason: str


def encode_reply(command: str, value: Reply) -> bytes:
    """Write the reply to a command.

    Args:
        command: the name of a command that has a reply.
        value: what the specification has for it; a plain `bool` for `is_reset_allowed` and `set_system_time`.

    Raises:
        ValueError: the value does not belong to that command.
        KeyError: the command has no reply.
    """
    schema = REPLIES[command]
    if issubclass(schema, StrEnum):
        return json.dumps(schema(str(value))).encode()
    return _compact(schema.model_validate(value))


def encode_status(status: FirmwareUpdateStatus | LogStatus | CommunicationCheck) -> bytes:
    """Write a status or a sign of life."""
    return _compact(status)


def _compact(model: BaseModel) -> bytes:
    return model.model_dump_json(exclude_none=True).encode()


_CONSERVATIVE: Final[Mapping[str, bytes]] = {
    "update_firmware": encode_reply("update_firmware", UpdateFirmwareResponse.REJECTED),
    "upload_logs": encode_reply("upload_logs", UploadLogsResponse(upload_logs_status=UploadLogsStatus.REJECTED)),
    "is_reset_allowed": encode_reply("is_reset_allowed", False),
    "set_system_time": encode_reply("set_system_time", False),
    "get_boot_reason": encode_reply("get_boot_reason", BootReason.UNKNOWN),
    # Newer EVerest asks this; it is not in the specification. Without an answer its caller waits for minutes.
    "configure_network": b'{"status":"NotSupported"}',
}


def conservative_reply(command: str) -> bytes:
    """The reply to a command that nothing is done about.

    Raises:
        KeyError: the command has no reply.
    """
    return _CONSERVATIVE[command]


def decode(topics: Topics, topic: str, payload: bytes) -> Command | Refusal | None:
    """Read one message; never raises.

    Args:
        topics: the module's topics.
        topic: where the message came from.
        payload: its bytes, as they came.

    Returns:
        The command; a refusal, with or without a reply; None when the topic is not one of the module's commands.
        An unknown command is a refusal without a reply, and so is everything one-way that is malformed.
    """
    name = topics.command_of(topic)
    if name is None:
        return None
    if name in REQUESTS:
        return _request(topics, name, payload)
    if name == EMPTY:
        # EVerest 2026.02 sends no bytes at all, 2026.10 `true`: only that it came says something.
        return Command(name, topics.module_id, None, None)
    if name not in ONE_WAY:
        return Refusal("unknown", None, None, f"unknown command {_shown(name)}")
    try:
        content = _validated(ONE_WAY[name], _parsed(payload))
    except RequestError as error:
        return Refusal(name, None, None, str(error))
    return Command(name, topics.module_id, None, content)


def _request(topics: Topics, name: str, payload: bytes) -> Command | Refusal:
    try:
        message = _parsed(payload)
    except RequestError as error:
        return _refusal(name, _salvaged_reply_topic(topics, payload), error)
    try:
        reply_topic = _reply_topic(topics, message)
    except RequestError as error:
        return _refusal(name, None, error)
    warnings: list[str] = []
    try:
        content = _content(name, message, warnings)
    except RequestError as error:
        return _refusal(name, reply_topic, error)
    return Command(name, topics.module_id, reply_topic, content, tuple(warnings))


def _content(name: str, message: dict[str, Any], warnings: list[str]) -> Payload | None:
    if name == "configure_network":
        raise RequestError("not supported")
    schema = REQUESTS[name]
    if schema is None:
        return None
    if "payload" not in message:
        raise RequestError("payload: missing")
    return _validated(schema, message["payload"], warnings)


def _refusal(name: str, reply_topic: str | None, error: RequestError) -> Refusal:
    return Refusal(name, reply_topic, _CONSERVATIVE[name] if reply_topic else None, str(error))


def _reply_topic(topics: Topics, message: Any) -> str | None:
    if not isinstance(message, dict):
        raise RequestError(f"the message should be an object (got {_shown(message)})")
    headers = message.get("headers", {})
    if not isinstance(headers, dict):
        raise RequestError(f"headers: should be an object (got {_shown(headers)})")
    if "replyTo" not in headers:
        return None
    reply_to = headers["replyTo"]
    topic = topics.reply_topic(reply_to) if isinstance(reply_to, str) else None
    if topic is None:
        raise RequestError(f"headers.replyTo: should be below this module's m2e/reply/ (got {_shown(reply_to)})")
    return topic


# Escaped quotes end neither group, so that text inside a JSON string is never taken for the header.
_HEADER: Final = re.compile(rb'(?<!\\)"headers"\s*:\s*\{[^{}]*?(?<!\\)"replyTo"\s*:\s*"([ !#-\[\]-~]{1,512})"')


def _salvaged_reply_topic(topics: Topics, payload: bytes) -> str | None:
    """The reply topic in a message that cannot be parsed as a whole, when it is beyond doubt."""
    found = {match[1] for match in _HEADER.finditer(payload, 0, _SEARCHED_BYTES)}
    return topics.reply_topic(found.pop().decode("ascii")) if len(found) == 1 else None


def _parsed(payload: bytes) -> Any:
    if len(payload) > _LARGEST_BYTES:
        raise RequestError(f"{len(payload)} bytes, more than {_LARGEST_BYTES}")
    try:
        message = _DECODER.decode(payload.decode())
    except RequestError:
        raise
    except UnicodeDecodeError as error:
        raise RequestError(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise RequestError(f"not JSON at character {error.pos}: {error.msg}") from error
    except RecursionError as error:
        raise RequestError(_TOO_DEEP) from error
    _inspect(message)
    return message


_TOO_DEEP: Final = f"more than {_MOST_LEVELS} levels"


def _inspect(message: Any) -> None:
    """Refuse what could be parsed, but not be stored and read again."""
    level = [message]
    for _ in range(_MOST_LEVELS):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.keys()
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str) and not value.isascii():
                _refuse_surrogates(value)
        if not below:
            return
        level = below
    raise RequestError(_TOO_DEEP)


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError("half of a surrogate pair") from error


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise RequestError(f"{_shown(key)} stands twice")
        content[key] = value
    return content


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise RequestError(f"a number of {len(text)} characters")
    return int(text)


def _fraction(text: str) -> float:
    number = float(text)
    if len(text) > _LONGEST_NUMBER or math.isinf(number):
        raise RequestError("a number beyond all bounds")
    return number


def _constant(text: str) -> NoReturn:
    raise RequestError(f"not JSON: {text}")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
)


def _validated(schema: type[Payload], value: Any, warnings: list[str] | None = None) -> Payload:
    if issubclass(schema, ResetType):
        if value in (words := list(schema)):
            return schema(value)
        raise RequestError(f"payload: should be one of {', '.join(words)} (got {_shown(value)})")
    if isinstance(value, dict):
        for name in schema.model_fields:
            # The models take null for what is absent, because snapshots hold it; the specification has no such thing.
            if value.get(name, ...) is None:
                raise RequestError(f"{name}: null is no value")
    try:
        return schema.model_validate(value, context=warnings)
    except ValidationError as error:
        raise RequestError(_first_fault(error)) from None


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(map(str, fault["loc"])) or "payload"
    if fault["type"] == "missing":
        return f"{key}: missing"
    words = "should be an object" if fault["type"] == "model_type" else fault["msg"].removeprefix("Value error, ")
    return f"{key}: {words} (got {_shown(fault['input'])})"


def _shown(value: Any) -> str:
    """A value for the log: short, in one line, and never one that could hold a password."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if isinstance(value, str) and (len(value) > _LONGEST_SHOWN or "@" in value or "//" in value):
        return f"a text of {len(value)} characters"
    return json.dumps(value)
