"""The settings that a TOML file gives, each with the line it stands on."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from everest_system.configuration.problems import ConfigurationError, KeyPath

LARGEST_FILE = 1_000_000

_HEADER = re.compile(r"\s*\[([\w.\s-]+)\]\s*(?:#.*)?$", re.ASCII)
_ASSIGNMENT = re.compile(r"\s*([\w.\s-]+?)\s*=", re.ASCII)


class Given(NamedTuple):
    """A value that some source gives to a key, and the words that say where."""

    path: KeyPath
    value: Any
    origin: str


def from_file(file: Path, *, may_be_missing: bool) -> list[Given]:
    """What a file gives; nothing where it may be missing and is.

    Raises:
        ConfigurationError: it cannot be read or is no TOML.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        if may_be_missing and isinstance(error, FileNotFoundError):
            return []
        raise ConfigurationError([f"{file}: cannot be read: {error.strerror}"]) from None
    if len(content) > LARGEST_FILE:
        raise ConfigurationError([f"{file}: is no configuration: larger than {LARGEST_FILE} bytes"])
    try:
        text = content.decode()
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([f"{file}:{line}: is no TOML: a character is not UTF-8"]) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError([f"{file}: is no TOML: {error}"]) from None
    places = {path: f"{file}:{line}" for path, line in _lines(text).items()}
    return [Given(path, value, places.get(path, str(file))) for path, value in leaves((), values)]


def leaves(above: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    """The values in a table with their paths, the ones in tables below it too; an empty table is a value."""
    if isinstance(value, Mapping) and (value or not above):
        for name, inner in value.items():
            yield from leaves((*above, name), inner)
    else:
        yield above, value


def _lines(text: str) -> dict[KeyPath, int]:
    """The line of each key that is written plainly; the others do without, since `tomllib` tells none."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault((*table, *_parts(assignment[1])), number)
    return lines


def _parts(dotted: str) -> KeyPath:
    return tuple(part.strip() for part in dotted.split("."))
