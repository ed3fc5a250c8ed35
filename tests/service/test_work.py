"""Work in its lanes: whatever goes wrong, it is answered by one event."""

import os
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.http_server import HttpServer, Reply

from everest_system import job
from everest_system.configuration.settings import Settings
from everest_system.fsm.logs.events import LogsCollected, UploadAttemptFailed
from everest_system.fsm.messages import SystemTime, UploadLogsRequest
from everest_system.fsm.orders import CollectLogs, SetSystemTime, StartUpload
from everest_system.io import removal
from everest_system.ports import SystemTimeSet, WorkReport
from everest_system.tools import Tools
from everest_system.work import Workshop

NAME = "logs.tar.gz"


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    """Of a station with a log to send."""
    (tmp_path / "everest.log").write_text("all is well\n")
    sources = {"DiagnosticsLog": {"files": [str(tmp_path / "everest.log")], "journal": False}}
    return Tools.from_settings(
        Settings.model_validate({"station": {"state_dir": str(tmp_path)}, "logs": {"sources": sources}})
    )


@pytest.fixture
def posted() -> "queue.SimpleQueue[Any]":
    """What the workshop posts."""
    return queue.SimpleQueue()


@pytest.fixture
def workshop(tools: Tools, posted: "queue.SimpleQueue[Any]") -> Iterator[Workshop]:
    """A workshop with these tools."""
    workshop = Workshop(tools, posted.put)
    yield workshop
    workshop.close(5)


def test_clock_that_fails_in_an_unknown_way(
    tools: Tools, workshop: Workshop, posted: "queue.SimpleQueue[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform with a bug answers set_system_time with false; no answer would hold EVerest up for minutes."""

    def broken(self: object, now: object, *, canceled: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(type(tools.platform), "set_time", broken)
    workshop.carry_out("system_api", "", SetSystemTime(SystemTime.model_validate("2030-11-22T08:00:00Z"), "topic"))
    assert posted.get(timeout=30) == SystemTimeSet("system_api", "topic", done=False)


def test_upload_that_never_ends(
    workshop: Workshop, posted: "queue.SimpleQueue[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload to a server that keeps it alive for ever is given up, and counts as an attempt that failed."""
    monkeypatch.setattr(job, "UPLOAD_TIMEOUT_S", 0.3)
    with HttpServer() as server:
        server.plan("/logs", Reply(stall_at=0))
        request = UploadLogsRequest(location=server.url("/logs"), request_id=1)
        workshop.carry_out("system_api", "logs", CollectLogs(1, 1, request, NAME))
        collected = posted.get(timeout=30)
        assert isinstance(collected, WorkReport)
        assert isinstance(collected.event, LogsCollected)
        workshop.carry_out("system_api", "logs", StartUpload(1, 2, request, NAME))
        failed = posted.get(timeout=30)
    assert isinstance(failed, WorkReport)
    assert isinstance(failed.event, UploadAttemptFailed)
    assert failed.event.work == 2
    assert failed.event.reason.endswith("the attempt took too long")


def test_what_is_left_over_is_gone_before_the_work_that_follows(
    tools: Tools, workshop: Workshop, posted: "queue.SimpleQueue[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name goes at once, the room in the machine's lane: its next work finds both free."""
    monkeypatch.setattr(removal, "STEP_BYTES", 1 << 16)
    spool = tools.spool("system_api", 1)
    spool.mkdir(parents=True)
    (spool / NAME).write_bytes(bytes(10 << 16))
    freed: list[int] = []
    real = os.ftruncate
    monkeypatch.setattr(os, "ftruncate", lambda descriptor, size: (freed.append(size), real(descriptor, size)))

    workshop.discard("system_api", "logs", spool)
    assert not spool.exists()
    request = UploadLogsRequest(location="http://127.0.0.1:1/", request_id=1)
    workshop.carry_out("system_api", "logs", CollectLogs(1, 1, request, NAME))

    assert isinstance(posted.get(timeout=30).event, LogsCollected)
    assert freed[:9] == [size << 16 for size in range(9, 0, -1)]
