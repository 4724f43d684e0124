"""Members that are not in our schemas: those only in the installed AWS model, and those only in a reply.

A member that AWS adds next year must not be drift: of a live object, only members in the schema or in the declaration
are compared. A member that is only in the declaration is compared as far as it is declared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from reconciler.model import EMPTY, Api, Diff, Effect, EffectOf, Field, Json, Kind, Path, UnknownMember, Want
from reconciler.model.paths import segments
from reconciler.planning.field_tree import EMPTY_NODE, FieldNode


def strip_unknown(live: Any, members: Any, wanted: Any, node: FieldNode = EMPTY_NODE) -> Any:
    """``live`` without the members that are neither in the schema (``members``) nor in the declaration (``wanted``)."""
    if type(live) is str or not members:
        return live
    if isinstance(live, dict | Mapping) and isinstance(members, dict | Mapping) and "*" not in members:
        asked = wanted if isinstance(wanted, Mapping) else EMPTY
        kept = {
            name: strip_unknown(item, members[name], asked.get(name), node.child(name))
            if name in members
            else _requested(item, asked[name], node.child(name))
            for name, item in live.items()
            if name in members or name in asked
        }
        return {**_empty_requests(live, asked, node), **kept} if node.newer else kept
    if isinstance(live, list | tuple) and isinstance(members, Mapping) and members:
        partners = _partners(live, wanted, node) if node.newer else [None] * len(live)
        return [
            strip_unknown(item, members, other, node.item_node()) for item, other in zip(live, partners, strict=True)
        ]
    return live


def _empty_requests(live: Json, asked: Json, node: FieldNode) -> dict[str, Any]:
    """Declared newer members with an empty value (false, 0, empty) that the reply leaves out."""
    return {
        name: value
        for name, value in asked.items()
        if name not in live and node.child(name).facts.newer and value in (False, 0, "", [], {})
    }


def _requested(live: Any, wanted: Any, node: FieldNode) -> Any:
    """The live value of a newer member, as far as it is declared: the defaults of its members are unknown."""
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return {
            name: _requested(item, wanted.get(name), node.child(name))
            for name, item in live.items()
            if name in wanted or "*" in node.children
        }
    if isinstance(live, list | tuple) and isinstance(wanted, list | tuple):
        pairs = zip(live, _partners(live, wanted, node), strict=True)
        return [_requested(item, other, node.item_node()) for item, other in pairs]
    return live


def _partners(live: Sequence[Any], wanted: Any, node: FieldNode) -> list[Any]:
    """For every live item the declared one to compare it with: of the same key, else the most similar; or None."""
    left = [item for item in wanted if isinstance(item, Mapping)] if isinstance(wanted, list | tuple) else []
    found: list[Any] = []
    for item in live:
        if not isinstance(item, Mapping):
            found.append(None)
            continue
        same = partial(_shared_members, item, key=node.facts.key)
        other = max(left, key=same, default=None)
        if other is not None and (same(other) or not node.facts.key):
            left.remove(other)
            found.append(other)
        else:
            found.append(None)
    return found


def _shared_members(one: Json, other: Json, *, key: str | None) -> int:
    """The number of equal members of two items; with ``key``, 1 where that one is equal, else 0."""
    names = (key,) if key else one.keys() & other.keys()
    return sum(name in one and name in other and one[name] == other[name] for name in names)


def with_unknown_members(kind: Kind, newer: Mapping[str, UnknownMember]) -> Kind:
    """``kind`` with facts about declared members that are only in the installed AWS model."""
    return _with_facts(kind, kind.api, tuple(sorted(newer.items()))) if newer and kind.api else kind


@cache
def _with_facts(kind: Kind, api: Api, newer: Sequence[tuple[str, UnknownMember]]) -> Kind:
    facts = {path: _facts(kind, api, path, what) for path, what in newer}
    maps = {path: Field() for _, what in newer for path in what.maps}
    return replace(kind, fields={**kind.fields, **facts, **maps})


def _facts(kind: Kind, api: Api, path: str, what: UnknownMember) -> Field:
    effect: Effect | EffectOf = _no_update
    if what.updated or kind.versioned:
        above = [place for place in api.effects if path.startswith(f"{place}.")]
        effect = api.effects[max(above, key=len)] if above else Effect.IN_PLACE
    return Field(effect=effect, ignore=not what.shown, secret=what.secret, newer=True)


def _no_update(_live: Json, _want: Json) -> tuple[Effect, str]:
    return Effect.REPLACE, "no update exists for it"


def creatable(want: Want) -> Want:
    """``want`` without the members that no create request has."""
    return _lacking(want, [path for path, what in want.unknown_members.items() if not what.created])


def updatable(want: Want) -> Want:
    """``want`` without the members that no update request has."""
    return _lacking(want, [path for path, what in want.unknown_members.items() if not what.updated])


def update_after_create(want: Want, found: Diff) -> Diff:
    """The changes of members that no create request has."""
    paths = [segments(path) for path, what in want.unknown_members.items() if not what.created]
    return Diff(tuple(change for change in found.changes if any(_matches(path, change.path) for path in paths)))


def _matches(pattern: Sequence[str], path: Path) -> bool:
    pairs = zip(pattern, map(str, path), strict=False)
    return len(path) >= len(pattern) and all(step in ("[]", "*", part) for step, part in pairs)


def _lacking(want: Want, paths: Collection[str]) -> Want:
    if not paths:
        return want
    return replace(want, declared=without(want.declared, paths), props=without(want.props, paths))


def without(props: Json, paths: Collection[str]) -> dict[str, Any]:
    """``props`` without the members at ``paths``, written like those of a kind's fields."""
    pruned: Any = props
    for path in paths:
        pruned = _pruned(pruned, segments(path))
    return dict(pruned)


def _pruned(value: Any, steps: Sequence[str]) -> Any:
    step, rest = steps[0], steps[1:]
    if step == "[]":
        return [_pruned(item, rest) for item in value] if isinstance(value, list | tuple) else value
    if not isinstance(value, Mapping):
        return value
    hit = value if step == "*" else {step}
    kept = {name: item for name, item in value.items() if rest or name not in hit}
    return {name: _pruned(item, rest) if rest and name in hit else item for name, item in kept.items()}
