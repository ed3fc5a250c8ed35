"""A scenario, run again and again with the service dying at another point each time.

First it runs as it is, and the points in its window are counted. Then it runs once for each point and each way to die
there: killed (the machine and EVerest go on) or with the power cut (everything starts anew). The service starts again
from what was stored, in the world as it was, and the run goes to its end, where the invariants have to hold. What
succeeds without a crash has to succeed with one.

    found = crashes(load(Path("update.toml")))
    print(found.cases, found.violations)
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from everest_system.simulation.clock import FakeClock
from everest_system.simulation.crash_points import ALWAYS, CrashPoint, How, Watch
from everest_system.simulation.invariants import jobs, violations
from everest_system.simulation.moments import shown
from everest_system.simulation.run import play, simulation_of
from everest_system.simulation.scenario import Scenario
from everest_system.simulation.simulation import Simulation
from everest_system.simulation.steps import elapsed_at

HOWS: tuple[How, ...] = ("kill", "power")
SUCCESSES = frozenset({"Installed", "Uploaded"})


class StoryError(Exception):
    """A scenario does not come out as it says, even without a crash."""


@dataclass(slots=True)
class Crashes:
    """What came of all crashes of a scenario.

    Attributes:
        points: where the service could die.
        cases: how many crashes were tried.
        violations: a line for each invariant that did not hold, with the crash in front.
    """

    points: list[CrashPoint] = field(default_factory=list)
    cases: int = 0
    violations: list[str] = field(default_factory=list)


def crashes(scenario: Scenario) -> Crashes:
    """Try all of them.

    Raises:
        StoryError: the scenario fails without any crash.
    """
    found = Crashes()
    with FakeClock.shared():
        watch = Watch(window=crash_window(scenario))
        with simulation_of(scenario, watch) as simulation:
            failures = play(scenario, simulation)
            found.points = list(watch.points)
            ends = _ends(simulation)
            found.violations += [f"{scenario.name}: without a crash: {line}" for line in violations(simulation)]
        if failures:
            raise StoryError("\n".join(failures))
        for number, point in enumerate(found.points):
            for how in HOWS:
                found.cases += 1
                found.violations += _try(scenario, number, point, how, ends)
    return found


def crash_window(scenario: Scenario) -> tuple[int, int]:
    """When the points count; before the first step the service only starts, and every story begins with that."""
    story = scenario.story
    clock = FakeClock(story.starts)
    begins = story.crashes.from_ if story.crashes.from_ is not None else story.step[0].at if story.step else 0
    until = story.crashes.until
    return elapsed_at(begins, clock), ALWAYS[1] if until is None else elapsed_at(until, clock)


def _try(
    scenario: Scenario, number: int, point: CrashPoint, how: How, without: dict[tuple[str, str, int], str]
) -> Iterator[str]:
    name = (
        f"{scenario.name}: {how} at point {number} ({shown(point.at)}, transaction {point.transaction}, {point.place})"
    )
    try:
        with simulation_of(scenario, Watch(number, how, window=crash_window(scenario))) as simulation:
            play(scenario, simulation)
            lines = [*violations(simulation), *_lost(without, simulation)]
    except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
        lines = [f"{type(error).__name__}: {error}"]
    yield from (f"{name}: {line}" for line in lines)


def _ends(simulation: Simulation) -> dict[tuple[str, str, int], str]:
    """How each request ended, by module, machine and id; of several with one id the last one."""
    return {(*job.key, job.request_id): job.ends[-1] if job.ends else "" for job in jobs(simulation)}


def _lost(without: dict[tuple[str, str, int], str], simulation: Simulation) -> Iterator[str]:
    """A crash costs time, and nothing else; with other requests accepted it is another story."""
    ends = _ends(simulation)
    if without.keys() != ends.keys():
        return
    for key, end in without.items():
        if end in SUCCESSES and ends[key] != end and not _is_forgotten(simulation, key):
            yield f"{key[1]} {key[2]} ends with {ends[key] or 'nothing'}, without the crash with {end}"


def _is_forgotten(simulation: Simulation, key: tuple[str, str, int]) -> bool:
    """EVerest never permits an unsigned update that it was not told to be accepted, or has forgotten in a restart."""
    module_id, machine, request_id = key
    everest = simulation.everest(module_id)
    asked = [
        question
        for question in everest.questions
        if question.command == "update_firmware" and question.payload.get("request_id") == request_id
    ]
    if machine != "firmware" or not asked:
        return False
    is_signed = "signing_certificate" in asked[-1].payload or "signature" in asked[-1].payload
    triggered = {one.run for one in everest.heard if (one.word, one.request_id) == ("Downloaded", request_id)}
    return not is_signed and (not asked[-1].replies or triggered != {asked[-1].run})
