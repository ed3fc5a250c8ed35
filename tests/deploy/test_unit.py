"""The unit, as systemd judges it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.peers import program, require

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "everest-system.service"
EXPOSURE_MAX = 2.5  # out of 10


@pytest.fixture(scope="module")
def analyze() -> str:
    """The judge that comes with systemd."""
    return require("systemd-analyze", program("systemd-analyze"), "the unit that is shipped")


def test_exposure_is_small(analyze: str) -> None:
    """`systemd-analyze security` finds little that the service could do and does not need; the page has the figure."""
    judged = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(UNIT)], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"Overall exposure level for everest-system\.service: ([\d.]+)", judged)
    assert found, judged
    assert float(found[1]) < EXPOSURE_MAX
    page = (DEPLOY.parent / "docs" / "deployment.md").read_text()
    assert f"an exposure of {found[1]}" in page


def test_unit_is_right(analyze: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` has no word against it, once its program is one that is there."""
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/usr/bin/everest-system", sys.executable))
    judged = subprocess.run([analyze, "verify", "--man=no", str(here)], capture_output=True, text=True)
    ours = [line for line in judged.stderr.splitlines() if UNIT.name in line]
    assert (judged.returncode, ours) == (0, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="folders are given to their user by root only")
def test_sysusers_and_tmpfiles_make_what_the_unit_needs(tmp_path: Path) -> None:
    """In a root of its own: the user, in the groups whose logs it reads, and its folders, closed to others."""
    sysusers = require("systemd-sysusers", program("systemd-sysusers"), "the user of the service")
    tmpfiles = require("systemd-tmpfiles", program("systemd-tmpfiles"), "the folders of the service")
    (tmp_path / "etc").mkdir()
    subprocess.run([sysusers, f"--root={tmp_path}", str(DEPLOY / "systemd" / "sysusers.conf")], check=True)
    passwd, groups = ((tmp_path / "etc" / name).read_text() for name in ("passwd", "group"))
    user = re.search(r"^everest-system:[^:]*:(\d+):.*:/var/lib/everest-system:/usr/sbin/nologin$", passwd, re.MULTILINE)
    assert user
    for group in ("adm", "systemd-journal"):
        assert re.search(rf"^{group}:.*:everest-system$", groups, re.MULTILINE)
    subprocess.run([tmpfiles, f"--root={tmp_path}", "--create", str(DEPLOY / "systemd" / "tmpfiles.conf")], check=True)
    state, settings = ((tmp_path / name).stat() for name in ("var/lib/everest-system", "etc/everest-system"))
    assert (oct(state.st_mode), state.st_uid) == ("0o40700", int(user[1]))
    assert (oct(settings.st_mode), settings.st_uid) == ("0o40750", 0)
