"""The settings that the environment gives: `EVEREST_SYSTEM_TABLE__KEY`, in upper or lower case.

Numbers and booleans are written as in TOML (booleans also `1`, `0`, `yes`, `no`, `on`, `off`); a list is a JSON array
or, without brackets, its only element; a whole table is a JSON object. `MQTT_SERVER_ADDRESS` and `MQTT_SERVER_PORT` are
EVerest's own.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from everest_system.configuration.problems import KeyPath, unknown
from everest_system.configuration.setting_keys import ANY_NAME, PREFIX, Key, find, keys
from everest_system.configuration.settings import Settings
from everest_system.configuration.settings_file import Given, leaves

FILE_VARIABLE = f"{PREFIX}CONFIG"

_EVEREST = {"MQTT_SERVER_ADDRESS": ("mqtt", "host"), "MQTT_SERVER_PORT": ("mqtt", "port")}
_NO_SETTINGS = frozenset(
    PREFIX + name for name in ("CONFIG", "REQUIRE_PEERS", "ARTIFACT", "LOCATION", "REQUEST_ID", "MODULE_ID")
)
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def from_everest(environ: Mapping[str, str]) -> list[Given]:
    """What EVerest's own variables give; an empty one gives nothing."""
    return [
        Given(path, _parsed(environ[name], keys()[path]), name) for name, path in _EVEREST.items() if environ.get(name)
    ]


def from_environment(environ: Mapping[str, str], sources: Iterable[str]) -> tuple[list[Given], list[str]]:
    """What our own variables give, tables before the keys in them.

    Args:
        environ: the environment.
        sources: the names of log sources, which a variable in capitals cannot spell.

    Returns:
        The values, and a problem for each variable that names no key or cannot be read.
    """
    given: list[Given] = []
    problems: list[str] = []
    spelling = {name.lower(): name for name in sources}
    ours = [name for name in environ if name.upper().startswith(PREFIX) and name.upper() not in _NO_SETTINGS]
    for name in sorted(ours, key=lambda name: (name.count("__"), name)):
        path = _path(name, spelling)
        key = find(path)
        if key is None:
            problems += _unknown(name, path)
            continue
        try:
            given += [Given(leaf, value, name) for leaf, value in leaves(path, _parsed(environ[name], key))]
        except (ValueError, RecursionError):
            problems.append(f"{'.'.join(path)}: is no JSON; allowed: {key.allowed} ({name})")
    return given, problems


def _path(name: str, spelling: Mapping[str, str]) -> KeyPath:
    parts = name[len(PREFIX) :].split("__")
    path = [part.lower() for part in parts]
    if path[:2] == ["logs", "sources"] and len(path) > 2:
        path[2] = spelling.get(path[2], parts[2])
    return tuple(path)


def _unknown(name: str, path: KeyPath) -> list[str]:
    """A problem, if the variable is meant for us: the prefix alone does not say so."""
    for key in keys().values():
        if ANY_NAME not in key.path and key.variable.replace("__", "_") == name.upper():
            return [f"{name}: unknown variable, did you mean {key.variable}?"]
    return [unknown(path, {path: name})] if path[0] in Settings.model_fields else []


def _parsed(text: str, key: Key) -> Any:
    """The value that the text stands for; text that stands for none of the key's kind is left for the key to refuse.

    Raises:
        ValueError: it should be JSON and is not.
    """
    match key.kind:
        case "boolean":
            return _BOOLEANS.get(text.strip().lower(), text)
        case "integer" | "number":
            return _number(text, int if key.kind == "integer" else float)
        case "list" if not text.lstrip().startswith("["):
            return [text] if text else []
        case "list" | "table":
            return json.loads(text)
        case _:
            return text


def _number(text: str, kind: type[int] | type[float]) -> int | float | str:
    try:
        return kind(text)
    except ValueError:
        return text
