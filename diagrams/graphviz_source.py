"""Drawings as Graphviz source.

The good path runs straight down, what goes wrong stands at its sides. The same table gives the same bytes: everything
is in the table's order, and the layout engine is named in the source.
"""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

from everest_system.diagrams.edges import Cause, Edge, Shared, edges
from everest_system.diagrams.machines import Machine
from everest_system.diagrams.trail import Trail, numbered

_HEAD = """\
// Made by `make diagrams` from the transition table of {name}; not to be edited.
digraph {name} {{
    graph [layout=dot, rankdir=TB, nodesep=0.35, ranksep=0.4, pad=0.2, bgcolor=white,
           labelloc=t, labeljust=l, fontname=Helvetica, fontsize=11,
           label=<{caption}>]
    node [shape=box, margin="0.14,0.07", fontname=Helvetica, fontsize=11, penwidth=1.2]
    edge [fontname=Helvetica, fontsize=9, color="#6b7280", fontcolor="#374151", arrowsize=0.7]
"""
_PUBLISHES = 'style="rounded,filled", fillcolor="#e3eefc", color="#2563a8"'
_SILENT = 'style="rounded,dashed", color="#8a929e", fontcolor="#4b5563"'
_PLAIN = 'style="rounded,filled", fillcolor="#f3f4f6", color="#4b5563"'
_GOOD_END = 'style=filled, peripheries=2, fillcolor="#d9f2df", color="#2e7d43"'
_END = 'style=filled, peripheries=2, fillcolor="#fbe4e1", color="#b3443a"'
_STAND_IN = 'style="rounded,dotted", color="#8a929e", fontcolor="#4b5563"'
_MARK = '<font color="#b3443a"> {}</font>'
_CURRENT = 'fillcolor="#ffe066", style="rounded,filled,bold", penwidth=4'
_TAKEN_NODE = 'color="#d9480f", penwidth=3'
_TAKEN_EDGE = 'color="#d9480f", fontcolor="#d9480f", penwidth=2.6'


def graphviz_source(machine: Machine, marks: Trail) -> str:
    """The drawing of `machine`, with `marks` in it, in Graphviz's language."""
    single, shared = edges(machine)
    tops = "; ".join([str(machine.initial), *(f"many_{number}" for number in range(len(shared)))])
    lines = [
        *_nodes(machine, shared, marks),
        *(line for number, each in enumerate(shared) for line in _shared(each, number, marks)),
        f"{{ rank=same; {tops} }}",
        *(_edge(machine, edge, marks) for edge in single),
    ]
    head = _HEAD.format(name=machine.name, caption=_caption(machine))
    return head + "".join(f"    {line}\n" for line in lines) + "}\n"


def _caption(machine: Machine) -> str:
    said = ["Arrows: the event and, in brackets, the guard that has to say yes."]
    if machine.status:
        said = ["Each state, and below it the status that is published on entering it.", *said]
        said.append("Dashed: publishes nothing. Double border: the request has ended.")
    left = '<br align="left"/>'
    return f"<b>{escape(machine.title)}</b>{left}{left.join(said)}{left}<br/>"


def _nodes(machine: Machine, shared: Sequence[Shared], marks: Trail) -> Iterator[str]:
    yield 'start [shape=circle, style=filled, fillcolor=black, width=0.16, label="", tooltip="start"]'
    yield f"start -> {machine.initial} [weight=10]"
    for state in machine.table:
        name, word = str(state), machine.word(state)
        marked = "".join(_MARK.format(each.mark) for each in shared if each.mark and name in each.sources)
        said = "".join(f"<br/>{escape(line)}" for line in word.replace(", ", ",\n").splitlines()) if word else ""
        look = [f"label=<<b>{name}</b>{marked}{said}>", _look(machine, name)]
        if name in machine.good_path:
            look.append("group=good")
        if name in marks.visited:
            look.append(_TAKEN_NODE)
        if name == marks.current:
            look.append(_CURRENT)
        yield f"{name} [{', '.join(look)}]"


def _look(machine: Machine, state: str) -> str:
    if state in machine.ends:
        return _GOOD_END if state in machine.good_path else _END
    if machine.word(state):
        return _PUBLISHES
    return _SILENT if machine.status else _PLAIN


def _edge(machine: Machine, edge: Edge, marks: Trail) -> str:
    good = [str(state) for state in machine.good_path]
    look = _arrow([edge.source], edge.causes, edge.target, marks)
    if (edge.source, edge.target) in pairwise(good):
        look.append("weight=20")
    if edge.source == edge.target:
        look.append("tailport=w, headport=w")  # on the right, where Graphviz has it, it gets in the way of others
    return f"{edge.source} -> {edge.target} [{', '.join(look)}]"


def _shared(each: Shared, number: int, marks: Trail) -> Iterator[str]:
    name, label = f"many_{number}", each.stand_in
    if each.mark:
        label = label.replace(each.mark, _MARK.format(each.mark))
    yield f"{name} [label=<{label}>, {_STAND_IN}]"
    look = _arrow(each.sources, [each.cause], each.target, marks)
    yield f"{name} -> {each.target} [{', '.join(look)}]"


def _arrow(sources: Sequence[str], causes: Sequence[Cause], target: str, marks: Trail) -> list[str]:
    steps = [marks.numbers(sources, cause, target) for cause in causes]
    label = "".join(f" {numbered(cause, numbers)} \\l" for cause, numbers in zip(causes, steps, strict=True))
    return [f'label="{label}"', *([_TAKEN_EDGE] if any(steps) else [])]
