"""Comparing two policy documents: equal if they mean the same, else rearranged so that only differences show.

No list in a policy has an order, so both sides may be rearranged: corresponding statements get the same index, and in
lists the common elements come first, in the declared order. A comparison of the two then shows only real differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from reconciler.kinds.common.policy_document.document import (
    MEMBERS,
    OLD_VERSION,
    VERSION,
    Place,
    atoms,
    conditions,
    folded,
    identifier,
    leaf,
    listed,
    meaning,
    parse,
    principals,
    statements,
    written,
)

Pair: TypeAlias = tuple[Any, Any]


def compared(live: Any, want: Any, place: Place) -> Pair:
    """(live, want) as documents that are equal exactly if nothing has to be written.

    A declared ``Sid`` that differs is a difference, although not one of permissions. A ``Sid`` that is not declared, or
    is a number (services number statements without one), is not. Neither is a ``Version`` that is not declared and has
    no effect.
    """
    live, want = _of_one_version(parse(live), parse(want))
    want = written(want)
    if not isinstance(live, Mapping) or not isinstance(want, Mapping):
        return live, want
    same = meaning(live, place) == meaning(want, place)
    if same and not any(map(_sid, statements(want))):
        return want, want
    left, right = _arranged(live, want, place)
    if not same:
        return left, right
    one_to_one = len(left["Statement"]) == len(right["Statement"]) and all(
        atoms(one, place) == atoms(other, place)
        for one, other in zip(left["Statement"], right["Statement"], strict=True)
    )
    return (left, right) if one_to_one else (right, right)


def _of_one_version(live: Any, want: Any) -> Pair:
    """Both documents; the live Version is replaced by the current one if no Version is declared and no document has
    policy variables, which only the current Version has.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
    """
    if not isinstance(live, Mapping) or not isinstance(want, Mapping) or want.get("Version") is not None:
        return live, want
    if "${" in str(live) or "${" in str(want):
        return live, want
    return {**live, "Version": VERSION}, want


def equal(live: Any, want: Any, place: Place) -> bool:
    """Whether ``live`` is equal to what writing ``want`` would result in."""
    left, right = compared(live, want, place)
    return bool(left == right)


def _arranged(live: Mapping[str, Any], want: Mapping[str, Any], place: Place) -> tuple[dict[str, Any], dict[str, Any]]:
    pairs = [_statements(one, other, place) for one, other in _partners(statements(live), statements(want), place)]
    left: dict[str, Any] = {"Version": live.get("Version") or OLD_VERSION}
    right: dict[str, Any] = {"Version": want["Version"]}
    for side, document in ((left, live), (right, want)):
        if identifier(document, place):
            side["Id"] = document["Id"]
    left["Statement"] = [one for one, _ in pairs if one is not None]
    right["Statement"] = [other for _, other in pairs if other is not None]
    return left, right


def _partners(live: list[Any], want: list[Any], place: Place) -> list[Pair]:
    """(live, wanted) pairs of statements: of the same meaning, of the same Sid, else the most similar; None if none."""
    pairs: list[tuple[int, Any, Any]] = []
    left, right = _unrepeated(live, place), dict(enumerate(_unrepeated(want, place)))
    judges: list[Callable[[Any, Any], float]] = [
        lambda one, other: atoms(one, place) == atoms(other, place),
        lambda one, other: bool(_sid(one)) and _sid(one) == _sid(other),
        lambda one, other: 1 + len(atoms(one, place) & atoms(other, place)) + _shared(one, other) / 100,
    ]
    for judge in judges:
        for index, other in list(right.items()):
            best = max(left, key=lambda one: judge(one, other), default=None)
            if best is not None and judge(best, other):
                left = [one for one in left if one is not best]
                pairs.append((index, best, right.pop(index)))
    rest = [(index, None, other) for index, other in right.items()]
    return [(one, other) for _, one, other in [*sorted(pairs, key=lambda pair: pair[0]), *rest]] + [
        (one, None) for one in left
    ]


def _unrepeated(found: list[Any], place: Place) -> list[Any]:
    """One statement for each meaning; of several the one with a Sid, and of several Sids the first in the alphabet."""
    kept: dict[Any, Any] = {}
    for statement in found:
        known = kept.setdefault(atoms(statement, place), statement)
        if _sid(statement) and (not _sid(known) or _sid(statement) < _sid(known)):
            kept[atoms(statement, place)] = statement
    return list(kept.values())


def _sid(statement: Any) -> str:
    """The Sid of a statement; empty if it has none, or one that a service numbered."""
    sid = str(statement.get("Sid") or "") if isinstance(statement, Mapping) else ""
    return "" if sid.isdigit() else sid


def _shared(one: Any, other: Any) -> int:
    """The number of members that are equal in both."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return 0
    return sum(leaf(one.get(name)) == leaf(item) for name, item in other.items())


def _statements(live: Any, want: Any, place: Place) -> Pair:
    if not isinstance(live, Mapping) or not isinstance(want, Mapping):
        return live, want
    left: dict[str, Any] = {}
    right: dict[str, Any] = {}
    for name in (*live, *(name for name in want if name not in live)):
        one, other = _members(name, live, want, place)
        left.update({} if one is None else {name: one})
        right.update({} if other is None else {name: other})
    return left, right


def _members(name: str, live: Mapping[str, Any], want: Mapping[str, Any], place: Place) -> Pair:
    one, other = live.get(name), want.get(name)
    if name == "Sid":
        return (_sid(live) or None, other) if _sid(want) and not str(one or "").isdigit() else (other, other)
    if name not in MEMBERS or name == "Effect":
        return one, other
    if name == "Condition":
        return _conditions(one, other)
    if one is None or other is None:
        return one, other
    if name.endswith("Principal"):
        return _principals(one, other, place)
    return _lists(one, other, folded if name.endswith("Action") else leaf)


def _lists(live: Any, want: Any, fold: Callable[[Any], Any]) -> Pair:
    ours, theirs = {fold(item): item for item in listed(want)}, {fold(item): item for item in listed(live)}
    if ours.keys() == theirs.keys():
        return want, want
    both = [item for key, item in ours.items() if key in theirs]
    extra = [theirs[key] for key in sorted(theirs.keys() - ours.keys(), key=repr)]
    return [*both, *extra], [*both, *(item for key, item in ours.items() if key not in theirs)]


def _principals(live: Any, want: Any, place: Place) -> Pair:
    if principals(live, place) == principals(want, place):
        return want, want
    if not isinstance(live, Mapping) or not isinstance(want, Mapping):
        return live, want
    left, right = dict(live), dict(want)
    for kind in live.keys() & want.keys():
        left[kind], right[kind] = _lists(live[kind], want[kind], lambda one: principals({kind: one}, place))  # noqa: B023
    return left, right


def _conditions(live: Any, want: Any) -> Pair:
    if conditions(live) == conditions(want):
        return want, want
    if not isinstance(live, Mapping) or not isinstance(want, Mapping):
        return live, want
    left, right = dict(live), dict(want)
    for operator in live.keys() & want.keys():
        if isinstance(live[operator], Mapping) and isinstance(want[operator], Mapping):
            left[operator], right[operator] = _keys(live[operator], want[operator])
    return left, right


def _keys(live: Mapping[str, Any], want: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    spelt = {str(key).lower(): key for key in want}
    left: dict[str, Any] = {}
    right = dict(want)
    for key, value in live.items():
        name = spelt.get(str(key).lower(), key)
        left[name] = [*listed(left[name]), *listed(value)] if name in left else value
    for key in left.keys() & right.keys():
        left[key], right[key] = _lists(left[key], right[key], leaf)
    return left, right
