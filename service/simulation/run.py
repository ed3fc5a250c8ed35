"""A scenario, run from its beginning to its end."""

from everest_system.simulation.crash_points import Watch
from everest_system.simulation.expectations import unmet
from everest_system.simulation.scenario import Scenario
from everest_system.simulation.simulation import Simulation
from everest_system.simulation.standing import differences
from everest_system.simulation.steps import Steps, elapsed_at
from everest_system.simulation.timeline import Timeline


def run(scenario: Scenario) -> Timeline:
    """The timeline of `scenario`, with the expectations that were not met.

    Raises:
        AssertionError: the station came to a state that its tables call impossible; a bug of ours.
    """
    with simulation_of(scenario) as simulation:
        simulation.timeline.failures += play(scenario, simulation)
    return simulation.timeline


def simulation_of(scenario: Scenario, watch: Watch | None = None) -> Simulation:
    """The simulation that `scenario` is about, before its beginning."""
    story = scenario.story
    return Simulation(
        scenario.settings,
        story.world,
        story.everest,
        starts=story.starts,
        title=story.title,
        counts=story.counts,
        watch=watch,
    )


def play(scenario: Scenario, simulation: Simulation) -> list[str]:
    """Run `scenario` in its simulation; a line for each expectation that was not met."""
    story = scenario.story
    steps = Steps(scenario, simulation)
    simulation.begin()
    steps.schedule()
    simulation.run(None if story.lasts is None else elapsed_at(story.lasts, simulation.clock))
    steps.check_replies()
    failures = [*steps.failures, *unmet(scenario, simulation)]
    return failures + differences(f"{scenario.name}: end", story.end, simulation)
