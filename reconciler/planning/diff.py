"""Canonicalise first, then compare: pure functions from (kind, live, want) to a :class:`Diff`.

Both sides are put in the same form by the kind's facts about its fields (defaults filled in, sets sorted, keyed lists
turned into mappings, what the service owns left out, empty and absent alike), so that a plain structural comparison
is enough. ``DeepDiff`` only ever sees such prepared data; its own way of ignoring order is a guess and is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from reconciler.model import (
    EMPTY,
    MISSING,
    Base64,
    Change,
    Deferred,
    Diff,
    Digest,
    Effect,
    Json,
    JsonText,
    Kind,
    Later,
    Live,
    Missing,
    Path,
    Secret,
    Template,
    Text,
    Want,
    compact,
)
from reconciler.model.masking import SENSITIVE, private_name
from reconciler.planning.field_tree import NO_RULES, Rules, kept, rules
from reconciler.planning.unknown_members import knowing, known

# nearly everything is of these types: neither stands for something else nor holds anything
PLAIN = frozenset((str, int, float, bool))
STAND_INS = (Later, Text, JsonText, Base64, Secret, Digest, Template)


def with_defaults(kind: Kind, props: Json) -> dict[str, Any]:
    """``props`` with every default filled in, at every level whose parent exists."""
    filled: dict[str, Any] = _defaults(props, rules(kind))
    return filled


def _defaults(value: Any, node: Rules) -> Any:
    if type(value) in PLAIN or not node.fills:
        return value
    if isinstance(value, dict | Mapping):
        filled = _filled(value, node)
        return kept(filled, {name: _defaults(item, node.child(name)) for name, item in filled.items()})
    if isinstance(value, list | tuple) and node.item:
        return kept(value, [_defaults(item, node.item) for item in value])
    return value


def canonical(kind: Kind, props: Json, *, fill: bool = True) -> dict[str, Any]:
    """``props`` in comparable form, still in the API's shape: what plans show as before and after.

    With ``fill`` the defaults are filled in, so that saying one and leaving it out are the same.
    """
    shaped = _canonical(props, rules(kind), fill=fill)
    return shaped if isinstance(shaped, dict) else {}


def _canonical(value: Any, node: Rules, *, fill: bool) -> Any:
    facts = node.facts
    if facts.normal and not isinstance(value, STAND_INS):
        value, fill = facts.normal(_defaults(value, node) if fill else value), False
    if type(value) in PLAIN:
        return value
    if isinstance(value, dict | Mapping):
        return _shaped(_filled(value, node) if fill and node.defaults else value, node, fill=fill)
    if isinstance(value, list | tuple):
        each = node.each()
        items = [_canonical(item, each, fill=fill) for item in value]
        if facts.key:
            items = _by_key(items, facts.key)
        elif facts.unordered:
            items = [item for _, item in sorted({order(item): item for item in items}.items())]
        return items
    return value


def _shaped(value: Json, node: Rules, *, fill: bool) -> dict[str, Any]:
    """A mapping's members in order, without what the service owns and what is empty."""
    shaped: dict[str, Any] = {}
    children = node.children
    other = children.get("*", NO_RULES)
    for name in sorted(value):
        item, child = value[name], children.get(name, other)
        if child.facts.ignore:
            continue
        if type(item) in PLAIN and not child.facts.normal:
            shaped[name] = item
        elif not _empty(done := _canonical(item, child, fill=fill)):
            shaped[name] = done
    return shaped


def _filled(value: Json, node: Rules) -> Json:
    """``value`` with the defaults of its own members in the place of what is left out or hollow."""
    missing = {name: default for name, default in node.defaults.items() if _hollow(value.get(name))}
    return {**value, **missing} if missing else value


def _by_key(items: list[Any], key: str) -> list[Any]:
    """``items`` in the order of their ``key``, and of what they say where several have the same."""
    keys = [str(item.get(key, "")) if isinstance(item, dict | Mapping) else "" for item in items]
    places = range(len(items))
    if len(set(keys)) == len(keys):
        return [items[place] for place in sorted(places, key=keys.__getitem__)]
    return [items[place] for place in sorted(places, key=lambda place: (keys[place], order(items[place])))]


