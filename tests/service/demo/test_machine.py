"""The machine that the demonstration plays, with services that behave badly."""

import os
import sys
import textwrap
from collections import deque

import pytest
from support.stations import wait_for_file

from everest_system.demo import machine as machine_module
from everest_system.demo.machine import Machine, MachineError

SERVICE = """
    import os, signal, sys, threading
    from pathlib import Path
    from everest_system.io.control.server import ControlServer

    behaviour, folder, config = sys.argv[1:]
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: None if behaviour == "deaf" else told.set())
    answer = {"broker_connected": behaviour != "lonely", "environment": sorted(os.environ), "config": config}
    server = ControlServer(Path(folder, "control.sock"), lambda request: request.respond(answer))
    print("a word", flush=True)
    told.wait(0.3 if behaviour == "short-lived" else 60)
    server.close()
    sys.exit(3 if behaviour == "sour" else 0)
"""


@pytest.fixture
def machine(tmp_path):
    made = []

    def make(behaviour):
        made.append(Machine(tmp_path, tmp_path, (sys.executable, "-c", textwrap.dedent(SERVICE), behaviour, tmp_path)))
        return made[-1]

    yield make
    for each in made:
        each.shut_down()


def test_each_boot_is_another(machine, tmp_path, monkeypatch):
    """A boot starts the service with the configuration, takes a new boot id and forgets the order that led to it."""
    monkeypatch.setenv("EVEREST_SYSTEM_MQTT__PORT", "1")
    ours = machine("good")
    ours.boot(tmp_path / "station.toml")
    first = ours.boot_id_file.read_text()
    status = ours.ask_status()
    assert status["config"] == str(tmp_path / "station.toml")
    assert "EVEREST_SYSTEM_MQTT__PORT" not in status["environment"]
    assert not ours.reboot_ordered
    os.spawnvp(os.P_WAIT, ours.reboot_program[0], ours.reboot_program)
    assert ours.reboot_ordered
    ours.shut_down()
    assert ours.ask_status() == {}
    ours.boot(tmp_path / "station.toml")
    assert not ours.reboot_ordered
    assert ours.boot_id_file.read_text() != first
    assert ours.last_lines(5) == ["a word", "a word"]


def test_a_service_that_ends_by_itself_is_noticed(machine, tmp_path):
    """A service that is gone is told with its exit code."""
    ours = machine("short-lived")
    ours.boot(tmp_path / "station.toml")
    with pytest.raises(MachineError, match="the service ended by itself, with exit code 0"):
        deque(iter(ours.check, "never"), maxlen=0)


def test_a_service_without_a_broker_is_not_waited_for_forever(machine, tmp_path, monkeypatch):
    """A service that finds no broker fails the boot."""
    monkeypatch.setattr(machine_module, "_START_S", 0.5)
    ours = machine("lonely")
    with pytest.raises(MachineError, match="has not found the broker"):
        ours.boot(tmp_path / "station.toml")
    wait_for_file(tmp_path / "control.sock")  # before that it does not know what to do when it is told to stop


def test_a_service_that_stops_badly(machine, tmp_path):
    """Another exit code than 0 at the end is a failure."""
    ours = machine("sour")
    ours.boot(tmp_path / "station.toml")
    with pytest.raises(MachineError, match="the service stopped with exit code 3"):
        ours.shut_down()


def test_a_service_that_does_not_stop(machine, tmp_path, monkeypatch):
    """A service that does not hear SIGTERM is killed, and that is a failure."""
    monkeypatch.setattr(machine_module, "_STOP_S", 0.2)
    ours = machine("deaf")
    ours.boot(tmp_path / "station.toml")
    with pytest.raises(MachineError, match="does not stop within"):
        ours.shut_down()
    assert ours.ask_status() == {}


def test_nothing_has_run_yet(machine):
    """A machine that has never booted has no last words, and can be shut down."""
    ours = machine("good")
    ours.check()
    ours.shut_down()
    assert ours.last_lines(5) == []
