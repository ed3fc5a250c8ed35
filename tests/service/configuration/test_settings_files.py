"""Files that a configuration names."""

import os
from pathlib import Path

import pytest
from support.http_server import make_certificate

from everest_system.configuration.problems import ConfigurationError
from everest_system.configuration.settings import Settings
from everest_system.configuration.settings_files import check_files, check_trust
from everest_system.configuration.settings_sources import load


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "station.toml"


def settings_with(text: str, file: Path) -> Settings:
    file.write_text(text)
    return load(file, {})


def test_no_file_named_is_no_problem() -> None:
    """Defaults name no file that must be there."""
    assert check_files(Settings()) == []


def test_every_missing_file_is_told(file) -> None:
    """Each file that is named and missing is one line with its key."""
    settings = settings_with(
        """
[mqtt]
username = "u"
password_file = "/none/p"
tls = { ca_file = "/none/a", cert_file = "/none/c", key_file = "/none/k" }
[firmware]
trust_anchors = ["/none/t"]
crls = ["/none/r"]
installer = "command"
command.install = ["/none/i"]
[transfers]
ca_files = ["/none/1", "/none/2"]
client_cert_file = "/none/cc"
client_key_file = "/none/ck"
sftp_host_keys = "known_hosts"
known_hosts_file = "/none/h"
credentials_file = "/none/u"
sftp_key_file = "/none/s"
[platform]
kind = "command"
boot_id_file = "/none/b"
command = { reboot = ["/none/x"], set_time = ["no-such-program"] }
""",
        file,
    )
    assert check_files(settings) == [
        "mqtt.password_file: /none/p does not exist",
        "mqtt.tls.ca_file: /none/a does not exist",
        "mqtt.tls.cert_file: /none/c does not exist",
        "mqtt.tls.key_file: /none/k does not exist",
        "transfers.ca_files: /none/1 does not exist",
        "transfers.ca_files: /none/2 does not exist",
        "transfers.client_cert_file: /none/cc does not exist",
        "transfers.client_key_file: /none/ck does not exist",
        "transfers.credentials_file: /none/u does not exist",
        "transfers.sftp_key_file: /none/s does not exist",
        "transfers.known_hosts_file: /none/h does not exist",
        "platform.boot_id_file: /none/b does not exist",
        "firmware.trust_anchors: /none/t does not exist",
        "firmware.crls: /none/r does not exist",
        "firmware.command.install: /none/i is no program that can be run",
        "platform.command.reboot: /none/x is no program that can be run",
        "platform.command.set_time: no-such-program is no program that can be run",
    ]


def test_files_that_are_there_pass(file, tmp_path) -> None:
    """Files and folders of anchors that are there are no problem; a folder is no password file."""
    (tmp_path / "p").write_text("secret")
    anchors = f'firmware.trust_anchors = ["{tmp_path}", "{tmp_path}/p"]\n'
    programs = 'firmware.installer = "command"\nfirmware.command.install = ["sh"]\n'
    good = f'{anchors}{programs}mqtt.username = "u"\nmqtt.password_file = "{tmp_path}/p"'
    assert check_files(settings_with(good, file)) == []
    folder = f'mqtt.username = "u"\nmqtt.password_file = "{tmp_path}"'
    assert check_files(settings_with(folder, file)) == [f"mqtt.password_file: {tmp_path} is no file"]


def test_unreadable_files_are_told(file, tmp_path, monkeypatch) -> None:
    """A file that is there and may not be read is told as such, be it a file or a folder of anchors."""
    (tmp_path / "p").write_text("secret")
    (tmp_path / "anchors").mkdir()
    settings = settings_with(
        f"""
mqtt = {{ username = "u", password_file = "{tmp_path}/p" }}
firmware = {{ trust_anchors = ["{tmp_path}/anchors"], crls = ["{tmp_path}/p"] }}
""",
        file,
    )
    asked = {}
    monkeypatch.setattr(
        os, "access", lambda path, mode: asked.setdefault(Path(path).name, mode) is None
    )  # root may all
    assert check_files(settings) == [
        f"mqtt.password_file: {tmp_path}/p cannot be read",
        f"firmware.trust_anchors: {tmp_path}/anchors cannot be read",
        f"firmware.crls: {tmp_path}/p cannot be read",
    ]
    assert asked == {"p": os.R_OK, "anchors": os.R_OK | os.X_OK}


