"""The integrator's word on the new firmware."""

import threading
import time

import pytest

from everest_system.fsm.errors import CanceledError
from everest_system.io.platforms.health import health_check

NEVER = threading.Event()


@pytest.mark.parametrize(
    ("argv", "healthy"),
    [
        ([], True),
        (["/bin/sh", "-c", "exit 0"], True),
        (["/bin/sh", "-c", "exit 1"], False),
        (["/bin/sh", "-c", "kill -KILL $$"], False),
        (["/nowhere/check"], False),
        (["sleep", "60"], False),
    ],
)
def test_healthy(argv: list[str], healthy: bool) -> None:
    """Exit code 0 in time, or no program at all, is healthy; everything else is not."""
    assert health_check(argv, 0.2, NEVER) is healthy


def test_cancel() -> None:
    """A canceled check says neither yes nor no, within 200 ms."""
    canceled, at = threading.Event(), [0.0]

    def cancel() -> None:
        at[0] = time.monotonic()
        canceled.set()

    timer = threading.Timer(0.1, cancel)
    timer.start()
    with pytest.raises(CanceledError):
        health_check(["sleep", "60"], 30, canceled)
    assert time.monotonic() - at[0] < 0.2
    timer.join()
