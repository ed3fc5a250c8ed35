"""The layer table of the design: a lower layer never imports a higher one, and each only its own libraries."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
US = "everest_system"

# layer: (our packages that it may import, the libraries of others)
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "fsm": ({"fsm"}, {"pydantic", "transitions"}),
    "scheduling": ({"fsm", "scheduling"}, {"apscheduler"}),
    "io": ({"fsm", "io"}, {"cryptography", "isal", "jeepney", "paho", "pycurl", "pydantic", "structlog", "zstandard"}),
    "diagrams": ({"fsm", "diagrams"}, {"pygraphviz"}),
}
# The core decides from facts that come in: it opens nothing, asks no clock and starts nothing.
FORBIDDEN_IN_FSM = {
    "asyncio", "os", "pathlib", "queue", "random", "socket", "sqlite3", "subprocess", "threading", "time",
}  # fmt: skip


def imports(file: Path) -> Iterator[str]:
    """Every module that `file` imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            if node.module == US:
                yield from (f"{US}.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module


def trespasses(layer: str, file: Path) -> list[str]:
    """What `file` imports and must not."""
    ours, libraries = LAYERS[layer]
    found = []
    for module in imports(file):
        top, *rest = module.split(".")
        if top == US:
            allowed = bool(rest) and rest[0] in ours
        else:
            allowed = top in libraries or (
                top in sys.stdlib_module_names and not (layer == "fsm" and top in FORBIDDEN_IN_FSM)
            )
        if not allowed:
            found.append(module)
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_what_the_design_allows(layer: str) -> None:
    """The folders hold to the table in which the design names what each may import."""
    files = sorted((ROOT / layer).rglob("*.py"))
    assert files
    assert {str(file.relative_to(ROOT)): found for file in files if (found := trespasses(layer, file))} == {}


def test_a_trespass_is_found(tmp_path: Path) -> None:
    """The test above can fail: an import from a higher layer, of a foreign library, or of a clock is told."""
    file = tmp_path / "wrong.py"
    file.write_text(
        "import time\nimport pycurl\nfrom everest_system import station\nfrom everest_system.io import store\n"
    )
    assert trespasses("fsm", file) == ["time", "pycurl", "everest_system.station", "everest_system.io"]
    assert trespasses("io", file) == ["everest_system.station"]
