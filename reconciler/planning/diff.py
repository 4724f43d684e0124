"""Canonicalise first, then compare: pure functions from (kind, live, want) to a :class:`Diff`.

The kind's facts about its fields bring both sides into canonical form (defaults added, sets sorted, keyed lists as
mappings, members that the service sets removed, empty and missing equal), so that a structural comparison is enough.
``DeepDiff`` only walks such data; its own way of ignoring order is a guess and is not used, and what makes two values
equal is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce
from marshal import dumps
from operator import getitem
from typing import Any, Final

from reconciler.model import (
    EMPTY,
    MISSING,
    Change,
    Deferred,
    Diff,
    Effect,
    Json,
    Kind,
    Listed,
    Live,
    Missing,
    Path,
    Want,
)
from reconciler.model.masking import SENSITIVE, private_name
from reconciler.model.paths import reuse_if_unchanged
from reconciler.model.stand_ins import STAND_INS, has_unknown
from reconciler.model.when_used import when_used
from reconciler.planning.canonical import PLAIN, _canonical, _empty, canonical, sort_key
from reconciler.planning.field_tree import FieldNode, along, field_tree
from reconciler.planning.unknown_members import strip_unknown, with_unknown_members

with when_used():
    from reconciler.planning.effects import effect_at


_MOST_PAIRS: Final = 2000  # that are remembered of a field
_LONGEST_PAIR: Final = 4096  # bytes


def difference(kind: Kind, live: Live, want: Want, members: Json = EMPTY) -> tuple[Diff, Json, Json]:
    """The differences between ``live`` and ``want``, and both in canonical form; without tags.

    ``members`` is the tree of members in the kind's schema (empty: all count as known).
    """
    kind = with_unknown_members(kind, want.unknown_members)
    before, after = _sides(kind, live, want, members)
    tree = field_tree(kind)
    if before is after or before == after:
        return Diff(), before, after
    named, other = _keyed(before, tree), _keyed(after, tree)
    lists: dict[Path, Listed] = {}
    changes = []
    for path, (old, new) in _differing(named, other).items():
        within = None
        if (place := _outermost_list(path)) is not None:
            if place not in lists:
                lists[place] = _listed(place, named, other, kind)
            within = lists[place]
        changes.append(_change(path, old, new, kind, live, want, within))
    return Diff(tuple(changes)), before, after


def differs(kind: Kind, live: Live, want: Want, members: Json = EMPTY) -> bool:
    """Whether there is any difference; quicker than finding out which."""
    before, after = _sides(with_unknown_members(kind, want.unknown_members), live, want, members)
    return before is not after and before != after


def _sides(kind: Kind, live: Live, want: Want, members: Json) -> tuple[Json, Json]:
    """Both in canonical form; the same object where they are surely equal."""
    left, right = kind.normalize(live, want) if kind.normalize else (live.props, want.declared)
    tree = field_tree(kind)
    if not want.unknown_members and _surely_equal(left, right, tree):
        both = Deferred(partial(canonical, kind, right))
        return both, both
    after = canonical(kind, right)
    before = canonical(kind, strip_unknown(left, members, right, tree))
    return _without_computed(before, after, tree), after


def _surely_equal(left: Any, right: Any, node: FieldNode) -> bool:
    """Whether two values are equal in canonical form; False for rare cases, which the canonical forms decide.

    Most resources in most plans are as declared, and this finds that out without building the forms.
    """
    return left == right or _surely_mean_the_same(left, right, node)


def _surely_mean_the_same(left: Any, right: Any, node: FieldNode) -> bool:
    """The same for two values that are not equal as they are."""
    facts = node.facts
    if facts.key and _surely_equal_by_key(left, right, facts.key, node.item_node()):
        return True
    if facts.normalize or facts.key or facts.unordered:
        return _equal_in_form(left, right, node)
    if isinstance(left, dict | Mapping) and isinstance(right, dict | Mapping):
        return _surely_equal_members(left, right, node)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        each = node.item_node()
        return all(_surely_equal(item, other, each) for item, other in zip(left, right, strict=True))
    return False


def _surely_equal_members(left: Json, right: Json, node: FieldNode) -> bool:
    """Whether two mappings are; a loop without generators, since it runs for every member of every resource."""
    for name, item in left.items():
        if name not in right:
            if not _implied_by_absence(name, item, node):
                return False
        elif item != (other := right[name]) and not _surely_mean_the_same(item, other, node.child(name)):
            return False
    if right.keys() <= left.keys():
        return True
    return all(name in left or _implied_by_absence(name, right[name], node, computed=False) for name in right)


def _surely_equal_by_key(left: Any, right: Any, key: str, each: FieldNode) -> bool:
    """Whether two lists have equal items, each with a key of its own, in any order."""
    if type(left) is not list or type(right) is not list or len(left) != len(right):
        return False
    by_key = {name: item for item in right if type(item) is dict and type(name := item.get(key)) is str}
    names = {name for item in left if type(item) is dict and type(name := item.get(key)) is str}
    if len(by_key) != len(right) or len(names) != len(left):
        return False
    return all((other := by_key.get(item[key])) is not None and _surely_equal(item, other, each) for item in left)


def _equal_in_form(left: Any, right: Any, node: FieldNode) -> bool:
    """Whether both are equal in canonical form. Most resources have the values of others, whose pairs are remembered:
    as marshal writes them, which refuses all but plain values, and distinguishes what a comparison could.
    """
    if isinstance(left, STAND_INS) or isinstance(right, STAND_INS):
        return False
    try:
        pair = dumps((left, right), 2)
    except ValueError:
        pair = b""  # with a stand-in inside: it is not remembered
    if pair in node.equal:
        return True
    equal = bool(_canonical(left, node, fill=True) == _canonical(right, node, fill=True))
    if equal and 0 < len(pair) <= _LONGEST_PAIR:
        if len(node.equal) >= _MOST_PAIRS:
            node.equal.clear()
        node.equal.add(pair)
    return equal


def _implied_by_absence(name: str, item: Any, node: FieldNode, *, computed: bool = True) -> bool:
    """Whether ``item`` is equal to a missing member on the other side."""
    child = node.child(name)
    facts = child.facts
    if name in node.defaults:
        return bool(item == node.defaults[name]) or facts.ignore
    nothing = _empty(item) and not (child.fills and isinstance(item, Mapping))  # otherwise its members have defaults
    return nothing or facts.ignore or (facts.computed and computed)


def _without_computed(left: Any, right: Any, node: FieldNode) -> Any:
    """``left`` without the members that the service computes and ``right`` does not have."""
    if type(left) in PLAIN or left == right:
        return left
    if isinstance(left, dict | Mapping):
        other = right if isinstance(right, dict | Mapping) else EMPTY
        left_over: dict[str, Any] = {}
        for name, item in left.items():
            if name in other or not node.child(name).facts.computed:
                rest = _without_computed(item, other.get(name), node.child(name))
                if name in other or not _empty(rest) or _empty(item):
                    left_over[name] = rest
        return reuse_if_unchanged(left, left_over) if len(left) == len(left_over) else left_over
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        key = node.facts.key
        if key:
            by_key = {str(item.get(key)): item for item in right if isinstance(item, Mapping)}
            partners = [by_key.get(str(item.get(key))) if isinstance(item, Mapping) else None for item in left]
        else:
            partners = [*right, *[None] * len(left)][: len(left)]
        return [_without_computed(item, other, node.item_node()) for item, other in zip(left, partners, strict=True)]
    return left


def _keyed(value: Any, node: FieldNode) -> Any:
    """``value`` with keyed lists as mappings by their key, so that items with the same key are compared."""
    if isinstance(value, Mapping):
        return {name: _keyed(item, node.child(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        key = node.facts.key
        if not key or not all(isinstance(item, Mapping) for item in value):
            return [_keyed(item, node.item_node()) for item in value]
        named: dict[str, Any] = {}
        for item in value:
            name = str(item.get(key, ""))
            while name in named:
                name += "'"
            named[name] = {
                inner: _keyed(part, node.item_node().child(inner)) for inner, part in item.items() if inner != key
            }
        return named
    return value


def _is_leaf(value: Any) -> bool:
    """Whether it is shown as one value; a list of scalars is, as people read it."""
    if isinstance(value, Mapping):
        return not value
    return not isinstance(value, list) or not any(isinstance(item, Mapping | list) for item in value)


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every leaf in ``value``, which stands at ``path``, with its path."""
    if _is_leaf(value):
        yield path, value
    else:
        for name, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(item, (*path, name))


