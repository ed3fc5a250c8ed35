"""The search for EVerest's modules, step by step, in time that only a test moves."""

import json
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs
from support.fake_clock import FakeClock

from everest_system.configuration.settings import Settings
from everest_system.discovery import search
from everest_system.discovery.known import MOST_MODULES, KnownModules, load, save
from everest_system.discovery.search import LARGEST_QUESTION_BYTES, MOST_ANSWERS, OWNER, Search
from everest_system.fsm.errors import WorldError
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.logs.states import LogsState
from everest_system.io.mqtt.link import Connected, Disconnected, MessageArrived
from everest_system.ports import ModulesChanged
from everest_system.scheduling.reactor import TimerFired

BEACON = "everest_api/ready_beacon"
QUERY = "everest_api/query-modules/system"


def asks_boot_reason(module_id):
    return f"everest_api/1/system/{module_id}/e2m/get_boot_reason"


class Beside:
    """The station that a search stands beside: its clock, timers and wire, its modules with their states.

    Attributes:
        asked: the reply topics of the questions that went out.
        posted: what the search has posted.
        may_start_anew: as of the station.
    """

    def __init__(self, state_dir, **station):
        self.clock = FakeClock()
        self.edges = SimpleNamespace(clock=self.clock, timers=self, wire=self)
        self.asked, self.posted, self.may_start_anew = [], [], True
        self._due = {}
        station = {"module_ids": ["auto"], "state_dir": str(state_dir), **station}
        self.search = Search(Settings.model_validate({"station": station}))
        self.start()

    def start(self):
        """Start, with the modules that the search knows."""
        self._due.clear()
        self.posted.clear()
        self.modules = {module_id: module() for module_id in self.search.settings.station.module_ids}
        self.search.begin(self, self.posted.append)

    def arm(self, owner, name, seconds):
        assert owner == OWNER
        self._due[name] = self.clock.monotonic + seconds

    def publish(self, topic, payload, qos):
        assert (topic, qos) == (QUERY, 1)
        self.asked.append(json.loads(payload)["headers"]["replyTo"])
        return 1

    def pass_time(self, seconds):
        """Let time pass; timers fire when they are due."""
        end = self.clock.monotonic + seconds
        while due := [(at, name) for name, at in self._due.items() if at <= end]:
            at, name = min(due)
            self.clock.advance(at - self.clock.monotonic)
            del self._due[name]
            assert self.search.takes(TimerFired(OWNER, name, 0))
        self.clock.advance(end - self.clock.monotonic)

    def connect(self, link=1):
        assert not self.search.takes(Connected(link))

    def hear(self, topic, payload=b"{}", *, retained=False):
        """Whether the search takes a message for itself."""
        return self.search.takes(MessageArrived(1, topic, payload, retained, 1))

    def answer(self, *module_ids, period_s=5, api_type="system"):
        """Each module answers the last question."""
        for module_id in module_ids:
            watch = {"communication_check_period_s": period_s}
            entry = {"module_id": module_id, "type": api_type, "version": 1, "communication_monitoring": watch}
            assert self.hear(self.asked[-1], json.dumps({"apis": [entry]}).encode())

    @property
    def served(self):
        return tuple(self.modules)


def module(firmware=FirmwareState.IDLE, logs=LogsState.IDLE):
    def machine(state):
        return SimpleNamespace(snapshot=SimpleNamespace(state=state))

    return SimpleNamespace(firmware=machine(firmware), logs=machine(logs))


@pytest.fixture
def station(tmp_path):
    """A station that never heard of any EVerest."""
    return Beside(tmp_path)


@pytest.fixture
def settled(tmp_path):
    """A station that knows the modules a and b, connected, with its first question answered."""
    save(tmp_path, KnownModules(periods_s={"a": 5, "b": 5}))
    station = Beside(tmp_path)
    station.connect()
    station.answer("a", "b")
    station.pass_time(10)
    assert station.posted == []
    return station


def test_the_first_answers_make_the_modules(station, tmp_path):
    """Nothing is served at first; a second after the last answer what was found is stored and taken up."""
    assert station.served == ()
    station.connect()
    station.answer("b")
    station.pass_time(0.9)
    station.answer("a")
    station.pass_time(0.9)
    assert station.posted == []
    station.pass_time(0.1)
    assert station.posted == [ModulesChanged()]
    assert load(tmp_path) == KnownModules(periods_s={"a": 5, "b": 5})
    station.start()
    assert station.served == ("a", "b")
    station.pass_time(60)
    assert station.posted == []


