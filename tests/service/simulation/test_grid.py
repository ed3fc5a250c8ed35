"""The stories of the crash grid leave out no transition of an update, an upload or a reset."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from everest_system.fsm.firmware.table import TABLE as FIRMWARE
from everest_system.fsm.logs.table import TABLE as LOGS
from everest_system.fsm.platform.table import TABLE as PLATFORM
from everest_system.fsm.table import StateRows
from everest_system.simulation.clock import FakeClock
from everest_system.simulation.crash_points import Watch
from everest_system.simulation.crashes import HOWS, crash_window
from everest_system.simulation.run import play, simulation_of
from everest_system.simulation.scenario import Scenario, load

GRID = sorted((Path(__file__).parents[2] / "crash_grid").glob("*.toml"))
FEWEST_CASES = 3_000
Move = tuple[str, str, str, str]  # of a machine, from a state, by an event, to a state

# What no story shows, and why.
OF_NO_STORY = {
    "ResumedTooOften",  # six crashes in one step: tests/fsm/test_resumes.py, and the real process
    "UpdateRequested",  # out of each end as out of INSTALLED, which update_after_update shows
    "UploadRequested",  # likewise: logs_after_logs
}
EXCEPT: set[Move] = {
    ("firmware", "AWAITING_PERMISSION", "Proceeding", "INSTALLING"),  # the configuration changed between two starts
    ("firmware", "INSTALLING", "InstallFailed", "ROLLING_BACK"),  # behind a crash: install_fails_when_resumed has that
    ("firmware", "INSTALLING", "SignatureInvalid", "INSTALL_VERIFICATION_FAILED"),  # the played installer says unfit
    ("logs", "UPLOADING", "UploadAttemptFailed", "BAD_MESSAGE"),  # these words come with refusals, and end at once
    ("logs", "UPLOADING", "UploadAttemptFailed", "NOT_SUPPORTED_OPERATION"),
    ("logs", "UPLOADING", "UploadAttemptFailed", "PERMISSION_DENIED"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a story, or all of them, shows.

    Attributes:
        moves: the transitions at whose moments it is crashed.
        cases: how many crashes that are.
    """

    moves: frozenset[Move]
    cases: int


def told(scenario: Scenario) -> Told:
    """Play a story without a crash."""
    watch = Watch(window=crash_window(scenario))
    with simulation_of(scenario, watch) as simulation:
        play(scenario, simulation)
        moments = {point.at for point in watch.points}
        steps = [step for change in simulation.memory.log for step in change.transitions]
        moves = frozenset(
            (step.machine, step.source, step.event, step.target)
            for step, at in zip(steps, simulation.stepped_at, strict=True)
            if at in moments
        )
    return Told(moves, len(watch.points) * len(HOWS))


def moves(machine: str, table: Mapping[Any, StateRows]) -> set[Move]:
    """The transitions of a table that the grid has to show."""
    return {
        (machine, state, row.event.__name__, row.to)
        for state, rows in table.items()
        for row in rows.rows
        if row.to is not None and row.event.__name__ not in OF_NO_STORY
    }


def to_be_shown() -> set[Move]:
    """All transitions of the tables that hold jobs."""
    return moves("firmware", FIRMWARE) | moves("logs", LOGS) | moves("platform", PLATFORM)


@pytest.fixture(scope="module")
def grid() -> Told:
    """All stories."""
    with FakeClock.shared():
        stories = [told(load(file)) for file in GRID]
    return Told(frozenset().union(*(story.moves for story in stories)), sum(story.cases for story in stories))


def test_the_grid_is_no_smaller_than_it_was(grid: Told) -> None:
    """The stories have as many points to die at as the README says, and more."""
    assert grid.cases >= FEWEST_CASES


def test_every_transition_is_crashed(grid: Told) -> None:
    """Each transition of an update, an upload and a reset is one at which some story of the grid is crashed."""
    assert to_be_shown() - grid.moves - EXCEPT == set()


def test_no_exception_is_out_of_date(grid: Told) -> None:
    """What is said to be in no story is in none, and in a table."""
    assert EXCEPT & grid.moves == set()
    assert to_be_shown() >= EXCEPT
