"""Following what the service does."""

from dataclasses import dataclass, field
from time import monotonic
from types import SimpleNamespace

import pytest

from everest_system.demo.follower import Follower, UnexpectedError
from everest_system.everest_side import NoStatusError, Status

STATE = {"state": "DOWNLOADING", "reason": "the server said 503", "progress": {"done": 5, "total": 10}}


@dataclass
class Scene:
    """A stage and a screen in one: EVerest hears what `statuses` has, and `shown` is what the screen was told."""

    statuses: list = field(default_factory=list)
    warnings: list = field(default_factory=list)
    shown: list = field(default_factory=list)
    report: dict = field(default_factory=dict)

    def __post_init__(self):
        self.everest = self
        self.machine = SimpleNamespace(check=lambda: None, ask_status=lambda: self.report)

    @property
    def arrived(self):
        return self.statuses

    def wait_for(self, wanted, *, timeout_s, since):
        raise NoStatusError("none")

    def status(self, at_s, word, remark):
        self.shown.append((word, remark))

    def busy(self, text):
        self.shown.append(text)

    def progress(self, done, total):
        self.shown.append((done, total))


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def follower(scene):
    return Follower(scene, scene, monotonic(), step_timeout_s=0.05)


def status(word, request_id=1, dropped=""):
    return Status(monotonic(), "firmware", word, request_id, dropped)


def test_statuses_in_order_are_shown(scene, follower):
    """Each status that is due is shown with its remark, and what goes on from there."""
    scene.statuses += [status("Downloading"), status("Downloaded")]
    follower.follow("firmware", 1, "Downloading", "from afar", "downloading")
    follower.follow("firmware", 1, "Downloaded")
    follower.require_silence()
    assert scene.shown == ["downloading", ("Downloading", "from afar"), "", ("Downloaded", "")]


@pytest.mark.parametrize("other", [status("Downloaded"), status("Downloading", 2), status("InvalidSignature")])
def test_another_status_is_unexpected(scene, follower, other):
    """Another word or request than the one due is an error that names both."""
    scene.statuses.append(other)
    with pytest.raises(UnexpectedError, match=rf"^{other.word} of request \d came, Downloading of request 1 was due$"):
        follower.follow("firmware", 1, "Downloading")


def test_a_status_that_does_not_come(scene, follower):
    """Waiting has an end, which says what the service is about, and progress is shown until then."""
    scene.report = {"modules": {"system_api": {"firmware": STATE}}}
    why = "; the service is in DOWNLOADING: the server said 503$"
    with pytest.raises(UnexpectedError, match=rf"^Downloaded of request 1 did not come within 0.05 s{why}"):
        follower.follow("firmware", 1, "Downloaded")
    assert (5, 10) in scene.shown


def test_something_that_does_not_happen(scene, follower):
    """Waiting for something else has an end too, and no status may come before it."""
    with pytest.raises(UnexpectedError, match="the reboot did not come within"):
        follower.wait_until(lambda: False, "the reboot")
    scene.statuses.append(status("InstallationFailed"))
    with pytest.raises(UnexpectedError, match="InstallationFailed came, the reboot was due"):
        follower.wait_until(lambda: False, "the reboot")
    follower.wait_until(lambda: True, "the reboot")


def test_what_comes_too_much_is_unexpected(scene, follower):
    """At the end neither a status nor a complaint of EVerest's may be left over."""
    scene.warnings.append("a reply is malformed")
    with pytest.raises(UnexpectedError, match="EVerest complains: a reply is malformed"):
        follower.require_silence()
    scene.statuses += [status("Installed"), status("Idle", dropped="repeats the last one")]
    with pytest.raises(UnexpectedError, match="more statuses came than were due: "):
        follower.require_silence()