def _empty(value: Any) -> bool:
    """Whether it is nothing, or holds nothing; a text without a character, a zero and a no are something."""
    if value is None or value is MISSING:
        return True
    return type(value) not in PLAIN and isinstance(value, dict | Mapping | list | tuple) and not value


def _hollow(value: Any) -> bool:
    """Whether nothing is left of ``value`` once what is empty is taken out of it."""
    if type(value) not in PLAIN and isinstance(value, dict | Mapping):
        return all(map(_hollow, value.values()))
    return _empty(value)


def order(value: Any) -> str:
    """A text to sort and hash any prepared value by; stand-ins sort by what they stand for."""
    return compact(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, dict | Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Later):
        return f"later:{value.address}.{value.attr}"
    if isinstance(value, Text):
        return ["text", *map(_plain, value.parts)]
    if isinstance(value, JsonText):
        return ["json", _plain(value.value)]
    if isinstance(value, Digest):
        return ["digest", _plain(value.salt)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if isinstance(value, STAND_INS) or value is MISSING else value


def difference(kind: Kind, live: Live, want: Want, members: Json = EMPTY) -> tuple[Diff, Json, Json]:
    """What separates ``live`` from ``want``, and both in canonical form (tags aside).

    ``members`` is the tree of members the kind's schema knows (empty: all are known).
    """
    kind = knowing(kind, want.newer)
    left, right = kind.normal(live, want) if kind.normal else (live.props, want.props)
    tree = rules(kind)
    if not want.newer and _alike(left, right, tree):
        both = Deferred(partial(canonical, kind, right))
        return Diff(), both, both
    after = canonical(kind, right)
    before = canonical(kind, known(left, members, right, tree))
    before = _without_computed(before, after, tree)
    if before == after:
        return Diff(), before, after
    old, new = dict(_leaves(_keyed(before, tree))), dict(_leaves(_keyed(after, tree)))
    paths = _differing(old, new)
    changes = [_change(path, old.get(path, MISSING), new.get(path, MISSING), kind, live, want) for path in paths]
    return Diff(tuple(changes)), before, after


def _alike(left: Any, right: Any, node: Rules) -> bool:
    """Whether two values are surely the same in canonical form; what is rare is left to the comparison of the forms.

    Nearly everything in nearly every plan is as declared, and this is told without making anything.
    """
    if left == right:
        return True
    facts = node.facts
    if facts.normal or facts.key or facts.unordered:
        plain = not isinstance(left, STAND_INS) and not isinstance(right, STAND_INS)
        return plain and bool(_canonical(left, node, fill=True) == _canonical(right, node, fill=True))
    if isinstance(left, dict | Mapping) and isinstance(right, dict | Mapping):
        return all(
            _alike(item, right[name], node.child(name)) if name in right else _unsaid(name, item, node)
            for name, item in left.items()
        ) and all(name in left or _unsaid(name, item, node, computed=False) for name, item in right.items())
    if isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        each = node.each()
        return all(_alike(item, other, each) for item, other in zip(left, right, strict=True))
    return False


def _unsaid(name: str, item: Any, node: Rules, *, computed: bool = True) -> bool:
    """Whether ``item`` is no difference to its being left out on the other side."""
    child = node.child(name)
    facts = child.facts
    if name in node.defaults:
        return bool(item == node.defaults[name]) or facts.ignore
    nothing = _empty(item) and not (child.fills and isinstance(item, Mapping))  # else its members' defaults are there
    return nothing or facts.ignore or (facts.computed and computed)


def _without_computed(left: Any, right: Any, node: Rules) -> Any:
    """``left`` without the members that the service fills in by itself and ``right`` does not mention."""
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
        return kept(left, left_over) if len(left) == len(left_over) else left_over
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        key = node.facts.key
        if key:
            by_key = {item.get(key): item for item in right if isinstance(item, Mapping)}
            partners = [by_key.get(item.get(key)) if isinstance(item, Mapping) else None for item in left]
        else:
            partners = [*right, *[None] * len(left)][: len(left)]
        return [_without_computed(item, other, node.each()) for item, other in zip(left, partners, strict=True)]
    return left


def _keyed(value: Any, node: Rules) -> Any:
    """Lists with a key become mappings by it, so that items are compared with their namesakes."""
    if isinstance(value, Mapping):
        return {name: _keyed(item, node.child(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        key = node.facts.key
        if not key or not all(isinstance(item, Mapping) for item in value):
            return [_keyed(item, node.each()) for item in value]
        named: dict[str, Any] = {}
        for item in value:
            name = str(item.get(key, ""))
            while name in named:
                name += "'"
            named[name] = {
                inner: _keyed(part, node.each().child(inner)) for inner, part in item.items() if inner != key
            }
        return named
    return value


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf with its path; a list of scalars is one leaf, as people read it."""
    if isinstance(value, Mapping) and (value or not path):
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _differing(old: Mapping[Path, Any], new: Mapping[Path, Any]) -> Sequence[Path]:
    from deepdiff import DeepDiff  # noqa: PLC0415  (0.1 s to import, and most plans find nothing to compare)

    paths = sorted({*old, *new}, key=lambda path: [str(part) for part in path])
    names = {str(index): path for index, path in enumerate(paths)}
    left, right = ({n: order(side[p]) for n, p in names.items() if p in side} for side in (old, new))
    tree = DeepDiff(left, right, view="tree", threshold_to_diff_deeper=0, ignore_private_variables=False)
    found = {str(level.path(output_format="list")[0]) for levels in tree.values() for level in levels}
    return [names[name] for name in sorted(found, key=int)]


def _change(path: Path, before: Any, after: Any, kind: Kind, live: Live, want: Want) -> Change:
    effect, because = _effect(path, kind, live, want)
    secret = is_secret(kind, path)
    called = any(_called_private(path, value) for value in (before, after))
    return Change(
        path=path,
        before=SENSITIVE if secret and before is not MISSING else before,
        after=SENSITIVE if secret and after is not MISSING else after,
        effect=effect,
        because=because,
        secret=secret or called,
        unknown=has_unknown(after),
    )


def _effect(path: Path, kind: Kind, live: Live, want: Want) -> tuple[Effect, str]:
    """The effect of the deepest rule on the path that is not plainly in place."""
    found: tuple[Effect, str] = (Effect.NEW_REVISION if kind.versioned else Effect.IN_PLACE, "")
    for node in _along(rules(kind), path):
        judge = node.facts.effect
        verdict = (judge, "") if isinstance(judge, Effect) else judge(live.props, want.props)
        if verdict[0] is not Effect.IN_PLACE:
            found = verdict
    return found


def _along(node: Rules, path: Path) -> Iterator[Rules]:
    """The rules met on the way down ``path`` (in which keyed lists have names where plain ones have numbers)."""
    for part in path:
        node = node.each() if node.item is not None and not node.children else node.child(str(part))
        yield node


def is_secret(kind: Kind, path: Path) -> bool:
    """Whether the value at ``path`` lies in a field that must never be shown."""
    return any(node.facts.secret for node in _along(rules(kind), path))


def _called_private(path: Path, value: Any) -> bool:
    """Whether the text at ``path`` is called as secrets are, or is the value of something that is."""
    name = str(path[-2] if str(path[-1]).lower() == "value" and len(path) > 1 else path[-1])
    return isinstance(value, str) and private_name(name)


def has_unknown(value: Any) -> bool:
    """Whether there is a :class:`Later` anywhere inside."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    if isinstance(value, Text):
        return has_unknown(value.parts)
    if isinstance(value, JsonText | Base64 | Secret):
        return has_unknown(value.value)
    if isinstance(value, Digest):
        return has_unknown(value.value) or has_unknown(value.salt)
    return isinstance(value, Later)


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
        kept = _copied(live, kept, tuple(path.replace("[]", "").split(".")), rules(kind))
    return dict(kept)


def _copied(live: Any, wanted: Any, path: tuple[str, ...], node: Rules) -> Any:
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
        done = [w if isinstance(old, Missing) else _copied(old, w, path, node.each()) for old, w in pairs]
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
