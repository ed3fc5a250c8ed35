"""What the store has and makes no sense costs one machine what it remembers, and no request its end."""

import json
from dataclasses import replace

import pytest
from support.firmware_driver import WAYS, FirmwareDriver
from support.firmware_driver import S as F
from support.logs_driver import WAYS as LOGS_WAYS
from support.logs_driver import LogsDriver
from support.logs_driver import S as L
from support.virtual import REQUEST, virtual
from support.virtual import words as heard

from everest_system.fsm.firmware.machine import FirmwareMachine
from everest_system.fsm.firmware.rules import FirmwareRules
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.firmware.states import ENDS as FIRMWARE_ENDS
from everest_system.fsm.logs.machine import LogsMachine, LogsRules
from everest_system.fsm.logs.snapshot import LogsSnapshot
from everest_system.fsm.logs.states import ENDS as LOGS_ENDS
from everest_system.fsm.machine import Status
from everest_system.fsm.orders import RemoveArchive, RollBack
from everest_system.fsm.outbox import OutboxRow
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.io.store.store import Saved
from everest_system.salvage import salvage

FIRMWARE, LOGS, PRESENCE = ((("system_api"), name) for name in ("firmware", "logs", "presence"))
ROW = OutboxRow(7, "system_api", Status("firmware", 3, 42, 2, "Downloading", False, ""))
WRECKS = ["", "{", "null", "[]", '"x"', "{�}", "[" * 100_000, '{"state": []}', '{"request": {"request_id": "x"}}']


def stored(driver, **changes):
    """A snapshot as the store has it, with properties overwritten from outside."""
    return json.dumps({**json.loads(driver.snapshot.model_dump_json()), **changes})


def start(text, key=FIRMWARE, rows=()):
    """The machine that comes back, and what its start leads to."""
    found = salvage(Saved({key: text}, tuple(rows), 9))
    assert found.change.snapshots == found.saved.snapshots
    assert len(found.problems) == 1
    mended = found.saved.snapshots[key]
    if key is LOGS:
        machine = LogsMachine(LogsSnapshot.model_validate_json(mended), LogsRules())
    else:
        machine = FirmwareMachine(FirmwareSnapshot.model_validate_json(mended), FirmwareRules())
    return machine, machine.recover(FirmwareDriver().clock.now()), found.problems[0]


def test_what_makes_sense_is_left_as_it_is():
    """Nothing is changed, and nothing said, where everything can be read, machines of other versions among it."""
    saved = Saved(
        {FIRMWARE: stored(FirmwareDriver.at(F.INSTALLING)), LOGS: "{}", ("system_api", "weather"): "fine"}, (ROW,), 9
    )
    found = salvage(saved)
    assert (found.saved, found.change.is_empty, found.problems) == (saved, True, ())


@pytest.mark.parametrize("text", WRECKS)
def test_a_snapshot_that_tells_nothing_begins_anew(text):
    """Its machine forgets; no number that is still spoken of is given a second time, and no other machine notices."""
    other = stored(LogsDriver.at(L.UPLOADING))
    found = salvage(Saved({FIRMWARE: text, LOGS: other}, (ROW,), 9))
    assert found.saved.snapshots[LOGS] == other
    assert FirmwareSnapshot.model_validate_json(found.saved.snapshots[FIRMWARE]) == FirmwareSnapshot(job=3)
    assert found.saved.rows == (ROW,)
    (problem,) = found.problems
    assert problem.startswith("the stored state of firmware of system_api cannot be read (")
    assert problem.endswith("): it begins anew")


@pytest.mark.parametrize("state", sorted(set(WAYS) - FIRMWARE_ENDS - {F.IDLE}))
def test_an_update_in_an_unknown_state_comes_to_its_end(state):
    """A state that only a newer version knows ends the update as failed, rolled back once installing had begun."""
    update = FirmwareDriver.at(state)
    _, outcome, problem = start(stored(update, state="POLISHING"))
    if state in {F.ACCEPTED, F.DOWNLOAD_SCHEDULED, F.DOWNLOADING, F.DOWNLOAD_PAUSED, F.DOWNLOAD_RETRY_SCHEDULED}:
        assert [(said.word, said.request_id, said.is_end) for said in outcome.statuses] == [("DownloadFailed", 7, True)]
    else:
        assert outcome.snapshot.state is F.ROLLING_BACK
        assert [order.target for order in outcome.orders if isinstance(order, RollBack)] == [update.snapshot.target]
    assert outcome.snapshot.job == update.snapshot.job
    assert outcome.snapshot.timers == {}
    assert problem == (
        "the stored state of firmware of system_api cannot be read (state: enum): its request ends as failed"
    )


