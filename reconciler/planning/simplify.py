"""The least declaration of a live object: what is left out means what it has anyway.

It is the inverse of filling in defaults, from the same facts: the kind's ``fields`` say which values absence means, and
what the kind's ``normalize`` makes of absence is found by leaving a member out and comparing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from reconciler.model import EMPTY, Address, Effect, Json, Kind, Live, Path, Scope, Want
from reconciler.model.records import dataclass
from reconciler.planning.canonical import _canonical, _empty, with_defaults
from reconciler.planning.diff import differs
from reconciler.planning.field_tree import FieldNode, field_tree


def simplified(kind: Kind, live: Live, scope: Scope, members: Json = EMPTY) -> dict[str, Any]:
    """The properties to declare for ``live``, in YAML's shape, references as they are live.

    ``members`` is the tree of members in the kind's schema.
    """
    tree = field_tree(kind)
    props = {name: _plain(item) for name, item in kind.declare(live, scope).items()}
    least: dict[str, Any] = _pruned(props, tree, top=True)
    empty = {name: item for name, item in props.items() if item in ([], {}) and name not in least}
    return _without_implied(kind, _Comparing(kind, live, scope, members), least, empty)


def whole(kind: Kind, live: Live, scope: Scope, members: Json = EMPTY, *, short: bool = True) -> dict[str, Any]:
    """The properties to declare with every default spelt out, without what is never declared or is refused; with the
    kind's short forms unless they are not wanted.
    """
    tree = field_tree(kind)
    props = kind.declare(live, scope) if short else live.props
    full: dict[str, Any] = _declarable({name: _plain(item) for name, item in props.items()}, tree, top=True)
    comparing = _Comparing(kind, live, scope, members)
    for path in list(_members(full, tree, members)):
        candidate = _lacking(full, path)
        if (known := comparing.errors(full)) and comparing.errors(candidate) < known and comparing.equal(candidate):
            full = candidate
    return full


def _declarable(value: Any, node: FieldNode, *, top: bool = False) -> Any:
    if isinstance(value, Mapping):
        kept = {
            name: _declarable(item, node.child(name))
            for name, item in value.items()
            if not (node.child(name).facts.ignore or node.child(name).facts.secret)
        }
        return {name: item for name, item in kept.items() if item is not None and (top or item != [])}
    return [_declarable(item, node.item_node()) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


# --- what the facts about fields imply -------------------------------------------------------------------------------


def _pruned(value: Any, node: FieldNode, *, top: bool = False, listed: bool = False) -> Any:
    """``value`` without the members whose absence means the same. An empty mapping is kept where it may say something:
    in the items of a list (``emptyDir: {}``), and at the ``top`` (``fairsharePolicy: {}``).
    """
    if isinstance(value, Mapping):
        kept: dict[str, Any] = {}
        for name, item in value.items():
            child = node.child(name)
            if _implied(item, child, node.defaults.get(name)):
                continue
            least = _spelt(_pruned(item, child), child)
            if not _empty(least) or (listed and item == {}) or (top and least == {} and _declares_itself(child)):
                kept[name] = least
        return kept
    if isinstance(value, list):
        each = node.item_node()
        return [_spelt(_pruned(item, each, listed=True), each) for item in value]
    return value


def _declares_itself(node: FieldNode) -> bool:
    """Whether an empty mapping is a value of its own: it cannot be changed as others can."""
    return node.facts.effect is not Effect.IN_PLACE


def _implied(item: Any, node: FieldNode, default: Any) -> bool:
    facts = node.facts
    if facts.ignore or facts.secret or item is None:
        return True
    if default is not None and _canonical(item, node, fill=True) == _canonical(default, node, fill=True):
        return True
    if facts.normalize is None:
        return False
    return _empty(_canonical(item, node, fill=True))


def _spelt(value: Any, node: FieldNode) -> Any:
    """A text in the spelling that it is compared in, where that differs in case only: AWS has its own of some."""
    if isinstance(value, str) and node.facts.normalize:
        usual = node.facts.normalize(value)
        if isinstance(usual, str) and usual.casefold() == value.casefold():
            return usual
    return value


# --- what the kind implies -------------------------------------------------------------------------------------------


def _without_implied(kind: Kind, comparing: _Comparing, props: dict[str, Any], empty: Json) -> dict[str, Any]:
    """``props`` without the members, at the first two levels, without which nothing differs from what is live, and
    which AWS does not require. Those of ``empty`` are added that say something (no rule at all, instead of the usual
    one).
    """
    if empty and not comparing.equal(props):
        props = next((more for one in empty if comparing.equal(more := {**props, one: empty[one]})), props)
    if not comparing.equal(props):  # whatever it is, it is said when the declaration is planned
        return props
    known = comparing.errors(props)
    for path in list(_members(props, field_tree(kind), comparing.members)):
        candidate = _lacking(props, path)
        if comparing.equal(candidate) and comparing.errors(candidate) <= known:
            props = candidate
    return props


@dataclass(frozen=True, slots=True)
class _Comparing:
    """Compares declarations with a live object, strictly: see :func:`_strict`."""

    kind: Kind
    live: Live
    scope: Scope
    members: Json

    def equal(self, props: Json) -> bool:
        """Whether a plan of ``props`` would change nothing."""
        want = _want(self.kind, self.live, self.scope, props)
        return not differs(_strict(self.kind), self.live, want, self.members)

    def errors(self, props: Json) -> set[tuple[Path, str]]:
        """What AWS would refuse about ``props``."""
        name = self.live.attrs.get("name") or self.live.physical
        found = self.kind.check(name, self.kind.expanded(name, props))
        return {(one.path, one.message) for one in found if not one.warning}


def _want(kind: Kind, live: Live, scope: Scope, props: Json) -> Want:
    name = live.attrs.get("name") or live.physical
    plain = kind.expanded(name, props)
    return Want(
        address=Address(kind.section, name),
        physical=name,
        declared=plain,
        props=with_defaults(kind, plain),
        tags=EMPTY,
        attrs=live.attrs,
        scope=scope,
        exact=True,
    )


@cache
def _strict(kind: Kind) -> Kind:
    """``kind`` without members that the service computes if they are left out: it may compute others next time."""
    return replace(kind, fields={path: replace(facts, computed=False) for path, facts in kind.fields.items()})


def _members(props: Json, node: FieldNode, known: Json) -> Iterator[tuple[str, ...]]:
    """The members to try: those inside others only where there are facts about these, not in documents; and none that
    the schema does not have, of which nothing is known.
    """
    for name, item in props.items():
        if known and name not in known:
            continue
        if item != {}:
            yield (name,)
        if isinstance(item, Mapping) and node.child(name).children:
            below = known.get(name) if known else EMPTY
            yield from ((name, inner) for inner in item if not below or "*" in below or inner in below)


def _lacking(props: Json, path: tuple[str, ...]) -> dict[str, Any]:
    name, *rest = path
    if not rest:
        return {other: item for other, item in props.items() if other != name}
    if name not in props:
        return dict(props)
    inner = _lacking(props[name], tuple(rest))
    return {other: inner if other == name else item for other, item in props.items()}
