"""The path as text for a terminal."""

import pytest

from everest_system.diagrams.edges import edges
from everest_system.diagrams.machines import MACHINES, Machine
from everest_system.diagrams.path_text import WIDTH, text_path

ROUND = [("DownloadAttemptFailed", "DOWNLOAD_RETRY_SCHEDULED"), ("RetryTimeReached", "DOWNLOADING")]


def test_a_path():
    """Each step has a line with its number, event, state and word, in columns."""
    path = [("UploadRequested", "ACCEPTED"), ("Settled", "COLLECTING"), ("LogsCollected", "UPLOADING")]
    assert text_path("logs", path).splitlines() == [
        "   IDLE",
        "1  ├─ UploadRequested ──▶ ACCEPTED",
        "2  ├─ Settled ──────────▶ COLLECTING",
        "3  ╰─ LogsCollected ────▶ UPLOADING   Uploading",
    ]


def test_no_steps_yet():
    """A path without steps is the state where it begins."""
    assert text_path("presence", []).strip() == "ABSENT"
    assert text_path("presence", [("", "PRESENT")]).strip() == "PRESENT"


def test_two_rounds_are_shown():
    """Three attempts are shown step by step."""
    lines = text_path("firmware", [("", "DOWNLOADING"), *ROUND * 2]).splitlines()
    assert [line.split()[0] for line in lines] == ["DOWNLOADING", "1", "2", "3", "4"]


def test_many_rounds_are_counted():
    """More rounds are counted in one line, and the numbers go on behind them."""
    path = [("UpdateRequested", "ACCEPTED"), ("Settled", "DOWNLOADING"), *ROUND * 7, ("DownloadFinished", "DOWNLOADED")]
    lines = text_path("firmware", path).splitlines()
    assert [line.split()[0] for line in lines] == ["IDLE", "1", "2", "3", "4", "5", "6", "┊", "17"]
    assert lines[-2] == "    ┊  these 2 steps, 5 more times"
    assert "╰─ DownloadFinished ───────▶ DOWNLOADED" in lines[-1]


def test_one_step_again_and_again():
    """A step back into the same state is counted alike, also as the last."""
    lines = text_path("platform", [("", "RESETTING"), *[("ResetOverdue", "RESETTING")] * 3]).splitlines()
    assert lines[-1] == "   ┊  this step, 1 more time"
    assert len(lines) == 4


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
def test_every_step_fits(machine: Machine):
    """The longest names of a machine fit into the width together, none of them cut."""
    single, shared = edges(machine)
    steps = [(cause.event, edge.target) for edge in single for cause in edge.causes]
    steps += [(each.cause.event, each.target) for each in shared]
    text = text_path(machine.name, steps)
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert "…" not in text


def test_a_name_without_end():
    """A name of another version that is too long is cut, and seen to be."""
    last = text_path("logs", [("E" * 90, "S" * 90)]).splitlines()[-1]
    assert len(last) == WIDTH
    assert last.endswith("…")


def test_unknown_machine():
    """A machine that does not exist is refused."""
    with pytest.raises(ValueError, match="no machine modem"):
        text_path("modem", [])
