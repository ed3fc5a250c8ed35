"""`everest-system run`."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from support.cli import run_cli
from support.service_process import ServiceProcess

from everest_system import log_lines, serve
from everest_system.commands import lean_imports
from everest_system.commands.lean_imports import load_lean


def test_service_stops_cleanly_and_loads_only_what_it_needs(service: ServiceProcess) -> None:
    """SIGTERM is exit code 0, and an idle service fits into 45 MiB."""
    service.covered = False  # what coverage puts into the process is not ours
    service.start()
    assert service.resident_kib() < 45 * 1024
    service.stop()
    assert service.exits == [0]


def test_folder_that_cannot_be_used_is_code_1(tmp_path: Path) -> None:
    """A state folder in a file's place ends the start in one line, without a traceback."""
    (tmp_path / "file").write_text("")
    config = tmp_path / "a.toml"
    config.write_text(f'[station]\nstate_dir = "{tmp_path}/file"\n')
    run = [sys.executable, "-m", "everest_system", "run", "-c", str(config)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("everest-system: ")
    assert done.stderr.count("\n") == 1


def test_bug_leaves_its_traceback_in_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What nobody expected is logged with its traceback, on one line, and ends the process with code 1."""

    def fail(_: object) -> None:
        raise ZeroDivisionError

    before, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    monkeypatch.setattr(serve, "serve", fail)
    config = tmp_path / "a.toml"
    config.write_text("")
    try:
        code, _, err = run_cli("--debug", "run", "-c", config)
        assert code == 1
        logged, *_ = err.splitlines()
        assert '"level": "critical"' in logged
        assert "ZeroDivisionError" in logged
        assert run_cli("run", "-c", config)[1:] != ("", "")
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers[:] = handlers
    assert log_lines.get_logger() is not None


def test_lean_imports_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins are found while the libraries load, and the real things afterwards."""
    monkeypatch.delitem(sys.modules, "concurrent.futures.process", raising=False)
    found = []

    def load() -> None:
        from concurrent.futures.process import BrokenProcessPool

        found.append(BrokenProcessPool)

    load_lean(load)
    assert found == [RuntimeError]
    assert "concurrent.futures.process" not in sys.modules
    import asyncio

    assert callable(asyncio.run)


def test_a_library_that_asks_for_more_is_loaded_the_ordinary_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new release of a library may need what the stand-ins have not: the station starts all the same."""
    monkeypatch.delitem(sys.modules, "concurrent.futures.process", raising=False)
    monkeypatch.setattr(lean_imports, "_LIBRARIES", frozenset({"no_library"}))  # this process goes on with its own
    tries = []

    def load() -> None:
        tries.append(1)
        from concurrent.futures.process import EXTRA_QUEUED_CALLS

        tries.append(EXTRA_QUEUED_CALLS)

    load_lean(load)
    assert tries == [1, 1, 1]
