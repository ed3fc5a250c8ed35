"""The integrator's word on the new firmware."""

import threading

import pytest
from support.machine_time import machine_time

from everest_system.fsm.errors import CanceledError
from everest_system.io.platforms.health import health_fault

NEVER = threading.Event()


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        ([], ""),
        (["/bin/sh", "-c", "exit 0"], ""),
        (["/bin/sh", "-c", "exit 3"], "/bin/sh exited with 3"),
        (["/bin/sh", "-c", "kill -KILL $$"], "/bin/sh was ended by signal 9"),
        (["/nowhere/check"], "/nowhere/check was not found, or its interpreter was not"),
        (["sleep", "60"], "sleep did not end within 2 s and was killed"),
    ],
)
def test_healthy(argv: list[str], fault: str) -> None:
    """Exit code 0 in time, or no program at all, is healthy; everything else is a fault, and says which."""
    assert health_fault(argv, 2, NEVER) == fault


def test_cancel() -> None:
    """A canceled check says neither yes nor no, within 200 ms."""
    canceled, at = threading.Event(), [0.0]

    def cancel() -> None:
        at[0] = machine_time()
        canceled.set()

    timer = threading.Timer(0.1, cancel)
    timer.start()
    with pytest.raises(CanceledError):
        health_fault(["sleep", "60"], 30, canceled)
    assert machine_time() - at[0] < 0.2
    timer.join()
