"""How one of EVerest's API modules lets itself be found, as releases from 2026.10 on do it.

>>> Discovery("", "system_api", heartbeat_period_ms=1000, check_period_s=5).ready_beacon
'everest_api/ready_beacon'
"""

from typing import Any, Final

from everest_system.everest_side.strict_json import read_json, write_json
from everest_system.io.mqtt.discovery import SYSTEM
from everest_system.io.mqtt.topics import DiscoveryTopics

BEACON: Final = b"{}"
"""What is sent to `ready_beacon` once a run."""

_REPLY_TIMEOUT_S: Final = 550


class Discovery:
    """The answers of one module of the type `system`.

    Args:
        prefix: EVerest's `mqtt_external_prefix`.
        module_id: the module's.
        heartbeat_period_ms: milliseconds between its heartbeats; 0: none.
        check_period_s: seconds of silence that it takes for a fault; 0: it does not watch.

    Attributes:
        ready_beacon: the topic of that name.
        filters: the topics that it is asked on.
    """

    def __init__(self, prefix: str, module_id: str, *, heartbeat_period_ms: int, check_period_s: int) -> None:
        topics = DiscoveryTopics(prefix, module_id)
        self.ready_beacon = topics.ready_beacon
        self.filters = [topics.discover, topics.query(SYSTEM)]
        self._prefix = prefix
        watch = {
            "communication_check_period_s": check_period_s,
            "heartbeat_period_ms": heartbeat_period_ms,
            "request_reply_timeout_s": _REPLY_TIMEOUT_S,
        }
        module = {"communication_monitoring": watch, "module_id": module_id, "type": SYSTEM, "version": 1}
        self._answer = write_json({"apis": [module]})

    def answer(self, question: bytes) -> tuple[str, bytes]:
        """Where to answer a question, and with what; EVerest sends it wherever it is asked to.

        Raises:
            ValueError: it says not where.
        """
        value: Any = read_json(question)
        try:
            reply_to = value["headers"]["replyTo"]
        except (KeyError, TypeError):
            raise ValueError("headers.replyTo is missing") from None
        if not isinstance(reply_to, str):
            raise ValueError("headers.replyTo is no text")  # noqa: TRY004 - one kind of error for all malformed questions
        return self._prefix + reply_to, self._answer
