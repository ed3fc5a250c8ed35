"""The real service as a unit of `Type=notify`, with a socket of ours in systemd's place."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.service_manager import ServiceManager
from support.service_process import ServiceProcess

WATCHDOG_S = 0.4


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceManager]:
    """Whom the service finds in its environment."""
    with ServiceManager(tmp_path / "notify") as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", manager.name)
        monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG_S * 1e6)))
        yield manager


@pytest.fixture
def service(tmp_path: Path, manager: ServiceManager) -> Iterator[ServiceProcess]:
    """A service whose broker is away."""
    service = ServiceProcess(tmp_path, None, {"mqtt": {"port": 1}})
    service.start(wait_for="started")
    yield service
    service.close()


def test_ready_means_that_it_serves(service: ServiceProcess, manager: ServiceManager) -> None:
    """READY is the first word, comes without any broker, and from then on the control socket answers."""
    assert manager.next(60) == "READY=1"
    assert service.ask("status")["modules"]
    assert manager.wait_for("STATUS=") == "STATUS=firmware IDLE, logs IDLE, EVerest ABSENT"


def test_status_follows_the_state(service: ServiceProcess, manager: ServiceManager) -> None:
    """A reset by the operator is to be read in `systemctl status`."""
    manager.wait_for("STATUS=")
    service.ask("reset")
    told = manager.wait_for("STATUS=")
    assert "; platform RESET" in told


def test_watchdog_is_the_loops_own(service: ServiceProcess, manager: ServiceManager) -> None:
    """WATCHDOG keeps coming, falls silent when the process hangs, and comes again when it goes on."""
    for _ in range(4):
        manager.wait_for("WATCHDOG=1", timeout_s=20)
    os.kill(service.pid, signal.SIGSTOP)
    try:
        manager.drain()  # what was on its way
        while manager.next(0.05):
            pass
        assert manager.next(2 * WATCHDOG_S) is None
    finally:
        os.kill(service.pid, signal.SIGCONT)
    manager.wait_for("WATCHDOG=1", timeout_s=20)


def test_a_hung_loop_tells_where_it_hangs(service: ServiceProcess, manager: ServiceManager) -> None:
    """The signal by which systemd ends it leaves a traceback of the loop in the journal, whatever other threads do."""
    service.supervise()  # Restart=always
    manager.wait_for("WATCHDOG=1")
    os.kill(service.pid, signal.SIGABRT)
    service.wait_for("Fatal Python error: Aborted")
    service.wait_for("reactor.py")
    manager.wait_for("READY=1")
    assert service.exits == [-signal.SIGABRT]


def test_stopping_is_told_before_it_stops(service: ServiceProcess, manager: ServiceManager) -> None:
    """After SIGTERM, once, as the last word."""
    manager.wait_for("READY=1")
    service.stop()
    manager.drain()
    assert manager.heard[-1] == "STOPPING=1"
    assert manager.heard.count("STOPPING=1") == 1


def test_its_programs_do_not_answer_for_it(tmp_path: Path, manager: ServiceManager) -> None:
    """The environment of the running service names no notify socket any more."""
    program = "import os, everest_system.serve as s; n = s.NotifySocket.from_environment(os.environ); n.ready(); "
    program += "os.execvp('printenv', ['printenv'])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert manager.next(20) == "READY=1"
    assert "NOTIFY_SOCKET" not in printed
    assert "WATCHDOG" not in printed
