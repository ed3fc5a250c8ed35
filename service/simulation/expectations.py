"""What a scenario expects the CSMS to hear, compared with what it heard."""

from typing import Final

from everest_system.everest_side.status import Kind
from everest_system.simulation.everest import Heard
from everest_system.simulation.moments import shown
from everest_system.simulation.scenario import ExpectedStatus, Scenario
from everest_system.simulation.simulation import Simulation
from everest_system.simulation.steps import elapsed_at

_NAMES: Final[dict[Kind, str]] = {"firmware": "update", "log": "upload"}


def unmet(scenario: Scenario, simulation: Simulation) -> list[str]:
    """A line for each expectation that was not met, and for each request that nothing was expected of."""
    lines = []
    first = scenario.settings.station.module_ids[0]
    named: set[tuple[str, Kind, int]] = set()
    for number, expected in enumerate(scenario.story.expect, 1):
        module_id = expected.module or first
        kind: Kind = "firmware" if expected.update is not None else "log"
        request_id = expected.update if expected.update is not None else expected.upload
        assert request_id is not None
        named.add((module_id, kind, request_id))
        arrived = [
            heard
            for heard in simulation.everest(module_id).heard
            if (heard.kind, heard.request_id) == (kind, request_id)
        ]
        name = f"{scenario.name}: expect[{number}]"
        lines += _compared(
            f"{name}.statuses", expected.statuses, [each for each in arrived if not each.dropped], simulation
        )
        if expected.arrived is not None:
            lines += _compared(f"{name}.arrived", expected.arrived, arrived, simulation)
    for module_id in scenario.settings.station.module_ids:
        for heard in simulation.everest(module_id).heard:
            if (module_id, heard.kind, heard.request_id) not in named:
                what = f"{_NAMES[heard.kind]} {heard.request_id}"
                lines.append(f"{scenario.name}: expect: nothing is expected of {what}, {heard.word} came")
    return lines


def _compared(name: str, expected: tuple[ExpectedStatus, ...], came: list[Heard], simulation: Simulation) -> list[str]:
    words, heard_words = [each.word for each in expected], [each.word for each in came]
    if words != heard_words:
        return [f"{name}: expected {', '.join(words) or 'none'}; came {', '.join(heard_words) or 'none'}"]
    lines, before = [], 0
    for number, (each, heard) in enumerate(zip(expected, came, strict=True), 1):
        if each.at is not None:
            at = elapsed_at(each.at, simulation.clock, before)
            if abs(heard.at - at) > each.within * 1_000_000:
                lines.append(f"{name}[{number}]: {each.word} expected at {shown(at)}, came at {shown(heard.at)}")
        disables = each.disable_connectors
        if disables is not None and heard.disable_connectors is not disables:
            lines.append(f"{name}[{number}].disable_connectors: expected {disables}, it is {heard.disable_connectors}")
        before = heard.at
    return lines
