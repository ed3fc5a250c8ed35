"""The page about the configuration, and the configuration that is shipped."""

import re
import subprocess
import sys
from pathlib import Path

from everest_system.configuration.document import document
from everest_system.configuration.setting_keys import keys
from everest_system.configuration.settings_sources import load

ROOT = Path(__file__).parents[3]


def test_page_is_up_to_date() -> None:
    """The committed page is the one that the settings describe, as its own first lines say how to write it."""
    program = [sys.executable, "-m", "everest_system.configuration.document"]
    written = subprocess.run(program, capture_output=True, check=True, text=True).stdout
    assert (ROOT / "docs" / "configuration.md").read_text() == written == document()


def test_page_has_every_key() -> None:
    """Each table has a heading and each key a row of four cells."""
    lines = document().splitlines()
    for key in keys().values():
        name = key.name.replace("*", "NAME")
        if key.kind == "table":
            assert f"## `[{name}]`" in lines
        else:
            rows = lines[lines.index(f"## `[{name.rpartition('.')[0]}]`") :]
            row = next(line for line in rows if line.startswith(f"| `{key.path[-1]}` |"))
            assert row.count("|") == 5
            assert key.description in row


def test_shipped_configuration_loads() -> None:
    """The configuration for a charging station has no wrong key and is one for the field."""
    settings = load(ROOT / "deploy" / "everest-system.toml", {})
    assert settings.platform.kind == "systemd"
    assert settings.firmware.unsigned == "reject"
    assert settings.firmware.trust_anchors


def test_shipped_configuration_holds_with_all_its_offers(tmp_path) -> None:
    """What stands commented out in the shipped configuration is right as well."""
    lines = (ROOT / "deploy" / "everest-system.toml").read_text().splitlines()
    offered = [re.sub(r"^# (?=\[|\w+ = )", "", line) for line in lines]
    assert offered != lines
    file = tmp_path / "all.toml"
    file.write_text("\n".join(offered))
    settings = load(file, {})
    assert settings.mqtt.tls is not None
    assert settings.mqtt.tls.key_file == Path("/etc/everest-system/client.key")
    assert settings.platform.health_check
