"""JSON Merge Patch over nodes: every value keeps its place.

Mappings merge, ``null`` removes, everything else replaces: https://www.rfc-editor.org/rfc/rfc7386
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.config.yaml.node import Node
from reconciler.model import Pos


class UselessNull(NamedTuple):
    """A member whose null removes nothing, and its place."""

    name: str
    pos: Pos


def patch(under: Node | None, over: Node, useless_nulls: list[UselessNull] | None = None) -> Node:
    """``over`` applied to ``under``; a member that both have gets its place from ``over``.

    A ``null`` at the top is returned unchanged: the caller removes the member. Nulls that remove nothing are added to
    ``useless_nulls``.
    """
    if not isinstance(over.value, dict):
        return over
    members: dict[str, Node] = dict(under.value) if under is not None and isinstance(under.value, dict) else {}
    for name, node in over.value.items():
        if node.value is not None:
            members[name] = patch(members.get(name), node, useless_nulls)
        elif members.pop(name, None) is None and useless_nulls is not None:
            useless_nulls.append(UselessNull(name, node.pos))
    return Node(members, over.mark)


def plain(node: Node) -> Any:
    """The data of ``node`` without places."""
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
