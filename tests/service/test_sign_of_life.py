"""What systemd is told, and when: from the loop's own turns."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from freezegun import freeze_time
from support.fake_clock import START, FakeClock
from support.service_manager import ServiceManager

from everest_system.io.notify_socket import NotifySocket
from everest_system.scheduling.reactor import Reactor
from everest_system.sign_of_life import SignOfLife, summary


def station(*module_ids: str, platform: str = "IDLE") -> SimpleNamespace:
    """As much of a station as has states."""

    def machine(state: str) -> SimpleNamespace:
        return SimpleNamespace(snapshot=SimpleNamespace(state=state))

    modules = {
        module_id: SimpleNamespace(firmware=machine("IDLE"), logs=machine("UPLOADING"), presence=machine("PRESENT"))
        for module_id in module_ids
    }
    return SimpleNamespace(modules=modules, platform=machine(platform))


@pytest.mark.parametrize(("watchdog_s", "beats"), [(60.0, 4), (None, 0)])
def test_loop_that_turns_tells_so_twice_in_the_time_allowed(
    tmp_path: Path, watchdog_s: float | None, beats: int
) -> None:
    """READY comes with the first turn, WATCHDOG at once and every half of its time; nobody counts, nothing is said."""
    with ServiceManager(tmp_path / "notify") as manager, freeze_time(START, ignore=["_pytest"]) as freezer:
        clock = FakeClock(freezer)
        reactor = Reactor(clock, lambda _event: sign.beat())
        sign = SignOfLife(NotifySocket(manager.name, watchdog_s), reactor, station("a"))
        sign.tell()
        sign.begin()
        manager.drain()
        assert manager.heard == []
        for _ in range(100):
            while reactor.turn(0):
                pass
            clock.advance(1)
        manager.drain()
        reactor.shutdown()
    assert manager.heard[:2] == ["READY=1", "STATUS=firmware IDLE, logs UPLOADING, EVerest PRESENT"]
    assert manager.heard[2:] == ["WATCHDOG=1"] * beats


def test_summary_names_modules_and_a_reset_where_there_are_any() -> None:
    """One module needs no name, and a machine underneath that does nothing is not spoken of."""
    states = "firmware IDLE, logs UPLOADING, EVerest PRESENT"
    assert summary(station("a")) == states
    assert summary(station("a", "b")) == f"a: {states}; b: {states}"
    assert summary(station("a", platform="RESETTING")) == f"{states}; platform RESETTING"
