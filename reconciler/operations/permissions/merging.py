"""As few statements as allow the needs and nothing else.

What is compared are classes of resources, of which there are few, and not resources, of which there may be thousands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from reconciler.model import Scope
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.operations.permissions import actions
from reconciler.operations.permissions.needs import ANY, Need

Conditions: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
_ARN_KEYS: Final = frozenset({"iam:PolicyARN", "iam:PermissionsBoundary"})
_ANYWHERE: Final = Scope(ANY, ANY, ANY, "")
_WILDCARD: Final = regex(r"[*?]")
_FIELDS: Final = 5  # of an ARN, before the resource: arn, partition, service, Region, account


@dataclass(frozen=True, slots=True)
class Statement:
    """Actions that are allowed on resources under conditions."""

    actions: frozenset[str]
    resources: frozenset[str]
    conditions: Conditions = ()

    def as_json(self) -> dict[str, Any]:
        """The statement as IAM writes it, sorted."""
        made: dict[str, Any] = {
            "Effect": "Allow",
            "Action": _one_or_many(self.actions),
            "Resource": _one_or_many(self.resources),
        }
        if self.conditions:
            by_operator: dict[str, dict[str, Any]] = {}
            for key, values in self.conditions:
                by_operator.setdefault("ArnLike" if key in _ARN_KEYS else "StringEquals", {})[key] = _one_or_many(
                    values
                )
            made["Condition"] = by_operator
        return made


def _one_or_many(values: Iterable[str]) -> str | list[str]:
    found = sorted(values)
    return found[0] if len(found) == 1 else found


def matches(text: str, pattern: str) -> bool:
    """Whether an ARN or a pattern is all within a pattern, as IAM compares them."""
    head, star, tail = pattern.partition(ANY)
    if "?" in pattern or ANY in tail:
        return fnmatchcase(text, pattern.replace("[", "[[]"))
    if not star:
        return text == pattern
    return len(text) >= len(head) + len(tail) and text.startswith(head) and text.endswith(tail)


# --- what another need allows ----------------------------------------------------------------------------------------


class _Patterns:
    """The patterns with the same action and the same beginning of the ARN, found by how they begin and end."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, list[Need]]] = {}

    def add(self, need: Need, tail: str) -> None:
        parts = _WILDCARD.split(tail)
        self.found.setdefault(parts[0], {}).setdefault(parts[-1], []).append(need)

    def around(self, tail: str) -> Iterator[Need]:
        """Those that a resource with this tail may be within."""
        for ends in filter(None, (self.found.get(tail[:end]) for end in range(len(tail) + 1))):
            for start in range(len(tail) + 1):
                yield from ends.get(tail[start:], ())


def _cut(resource: str) -> tuple[str, str]:
    """The beginning of an ARN, up to its account, and the rest."""
    fields = resource.split(":", _FIELDS)
    return (":".join(fields[:_FIELDS]), fields[_FIELDS]) if len(fields) > _FIELDS else ("", resource)


def without_covered(needs: Sequence[Need]) -> list[Need]:
    """The needs without those that another one allows.

    A need may be covered by the same resource under fewer conditions, or by a pattern.
    """
    patterns: dict[str, dict[str, _Patterns]] = {}
    same: dict[tuple[str, str], list[Need]] = {}
    for need in needs:
        same.setdefault((need.action, need.resource), []).append(need)
        head, tail = _cut(need.resource)
        if _WILDCARD.search(need.resource):
            patterns.setdefault(need.action, {}).setdefault(head, _Patterns()).add(need, tail)
    return [need for need in needs if not _covered(need, same[need.action, need.resource], patterns)]


def _covered(need: Need, same: Iterable[Need], patterns: Mapping[str, Mapping[str, _Patterns]]) -> bool:
    if any(_less(other, need) for other in same):
        return True
    head, tail = _cut(need.resource)
    return any(
        _less(other, need) and matches(need.resource, other.resource)
        for known, some in patterns.get(need.action, {}).items()
        if not known or matches(head, known)
        for other in some.around(tail if known else need.resource)  # without a head: * alone
    )


def _less(other: Need, need: Need) -> bool:
    return other != need and {*other.conditions} <= {*need.conditions}


# --- merging ---------------------------------------------------------------------------------------------------------