def test_an_older_release_gets_the_default(station, tmp_path):
    """Where nobody answers in time the default id is served, also by the next process; the first answer still wins."""
    station.connect()
    station.pass_time(9.9)
    assert station.posted == []
    station.pass_time(0.1)
    assert station.posted == [ModulesChanged()]
    after = Beside(tmp_path)
    assert after.served == ("system_api",)
    after.connect()
    after.pass_time(3600)
    assert after.posted == []
    after.hear(BEACON)
    after.answer("x")
    after.pass_time(1)
    assert after.posted == [ModulesChanged()]
    assert Beside(tmp_path).served == ("x",)


def test_without_a_broker_nobody_is_given_up(station):
    """The time for an answer only counts while there is somebody to ask, anew with each connection."""
    station.pass_time(3600)
    station.connect()
    station.pass_time(8)
    assert not station.search.takes(Disconnected(1, "gone"))
    station.pass_time(60)
    assert station.posted == []
    station.connect(2)
    station.pass_time(9)
    assert station.posted == []
    station.pass_time(1)
    assert station.posted == [ModulesChanged()]


def test_an_answer_in_the_last_second_counts(station, tmp_path):
    """Answers that are still coming when the time is over are waited for."""
    station.connect()
    station.pass_time(4.5)
    station.hear(BEACON)
    station.pass_time(4.9)
    station.answer("x")
    station.pass_time(2)
    assert load(tmp_path).module_ids == ("x",)


def test_a_start_without_everest_has_its_modules(settled, tmp_path):
    """What was known is served at once by the next process, and nobody's silence changes that."""
    again = Beside(tmp_path)
    assert again.served == ("a", "b")
    again.connect()
    again.pass_time(3600)
    assert (again.served, again.posted) == (("a", "b"), [])


def test_a_beacon_asks_again(settled):
    """A module that is gone once all could answer is given up, and a new one is taken up."""
    settled.hear(BEACON)
    settled.answer("b", "c")
    settled.pass_time(1)
    assert settled.posted == [ModulesChanged()]
    settled.start()
    assert settled.served == ("b", "c")


@pytest.mark.parametrize(
    "working", [module(firmware=FirmwareState.DOWNLOADING), module(logs=LogsState.UPLOADING)], ids=["update", "upload"]
)
def test_a_module_with_a_job_is_kept(settled, working):
    """A module that is gone with a job under way stays until that has ended and EVerest says so again."""
    settled.modules["a"] = working
    settled.hear(BEACON)
    settled.answer("b")
    settled.pass_time(10)
    assert settled.posted == []
    settled.modules["a"] = module(FirmwareState.INSTALLED, LogsState.UPLOADED)
    settled.hear(BEACON)
    settled.answer("b")
    settled.pass_time(10)
    assert settled.posted == [ModulesChanged()]


def test_a_beacon_without_answers_changes_nothing(settled):
    """An EVerest whose system modules say nothing has not given them up."""
    settled.hear(BEACON)
    settled.answer("evse", api_type="evse_manager")
    settled.pass_time(60)
    assert settled.posted == []


def test_the_busy_station_is_not_disturbed(settled, tmp_path):
    """What is found while an update or a reset must not be disturbed is stored at once, and taken up afterwards."""
    settled.may_start_anew = False
    settled.hear(BEACON)
    settled.answer("a", "b", "c")
    settled.pass_time(600)
    assert settled.posted == []
    assert load(tmp_path).module_ids == ("a", "b", "c")
    settled.may_start_anew = True
    settled.pass_time(1)
    assert settled.posted == [ModulesChanged()]


@pytest.mark.parametrize(("period_s", "posted"), [(2, [ModulesChanged()]), (60, [])])
def test_another_period_counts_where_it_changes_the_pace(settled, tmp_path, period_s, posted):
    """Less patience of EVerest's is taken up; more of it is only noted."""
    settled.hear(BEACON)
    settled.answer("a", "b", period_s=period_s)
    settled.pass_time(1)
    assert settled.posted == posted
    assert load(tmp_path).periods_s == {"a": period_s, "b": period_s}


def test_beacons_without_end_ask_once_at_a_time(settled):
    """While a beacon's question is open others ask nothing, and a retained one never does."""
    before = len(settled.asked)
    settled.hear(BEACON, retained=True)
    assert len(settled.asked) == before
    for _ in range(100):
        assert settled.hear(BEACON)
    assert len(settled.asked) == before + 1
    settled.pass_time(10)
    settled.hear(BEACON)
    assert len(settled.asked) == before + 2


def test_late_and_malformed_answers_count_for_nothing(settled):
    """An answer that makes no sense, or that nobody waits for any more, changes nothing."""
    settled.answer("late")
    settled.pass_time(10)
    settled.hear(BEACON)
    assert settled.hear(settled.asked[-1], b"\xff" * 100)
    settled.pass_time(10)
    assert settled.posted == []


