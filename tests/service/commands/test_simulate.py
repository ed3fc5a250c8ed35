"""`everest-system simulate`."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
from support.cli import run_cli

import everest_system.simulation

FIRST_STEPS = Path(everest_system.simulation.__file__).parent / "scenarios" / "first_steps.toml"
RESET = 'title = "A <reset>"\n[[step]]\nat = "5.2s"\neverest = "reset"\nwith = { type = "Soft", scheduled = false }\n'


def test_timeline_as_text() -> None:
    """The story is told in order, and its outcome last."""
    code, out, err = run_cli("simulate", FIRST_STEPS)
    assert (code, err) == (0, "")
    assert out.startswith("A signed update, from the request to Installed\n")
    assert "EVerest   hears Installed of update 7" in out
    assert out.endswith("as expected\n")


def test_timeline_as_json() -> None:
    """Programs get the same."""
    code, out, _ = run_cli("simulate", FIRST_STEPS, "--format", "json")
    told = json.loads(out)
    assert (code, told["failures"]) == (0, [])
    assert any(entry["what"] == "hears Installed of update 7" for entry in told["entries"])


def test_timeline_as_chart(tmp_path: Path) -> None:
    """The chart is well-formed, says what the text says, and has the same bytes each time."""
    file = tmp_path / "reset.toml"
    file.write_text(RESET + '[[step]]\nat = "6s"\noperator = "status"\n[end]\nboots = 1\n')
    code, out, _ = run_cli("simulate", file, "--format", "svg")
    assert code == 1
    assert run_cli("simulate", file, "--format", "svg")[1] == out
    texts = [each.text for each in ElementTree.fromstring(out).iter("{http://www.w3.org/2000/svg}text")]
    assert {"A <reset>", "station restarts EVerest", "FAILED: reset.toml: end.boots: expected 1, it is 0"} <= set(texts)


def test_expectations_decide_over_the_exit_code(tmp_path: Path) -> None:
    """A story that comes out otherwise is a failure, and is told all the same."""
    file = tmp_path / "story.toml"
    file.write_text(RESET + "[end]\nboots = 1\n")
    code, out, _ = run_cli("simulate", file)
    assert (code, out.splitlines()[-1]) == (1, "FAILED: story.toml: end.boots: expected 1, it is 0")


def test_wrong_scenario_names_file_and_key(tmp_path: Path) -> None:
    """Every fault of the file is a line of its own."""
    file = tmp_path / "story.toml"
    file.write_text('title = "t"\nlasts = "soon"\n[[step]]\nat = 1\nexpect = {}\nbroker = "gone"\n')
    code, out, err = run_cli("simulate", file)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{file}: ") for line in lines)
    assert any(": lasts: " in line for line in lines)


def test_crashes(tmp_path: Path) -> None:
    """`--crashes` says how many there were and that nothing was lost."""
    file = tmp_path / "story.toml"
    file.write_text(RESET + '[crashes]\nuntil = "7.3s"\n')
    code, out, _ = run_cli("simulate", file, "--crashes")
    assert (code, out) == (0, "10 crashes at 5 points; nothing lost\n")


def test_crash_that_loses_something(tmp_path: Path) -> None:
    """A finding is a line with the crash in front, and the exit code says so."""
    file = tmp_path / "story.toml"
    file.write_text('title = "t"\n[[step]]\nat = "5.2s"\nservice = "kill"\n')
    code, out, _ = run_cli("simulate", file, "--crashes")
    assert code == 1
    assert out == "story.toml: without a crash: the service does not run\n0 crashes at 0 points; 1 findings\n"


def test_story_that_fails_by_itself(tmp_path: Path) -> None:
    """Where the story does not come out as it says there is nothing to compare crashes with."""
    file = tmp_path / "story.toml"
    file.write_text(RESET + "[end]\nboots = 1\n")
    code, _, err = run_cli("simulate", file, "--crashes")
    assert (code, err.count("\n")) == (1, 1)
    assert "fails without a crash too" in err


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without freezegun the line says how to get it."""

    class Missing(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise ModuleNotFoundError("No module named 'freezegun'", name="freezegun")

    monkeypatch.setitem(sys.modules, "everest_system.simulation", Missing("everest_system.simulation"))
    code, _, err = run_cli("simulate", FIRST_STEPS)
    assert (code, err.count("\n")) == (1, 1)
    assert "pip install 'everest-system[simulation]'" in err


def test_module_of_ours_missing_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation of ours does not send anybody after packages."""
    monkeypatch.setitem(sys.modules, "everest_system.simulation", None)
    code, _, err = run_cli("simulate", FIRST_STEPS)
    assert (code, "internal error" in err) == (1, True)
