"""The graph as an SVG file of its own, laid out by graphlay (docs/adr/0021-graphs-laid-out-by-graphlay.md).

What is used stands left of what uses it, as on the page of a plan. graphlay is imported when a graph is laid out: it
comes with the extra ``graph``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from .colours import LINE, STYLES, TEXT
from .graph import Graph, Node, Use, short

EXTRA: Final = "graph"
_CHARACTERS: Final = 56  # of a name in a box: what is longer loses its middle, and is whole in the tooltip
_CHARACTER: Final = 7.3  # the widest that one of a monospace font of 12 px is
_PADDING: Final = 12
_HEIGHT: Final = {False: 30, True: 46}  # by whether there is a second line
_MARGIN: Final = 16
_MANY: Final = 300  # edges from which lines are not moved away from each other one by one, which takes too long
_OPTIONS: Final = {"direction": "leftright", "routing": {"style": "diagonal"}, "spacing": {"node_gap": 16.0}}
_QUICK: Final = {"effort": "fast", "tuning": {"routing": {"overlap_repair_rounds": 0, "port_relax_rounds": 0}}}
_ARROW: Final = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker>'
)


class MissingLibraryError(Exception):
    """graphlay is not installed."""


class Box(NamedTuple):
    """A node of the picture: its left upper corner and its size."""

    x: float
    y: float
    width: float
    height: float


def svg(graph: Graph) -> str:
    """The text of an SVG file. Raises MissingLibraryError."""
    sizes = {key: _size(node) for key, node in graph.nodes.items()}
    boxes, lines, (left, top, right, bottom) = _laid_out(sizes, [(use.target, key) for key, use in graph.edges()])
    width, height = right - left + 2 * _MARGIN, bottom - top + 2 * _MARGIN
    at = f'x="{left - _MARGIN:g}" y="{top - _MARGIN:g}" width="{width:g}" height="{height:g}"'
    view = f"{left - _MARGIN:g} {top - _MARGIN:g} {width:g} {height:g}"
    label = escape(f"Dependencies in {graph.title}: each resource is right of those it depends on")
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="{view}" role="img">',
        f"<title>{label}</title>",
        f"<defs>{_ARROW}</defs>",
        f'<rect {at} fill="#ffffff"/>',
        *(_line(points, user, use) for points, (user, use) in zip(lines, graph.edges(), strict=True)),
        *(part for key, node in graph.nodes.items() for part in _box(node, boxes[key], centre=key == graph.centre)),
        "</svg>",
    ]
    return "\n".join(drawn) + "\n"


def _laid_out(
    sizes: Mapping[str, tuple[float, float]], edges: Sequence[tuple[str, str]]
) -> tuple[dict[str, Box], list[list[tuple[float, float]]], tuple[float, float, float, float]]:
    """Each box, the points of each edge from its start to its end, and the bounds of all."""
    if not sizes:
        return {}, [], (0.0, 0.0, 0.0, 0.0)
    try:
        import graphlay  # noqa: PLC0415  (optional)
    except ImportError as error:
        raise MissingLibraryError from error
    drawing = graphlay.Graph()
    for key, (width, height) in sizes.items():
        drawing.node(key, width=width, height=height, label="")
    for start, end in edges:
        drawing.edge(start, end)
    options = {**_OPTIONS, **(_QUICK if len(edges) > _MANY else {})}
    made = graphlay.layout(drawing, options=options)
    boxes = {
        key: Box(x - sizes[key][0] / 2, y - sizes[key][1] / 2, *sizes[key]) for key, (x, y) in made.positions().items()
    }
    lines = [[(point["x"], point["y"]) for point in edge["points"]] for edge in made.edges]
    corners = [
        *((box.x, box.y) for box in boxes.values()),
        *((box.x + box.width, box.y + box.height) for box in boxes.values()),
        *(point for line in lines for point in line),
    ]
    across, down = zip(*corners, strict=True)
    return boxes, lines, (min(across), min(down), max(across), max(down))


def _size(node: Node) -> tuple[float, float]:
    characters = max(_cells(short(node.key, _CHARACTERS)), _cells(node.note))
    return round(characters * _CHARACTER + 2 * _PADDING, 1), float(_HEIGHT[bool(node.note)])


def _cells(text: str) -> int:
    """The width of a text in columns; a character of East Asia takes two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _line(points: Sequence[tuple[float, float]], user: str, use: Use) -> str:
    """The line from the user to what it uses, which has the arrow's head."""
    path = "L".join(f"{x:g} {y:g}" for x, y in reversed(points))
    dashes = ' stroke-dasharray="4 3"' if use.late else ""
    about = f"<title>{escape(user)} depends on {escape(use.target)}</title>"
    return f'<path d="M{path}" fill="none" stroke="{LINE}"{dashes} marker-end="url(#arrow)">{about}</path>'


def _box(node: Node, box: Box, *, centre: bool) -> Iterator[str]:
    style = STYLES[node.style]
    dashes = f' stroke-dasharray="{style.dashes}"' if style.dashes else ""
    place = f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"'
    yield f"<g><title>{escape(f'{node.key}: {node.note}' if node.note else node.key)}</title>"
    border = f'stroke="{style.border}" stroke-width="{style.width}"{dashes}'
    yield f'<rect {place} rx="5" fill="{style.ground}" {border}/>'
    font = f'font-family="ui-monospace, Menlo, Consolas, monospace" fill="{TEXT}"'
    bold = ' font-weight="700"' if centre or node.changed else ""
    name = escape(short(node.key, _CHARACTERS))
    yield f'<text x="{box.x + _PADDING:g}" y="{box.y + 19:g}" font-size="12" {font}{bold}>{name}</text>'
    if node.note:
        note = escape(node.note)
        yield f'<text x="{box.x + _PADDING:g}" y="{box.y + 35:g}" font-size="11" {font}>{note}</text>'
    yield "</g>"
