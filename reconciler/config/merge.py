"""JSON Merge Patch over nodes: every value keeps its place.

Mappings merge, ``null`` removes, everything else replaces: https://www.rfc-editor.org/rfc/rfc7386
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from reconciler.config.yaml.node import Node, PlainNode, count
from reconciler.model import Path, Pos


class UselessNull(NamedTuple):
    """A member whose null removes nothing, and its place."""

    name: str
    pos: Pos


def patch(under: Node | None, over: Node, useless_nulls: list[UselessNull] | None = None) -> Node:
    """``over`` applied to ``under``; a member that both have gets its place from ``over``.

    A ``null`` at the top is returned unchanged: the caller removes the member. Nulls that remove nothing are added to
    ``useless_nulls``.
    """
    if type(over) is PlainNode and (under is None or type(under) is PlainNode):
        return over if under is None or not over.is_mapping() else _patched(under, over)
    if not isinstance(over.value, dict):
        return over
    members: dict[str, Node] = dict(under.value) if under is not None and isinstance(under.value, dict) else {}
    for name, node in over.value.items():
        if node.value is not None:
            members[name] = patch(members.get(name), node, useless_nulls)
        elif members.pop(name, None) is None and useless_nulls is not None:
            useless_nulls.append(UselessNull(name, node.pos))
    return Node(members, over.mark)


def _patched(under: PlainNode, over: PlainNode) -> PlainNode:
    """The same for mappings of plain data; their nodes are merged when a place is needed."""
    data, replaced = _merged(under.data, over.data)
    kept = [site for site in under.sites if site not in over.sites and _at(data, site) is _at(under.data, site)]
    sites = over.sites
    if kept or (type(under.data) is dict and any(site[0] in under.data for site in sites)):  # else in order as before
        sites = tuple(sorted((*sites, *kept), key=partial(_order, data)))
    return PlainNode(
        data,
        over.known_mark,
        lambda: patch(under.composed(), over.composed()),
        values=under.values + over.values - 1 - replaced,
        sites=sites,
    )


def _merged(under: Any, over: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """``over`` applied to ``under``, and how many values of ``under`` are not in the result."""
    members: dict[str, Any] = dict(under) if type(under) is dict else {}
    replaced = 0 if type(under) is dict else count(under) - 1
    for name, item in over.items():
        if name in members:
            if type(item) is dict:
                item, more = _merged(members[name], item)  # noqa: PLW2901
            else:
                more = count(members[name]) - 1
            replaced += 1 + more
        members[name] = item
    return members, replaced


def _order(value: Any, path: Path) -> list[int]:
    """A key that sorts paths as what they lead to is ordered in ``value``."""
    found = []
    for part in path:
        found.append([*value].index(part) if type(value) is dict else int(part))
        value = value[part]
    return found


def _at(value: Any, path: Path) -> Any:
    for part in path:
        if part not in (value if type(value) is dict else range(len(value)) if type(value) is list else ()):
            return None
        value = value[part]
    return value


def as_plain(node: Node) -> Node:
    """A mapping as a :class:`PlainNode`, which is merged quickly; ``node`` itself where it contains null, or an
    expression in a key.
    """
    if type(node) is PlainNode or not node.is_mapping():
        return node
    data = plain(node)
    found = list(_values(data, ()))
    if any(value is None or "${" in str(path[-1:]) for path, value in found):
        return node
    sites = tuple(path for path, value in found if isinstance(value, str) and "${" in value)
    mark = (node.pos.file, node.pos.line, node.pos.column)
    return PlainNode(data, mark, lambda: node, values=len(found), sites=sites)


def _values(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """``value`` and everything in it, with its path."""
    yield path, value
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in members:
        yield from _values(item, (*path, name))


def plain(node: Node) -> Any:
    """The data of ``node`` without places."""
    if type(node) is PlainNode:
        return node.data
    if isinstance(node.value, dict):
        return {name: plain(item) for name, item in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def merged(under: Any, over: Any) -> Any:
    """``over`` applied to ``under``, of plain data without places."""
    if not isinstance(over, Mapping):
        return over
    members: dict[str, Any] = dict(under) if isinstance(under, Mapping) else {}
    for name, item in over.items():
        if item is None:
            members.pop(name, None)
        else:
            members[name] = merged(members.get(name), item)
    return members
