"""Where settings come from, and what is told of wrong ones."""

from pathlib import Path

import pytest

from everest_system.configuration import settings_sources
from everest_system.configuration.problems import ConfigurationError
from everest_system.configuration.setting_keys import ANY_NAME, keys
from everest_system.configuration.settings import Settings
from everest_system.configuration.settings_file import LARGEST_FILE
from everest_system.configuration.settings_sources import load
from everest_system.configuration.transfer_settings import LogSource


@pytest.fixture(autouse=True)
def default_file(tmp_path, monkeypatch) -> Path:
    """The place of the default file, where no file is until a test puts one there."""
    file = tmp_path / "etc" / "config.toml"
    file.parent.mkdir()
    monkeypatch.setattr(settings_sources, "DEFAULT_FILE", file)
    return file


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "station.toml"


def problems(file: Path | None = None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(file, environ or {})
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_defaults_hold_without_any_source() -> None:
    """With no file and an empty environment the defaults hold."""
    assert load(None, {}) == Settings()


def test_file_is_looked_for_in_order(file, tmp_path, default_file) -> None:
    """The file of `-c` counts before the one of `$EVEREST_SYSTEM_CONFIG`, and that before the default one."""
    default_file.write_text('mqtt.host = "third"')
    assert load(None, {"EVEREST_SYSTEM_CONFIG": ""}).mqtt.host == "third"
    second = tmp_path / "second.toml"
    second.write_text('mqtt.host = "second"')
    environ = {"EVEREST_SYSTEM_CONFIG": str(second)}
    assert load(None, environ).mqtt.host == "second"
    file.write_text('mqtt.host = "first"')
    assert load(file, environ).mqtt.host == "first"


def test_environment_counts_before_file_before_everest_before_default(file) -> None:
    """Each source gives way to the stronger one, key by key."""
    everest = {"MQTT_SERVER_ADDRESS": "everest", "MQTT_SERVER_PORT": "1000"}
    assert load(None, {"MQTT_SERVER_ADDRESS": "", "MQTT_SERVER_PORT": ""}).mqtt == Settings().mqtt
    assert load(None, everest).mqtt.host == "everest"
    assert load(None, everest).mqtt.port == 1000
    file.write_text('[mqtt]\nhost = "file"\nusername = "file"')
    assert load(file, everest).mqtt.host == "file"
    mqtt = load(file, {**everest, "EVEREST_SYSTEM_MQTT__HOST": "ours"}).mqtt
    assert (mqtt.host, mqtt.port, mqtt.username) == ("ours", 1000, "file")


NEEDED = {"logs.sources.*.commands.*.argv", "logs.mask.*.literals", "logs.mask.*.pattern"}
"""Keys whose tables mean nothing without them: their defaults are refused."""


@pytest.mark.parametrize("key", [key for key in keys().values() if key.kind != "table"], ids=lambda key: key.name)
def test_every_key_can_be_set_from_the_environment(key) -> None:
    """Every key takes its own default from a variable, and nothing else changes."""
    text = key.default.strip('"') if key.kind == "text" else key.default
    name = key.variable.replace(ANY_NAME, "NEW")
    if key.name in NEEDED:
        with pytest.raises(ConfigurationError, match="must"):
            load(None, {name: text})
        return
    source_table = '{"journal": true, "files": ["/new"], "commands": {"new": {"argv": ["p"]}}}'
    tables = {"EVEREST_SYSTEM_LOGS__SOURCES__NEW": source_table}
    settings, plain = load(None, {**tables, name: text}), load(None, tables)
    if key.path[:3] == ("logs", "sources", ANY_NAME):
        source = plain.logs.sources["NEW"].model_dump()
        default = LogSource.model_fields[key.path[3]].default if key.path[3] != "commands" else source["commands"]
        assert settings.logs.sources["NEW"].model_dump() == source | {key.path[3]: default}
    elif key.path[:2] == ("mqtt", "tls"):
        assert settings.mqtt.tls is not None
    else:
        assert settings == plain


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("EVEREST_SYSTEM_MQTT__PORT", "8883", lambda s: s.mqtt.port == 8883),
        ("everest_system_mqtt__host", "b.example", lambda s: s.mqtt.host == "b.example"),
        ("EVEREST_SYSTEM_MQTT", '{"host": "j", "tls": {}}', lambda s: s.mqtt.host == "j" and s.mqtt.tls is not None),
        ("EVEREST_SYSTEM_MQTT__TLS__CA_FILE", "/ca", lambda s: s.mqtt.tls.ca_file == Path("/ca")),
        ("EVEREST_SYSTEM_STATION__REPLY_SETTLE_S", "0.25", lambda s: s.station.reply_settle_s == 0.25),
        ("EVEREST_SYSTEM_STATION__MODULE_IDS", "one", lambda s: s.station.module_ids == ("one",)),
        ("EVEREST_SYSTEM_STATION__MODULE_IDS", ' ["a", "b"]', lambda s: s.station.module_ids == ("a", "b")),
        (
            "EVEREST_SYSTEM_STATION__STOP_COMMUNICATION_CHECK_ON_EXIT",
            "Yes",
            lambda s: s.station.stop_communication_check_on_exit is True,
        ),
        ("EVEREST_SYSTEM_FIRMWARE__COMMAND__REPEATABLE", "1", lambda s: s.firmware.command.repeatable is True),
        ("EVEREST_SYSTEM_FIRMWARE__CRLS", "", lambda s: s.firmware.crls == ()),
        ("EVEREST_SYSTEM_LOGS__SOURCES__SECURITYLOG__JOURNAL", "on", lambda s: s.logs.sources["SecurityLog"].journal),
        (
            "EVEREST_SYSTEM_LOGS__SOURCES__DATACOLLECTORLOG__FILES",
            "/d/*",
            lambda s: s.logs.sources["DataCollectorLog"].files == ("/d/*",),
        ),
        ("EVEREST_SYSTEM_LOGS__SOURCES__Own__FILES", "/o", lambda s: s.logs.sources["Own"].files == ("/o",)),
    ],
)
def test_variables_are_parsed_by_their_key(name, text, read) -> None:
    """Text becomes what its key takes: number, boolean, list or table."""
    assert read(load(None, {name: text}))


