"""The AsyncAPI document: whole in itself, and the specification's own where that stands beside the repository."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.cli import run_cli

from everest_system.asyncapi import document

PATH = Path(__file__).parents[3] / "shared" / "reference" / "system_API.yaml"


def references(part: Any) -> Iterator[str]:
    """Every `$ref` in a part of the document."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_reference_leads_somewhere() -> None:
    """Nothing is referred to that is not in the document."""
    whole = document()
    found = set(references(whole))
    assert len(found) > 40
    for reference in found:
        part = whole
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_nothing_may_be_null() -> None:
    """The service refuses null, and its document says so."""
    assert "null" not in json.dumps(document()["components"]["schemas"])


def test_both_forms_say_the_same() -> None:
    """YAML and JSON are one document."""
    code, as_json, _ = run_cli("asyncapi", "--format", "json")
    assert (code, json.loads(as_json)) == (0, document())
    code, as_yaml, _ = run_cli("asyncapi")
    assert (code, yaml.safe_load(as_yaml)) == (0, document())


def test_without_the_yaml_library_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML needs a package that the service does without."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    code, _, said = run_cli("asyncapi")
    assert code == 1
    assert "use --format json" in said


@pytest.mark.skipif(not PATH.is_file(), reason="shared/reference/system_API.yaml is not beside this clone")
def test_it_is_the_specification() -> None:
    """Channels, addresses, directions, replies and schemas are the specification's."""
    ours, specified = document(), yaml.safe_load(PATH.read_text(encoding="utf-8"))
    assert {name: channel["address"] for name, channel in ours["channels"].items()} == {
        name: channel["address"] for name, channel in specified["channels"].items()
    }
    assert {name: (each["action"], each["channel"]) for name, each in ours["operations"].items()} == {
        name: (each["action"], each["channel"]) for name, each in specified["operations"].items()
    }
    assert {name: each["reply"]["channel"] for name, each in ours["operations"].items() if "reply" in each} == {
        name: each["reply"]["channel"] for name, each in specified["operations"].items() if "reply" in each
    }
    beyond = {"FirmwareUpdateMetadata"}
    assert set(ours["components"]["schemas"]) - beyond == set(specified["components"]["schemas"])
    for name, message in ours["components"]["messages"].items():
        told = specified["components"]["messages"][name].get("payload", {})
        assert set(references(message)) == set(references(told)), name
