"""Confirming new firmware: the installer's word, the health check, and only then the good mark."""

import queue
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from everest_system.configuration.settings import Settings
from everest_system.fsm.firmware.events import Confirmed, FirmwareUnhealthy, OldFirmwareFound
from everest_system.fsm.messages import FirmwareUpdateRequest
from everest_system.fsm.orders import ConfirmInstall
from everest_system.io.installers.port import InstallError
from everest_system.ports import WorkReport
from everest_system.tools import Tools
from everest_system.work import Workshop

REQUEST = FirmwareUpdateRequest(location="http://127.0.0.1/fw", request_id=1)


@dataclass
class BootCounter:
    """The end of an installer: `active` after the boot, `bad_mark` fails; each call is kept in `log`."""

    active: bool = True
    bad_mark: bool = False
    log: list[str] = field(default_factory=list)

    def confirm(self, target: str) -> bool:
        """Say what was given."""
        self.log.append(f"confirm {target}")
        return self.active

    def mark_good(self, target: str) -> None:
        """Mark, or fail."""
        self.log.append(f"mark_good {target}")
        if self.bad_mark:
            raise InstallError("the boot loader does not listen")


def confirmed(tmp_path: Path, installer: BootCounter, *, healthy: bool = True, **platform: Any) -> object:
    """What comes of confirming slot b."""
    check = [sys.executable, "-c", f"raise SystemExit({int(not healthy)})"]
    settings = Settings.model_validate(
        {"station": {"state_dir": str(tmp_path)}, "platform": {"health_check": check, **platform}}
    )
    installers: Mapping[str, Any] = MappingProxyType({"system_api": installer})
    posted: queue.SimpleQueue[Any] = queue.SimpleQueue()
    workshop = Workshop(replace(Tools.from_settings(settings), installers=installers), posted.put)
    try:
        workshop.carry_out("system_api", "firmware", ConfirmInstall(1, 2, REQUEST, "b"))
        report = posted.get(timeout=10)
    finally:
        workshop.close(5)
    assert isinstance(report, WorkReport)
    return report.event


def test_healthy_firmware_is_marked_good(tmp_path: Path) -> None:
    """Firmware that is active and healthy is marked good, and then confirmed."""
    installer = BootCounter()
    assert confirmed(tmp_path, installer, healthy=True) == Confirmed(2)
    assert installer.log == ["confirm b", "mark_good b"]


@pytest.mark.parametrize(
    ("active", "event"),
    [
        (True, FirmwareUnhealthy(2, f"the new firmware fails the health check: {sys.executable} exited with 1")),
        (False, OldFirmwareFound(2, "after the boot the old firmware is the active one")),
    ],
)
def test_any_other_firmware_is_not(tmp_path: Path, active: bool, event: object) -> None:
    """What is unhealthy, or not the new firmware at all, is never marked good."""
    installer = BootCounter(active=active)
    assert confirmed(tmp_path, installer, healthy=False) == event
    assert installer.log == ["confirm b"]


def test_a_health_check_that_takes_too_long_has_failed(tmp_path: Path) -> None:
    """It is ended after the time that it has, and the firmware is not marked good."""
    installer = BootCounter()
    found = confirmed(tmp_path, installer, health_check=["sleep", "60"], health_check_timeout_s=0.1)
    fault = "sleep did not end within 0.1 s and was killed"
    assert found == FirmwareUnhealthy(2, f"the new firmware fails the health check: {fault}")
    assert installer.log == ["confirm b"]


def test_a_mark_that_fails_is_no_good_mark(tmp_path: Path) -> None:
    """Firmware that cannot be marked good is rolled back: the boot loader would leave it sooner or later."""
    installer = BootCounter(bad_mark=True)
    assert confirmed(tmp_path, installer, healthy=True) == FirmwareUnhealthy(2, "the boot loader does not listen")
