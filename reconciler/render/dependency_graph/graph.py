"""The dependencies of an environment as nodes and uses: declared resources, look-ups, and names outside it. Pure.

Outside are the resources that ``refs`` name and the environment does not declare, by name, ARN or id. Nodes are sorted
by their keys, so that the same environment gives the same text, in whatever order it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum
from typing import Any, Final

from reconciler.config.links import Place, link
from reconciler.config.references import Kinds, dependencies, expressions, reference_sites, references, templates
from reconciler.model import Address, Environment, Path, Ref, Resource, Template
from reconciler.model.paths import dotted
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.render.mask import Mask
from reconciler.render.view import View

LOOKUPS: Final = "lookups"
_UNCHANGED: Final = "noop"
_ITEM: Final = regex(r"\.\d+(?=\.|$)")


class NodeType(StrEnum):
    """What a node is."""

    RESOURCE = "resource"
    LOOKUP = "look-up"
    OUTSIDE = "outside"


class Direction(StrEnum):
    """Which resources belong to the graph of one."""

    DEPENDENTS = "dependents"
    DEPENDENCIES = "dependencies"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node; ``verb`` and ``sign`` are what a plan does to it, ``interrupts``: it interrupts jobs."""

    key: str
    type: NodeType = NodeType.RESOURCE
    verb: str = ""
    sign: str = ""
    interrupts: bool = False

    @property
    def changed(self) -> bool:
        """Whether the plan does anything to it."""
        return self.verb not in ("", _UNCHANGED)

    @property
    def note(self) -> str:
        """What it is where it is no resource, or what the plan does to it, with the plan's sign; mostly empty."""
        if self.type is NodeType.LOOKUP:
            return "look-up"
        if self.type is NodeType.OUTSIDE:
            return "not declared here"
        note = f"{self.verb} ({self.sign})" if self.changed else ""
        return f"{note}, interrupts jobs" if self.interrupts else note

    @property
    def style(self) -> str:
        """The name of how it is drawn: what the plan does to it, ``interrupts``, ``lookup``, ``outside``, ``plain``."""
        if self.type is not NodeType.RESOURCE:
            return self.type.value.replace("-", "")
        return "interrupts" if self.interrupts else self.verb if self.changed else "plain"


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """One node that another uses, at these paths; ``late``: only a later call needs it, so it may come after."""

    target: str
    paths: tuple[str, ...] = ()
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The nodes by key, sorted, and what each uses; ``title`` is the name of the environment.

    ``centre`` is the node that a part of a graph is around, ``direction`` what else is in that part.
    """

    title: str
    nodes: Mapping[str, Node]
    uses: Mapping[str, tuple[Use, ...]]
    centre: str = ""
    direction: Direction = Direction.BOTH
    users: Mapping[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        users: dict[str, list[str]] = {key: [] for key in self.nodes}
        for key in self.nodes:
            for use in self.uses.get(key, ()):
                users[use.target].append(key)
        object.__setattr__(self, "users", {key: tuple(found) for key, found in users.items()})

    def edges(self) -> Iterator[tuple[str, Use]]:
        """Every use with the key of its user, in the order of the nodes."""
        return ((key, use) for key in self.nodes for use in self.uses.get(key, ()))


def of(env: Environment, kinds: Kinds, mask: Mask) -> Graph:
    """The graph of a checked environment, without asking AWS."""
    place = Place(environment=env.name, account=env.account, region=env.region)
    declared = link(env.resources, kinds, place)
    nodes = {mask.line(str(address)): NodeType.RESOURCE for address in declared}
    uses: dict[str, dict[str, tuple[set[str], bool]]] = {}

    def used(user: str, target: str, path: Path, *, late: bool, kind: NodeType) -> None:
        if target != user:
            nodes.setdefault(target, kind)
            paths, always_late = uses.setdefault(user, {}).get(target, (set(), True))
            uses[user][target] = (paths | ({_place(path)} if path else set()), always_late and late)

    for address, resource in declared.items():
        user = mask.line(str(address))
        for use in dependencies(resource, kinds, declared):
            used(user, mask.line(str(use.target)), use.path, late=use.ref.late, kind=NodeType.RESOURCE)
        for path, name in _lookups(expressions(resource)):
            used(user, mask.line(str(Address(LOOKUPS, name))), path, late=False, kind=NodeType.LOOKUP)
        for path, ref, outside in _outside(resource, kinds, declared):
            used(user, mask.line(outside), path, late=ref.late, kind=NodeType.OUTSIDE)
    for name, lookup in env.lookups.items():
        user = mask.line(str(Address(LOOKUPS, name)))
        nodes.setdefault(user, NodeType.LOOKUP)
        for path, part in templates(lookup.args):
            if part.root == LOOKUPS:
                used(user, mask.line(str(Address(LOOKUPS, part.attr))), path, late=False, kind=NodeType.LOOKUP)
    return _graph(mask.line(env.name), {key: Node(key=key, type=kind) for key, kind in nodes.items()}, uses)


def _graph(title: str, nodes: Mapping[str, Node], uses: Mapping[str, Mapping[str, tuple[set[str], bool]]]) -> Graph:
    made = {
        user: tuple(sorted(Use(target, tuple(sorted(paths)), late) for target, (paths, late) in found.items()))
        for user, found in uses.items()
    }
    return Graph(title=title, nodes={key: nodes[key] for key in sorted(nodes)}, uses=made)


def _place(path: Path) -> str:
    """A path as text, without the numbers of items."""
    return _ITEM.sub("[]", dotted(path))


def _lookups(written: Iterable[tuple[Path, Template]]) -> Iterator[tuple[Path, str]]:
    return ((path, part.attr) for path, part in references(written) if part.root == LOOKUPS)


def _outside(resource: Resource, kinds: Kinds, declared: Mapping[Address, Any]) -> Iterator[tuple[Path, Ref, str]]:
    """What is named and not declared; names that AWS may know by itself (``optional``) are left out."""
    for path, ref, value in reference_sites(resource, kinds[resource.address.section]):
        if ref.optional:
            continue
        if isinstance(value, Template):
            if all(isinstance(part, str) or part.root in _PLACE for part in value.parts):
                yield path, ref, str(value)
        elif isinstance(value, str) and value:
            if re.match(ref.literal, value):
                yield path, ref, value
            elif not any(Address(section, value) in declared for section in ref.sections):
                yield path, ref, str(Address(ref.section, value))


_PLACE: Final = ("account", "region", "partition")


# --- what a plan changes, and parts of a graph -----------------------------------------------------------------------


def coloured(graph: Graph, view: View) -> Graph:
    """``graph`` with what the plan does to each resource; what it deletes, or adds by itself, is added."""
    nodes, uses = dict(graph.nodes), dict(graph.uses)
    for entry in view.entries:
        old = nodes.get(entry.address, Node(key=entry.address))
        nodes[entry.address] = replace(old, verb=entry.verb, sign=entry.sign, interrupts=entry.interrupts)
    known = {**{entry.address: entry.depends_on for entry in view.entries}, **view.others}
    for address, targets in known.items():
        nodes.setdefault(address, Node(key=address))
        if address not in graph.nodes:
            uses[address] = tuple(Use(one) for one in sorted({*targets} - {address}) if one in nodes or one in known)
    ordered = {key: nodes[key] for key in sorted(nodes)}
    return Graph(title=graph.title, nodes=ordered, uses=uses)


def around(graph: Graph, centre: str, direction: Direction, depth: int | None = None) -> Graph:
    """The part with ``centre`` and what it reaches, up to ``depth`` uses away."""
    kept = {centre}
    if direction is not Direction.DEPENDENTS:
        kept |= _reached(centre, {key: [use.target for use in found] for key, found in graph.uses.items()}, depth)
    if direction is not Direction.DEPENDENCIES:
        kept |= _reached(centre, graph.users, depth)
    return Graph(
        title=graph.title,
        nodes={key: node for key, node in graph.nodes.items() if key in kept},
        uses={
            key: tuple(use for use in found if use.target in kept) for key, found in graph.uses.items() if key in kept
        },
        centre=centre,
        direction=direction,
    )


def _reached(start: str, links: Mapping[str, Sequence[str]], depth: int | None) -> set[str]:
    found, edge, away = {start}, [start], 0
    while edge and (depth is None or away < depth):
        edge = sorted({other for key in edge for other in links.get(key, ())} - found)
        found |= {*edge}
        away += 1
    return found


def short(key: str, most: int) -> str:
    """A key that is too long for a box loses its middle."""
    half = (most - 1) // 2
    return key if len(key) <= most else f"{key[:half]}…{key[-half:]}"
