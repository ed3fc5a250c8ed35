"""`everest-system demo`."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.cli import run_cli


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A demonstration that only notes what it was asked for, and fails."""
    calls: list[dict[str, Any]] = []
    module = ModuleType("everest_system.demo.main")

    def run(**options: Any) -> int:
        calls.append(options)
        return 1

    vars(module)["run"] = run
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


def test_options_and_outcome_are_passed_on(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    """The demonstration gets its options, and its outcome is the exit code."""
    assert run_cli("demo", "--fast", "--keep", tmp_path)[0] == 1
    assert asked == [{"fast": True, "keep": tmp_path}]


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the demonstration's packages the line says how to get them."""

    class Missing(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise ModuleNotFoundError("No module named 'amqtt'", name="amqtt")

    monkeypatch.setitem(sys.modules, "everest_system.demo.main", Missing("everest_system.demo.main"))
    code, _, err = run_cli("demo")
    assert (code, err.count("\n")) == (1, 1)
    assert "pip install 'everest-system[demo]'" in err


def test_module_of_ours_missing_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation of ours does not send anybody after packages."""
    monkeypatch.setitem(sys.modules, "everest_system.demo.main", None)
    code, _, err = run_cli("demo")
    assert (code, "internal error" in err) == (1, True)
