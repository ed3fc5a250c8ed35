"""One run of EVerest: what it does by itself, and what it remembers, from its start to its end."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from everest_system.everest_side.heartbeat import Heartbeat
from everest_system.everest_side.monitoring import CommunicationMonitoring
from everest_system.everest_side.ocpp import OcppModule, OcppVersion
from everest_system.everest_side.permission import Permission
from everest_system.everest_side.questions import Question, Questions
from everest_system.everest_side.status import Kind, Status, parse_status
from everest_system.everest_side.strict_json import write_json

NOT_STARTED: Final = "EVerest's side is not started"
_ACCEPTED: Final = frozenset({"Accepted", "AcceptedCanceled"})


@dataclass(frozen=True, slots=True)
class Habits:
    """How an EVerest behaves in each of its runs; the words are `EverestSide`'s."""

    ocpp: OcppVersion | None
    heartbeat_s: float | None
    permission_payload: bytes
    permission_delay_s: float | None
    check_period_s: float


class Run:
    """A run that has begun, unless it has `ended` already.

    Args:
        habits: how it behaves.
        publish: sends a command's payload as it stands, and tells whether it went out; called from any thread.
        changed: guards the run, and is notified of each change of it.
        ended: why nothing goes on in it; "" while it lasts.

    Attributes:
        connected: the broker has it.
        ocpp: its OCPP module.
        monitoring: its watch over the service's signs of life.
        questions: those that wait for replies.
        boot_question: the one that its OCPP module asks at its start.
    """

    def __init__(
        self,
        habits: Habits,
        publish: Callable[[str, bytes], bool],
        changed: threading.Condition,
        ended: str = "",
    ) -> None:
        self._habits, self._publish, self._changed = habits, publish, changed
        self.ended = ended
        self.connected = False
        self.ocpp = OcppModule(habits.ocpp)
        self.monitoring = CommunicationMonitoring(habits.check_period_s)
        self.questions = Questions(changed, lambda: self.ended)
        self.boot_question: Question | None = None
        self._heartbeat = None if habits.heartbeat_s is None else Heartbeat(habits.heartbeat_s, self._beat)
        self._permission = Permission(habits.permission_delay_s, self.permit)

    def begin_heartbeat(self) -> None:
        """Send the first one, and go on."""
        if self._heartbeat is not None:
            self._heartbeat.start()

    def mute_heartbeat(self, *, muted: bool) -> None:
        """Send heartbeats or do not; their numbers go on."""
        if self._heartbeat is not None:
            (self._heartbeat.muted.set if muted else self._heartbeat.muted.clear)()

    def publish(self, command: str, payload: bytes) -> bool:
        """Send it, unless the run has ended; whether it went out."""
        return not self.ended and self._publish(command, payload)

    def permit(self) -> None:
        """Permit the installation."""
        self.publish("allow_firmware_installation", self._habits.permission_payload)

    def take_status(self, kind: Kind, payload: bytes, append: Callable[[Status], object]) -> None:
        """Do what its OCPP module does with a status, which goes to `append` first.

        Raises:
            ValueError: it is malformed.
        """
        report = parse_status(kind, payload)
        with self._changed:
            verdict = self.ocpp.take(report)
            append(
                Status(monotonic(), kind, report.word, report.request_id, verdict.dropped, report.disable_connectors)
            )
        if verdict.ends:
            self.end(verdict.ends)
        elif verdict.permits:
            self._permission.due()

    def take_check(self, payload: bytes) -> None:
        """Note a sign of life.

        Raises:
            ValueError: it is neither true nor false.
        """
        with self._changed:
            if not self.monitoring.take(payload, monotonic()):
                raise ValueError("neither true nor false")
            self._changed.notify_all()

    def take_reply(self, token: str, payload: bytes) -> None:
        """Give a reply to whoever waits for it.

        Raises:
            ValueError: it is malformed.
        """
        question = self.questions.take(token, payload)
        if question is None or question.command != "update_firmware" or question.reply not in _ACCEPTED:
            return
        request: Any = question.payload
        if isinstance(request, dict) and isinstance(request.get("request_id"), int):
            signed = bool(request.get("signing_certificate") or request.get("signature"))
            self.ocpp.update_accepted(request["request_id"], signed=signed)

    def end(self, reason: str) -> None:
        """End it, unless it has ended: nothing is said any more, and whoever waits learns why."""
        with self._changed:
            self.ended = self.ended or reason
            self._permission.end()
            if self._heartbeat is not None:
                self._heartbeat.end()
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until no heartbeat can come any more; it has ended."""
        if self._heartbeat is not None:
            self._heartbeat.join()

    def _beat(self, number: int) -> None:
        self.publish("heartbeat", write_json(number))
