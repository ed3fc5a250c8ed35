"""Drawings as Mermaid source (`stateDiagram-v2`), for pages that draw it themselves.

It says the same as the Graphviz drawing. Mermaid cannot colour a single arrow of a state diagram: steps taken carry
their numbers, and only states are coloured.
"""

from collections.abc import Iterator, Sequence

from everest_system.diagrams.edges import Cause, edges
from everest_system.diagrams.machines import Machine
from everest_system.diagrams.trail import Trail, numbered

_HEAD = """\
%% Made by `make diagrams` from the transition table of {name}; not to be edited.
stateDiagram-v2
    direction TB
"""
_CLASSES = {
    "publishes": "fill:#e3eefc,stroke:#2563a8,color:#111827",
    "silent":    "fill:#ffffff,stroke:#8a929e,color:#4b5563,stroke-dasharray:5 4",
    "plain":     "fill:#f3f4f6,stroke:#4b5563,color:#111827",
    "succeeded": "fill:#d9f2df,stroke:#2e7d43,color:#111827,stroke-width:3px",
    "ended":     "fill:#fbe4e1,stroke:#b3443a,color:#111827,stroke-width:3px",
    "many":      "fill:#ffffff,stroke:#8a929e,color:#4b5563,stroke-dasharray:2 3",
    "taken":     "fill:#fdebdf,stroke:#d9480f,color:#111827,stroke-width:3px",
    "current":   "fill:#ffe066,stroke:#d9480f,color:#111827,stroke-width:5px",
}  # fmt: skip


def mermaid_source(machine: Machine, marks: Trail) -> str:
    """The drawing of `machine`, with `marks` in it, in Mermaid's language."""
    single, shared = edges(machine)
    classes = {str(state): _class(machine, str(state), marks) for state in machine.table}
    lines = []
    for state in classes:
        marked = "".join(f" {each.mark}" for each in shared if each.mark and state in each.sources)
        word = machine.word(state)
        lines.append(f'state "{state}{marked}{f"<br/>{word}" if word else ""}" as {state}')
    for number, each in enumerate(shared):
        classes[f"many_{number}"] = "many"
        lines.append(f'state "{each.stand_in}" as many_{number}')
    lines.append(f"[*] --> {machine.initial}")
    for number, each in enumerate(shared):
        lines.append(f"many_{number} --> {each.target} : {_label(each.sources, [each.cause], each.target, marks)}")
    for edge in single:
        label = _label([edge.source], edge.causes, edge.target, marks)
        lines.append(f"{edge.source} --> {edge.target} : {label}")
    lines += _coloured(classes)
    return _HEAD.format(name=machine.name) + "".join(f"    {line}\n" for line in lines)


def _label(sources: Sequence[str], causes: Sequence[Cause], target: str, marks: Trail) -> str:
    return "<br/>".join(numbered(cause, marks.numbers(sources, cause, target)) for cause in causes)


def _class(machine: Machine, state: str, marks: Trail) -> str:
    if state == marks.current:
        return "current"
    if state in marks.visited:
        return "taken"
    if state in machine.ends:
        return "succeeded" if state in machine.good_path else "ended"
    if machine.word(state):
        return "publishes"
    return "silent" if machine.status else "plain"


def _coloured(classes: dict[str, str]) -> Iterator[str]:
    for name, look in _CLASSES.items():
        members = [state for state, its_class in classes.items() if its_class == name]
        if members:
            yield f"classDef {name} {look}"
            yield f"class {','.join(members)} {name}"
