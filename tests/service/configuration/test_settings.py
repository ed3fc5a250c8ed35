"""What the settings take, refuse and derive."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from everest_system.configuration.setting_keys import ANY_NAME, find, keys
from everest_system.configuration.setting_types import Attempts, Megabytes, Port, Scheme, Text, allowed
from everest_system.configuration.settings import Settings

DOCUMENTED = """
[mqtt]
host = "localhost"
port = 1883
protocol = "3.1.1"
external_prefix = ""
username = ""
password_file = ""
[station]
module_ids = ["system_api"]
state_dir = "/var/lib/everest-system"
ocpp_version = "2.0.1"
presence = "heartbeat"
presence_timeout_s = 10
registration_timeout_s = 120
reply_settle_s = 0.5
status_interval_s = 0.1
communication_check_interval_s = 1.5
stop_communication_check_on_exit = false
[firmware]
installer = "slots"
chain = "anchors"
trust_anchors = []
crls = []
unsigned = "auto"
signature_schemes = ["rsa-pss", "rsa-pkcs1v15", "ecdsa"]
schemes = ["https", "http", "ftps", "ftp", "sftp"]
default_retries = 3
default_retry_interval_s = 60
attempt_reporting = "each"
permission = "required"
permission_timeout_s = 0
max_size_mb = 4096
download_timeout_s = 86400
rate_limit_kbps = 0
reboot_grace_s = 5
confirm_boots = 3
[firmware.slots]
root = ""
activation = "reboot"
[firmware.command]
install = []
timeout_s = 3600
activation = "reboot"
repeatable = false
[firmware.rauc]
bus = "system"
[transfers]
ca_files = []
client_cert_file = ""
client_key_file = ""
ftp_tls = "try"
sftp_host_keys = "first_use"
known_hosts_file = ""
connect_timeout_s = 20
stall_timeout_s = 60
[logs]
schemes = ["https", "http", "ftps", "ftp", "sftp"]
upload_method = "PUT"
default_retries = 3
default_retry_interval_s = 60
attempt_reporting = "each"
max_size_mb = 512
[logs.sources.DiagnosticsLog]
files = ["/var/log/everest/**/*"]
journal = true
[logs.sources.SecurityLog]
files = ["/var/log/everest/ocpp/*security*"]
[platform]
kind = "dry_run"
boot_id_file = "/proc/sys/kernel/random/boot_id"
health_check = []
health_check_timeout_s = 300
health_check_retries = 3
health_check_interval_s = 10
[platform.command]
reboot = []
restart = []
set_time = []
"""


def nested(name: str, value: object) -> dict[str, Any]:
    *tables, key = name.split(".")
    values: dict[str, Any] = {key: value}
    for table in reversed(tables):
        values = {table: values}
    return values


def value_of(settings: Settings, name: str) -> object:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def test_defaults_are_the_documented_ones() -> None:
    """The documented configuration, written out in full, says the same as none at all."""
    assert Settings.model_validate(tomllib.loads(DOCUMENTED)) == Settings()


@pytest.mark.parametrize("key", keys().values(), ids=lambda key: key.name)
def test_every_key_is_described(key) -> None:
    """No key is without a meaning in words, and none in seconds refuses fractions or zero."""
    assert key.description.endswith(".")
    assert key.allowed
    if key.name.endswith("_s"):
        assert key.kind == "number"
        assert "0 to" in key.allowed
        for value in (0, 0.25) if ANY_NAME not in key.path else ():
            assert value_of(Settings.model_validate(nested(key.name, value)), key.name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mqtt.host", "2001:db8::1"),
        ("mqtt.port", 1),
        ("mqtt.port", 65535),
        ("mqtt.protocol", "5"),
        ("mqtt.external_prefix", "site 1/"),
        ("station.ocpp_version", "1.6"),
        ("station.presence", "none"),
        ("firmware.installer", "rauc"),
        ("firmware.default_retries", 1000),
        ("firmware.default_retry_interval_s", 30 * 86400),
        ("firmware.max_size_mb", 0.5),
        ("logs.upload_method", "POST"),
        ("platform.kind", "systemd"),
        ("transfers.sftp_host_keys", "known_hosts"),
    ],
)
def test_values_within_range_are_taken(name, value) -> None:
    """Choices and both ends of a range hold, those of parts that are still to come included."""
    assert value_of(Settings.model_validate(nested(name, value)), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mqtt.host", ""),
        ("mqtt.host", "two words"),
        ("mqtt.host", "a\u200b"),
        ("mqtt.port", 0),
        ("mqtt.port", 65536),
        ("mqtt.port", "1883"),
        ("mqtt.port", True),
        ("mqtt.protocol", 5),
        ("mqtt.protocol", "3.1"),
        ("mqtt.external_prefix", "a/#"),
        ("mqtt.external_prefix", "+/"),
        ("mqtt.username", "a\nb"),
        ("mqtt.password_file", "a\0b"),
        ("mqtt.password_file", 1),
        ("mqtt.tls", "yes"),
        ("mqtt.password", "secret"),
        ("station.module_ids", []),
        ("station.module_ids", ["a", "a"]),
        ("station.module_ids", ["auto", "a"]),
        ("station.module_ids", ["../a"]),
        ("station.module_ids", ["a\n"]),
        ("station.module_ids", ["a" * 65]),
        ("station.module_ids", "system_api"),
        ("station.state_dir", ""),
        ("station.presence_timeout_s", -0.001),
        ("station.presence_timeout_s", float("inf")),
        ("station.presence_timeout_s", float("nan")),
        ("station.presence_timeout_s", 1e10),
        ("station.stop_communication_check_on_exit", 1),
        ("firmware.schemes", []),
        ("firmware.schemes", ["gopher"]),
        ("firmware.schemes", ["https", "https"]),
        ("firmware.signature_schemes", ["md5"]),
        ("firmware.trust_anchors", [""]),
        ("firmware.default_retries", 0),
        ("firmware.default_retries", 1001),
        ("firmware.default_retries", 1.0),
        ("firmware.default_retry_interval_s", 30 * 86400 + 0.1),
        ("firmware.max_size_mb", 0),
        ("firmware.rate_limit_kbps", -1),
        ("firmware.command.install", ["/bin/true", ""]),
        ("firmware.command.install", "/bin/true"),
        ("platform.health_check", ["a\0"]),
        ("platform.reset.hard", "later"),
        ("platform.reset.delay_s", -1),
        ("platform.systemd.everest_unit", ""),
        ("platform.systemd.everest_unit", "--root=/"),
        ("platform.systemd.everest_unit", "a b.service"),
        ("platform.systemd.everest_unit", "a.service\n"),
        ("platform.systemd.everest_unit", "everest*"),
        ("platform.time_tolerance_s", -1),
        ("platform.dry_run", "yes"),
        ("logs.upload_field", 'a"; b'),
        ("logs.sources", {"a b": {"journal": True}}),
        ("logs.sources", ["a"]),
        ("logs.sources", {"SecurityLog": {"folders": []}}),
        ("nothing", 1),
    ],
)
def test_values_out_of_range_are_refused(name, value) -> None:
    """Neither a wrong type nor a value outside its range nor an unknown key makes settings."""
    with pytest.raises(ValidationError):
        Settings.model_validate(nested(name, value))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"firmware": {"installer": "command"}}, 'firmware.installer is "command"'),
        ({"platform": {"kind": "command"}}, 'platform.kind is "command"'),
        ({"mqtt": {"tls": {"cert_file": "/c"}}}, "since cert_file is"),
        ({"mqtt": {"tls": {"key_file": "/k"}}}, "since key_file is"),
        ({"transfers": {"client_cert_file": "/c"}}, "since client_cert_file is"),
        ({"mqtt": {"password_file": "/p"}}, "without a user there is no login"),
    ],
)
def test_keys_that_need_another_say_so(values, words) -> None:
    """A key that makes no sense without another names the one that is missing."""
    with pytest.raises(ValidationError, match=words):
        Settings.model_validate(values)


@pytest.mark.parametrize(
    "values",
    [
        {"firmware": {"installer": "command", "command": {"install": ["/bin/true"]}}},
        {"platform": {"kind": "command", "command": {"reboot": ["/sbin/reboot"]}}},
        {"mqtt": {"tls": {"cert_file": "/c", "key_file": "/k"}}},
        {"transfers": {"client_cert_file": "/c", "client_key_file": "/k"}},
        {"mqtt": {"password_file": "/p", "username": "u"}},
    ],
)
def test_keys_that_have_the_other_pass(values) -> None:
    """With the key that it needs beside it, each of them holds."""
    assert Settings.model_validate(values) != Settings()


def test_settings_never_change() -> None:
    """Settings stay as they were made."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().mqtt.port = 1


