"""Installers of other packages: found by name, made of their own settings, and told apart from what is none."""

import re
import sys
import textwrap
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import run_cli

from everest_system.configuration.settings import Settings
from everest_system.fsm.errors import CanceledError
from everest_system.io.installers.discovery import UnusableInstallerError, make
from everest_system.io.installers.port import BUILT_IN, Activation, Facts, InstallError, UnfitError
from everest_system.tools import Tools

PAGE = Path(__file__).parents[3] / "docs/installers.md"
Package = Callable[..., Path]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Installs packages for the length of a test, as pip does: modules, and a dist-info folder beside them."""
    names: list[str] = []

    def install(name: str, entry: str, code: str, distribution: str = "") -> Path:
        site = tmp_path / f"site-{distribution or name}"
        info = site / f"{distribution or name}-1.0.dist-info"
        info.mkdir(parents=True)
        module = entry.partition(":")[0]
        (site / f"{module}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution or name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[everest_system.installers]\n{name} = {entry}\n")
        monkeypatch.syspath_prepend(str(site))
        names.append(module)
        return site

    yield install
    for module in names:
        sys.modules.pop(module, None)


def example(language: str, title: str) -> str:
    """A block of the page, found by the comment in its first line."""
    found = re.search(rf"```{language}\n# {re.escape(title)}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found, f"no block {title} in {PAGE.name}"
    return found[1]


@pytest.fixture
def flash(package: Package) -> None:
    """The page's example, installed."""
    (entries,) = tomllib.loads(example("toml", "pyproject.toml"))["project"]["entry-points"].values()
    assert list(entries) == ["flash"]
    package("flash", entries["flash"], example("python", "station_flash.py"))


@pytest.mark.usefixtures("flash")
def test_example_of_the_page(tmp_path: Path) -> None:
    """The page's installer does what it says: it is found by its name, gets its own table, and installs."""
    device, firmware = tmp_path / "device", tmp_path / "firmware"
    device.write_bytes(bytes(10))
    firmware.write_bytes(b"FLSH 2.0")
    values = tomllib.loads(example("toml", "config.toml"))
    assert values["firmware"]["flash"] == {"device": "/dev/mtdblock3"}
    values["firmware"]["flash"]["device"] = str(device)
    settings = Settings.model_validate({**values, "station": {"state_dir": str(tmp_path)}})
    installer = Tools.from_settings(settings).installers["system_api"]
    facts = Facts(firmware, "https://example.org/fw", 1, "system_api", "")

    assert not installer.verifies_signatures
    told: list[int] = []
    never, canceled = threading.Event(), threading.Event()
    target = installer.check(facts, canceled=never)
    installer.install(facts, target, canceled=never, on_progress=told.append)
    installer.resume(facts, target, canceled=never, on_progress=told.append)
    assert (device.read_bytes(), told) == (b"FLSH 2.0\0\0", [100, 100])
    assert installer.activate(facts, target) is Activation.REBOOT
    assert installer.confirm(target)
    installer.mark_good(target)
    with pytest.raises(InstallError, match="only one flash"):
        installer.roll_back(target)
    canceled.set()
    with pytest.raises(CanceledError):
        installer.install(facts, target, canceled=canceled, on_progress=told.append)
    device.unlink()
    with pytest.raises(InstallError, match="No such file"):
        installer.install(facts, target, canceled=never, on_progress=told.append)
    firmware.write_bytes(b"ELF")
    with pytest.raises(UnfitError, match="does not begin with FLSH"):
        installer.check(facts, canceled=never)


@pytest.mark.usefixtures("flash")
@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('device = "mtd"', "firmware.flash.device: is no absolute path"),
        ("", "firmware.flash: has to have the key device and no other"),
        ('device = "/dev/mtd"\nspeed = 1', "firmware.flash: has to have the key device and no other"),
    ],
)
@pytest.mark.parametrize("command", ["check-config", "run"])
def test_settings_that_an_installer_does_not_want(tmp_path: Path, command: str, table: str, line: str) -> None:
    """What the installer says of its own settings is told with the key, before anything starts."""
    file = tmp_path / "config.toml"
    file.write_text(f'[firmware]\ninstaller = "flash"\n[firmware.flash]\n{table}\n')
    assert run_cli(command, "-c", file) == (2, "", f"{line}\n")


