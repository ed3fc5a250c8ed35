"""The parts of a simulation: the service in it, its modules, its operator, its timeline."""

import json

from support.virtual import SIGNED, UPLOAD, virtual, words

from everest_system.configuration.settings import Settings
from everest_system.simulation import Simulation, parse, run


def test_dry_run() -> None:
    """platform.kind = dry_run: a reboot starts the station anew in place, EVerest and the clock are left alone."""
    with virtual(platform={"kind": "dry_run"}) as simulation:
        everest = simulation.everest()
        everest.ask("update_firmware", SIGNED)
        simulation.run()
        assert words(simulation)[-2:] == ["InstallRebooting", "Installed"]
        assert (simulation.clock.boots, everest.runs, everest.gaps) == (1, 1, 0)
        question = everest.ask("set_system_time", "2030-01-01T00:00:00.000Z")
        simulation.run_for(1)
        assert question.replies == [True]
        assert simulation.clock.sets == []


def test_state_without_service() -> None:
    """Machines' states come from the store while no service runs, and the operator finds nobody."""
    with Simulation(Settings()) as simulation:
        assert simulation.state("system_api", "firmware") == "NONE"
        assert simulation.ask_operator("status") == {"error": "no service runs"}
        simulation.begin()
        simulation.run_for(10)
        simulation.everest().ask("update_firmware", SIGNED)
        simulation.run_for(1)
        simulation.kill_service(None)
        simulation.run_for(1)
        assert simulation.state("system_api", "firmware") in {"IDLE", "DOWNLOADING", "NONE"}
        simulation.kill_service(None)


def test_operator_sees_progress() -> None:
    """`status` shows how far the work has come."""
    with virtual({"download_s": 100}) as simulation:
        simulation.everest().ask("update_firmware", SIGNED)
        simulation.run_for(25.5)
        told = simulation.ask_operator("status")
        assert told["modules"]["system_api"]["firmware"]["progress"] == {"done": 25, "total": 100}


def test_two_modules() -> None:
    """Two modules share broker and machine, and nothing else: each hears of its own requests."""
    with virtual(station={"module_ids": ["one", "two"]}) as simulation:
        simulation.everest("one").ask("upload_logs", UPLOAD)
        simulation.everest("two").ask("upload_logs", {**UPLOAD, "request_id": 2})
        simulation.run()
        heard = {name: {each.request_id for each in simulation.everest(name).heard} for name in ("one", "two")}
        assert heard == {"one": {1}, "two": {2}}


def test_prefix() -> None:
    """The external prefix stands before every topic as it is, with no slash added."""
    with virtual(mqtt={"external_prefix": "site7-"}) as simulation:
        simulation.everest().ask("update_firmware", SIGNED)
        simulation.run()
        assert words(simulation)[-1] == "Installed"
        assert all(topic.startswith("site7-everest_api/1/") for topic, _, _ in simulation.broker.log)


def test_timeline_renders() -> None:
    """A timeline is text for people and JSON for programs, failures included."""
    timeline = run(parse({"title": "A title", "step": [{"at": "1s", "everest": "restart"}], "end": {"boots": 3}}, "s"))
    text = timeline.as_text()
    assert text.startswith("A title\n")
    assert "00:00:01.000  EVerest   ends: it is restarted\n" in text
    assert text.endswith("FAILED: s: end.boots: expected 3, it is 0\n")
    told = json.loads(timeline.as_json())
    assert told["entries"][0] == {
        "at_s": 0.0,
        "wall": "2026-11-22T08:00:00.000Z",
        "who": "world",
        "what": "the service starts",
    }
    assert told["failures"] == timeline.failures
