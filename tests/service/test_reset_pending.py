"""A reset waits for an update, and for nothing that is not there."""

from support.virtual import REQUEST, virtual

from everest_system.configuration.settings import Settings
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.io.store.store import Change
from everest_system.report import PLATFORM
from everest_system.simulation import Simulation

STATION = {"firmware": {"unsigned": "accept", "slots": {"activation": "none"}}}
RESET = {"type": "Hard", "scheduled": False}


def reset_pending(simulation: Simulation) -> None:
    """A reset comes while an update installs, which it never ends."""
    simulation.everest().ask("update_firmware", REQUEST)
    simulation.run_for(60)
    simulation.everest().ask("reset", RESET)
    simulation.run_for(10)
    assert simulation.state("system_api", "firmware") == "INSTALLING"
    assert simulation.state(*PLATFORM) == "RESET_PENDING"
    simulation.kill_service(None)


def test_an_update_that_is_forgotten() -> None:
    """The update's snapshot was lost with a damaged store: the reset that waited for its end is done soon."""
    with virtual({"install_s": 36000}, **STATION) as simulation:
        reset_pending(simulation)
        nothing = FirmwareSnapshot(job=1).model_dump_json()
        simulation.memory.commit(Change(snapshots={("system_api", "firmware"): nothing}))
        simulation.start_service()
        simulation.run_for(300)
        assert (simulation.clock.boots, simulation.state(*PLATFORM)) == (1, "IDLE")


def test_a_module_that_is_served_no_more() -> None:
    """The update's module is not configured any more: the reset that waited for its end is done soon."""
    with virtual({"install_s": 36000}, **STATION) as simulation:
        reset_pending(simulation)
        simulation.settings = Settings.model_validate(
            {"platform": {"kind": "systemd"}, "station": {"module_ids": ["other"]}, **STATION}
        )
        simulation.end_everest("its modules change", None)
        simulation.start_service()
        assert simulation.state(*PLATFORM) == "RESET_PENDING"
        simulation.run_for(60)
        assert simulation.state(*PLATFORM) == "RESETTING"


def test_starts_do_not_put_it_off() -> None:
    """A reset whose update has ended is done a minute later, however often the service starts in between."""
    with virtual({"install_s": 100}, **STATION) as simulation:
        reset_pending(simulation)
        simulation.end_everest("nobody shall hear", None)
        simulation.start_service()
        simulation.run_for(110)
        ended = simulation.clock.elapsed
        assert (simulation.state("system_api", "firmware"), simulation.clock.boots) == ("INSTALLED", 0)
        while not simulation.clock.boots:
            simulation.kill_service(1)
            simulation.run_for(5)
            assert simulation.clock.elapsed - ended < 120 * 1_000_000
