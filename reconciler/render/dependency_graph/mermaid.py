"""The graph as a mermaid flowchart, as GitHub and GitLab draw it in Markdown.

Details:

- The ids of nodes are hashes of their keys: no name can be a keyword (``end``), and a new resource changes no other
  line.
- A label is in quotes, and every character in it that means something to mermaid, Markdown or HTML is an entity. No
  line begins with a sign, which would make a list of it.

https://mermaid.js.org/syntax/flowchart.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from reconciler.model.patterns import regex

from .colours import STYLES, TEXT
from .graph import Graph, Node, NodeType

_SAFE: Final = regex(r"[^\w .,:/()\[\]@+=~-]")
_SHAPES: Final = {NodeType.RESOURCE: ("[", "]"), NodeType.LOOKUP: ("([", "])"), NodeType.OUTSIDE: ("[[", "]]")}
_DIGITS: Final = 10
_EDGES: Final = 500
_SIZE: Final = 50_000


def mermaid(graph: Graph) -> str:
    """The text of a diagram; an arrow goes from a node to what it depends on."""
    return "\n".join(_lines(graph)) + "\n"


def limits(graph: Graph, text: str) -> str:
    """What mermaid refuses about the diagram as it is set by default, also on GitHub; empty where it draws it.

    https://mermaid.js.org/config/schema-docs/config.html (maxEdges, maxTextSize)
    """
    edges = sum(1 for _ in graph.edges())
    if edges > _EDGES:
        return f"more than {_EDGES} edges (this one has {edges:,})"
    return f"more than {_SIZE:,} characters (this one has {len(text):,})" if len(text) > _SIZE else ""


def _lines(graph: Graph) -> Iterator[str]:
    yield "flowchart RL"
    yield "    %% each arrow points at what a resource depends on; dotted: only for a later call"
    ids = _ids(graph.nodes)
    for key, node in graph.nodes.items():
        yield f"    {_node(ids[key], node)}"
    for key, use in graph.edges():
        yield f"    {ids[key]} {'-.->' if use.late else '-->'} {ids[use.target]}"
    if graph.centre:
        yield f"    style {ids[graph.centre]} font-weight:bold"
    used = {node.style for node in graph.nodes.values()} - {"plain"}
    for name in STYLES:
        if name in used:
            style = STYLES[name]
            dashes = f",stroke-dasharray:{style.dashes}" if style.dashes else ""
            look = f"fill:{style.ground},stroke:{style.border},color:{TEXT},stroke-width:{style.width}px{dashes}"
            yield f"    classDef {_class(name)} {look}"


def _class(style: str) -> str:
    """No name of a style is a keyword of mermaid this way (``default`` would be one)."""
    return f"is-{style}"


def _node(identity: str, node: Node) -> str:
    start, end = _SHAPES[node.type]
    label = _text(node.key)
    if node.note:
        label += f"<br/>{_text(node.note)}"
    style = "" if node.style == "plain" else f":::{_class(node.style)}"
    return f'{identity}{start}"{label}"{end}{style}'


def _text(text: str) -> str:
    return _SAFE.sub(lambda found: f"#{ord(found[0])};", text)


def _ids(nodes: Mapping[str, Node]) -> dict[str, str]:
    """An id for each key, longer where two begin alike."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for key in nodes:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        size = next(size for size in range(_DIGITS, len(digest) + 1) if f"n{digest[:size]}" not in taken)
        found[key] = f"n{digest[:size]}"
        taken.add(found[key])
    return found
