"""The steps of a scenario, carried out."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from everest_system.everest_side.replies import REQUESTS
from everest_system.everest_side.strict_json import write_json
from everest_system.fsm.messages import UploadLogsResponse
from everest_system.fsm.timestamps import format_rfc3339
from everest_system.simulation.behaviour import EverestBehaviour
from everest_system.simulation.clock import FakeClock, microseconds
from everest_system.simulation.everest import PERMISSION, Question
from everest_system.simulation.moments import seconds
from everest_system.simulation.scenario import NOTHING_GIVEN, Scenario, Step
from everest_system.simulation.simulation import Simulation
from everest_system.simulation.standing import differences


def elapsed_at(moment: Any, clock: FakeClock, before: int = 0) -> int:
    """A point in time of a scenario, in microseconds since the beginning; `before` is that of the step before it."""
    if isinstance(moment, datetime):
        return clock.elapsed_at(moment)
    if isinstance(moment, str) and moment.startswith("+"):
        return before + microseconds(seconds(moment[1:]))
    return microseconds(seconds(moment))


class Steps:
    """Carries out the steps of one scenario.

    Attributes:
        failures: replies and standings that are not as expected; complete when the simulation has ended.
    """

    def __init__(self, scenario: Scenario, simulation: Simulation) -> None:
        self.failures: list[str] = []
        self._scenario, self._simulation = scenario, simulation
        self._asked: list[tuple[str, Step, Question]] = []

    def schedule(self) -> None:
        """Put every step on the agenda."""
        at = 0
        for number, step in enumerate(self._scenario.story.step, 1):
            at = elapsed_at(step.at, self._simulation.clock, at)
            self._simulation.agenda.at(at, self._doing(f"{self._scenario.name}: step[{number}]", step))

    def check_replies(self) -> None:
        """See whether every reply is the one expected."""
        for name, step, question in self._asked:
            came = [_word(reply) for reply in question.replies]
            expected = [] if step.reply == "" else [step.reply] * step.times
            if came != expected:
                self.failures.append(f"{name}.reply: expected {_list(expected)}, came {_list(came)}")

    # --- one step ---

    def _doing(self, name: str, step: Step) -> Callable[[], None]:
        return lambda: self._do(name, step)

    def _do(self, name: str, step: Step) -> None:
        simulation = self._simulation
        if isinstance(step.everest, EverestBehaviour):
            one = simulation.everest(step.module)
            one.behaviour = one.behaviour.changed(step.everest)
        elif step.everest is not None:
            self._speak(name, step, step.everest)
        elif step.world is not None:
            given = ", ".join(sorted(step.world.model_fields_set))
            simulation.tell("world", f"behaves otherwise: {given}")
            simulation.change_world(step.world)
        elif step.machine is not None:
            away_s = _or(step.away, simulation.world.behaviour.boot_s)
            simulation.cut_power(away_s, by_watchdog=step.machine == "watchdog")
        elif step.service is not None:
            self._handle_service(step)
        elif step.broker is not None:
            simulation.broker.cut() if step.broker == "cut" else simulation.set_broker(step.broker)
        elif step.operator is not None:
            self._operate(name, step, step.operator)
        elif step.expect is not None:
            self.failures += differences(f"{name}.expect", step.expect, simulation)
        else:
            by = step.clock_step
            simulation.set_wall(simulation.clock.wall + by if by is not None else step.clock)

    def _handle_service(self, step: Step) -> None:
        if step.service == "start":
            self._simulation.start_service()
        elif step.service == "kill":
            self._simulation.kill_service(step.away)
        else:
            self._simulation.stop_service(step.away)

    def _operate(self, name: str, step: Step, command: str) -> None:
        arguments = {} if step.module is None else {"module_id": step.module}
        self._simulation.tell("operator", f"says {command}")
        answer = self._simulation.ask_operator(command, **arguments)
        said = answer.get("done") or answer.get("error") or "the status"
        self._simulation.tell("operator", f"is told: {said}")
        if step.reply is not None and step.reply != said:
            self.failures.append(f"{name}.reply: expected {step.reply!r}, came {said!r}")

    # --- EVerest's ---

    def _speak(self, name: str, step: Step, word: str) -> None:
        simulation = self._simulation
        one = simulation.everest(step.module)
        match word:
            case "start":
                simulation.start_everest()
            case "stop":
                simulation.end_everest("it is stopped", step.away)
            case "restart":
                simulation.end_everest("it is restarted", _or(step.away, simulation.world.behaviour.everest_boot_s))
            case "mute" | "unmute":
                simulation.tell("EVerest", f"{word}s its heartbeats")
                one.is_muted = word == "mute"
            case "accept_boot":
                one.accept_boot()
            case _ if word in REQUESTS and step.raw is None:
                question = one.ask(word, _payload(step))
                for _ in range(step.times - 1):
                    one.repeat(question)
                if step.reply is not None:
                    self._asked.append((name, step, question))
            case _:
                for _ in range(step.times):
                    one.tell(word, _bytes(word, step))


def _bytes(word: str, step: Step) -> bytes:
    if step.raw is not None:
        return step.raw.encode()
    if step.with_ == NOTHING_GIVEN:
        return PERMISSION if word == "allow_firmware_installation" else b"{}"
    return write_json(_payload(step))


def _payload(step: Step) -> Any:
    return {} if step.with_ == NOTHING_GIVEN else _wire(step.with_)


def _wire(value: Any) -> Any:
    """A TOML value as EVerest writes it."""
    match value:
        case datetime():
            return format_rfc3339(value)
        case dict():
            return {name: _wire(inner) for name, inner in value.items()}
        case list():
            return [_wire(inner) for inner in value]
        case _:
            return value


def _word(reply: Any) -> Any:
    return str(reply.upload_logs_status) if isinstance(reply, UploadLogsResponse) else reply


def _list(values: list[Any]) -> str:
    return ", ".join(repr(value if isinstance(value, bool | dict) else str(value)) for value in values) or "none"


def _or(given: float | None, default: float) -> float:
    return default if given is None else given