@pytest.mark.usefixtures("flash")
def test_good_settings(tmp_path: Path) -> None:
    """A configuration with an installer of another package is right if that installer says so."""
    file = tmp_path / "config.toml"
    file.write_text('[firmware]\ninstaller = "flash"\n[firmware.flash]\ndevice = "/dev/mtd"\n')
    assert run_cli("check-config", "-c", file) == (0, f"OK: {file}\n", "")


@pytest.mark.parametrize("installed", [True, False])
def test_name_that_nobody_offers(tmp_path: Path, package: Package, installed: bool) -> None:
    """An unknown name is told with those that are there."""
    if installed:
        package("flash", "station_flash:flash_installer", example("python", "station_flash.py"))
    file = tmp_path / "config.toml"
    file.write_text('firmware.installer = "flsh"\n')
    names = '"command", "flash", "rauc", "slots"' if installed else '"command", "rauc", "slots"'
    assert run_cli("check-config", "-c", file) == (
        2,
        "",
        f'firmware.installer: there is no installer "flsh"; there are {names}\n',
    )


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("[firmware.flash]\n", "firmware.flash: unknown key"),
        (
            '[firmware]\ninstaller = "slots"\n[firmware.flash]\ndevice = "/dev/x"\n',
            "firmware.flash: unknown key",
        ),
        ('[firmware]\ninstaller = "flash"\nflash = 1\n', "firmware.flash: unknown key|firmware.flash: is no table"),
        ('[firmware]\ninstaller = "fl ash"\n', 'firmware.installer: "fl ash" is not allowed'),
        ("[firmware]\ninstaller = 7\n", "firmware.installer: 7 is of the wrong type"),
        ('[firmware]\ninstaller = "chain"\n', 'firmware.installer: there is no installer "chain"'),
    ],
)
def test_tables_that_belong_to_nobody(tmp_path: Path, toml: str, line: str) -> None:
    """A table that is not the chosen installer's is an unknown key, as ever."""
    file = tmp_path / "config.toml"
    file.write_text(toml)
    code, _, err = run_cli("check-config", "-c", file)
    assert code == 2
    assert re.match(line, err), err


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ImportError('no libflash')", "of broken:it cannot be made: ImportError: no libflash"),
        ("other = 1", "cannot be made: AttributeError"),
        ("it = 7", "cannot be made: TypeError"),
        ("def it(settings, folder):\n    raise OSError('the\\nend')", "cannot be made: OSError: the end"),
        ("it = lambda settings, folder: None", "is none: it has no check, install, resume"),
        (
            """
            class it:
                def __init__(self, settings, folder): ...
                check = install = resume = activate = confirm = roll_back = print
            """,
            "is none: it has no mark_good, verifies_signatures$",
        ),
    ],
)
def test_what_is_no_installer(package: Package, tmp_path: Path, code: str, words: str) -> None:
    """Whatever an entry point does wrong is told in one line, with where it came from."""
    package("broken", "broken:it", textwrap.dedent(code))
    with pytest.raises(UnusableInstallerError, match=words) as caught:
        make("broken", {}, tmp_path)
    assert caught.value.key == "installer"
    assert "\n" not in str(caught.value)


def test_name_that_two_packages_offer(package: Package, tmp_path: Path) -> None:
    """Which of two is meant is not guessed."""
    package("flash", "one:it", "it = 1", "first")
    package("flash", "two:it", "it = 2", "second")
    with pytest.raises(UnusableInstallerError, match='more than one installer "flash": one:it and two:it'):
        make("flash", {}, tmp_path)


def test_library_of_rauc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library that speaks to RAUC, the word is which package brings it."""
    file = tmp_path / "config.toml"
    file.write_text('firmware.installer = "rauc"\n')
    assert run_cli("check-config", "-c", file)[0] == 0
    monkeypatch.setattr("everest_system.configuration.not_built.find_spec", lambda _: None)
    assert run_cli("check-config", "-c", file) == (
        2,
        "",
        'firmware.installer: "rauc" needs the library jeepney, which comes with everest-system[rauc]\n',
    )


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_installers(name: str, tmp_path: Path) -> None:
    """Each of our own has the whole port."""
    firmware = {"installer": name, "command": {"install": ["/bin/true"]}}
    settings = Settings.model_validate({"firmware": firmware, "station": {"state_dir": str(tmp_path)}})
    installer = Tools.from_settings(settings).installers["system_api"]
    assert installer.verifies_signatures is (name == "rauc")
    for call in ("check", "install", "resume", "activate", "confirm", "mark_good", "roll_back"):
        assert callable(getattr(installer, call))
