"""The search for EVerest's system modules, beside the station and in its thread.

1. On each connection EVerest is asked, and again whenever its ready beacon says that all its modules can answer: it
   may have started before us, or after.
2. Each module answers for itself. When none has for a second, what they said is compared with what was known.
3. If that changes anything, it is stored, and the service is asked to start anew in place, with other modules; not
   while an update is in a part that must not be interrupted, or a reset is on its way, and not more than three times in
   a minute: each costs a download that cannot go on from its middle all that it had. Where it cannot be stored, all
   stays as it was, and EVerest is asked again later.

EVerest's OCPP module asks for the boot reason once, at its start, and ends without an answer. So that question is kept
when it comes from a module that is not served yet, and handed to the station as soon as it is.

As long as nothing was ever known, no module is served. When nobody has answered for `station.discovery_timeout_s`, the
default id is: that is how older releases are served, which have no discovery. A newer one that comes later still wins.
"""

import math
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import structlog

from everest_system.configuration.settings import Settings
from everest_system.discovery.known import ASSUMED, MOST_MODULES, KnownModules, load, save, settings_with, updated
from everest_system.fsm.errors import WorldError
from everest_system.fsm.firmware.states import ENDS as FIRMWARE_ENDS
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.logs.states import ENDS as LOGS_ENDS
from everest_system.fsm.logs.states import LogsState
from everest_system.io.mqtt.discovery import SYSTEM, question, read_modules
from everest_system.io.mqtt.link import Connected, Disconnected, MessageArrived
from everest_system.io.mqtt.topics import DiscoveryTopics
from everest_system.ports import ModulesChanged
from everest_system.scheduling.reactor import TimerFired
from everest_system.station import Station

OWNER: Final = "discovery"
FIRST_ANSWER_S: Final = 5.0
"""So long after a question nobody counts as having answered; a beacon in between is taken to belong to it."""
QUIET_S: Final = 1.0
"""So long after an answer it counts as the last one."""
BUSY_S: Final = 1.0
STORE_AGAIN_S: Final = 60.0
"""So long after what was found could not be stored EVerest is asked again."""
MOST_STARTS: Final = 3
STARTS_WITHIN_S: Final = 60.0
MOST_ANSWERS: Final = 64
"""More than these are not looked at, of one question."""
LARGEST_QUESTION_BYTES: Final = 4096
"""A question for the boot reason that is larger is not kept, and of more than `MOST_MODULES` the latest are."""

_ROUND_OVER: Final = "RoundOver"
_NOBODY: Final = "Nobody"
_TAKE_UP: Final = "TakeUp"
_ASK_AGAIN: Final = "AskAgain"
_EARLY_S: Final = 0.01

_log = structlog.get_logger(__name__)