def test_variable_finds_the_log_source_of_the_file(file) -> None:
    """A variable in capitals means the log source that the file spells with small letters."""
    file.write_text('[logs.sources.vendorLog]\nfiles = ["/v"]')
    sources = load(file, {"EVEREST_SYSTEM_LOGS__SOURCES__VENDORLOG__JOURNAL": "true"}).logs.sources
    assert (sources["vendorLog"].files, sources["vendorLog"].journal) == (("/v",), True)
    assert len(sources) == 3


def test_variable_of_a_key_counts_before_that_of_its_table(file) -> None:
    """The nearer variable wins over the one of the table around it, and a table over what is none."""
    file.write_text('mqtt.username = "u"\nmqtt.tls = "wrong"')
    environ = {
        "EVEREST_SYSTEM_MQTT__HOST": "near",
        "EVEREST_SYSTEM_MQTT": '{"host": "far", "port": 5}',
        "EVEREST_SYSTEM_MQTT__TLS__CA_FILE": "/ca",
        "EVEREST_SYSTEM_MQTT__TLS": "{}",
    }
    mqtt = load(file, environ).mqtt
    assert (mqtt.host, mqtt.port, mqtt.username) == ("near", 5, "u")
    assert mqtt.tls is not None
    assert mqtt.tls.ca_file == Path("/ca")


def test_empty_table_clears_nothing(file) -> None:
    """A variable that says a table is there leaves alone what the file has in it."""
    file.write_text('mqtt.tls.ca_file = "/ca"')
    mqtt = load(file, {"EVEREST_SYSTEM_MQTT__TLS": "{}"}).mqtt
    assert mqtt.tls is not None
    assert mqtt.tls.ca_file == Path("/ca")


