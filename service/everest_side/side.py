"""EVerest, as the service's peer on the wire: one run of EVerest after the other.

`start()` does what EVerest does, in its order: connect with a clean start, subscribe with QoS 0 to statuses, replies
and the communication check, begin the heartbeat at 0, ask for the boot reason. From then on statuses are judged as
EVerest's OCPP modules judge them, and the permission to install follows its trigger. The run ends with `stop()`, with
the loss of the broker, or when a status makes EVerest fall over; `restart()` begins the next one, which remembers
nothing.

Nothing that is sent is checked: EVerest forwards what a CSMS says as it stands. What arrives is read strictly, and what
is malformed is noted in `warnings` and otherwise as good as never sent.

Example:
    with EverestSide(MqttSettings(port=1883)) as everest:
        everest.accept_boot()
        everest.call("update_firmware", {"location": "http://…/fw.bin", "request_id": 7})
        everest.wait_for("Installed", 7, timeout_s=60)
"""

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final, Literal, Self

from everest_system.everest_side.discovery import BEACON, Discovery
from everest_system.everest_side.errors import EverestSideError, NoReplyError
from everest_system.everest_side.monitoring import CHECK_PERIOD_S
from everest_system.everest_side.ocpp import OcppVersion
from everest_system.everest_side.questions import Question
from everest_system.everest_side.replies import REQUESTS, Reply
from everest_system.everest_side.run import NOT_STARTED, Habits, Run
from everest_system.everest_side.status import Kind, Status
from everest_system.everest_side.status_log import StatusLog
from everest_system.everest_side.strict_json import write_json
from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.timestamps import format_rfc3339
from everest_system.io.mqtt.link import Connected, Disconnected, MessageArrived, MqttEvent, MqttLink, MqttSettings
from everest_system.io.mqtt.topics import Topics

PATIENCE_S: Final = 30.0
"""How long to wait for anything, if nothing else is said: enough for a machine that has other things to do."""

_LONGEST_WARNING: Final = 300


