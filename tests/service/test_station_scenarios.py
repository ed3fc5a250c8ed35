"""Every scenario of the tests and of the package comes out as it says."""

from pathlib import Path

import pytest

import everest_system.simulation
from everest_system.simulation import load, run

SHIPPED = Path(everest_system.simulation.__file__).parent / "scenarios"
FILES = sorted([*(Path(__file__).parent.parent / "scenarios").glob("*.toml"), *SHIPPED.glob("*.toml")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario(file: Path) -> None:
    """The scenario's own title is the promise."""
    scenario = load(file)
    scenario.name = file.name
    timeline = run(scenario)
    assert not timeline.failures, timeline.as_text()
    assert timeline.entries
