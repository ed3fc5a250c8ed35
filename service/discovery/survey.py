"""All API modules of a running EVerest, asked once."""

import queue
import uuid
from time import monotonic
from typing import Final

from everest_system.discovery.search import MOST_ANSWERS, QUIET_S
from everest_system.fsm.errors import WorldError
from everest_system.io.mqtt.discovery import ApiModule, question, read_modules
from everest_system.io.mqtt.link import Connected, Disconnected, MessageArrived, MqttEvent, MqttLink, MqttSettings
from everest_system.io.mqtt.topics import DiscoveryTopics

_MOST_QUESTIONS: Final = 8
"""A flood of beacons is not passed on to EVerest."""


def survey(settings: MqttSettings, prefix: str, timeout_s: float) -> list[ApiModule]:
    """The modules that answer, by type and id.

    Who starts meanwhile is asked again once it is ready. The last answer is the one that none follows for a second.

    Args:
        settings: where the broker is.
        prefix: EVerest's `mqtt_external_prefix`.
        timeout_s: how long to wait for the first answer.

    Raises:
        WorldError: there is no broker, or nobody answers.
    """
    topics = DiscoveryTopics(prefix, uuid.uuid4().hex)
    events: queue.SimpleQueue[MqttEvent] = queue.SimpleQueue()
    link = MqttLink(settings, events.put, [(topics.ready_beacon, 1), (topics.replies, 1)])
    link.connect()
    try:
        found = _listen(link, topics, events, timeout_s)
    finally:
        link.disconnect()
    if not found:
        raise WorldError(
            f"no EVerest answers within {timeout_s:g} s: none runs there, or an older release, which has no discovery"
        )
    return [found[key] for key in sorted(found)]


def _listen(
    link: MqttLink, topics: DiscoveryTopics, events: "queue.SimpleQueue[MqttEvent]", timeout_s: float
) -> dict[tuple[str, str], ApiModule]:
    found: dict[tuple[str, str], ApiModule] = {}
    answers, questions, deadline = 0, 0, monotonic() + timeout_s
    while answers < MOST_ANSWERS and monotonic() < deadline:
        try:
            event = events.get(timeout=max(0.0, deadline - monotonic()))
        except queue.Empty:
            break
        match event:
            case Disconnected(reason=reason):
                raise WorldError(reason)
            case Connected():
                questions += 1
                link.publish(topics.discover, question(topics), 1)
            case MessageArrived(topic=topics.ready_beacon, retained=False) if not found and questions < _MOST_QUESTIONS:
                questions += 1
                link.publish(topics.discover, question(topics), 1)
            case MessageArrived(topic=topics.replies, payload=payload):
                answers += 1
                modules = _modules(payload)
                found.update({(module.type, module.module_id): module for module in modules})
                if modules:
                    deadline = monotonic() + QUIET_S
            case _:
                pass
    return found


def _modules(payload: bytes) -> list[ApiModule]:
    try:
        return read_modules(payload)
    except ValueError:
        return []