def test_empty_path_is_none() -> None:
    """An empty path names no file, any other the file as it stands."""
    mqtt = Settings.model_validate(
        {"mqtt": {"username": "u", "password_file": "secrets/p", "tls": {"ca_file": ""}}}
    ).mqtt
    assert mqtt.password_file == Path("secrets/p")
    assert mqtt.tls is not None
    assert mqtt.tls.ca_file is None


def test_log_sources_keep_their_neighbours() -> None:
    """Setting a key of a log source leaves the other defaults alone, emptying a source removes it."""
    sources = {
        "DiagnosticsLog": {"journal": False},
        "SecurityLog": {"files": []},
        "DataCollectorLog": {"files": ["/data/*"]},
    }
    settings = Settings.model_validate({"logs": {"sources": sources}})
    assert {name: (source.files, source.journal) for name, source in settings.logs.sources.items()} == {
        "DiagnosticsLog": (("/var/log/everest/**/*",), False),
        "DataCollectorLog": (("/data/*",), False),
    }


def test_one_module_has_the_state_folder_to_itself() -> None:
    """With one module its folders stand in the state folder, the slots where they are put."""
    settings = Settings.model_validate({"station": {"state_dir": "/s", "module_ids": ["a"]}})
    assert settings.artifacts_dir("a") == Path("/s/artifacts")
    assert settings.spool_dir("a") == Path("/s/spool")
    assert settings.slots_dir("a") == Path("/s/slots")
    settings = Settings.model_validate({"firmware": {"slots": {"root": "/slots"}}})
    assert settings.slots_dir("system_api") == Path("/slots")


