"""The dependencies of what changes, as SVG for the page: a box for each group, and what it is connected with.

What is used stands left of what uses it. Colour and text both say what happens; resources that do not change are grey,
and those of one section that are connected alike are one box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from reconciler.model.records import dataclass
from reconciler.render.layers import Bend, layered
from reconciler.render.view import Entry, Group, View

MOST: Final = 40  # boxes; where there are more groups, those of one section and action share a box
_CHARACTERS: Final = 28  # of a name in a box: what is longer loses its middle, and is whole in the tooltip
_WIDTH: Final = 254
_HEIGHT: Final = 42
_BETWEEN: Final = 46
_COLUMN: Final = _WIDTH + _BETWEEN
_GAP: Final = 14
_EDGE: Final = 8
_LABEL: Final = "Dependencies: each resource is right of those it depends on"


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its kind of change, two lines of text, all that the tooltip says, and the block it links to, if any."""

    action: str
    title: str
    note: str
    tooltip: str
    target: str = ""


class _Place(NamedTuple):
    """The column of a box or bend, its left upper corner, and the height of the middle of its sides."""

    column: int
    x: int
    y: int
    middle: int


def anchor(number: int) -> str:
    """The id of the block of the group with this index."""
    return f"g{number + 1}"


def svg(view: View) -> str:
    """The picture; empty where no box is connected with another."""
    boxes, graph = _graph(view)
    if not any(graph.values()):
        return ""
    layers = layered(graph)
    places, height = _places(layers)
    width = 2 * _EDGE + len(layers) * _COLUMN - _BETWEEN
    size = f'width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg {size} viewBox="0 0 {width} {height}" role="group" aria-label="{_LABEL}">',
            *_lines(graph, places),
            *(_box(boxes[key], places[key]) for layer in layers for key in layer if not isinstance(key, Bend)),
            "</svg>",
        ]
    )


# --- the graph -------------------------------------------------------------------------------------------------------


def _graph(view: View) -> tuple[dict[str, Box], dict[str, list[str]]]:
    """The boxes, and those that each uses."""
    keys = _keys(view.groups)
    members: dict[str, list[int]] = {}
    for number, key in enumerate(keys):
        members.setdefault(key, []).append(number)
    boxes = {key: _changed(view.groups, numbers) for key, numbers in members.items()}
    where = {one.address: key for key, group in zip(keys, view.groups, strict=True) for one in group.entries}
    uses = {one.address: one.depends_on for one in view.entries} | dict(view.others)
    near = _neighbours(view, where)
    for key, addresses in near.items():
        boxes[key] = _unchanged(addresses)
        where |= dict.fromkeys(addresses, key)
    graph: dict[str, list[str]] = {key: [] for key in boxes}
    for address, key in where.items():
        for used in uses.get(address, ()):
            other = where.get(used, key)
            if other != key and other not in graph[key]:
                graph[key].append(other)
    return boxes, graph


def _keys(groups: tuple[Group, ...]) -> list[str]:
    """The box of each group: its own, or where they are too many one for each section and action."""
    own = [anchor(number) for number in range(len(groups))]
    if len(groups) <= MOST:
        return own
    shared = ["/".join((g.first.section, g.first.sign, g.first.verb, str(g.first.interrupts))) for g in groups]
    kept = [one if group.first.dangerous else two for group, one, two in zip(groups, own, shared, strict=True)]
    return kept if len({*kept}) <= MOST else shared


def _neighbours(view: View, where: Mapping[str, str]) -> dict[str, list[str]]:
    """What does not change, but uses or is used by what does: by section and by what it is connected with."""
    links: dict[str, set[str]] = {address: set() for address in view.others}
    for one in view.entries:
        for used in one.depends_on:
            links.get(used, set()).add(f"by {where[one.address]}")
    for address, used_by_it in view.others.items():
        links[address] |= {f"uses {where[used]}" for used in used_by_it if used in where}
    near = {address: found for address, found in links.items() if found}
    boxes = _gathered({address: " ".join((_section(address), *sorted(found))) for address, found in near.items()})
    return boxes if len(boxes) <= MOST else _gathered({address: _section(address) for address in near})


