"""A killed process is waited for as long as it is worth it, and never becomes a zombie."""

import threading
from pathlib import Path
from subprocess import Popen

from everest_system.io.reaping import reap

DEADLINE_S = 30.0


def test_what_is_gone_in_time_is_taken_in_at_once():
    """No thread is needed for it."""
    with Popen(["/bin/sleep", "60"]) as process:
        process.kill()
        reap(process, DEADLINE_S)
        assert process.returncode == -9
        assert reapers(process) == []


def test_what_takes_longer_is_taken_in_later():
    """The caller goes on, and the process is no zombie when it has ended after all."""
    with Popen(["/bin/sleep", "60"]) as process:
        reap(process, 0)
        assert process.returncode is None
        (thread,) = reapers(process)
        process.kill()
        thread.join(DEADLINE_S)
        assert not Path(f"/proc/{process.pid}").exists()


def reapers(process: Popen[bytes]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"reap-{process.pid}"]