def test_variables_that_are_no_settings_are_let_be() -> None:
    """What others put beside our settings, the facts for installer programs among it, is no wrong key."""
    names = ("REQUIRE_PEERS", "ARTIFACT", "LOCATION", "REQUEST_ID", "MODULE_ID", "IMAGE", "")
    assert load(None, {f"EVEREST_SYSTEM_{name}": "x" for name in names}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "EVEREST_SYSTEM_MQTT__PORT",
            "http",
            'mqtt.port: "http" is of the wrong type; allowed: a whole number, 1 to 65535 (EVEREST_SYSTEM_MQTT__PORT)',
        ),
        (
            "MQTT_SERVER_PORT",
            "99999",
            "mqtt.port: 99999 is out of range; allowed: a whole number, 1 to 65535 (MQTT_SERVER_PORT)",
        ),
        (
            "EVEREST_SYSTEM_MQTT__HOTS",
            "h",
            "mqtt.hots: unknown key, did you mean mqtt.host? (EVEREST_SYSTEM_MQTT__HOTS)",
        ),
        (
            "EVEREST_SYSTEM_LOGS__X__COLOUR",
            "h",
            (
                "logs.x.colour: unknown key; allowed in logs: schemes, upload_method, upload_field, default_retries,"
                " default_retry_interval_s, attempt_reporting, max_size_mb, journal_max_size_mb,"
                " mask_passwords, mask_id_tokens, mask, sources (EVEREST_SYSTEM_LOGS__X__COLOUR)"
            ),
        ),
        (
            "EVEREST_SYSTEM_MQTT_HOST",
            "h",
            "EVEREST_SYSTEM_MQTT_HOST: unknown variable, did you mean EVEREST_SYSTEM_MQTT__HOST?",
        ),
        (
            "EVEREST_SYSTEM_FIRMWARE__CRLS",
            '["a"',
            "firmware.crls: is no JSON; allowed: a list of paths (EVEREST_SYSTEM_FIRMWARE__CRLS)",
        ),
        ("EVEREST_SYSTEM_FIRMWARE__RAUC", "[]", "firmware.rauc: is no table (EVEREST_SYSTEM_FIRMWARE__RAUC)"),
        (
            "EVEREST_SYSTEM_FIRMWARE__MAX_SIZE_MB",
            "nan",
            (
                "firmware.max_size_mb: NaN is out of range; allowed: a number, above 0, up to 1000000"
                " (EVEREST_SYSTEM_FIRMWARE__MAX_SIZE_MB)"
            ),
        ),
        (
            "EVEREST_SYSTEM_FIRMWARE__COMMAND__REPEATABLE",
            "maybe",
            (
                'firmware.command.repeatable: "maybe" is of the wrong type; allowed: true or false'
                " (EVEREST_SYSTEM_FIRMWARE__COMMAND__REPEATABLE)"
            ),
        ),
    ],
)
def test_wrong_variables_are_told(name, text, problem) -> None:
    """A wrong variable is one line with key, fault, what is allowed, and its own name."""
    assert problems(None, {name: text}) == [problem]


