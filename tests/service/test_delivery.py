"""Statuses on their way from the machines to EVerest, and what the log says of it."""

import json

import pytest
from structlog.testing import capture_logs
from support.virtual import SIGNED, UPLOAD, virtual, words

from everest_system.fsm.errors import WorldError
from everest_system.io.store.store import Change


def test_the_log_tells_only_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transition whose transaction fails has not happened, and no line says that it has."""

    def fail(_change: Change) -> None:
        raise WorldError("the disk is full")

    with virtual() as simulation, capture_logs() as lines:
        monkeypatch.setattr(simulation.memory, "commit", fail)
        simulation.everest().ask("update_firmware", SIGNED)
        with pytest.raises(WorldError):
            simulation.run_for(1)
    assert [line["event"] for line in lines if "->" in line["event"]] == []


def test_the_log_tells_each_transition() -> None:
    """Each line carries the module, the request and the event, once the transition is stored."""
    with virtual() as simulation, capture_logs() as lines:
        simulation.everest().ask("update_firmware", SIGNED)
        simulation.run_for(1)
    told = [line for line in lines if "->" in line["event"]]
    assert [line["event"] for line in told] == ["firmware: IDLE -> ACCEPTED", "firmware: ACCEPTED -> DOWNLOADING"]
    assert (told[0]["module_id"], told[0]["request_id"], told[0]["cause"]) == ("system_api", 1, "UpdateRequested")


def test_the_log_tells_what_a_full_outbox_forgets() -> None:
    """Too many statuses for an EVerest that is away: one warning says how many are gone."""
    with virtual({"upload": ["503"], "collect_s": 0.0}) as simulation, capture_logs() as lines:
        everest = simulation.everest()
        everest.ask("upload_logs", {**UPLOAD, "retries": 600, "retry_interval_s": 1})
        simulation.broker.ack_s = 1e6
        simulation.run_for(3600)
    assert [line["count"] for line in lines if line["event"].startswith("too many statuses wait")]


def test_a_late_acknowledgement_does_not_speak_for_the_next_sending() -> None:
    """EVerest restarts while the broker is slow: its word on the first sending leaves the second one in flight."""
    with virtual({"ack_s": 3.0}, {"registers_after": 0.0}) as simulation:
        simulation.everest().ask("upload_logs", {**UPLOAD, "retries": 1})
        simulation.run_for(1)
        simulation.end_everest("it is restarted", 1)
        simulation.run_for(1.5)
        life = simulation.life
        assert life is not None
        outbox = life.station.modules["system_api"].outbox
        again = outbox.in_flight
        assert again is not None
        assert again.number > 1
        simulation.run_for(1.7)  # the first acknowledgement comes, and a heartbeat behind it
        assert outbox.in_flight == again
        simulation.run_for(30)
        assert words(simulation, "log")[-1] == "Uploaded"
        assert not outbox.rows


@pytest.mark.parametrize("off_s", [0, 1000, -1000])
def test_an_everest_that_is_not_known_again_may_be_the_same(off_s: float) -> None:
    """Its pace was measured badly before our start: it still gets the pair that passes its filter, and permits."""
    with virtual(everest={"permits_after": "2h"}) as simulation:
        everest = simulation.everest()
        everest.ask("update_firmware", SIGNED)
        simulation.run_for(3600)
        assert simulation.state("system_api", "firmware") == "AWAITING_PERMISSION"
        simulation.kill_service(None)
        simulation.run_for(7200)  # the permission comes while nobody hears it
        key = ("system_api", "presence")
        presence = json.loads(simulation.memory.load().snapshots[key])
        presence["known"]["began_at"] += off_s
        simulation.memory.commit(Change(snapshots={key: json.dumps(presence)}))
        simulation.start_service()
        simulation.run_for(3 * 3600)
        assert everest.runs <= 2  # the update's own reboot, and no other
        assert words(simulation)[-1] == "Installed"
