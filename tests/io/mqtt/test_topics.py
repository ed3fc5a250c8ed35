"""The topics of a module."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everest_system.io.mqtt.topics import Topics

PLAIN = Topics("", "system_api")
PREFIXED = Topics("site7/", "system_api")
REPLY = "everest_api/1/system/system_api/m2e/reply/fd019f06-e75b-4421-825c-370231bfcb15"


def test_topics_are_those_of_the_specification():
    """Each topic is spelled as the specification spells it."""
    assert PLAIN.commands_filter == "everest_api/1/system/system_api/e2m/+"
    assert PLAIN.firmware_update_status == "everest_api/1/system/system_api/m2e/firmware_update_status"
    assert PLAIN.log_status == "everest_api/1/system/system_api/m2e/log_status"
    assert PLAIN.communication_check == "everest_api/1/system/system_api/m2e/communication_check"


def test_the_prefix_stands_before_every_topic_as_it_is():
    """No slash is added to a prefix, and every topic carries it, that of a reply too."""
    topics = Topics("site7", "m")
    assert topics.commands_filter == "site7everest_api/1/system/m/e2m/+"
    assert topics.log_status == "site7everest_api/1/system/m/m2e/log_status"
    assert topics.command_of("site7everest_api/1/system/m/e2m/reset") == "reset"
    assert topics.command_of("everest_api/1/system/m/e2m/reset") is None
    assert PREFIXED.reply_topic(REPLY) == "site7/" + REPLY


def test_a_command_is_the_last_level():
    """The command is what stands in the place of the filter's wildcard, known or not."""
    assert PLAIN.command_of("everest_api/1/system/system_api/e2m/update_firmware") == "update_firmware"
    assert PLAIN.command_of("everest_api/1/system/system_api/e2m/made_up") == "made_up"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "everest_api/1/system/system_api/e2m/",
        "everest_api/1/system/system_api/e2m",
        "everest_api/1/system/system_api/e2m/reset/now",
        "everest_api/1/system/system_api/m2e/log_status",
        "everest_api/1/system/another/e2m/reset",
        "everest_api/2/system/system_api/e2m/reset",
        "site7/everest_api/1/system/system_api/e2m/reset",
    ],
)
def test_other_topics_are_not_ours(topic):
    """A topic that is not one of this module's commands has no command."""
    assert PLAIN.command_of(topic) is None


@pytest.mark.parametrize(
    "reply_to",
    [
        "",
        "everest_api/1/system/system_api/m2e/reply",
        "everest_api/1/system/system_api/m2e/reply/",
        "everest_api/1/system/system_api/m2e/log_status",
        "everest_api/1/system/another/m2e/reply/x",
        "everest_api/1/system/system_api/e2m/reset",
        "site7/" + REPLY,
        "/" + REPLY,
        "cmd/anything",
        REPLY + "/#",
        REPLY + "/+",
        REPLY + "+",
        REPLY + "\0",
        REPLY + "\n",
        REPLY + "\x7f",
        REPLY + "\x85",
        REPLY + "\ud800",
        REPLY + "x" * 512,
    ],
)
def test_replies_go_nowhere_else(reply_to):
    """A replyTo that is not a plain topic below the module's own reply topic is none."""
    assert PLAIN.reply_topic(reply_to) is None
    assert PREFIXED.reply_topic(reply_to) is None


@settings(deadline=None)
@given(st.text() | st.text().map(lambda end: "everest_api/1/system/system_api/m2e/reply/" + end))
def test_no_text_leads_us_astray(reply_to):
    """Whatever a replyTo says, the reply goes below the module's own reply topic, or nowhere."""
    topic = PREFIXED.reply_topic(reply_to)
    if topic is not None:
        assert topic.startswith("site7/everest_api/1/system/system_api/m2e/reply/")
        assert not set(topic) & set("+#\0")
        assert len(topic.encode()) < 65536


@pytest.mark.parametrize("module_id", ["", "a/b", "+", "#", "a b", "ä", "a\n", "x" * 65, "$SYS"])
def test_module_ids_are_plain(module_id):
    """A module id that could reach another topic, or none, is refused."""
    with pytest.raises(ValueError, match="a module id has"):
        Topics("", module_id)


@pytest.mark.parametrize("prefix", ["+/", "#", "a\0", "a\n", "p" * 257])
def test_prefixes_are_plain(prefix):
    """A prefix that no topic can begin with is refused."""
    with pytest.raises(ValueError, match="an MQTT prefix has"):
        Topics(prefix, "system_api")
