"""What is wrong with a configuration, told in one line for each wrong key.

A line has the key's full name, what is wrong, what is allowed, and where the value came from:

    mqtt.port: 70000 is out of range; allowed: a whole number, 1 to 65535 (/etc/everest-system/config.toml:3)
    mqtt.hots: unknown key, did you mean mqtt.host? (EVEREST_SYSTEM_MQTT__HOTS)

The value of an unknown key is never shown: it may be a password that somebody took for a setting.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from everest_system.configuration.setting_keys import ANY_NAME, Key, find, keys
from everest_system.configuration.setting_types import NAMES
from everest_system.configuration.settings import Settings

KeyPath = tuple[str, ...]
Origins = Mapping[KeyPath, str]

_LONGEST_VALUE = 60
_OUT_OF_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number")
_OUR_WORDS = ("characters", "argument", "empty", "pattern", "repeated", "auto")


class ConfigurationError(Exception):
    """The configuration is wrong.

    Attributes:
        problems: one line for each wrong key, all of them.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def validated(values: Mapping[str, Any], origins: Origins) -> Settings:
    """The settings that these values make.

    Keys that do not go together are only looked at where each is right by itself, so the wrong ones are laid aside
    and the rest is looked at once more: whoever mends all that is told need not come back.

    Raises:
        ConfigurationError: with a problem for each wrong key.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        found = _by_key(error)
    remaining = _without(values, found)
    try:
        Settings.model_validate(remaining)
    except ValidationError as error:
        found = {**{path: fault for path, fault in _by_key(error).items() if not _covered(path, found)}, **found}
    raise ConfigurationError(_line(path, fault, origins) for path, fault in sorted(found.items()))


def unknown(path: KeyPath, origins: Origins) -> str:
    """The line for a key that does not exist."""
    return f"{_name(path)}: {_unknown(path)}{_from(path, origins)}"


def _covered(path: KeyPath, found: Mapping[KeyPath, ErrorDetails]) -> bool:
    return any(path[:length] in found for length in range(1, len(path) + 1))


def _by_key(error: ValidationError) -> dict[KeyPath, ErrorDetails]:
    found: dict[KeyPath, ErrorDetails] = {}
    for fault in error.errors(include_url=False):
        found.setdefault(_path(fault), fault)
    return found


def _path(fault: ErrorDetails) -> KeyPath:
    """The key to mend: an element of a list is no key, and of keys that disagree the error knows which."""
    names = tuple(part for part in fault["loc"] if isinstance(part, str))
    if fault["type"] == "contradiction":
        return (*names, *fault["ctx"]["key"].split("."))
    return names[:-1] if _is_about_name(fault) else names


def _is_about_name(fault: ErrorDetails) -> bool:
    return fault["loc"][-1] == "[key]" and fault["type"] != "extra_forbidden"


def _without(values: Mapping[str, Any], paths: Iterable[KeyPath], above: KeyPath = ()) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for name, value in values.items():
        path = (*above, name)
        if path not in paths:
            left[name] = _without(value, paths, path) if isinstance(value, Mapping) else value
    return left


def _line(path: KeyPath, fault: ErrorDetails, origins: Origins) -> str:
    key = find(path)
    if key is None:
        return unknown(path, origins)
    return f"{_name(path)}: {_wrong(fault, key)}{_from(path, origins)}"


def _name(path: KeyPath) -> str:
    """A dotted name, quoted where a part of it would not stand bare in TOML."""
    return ".".join(part if part.replace("-", "_").isidentifier() else json.dumps(part) for part in path)


def _wrong(fault: ErrorDetails, key: Key) -> str:
    if fault["type"] == "contradiction":
        return fault["msg"]
    if _is_about_name(fault):
        return f"is no name for a table here; allowed: {NAMES}"
    if key.kind == "table":
        return "is no table"
    value, said = _shown(fault["input"]), "is not allowed"
    if fault["type"] in _OUR_WORDS:
        said = fault["msg"]
    elif fault["type"] in _OUT_OF_RANGE:
        said = "is out of range"
    elif fault["type"].endswith("_type"):
        said = "is of the wrong type"
    return f"{value} {said}; allowed: {key.allowed}"


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _unknown(path: KeyPath) -> str:
    meant = _meant(path)
    if meant is not None:
        return f"unknown key, did you mean {meant}?"
    above, pattern = _table_around(path)
    names = (key.path[-1] for key in keys().values() if key.path[:-1] == pattern)
    return f"unknown key; allowed in {_name(above) or 'the configuration'}: {', '.join(names)}"


def _table_around(path: KeyPath) -> tuple[KeyPath, KeyPath]:
    """The deepest table on the way to a path, as it is written there and as `keys` knows it."""
    for length in range(len(path) - 1, 0, -1):
        key = find(path[:length])
        if key is not None:
            return path[:length], key.path
    return (), ()


def _meant(path: KeyPath) -> str | None:
    """The key that was probably meant: one spelled nearly so, else the only one of that name in another table."""
    candidates = (_named(known, path) for known in keys() if known[-1] != ANY_NAME)
    names = {".".join(known): known for known in candidates}
    import difflib  # a wrong key is rare

    close = difflib.get_close_matches(".".join(path).lower(), names, n=1, cutoff=0.8)
    same = [name for name, known in names.items() if known[-1] == path[-1]]
    if close:
        return close[0]
    return same[0] if len(same) == 1 else None


def _named(known: KeyPath, path: KeyPath) -> KeyPath:
    """A known path with the chosen names of this one in the places for them."""
    return tuple(path[place] if part == ANY_NAME and place < len(path) else part for place, part in enumerate(known))


def _from(path: KeyPath, origins: Origins) -> str:
    """Where a key was set, or the table around it, or else the first key in it."""
    around = (origins.get(path[:length]) for length in range(len(path), 0, -1))
    within = (origin for given, origin in origins.items() if given[: len(path)] == path)
    origin = next((origin for origin in (*around, *within) if origin is not None), None)
    return f" ({origin})" if origin else ""
