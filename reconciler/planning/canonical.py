"""The one form in which properties are compared and shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from reconciler.model import (
    MISSING,
    Base64,
    Digest,
    Json,
    JsonText,
    Kind,
    Later,
    Reference,
    Secret,
    Template,
    Text,
    compact,
)
from reconciler.model.paths import reuse_if_unchanged
from reconciler.model.stand_ins import STAND_INS, StandIn, convert
from reconciler.planning.field_tree import EMPTY_NODE, FieldNode, field_tree

# most values have these types: neither stand-ins nor containers
PLAIN = frozenset((str, int, float, bool))


def with_defaults(kind: Kind, props: Json) -> dict[str, Any]:
    """``props`` with every default added, at every level whose parent exists."""
    filled: dict[str, Any] = _defaults(props, field_tree(kind))
    return filled


def _defaults(value: Any, node: FieldNode) -> Any:
    if type(value) in PLAIN or not node.fills:
        return value
    if isinstance(value, dict | Mapping):
        filled = _filled(value, node)
        return reuse_if_unchanged(filled, {name: _defaults(item, node.child(name)) for name, item in filled.items()})
    if isinstance(value, list | tuple) and node.item:
        return reuse_if_unchanged(value, [_defaults(item, node.item) for item in value])
    return value


def canonical(kind: Kind, props: Json, *, fill: bool = True) -> dict[str, Any]:
    """``props`` in comparable form, still in the API's shape: what plans show as before and after.

    With ``fill`` defaults are added, so that a declared default and a missing one are equal.
    """
    shaped = _canonical(props, field_tree(kind), fill=fill)
    return shaped if isinstance(shaped, dict) else {}


def _canonical(value: Any, node: FieldNode, *, fill: bool) -> Any:
    facts = node.facts
    if facts.normalize and not isinstance(value, STAND_INS):
        value, fill = facts.normalize(_defaults(value, node) if fill else value), False
    if type(value) in PLAIN:
        return value
    if type(value) is not list and isinstance(value, dict | Mapping):
        return _shaped(_filled(value, node) if fill and node.defaults else value, node, fill=fill)
    if isinstance(value, list | tuple):
        each = node.item_node()
        items = [_canonical(item, each, fill=fill) for item in value]
        if facts.key:
            items = _by_key(items, facts.key)
        elif facts.unordered:
            items = [item for _, item in sorted({sort_key(item): item for item in items}.items())]
        return items
    return value


def _shaped(value: Json, node: FieldNode, *, fill: bool) -> dict[str, Any]:
    """A mapping's members in order, without those that the service sets and without empty ones."""
    shaped: dict[str, Any] = {}
    children = node.children
    other = children.get("*", EMPTY_NODE)
    for name in sorted(value):
        item, child = value[name], children.get(name, other)
        if child.facts.ignore:
            continue
        if type(item) in PLAIN and not child.facts.normalize:
            shaped[name] = item
        elif not _empty(done := _canonical(item, child, fill=fill)):
            shaped[name] = done
    return shaped


def _filled(value: Json, node: FieldNode) -> Json:
    """``value`` with the defaults of its members in the place of missing or hollow ones."""
    missing = {name: default for name, default in node.defaults.items() if _hollow(value.get(name))}
    return {**value, **missing} if missing else value


def _by_key(items: list[Any], key: str) -> list[Any]:
    """``items`` in the order of their ``key``, then of their contents."""
    keys = [str(item.get(key, "")) if isinstance(item, dict | Mapping) else "" for item in items]
    places = range(len(items))
    if len(set(keys)) == len(keys):
        return [items[place] for place in sorted(places, key=keys.__getitem__)]
    return [items[place] for place in sorted(places, key=lambda place: (keys[place], sort_key(items[place])))]


def _empty(value: Any) -> bool:
    """Whether ``value`` is None, missing or an empty container; an empty text, zero and false are not empty."""
    if value is None or value is MISSING:
        return True
    return type(value) not in PLAIN and isinstance(value, list | dict | tuple | Mapping) and not value


def _hollow(value: Any) -> bool:
    """Whether ``value`` is empty once empty members are removed."""
    if type(value) not in PLAIN and isinstance(value, dict | Mapping):
        return all(map(_hollow, value.values()))
    return _empty(value)


def sort_key(value: Any) -> str:
    """A text by which any canonical value can be sorted and compared; equal stand-ins have equal texts."""
    return compact(_sortable(value))


def _sortable(value: Any) -> Any:
    return convert(value, _sortable_stand_in, _sortable_scalar)


def _sortable_stand_in(value: StandIn) -> Any:
    match value:
        case Later():
            return f"later:{value.address}.{value.attr}"
        case Text():
            return ["text", *map(_sortable, value.parts)]
        case JsonText():
            return ["json", _sortable(value.value)]
        case Digest():
            return ["digest", _sortable(value.salt)]
        case Base64() | Secret() | Template() | Reference():
            return str(value)
        case _:
            assert_never(value)


def _sortable_scalar(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if value is MISSING else value
