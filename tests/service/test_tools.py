"""The edges that the settings ask for."""

from pathlib import Path
from typing import Any

import pytest

from everest_system.configuration.settings import Settings
from everest_system.fsm.messages import BootReason
from everest_system.fsm.platform.boot_reasons import BootFacts
from everest_system.io.platforms.command import CommandPlatform
from everest_system.io.platforms.dry_run import DryRunPlatform
from everest_system.io.platforms.systemd import SystemdPlatform
from everest_system.tools import Tools, boot_facts


def settings(folder: Path, **platform: Any) -> Settings:
    return Settings.model_validate({"station": {"state_dir": str(folder)}, "platform": platform})


@pytest.mark.parametrize(
    ("platform", "kind"),
    [
        ({}, DryRunPlatform),
        ({"kind": "systemd"}, SystemdPlatform),
        ({"kind": "command", "command": {"reboot": ["true"]}}, CommandPlatform),
        ({"kind": "systemd", "dry_run": True}, DryRunPlatform),
    ],
)
def test_platforms(platform: dict[str, Any], kind: type[object], tmp_path: Path) -> None:
    """Each kind has its platform; a dry run of any is a dry run."""
    tools = Tools.from_settings(settings(tmp_path, **platform))
    assert type(tools.platform) is kind
    assert tools.system_time.pretends is (kind is DryRunPlatform)
    assert tools.system_time.platform is tools.platform


def test_rules_of_time(tmp_path: Path) -> None:
    """The clock's rules are the configured ones, for every platform."""
    rules = Tools.from_settings(settings(tmp_path, time_tolerance_s=7, time_despite_ntp=True)).system_time.rules
    assert (rules.tolerance_s, rules.despite_ntp) == (7, True)


def test_boot_facts(tmp_path: Path) -> None:
    """The machine's marks are looked for where the settings say, and not at all for boots that are pretended."""
    (tmp_path / "watchdog0").mkdir()
    (tmp_path / "watchdog0" / "bootstatus").write_text("32\n")
    (tmp_path / "reason").write_text("Triggered\n")
    marks = {"watchdog_dir": str(tmp_path), "boot_reason_file": str(tmp_path / "reason")}
    real = boot_facts(settings(tmp_path, kind="systemd", **marks), forgotten=True, goes_on=True)
    assert real == BootFacts(told=BootReason.TRIGGERED, watchdog=True, forgotten=True, goes_on=True)
    for keys in ({"kind": "dry_run", **marks}, {"kind": "systemd", "watchdog_dir": ""}):
        assert boot_facts(settings(tmp_path, **keys), forgotten=False, goes_on=False) == BootFacts()
