"""The committed drawings."""

import runpy
import sys
from pathlib import Path

import pytest

from everest_system.diagrams import drawings
from everest_system.diagrams.drawings import check, committed, write
from everest_system.diagrams.machines import MACHINES
from everest_system.diagrams.picture import PictureError


def test_committed_drawings_are_up_to_date():
    """The drawings in the repository show the tables as they are."""
    assert check() == []
    assert all(committed(name, "svg").is_file() for name in MACHINES)


def test_written_drawings_pass(tmp_path: Path):
    """What `write` makes passes `check`, and consists of three files a machine."""
    pytest.importorskip("pygraphviz")
    write(tmp_path)
    assert check(tmp_path) == []
    made = {f"{name}.{format_}" for name in MACHINES for format_ in ("dot", "mermaid", "svg")}
    assert {file.name for file in tmp_path.iterdir()} == made


def test_differences_are_named(tmp_path: Path):
    """A line a fault: which drawing, what is wrong with it, and the command that mends it."""
    for name in MACHINES:
        for format_ in ("dot", "mermaid"):
            file = committed(name, format_, tmp_path)
            file.write_bytes(committed(name, format_).read_bytes())
    (tmp_path / "logs.dot").write_text("digraph {}")
    (tmp_path / "presence.mermaid").unlink()
    assert check(tmp_path) == [
        "logs.dot does not show the transition table of logs; mend it with: make diagrams",
        "presence.mermaid is missing; mend it with: make diagrams",
    ]


def test_nothing_is_written_without_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without pygraphviz no file is left half up to date."""
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(PictureError):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_as_a_program(monkeypatch: pytest.MonkeyPatch):
    """The module run as a program writes the drawings, and says in one line why it could not."""
    written = []
    monkeypatch.setattr(drawings, "write", lambda: written.append(True))
    runpy.run_module("everest_system.diagrams", run_name="__main__")
    assert written == [True]

    def fail() -> None:
        raise PictureError("no picture today")

    monkeypatch.setattr(drawings, "write", fail)
    with pytest.raises(SystemExit, match="no picture today"):
        runpy.run_module("everest_system.diagrams", run_name="__main__")