class _Classes:
    """Resources that are alike: the same needs are about them, and the same actions can be."""

    def __init__(self, needs: Iterable[Need]) -> None:
        about: dict[str, list[tuple[Conditions, str]]] = {}
        for need in needs:
            about.setdefault(need.resource, []).append((need.conditions, need.action))
        self._forms: dict[str, dict[str, re.Pattern[str]]] = {}
        self._found: dict[str, frozenset[str] | None] = {}
        for one in {one for pairs in about.values() for _, action in pairs for one in actions.types(action)}:
            service = actions.pattern(one, _ANYWHERE).split(":")[2]
            self._forms.setdefault(service, {})[one] = actions.form(one, _ANYWHERE)
        self.members: dict[str, list[str]] = {}
        first: dict[Any, str] = {}
        for resource, pairs in about.items():
            key = tuple(sorted(pairs)), self._of(resource), resource == ANY
            self.members.setdefault(first.setdefault(key, resource), []).append(resource)
        self.allowed: dict[Conditions, set[tuple[str, str]]] = {}
        for resource in self.members:
            for conditions, action in about[resource]:
                self.allowed.setdefault(conditions, set()).add((action, resource))

    def _of(self, resource: str) -> frozenset[str] | None:
        """The types that a resource may be of; None for what is everybody's, which any action may be about."""
        if resource not in self._found:
            service, account = (resource.split(":") + [""] * _FIELDS)[2:_FIELDS:2]
            of_all = resource == ANY or account == "aws"
            some = self._forms.get(service, {}).items()
            self._found[resource] = None if of_all else frozenset(one for one, form in some if form.fullmatch(resource))
        return self._found[resource]

    def possible(self, action: str, resource: str) -> bool:
        """Whether an action can be about a resource."""
        found = self._of(resource)
        return found is None or not found.isdisjoint(actions.types(action))


def statements(needs: Iterable[Need]) -> list[Statement]:
    """The statements that allow the needs and nothing else, as few as merging gives."""
    classes = _Classes(wanted := without_covered(sorted(needs)))
    by_action: dict[tuple[Conditions, str], set[str]] = {}
    for need in wanted:
        if need.resource in classes.members:
            by_action.setdefault((need.conditions, need.action), set()).add(need.resource)
    by_resources: dict[tuple[Conditions, frozenset[str]], set[str]] = {}
    for (conditions, action), resources in by_action.items():
        by_resources.setdefault((conditions, frozenset(resources)), set()).add(action)
    made = [Statement(frozenset(some), resources, at) for (at, resources), some in by_resources.items()]
    return sorted((_whole(one, classes) for one in _merged(made, classes)), key=_order)


def _whole(one: Statement, classes: _Classes) -> Statement:
    resources = frozenset(resource for first in one.resources for resource in classes.members[first])
    return Statement(one.actions, resources, one.conditions)


def _order(one: Statement) -> tuple[Any, ...]:
    """What is read anywhere comes first, then what is limited by ARN alone."""
    return ANY not in one.resources, one.conditions, sorted(one.actions)


def _merged(some: Sequence[Statement], classes: _Classes) -> list[Statement]:
    """The statements, merged where an action can be about no resource of the other statement but what it may there."""
    done: list[Statement] = []
    for one in some:
        for index, other in enumerate(done):
            if one.conditions == other.conditions and (ANY in one.resources) == (ANY in other.resources):
                both = Statement(one.actions | other.actions, one.resources | other.resources, one.conditions)
                if all(_allowed(pair, one.conditions, classes) for pair in _new(one, other)):
                    done[index] = both
                    break
        else:
            done.append(one)
    return done if len(done) == len(some) else _merged(done, classes)


def _new(one: Statement, other: Statement) -> Iterator[tuple[str, str]]:
    """The pairs of action and resource that only the two together have."""
    for first, second in ((one, other), (other, one)):
        yield from ((action, resource) for action in first.actions for resource in second.resources - first.resources)


def _allowed(pair: tuple[str, str], under: Conditions, classes: _Classes) -> bool:
    """Whether a pair is none, or allowed here anyway; under fewer conditions it would be allowed twice."""
    return not classes.possible(*pair) or pair in classes.allowed.get(under, ())
