"""`everest-system diagram`, without a service."""

import sys
from pathlib import Path

import pytest
from support.cli import run_cli

from everest_system import diagrams
from everest_system.commands import diagram


@pytest.mark.parametrize("name", list(diagram.MachineName))
def test_each_machine_is_drawn_as_text(name: str) -> None:
    """Dot, the default, and Mermaid come out byte for byte as they are made."""
    assert run_cli("diagram", name) == (0, diagrams.dot(name), "")
    assert run_cli("diagram", name, "--format", "mermaid")[1] == diagrams.mermaid(name)


def test_every_machine_has_its_name() -> None:
    """What can be drawn can be asked for."""
    assert set(diagram.MachineName) == set(diagrams.MACHINES)


@pytest.mark.parametrize(
    ("file", "beginning"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG"), ("a.gv", b"// Made"), ("a.mmd", b"%% Made")]
)
def test_file_name_says_the_format(file: str, beginning: bytes, tmp_path: Path) -> None:
    """-o writes what the file's name ends in."""
    pytest.importorskip("pygraphviz")
    assert run_cli("diagram", "logs", "-o", tmp_path / file) == (0, "", "")
    assert (tmp_path / file).read_bytes().startswith(beginning)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["logs", "-f", "text"],
        ["logs", "-f", "gif"],
        ["logs", "-o", "a.gif"],
        ["--check", "-o", "a.dot"],
    ],
    ids=" ".join,
)
def test_wrong_wishes_are_code_2(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine, an unknown one, a path without --live, an unknown format and a check with a file are wrong."""
    monkeypatch.chdir(tmp_path)
    assert run_cli("diagram", *arguments)[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_binary_is_kept_from_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A png to a terminal is refused with a hint."""
    monkeypatch.setattr(diagram, "_is_terminal", lambda: True)
    code, out, err = run_cli("diagram", "logs", "-f", "png")
    assert (code, out, "-o FILE" in err) == (2, "", True)


def test_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    """A file that cannot be written is one line."""
    code, _, err = run_cli("diagram", "logs", "-o", tmp_path / "no" / "a.dot")
    assert (code, err) == (1, f"everest-system: {tmp_path}/no/a.dot: No such file or directory\n")


def test_missing_graphviz_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pygraphviz the line says how to get it."""
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    code, _, err = run_cli("diagram", "logs", "-f", "svg")
    assert (code, "everest-system[diagrams]" in err) == (1, True)


def test_check_tells_which_drawings_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """--check is code 0 while drawings and tables agree, else 1 with the command that mends them."""
    monkeypatch.setattr(diagrams, "check", list)
    assert run_cli("diagram", "--check")[0] == 0
    monkeypatch.setattr(diagrams, "check", lambda: ["a.dot is missing; mend it with: make diagrams", "b"])
    code, out, err = run_cli("diagram", "firmware", "--check")
    assert (code, out) == (1, "")
    assert "a.dot is missing; mend it with: make diagrams" in err.splitlines()[0]
    assert len(err.splitlines()) == 2