def _gathered(keys: Mapping[str, str]) -> dict[str, list[str]]:
    """The addresses by key."""
    found: dict[str, list[str]] = {}
    for address, key in keys.items():
        found.setdefault(key, []).append(address)
    return found


def _section(address: str) -> str:
    return address.partition(".")[0].partition("[")[0]


def _changed(groups: tuple[Group, ...], numbers: list[int]) -> Box:
    entries = [one for number in numbers for one in groups[number].entries]
    first = entries[0]
    what = "has notes" if first.verb == "noop" else first.verb
    note = "interrupts jobs" if first.interrupts else what
    title, tooltip = _texts([one.address for one in entries], first)
    tooltip = f"{what}{f', {note}' if first.interrupts else ''}: {tooltip}"
    action = "interrupts" if first.interrupts else first.verb
    return Box(action, f"{first.sign} {title}".strip(), f"{first.section}: {note}", tooltip, anchor(numbers[0]))


def _unchanged(addresses: list[str]) -> Box:
    title, tooltip = _texts(addresses, None)
    return Box("unchanged", title, f"{_section(addresses[0])}: unchanged", f"unchanged: {tooltip}")


def _texts(addresses: list[str], first: Entry | None) -> tuple[str, str]:
    """The title of a box, and all of its addresses."""
    section = first.section if first else _section(addresses[0])
    if len(addresses) > 1:
        shown = ", ".join(addresses[:10]) + (f" and {len(addresses) - 10} more" if len(addresses) > 10 else "")
        return f"{len(addresses)} {section}", shown
    name = first.name if first else addresses[0].removeprefix(section).removeprefix(".")
    return _middle(name), addresses[0]


def _middle(name: str) -> str:
    half = _CHARACTERS // 2
    return name if len(name) <= _CHARACTERS else f"{name[:half]}…{name[-half:]}"


# --- the drawing -----------------------------------------------------------------------------------------------------


def _places(layers: Sequence[Sequence[str | Bend]]) -> tuple[dict[str | Bend, _Place], int]:
    """Where each box and bend is, and the height of the picture; layers stand around one middle."""
    heights = [sum(map(_height, layer)) + _GAP * (len(layer) - 1) for layer in layers]
    places: dict[str | Bend, _Place] = {}
    for column, (layer, height) in enumerate(zip(layers, heights, strict=True)):
        y = _EDGE + (max(heights) - height) // 2
        for key in layer:
            places[key] = _Place(column, _EDGE + column * _COLUMN, y, y + _height(key) // 2)
            y += _height(key) + _GAP
    return places, 2 * _EDGE + max(heights)


def _height(key: str | Bend) -> int:
    return 0 if isinstance(key, Bend) else _HEIGHT


def _lines(graph: Mapping[str, Sequence[str]], places: Mapping[str | Bend, _Place]) -> list[str]:
    """The lines from the right side of what is used to the left side of what uses it; what they share is drawn once."""
    shown: dict[str, None] = {}
    for user, found in graph.items():
        for used in found:
            start = places[used]
            for column in range(start.column + 1, places[user].column):
                bend = places[Bend(used, column)]
                shown[_curve(start, bend)] = shown[f"M{bend.x} {bend.middle}h{_WIDTH}"] = None
                start = bend
            shown[_curve(start, places[user])] = None
    return [f'<path class="edge" d="{line}"/>' for line in shown]


def _curve(start: _Place, end: _Place) -> str:
    x = start.x + _WIDTH
    half = max(_BETWEEN, end.x - x) // 2
    return f"M{x} {start.middle}C{x + half} {start.middle} {end.x - half} {end.middle} {end.x} {end.middle}"


def _box(box: Box, place: _Place) -> str:
    inner = "".join(_parts(box, place.x, place.y))
    if not box.target:
        return f'<g class="box {box.action}">{inner}</g>'
    return f'<a class="box {box.action}" href="#{box.target}">{inner}</a>'


def _parts(box: Box, x: int, y: int) -> Iterator[str]:
    yield f"<title>{escape(box.tooltip)}</title>"
    yield f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>'
    yield f'<text class="name" x="{x + 10}" y="{y + 18}">{escape(box.title)}</text>'
    yield f'<text class="note" x="{x + 10}" y="{y + 34}">{escape(box.note)}</text>'
