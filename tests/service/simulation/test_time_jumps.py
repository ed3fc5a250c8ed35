"""Virtual time jumps, and nothing is lost by it."""

import time
from typing import Any

import pytest
from support.virtual import REQUEST, SIGNED, UPLOAD, virtual, words

from everest_system.simulation import parse, run
from everest_system.simulation.time_jumps import StuckError, TimeJumps

DAY_US = 86_400_000_000
STORY: dict[str, Any] = {
    "title": "t",
    "firmware": {"unsigned": "accept"},
    "world": {"download": [{"breaks_at_mb": 7.3}, "503", "ok"]},
    "everest": {"permits_after": "11m"},
    "step": [
        {"at": "10.3s", "everest": "update_firmware", "with": {**REQUEST, "retry_interval_s": 47}},
        {"at": "3m", "service": "kill", "away": "20s"},
        {"at": "5m", "everest": "restart", "away": "7.7s"},
        {"at": "7m", "clock": "-1h"},
        {"at": "8m", "broker": "cut"},
        {"at": "40m", "everest": "upload_logs", "with": UPLOAD},
        {"at": "40m 2.2s", "machine": "cut_power"},
    ],
    "lasts": "50m",
}


def story(entries: Any) -> list[tuple[int, str, str]]:
    """Times, to the millisecond, and deeds."""
    return [(entry.at // 1000, entry.who, entry.what) for entry in entries]


def test_counting_changes_nothing() -> None:
    """The story is the same whether heartbeats and checks are run or counted, to the millisecond."""
    counted, ran = (run(parse({**STORY, "counts": counts}, "s")) for counts in (True, False))
    assert story(counted.entries) == story(ran.entries)
    assert counted.counted == ran.counted
    assert counted.counted["heartbeats"] > 2000


def test_three_days_are_a_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three days with an update in them, a quarter of a million heartbeats and as many checks, are a few steps."""
    steps: list[int] = []
    original = TimeJumps._step_towards
    monkeypatch.setattr(TimeJumps, "_step_towards", lambda self, at: (steps.append(at), original(self, at)))
    with virtual() as simulation:
        simulation.everest().ask("update_firmware", {**SIGNED, "retrieve_timestamp": "2026-11-24T08:00:00.000Z"})
        simulation.run(3 * DAY_US)
        assert words(simulation)[-1] == "Installed"
        assert simulation.everest().beats > 3 * 86_000
    assert len(steps) < 500


def test_year_with_a_thousand_events() -> None:
    """A year with over a thousand events takes seconds, and misses neither an end status nor a communication check."""
    began = time.process_time()
    with virtual(firmware={"unsigned": "accept", "slots": {"activation": "none"}}) as simulation:
        everest = simulation.everest()

        def ask(number: int) -> None:
            if number % 2:
                everest.ask("upload_logs", {**UPLOAD, "request_id": number})
            else:
                everest.ask("update_firmware", {**REQUEST, "request_id": number})

        for number in range(250):
            simulation.agenda.at(number * DAY_US * 365 // 251 + 60_000_000, lambda number=number: ask(number))
        simulation.run(365 * DAY_US)
        ends = [heard.word for heard in everest.heard if heard.word in {"Installed", "Uploaded"}]
        assert len(ends) == 250
        assert len(simulation.timeline.entries) > 1000
        assert everest.gaps == 0
        assert everest.beats == pytest.approx(365 * 86_400, abs=5)
        assert everest.checks == pytest.approx(365 * 86_400 / 1.5, abs=5)
        assert not simulation.world.files
        assert not simulation.memory.load().rows
    assert time.process_time() - began < 15


def test_waiting_forever_is_quiet() -> None:
    """A permission that never comes, a broker that stays away, a CSMS that never answers: the simulation still ends."""
    for world, everest, broker in (
        ({}, {"permits_after": "never"}, "up"),
        ({}, {}, "down"),
        ({}, {"registers_after": "never"}, "up"),
    ):
        with virtual(world, everest) as simulation:
            simulation.everest().ask("update_firmware", SIGNED)
            simulation.run_for(5)
            simulation.set_broker(broker)
            simulation.run()
            assert simulation.clock.elapsed < DAY_US


def test_stuck() -> None:
    """Something that always finds more to do now is an error, and no hang."""
    with virtual() as simulation:

        def again() -> None:
            simulation.agenda.after(0, again)

        again()
        with pytest.raises(StuckError, match=r"at 10\.0"):
            simulation.run()
