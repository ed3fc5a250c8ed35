"""What a path marks."""

import pytest

from everest_system.diagrams.edges import Cause
from everest_system.diagrams.machines import MACHINES
from everest_system.diagrams.trail import numbered, trail

FIRMWARE = MACHINES["firmware"]
SETTLED = Cause("Settled", "else")


def test_a_path_begins_in_the_initial_state():
    """Without another beginning the first step left the initial state, and steps count from 1."""
    marks = trail(FIRMWARE, None, [("UpdateRequested", "ACCEPTED"), ("Settled", "DOWNLOADING")])
    assert marks.visited == {"IDLE", "ACCEPTED", "DOWNLOADING"}
    assert marks.steps == {("IDLE", "UpdateRequested", "ACCEPTED"): (1,), ("ACCEPTED", "Settled", "DOWNLOADING"): (2,)}
    assert marks.numbers(["ACCEPTED"], SETTLED, "DOWNLOADING") == [2]
    assert marks.numbers(["ACCEPTED"], SETTLED, "DOWNLOAD_SCHEDULED") == []


def test_another_beginning():
    """A first pair with an empty event names the state where the path begins, and is no step."""
    marks = trail(FIRMWARE, None, [("", "INSTALLED"), ("UpdateRequested", "ACCEPTED")])
    assert marks.visited == {"INSTALLED", "ACCEPTED"}
    assert marks.steps == {("INSTALLED", "UpdateRequested", "ACCEPTED"): (1,)}


def test_no_path():
    """Without a path nothing is visited, not even the initial state."""
    marks = trail(FIRMWARE, "IDLE", ())
    assert (marks.current, marks.visited, marks.steps) == ("IDLE", frozenset(), {})


def test_steps_of_several_sources():
    """The steps along a shared arrow come in their order, whichever state they left."""
    path = [("UpdateRequested", "CANCELED"), ("UpdateRequested", "ACCEPTED"), ("UpdateRequested", "CANCELED")]
    marks = trail(FIRMWARE, None, path)
    assert marks.numbers(["ACCEPTED", "IDLE"], Cause("UpdateRequested", None), "CANCELED") == [1, 3]


def test_unknown_current_state():
    """A present state that the machine does not have is refused."""
    with pytest.raises(ValueError, match="the machine firmware has no state ASLEEP"):
        trail(FIRMWARE, "ASLEEP", ())


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], "Settled [else]"),
        ([7], "(7) Settled [else]"),
        ([1, 3, 5, 7], "(1, 3, 5, 7) Settled [else]"),
        ([1, 3, 5, 7, 9], "(1, 3, 5 … 9) Settled [else]"),
    ],
)
def test_numbers(numbers: list[int], text: str):
    """A few steps are all named, of many the first ones and the last."""
    assert numbered(SETTLED, numbers) == text
