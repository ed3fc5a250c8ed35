"""The service dies at every point of every story of the grid, and nothing is lost by it."""

from pathlib import Path
from typing import Any

import pytest

from everest_system.simulation import parse
from everest_system.simulation.crash_points import CrashPoint, SuddenEnd, Watch
from everest_system.simulation.crashes import StoryError, crash_window, crashes
from everest_system.simulation.invariants import violations
from everest_system.simulation.run import play, simulation_of
from everest_system.simulation.scenario import load

GRID = sorted((Path(__file__).parents[2] / "crash_grid").glob("*.toml"))
SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))
STORY: dict[str, Any] = {
    "title": "t",
    "world": {"upload_s": 4},
    "expect": [{"upload": 1, "statuses": ["Uploading", "Uploaded"]}],
    "step": [{"at": "5.2s", "everest": "upload_logs", "with": {"request_id": 1, "location": "https://csms.example/"}}],
}


@pytest.mark.parametrize("file", GRID, ids=lambda file: file.stem)
def test_every_crash(file: Path, record_property: Any) -> None:
    """A crash at any point of the story, of the service alone or with the machine, costs nothing but time."""
    scenario = load(file)
    scenario.name = file.name
    found = crashes(scenario)
    assert not found.violations, "\n".join(found.violations)
    record_property("crash_cases", found.cases)


@pytest.mark.soak
@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_every_crash_of_a_scenario(file: Path, record_property: Any) -> None:
    """The same holds for the scenarios, which nobody wrote to be crashed."""
    test_every_crash(file, record_property)


def points_of(story: dict[str, Any]) -> list[CrashPoint]:
    scenario = parse(story, "s")
    watch = Watch(window=crash_window(scenario))
    with simulation_of(scenario, watch) as simulation:
        play(scenario, simulation)
    return watch.points


def test_places() -> None:
    """Each transaction has a point before it, one behind it, and one behind each of its orders."""
    points = points_of({**STORY, "crashes": {"until": "5.9s"}})
    assert [(point.at / 1e6, point.place) for point in points] == [
        (5.2, "before it"), (5.2, "behind it"), (5.2, "behind reply"),
        (5.7, "before it"), (5.7, "behind it"), (5.7, "behind CollectLogs"),
    ]  # fmt: skip


def test_window() -> None:
    """Only the points in the window count."""
    points = points_of({**STORY, "crashes": {"from": "5.3s", "until": "5.9s"}})
    assert {point.at for point in points} == {5_700_000}


def test_nothing_is_carried_out_behind_the_point() -> None:
    """Before the transaction nothing is stored, behind it nothing is ordered yet."""
    scenario = parse({**STORY, "lasts": "5.3s", "expect": []}, "s")
    for number, (state, replies) in enumerate([("NONE", 0), ("ACCEPTED", 0), ("ACCEPTED", 1)]):
        watch = Watch(number, window=(5_200_000, 6_000_000))
        with simulation_of(scenario, watch) as simulation:
            play(scenario, simulation)
            assert simulation.life is None
            assert simulation.state("system_api", "logs") == state
            (question,) = (one for one in simulation.everest().questions if one.command == "upload_logs")
            assert len(question.replies) == replies


def test_no_ordinary_handler_takes_the_end_for_an_error() -> None:
    """What ends the process passes by everything that handles exceptions."""
    assert not issubclass(SuddenEnd, Exception)


def test_a_loss_is_found() -> None:
    """The harness can fail: a world that forgets the archive when the service dies is found out."""
    scenario = parse({**STORY, "crashes": {"from": "6.8s", "until": "10s"}}, "s")
    assert not crashes(scenario).violations
    tidy = "everest_system.simulation.world.World.tidy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tidy, lambda world, *_args, **_kwargs: world.files.clear())
        lines = crashes(scenario).violations
    assert any("ends with UploadFailure, without the crash with Uploaded" in line for line in lines)


def test_a_word_of_the_connectors_that_is_lost_is_found() -> None:
    """The harness can fail: a status that forgets on its way what it says of the connectors is found out."""
    scenario = load(GRID[0].with_name("connectors_stay_unsigned.toml"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("everest_system.fsm.outbox.WITH_METADATA", frozenset())
        with simulation_of(scenario) as simulation:
            play(scenario, simulation)
            assert [line for line in violations(simulation) if "Downloaded at 00:00:09.500 says True of" in line]


def test_a_crash_in_the_last_moment_is_no_loss() -> None:
    """A service that is just away when the story's time is over comes back before anything is judged."""
    found = crashes(parse({**STORY, "lasts": "5.3s", "expect": []}, "s"))
    assert found.cases > 0
    assert not [line for line in found.violations if "does not run" in line]


def test_a_story_that_fails_by_itself_is_refused() -> None:
    """A story has to come out as it says before crashes are tried."""
    with pytest.raises(StoryError, match="nothing is expected of upload 1"):
        crashes(parse({**STORY, "expect": []}, "s"))
