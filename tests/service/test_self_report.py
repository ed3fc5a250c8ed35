"""What the service says of itself goes along with the logs, and a store that cannot be read does not stop them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from everest_system import self_report
from everest_system.configuration.settings import Settings
from everest_system.io.logs.window import LogWindow
from everest_system.io.store.records import Transition
from everest_system.io.store.store import Change, Store
from everest_system.version import __version__

BASE = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def test_without_a_store(tmp_path: Path) -> None:
    """What cannot be had is told in its place."""
    settings = Settings.model_validate({"station": {"state_dir": str(tmp_path)}})
    documents = self_report.self_report(settings, LogWindow())
    assert list(documents) == ["status", "history"]
    assert all("does not exist" in document["error"] for document in documents.values())


def test_the_history_in_the_window(tmp_path: Path) -> None:
    """Of the history what lies in the window is told, both ends included, in the words of `history --json`."""
    settings = Settings.model_validate({"station": {"state_dir": str(tmp_path)}})
    steps = tuple(
        Transition(BASE + timedelta(seconds=second), "system_api", "logs", 1, 7, "IDLE", "ACCEPTED", "E", f"{second}")
        for second in range(4)
    )
    store = Store.open(tmp_path)
    store.commit(Change(transitions=steps))
    store.close()
    window = LogWindow(BASE + timedelta(seconds=1), BASE + timedelta(seconds=2))
    documents = self_report.self_report(settings, window)
    assert documents["status"]["running"] is False
    assert documents["history"] == [
        {
            "time": f"2026-11-22T09:30:0{second}.000Z",
            "module_id": "system_api",
            "machine": "logs",
            "job": 1,
            "request_id": 7,
            "from": "IDLE",
            "to": "ACCEPTED",
            "event": "E",
            "detail": f"{second}",
        }
        for second in (1, 2)
    ]


def test_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours and those of what we stand on; a system without a name has none."""
    assert self_report.versions()["everest-system"] == __version__
    monkeypatch.setattr("platform.freedesktop_os_release", dict)
    assert self_report.versions()["system"] == ""