class Search:
    """The search of one process, through all its starts in place.

    Args:
        settings: as configured.

    Raises:
        WorldError: what is known already cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._configured = settings
        self._known = load(settings.station.state_dir)
        self._topics = DiscoveryTopics(settings.mqtt.external_prefix, uuid.uuid4().hex)
        self._station: Station
        self._served: Settings
        self._post: Callable[[object], None]
        self._is_connected = False
        self._round_ends = 0.0  # monotonic seconds; 0: nothing is asked just now
        self._is_whole = False
        self._answers = 0
        self._found: dict[str, int] = {}
        self._unanswered: dict[str, MessageArrived] = {}
        self._started_anew: deque[float] = deque([-math.inf] * MOST_STARTS, maxlen=MOST_STARTS)  # monotonic seconds

    @property
    def settings(self) -> Settings:
        """The configuration, with the modules that are known now."""
        return settings_with(self._configured, self._known)

    @property
    def subscriptions(self) -> list[tuple[str, int]]:
        """What has to be listened to."""
        return [(self._topics.ready_beacon, 1), (self._topics.replies, 1), (self._topics.boot_reason_filter, 2)]

    def begin(self, station: Station, post: Callable[[object], None]) -> None:
        """Look on, with a station made of `settings`; `post` takes `ModulesChanged` and messages for the station."""
        self._station, self._post = station, post
        self._served = self.settings
        self._is_connected, self._round_ends = False, 0.0

    def takes(self, event: Any) -> bool:
        """Look at an event, and tell whether nobody else has to."""
        match event:
            case Connected():
                self._is_connected = True
                if self._known is None:
                    self._station.edges.timers.arm(OWNER, _NOBODY, self._configured.station.discovery_timeout_s)
                self._ask(whole=False)
                self._hand_over(event.link)
            case Disconnected():
                self._is_connected = False
            case MessageArrived(topic=self._topics.ready_beacon):
                # A beacon belongs to this moment: a retained one says nothing.
                if not event.retained and not (self._round_ends and self._is_whole):
                    self._ask(whole=True)
                return True
            case MessageArrived(topic=self._topics.replies):
                self._hear(event.payload)
                return True
            case MessageArrived() if self._topics.is_boot_reason(event.topic):
                return self._keep(event)
            case TimerFired(owner=owner) if owner == OWNER:
                self._fire(event.name)
                return True
        return False

    def _ask(self, *, whole: bool) -> None:
        self._is_whole, self._answers, self._found = whole, 0, {}
        self._station.edges.wire.publish(self._topics.query(SYSTEM), question(self._topics), 1)
        self._wait(FIRST_ANSWER_S)

    def _wait(self, seconds: float) -> None:
        edges = self._station.edges
        self._round_ends = edges.clock.now().monotonic + seconds
        edges.timers.arm(OWNER, _ROUND_OVER, seconds)

    def _hear(self, payload: bytes) -> None:
        if not self._round_ends or self._answers == MOST_ANSWERS:
            return
        self._answers += 1
        try:
            modules = read_modules(payload)
        except ValueError as error:
            _log.warning(f"an answer to the discovery counts for nothing: {error}")
            return
        for module in modules:
            if module.type == SYSTEM:
                self._found[module.module_id] = module.communication_monitoring.communication_check_period_s or 0
        self._wait(QUIET_S)

    def _keep(self, asked: MessageArrived) -> bool:
        """Keep a question for the boot reason for later, unless it is for the station."""
        if asked.topic in self._questions():
            return False
        if not asked.retained and len(asked.payload) <= LARGEST_QUESTION_BYTES:
            self._unanswered.pop(asked.topic, None)
            self._unanswered[asked.topic] = asked
            if len(self._unanswered) > MOST_MODULES:
                del self._unanswered[next(iter(self._unanswered))]
        return True

    def _hand_over(self, link: int) -> None:
        for topic in self._unanswered.keys() & self._questions():
            self._post(replace(self._unanswered.pop(topic), link=link))

    def _questions(self) -> set[str]:
        return {self._topics.boot_reason(module_id) for module_id in self._station.modules}

    def _fire(self, name: str) -> None:
        if name == _ROUND_OVER:
            # It may have been on its way here when one more answer put it off.
            if self._round_ends and self._station.edges.clock.now().monotonic >= self._round_ends - _EARLY_S:
                self._round_ends = 0.0
                if self._found:
                    self._conclude()
        elif name == _NOBODY:
            if self._known is None and self._is_connected and not self._found:
                _log.warning(
                    f"no EVerest answers: none is there, or an older release, without discovery; "
                    f"{ASSUMED.module_ids[0]} is served until one does"
                )
                self._learn(ASSUMED)
        elif name == _ASK_AGAIN:
            if self._is_connected and not self._round_ends:
                self._ask(whole=False)
        else:
            self._take_up()

    def _conclude(self) -> None:
        known = updated(self._known, self._found, whole=self._is_whole, has_job=self._has_job)
        left_out = self._found.keys() - known.periods_s.keys()
        if left_out:
            _log.warning(
                f"EVerest names more system modules than can be served; left out: {', '.join(sorted(left_out))}"
            )
        if known != self._known:
            _log.info(f"EVerest's system modules: {', '.join(known.module_ids)}")
            self._learn(known)

    def _learn(self, known: KnownModules) -> None:
        try:
            save(self._configured.station.state_dir, known)
        except WorldError as error:  # what is not stored would be forgotten in the middle of a job
            _log.error(f"EVerest's modules cannot be stored, and stay as they were: {error}")
            self._station.edges.timers.arm(OWNER, _ASK_AGAIN, STORE_AGAIN_S)
            return
        self._known = known
        self._take_up()

    def _take_up(self) -> None:
        if self.settings == self._served:  # by now, again
            return
        now_s = self._station.edges.clock.now().monotonic
        wait_s = max(self._started_anew[0] + STARTS_WITHIN_S - now_s, 0.0 if self._station.may_start_anew else BUSY_S)
        if wait_s > 0:
            self._station.edges.timers.arm(OWNER, _TAKE_UP, wait_s)
        else:
            self._started_anew.append(now_s)
            self._post(ModulesChanged())

    def _has_job(self, module_id: str) -> bool:
        module = self._station.modules.get(module_id)
        return module is not None and (
            module.firmware.snapshot.state not in {*FIRMWARE_ENDS, FirmwareState.IDLE}
            or module.logs.snapshot.state not in {*LOGS_ENDS, LogsState.IDLE}
        )
