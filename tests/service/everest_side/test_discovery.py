"""EVerest's side is found as one of its modules is."""

import json
import queue
import threading

import pytest

from everest_system.discovery.survey import survey
from everest_system.everest_side.discovery import Discovery
from everest_system.fsm.errors import WorldError
from everest_system.io.mqtt.link import Connected, MessageArrived, MqttLink, MqttSettings

ENTRY = (
    b'{"apis":[{"communication_monitoring":{"communication_check_period_s":5,"heartbeat_period_ms":1000,'
    b'"request_reply_timeout_s":550},"module_id":"system_api","type":"system","version":1}]}'
)


def test_the_answer_is_everests():
    """The answer has the bytes that were recorded, and goes where it was asked to, behind the prefix."""
    discovery = Discovery("site/", "system_api", heartbeat_period_ms=1000, check_period_s=5)
    assert discovery.filters == ["site/everest_api/discover", "site/everest_api/query-modules/system"]
    assert discovery.answer(b'{"headers":{"replyTo":"my/topic"}}') == ("site/my/topic", ENTRY)


@pytest.mark.parametrize("question", [b"", b"[]", b"{}", b'{"headers":1}', b'{"headers":{"replyTo":7}}'])
def test_a_malformed_question_has_no_answer(question):
    """A question that says not where to answer is an error."""
    with pytest.raises(ValueError, match=r"replyTo|Expecting"):
        Discovery("", "m", heartbeat_period_ms=0, check_period_s=0).answer(question)


def test_the_beacon_comes_once_a_run(port, side):
    """A run says once that it is ready, when it listens; the release before had neither beacon nor answer."""
    events = queue.Queue()
    link = MqttLink(MqttSettings("127.0.0.1", port), events.put, [("everest_api/ready_beacon", 1)])
    link.connect()
    try:
        assert isinstance(events.get(timeout=30), Connected)
        side(ocpp=None, discovery=False)
        side(ocpp=None)
        beacon = events.get(timeout=30)
        assert isinstance(beacon, MessageArrived)
        assert (beacon.payload, beacon.retained) == (b"{}", False)
        assert survey(MqttSettings("127.0.0.1", port), "", 5)
        assert events.empty()
    finally:
        link.disconnect()


def test_a_malformed_question_is_warned_of(port, side):
    """A question that cannot be answered is a warning in EVerest's log, and the next one is answered."""
    everest = side(ocpp=None)
    events = queue.Queue()
    link = MqttLink(MqttSettings("127.0.0.1", port), events.put)
    link.connect()
    try:
        assert isinstance(events.get(timeout=30), Connected)
        link.publish("everest_api/discover", b"{}", 1)
        events.get(timeout=30)
        assert survey(MqttSettings("127.0.0.1", port), "", 5)
    finally:
        link.disconnect()
    assert everest.warnings == ["everest_api/discover: headers.replyTo is missing"]


def test_each_module_answers_for_itself(port, side):
    """Two modules are two answers, with the settings of each."""
    side(ocpp=None, module_id="b", check_period_s=2)
    side(ocpp=None, module_id="a", heartbeat_s=0.5)
    found = survey(MqttSettings("127.0.0.1", port), "", 5)
    assert [(module.module_id, module.communication_monitoring.communication_check_period_s) for module in found] == [
        ("a", 5),
        ("b", 2),
    ]
    assert [module.communication_monitoring.heartbeat_period_ms for module in found] == [500, 0]


def test_an_older_release_does_not_answer(port, side):
    """Of a release without discovery there is no answer, and the error says so."""
    side(ocpp=None, discovery=False)
    with pytest.raises(WorldError, match="older release"):
        survey(MqttSettings("127.0.0.1", port), "", 0.3)


def test_without_a_broker_there_is_nobody_to_ask():
    """Where no broker is, the error names it."""
    with pytest.raises(WorldError, match=r"127\.0\.0\.1:1: "):
        survey(MqttSettings("127.0.0.1", 1), "", 5)


def test_who_is_ready_late_is_asked_again(port):
    """An EVerest that answers nonsense while it starts is asked again once it says that it is ready."""
    settings = MqttSettings("127.0.0.1", port)
    answers = [b"nonsense", ENTRY]

    def everest(event):
        if isinstance(event, MessageArrived):
            link.publish(json.loads(event.payload)["headers"]["replyTo"], answers.pop(0), 1)
            if answers:
                link.publish("everest_api/ready_beacon", b"{}", 1)
        else:
            listens.set()

    listens = threading.Event()
    link = MqttLink(settings, everest, [("everest_api/discover", 1)])
    link.connect()
    try:
        assert listens.wait(30)
        assert [module.module_id for module in survey(settings, "", 5)] == ["system_api"]
    finally:
        link.disconnect()


def test_a_flood_of_beacons_is_no_flood_of_questions(port):
    """Whoever says with each question that it is ready now is asked a few times, and the survey still ends."""
    settings = MqttSettings("127.0.0.1", port)
    questions = []

    def everest(event):
        if isinstance(event, MessageArrived):
            questions.append(event)
            link.publish("everest_api/ready_beacon", b"{}", 1)
        else:
            listens.set()

    listens = threading.Event()
    link = MqttLink(settings, everest, [("everest_api/discover", 1)])
    link.connect()
    try:
        assert listens.wait(30)
        with pytest.raises(WorldError, match="no EVerest answers"):
            survey(settings, "", 1)
    finally:
        link.disconnect()
    assert 1 < len(questions) <= 8