def test_passwords_open_to_all_are_told(file, tmp_path) -> None:
    """A credentials file that anybody may read is a problem, one of ours alone is none."""
    credentials = tmp_path / "credentials"
    credentials.touch()
    credentials.chmod(0o644)
    settings = settings_with(f'transfers.credentials_file = "{credentials}"', file)
    (problem,) = check_files(settings)
    assert problem == f"transfers.credentials_file: {credentials} is open to all users: chmod o= {credentials}"
    credentials.chmod(0o640)
    assert check_files(settings) == []


def test_what_is_in_files_is_looked_at(file, tmp_path) -> None:
    """A file that is there and is something else, or does not go with its partner, is told with its key."""
    (tmp_path / "other").mkdir()
    mine, another = make_certificate(tmp_path), make_certificate(tmp_path / "other")
    text = tmp_path / "text"
    text.write_text("no such thing")
    text.chmod(0o600)
    settings = settings_with(
        f"""
[mqtt.tls]
ca_file = "{text}"
cert_file = "{text}"
key_file = "{mine.key_file}"
[transfers]
ca_files = ["{mine.cert_file}", "{text}"]
client_cert_file = "{mine.cert_file}"
client_key_file = "{another.key_file}"
credentials_file = "{text}"
sftp_key_file = "{text}"
""",
        file,
    )
    assert check_files(settings) == [
        f"mqtt.tls.ca_file: {text} has no certificate in PEM",
        f"mqtt.tls.cert_file: {text} is no PEM certificate, or {mine.key_file} is no PEM key",
        f"transfers.ca_files: {text} has no certificate in PEM",
        f"transfers.client_cert_file: {another.key_file} is not the key of {mine.cert_file}",
        f"transfers.credentials_file: {text}, line 1: malformed",
        f"transfers.sftp_key_file: {text} is no private key in PEM or in OpenSSH's form",
    ]


def test_broken_anchors_and_lists_are_told(file, tmp_path) -> None:
    """A trust anchor or a CRL that cannot be read is told with its key; an empty folder of lists is fine."""
    good = make_certificate(tmp_path).cert_file
    (folder := tmp_path / "lists").mkdir()
    assert check_trust(settings_with(f'firmware = {{ trust_anchors = ["{good}"], crls = ["{folder}"] }}', file)) == []
    (folder / "a.crl").write_text("no list")
    (folder / "a.pem").write_text("no anchor")
    both = f'firmware = {{ trust_anchors = ["{good}", "{folder}"], crls = ["{folder}"] }}'
    assert check_trust(settings_with(both, file)) == [
        f"firmware.trust_anchors: {folder}/a.pem: a certificate cannot be read",
        f"firmware.crls: {folder}/a.crl: a CRL cannot be read",
    ]


def test_known_hosts_that_would_count_for_nothing(file) -> None:
    """Who names the known hosts and forgets to say that they count is told so: else any new server would be taken."""
    with pytest.raises(ConfigurationError, match=r'transfers\.known_hosts_file: .* sftp_host_keys is "known_hosts"'):
        settings_with('transfers.known_hosts_file = "/etc/ssh/ssh_known_hosts"', file)


@pytest.mark.parametrize(("dry_run", "told"), [(False, True), (True, False)])
def test_systemd_without_systemctl(dry_run: bool, told: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A station that is to speak to systemd, and has none, is told so; a dry run speaks to nobody."""
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = Settings.model_validate({"platform": {"kind": "systemd", "dry_run": dry_run}})
    problems = [problem for problem in check_files(settings) if problem.startswith("platform.")]
    assert problems == (["platform.kind: systemctl is no program that can be run"] if told else [])
