"""EVerest's modules, found by the real service over real brokers."""

import json

import pytest
from support.cli import run_cli
from support.stations import Station

AUTO = {"station": {"module_ids": ["auto"], "communication_check_interval_s": 0.3}}


def known(service):
    return json.loads((service.state_dir / "modules.json").read_text())["periods_s"]


@pytest.mark.parametrize("broker", ["amqtt", "mosquitto"], indirect=True)
def test_a_module_is_found_and_updated(station: Station, http):
    """The service finds the module whatever its id, answers what it asked before, and installs its firmware."""
    service = station.service(AUTO)
    everest = station.everest(module_id="underneath")
    assert everest.boot_reason() == "PowerUp"
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 3})
    everest.wait_for("Installed", 3)
    assert (service.state_dir / "modules" / "underneath" / "slots" / "current").readlink().name == "b"
    assert service.warnings() == []


def test_a_second_module_in_the_middle_of_a_download(station: Station, http):
    """A module that appears later is served, while the download of the first goes on over the start in place."""
    service = station.service({**AUTO, "firmware": {"rate_limit_kbps": 2000}})
    first = station.everest(module_id="one")
    first.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 3})
    first.wait_for("Downloading", 3)
    since = len(service.log)
    assert first.boot_reason() == "PowerUp"
    second = station.everest(module_id="two")
    assert second.boot_reason() == "PowerUp"  # its question came before the module was known
    assert first.call("get_boot_reason") == "PowerUp"  # nobody has started anew but the station within the service
    service.wait_for("EVerest's system modules: one, two", since=since)
    first.wait_for("Installed", 3, timeout_s=30)
    assert known(service) == {"one": 5, "two": 5}


def test_a_restart_without_everest_has_its_modules(station: Station):
    """After a restart the modules are served at once, before any EVerest has said anything."""
    service = station.service(AUTO)
    everest = station.everest(module_id="one")
    everest.stop()
    service.restart()
    assert set(service.ask("status")["modules"]) == {"one"}


def test_an_older_release(station: Station):
    """Of a release without discovery the default module is served after a while, and the log says why."""
    service = station.service({"station": {**AUTO["station"], "discovery_timeout_s": 0.2}})
    everest = station.everest(discovery=False)
    assert everest.boot_reason() == "PowerUp"
    (line,) = service.warnings()
    assert "older release" in line


def test_the_command_lists_the_modules(station: Station):
    """The command prints what EVerest says of its modules, and which of them are served."""
    service, _ = station.both(AUTO, module_id="one", ocpp=None, registered=False, check_period_s=2)
    code, out, _ = run_cli("discover", "-c", str(service.config_file))
    assert code == 0
    assert out.splitlines()[1].split("  ")[0] == "system"
    assert out.splitlines()[1].split() == ["system", "one", "1", "200", "ms", "2", "s", "550", "s", "yes"]
    code, out, _ = run_cli("discover", "-c", str(service.config_file), "--json")
    (module,) = json.loads(out)
    assert (module["module_id"], module["served"], code) == ("one", True, 0)
    assert module["communication_monitoring"]["communication_check_period_s"] == 2


def test_the_command_says_that_nobody_answers(station: Station):
    """Where nobody answers the command says so in a line, and exits with 1."""
    service = station.service(AUTO)
    code, out, err = run_cli("discover", "-c", str(service.config_file), "--timeout", "0.2")
    assert (code, out) == (1, "")
    assert "older release" in err
    assert err.count("\n") == 1
