"""The topics of the discovery, and what modules say of themselves."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everest_system.io.mqtt.discovery import question, read_modules
from everest_system.io.mqtt.topics import DiscoveryTopics

RECORDED = (
    b'{"apis":[{"communication_monitoring":{"communication_check_period_s":0,"heartbeat_period_ms":1000,'
    b'"request_reply_timeout_s":550},"module_id":"system_api","type":"system","version":1}]}'
)
MODULE = {"module_id": "system_api", "type": "system", "version": 1}


def answer(*modules):
    return json.dumps({"apis": modules}).encode()


def test_topics_are_everests():
    """Questions and beacon have EVerest's topics with its prefix, the reply is asked for without it."""
    topics = DiscoveryTopics("site7/", "token")
    assert topics.discover == "site7/everest_api/discover"
    assert topics.query("system") == "site7/everest_api/query-modules/system"
    assert topics.ready_beacon == "site7/everest_api/ready_beacon"
    assert topics.boot_reason("m") == "site7/everest_api/1/system/m/e2m/get_boot_reason"
    assert topics.replies == "site7/" + topics.reply_to
    assert json.loads(question(topics)) == {"headers": {"replyTo": topics.reply_to}}


@pytest.mark.parametrize(
    ("topic", "is_one"),
    [
        ("everest_api/1/system/m/e2m/get_boot_reason", True),
        ("everest_api/1/system//e2m/get_boot_reason", False),
        ("everest_api/1/system/a/b/e2m/get_boot_reason", False),
        ("everest_api/1/system/m/e2m/reset", False),
        ("site7/everest_api/1/system/m/e2m/get_boot_reason", False),
    ],
)
def test_questions_for_the_boot_reason_are_known(topic, is_one):
    """The boot reason is asked for below a plain module id, and nowhere else."""
    assert DiscoveryTopics("", "token").is_boot_reason(topic) is is_one


@pytest.mark.parametrize(("prefix", "token"), [("a/#", "token"), ("", "a/b"), ("", "")])
def test_topics_are_plain(prefix, token):
    """Neither prefix nor token brings in a wildcard or a level."""
    with pytest.raises(ValueError, match=r"prefix|token"):
        DiscoveryTopics(prefix, token)


def test_a_recorded_answer_is_read():
    """What EVerest 2026.10 answers is understood, down to the periods."""
    (module,) = read_modules(RECORDED)
    assert (module.module_id, module.type, module.version) == ("system_api", "system", 1)
    assert module.communication_monitoring.model_dump() == {
        "heartbeat_period_ms": 1000,
        "communication_check_period_s": 0,
        "request_reply_timeout_s": 550,
    }


def test_what_is_not_said_is_none():
    """A module that says nothing of its watch, or more than is known, is understood all the same."""
    (module,) = read_modules(answer({**MODULE, "associated_module": {"required_modules": []}}))
    assert set(module.communication_monitoring.model_dump().values()) == {None}


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "system_api",
        {},
        {**MODULE, "module_id": "../x"},
        {**MODULE, "module_id": "a\n"},
        {**MODULE, "module_id": "a" * 65},
        {**MODULE, "module_id": 1},
        {**MODULE, "type": "\x1b[2J"},
        {**MODULE, "version": "1"},
        {**MODULE, "version": True},
        {**MODULE, "version": 2**31},
        {**MODULE, "communication_monitoring": {"communication_check_period_s": -1}},
        {**MODULE, "communication_monitoring": {"heartbeat_period_ms": 1.5}},
        {**MODULE, "communication_monitoring": []},
    ],
)
def test_a_malformed_module_is_left_out(wrong):
    """An entry that is wrong anywhere is left out, and the others count."""
    assert [module.module_id for module in read_modules(answer(wrong, MODULE))] == ["system_api"]


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"[]", b'{"apis":{}}', b'{"apis":[', b"\xff", b"[" * 60000, b" " * 65537]
)
def test_what_is_no_answer_is_refused(payload):
    """Anything but an object with a list of apis, within bounds, is refused in a line."""
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        read_modules(payload)


def test_of_many_modules_the_first_count():
    """An answer cannot name more than 64 modules."""
    assert len(read_modules(answer(*({**MODULE, "module_id": f"m{n}"} for n in range(100))))) == 64


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_else(payload):
    """Whatever comes is modules or a ValueError."""
    with suppress(ValueError):
        assert isinstance(read_modules(payload), list)
