"""The drawings as text."""

import os
import re
import subprocess
import sys

import pytest

from everest_system.diagrams.edges import edges
from everest_system.diagrams.machines import MACHINES
from everest_system.diagrams.source import dot, mermaid

PATH = [
    ("UpdateRequested", "ACCEPTED"), ("Settled", "DOWNLOADING"),
    ("DownloadAttemptFailed", "DOWNLOAD_RETRY_SCHEDULED"), ("RetryTimeReached", "DOWNLOADING"),
    ("UpdateRequested", "CANCELED"), ("UpdateRequested", "ACCEPTED"),
]  # fmt: skip


def node(text: str, state: str) -> str:
    """The line of Graphviz source that describes `state`."""
    return next(line for line in text.splitlines() if line.strip().startswith(f"{state} ["))


def arrow(text: str, way: str) -> str:
    """The line of source that draws the arrow `way`."""
    return next(line for line in text.splitlines() if line.strip().startswith(way))


def mermaid_class(text: str, state: str) -> str:
    """The class in which Mermaid source puts `state`."""
    members = re.findall(r"^    class (\S+) (\w+)$", text, re.MULTILINE)
    (found,) = [name for states, name in members if state in states.split(",")]
    return found


@pytest.mark.parametrize("draw", [dot, mermaid])
@pytest.mark.parametrize("name", MACHINES)
def test_every_state_and_arrow(name: str, draw):
    """Each state stands in the drawing, with its word, and each arrow, with all its causes."""
    text, machine = draw(name), MACHINES[name]
    sign = "->" if draw is dot else "-->"
    for state in machine.table:
        line = node(text, state) if draw is dot else arrow(text, f'state "{state}')
        for part in (machine.word(state) or "").split(", "):
            assert part in line
    single, shared = edges(machine)
    for edge in single:
        line = arrow(text, f"{edge.source} {sign} {edge.target} ")
        assert all(str(cause) in line for cause in edge.causes)
    for number, each in enumerate(shared):
        assert str(each.cause) in arrow(text, f"many_{number} {sign} {each.target} ")
    assert len(re.findall(f" {sign} ", text)) == len(single) + len(shared) + 1


@pytest.mark.parametrize("name", MACHINES)
def test_the_same_bytes_in_another_process(name: str):
    """Neither the order of hashes nor an earlier drawing changes a byte."""
    program = (
        "import sys; from everest_system.diagrams.source import dot, mermaid;"
        f"sys.stdout.buffer.write((dot({name!r}) + mermaid({name!r})).encode())"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        made = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout
        assert made == (dot(name) + mermaid(name)).encode()


def test_states_that_publish_look_different():
    """A state with a word, one without, a good end and another end have four looks."""
    states = ("DOWNLOADED", "CONFIRMING", "INSTALLED", "CANCELED")
    looks = {node(dot("firmware"), state).split("</b>")[1].partition("style=")[2] for state in states}
    assert len(looks) == len(states)
    classes = [mermaid_class(mermaid("firmware"), state) for state in states]
    assert classes == ["publishes", "silent", "succeeded", "ended"]


def test_machines_without_words():
    """Where no state publishes anything, none is drawn as lacking it."""
    assert "dashed" not in dot("platform")
    assert mermaid_class(mermaid("platform"), "RESETTING") == "plain"


@pytest.mark.parametrize("name", MACHINES)
def test_beginning_and_engine(name: str):
    """The initial state is marked, and the source names its engine."""
    assert f"start -> {MACHINES[name].initial} " in dot(name)
    assert f"[*] --> {MACHINES[name].initial}\n" in mermaid(name)
    assert "layout=dot" in dot(name)


def test_states_that_can_be_canceled_are_marked():
    """The sign in the summary stands beside exactly the states that it speaks of."""
    for text in (dot("logs"), mermaid("logs")):
        names = {line.split("✕")[0] for line in text.splitlines() if "✕" in line and "any state" not in line}
        found = {state for state in MACHINES["logs"].table for line in names if re.search(rf"\b{state}\b", line)}
        assert found == {"ACCEPTED", "COLLECTING", "UPLOADING", "UPLOAD_RETRY_SCHEDULED"}


def test_path_in_dot():
    """The steps taken are coloured and numbered, on shared arrows too, and nothing else is."""
    text = dot("firmware", current="ACCEPTED", path=PATH)
    taken = {line.split(" [")[0].strip() for line in text.splitlines() if "->" in line and "penwidth=2.6" in line}
    assert taken == {
        "IDLE -> ACCEPTED", "ACCEPTED -> DOWNLOADING", "DOWNLOADING -> DOWNLOAD_RETRY_SCHEDULED",
        "DOWNLOAD_RETRY_SCHEDULED -> DOWNLOADING", "many_0 -> ACCEPTED", "many_1 -> CANCELED",
    }  # fmt: skip
    assert "(3) DownloadAttemptFailed [attempts_left]" in arrow(text, "DOWNLOADING -> DOWNLOAD_RETRY_SCHEDULED")
    assert "(5) UpdateRequested" in arrow(text, "many_1 -> CANCELED")
    visited = {line.split(" [")[0].strip() for line in text.splitlines() if "penwidth=3" in line}
    assert visited == {"IDLE", "ACCEPTED", "DOWNLOADING", "DOWNLOAD_RETRY_SCHEDULED", "CANCELED"}
    assert [line.split(" [")[0].strip() for line in text.splitlines() if "penwidth=4" in line] == ["ACCEPTED"]


def test_only_the_event_of_a_step_is_numbered():
    """On an arrow with several causes the numbers stand at the one that came."""
    text = dot("firmware", path=[("", "DOWNLOADED"), ("ArtifactUnfit", "SIGNATURE_VERIFIED")])
    line = arrow(text, "DOWNLOADED -> SIGNATURE_VERIFIED")
    assert 'label=" SignatureVerified \\l (1) ArtifactUnfit [is_signed] \\l InstallFailed [is_signed] \\l"' in line


def test_path_in_mermaid():
    """Steps are numbered, and the states passed and the present one are coloured."""
    text = mermaid("firmware", current="ACCEPTED", path=PATH)
    assert arrow(text, "DOWNLOADING --> DOWNLOAD_RETRY_SCHEDULED").endswith(
        ": (3) DownloadAttemptFailed [attempts_left]"
    )
    assert arrow(text, "many_0 --> ACCEPTED").endswith(": (6) UpdateRequested")
    assert mermaid_class(text, "ACCEPTED") == "current"
    assert mermaid_class(text, "CANCELED") == "taken"
    assert mermaid_class(text, "INSTALLED") == "succeeded"


@pytest.mark.parametrize("draw", [dot, mermaid])
def test_a_history_of_another_version(draw):
    """Steps and states that the table does not have are left out of the drawing."""
    unknown = [("", "HIBERNATING"), ("Thawed", "MELTING")]
    assert draw("firmware", path=unknown) == draw("firmware")


@pytest.mark.parametrize("draw", [dot, mermaid])
def test_refused(draw):
    """Unknown machines and present states are refused."""
    with pytest.raises(ValueError, match="no machine modem"):
        draw("modem")
    with pytest.raises(ValueError, match="logs has no state INSTALLING"):
        draw("logs", current="INSTALLING")
