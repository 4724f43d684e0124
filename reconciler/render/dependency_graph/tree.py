"""The graph as a tree for a terminal: below each resource stands what it depends on, with the signs of a plan.

What stands below several is complete at the first place only; a circle ends where it closes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from .graph import Direction, Graph, Node

_ABOVE: Final = " (see above)"
_NONE: Final = "none"


def tree(graph: Graph) -> str:
    """The text; of a graph around one resource each direction with a heading."""
    needs = {key: [use.target for use in graph.uses.get(key, ())] for key in graph.nodes}
    if not graph.centre:
        return "\n".join(_forest(graph, needs)) + "\n"
    lines = [_label(graph, graph.centre)]
    ways: list[tuple[str, Mapping[str, Sequence[str]]]] = []
    if graph.direction is not Direction.DEPENDENTS:
        ways.append(("depends on", needs))
    if graph.direction is not Direction.DEPENDENCIES:
        ways.append(("used by", graph.users))
    for heading, links in ways:
        below = links[graph.centre]
        lines += ["", f"{heading}:", *(_below(graph, links, graph.centre) if below else [f"  {_NONE}"])]
    return "\n".join(lines) + "\n"


def _forest(graph: Graph, links: Mapping[str, Sequence[str]]) -> Iterator[str]:
    seen: set[str] = set()
    roots = [key for key in graph.nodes if not graph.users[key]]
    for key in (*roots, *graph.nodes):  # the second time for circles that nothing else uses
        if key not in seen:
            yield _label(graph, key)
            yield from _walk(graph, links, key, seen)


def _below(graph: Graph, links: Mapping[str, Sequence[str]], key: str) -> list[str]:
    return [f"  {line}" for line in _walk(graph, links, key, set())]


def _walk(graph: Graph, links: Mapping[str, Sequence[str]], start: str, seen: set[str]) -> Iterator[str]:
    """The lines below ``start``, without recursion: chains may be long."""
    seen.add(start)
    stack = [_branches(links, start, "")]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        key, branch, indent = found
        again = key in seen and bool(links[key])
        yield f"{branch}{_label(graph, key)}{_ABOVE if again else ''}"
        if key not in seen:
            seen.add(key)
            stack.append(_branches(links, key, indent))


def _branches(links: Mapping[str, Sequence[str]], key: str, indent: str) -> Iterator[tuple[str, str, str]]:
    """What stands directly below: its key, the line before it, and the indent of what stands below that."""
    below = links[key]
    for number, other in enumerate(below, start=1):
        last = number == len(below)
        yield other, f"{indent}{'└── ' if last else '├── '}", f"{indent}{'    ' if last else '│   '}"


def _label(graph: Graph, key: str) -> str:
    node: Node = graph.nodes[key]
    if not node.changed:
        return f"{key}  ({node.note})" if node.note else key
    return f"{node.sign} {key}  ({node.verb}{', interrupts jobs' if node.interrupts else ''})"