def _texts(value: Any) -> Any:
    """The same structure with a text for every leaf: equal where, and only where, the leaves mean the same."""
    if _is_leaf(value):
        return sort_key(value)
    if isinstance(value, Mapping):
        return {name: _texts(item) for name, item in value.items()}
    return [_texts(item) for item in value]


class _Same:
    """An operator of DeepDiff that ends the walk where both sides are the same."""

    def match(self, level: Any) -> bool:
        return bool(level.t1 == level.t2)

    def give_up_diffing(self, level: Any, diff_instance: Any) -> bool:  # noqa: ARG002  (its arguments are DeepDiff's)
        return True


def _differing(old: Json, new: Json) -> dict[Path, tuple[Any, Any]]:
    """The leaves that are not the same on both sides, in the order of their paths: what was and what will be there.

    DeepDiff walks the two structures; where one of them ends, all that is in the other differs.
    """
    from deepdiff import DeepDiff  # noqa: PLC0415  (0.1 s to import, and most plans find nothing to compare)
    from deepdiff.helper import notpresent  # noqa: PLC0415

    left, right = ({name: _texts(item) for name, item in side.items()} for side in (old, new))
    tree = DeepDiff(
        left,
        right,
        view="tree",
        threshold_to_diff_deeper=0,
        ignore_private_variables=False,
        zip_ordered_iterables=True,
        custom_operators=[_Same()],
    )
    before: dict[Path, Any] = {}
    after: dict[Path, Any] = {}
    for level in (level for levels in tree.values() for level in levels):
        path = tuple(level.path(output_format="list"))
        for leaves, side, there in ((before, old, level.t1), (after, new, level.t2)):
            if there is not notpresent:
                leaves.update(_leaves(reduce(getitem, path, side), path))
    paths = sorted({*before, *after}, key=lambda path: [str(part) for part in path])
    return {path: (before.get(path, MISSING), after.get(path, MISSING)) for path in paths}


