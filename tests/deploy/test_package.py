"""The Debian package: what is in it, and that its command runs from there. CI builds it and names it."""

import os
import subprocess
from pathlib import Path

import pytest
from support.peers import require

DEB = os.environ.get("EVEREST_SYSTEM_DEB", "")
PYTHON = Path("/usr/bin/python3.11")

pytestmark = pytest.mark.skipif(not DEB, reason="EVEREST_SYSTEM_DEB names no package: `make deb` builds it")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, unpacked."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["dpkg-deb", "-x", str(Path(DEB).resolve()), str(root)], check=True)
    return root


def command(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command, with the package's own libraries and no others."""
    require(str(PYTHON), PYTHON.exists(), "the Debian package")
    python = root / "usr" / "lib" / "everest-system" / "bin" / "python"
    launcher = root / "usr" / "bin" / "everest-system"
    assert launcher.read_text().startswith("#!/usr/lib/everest-system/bin/python -I\n")
    return subprocess.run([python, "-I", launcher, *arguments], capture_output=True, text=True, check=False)


def test_command_runs(root: Path) -> None:
    """With Debian's Python and the libraries of the package alone."""
    ran = command(root, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "check-config" in ran.stdout


def test_shipped_configuration_is_right(root: Path) -> None:
    """Read by the packaged command from where the package has it."""
    ran = command(root, "check-config", "-c", str(root / "etc" / "everest-system" / "config.toml"))
    told = [line for line in ran.stderr.splitlines() if "trust-anchors" not in line]  # the station's own to bring
    assert told == []


def test_package_has_all_that_a_station_needs(root: Path) -> None:
    """The unit, the user, the folders, polkit's rule; the configuration is nobody's to overwrite."""
    for file in (
        "lib/systemd/system/everest-system.service",
        "usr/lib/sysusers.d/everest-system.conf",
        "usr/lib/tmpfiles.d/everest-system.conf",
        "usr/share/polkit-1/rules.d/50-everest-system.rules",
    ):
        assert (root / file).is_file()
    conffiles = subprocess.run(["dpkg-deb", "-I", DEB, "conffiles"], capture_output=True, text=True, check=True).stdout
    assert conffiles.split() == ["/etc/everest-system/config.toml"]
    assert not list(root.rglob("direct_url.json"))


def test_libraries_are_compiled(root: Path) -> None:
    """The service may not write there: each start would compile them anew."""
    packages = root / "usr" / "lib" / "everest-system" / "lib" / "python3.11" / "site-packages" / "everest_system"
    assert len(list(packages.rglob("*.pyc"))) == len(list(packages.rglob("*.py")))
