"""What the operator is told, and when."""

from dataclasses import replace

import pytest
from support.virtual import REQUEST, virtual

from everest_system.fsm.errors import WorldError
from everest_system.io.control.server import ControlRequest
from everest_system.io.store.store import Change
from everest_system.ports import Memory


class Watched:
    """Stands before a memory, and says when something is stored, or fails to be."""

    def __init__(self, memory: Memory, told: list[str], *, breaks: bool) -> None:
        self.memory, self.told, self.breaks = memory, told, breaks

    def commit(self, change: Change) -> None:
        """Store it, unless this disk is broken."""
        if self.breaks:
            raise WorldError("the disk is full")
        if not change.is_empty:
            self.told.append("stored")
        self.memory.commit(change)


def pause(*, breaks: bool) -> list[str]:
    """What happens, in order, when a running download is to be paused."""
    with virtual({"download_s": 600}, firmware={"unsigned": "accept"}) as simulation:
        simulation.everest().ask("update_firmware", REQUEST)
        simulation.run_for(30)
        life = simulation.life
        assert life is not None
        told: list[str] = []
        edges = life.station.edges
        life.station.edges = replace(edges, memory=Watched(edges.memory, told, breaks=breaks))
        request = ControlRequest("pause", {}, lambda answer: told.append(next(iter(answer))))
        if breaks:
            with pytest.raises(WorldError):
                life.station.handle(request)
        else:
            life.station.handle(request)
        return told


def test_stored_before_answered() -> None:
    """Who was told that it is paused finds it paused after a power cut."""
    assert pause(breaks=False)[:2] == ["stored", "done"]


def test_not_stored_not_done() -> None:
    """What could not be stored was not done, and the operator hears so."""
    assert pause(breaks=True) == ["error"]
