"""Short ways to a simulation for tests that need more than a scenario can say."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from everest_system.configuration.settings import Settings
from everest_system.simulation import Simulation
from everest_system.simulation.behaviour import EverestBehaviour, WorldBehaviour

REQUEST = {"request_id": 1, "location": "https://csms.example/fw.bin"}
SIGNED = {**REQUEST, "signing_certificate": "PEM", "signature": "base64"}
UPLOAD = {"request_id": 1, "location": "https://csms.example/logs/"}


@contextmanager
def virtual(
    world: dict[str, Any] | None = None, everest: dict[str, Any] | None = None, **settings: Any
) -> Iterator[Simulation]:
    """A simulation that has begun, and gone on for ten seconds."""
    with Simulation(
        Settings.model_validate({"platform": {"kind": "systemd"}, **settings}),
        WorldBehaviour.model_validate(world or {}),
        EverestBehaviour.model_validate(everest or {}),
    ) as simulation:
        simulation.begin()
        simulation.run_for(10)
        yield simulation


def words(simulation: Simulation, kind: str = "firmware", request_id: int = 1) -> list[str]:
    """What the CSMS heard of a request, in order."""
    return [
        heard.word
        for heard in simulation.everest().heard
        if (heard.kind, heard.request_id, heard.dropped) == (kind, request_id, "")
    ]