class EverestSide:
    """EVerest's side of one module. Its methods may be called from any thread; start, stop and restart from one.

    Args:
        settings: where the broker is; the client id in it is not used.
        module_id: the EVerest module that the service serves.
        prefix: EVerest's `mqtt_external_prefix`.
        ocpp: which OCPP module runs; None: none, so that statuses just pass, and nobody asks for the boot reason.
        heartbeat_s: seconds between heartbeats; None: off.
        request_qos: of all that is sent: 2 as EVerest 2026.10, 0 as 2026.02.
        permission_payload: of `allow_firmware_installation`: `b"true"` as 2026.10, `b""` as 2026.02.
        permission_delay_s: from the trigger status until the permission, as if a transaction went on; None: never.
        check_period_s: silence of the communication check that raises the fault.
        discovery: be found by whoever asks for EVerest's modules, as 2026.10; False as 2026.02.

    Attributes:
        warnings: what EVerest would have logged, one line each.

    Raises:
        ValueError: module id or prefix are none.
    """

    def __init__(
        self,
        settings: MqttSettings,
        module_id: str = "system_api",
        prefix: str = "",
        *,
        ocpp: OcppVersion | None = "2.0.1",
        heartbeat_s: float | None = 1.0,
        request_qos: Literal[0, 1, 2] = 2,
        permission_payload: bytes = b"true",
        permission_delay_s: float | None = 0.0,
        check_period_s: float = CHECK_PERIOD_S,
        discovery: bool = True,
    ) -> None:
        self.warnings: list[str] = []
        topics = Topics(prefix, module_id)
        self._commands = topics.commands_filter.removesuffix("+")
        self._reply_to = f"everest_api/1/system/{module_id}/m2e/reply/"  # without the prefix, as EVerest writes it
        self._replies = prefix + self._reply_to
        self._check = topics.communication_check
        self._status_kinds: dict[str, Kind] = {topics.firmware_update_status: "firmware", topics.log_status: "log"}
        self._discovery = Discovery(
            prefix,
            module_id,
            heartbeat_period_ms=round((heartbeat_s or 0) * 1000),
            check_period_s=round(check_period_s),
        )
        self._questions_at = self._discovery.filters if discovery else []
        self._habits = Habits(ocpp, heartbeat_s, permission_payload, permission_delay_s, check_period_s)
        self._qos = request_qos
        # The broker ends a connection whose client id comes again: never the service's own.
        settings = replace(settings, client_id=f"everest-{uuid.uuid4().hex[:12]}")
        filters = [*self._status_kinds, f"{self._replies}+", self._check, *self._questions_at]
        self._link = MqttLink(settings, self._on_event, [(topic_filter, 0) for topic_filter in filters])
        # Guards all that follows, and is notified of each change of it. Never held while the link connects or ends.
        self._changed = threading.Condition()
        self._run = Run(self._habits, self._publish, self._changed, NOT_STARTED)
        self._log = StatusLog(self._changed, lambda: self._run.ended)
        self._turns = {command: threading.Lock() for command in REQUESTS}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # The run

    def start(self, timeout_s: float = PATIENCE_S) -> None:
        """Begin a run; returns once it listens.

        Raises:
            EverestSideError: the broker cannot be reached, or does not answer in time.
        """
        with self._changed:
            self._run = run = Run(self._habits, self._publish, self._changed)
        self._link.connect()
        with self._changed:
            self._changed.wait_for(lambda: run.connected or run.ended, timeout_s)
            reason = run.ended or ("" if run.connected else f"no connection to the broker within {timeout_s:g} s")
        if reason:
            self.stop()
            raise EverestSideError(reason)
        run.begin_heartbeat()
        if self._questions_at:
            self._link.publish(self._discovery.ready_beacon, BEACON, self._qos)
        if self._habits.ocpp is not None:
            run.boot_question = self._ask("get_boot_reason", None)

    def stop(self) -> None:
        """End the run; what is on its way still goes out. It may have ended before, or never begun."""
        self._run.end("EVerest's side was stopped")
        self._run.join()
        self._link.disconnect()

    def restart(self, timeout_s: float = PATIENCE_S) -> None:
        """Begin the next run, which remembers nothing of this one: heartbeat from 0, no filter, not registered.

        Raises:
            EverestSideError: as with `start()`.
        """
        self.stop()
        self.start(timeout_s)

    @property
    def ended(self) -> str:
        """Why the run has ended, in one line; "" while it lasts."""
        return self._run.ended

    def mute_heartbeat(self) -> None:
        """Send no heartbeats for now; their numbers go on."""
        self._run.mute_heartbeat(muted=True)

    def unmute_heartbeat(self) -> None:
        """Send heartbeats again."""
        self._run.mute_heartbeat(muted=False)

    # What EVerest says

    def call(self, command: str, payload: Any = None, timeout_s: float = PATIENCE_S) -> Reply:
        """Send a request and wait for its reply. The same command waits for its turn, different ones run at once.

        Args:
            command: a command with a reply, by its name on the wire.
            payload: anything that JSON has; left out for `get_boot_reason`, which has none.
            timeout_s: how long to wait; a malformed reply is noted in `warnings`, and the wait goes on.

        Raises:
            NoReplyError: no well-formed reply came in time.
            EverestSideError: the run has ended.
            ValueError: the command has no reply.
        """
        if command not in REQUESTS:
            raise ValueError(f"{command} is no command with a reply")
        with self._turns[command]:
            questions = self._run.questions
            question = self._ask(command, payload)
            try:
                return questions.answer(question, timeout_s)
            finally:
                questions.close(question)

    def accept_boot(self, now: datetime | None = None, timeout_s: float = PATIENCE_S) -> bool:
        """Let the CSMS accept the BootNotification: statuses pass from now on, and `set_system_time` is sent.

        Args:
            now: the CSMS's time; None: this machine's.
            timeout_s: how long to wait for the reply.

        Returns:
            Whether the clock was set.

        Raises:
            EverestSideError: as with `call()`.
        """
        with self._changed:
            self._run.ocpp.accept_boot()
        return self.call("set_system_time", format_rfc3339(now or datetime.now(UTC)), timeout_s) is True

    def boot_reason(self, timeout_s: float = PATIENCE_S) -> BootReason:
        """Return the answer to the question that was asked at the start of the run; wait for it if need be.

        Raises:
            NoReplyError: it did not come in time, or was never asked.
            EverestSideError: the run has ended.
        """
        run = self._run
        if run.boot_question is None:
            raise NoReplyError("nobody asked for the boot reason")
        return BootReason(str(run.questions.answer(run.boot_question, timeout_s)))

    def tell(self, command: str, payload: bytes) -> None:
        """Send a one-way message as it stands.

        Raises:
            EverestSideError: the run has ended.
        """
        run = self._run
        if not run.publish(command, payload):
            raise EverestSideError(run.ended or "the connection to the broker is lost")

    def reset(self, reset_type: ResetType = ResetType.NOT_SPECIFIED, *, scheduled: bool = False) -> None:
        """Order a reset.

        Raises:
            EverestSideError: the run has ended.
        """
        self.tell("reset", write_json({"type": reset_type, "scheduled": scheduled}))

    def allow_installation(self) -> None:
        """Permit the installation, whether it is time for that or not.

        Raises:
            EverestSideError: the run has ended.
        """
        self.tell("allow_firmware_installation", self._habits.permission_payload)

    # What EVerest hears

    @property
    def statuses(self) -> list[Status]:
        """The statuses that the CSMS hears of, those of earlier runs included."""
        return self._log.passed_on()

    @property
    def arrived(self) -> list[Status]:
        """All well-formed statuses, the dropped ones included."""
        return self._log.arrived()

    def wait_for(
        self,
        wanted: str | Callable[[Status], bool],
        request_id: int | None = None,
        timeout_s: float | None = PATIENCE_S,
        *,
        since: int = 0,
    ) -> Status:
        """Return the first of `statuses` that fits, be it there already or still to come.

        Args:
            wanted: a status word, or a test.
            request_id: None: of any request.
            timeout_s: None: for as long as it takes.
            since: index in `statuses` to look from; an earlier `len(everest.statuses)` finds what came after it.

        Raises:
            NoStatusError: none came in time.
            EverestSideError: the run has ended, or does so while waiting.
        """
        return self._log.wait_for(wanted, request_id, timeout_s, since)

    @property
    def communication_fault(self) -> bool:
        """Whether EVerest has raised the CommunicationFault just now."""
        with self._changed:
            return self._run.monitoring.fault(monotonic())

    @property
    def communication_gaps(self) -> int:
        """How often in this run the communication check came late."""
        return self._run.monitoring.gaps

    def wait_for_service(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the service has said that it lives: no CommunicationFault any more.

        Raises:
            EverestSideError: it did not within `timeout_s`, or the run has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.ended or not self.communication_fault, timeout_s)
            if self.ended or self.communication_fault:
                raise EverestSideError(self.ended or f"no sign of life from the service within {timeout_s:g} s")

    # Inside

    def _ask(self, command: str, payload: Any) -> Question:
        question = self._run.questions.open(command, payload)
        message: dict[str, Any] = {"headers": {"replyTo": self._reply_to + question.token}}
        if command != "get_boot_reason":
            message["payload"] = payload
        self.tell(command, write_json(message))
        return question

    def _publish(self, command: str, payload: bytes) -> bool:
        return self._link.publish(self._commands + command, payload, self._qos) is not None

    def _on_event(self, event: MqttEvent) -> None:
        match event:
            case Connected():
                with self._changed:
                    self._run.connected = True
                    self._changed.notify_all()
            case Disconnected(reason=reason):
                self._run.end(reason)
            case MessageArrived() if not self._run.ended:
                self._on_message(event)
            case _:
                pass

    def _on_message(self, message: MessageArrived) -> None:
        if message.retained:
            self._warn(f"{message.topic} is retained: EVerest would hear it again at every start")
        kind = self._status_kinds.get(message.topic)
        try:
            if kind is not None:
                self._run.take_status(kind, message.payload, self._log.append)
            elif message.topic == self._check:
                self._run.take_check(message.payload)
            elif message.topic in self._questions_at:
                topic, answer = self._discovery.answer(message.payload)
                self._link.publish(topic, answer, self._qos)
            else:
                self._run.take_reply(message.topic.removeprefix(self._replies), message.payload)
        except ValueError as error:
            self._warn(f"{message.topic}: {error}"[:_LONGEST_WARNING])

    def _warn(self, line: str) -> None:
        with self._changed:
            self.warnings.append(line)
