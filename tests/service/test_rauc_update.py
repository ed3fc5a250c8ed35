"""Orders of an update, carried out with a real RAUC: the events that the machine gets."""

import queue
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support.rauc_station import RaucStation

from everest_system.configuration.settings import Settings
from everest_system.fsm.artifact import Artifact
from everest_system.fsm.firmware.events import (
    ArtifactUnfit,
    Confirmed,
    FirmwareUnhealthy,
    InstallFinished,
    NothingToVerify,
    OldFirmwareFound,
    RolledBack,
    SignatureInvalid,
)
from everest_system.fsm.messages import FirmwareUpdateRequest
from everest_system.fsm.orders import CheckArtifact, ConfirmInstall, RollBack, StartInstall
from everest_system.ports import WorkReport
from everest_system.tools import Tools
from everest_system.work import Workshop

MODULE, JOB, WORK = "system_api", 1, 2
REQUEST = FirmwareUpdateRequest(location="https://example.org/fw.raucb", request_id=7)
NEW = b"new firmware" * 500


class Update:
    """One update on a station, order by order."""

    def __init__(self, station: RaucStation, tmp_path: Path) -> None:
        self._healthy = tmp_path / "healthy"
        check = [sys.executable, "-c", f"import os; raise SystemExit(not os.path.exists({str(self._healthy)!r}))"]
        self._tools = Tools.from_settings(
            Settings.model_validate(
                {
                    "station": {"state_dir": str(tmp_path / "state")},
                    "firmware": {"installer": "rauc", "rauc": {"bus": station.address, "busy_timeout_s": 20}},
                    "platform": {"health_check": check},
                }
            )
        )
        self._posted: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._workshop = Workshop(self._tools, self._posted.put)
        self._artifact = Artifact(length=0, sha256="")

    def download(self, bundle: Path) -> None:
        """Put a bundle where a download would."""
        content = bundle.read_bytes()
        target = self._tools.artifact(MODULE, JOB)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self._artifact = Artifact(length=len(content), sha256=sha256(content).hexdigest())

    def check(self) -> object:
        return self._done(CheckArtifact(JOB, WORK, REQUEST, self._artifact))

    def install(self, target: str, *, again: bool = False) -> object:
        return self._done(StartInstall(JOB, WORK, REQUEST, self._artifact, target, again=again))

    def confirm(self, target: str, *, healthy: bool) -> object:
        self._healthy.touch() if healthy else self._healthy.unlink(missing_ok=True)
        return self._done(ConfirmInstall(JOB, WORK, REQUEST, target))

    def roll_back(self, target: str) -> object:
        return self._done(RollBack(JOB, WORK, REQUEST, target))

    def close(self) -> None:
        self._workshop.close(5)

    def _done(self, order: Any) -> object:
        self._workshop.carry_out(MODULE, "firmware", order)
        while not isinstance(report := self._posted.get(timeout=20), WorkReport):
            pass
        return report.event


@pytest.fixture
def station(tmp_path: Path) -> Iterator[RaucStation]:
    """A station that runs from slot A."""
    folder = tmp_path / "rauc"
    folder.mkdir()
    with RaucStation(folder) as station:
        yield station


@pytest.fixture
def update(station: RaucStation, tmp_path: Path) -> Iterator[Update]:
    """An update there."""
    update = Update(station, tmp_path)
    yield update
    update.close()


def test_installed_and_healthy(station: RaucStation, update: Update) -> None:
    """A good bundle is checked, installed, booted, and marked good once the health check has passed, not before."""
    update.download(station.bundle("2.0", image=NEW))
    assert update.check() == NothingToVerify(WORK, "rootfs.1")
    assert update.install("rootfs.1") == InstallFinished(WORK, "reboot")
    station.boot()
    station.give_up("B")  # what a boot loader says of a slot that has not proved itself
    assert isinstance(update.confirm("rootfs.1", healthy=False), FirmwareUnhealthy)
    assert station.state("B") == "bad"
    assert update.confirm("rootfs.1", healthy=True) == Confirmed(WORK)
    assert (station.content("B", len(NEW)), station.state("B"), station.primary) == (NEW, "good", "B")


def test_rolled_back(station: RaucStation, update: Update) -> None:
    """Firmware that stays unhealthy is rolled back, and the old one boots; a crash in the middle changes nothing."""
    update.download(station.bundle("2.0", image=NEW))
    update.check()
    update.install("rootfs.1")
    assert update.install("rootfs.1", again=True) == InstallFinished(WORK, "reboot")
    station.boot()
    assert isinstance(update.confirm("rootfs.1", healthy=False), FirmwareUnhealthy)
    assert update.roll_back("rootfs.1") == RolledBack(WORK, "reboot")
    station.boot()
    assert (station.booted, station.state("B")) == ("A", "bad")
    assert isinstance(update.confirm("rootfs.1", healthy=True), OldFirmwareFound)


def test_refused(station: RaucStation, update: Update) -> None:
    """A stranger's bundle is an invalid signature; one for another station, or half of one, is unfit."""
    good = station.bundle("2.0", image=NEW)
    half = station.folder / "half"
    half.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    for bundle, event in (
        (station.bundle("2.0", signer=station.foreign), SignatureInvalid),
        (station.bundle("2.0", compatible="toaster"), ArtifactUnfit),
        (half, ArtifactUnfit),
    ):
        update.download(bundle)
        assert isinstance(update.check(), event)
    assert not any(station.content("B", 100))
    assert (station.primary, station.state("B")) == ("A", "good")