def test_all_wrong_keys_are_told_at_once(file) -> None:
    """One line for each wrong key of file and environment, with its place, also where keys disagree."""
    file.write_text(
        """\
typo = 1
[mqtt]
protocol = 5
password = "hunter2"
[mqtt.tls]
cert_file = "/c"
[station]
module_ids = ["a", "a"]
state_dir = ""
[firmware]
retries = 4
installer = "command"
schemes = ["https",
           "gopher"]
slots.rooot = "/s"
[logs.sources."two words"]
journal = true
[logs.sources."[key]"]
[platform]
kind = "command"
command = 4
[statoin]
state_dir = "/x"
"""
    )
    environ = {"EVEREST_SYSTEM_MQTT__PASSWORD": "hunter2", "EVEREST_SYSTEM_LOGS__MAX_SIZE_MB": "0"}
    found = problems(file, environ)
    assert found == [
        'firmware.command.install: must be set, since firmware.installer is "command"',
        f"firmware.retries: unknown key, did you mean firmware.default_retries? ({file}:11)",
        (
            'firmware.schemes: "gopher" is not allowed; allowed: a list of one or more of "https", "http", "ftps",'
            f' "ftp", "sftp", "file", each once ({file}:13)'
        ),
        f"firmware.slots.rooot: unknown key, did you mean firmware.slots.root? ({file}:15)",
        (
            "logs.max_size_mb: 0.0 is out of range; allowed: a number, above 0, up to 1000000"
            " (EVEREST_SYSTEM_LOGS__MAX_SIZE_MB)"
        ),
        (
            'logs.sources."[key]": is no name for a table here; allowed: names of 1 to 64 letters, digits, _ and -'
            f" ({file})"
        ),
        (
            'logs.sources."two words": is no name for a table here; allowed: names of 1 to 64 letters, digits, _ and -'
            f" ({file})"
        ),
        f"mqtt.password: unknown key, did you mean mqtt.password_file? ({file}:4)",
        f'mqtt.protocol: 5 is not allowed; allowed: one of "3.1.1", "5" ({file}:3)',
        "mqtt.tls.key_file: must be set, since cert_file is",
        f"platform.command: is no table ({file}:21)",
        (
            f'station.module_ids: ["a", "a"] has "a" twice; allowed: a list of one or more names of 1 to 64 letters,'
            f' digits, _ and -, each once, or ["auto"] ({file}:8)'
        ),
        f'station.state_dir: "" is no path; allowed: a path ({file}:9)',
        f"statoin: unknown key, did you mean station? ({file}:23)",
        (
            "typo: unknown key; allowed in the configuration: mqtt, station, firmware, transfers, logs, platform"
            f" ({file}:1)"
        ),
        "mqtt.password: unknown key, did you mean mqtt.password_file? (EVEREST_SYSTEM_MQTT__PASSWORD)",
    ]
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mqtt.state_dir = '/x'", "did you mean station.state_dir?"),
        ("mqtt.colour = 1", "allowed in mqtt: host, port, protocol, external_prefix, username, password_file, tls"),
        ("logs.sources.X.colour = 1", "allowed in logs.sources.X: files, journal"),
        ("logs.sources.X.commands.y = {argv = ['p'], arg = 1}", "did you mean logs.sources.X.commands.y.argv?"),
        ("'[key]' = 1", '"[key]": unknown key; allowed in the configuration: mqtt'),
        ("'' = 1", '"": unknown key'),
        ("'a\\n' = 1", '"a\\\\n": unknown key'),
        (f"mqtt.host = '{'a b' * 100}'", f'"{"a b" * 20}'[:60] + "… is not allowed"),
    ],
)
def test_unknown_keys_are_told_what_may_be_meant(file, text, said) -> None:
    """An unknown key is answered with the key of that name elsewhere, or with all that its table takes."""
    file.write_text(text)
    (problem,) = problems(file)
    assert said in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources.X.commands.y = {}", "logs.sources.X.commands.y.argv: must name a program"),
        ("sources.X.commands.y.argv = ['']", "allowed: a list of strings, none of them empty"),
        ("sources.X.commands.'a b'.argv = ['p']", "is no name for a table here"),
        ("sources.X.journal_units = ['a b']", "allowed: a list of names of systemd units"),
        ("sources.X.journal_priority = 'loud'", 'allowed: one of "", "emerg", "alert"'),
        ("mask.m = {pattern = 'x'}", "logs.mask.m.literals: must have at least one"),
        ("mask.m = {literals = ['x'], pattern = '('}", "logs.mask.m.pattern: is no regular expression: missing )"),
        ("mask.m = {literals = ['x'], pattern = 'x*'}", "logs.mask.m.pattern: must not match where nothing is"),
    ],
)
def test_wrong_log_settings_are_told(file, text, said) -> None:
    """What cannot be collected or hidden is told before anything is asked for."""
    file.write_text(f"[logs]\n{text}")
    (problem,) = problems(file)
    assert said in problem


@pytest.mark.parametrize("pattern", ["logs/*", "/", "/.", "/var/log/../*"])
def test_log_patterns_are_absolute(file, pattern) -> None:
    """A pattern that log collection would not take is told with its key, and not found at the start."""
    file.write_text(f"logs.sources.X.files = ['/x/*', '{pattern}']")
    (problem,) = problems(file)
    assert problem.startswith(f'logs.sources.X.files: "{pattern}" is not absolute, or has a ".." in it; allowed: ')


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[mqtt]\nhost = \n", "is no TOML: Invalid value (at line 2, column 8)"),
        (b"a = 1\na = 2", "is no TOML: Cannot overwrite a value"),
        (b"# ok\nb = '\xff'", "2: is no TOML: a character is not UTF-8"),
        (b"#" * (LARGEST_FILE + 1), "is no configuration: larger than 1000000 bytes"),
        (b"a = " + b"[" * 100_000, "is no TOML"),
    ],
)
def test_file_that_is_no_toml_is_one_line(file, content, said) -> None:
    """What cannot be read as TOML is told in one line with the place in it."""
    file.write_bytes(content)
    (problem,) = problems(file)
    assert problem.startswith(f"{file}:")
    assert said in problem


def test_named_file_must_be_there(file, tmp_path) -> None:
    """A file that was named and is missing, or is a folder, is an error, though the default one may be missing."""
    assert problems(file) == [f"{file}: cannot be read: No such file or directory"]
    assert problems(None, {"EVEREST_SYSTEM_CONFIG": str(file)}) == [
        f"{file}: cannot be read: No such file or directory"
    ]
    assert problems(tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]


def test_default_file_that_cannot_be_read_is_an_error(default_file) -> None:
    """A default file that is there counts: if it cannot be read, the defaults do not take its place."""
    default_file.mkdir()
    assert problems() == [f"{default_file}: cannot be read: Is a directory"]
