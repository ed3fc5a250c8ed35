"""A full disk: what is not needed goes first, and nobody waits for an answer that will never come."""

from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from support.firmware_driver import FirmwareDriver
from support.firmware_driver import S as F
from support.logs_driver import LogsDriver
from support.logs_driver import S as L
from support.virtual import SIGNED, UPLOAD, virtual

from everest_system.configuration.settings import Settings
from everest_system.fsm.messages import SystemTime
from everest_system.fsm.orders import Reply, SetSystemTime, StopWork
from everest_system.io.store.store import Change, DiskFullError, Store
from everest_system.reception import Reception
from everest_system.room import MemoryWithRoom, make_room, open_store
from everest_system.tools import tidy

LARGE = Change(snapshots={("system_api", "presence"): "{}" + " " * 100_000})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"station": {"state_dir": tmp_path / "state"}})


def limit(store: Store, pages: int) -> None:
    """Let the file grow by that many pages and no further: SQLite's own way to a full disk."""
    count = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {count + pages}")


def test_a_write_is_tried_again_when_there_is_room(settings: Settings) -> None:
    """The second try has the room that was made in between, and nobody notices."""
    with open_store(settings, partial(tidy, settings)) as store:
        limit(store, 0)
        memory = MemoryWithRoom(store, lambda: limit(store, 1000))
        memory.commit(LARGE)
        assert store.load().snapshots == LARGE.snapshots


def test_without_room_the_fault_goes_on(settings: Settings) -> None:
    """It is tried once more and no further, and nothing is half written."""
    tries = []
    with open_store(settings, partial(tidy, settings)) as store:
        limit(store, 0)
        with pytest.raises(DiskFullError, match="the disk is full: make room, then start again"):
            MemoryWithRoom(store, lambda: tries.append(1)).commit(LARGE)
        assert (tries, store.load().snapshots) == ([1], {})


@pytest.mark.parametrize(
    ("update", "upload", "left"),
    [
        (F.DOWNLOADING, L.UPLOADING, {"update-1", "upload-1"}),
        (F.AWAITING_PERMISSION, L.UPLOADED, {"update-1"}),
        (F.INSTALLATION_FAILED, L.COLLECTING, {"upload-1"}),
        (F.INSTALLED, L.UPLOAD_FAILURE, set()),
        (F.IDLE, L.IDLE, set()),
    ],
)
def test_only_what_no_job_needs_is_removed(settings: Settings, update: F, upload: L, left: set[str]) -> None:
    """By what is stored, not by what may be about to be: files of jobs under way stay, all else goes."""
    with open_store(settings, partial(tidy, settings)) as store:
        store.commit(
            Change(
                snapshots={
                    ("system_api", "firmware"): FirmwareDriver.at(update).snapshot.model_dump_json(),
                    ("system_api", "logs"): LogsDriver.at(upload).snapshot.model_dump_json(),
                }
            )
        )
        artifacts, spool = settings.artifacts_dir("system_api"), settings.spool_dir("system_api")
        for folder in (artifacts, spool):
            folder.mkdir()
        for file in (artifacts / "update-0", artifacts / "update-1", spool / "upload-0", spool / "upload-1"):
            file.write_bytes(b"x")
        remains = settings.station.state_dir / "state.db.corrupt-20260101T000000Z"
        remains.write_bytes(b"x")
        make_room(settings, partial(tidy, settings))
        assert {file.name for folder in (artifacts, spool) for file in folder.iterdir()} == left
        assert not remains.exists()
        assert len(store.load().snapshots) == 2


def test_a_memory_that_cannot_be_read_keeps_all_files(settings: Settings) -> None:
    """Where nobody can tell what is needed, downloads stay."""
    artifacts = settings.artifacts_dir("system_api")
    artifacts.mkdir(parents=True)
    (artifacts / "update-1").write_bytes(b"x")
    (settings.station.state_dir / "state.db").write_bytes(b"garbage" * 100)
    make_room(settings, partial(tidy, settings))
    assert (artifacts / "update-1").exists()


@pytest.mark.parametrize(
    ("command", "payload", "reply"),
    [("update_firmware", SIGNED, "Rejected"), ("upload_logs", UPLOAD, "Rejected")],
)
def test_what_cannot_be_stored_is_declined(monkeypatch, command: str, payload: object, reply: str) -> None:
    """The conservative reply goes out before the process ends, and nothing has come of the request when it is back."""
    with virtual() as simulation:
        before = simulation.memory.load()

        def refuse(_change: Change) -> None:
            raise DiskFullError("the disk is full")

        everest = simulation.everest()
        with monkeypatch.context() as patch:
            patch.setattr(simulation.memory, "commit", refuse)
            question = everest.ask(command, payload)
            with pytest.raises(DiskFullError):
                simulation.run_for(1)
        simulation.kill_service(1)
        simulation.run_for(60)
        (answer,) = question.replies
        assert str(getattr(answer, "upload_logs_status", answer)) == reply
        assert simulation.memory.load().rows == before.rows == ()
        assert simulation.state("system_api", "firmware") == simulation.state("system_api", "logs") == "IDLE"


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (SetSystemTime(SystemTime("2026-11-22T08:00:10.000Z"), "reply/1"), [("reply/1", b"false")]),
        (Reply("get_boot_reason", "reply/2", "PowerUp"), [("reply/2", b'"Unknown"')]),
        (Reply("is_reset_allowed", None, value=True), []),
        (StopWork(1), []),
    ],
    ids=["time", "boot reason", "nobody waits", "no reply"],
)
def test_each_answer_has_a_conservative_one(order, said) -> None:
    """Whoever waits for an answer is told the least; orders that nobody waits for say nothing."""

    class Ear:
        heard: ClassVar[list[tuple[str, bytes]]] = []

        def say(self, topic: str, payload: bytes) -> bool:
            self.heard.append((topic, payload))
            return True

    Reception({}, Ear()).decline(order)
    assert Ear.heard == said
