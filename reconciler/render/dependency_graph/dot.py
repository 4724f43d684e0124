"""The graph in the DOT language of Graphviz: every name is a quoted text, so none can be a keyword.

https://graphviz.org/doc/info/lang.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .colours import LINE, STYLES, TEXT
from .graph import Graph, Node, NodeType, Use

_SHAPES: Final = {NodeType.RESOURCE: "box", NodeType.LOOKUP: "ellipse", NodeType.OUTSIDE: "note"}


def dot(graph: Graph) -> str:
    """The text of a file for Graphviz; an edge goes from a node to what it depends on."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    yield f"digraph {_quoted(graph.title)} {{"
    yield '  rankdir="RL"'
    yield f'  node [fontname="Helvetica", fontsize="11", fontcolor="{TEXT}", style="filled"]'
    yield f'  edge [color="{LINE}"]'
    for node in graph.nodes.values():
        yield f"  {_quoted(node.key)} [{_attributes(node, centre=node.key == graph.centre)}]"
    for key, use in graph.edges():
        yield f"  {_quoted(key)} -> {_quoted(use.target)}{_edge(use)}"
    yield "}"


def _attributes(node: Node, *, centre: bool) -> str:
    style = STYLES[node.style]
    label = _escaped(node.key) + (rf"\n{_escaped(node.note)}" if node.note else "")
    found = {
        "label": f'"{label}"',
        "shape": f'"{_SHAPES[node.type]}"',
        "fillcolor": f'"{style.ground}"',
        "color": f'"{style.border}"',
        "penwidth": f'"{style.width}"',
    }
    if style.dashes:
        found["style"] = '"filled,dashed"'
    if centre:
        found["fontname"] = '"Helvetica-Bold"'
    return ", ".join(f"{name}={value}" for name, value in found.items())


def _edge(use: Use) -> str:
    found = []
    if use.paths:
        found.append(f'tooltip="{_escaped(", ".join(use.paths))}"')
    if use.late:
        found.append('style="dashed"')
    return f" [{', '.join(found)}]" if found else ""


def _quoted(text: str) -> str:
    """A name: only quotes mean something in it, and a backslash before one, or at its end."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    r"""A label, in which Graphviz reads ``\N`` and entities of HTML as well."""
    return text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
