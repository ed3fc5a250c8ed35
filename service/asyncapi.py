"""The AsyncAPI 3.0 document of what the service speaks with EVerest, made of its own message models.

It has the channels, operations, messages and schemas of EVerest's `system_API.yaml`, under its names, with the bounds
that this service sets besides. `configure_network` is answered, but has no schema yet and is left out.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from everest_system.io.mqtt.interface import EMPTY, ONE_WAY, REPLIES, REQUESTS, VARIABLES
from everest_system.version import __version__

_SCHEMAS: Final = "#/components/schemas/"
_REPLY_TO: Final = {
    "type": "string",
    "description": "Where the answer goes: a topic below the module's own m2e/reply/. Without it there is no answer.",
}


def document() -> dict[str, Any]:
    """Make it; the same each time."""
    messages = dict(sorted(_messages()))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "everest-system: the system side of an EVerest charging station",
            "version": __version__,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": {
            "default": {
                "host": "localhost:1883",
                "pathname": "everest_api/1/system/{module_id}",
                "protocol": "mqtt",
                "variables": {"module_id": {"description": "The module's id in EVerest's configuration."}},
            }
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in messages},
        "operations": {name: _operation(name) for name in messages},
        "components": {"messages": messages, "schemas": _schemas()},
    }


def _messages() -> Iterator[tuple[str, dict[str, Any]]]:
    for command, schema in REQUESTS.items():
        if command in REPLIES:
            yield f"receive_request_{command}", {"payload": _wrapped(schema)}
            yield f"send_reply_{command}", {"payload": _reference(REPLIES[command])}
    for command, schema in ONE_WAY.items():
        yield f"receive_{command}", {"payload": _reference(schema)}
    yield f"receive_{EMPTY}", {"summary": "Whatever it holds: that it comes is the permission."}
    for variable, model in VARIABLES.items():
        yield f"send_{variable}", {"payload": _reference(model)}


def _wrapped(schema: type[Any] | None) -> dict[str, Any]:
    headers = {"type": "object", "properties": {"replyTo": _REPLY_TO}}
    if schema is None:
        return {"type": "object", "properties": {"headers": headers}}
    return {
        "type": "object",
        "required": ["payload"],
        "properties": {"headers": headers, "payload": _reference(schema)},
    }


def _reference(schema: type[Any]) -> dict[str, str]:
    return {"$ref": f"{_SCHEMAS}{schema.__name__}"}


def _channel(name: str) -> dict[str, Any]:
    return {"address": _address(name), "messages": {name: {"$ref": f"#/components/messages/{name}"}}}


def _address(name: str) -> str | None:
    """Below `everest_api/1/system/MODULE_ID/`; None where the question says it."""
    if name.startswith("send_reply_"):
        return None
    if name.startswith("send_"):
        return f"m2e/{name.removeprefix('send_')}"
    return f"e2m/{name.removeprefix('receive_').removeprefix('request_')}"


def _operation(name: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": name.partition("_")[0],
        "channel": {"$ref": f"#/channels/{name}"},
    }
    if name.startswith("receive_request_"):
        reply = name.replace("receive_request_", "send_reply_")
        operation["reply"] = {
            "address": {"location": "$message.payload#/headers/replyTo"},
            "channel": {"$ref": f"#/channels/{reply}"},
        }
    return operation


def _schemas() -> dict[str, Any]:
    received = [schema for schema in (*REQUESTS.values(), *ONE_WAY.values()) if schema is not None]
    models: list[type[BaseModel] | type[StrEnum]] = [*received, *REPLIES.values(), *VARIABLES.values()]
    _, made = TypeAdapter.json_schemas(
        [(model.__name__, "validation", TypeAdapter(model)) for model in models], ref_template=f"{_SCHEMAS}{{model}}"
    )
    return dict(sorted((name, _without_null(schema)) for name, schema in made["$defs"].items()))


def _without_null(schema: Any) -> Any:
    """What may be left out is left out: neither EVerest nor we write null, and a null that comes is refused."""
    if isinstance(schema, list):
        return [_without_null(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(value) for key, value in schema.items() if not (key == "default" and value is None)}
    choices = kept.pop("anyOf", [])
    for choice in choices:
        if choice != {"type": "null"}:
            kept |= choice
    return kept