def test_answers_without_end_are_cut_short(settled, tmp_path):
    """Neither more answers than 64 nor more modules than 16 are looked at, and the known ones stay."""
    settled.hear(BEACON)
    settled.answer(*(f"{number}" for number in range(MOST_ANSWERS - 2)), "a", "b")
    settled.answer("more")
    settled.pass_time(1)
    now = load(tmp_path).module_ids
    assert len(now) == MOST_MODULES
    assert {"a", "b"} < set(now)


def test_a_timer_that_was_put_off_ends_nothing(station):
    """A timer that was on its way when one more answer came does not end the round."""
    station.connect()
    station.answer("a")
    assert station.search.takes(TimerFired(OWNER, "RoundOver", 0))
    assert station.posted == []
    station.answer("b")
    station.pass_time(1)
    assert station.posted == [ModulesChanged()]


def test_the_boot_reason_is_answered_once_the_module_is_served(station):
    """A question for the boot reason that came before its module was known is handed on in the next start."""
    station.connect()
    topic = asks_boot_reason("a")
    assert station.hear(topic, b"first")
    assert station.hear(topic, b"second")
    assert station.hear(asks_boot_reason("stranger"))
    station.answer("a")
    station.pass_time(1)
    station.start()
    station.connect(7)
    assert station.posted == [MessageArrived(7, topic, b"second", False, 1)]
    assert not station.hear(topic)
    station.connect(8)
    assert len(station.posted) == 1


def test_not_everything_is_kept(station):
    """A retained question or a large one is dropped, and of many strangers' the latest sixteen are kept."""
    station.connect()
    assert station.hear(asks_boot_reason("a"), retained=True)
    assert station.hear(asks_boot_reason("b"), b" " * (LARGEST_QUESTION_BYTES + 1))
    for number in [*range(19), 3, 19]:
        assert station.hear(asks_boot_reason(f"m{number}"))
    station.answer("a", "b", "m2", "m3")
    station.pass_time(1)
    station.start()
    station.connect()
    assert [message.topic for message in station.posted] == [asks_boot_reason("m3")]


def test_modules_without_end(settled, tmp_path):
    """Somebody who names another module each second has the service start anew three times in a minute, and no more."""
    starts = []
    for number in range(120):
        settled.hear(BEACON)
        settled.answer("a", "b", f"m{number % 7}")
        settled.pass_time(1)
        if settled.posted:
            starts.append(settled.clock.monotonic)
            settled.start()
            settled.connect()
    assert 3 <= len(starts) <= 9
    assert all(later - earlier >= 59 for earlier, later in zip(starts, starts[3:], strict=False))
    settled.pass_time(120)
    assert set(load(tmp_path).module_ids) == set(settled.search.settings.station.module_ids)


def test_what_is_as_before_by_then(settled):
    """Modules that came and went while the station was busy are no reason to start anew."""
    settled.may_start_anew = False
    for names in ("abc", "ab"):
        settled.hear(BEACON)
        settled.answer(*names)
        settled.pass_time(10)
    settled.may_start_anew = True
    settled.pass_time(10)
    assert settled.posted == []


def refuse(*_):
    """A disk without room."""
    raise WorldError("modules.json: No space left on device")


def test_a_full_disk(settled, tmp_path, monkeypatch):
    """What cannot be stored is not taken up: all goes on as it was, and EVerest is asked again a minute later."""
    with monkeypatch.context() as disk, capture_logs() as lines:
        disk.setattr(search, "save", refuse)
        settled.hear(BEACON)
        settled.answer("a", "b", "c")
        settled.pass_time(1)
    assert (settled.posted, load(tmp_path).module_ids) == ([], ("a", "b"))
    assert "and stay as they were: modules.json: No space left on device" in lines[-1]["event"]
    before = len(settled.asked)
    settled.pass_time(60)
    assert len(settled.asked) == before + 1
    settled.answer("a", "b", "c")
    settled.pass_time(1)
    assert (settled.posted, load(tmp_path).module_ids) == ([ModulesChanged()], ("a", "b", "c"))


def test_nobody_is_asked_again_without_a_broker(settled, monkeypatch):
    """Whoever connects asks anyway."""
    monkeypatch.setattr(search, "save", refuse)
    settled.hear(BEACON)
    settled.answer("a", "b", "c")
    settled.pass_time(1)
    before = len(settled.asked)
    assert not settled.search.takes(Disconnected(1, "gone"))
    settled.pass_time(600)
    assert len(settled.asked) == before


def test_the_rest_is_the_stations(settled):
    """Other messages and other timers go past."""
    assert not settled.hear("everest_api/1/system/a/e2m/heartbeat", b"1")
    assert not settled.search.takes(TimerFired("a/firmware", "Settled", 1))
    assert {topic for topic, _ in settled.search.subscriptions} == {BEACON, settled.asked[-1], asks_boot_reason("+")}
