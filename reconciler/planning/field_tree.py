"""The facts about a kind's fields as a tree, to walk in parallel with its properties."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from functools import cache
from typing import Any

from reconciler.model import MISSING, Field, Kind, Path
from reconciler.model.paths import segments
from reconciler.model.records import dataclass


@dataclass(slots=True)
class FieldNode:
    """The kind's field facts as a tree: ``children`` by member name (``*``: any), ``item`` for the items of a list.

    ``newer``: this member or one below it is only in the installed AWS model. ``defaults`` are those of the children,
    by name; ``fills``: some member below has a default. ``equal`` are pairs of values that were found to be equal here.
    """

    facts: Field = Field()
    children: dict[str, FieldNode] = field(default_factory=dict)
    item: FieldNode | None = None
    newer: bool = False
    defaults: dict[str, Any] = field(default_factory=dict)
    fills: bool = False
    equal: set[bytes] = field(default_factory=set)

    def child(self, name: str) -> FieldNode:
        """The node of member ``name``; an empty one where there are no facts about it."""
        children = self.children
        return (children.get(name) or children.get("*") or EMPTY_NODE) if children else EMPTY_NODE

    def item_node(self) -> FieldNode:
        """The node of the items; an empty one where there are no facts about them."""
        return self.item or EMPTY_NODE


EMPTY_NODE = FieldNode()


def along(node: FieldNode, path: Path) -> Iterator[FieldNode]:
    """The nodes along ``path``, in which keyed lists have names and other lists have numbers."""
    for part in path:
        node = node.item_node() if node.item is not None and not node.children else node.child(str(part))
        yield node


@cache
def field_tree(kind: Kind) -> FieldNode:
    """The tree of the kind's ``fields``."""
    root = FieldNode()
    for pattern, facts in kind.fields.items():
        node = parent = root
        name = ""
        for segment in segments(pattern):
            node.newer = node.newer or facts.newer
            node.fills = node.fills or facts.default is not MISSING
            if segment == "[]":
                node.item = node.item or FieldNode()
                node = node.item
            else:
                parent, name = node, segment
                node = node.children.setdefault(segment, FieldNode())
        node.facts, node.newer = facts, node.newer or facts.newer
        if facts.default is not MISSING and node is parent.children.get(name):
            parent.defaults[name] = facts.default
    return root
