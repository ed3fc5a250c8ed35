"""`everest-system check-config`."""

from pathlib import Path

import pytest
from support.cli import run_cli

from everest_system.configuration import settings_sources


@pytest.fixture(autouse=True)
def _no_default_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EVEREST_SYSTEM_CONFIG", raising=False)
    monkeypatch.setattr(settings_sources, "DEFAULT_FILE", tmp_path / "default.toml")


def test_right_file_is_named(tmp_path: Path) -> None:
    """A right configuration is OK, with the name of its file."""
    file = tmp_path / "a.toml"
    file.write_text("[mqtt]\nport = 1884\n")
    assert run_cli("check-config", "-c", file) == (0, f"OK: {file}\n", "")


def test_file_is_looked_for_where_the_service_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without -c the environment's file counts, then the default one, then the defaults."""
    assert run_cli("check-config") == (0, "OK: there is no file, the defaults hold\n", "")
    default, named = tmp_path / "default.toml", tmp_path / "named.toml"
    default.write_text("")
    assert run_cli("check-config")[1] == f"OK: {default}\n"
    named.write_text("")
    monkeypatch.setenv("EVEREST_SYSTEM_CONFIG", str(named))
    assert run_cli("check-config")[1] == f"OK: {named}\n"


def test_each_wrong_key_has_its_line(tmp_path: Path) -> None:
    """All wrong keys are told at once, one line each, with code 2."""
    file = tmp_path / "a.toml"
    file.write_text('[mqtt]\nport = 70000\nhots = "x"\n')
    code, out, err = run_cli("check-config", "-c", file)
    assert (code, out) == (2, "")
    assert [line.split(":")[0] for line in err.splitlines()] == ["mqtt.hots", "mqtt.port"]


@pytest.mark.parametrize("command", ["check-config", "run"])
def test_files_that_are_named_have_to_be_there(command: str, tmp_path: Path) -> None:
    """A file that is missing stops the check, and the start of the service, with code 2."""
    file = tmp_path / "a.toml"
    file.write_text('[mqtt]\nusername = "u"\npassword_file = "/nonexistent/password"\n')
    code, _, err = run_cli(command, "-c", file)
    assert (code, err) == (2, "mqtt.password_file: /nonexistent/password does not exist\n")


@pytest.mark.parametrize("command", ["check-config", "run"])
def test_files_that_are_named_have_to_be_what_they_should(command: str, tmp_path: Path) -> None:
    """A file with something else in it stops the check, and the start of the service, with code 2."""
    file = tmp_path / "a.toml"
    file.write_text(f'transfers.ca_files = ["{file}"]\n')
    code, _, err = run_cli(command, "-c", file)
    assert (code, err) == (2, f"transfers.ca_files: {file} has no certificate in PEM\n")


def test_broken_trust_anchor_is_found(tmp_path: Path) -> None:
    """What would refuse every firmware is told by the check."""
    file = tmp_path / "a.toml"
    file.write_text(f'firmware.trust_anchors = ["{file}"]\n')
    code, _, err = run_cli("check-config", "-c", file)
    assert (code, err) == (2, f"firmware.trust_anchors: {file}: a certificate cannot be read\n")


@pytest.mark.parametrize("command", ["check-config", "run"])
def test_what_is_not_there_is_told_with_its_key(command: str, tmp_path: Path) -> None:
    """An installer that nobody has is no right configuration, and the service does not start with it."""
    file = tmp_path / "a.toml"
    file.write_text('firmware.installer = "swupdate"\n')
    code, _, err = run_cli(command, "-c", file)
    line = 'firmware.installer: there is no installer "swupdate"; there are "command", "rauc", "slots"'
    assert (code, err.splitlines()) == (2, [line])