def test_several_modules_have_folders_of_their_own() -> None:
    """With several modules each has its own folders, also where the slots are put elsewhere."""
    station = {"state_dir": "/s", "module_ids": ["a", "b"]}
    settings = Settings.model_validate({"station": station})
    assert settings.artifacts_dir("a") == Path("/s/modules/a/artifacts")
    assert settings.spool_dir("b") == Path("/s/modules/b/spool")
    assert settings.slots_dir("b") == Path("/s/modules/b/slots")
    settings = Settings.model_validate({"station": station, "firmware": {"slots": {"root": "/slots"}}})
    assert settings.slots_dir("b") == Path("/slots/b")


def test_modules_that_are_found_have_folders_of_their_own() -> None:
    """With `auto` the one module that was found keeps its folders when a second one is found, also one called auto."""
    settings = Settings.model_validate({"station": {"state_dir": "/s", "module_ids": ["auto"]}})
    assert settings.finds_modules
    for found in (("a",), ("a", "b")):
        served = settings.with_modules(found, 0.6)
        assert (served.finds_modules, served.station.module_ids) == (False, found)
        assert served.station.communication_check_interval_s == 0.6
        assert served.artifacts_dir("a") == Path("/s/modules/a/artifacts")
        assert served.slots_dir("a") == Path("/s/modules/a/slots")
    assert not settings.with_modules(("auto",), 0.6).finds_modules
    assert settings.finds_modules


def test_sizes_are_read_as_bytes() -> None:
    """Megabytes come out as bytes."""
    settings = Settings.model_validate({"firmware": {"max_size_mb": 1.5}, "logs": {"max_size_mb": 2}})
    assert settings.firmware.max_size_bytes == 1_500_000
    assert settings.logs.max_size_bytes == 2_000_000


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Port, "a whole number, 1 to 65535"),
        (Attempts, "a whole number, 1 to 1000"),
        (Megabytes, "a number, above 0, up to 1000000"),
        (Scheme, 'one of "https", "http", "ftps", "ftp", "sftp", "file"'),
        (Text, 'text, or "" for none'),
        (bool, "true or false"),
    ],
)
def test_kinds_say_what_they_take(kind, words) -> None:
    """What a kind allows is told from its own bounds."""
    assert allowed(kind) == words


def test_keys_are_found_by_path() -> None:
    """A key is found by its path, with any name where the integrator chooses one, and else not at all."""
    key = find(("logs", "sources", "Mine", "files"))
    assert key is not None
    assert key.path == ("logs", "sources", ANY_NAME, "files")
    assert find(("mqtt", "port")).variable == "EVEREST_SYSTEM_MQTT__PORT"
    assert find(("mqtt", "ports")) is None
