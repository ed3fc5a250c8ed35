"""The models and topics beside the specification, `system_API.yaml`, where it stands beside the repository."""

from enum import StrEnum
from pathlib import Path

import pytest
import yaml

from everest_system.fsm import messages
from everest_system.io.mqtt.codec import Refusal, decode
from everest_system.io.mqtt.topics import Topics

PATH = Path(__file__).parents[2] / "shared" / "reference" / "system_API.yaml"
pytestmark = pytest.mark.skipif(not PATH.is_file(), reason="shared/reference/system_API.yaml is not beside this clone")
SPECIFICATION = yaml.safe_load(PATH.read_text(encoding="utf-8")) if PATH.is_file() else None
SCHEMAS = SPECIFICATION["components"]["schemas"] if SPECIFICATION else {}
ADDRESSES = [channel["address"] for channel in SPECIFICATION["channels"].values()] if SPECIFICATION else []
COMMANDS = [address.removeprefix("e2m/") for address in ADDRESSES if address and address.startswith("e2m/")]
VARIABLES = [address.removeprefix("m2e/") for address in ADDRESSES if address and address.startswith("m2e/")]


def of_kind(kind):
    return [name for name, schema in SCHEMAS.items() if ("enum" if "enum" in schema else schema["type"]) == kind]


def shape(schema):
    """The JSON type and format of a property, in either document; a reference is the name of what it refers to."""
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"]
    (choice,) = choices
    if "$ref" in choice:
        return choice["$ref"].rpartition("/")[2]
    return choice["type"], choice.get("format")


def test_the_specification_is_read():
    """The comparison below compares something."""
    assert len(SCHEMAS) == 17
    assert len(COMMANDS) == 8
    assert len(VARIABLES) == 3


@pytest.mark.parametrize("name", of_kind("enum"))
def test_words_are_those_of_the_specification(name):
    """Each enumeration has the specification's words in the specification's order."""
    model = getattr(messages, name)
    assert issubclass(model, StrEnum)
    assert [word.value for word in model] == SCHEMAS[name]["enum"]


@pytest.mark.parametrize("name", of_kind("object"))
def test_objects_are_those_of_the_specification(name):
    """Each object has the specification's properties, types, least values and requirements, and keeps unknown ones."""
    specified, schema = SCHEMAS[name], getattr(messages, name).model_json_schema()
    beyond = {"firmware_update_metadata"} if name == "FirmwareUpdateStatus" else set()
    ours = {key: value for key, value in schema["properties"].items() if key not in beyond}
    assert {key: shape(value) for key, value in ours.items()} == {
        key: shape(value) for key, value in specified["properties"].items()
    }
    assert set(schema.get("required", [])) == set(specified.get("required", []))
    assert schema["additionalProperties"] is specified["additionalProperties"] is True
    for key, value in specified["properties"].items():
        if "minimum" in value:
            assert ours[key]["anyOf"][0]["minimum"] == value["minimum"]


@pytest.mark.parametrize("name", [*of_kind("boolean"), *of_kind("integer"), *of_kind("string")])
def test_bare_values_are_those_of_the_specification(name):
    """Each bare value has the specification's type and format."""
    assert shape(getattr(messages, name).model_json_schema()) == shape(SCHEMAS[name])


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_known(command):
    """Each topic from EVerest is a command that we know."""
    topics = Topics("", "m")
    topic = f"everest_api/1/system/m/e2m/{command}"
    assert topics.command_of(topic) == command
    taken = decode(topics, topic, b"")
    assert (taken.command if isinstance(taken, Refusal) else taken.name) == command


@pytest.mark.parametrize("variable", VARIABLES)
def test_variables_have_their_topics(variable):
    """Each topic to EVerest has its place among ours."""
    assert getattr(Topics("", "m"), variable) == f"everest_api/1/system/m/m2e/{variable}"