def _outermost_list(path: Path) -> Path | None:
    """The path of the outermost list on ``path`` whose elements have no names; None where there is none."""
    return next((path[:at] for at, part in enumerate(path) if isinstance(part, int)), None)


def _listed(path: Path, before: Json, after: Json, kind: Kind) -> Listed:
    """The list at ``path`` on both sides; not there where something else is."""
    sides = []
    for side in (before, after):
        value: Any = side
        for part in path:
            value = value.get(part, MISSING) if isinstance(value, Mapping) else MISSING
        sides.append(_covered(value, path, kind))
    node = [field_tree(kind), *along(field_tree(kind), path)][-1]
    return Listed(path=path, before=sides[0], after=sides[1], ordered=not node.facts.unordered)


def _covered(value: Any, path: Path, kind: Kind) -> Any:
    """``value`` with its secret leaves masked."""
    if isinstance(value, Mapping) and value:
        return {name: _covered(item, (*path, name), kind) for name, item in value.items()}
    if isinstance(value, list) and value:
        return [_covered(item, (*path, index), kind) for index, item in enumerate(value)]
    hidden = value is not MISSING and (is_secret(kind, path) or _secret_by_name(path, value))
    return SENSITIVE if hidden else value


def _change(
    path: Path, before: Any, after: Any, kind: Kind, live: Live, want: Want, within: Listed | None = None
) -> Change:
    effect, because = effect_at(kind, path, live.props, want.props)
    secret = is_secret(kind, path)
    called = any(_secret_by_name(path, value) for value in (before, after))
    return Change(
        path=path,
        before=SENSITIVE if secret and before is not MISSING else before,
        after=SENSITIVE if secret and after is not MISSING else after,
        effect=effect,
        because=because,
        secret=secret or called,
        unknown=has_unknown(after),
        within=within,
    )


def is_secret(kind: Kind, path: Path) -> bool:
    """Whether the value at ``path`` is in a secret field."""
    return any(node.facts.secret for node in along(field_tree(kind), path))


def _secret_by_name(path: Path, value: Any) -> bool:
    """Whether ``value`` is a text whose member, or the member's name next to it, is named like a secret."""
    name = str(path[-2] if str(path[-1]).lower() == "value" and len(path) > 1 else path[-1])
    return isinstance(value, str) and private_name(name)


def tags(live: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[Change, ...]:
    """The tags that differ; the caller has left out what is not ours."""
    return tuple(
        Change(
            path=("tags", name),
            before=live.get(name, MISSING),
            after=wanted.get(name, MISSING),
            effect=Effect.IN_PLACE,
            unknown=has_unknown(wanted.get(name)),
        )
        for name in sorted({*live, *wanted})
        if live.get(name, MISSING) != wanted.get(name, MISSING)
    )


def keep_ignored(kind: Kind, live: Json, wanted: Json, paths: Sequence[str]) -> dict[str, Any]:
    """``wanted`` with the live value at every ``lifecycle.ignoreChanges`` path, so that nothing there differs."""
    kept: Any = dict(wanted)
    for path in paths:
        kept = _copied(live, kept, tuple(path.replace("[]", "").split(".")), field_tree(kind))
    return dict(kept)


def _copied(live: Any, wanted: Any, path: tuple[str, ...], node: FieldNode) -> Any:
    if not path:
        return live
    name, rest = path[0], path[1:]
    if isinstance(wanted, list | tuple) and isinstance(live, list | tuple):
        key = node.facts.key
        if key:
            by_key = {item.get(key): item for item in live if isinstance(item, Mapping)}
            pairs: list[tuple[Any, Any]] = [(by_key.get(w.get(key), MISSING), w) for w in wanted]
            if any(item.get(key) == name for item in [*wanted, *live]):  # environment.LOG_LEVEL: one item by its key
                others = [item for item in wanted if item.get(key) != name]
                return [*others, *[item for item in live if item.get(key) == name]] if not rest else wanted
        else:
            pairs = list(zip(live, wanted, strict=False))
        done = [w if isinstance(old, Missing) else _copied(old, w, path, node.item_node()) for old, w in pairs]
        return [*done, *wanted[len(done) :]]
    if not isinstance(wanted, Mapping):
        return wanted
    old = live.get(name, MISSING) if isinstance(live, Mapping) else MISSING
    result = {k: v for k, v in wanted.items() if k != name}
    if rest:
        if name in wanted and not isinstance(old, Missing):
            result[name] = _copied(old, wanted[name], rest, node.child(name))
        elif name in wanted:
            result[name] = wanted[name]
    elif not isinstance(old, Missing):
        result[name] = old
    return result
