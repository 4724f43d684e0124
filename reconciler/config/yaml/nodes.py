"""YAML text -> ruamel's nodes, with tags, anchors and places: for texts that are edited, or have another meaning than
an environment.

libyaml parses what it reads in the same way: ruamel's own parser takes ten times as long.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from reconciler.config.yaml import libyaml

__all__ = ["MappingNode", "Node", "ScalarNode", "SequenceNode", "YAMLError", "compose", "events"]


def events(text: str) -> Iterator[Any]:
    """The parser's events. Raises YAMLError, or what libyaml raises."""
    return libyaml.events(text) or YAML(typ="rt", pure=True).parse(text)


def compose(text: str) -> Any:
    """The root of the document; an alias is the node of its anchor. Raises ruamel's YAMLError."""
    found = libyaml.events(text)
    root = _composed(found) if found else None
    if root is not None:
        return root
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names of anchors that are used again
        return YAML(typ="rt", pure=True).compose(text)


def _composed(found: Iterator[Any]) -> Any:
    """The nodes of the first document; None for one that is empty or cannot be read."""
    anchors: dict[str, Any] = {}
    stack: list[Any] = [[]]
    try:
        for event in found:
            what = type(event).__name__
            if what in ("MappingEndEvent", "SequenceEndEvent"):
                node = stack.pop()
                node.end_mark = event.end_mark
                if isinstance(node, MappingNode):
                    node.value = list(zip(node.value[::2], node.value[1::2], strict=True))
                continue
            if what == "AliasEvent":
                node = anchors[event.anchor]
            elif what == "ScalarEvent":
                node = ScalarNode(event.tag, event.value, event.start_mark, event.end_mark, style=event.style)
            elif what in ("MappingStartEvent", "SequenceStartEvent"):
                kind = MappingNode if what == "MappingStartEvent" else SequenceNode
                node = kind(event.tag, [], event.start_mark, None, flow_style=event.flow_style)
            else:
                continue
            (stack[-1] if len(stack) == 1 else stack[-1].value).append(node)
            if what != "AliasEvent" and event.anchor:
                node.anchor = event.anchor
                anchors[event.anchor] = node
            if what.endswith("StartEvent"):
                stack.append(node)
    except (libyaml.Refused, KeyError, ValueError):
        return None
    return stack[0][0] if len(stack) == 1 and stack[0] else None
