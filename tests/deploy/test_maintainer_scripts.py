"""What the package's scripts ask of systemd, with programs that write down how they were called."""

import subprocess
from pathlib import Path

import pytest

DEBIAN = Path(__file__).parents[2] / "deploy" / "debian"
PROGRAMS = ("systemctl", "deb-systemd-helper", "deb-systemd-invoke", "systemd-sysusers", "systemd-tmpfiles", "chgrp")


def calls(tmp_path: Path, script: str, *arguments: str) -> list[str]:
    """Run a script on a machine that systemd runs, and return what it called, in order."""
    log, programs = tmp_path / "log", tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{log}\n')
        (programs / name).chmod(0o755)
    text = (DEBIAN / script).read_text().replace("/run/systemd/system", str(programs))
    environment = {"PATH": f"{programs}:/usr/bin:/bin"}
    subprocess.run(["/bin/sh", "-c", text, script, *arguments], env=environment, check=True, capture_output=True)
    return log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        (("configure", ""), "start"),
        (("configure", "0.0.9"), "restart"),
        (("abort-remove",), "start"),
        (("abort-upgrade", "0.2"), "start"),
        (("abort-deconfigure", "in-favour", "other", "1"), "start"),
    ],
)
def test_service_runs_once_the_package_is_there(tmp_path: Path, arguments: tuple[str, ...], action: str) -> None:
    """Also where a removal or an upgrade was given up halfway: the removal had stopped it already."""
    called = calls(tmp_path, "postinst", *arguments)
    assert called[-1] == f"deb-systemd-invoke {action} everest-system.service"
    assert "deb-systemd-helper enable everest-system.service" in called


def test_removal_stops_the_service_and_an_upgrade_does_not(tmp_path: Path) -> None:
    """During an upgrade the old one serves until the new one is there."""
    (tmp_path / "upgrade").mkdir()
    assert calls(tmp_path, "prerm", "remove") == ["deb-systemd-invoke stop everest-system.service"]
    assert calls(tmp_path / "upgrade", "prerm", "upgrade", "0.2") == []
