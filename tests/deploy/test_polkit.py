"""The polkit rule: what it allows to whom, asked of the rule itself by a JavaScript engine."""

import json
import subprocess
from pathlib import Path

import pytest
from support.peers import program

RULES = Path(__file__).parents[2] / "deploy" / "polkit" / "50-everest-system.rules"
POLKIT = """
let rule;
const polkit = {Result: {YES: "yes", NOT_HANDLED: null}, addRule: (one) => { rule = one; }};
%s
const [user, id, details] = JSON.parse(process.argv[1]);
console.log(JSON.stringify(rule({id, lookup: (name) => details[name]}, {user})));
"""
UNITS = "org.freedesktop.systemd1.manage-units"


@pytest.mark.parametrize(
    ("user", "action", "details", "answer"),
    [
        ("everest-system", "org.freedesktop.login1.reboot", {}, "yes"),
        ("everest-system", "org.freedesktop.login1.power-off", {}, None),
        ("everest-system", "org.freedesktop.timedate1.set-time", {}, "yes"),
        ("everest-system", UNITS, {"unit": "everest.service", "verb": "restart"}, "yes"),
        ("everest-system", UNITS, {"unit": "everest.service", "verb": "stop"}, None),
        ("everest-system", UNITS, {"unit": "ssh.service", "verb": "restart"}, None),
        ("everest-system", UNITS, {}, None),
        ("somebody", "org.freedesktop.login1.reboot", {}, None),
        ("somebody", UNITS, {"unit": "everest.service", "verb": "restart"}, None),
    ],
)
def test_rule_allows_what_the_service_needs(
    user: str, action: str, details: dict[str, str], answer: str | None
) -> None:
    """A reboot, the clock and EVerest's restart, to the service's user; about all else it has no opinion."""
    node = program("node")
    if node is None:
        pytest.skip("node is not on this machine; needed for: the polkit rule")
    question = json.dumps([user, action, details])
    told = subprocess.run(
        [node, "-e", POLKIT % RULES.read_text(), question], capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout) == answer
