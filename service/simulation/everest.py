"""EVerest and its CSMS, as the station meets them on the wire.

Statuses are judged by the same rules as in `everest_system.everest_side`: duplicates are dropped, and so is what comes
before the CSMS has accepted the boot; the trigger status brings the permission. The heartbeat is a function of time:
`beat_at` says when the next one is and `beat` sends it, so that those that nobody waits for are counted, not run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from everest_system.everest_side.ocpp import OcppModule
from everest_system.everest_side.replies import parse_reply
from everest_system.everest_side.status import Kind, Report, parse_status
from everest_system.everest_side.strict_json import write_json
from everest_system.fsm.timestamps import format_rfc3339
from everest_system.io.mqtt.topics import Topics
from everest_system.simulation.agenda import Agenda, Appointment
from everest_system.simulation.behaviour import EverestBehaviour
from everest_system.simulation.broker import FakeBroker
from everest_system.simulation.clock import FakeClock, microseconds

CHECK_PERIOD_US = 5_000_000  # a longer silence raises the CommunicationFault
PERMISSION = b"true"  # as 2026.10 sends it
_ACCEPTED = frozenset({"Accepted", "AcceptedCanceled"})


@dataclass(frozen=True, slots=True)
class Heard:
    """A status as it reached EVerest.

    Attributes:
        at: microseconds since the beginning.
        kind: `firmware` or `log`.
        dropped: why the CSMS does not hear of it; "" when it does.
        run: which EVerest that was, the first being 1.
        disable_connectors: whether it takes the connectors out of service for the update.
    """

    at: int
    kind: Kind
    word: str
    request_id: int
    dropped: str = ""
    run: int = 1
    disable_connectors: bool = True


@dataclass(slots=True)
class Question:
    """A request on its way.

    Attributes:
        replies: those that came, in order, as JSON values or enum words.
        asked_at: microseconds since the beginning.
        run: which EVerest asked, the first being 1.
    """

    command: str
    payload: Any
    message: bytes
    replies: list[Any]
    asked_at: int
    run: int


class FakeEverest:
    """EVerest's side of one module, one run after the other; a new run remembers nothing.

    Args:
        topics: of the module.
        broker: the way to the station.
        clock: what the CSMS's time is taken from: the clock that nobody sets.
        tell: writes the timeline: who, what.

    Attributes:
        heard: every well-formed status that came while it ran, the dropped ones too.
        questions: every request made, in order.
        permitted_at: when a permission to install reached the station, in microseconds since the beginning.
        warnings: what it would have logged about malformed messages.
        runs: how often it was started.
        beats: heartbeats that reached the station, those counted and not run included.
        checks: communication checks heard, likewise.
        gaps: how often a check came too late, once there was one.
    """

    def __init__(
        self, topics: Topics, broker: FakeBroker, clock: FakeClock, agenda: Agenda, tell: Callable[[str, str], None]
    ) -> None:
        self.topics = topics
        self.behaviour = EverestBehaviour()
        self.heard: list[Heard] = []
        self.questions: list[Question] = []
        self.permitted_at: list[int] = []
        self.warnings: list[str] = []
        self.runs = self.beats = self.checks = self.gaps = 0
        self.is_running = self.is_muted = False
        self._broker, self._clock, self._agenda, self._tell = broker, clock, agenda, tell
        self._numbers = count(1)
        self._asked: dict[str, Question] = {}
        self._commands = topics.commands_filter.removesuffix("+")
        self._beats_from = self._period = 1
        self._next_beat = 0
        self._last_check: int | None = None
        self._watches = True
        self._ocpp = OcppModule(None)
        self._plans: list[Appointment] = []

    # --- its life ---

    def start(self) -> None:
        """Begin a run: listen, begin the heartbeat at 0, ask for the boot reason, look for the CSMS."""
        if self.is_running:
            return
        self.is_running, self.is_muted = True, False
        self.runs += 1
        self._beats_from = self._clock.elapsed + microseconds(self.behaviour.heartbeats_after)
        self._period, self._next_beat = max(microseconds(self.behaviour.heartbeat_every), 1), 0
        self._last_check, self._watches = None, True
        ocpp = self.behaviour.ocpp
        self._ocpp = OcppModule(None if ocpp == "none" else ocpp)
        self._tell("EVerest", "starts")
        if self.behaviour.asks_boot_reason and ocpp != "none":
            self._later(0, lambda: self.ask("get_boot_reason"))
        if self.behaviour.registers_after is not None:
            self._later(self.behaviour.registers_after, self.accept_boot)

    def end(self, why: str) -> None:
        """End the run."""
        if not self.is_running:
            return
        self.is_running = False
        for plan in self._plans:
            plan.cancel()
        self._plans.clear()
        self._tell("EVerest", f"ends: {why}")

    @property
    def is_registered(self) -> bool:
        """Whether it runs, and its CSMS has accepted the boot."""
        return self.is_running and self._ocpp.registered

    # --- the heartbeat ---

    @property
    def beats_reach_station(self) -> bool:
        """Whether there is a heartbeat, and anybody to hear it."""
        return (
            self.is_running
            and not self.is_muted
            and self.behaviour.heartbeats
            and self._broker.health == "up"
            and self._broker.has_station
        )

    @property
    def next_beat_at(self) -> int:
        """When the next heartbeat is."""
        missed = -(-(self._clock.elapsed - self._beats_from) // self._period)  # rounded up
        return self._beats_from + max(self._next_beat, missed) * self._period

    @property
    def is_beat_due(self) -> bool:
        """Whether there is a heartbeat to send, now or a little while ago."""
        return (self._clock.elapsed - self._beats_from) // self._period >= self._next_beat

    @property
    def is_fresh(self) -> bool:
        """Whether this run has not sent its first heartbeat yet."""
        return self._next_beat == 0

    def last_beat_at(self, elapsed: int) -> int:
        """When the last heartbeat until `elapsed` is; before `next_beat_at` if there is none by then."""
        return self._beats_from + (elapsed - self._beats_from) // self._period * self._period

    def beat(self) -> None:
        """Send the heartbeat that is due; those left out on the way here were heard too."""
        number = (self._clock.elapsed - self._beats_from) // self._period
        self.beats += number + 1 - self._next_beat
        self._next_beat = number + 1
        self._publish("heartbeat", write_json(number))

    def lose_beats(self) -> None:
        """The heartbeats until now reached nobody; their numbers go on."""
        self._next_beat = (self.next_beat_at - self._beats_from) // self._period

    # --- what it says ---

    def ask(self, command: str, payload: Any = None) -> Question:
        """Send a request that has a reply, unchecked, as EVerest forwards what a CSMS says."""
        reply_to = f"everest_api/1/system/{self.topics.module_id}/m2e/reply/{next(self._numbers):08d}"
        message: dict[str, Any] = {"headers": {"replyTo": reply_to}}
        if command != "get_boot_reason":
            message["payload"] = payload
        question = Question(command, payload, write_json(message), [], self._clock.elapsed, self.runs)
        self.questions.append(question)
        self._asked[self.topics.prefix + reply_to] = question
        self.repeat(question)
        return question

    def repeat(self, question: Question) -> None:
        """Deliver a request, for the first time or once more."""
        self._say(question.command, question.message, _shown(question.payload))

    def tell(self, command: str, payload: bytes) -> None:
        """Send a one-way message, or anything at all, as it stands."""
        self._say(command, payload, payload.decode(errors="replace"))

    def permit(self) -> None:
        """Allow the installation, whether it is time for that or not."""
        self.tell("allow_firmware_installation", PERMISSION)

    def accept_boot(self) -> None:
        """Let the CSMS accept the BootNotification: from now on statuses pass, and the time is set."""
        self._ocpp.accept_boot()
        self._tell("CSMS", "accepts the boot")
        self._set_time()

    def _set_time(self) -> None:
        self.ask("set_system_time", format_rfc3339(self._clock.true_wall))
        if self.behaviour.csms_heartbeat is not None:
            self._later(self.behaviour.csms_heartbeat, self._set_time)

    # --- what it hears ---

    def receive(self, topic: str, payload: bytes) -> None:
        """Take a message of the station's."""
        if not self.is_running:
            return
        kinds: dict[str, Kind] = {self.topics.firmware_update_status: "firmware", self.topics.log_status: "log"}
        try:
            if topic in kinds:
                self._hear(parse_status(kinds[topic], payload))
            elif topic == self.topics.communication_check:
                self._check(payload)
            else:
                self._answered(topic, payload)
        except ValueError as error:
            self.warnings.append(f"{topic}: {error}")
            self._tell("EVerest", f"drops a malformed message on {topic}: {error}")

    def count_checks(self, number: int, last_at: int) -> None:
        """That many communication checks came on time until `last_at`."""
        if self.is_running and self._watches and self._last_check is not None:
            self.checks += number
            self._last_check = last_at

    @property
    def fault(self) -> bool:
        """Whether the CommunicationFault is raised now."""
        silent = self._last_check is None or self._clock.elapsed - self._last_check > CHECK_PERIOD_US
        return self._watches and silent

    def _hear(self, report: Report) -> None:
        verdict = self._ocpp.take(report)
        self.heard.append(
            Heard(
                self._clock.elapsed,
                report.kind,
                report.word,
                report.request_id,
                verdict.dropped,
                self.runs,
                report.disable_connectors,
            )
        )
        what = "update" if report.kind == "firmware" else "upload"
        dropped = f" (dropped: {verdict.dropped})" if verdict.dropped else ""
        leaves = "" if report.disable_connectors else ", and leaves the connectors in service"
        self._tell("EVerest", f"hears {report.word} of {what} {report.request_id}{leaves}{dropped}")
        if verdict.ends:
            self.end(verdict.ends)
        elif verdict.permits and self.behaviour.permits_after is not None:
            self._later(self.behaviour.permits_after, self.permit)

    def _check(self, payload: bytes) -> None:
        if payload not in {b"true", b"false"}:
            raise ValueError("neither true nor false")
        if not self._watches:
            return
        now = self._clock.elapsed
        self.checks += 1
        if self._last_check is not None and now - self._last_check > CHECK_PERIOD_US:
            self.gaps += 1
            self._tell("EVerest", "raised the CommunicationFault, and clears it now")
        self._last_check = now
        self._watches = payload == b"true"

    def _answered(self, topic: str, payload: bytes) -> None:
        question = self._asked.get(topic)
        if question is None:
            raise ValueError("a reply to nothing that was asked")
        value = parse_reply(question.command, payload)
        question.replies.append(value)
        self._tell("EVerest", f"is answered {question.command}: {_shown(value)}")
        request = question.payload
        if question.command == "update_firmware" and value in _ACCEPTED and isinstance(request, dict):
            signed = "signing_certificate" in request or "signature" in request
            self._ocpp.update_accepted(int(request["request_id"]), signed=signed)

    # --- inside ---

    def _say(self, command: str, payload: bytes, shown: str) -> None:
        reached = self._publish(command, payload)
        if reached and command == "allow_firmware_installation":
            self.permitted_at.append(self._clock.elapsed)
        self._tell("EVerest", f"says {command} {shown}".rstrip() + ("" if reached else " (nobody hears it)"))

    def _publish(self, command: str, payload: bytes) -> bool:
        return self.is_running and self._broker.to_station(self._commands + command, payload)

    def _later(self, seconds: float, act: Callable[[], object]) -> None:
        self._plans = [plan for plan in self._plans if plan.at >= self._clock.elapsed]
        self._plans.append(self._agenda.at(self._clock.elapsed + microseconds(seconds), lambda: _call(act)))


def _call(act: Callable[[], object]) -> None:
    act()


def _shown(value: Any) -> str:
    return "" if value is None else write_json(_plain(value)).decode()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_none=True) if hasattr(value, "model_dump") else value
