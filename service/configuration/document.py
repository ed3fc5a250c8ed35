"""The page about the configuration, written from the settings' own descriptions.

python -m everest_system.configuration.document > docs/configuration.md
"""

import sys
from collections.abc import Iterator

from everest_system.configuration.setting_keys import ANY_NAME, Key, keys
from everest_system.configuration.transfer_settings import DEFAULT_SOURCES

_OPENING = """\
# Configuration

<!-- Written by `python -m everest_system.configuration.document > docs/configuration.md`: do not edit. -->

The configuration is a TOML file: the one that `-c FILE` names, else the one that `$EVEREST_SYSTEM_CONFIG` names, else
`/etc/everest-system/config.toml`. With none of them the defaults hold. `deploy/everest-system.toml` is an example for a
charging station. `everest-system check-config` tells all that is wrong with a configuration, a line for each key.

Every key can be set from the environment too, which then counts instead of the file: the names of its tables and its
own, joined by two underscores, as in `EVEREST_SYSTEM_MQTT__HOST`. Numbers are written as in the file, booleans as
`true` or `false`; a list is a JSON array or, without brackets, its only element; a whole table is a JSON object.
EVerest's `MQTT_SERVER_ADDRESS` and `MQTT_SERVER_PORT` count where neither the file nor our own variables set the two
keys.

Values have the types of TOML: `"1883"` in quotes is no number. Paths are taken as they stand, relative ones from the
folder that the service was started in. Every key that ends in `_s` is a time in seconds and takes fractions. An unknown
key is an error, as is a value out of range.
"""


def document() -> str:
    """The whole page, as Markdown."""
    return "\n".join([_OPENING, *_tables()])


def _tables() -> Iterator[str]:
    for table in keys().values():
        if table.kind != "table":
            continue
        inside = [key for key in keys().values() if key.path[:-1] == table.path and key.kind != "table"]
        yield f"## `[{_heading(table)}]`\n\n{table.description}\n"
        if inside:
            yield "| key | default | allowed | meaning |\n| --- | --- | --- | --- |"
            yield from (_row(key) for key in inside)
            yield ""
        if table.path == ("logs", "sources"):
            yield from _sources()


def _heading(table: Key) -> str:
    return ".".join("NAME" if part == ANY_NAME else part for part in table.path)


def _row(key: Key) -> str:
    cells = (f"`{key.path[-1]}`", f"`{key.default}`", key.allowed, key.description)
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _sources() -> Iterator[str]:
    yield "```toml"
    for name, source in DEFAULT_SOURCES.items():
        files = ", ".join(f'"{pattern}"' for pattern in source.files)
        yield f"[logs.sources.{name}]\nfiles = [{files}]\njournal = {str(source.journal).lower()}"
        yield f"service = {str(source.service).lower()}"
    yield "```\n"


if __name__ == "__main__":
    sys.stdout.write(document())
