"""The page that says which test holds which promise tells the truth."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_names_exist() -> None:
    """Every scenario on the page exists, every scenario is on it, and every test that it names is there."""
    page = (ROOT / "docs/coverage.md").read_text()
    names = set(re.findall(r"`([^`]+)`", page))
    scenarios = {file.stem for file in (ROOT / "tests/scenarios").glob("*.toml")}
    assert not scenarios - names, "scenarios that hold no promise on the page"
    known = scenarios | {"allow_firmware_installation", "configure_network"}
    for name in names - known:
        if re.fullmatch(r"[a-z0-9_]+", name):
            raise AssertionError(f"no scenario {name}")
        file, _, test = name.partition("::")
        if file.endswith(".py"):
            assert (ROOT / file).exists(), file
            assert not test or f"def {test}(" in (ROOT / file).read_text(), name
