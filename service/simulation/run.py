"""A scenario, run from its beginning to its end."""

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
    story = scenario.story
    simulation = Simulation(
        scenario.settings, story.world, story.everest, starts=story.starts, title=story.title, counts=story.counts
    )
    with simulation:
        steps = Steps(scenario, simulation)
        simulation.begin()
        steps.schedule()
        simulation.run(None if story.lasts is None else elapsed_at(story.lasts, simulation.clock))
        steps.check_replies()
        failures = [*steps.failures, *unmet(scenario, simulation)]
        failures += differences(f"{scenario.name}: end", story.end, simulation)
        simulation.timeline.failures += failures
    return simulation.timeline
