"""The keys of the configuration as a list: by what name each is set, what it takes, and what stands there by default.

Read off the models in `settings`, so that error lines, environment variables and the configuration page know the same
keys. Tables are keys too. `*` stands for a name that the integrator chooses, as in `logs.sources.*.files`.

    >>> find(("mqtt", "port")).variable
    'EVEREST_SYSTEM_MQTT__PORT'
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from everest_system.configuration.setting_types import Section, allowed, bare
from everest_system.configuration.settings import Settings

PREFIX = "EVEREST_SYSTEM_"
ANY_NAME = "*"

Kind = Literal["text", "integer", "number", "boolean", "list", "table"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the configuration.

    Attributes:
        path: its name, table by table.
        kind: the TOML type of its value.
        allowed: what it takes, in words.
        default: its default as TOML writes it; a table has none.
        description: its meaning.
    """

    path: tuple[str, ...]
    kind: Kind
    allowed: str
    default: str
    description: str

    @property
    def name(self) -> str:
        """The dotted name, as in an error line."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable(self.path)


def variable(path: tuple[str, ...]) -> str:
    """The environment variable for a path."""
    return PREFIX + "__".join(path).upper()


@cache
def keys() -> dict[tuple[str, ...], Key]:
    """All keys, each table before what stands in it."""
    return {key.path: key for key in _keys_of(Settings, ())}


def find(path: tuple[str, ...]) -> Key | None:
    """The key at a path, in which chosen names may stand as they are; None if there is none."""
    exact = keys().get(path)
    if exact is not None:
        return exact
    return next((key for key in keys().values() if ANY_NAME in key.path and _fits(path, key.path)), None)


def _fits(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(
        wanted in (ANY_NAME, part) for part, wanted in zip(path, pattern, strict=True)
    )


def _keys_of(model: type[Section], above: tuple[str, ...]) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        path = (*above, name)
        annotation = bare(field.annotation)
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield _table(path, annotation.__doc__)
            yield from _keys_of(annotation, path)
        elif get_origin(annotation) is dict:
            entry = get_args(annotation)[1]
            yield _table(path, field.description)
            yield _table((*path, ANY_NAME), entry.__doc__)
            yield from _keys_of(entry, (*path, ANY_NAME))
        else:
            yield Key(
                path=path,
                kind=_kind(annotation),
                allowed=allowed(field.annotation, field.metadata),
                default=_toml(field.default),
                description=field.description or "",
            )


def _table(path: tuple[str, ...], description: str | None) -> Key:
    return Key(path=path, kind="table", allowed="a table", default="", description=description or "")


def _kind(annotation: Any) -> Kind:
    if get_origin(annotation) is tuple:
        return "list"
    kinds: Mapping[Any, Kind] = {bool: "boolean", int: "integer", float: "number"}
    return kinds.get(annotation, "text")


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if value is None:
        return '""'
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
