"""The drawings as text, by the name of a machine.

    dot("firmware")                                            # for Graphviz
    mermaid("logs", current="UPLOADING")                       # for a page that draws Mermaid
    dot("firmware", path=[("UpdateRequested", "ACCEPTED")])    # with the way taken; see `trail` for what a path is

The same tables give the same text, byte for byte.
"""

from collections.abc import Sequence

from everest_system.diagrams.graphviz_source import graphviz_source
from everest_system.diagrams.machines import machine_named
from everest_system.diagrams.mermaid_source import mermaid_source
from everest_system.diagrams.trail import trail


def dot(name: str, *, current: str | None = None, path: Sequence[tuple[str, str]] = ()) -> str:
    """The drawing in Graphviz's language, with `current` and `path` marked in it.

    Raises:
        ValueError: there is no machine `name`, or it has no state `current`.
    """
    machine = machine_named(name)
    return graphviz_source(machine, trail(machine, current, path))


def mermaid(name: str, *, current: str | None = None, path: Sequence[tuple[str, str]] = ()) -> str:
    """The drawing in Mermaid's language, with `current` and `path` marked in it.

    Raises:
        ValueError: there is no machine `name`, or it has no state `current`.
    """
    machine = machine_named(name)
    return mermaid_source(machine, trail(machine, current, path))
