"""What is received, and what goes no further: a message that nobody says now."""

import pytest
from support.virtual import virtual

from everest_system.io.mqtt.link import MessageArrived

RESET = "everest_api/1/system/system_api/e2m/reset"


@pytest.mark.parametrize(
    ("retained", "older", "boots"),
    [(True, 0, 0), (False, 1, 0), (False, 0, 1)],
    ids=["retained", "of the connection before", "of now"],
)
def test_a_stale_reset_is_not_obeyed(retained: bool, older: int, boots: int) -> None:
    """A reset that the broker has kept, or that came over a connection that is gone, resets nothing."""
    with virtual() as simulation:
        life = simulation.life
        assert life is not None
        link = life.station.broker._link
        assert link is not None
        life.station.handle(
            MessageArrived(link - older, RESET, b'{"type":"Hard","scheduled":false}', retained=retained, qos=1)
        )
        simulation.run_for(120)
        assert simulation.clock.boots == boots
