"""The played EVerest drops what the real one drops."""

import pytest
from support.virtual import SIGNED, virtual, words

TOPIC = "everest_api/1/system/system_api/m2e/"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("firmware_update_status", b"not JSON"),
        ("firmware_update_status", b'{"firmware_update_status":"Fine","request_id":1}'),
        ("log_status", b'{"log_status":"Uploaded"}'),
        ("communication_check", b"1"),
        ("reply/unasked", b"true"),
    ],
)
def test_malformed(topic: str, payload: bytes) -> None:
    """A malformed message is noted, and as good as never sent."""
    with virtual() as simulation:
        everest = simulation.everest()
        everest.receive(TOPIC + topic, payload)
        assert len(everest.warnings) == 1
        assert everest.warnings[0].startswith(TOPIC + topic)
        assert everest.heard == []


def test_end_of_checking() -> None:
    """`false` ends the watch for the life of that EVerest: no silence is a fault any more, no later `true` counts."""
    with virtual(station={"stop_communication_check_on_exit": True}) as simulation:
        everest = simulation.everest()
        assert not everest.fault
        simulation.stop_service(20)
        checks = everest.checks
        simulation.run_for(60)
        assert (everest.fault, everest.gaps, everest.checks) == (False, 0, checks + 1)


def test_fault() -> None:
    """A silence of more than five seconds raises the fault; the next check clears it."""
    with virtual() as simulation:
        everest = simulation.everest()
        simulation.kill_service(10)
        simulation.run_for(4)
        assert not everest.fault
        simulation.run_for(4)
        assert everest.fault
        simulation.run_for(4)
        assert (everest.fault, everest.gaps) == (False, 1)


def test_word_that_ends_it() -> None:
    """A log status that OCPP 1.6 does not survive ends the run."""
    with virtual(everest={"ocpp": "1.6"}) as simulation:
        everest = simulation.everest()
        everest.receive(TOPIC + "log_status", b'{"log_status":"AcceptedCanceled","request_id":1}')
        assert not everest.is_running


def test_permission_after_restart() -> None:
    """What an EVerest was going to do ends with it."""
    with virtual(everest={"permits_after": 60}) as simulation:
        simulation.everest().ask("update_firmware", SIGNED)
        simulation.run_for(30)
        simulation.end_everest("it is stopped", None)
        simulation.run_for(600)
        assert words(simulation)[-1] == "SignatureVerified"
        assert simulation.state("system_api", "firmware") == "AWAITING_PERMISSION"