@pytest.mark.parametrize("boots", [False, True], ids=["same boot", "next boot"])
@pytest.mark.parametrize("state", [F.INSTALLING, F.REBOOTING, F.CONFIRMING])
def test_an_unknown_state_behind_the_point_of_no_return_is_rolled_back_and_said_once(state, boots):
    """From there an update goes through ROLLING_BACK to one InstallationFailed, which EVerest hears, and hears once."""
    slow = {"install_s": 300, "reboot_s": 300} if state is not F.CONFIRMING else {"health": "bad"}
    rules = {"platform": {"kind": "systemd", "health_check": ["true"], "health_check_interval_s": 300}}
    with virtual(slow, firmware={"unsigned": "accept"}, **rules) as simulation:
        simulation.everest().ask("update_firmware", REQUEST)
        while simulation.state(*FIRMWARE) != state:
            simulation.run_for(10)
        said = heard(simulation)
        simulation.kill_service(None)
        text = json.loads(simulation.memory.load().snapshots[FIRMWARE])
        newer = json.dumps({**text, "state": "POLISHING", "colour": "red"})
        begun = len(simulation.memory.history)
        simulation.memory.commit(salvage(replace(simulation.memory.load(), snapshots={FIRMWARE: newer})).change)
        if boots:
            simulation.cut_power(30)
        else:
            simulation.start_service()
        simulation.run_for(3600)
        assert [step.target for step in simulation.memory.history[begun:] if step.machine == "firmware"] == [
            "ROLLING_BACK", "INSTALLATION_FAILED",
        ]  # fmt: skip
        assert heard(simulation) == [*said, "InstallationFailed"]
        assert simulation.memory.load().rows == ()
        slots = simulation.world.slots("system_api")
        assert (slots.current, slots.running, simulation.state("", "platform")) == ("a", "a", "IDLE")


@pytest.mark.parametrize(
    ("state", "broken"),
    [
        *((state, {"permission": "perhaps"}) for state in sorted(FIRMWARE_ENDS - {F.CANCELED})),
        # DownloadFailed may have been that of an attempt: there the end is said again
        *((state, {"state": "POLISHED"}) for state in sorted(FIRMWARE_ENDS - {F.CANCELED, F.DOWNLOAD_FAILED})),
    ],
)
def test_an_update_that_is_over_is_not_ended_twice(state, broken):
    """Where the end status was said, or the state is an end, the machine begins anew behind its job number."""
    update = FirmwareDriver.at(state)
    _, outcome, _ = start(stored(update, **broken))
    assert (outcome.snapshot.state, outcome.snapshot.job, outcome.statuses) == (F.IDLE, 1, ())


@pytest.mark.parametrize(
    "broken", [{"timers": 5}, {"artifact": "x"}, {"part": {"length": -1}}, {"job": "x"}, {"work": [], "target": {}}]
)
def test_the_least_that_can_be_told_is_enough(broken):
    """Whatever else is broken, a request that can be told is ended."""
    _, outcome, _ = start(stored(FirmwareDriver.at(F.DOWNLOADING), **broken))
    assert [(said.word, said.request_id) for said in outcome.statuses] == [("DownloadFailed", 7)]


@pytest.mark.parametrize("state", sorted(set(LOGS_WAYS) - LOGS_ENDS - {L.IDLE}))
def test_an_upload_in_an_unknown_state_comes_to_its_end(state):
    """It ends with UploadFailure, and leaves no archive."""
    upload = LogsDriver.at(state)
    _, outcome, _ = start(stored(upload, state="ENVELOPING"), LOGS)
    assert [(said.word, said.is_end) for said in outcome.statuses] == [("UploadFailure", True)]
    assert RemoveArchive(1, "logs-7.tar.gz") in outcome.orders


@pytest.mark.parametrize("state", [L.UPLOADED, L.PERMISSION_DENIED])
def test_an_upload_that_is_over_is_not_ended_twice(state):
    """Its last word was the end."""
    _, outcome, _ = start(stored(LogsDriver.at(state), state="DELIVERED"), LOGS)
    assert (outcome.snapshot.state, outcome.statuses) == (L.IDLE, ())


def test_presence_begins_behind_all_runs_that_are_spoken_of():
    """A status from before is never taken for one of the EVerest that comes next."""
    found = salvage(Saved({PRESENCE: '{"state": "ELSEWHERE", "run": 1}'}, (ROW,), 9))
    assert PresenceSnapshot.model_validate_json(found.saved.snapshots[PRESENCE]).run == 2
    found = salvage(Saved({PRESENCE: '{"state": "ELSEWHERE", "run": 5}'}, (ROW,), 9))
    assert PresenceSnapshot.model_validate_json(found.saved.snapshots[PRESENCE]).run == 5


def test_the_machine_underneath_begins_anew():
    """The platform belongs to no module, and the line says so."""
    found = salvage(Saved({("", "platform"): '{"tries": "many"}'}, (), 0))
    assert found.problems == (
        "the stored state of platform of the station cannot be read (tries: int_parsing): it begins anew",
    )


def test_no_problem_shows_a_password():
    """Values are never shown: an address may have a password in it."""
    text = stored(FirmwareDriver.at(F.DOWNLOADING), reason={"https://me:secret@host/": 1})
    assert "secret" not in start(text)[2]


@pytest.mark.parametrize(
    "wrong",
    [{"word": "Polishing"}, {"predecessor": "Polishing"}, {"machine": "weather"}, {"job": "x"}, {"request_id": b"x"}],
    ids=str,
)
def test_statuses_that_say_nothing_are_dropped(wrong):
    """A row that could not be sent is gone, from the store too, and those around it are sent."""
    bad = OutboxRow(8, "system_api", replace(ROW.status, **wrong))
    after = replace(ROW, seq=9)
    found = salvage(Saved({}, (ROW, bad, after), 9))
    assert found.saved.rows == (ROW, after)
    assert found.change.rows_removed == [8]
    assert found.problems == ("1 waiting statuses cannot be read, and are dropped",)
