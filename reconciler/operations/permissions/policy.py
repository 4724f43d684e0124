"""IAM policy documents from needs: merged where that allows nothing more, and split where they are too large.

The limits count characters: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from reconciler.model import Scope
from reconciler.operations.permissions import actions
from reconciler.operations.permissions.needs import ANY, Need, Needs

MANAGED: Final = 6144  # characters of a managed policy, without white space
SESSION: Final = 2048  # of a session policy
ATTACHED: Final = 10  # managed policies that a role may have, or a session be given, unless AWS allows more
Conditions: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
_ARN_KEYS: Final = frozenset({"iam:PolicyARN", "iam:PermissionsBoundary"})


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


def document(statements: Iterable[Statement]) -> dict[str, Any]:
    """The policy document."""
    return {"Version": "2012-10-17", "Statement": [one.as_json() for one in statements]}


def compact(document: Mapping[str, Any]) -> str:
    """A document without white space, as its characters are counted."""
    return json.dumps(document, separators=(",", ":"))


def indented(document: Mapping[str, Any]) -> str:
    """A document for people."""
    return json.dumps(document, indent=2)


def statements(needs: Iterable[Need], scope: Scope) -> list[Statement]:
    """The statements that allow the needs and nothing else, as few as merging gives."""
    wanted = _without_covered(sorted(needs))
    by_action: dict[tuple[Conditions, str], set[str]] = {}
    for need in wanted:
        by_action.setdefault((need.conditions, need.action), set()).add(need.resource)
    by_resources: dict[tuple[Conditions, frozenset[str]], set[str]] = {}
    for (conditions, action), resources in by_action.items():
        by_resources.setdefault((conditions, frozenset(resources)), set()).add(action)
    made = [Statement(frozenset(some), resources, at) for (at, resources), some in by_resources.items()]
    return sorted(_merged(made, wanted, _Forms(scope)), key=_order)


def _order(one: Statement) -> tuple[Any, ...]:
    """What is read anywhere comes first, then what is limited by ARN alone."""
    return ANY not in one.resources, one.conditions, sorted(one.actions)


def _without_covered(needs: Sequence[Need]) -> list[Need]:
    """The needs without those that another one allows.

    A pattern is looked for only among the resources that begin as it does: there may be thousands.
    """
    begins: dict[tuple[str, str], list[Need]] = {}
    for need in needs:
        begins.setdefault((need.action, re.split(r"[*?]", need.resource, maxsplit=1)[0]), []).append(need)
    return [
        need
        for need in needs
        if not any(
            _covers(other, need)
            for end in range(len(need.resource) + 1)
            for other in begins.get((need.action, need.resource[:end]), ())
        )
    ]


def _covers(other: Need, need: Need) -> bool:
    less = {*other.conditions} <= {*need.conditions}
    return other != need and less and fnmatchcase(need.resource, other.resource)


class _Forms:
    """Which resources an action can be about."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.found: dict[tuple[str, str], bool] = {}

    def __call__(self, action: str, resource: str) -> bool:
        key = action, resource
        if key not in self.found:
            forms = (actions.form(one, self.scope) for one in actions.types(action))
            of_aws = resource.split(":")[4:5] == ["aws"]
            self.found[key] = resource == ANY or of_aws or any(form.fullmatch(resource) for form in forms)
        return self.found[key]


def _merged(some: Sequence[Statement], wanted: Iterable[Need], possible: _Forms) -> list[Statement]:
    """The statements, merged where an action can be about no resource of the other statement but what it may anyway."""
    allowed: dict[Conditions, set[tuple[str, str]]] = {}
    for need in wanted:
        allowed.setdefault(need.conditions, set()).add((need.action, need.resource))
    done: list[Statement] = []
    for one in some:
        for index, other in enumerate(done):
            if one.conditions == other.conditions and (ANY in one.resources) == (ANY in other.resources):
                both = Statement(one.actions | other.actions, one.resources | other.resources, one.conditions)
                pairs = {(a, r) for a in both.actions for r in both.resources if possible(a, r)}
                if all(_allowed(pair, one.conditions, allowed) for pair in pairs):
                    done[index] = both
                    break
        else:
            done.append(one)
    return done if len(done) == len(some) else _merged(done, wanted, possible)


def _allowed(pair: tuple[str, str], under: Conditions, allowed: Mapping[Conditions, set[tuple[str, str]]]) -> bool:
    return any(pair in pairs for conditions, pairs in allowed.items() if {*conditions} <= {*under})


def size(some: Iterable[Statement]) -> int:
    """The characters of a document, as they are counted."""
    return len(compact(document(some)))


def documents(needs: Needs, limit: int) -> list[list[Statement]]:
    """The statements of one document; of several, by service, where one would have more than ``limit`` characters."""
    scope = needs.estate.scope
    whole = statements(needs.found, scope)
    if size(whole) <= limit:
        return [whole]
    services: dict[str, list[Need]] = {}
    for need in needs.found:
        services.setdefault(need.action.partition(":")[0], []).append(need)
    done: list[list[Statement]] = []
    for _, some in sorted(services.items()):
        for one in _small(statements(some, scope), limit):
            room = next((place for place in done if size([*place, one]) <= limit), None)
            if room is None:
                done.append([one])
            else:
                room.append(one)
    return done


def _small(some: Iterable[Statement], limit: int) -> Iterator[Statement]:
    """The statements, halved until each is small enough for a document of its own."""
    for one in some:
        if size([one]) <= limit or len(one.resources) + len(one.actions) == 2:
            yield one
        else:
            longer = "resources" if sum(map(len, one.resources)) > sum(map(len, one.actions)) else "actions"
            longer = longer if len(getattr(one, longer)) > 1 else ("actions" if longer == "resources" else "resources")
            halves = sorted(getattr(one, longer))
            middle = len(halves) // 2
            for half in (halves[:middle], halves[middle:]):
                parts = {"actions": one.actions, "resources": one.resources, longer: frozenset(half)}
                yield from _small([Statement(parts["actions"], parts["resources"], one.conditions)], limit)


def explanation(needs: Needs, some: Iterable[Statement]) -> Iterator[str]:
    """Lines: for each statement its actions, each with the resources that need it."""
    for number, one in enumerate(some, start=1):
        terms = " and ".join(f"{key} is {' or '.join(values)}" for key, values in one.conditions)
        resources = sorted(one.resources)
        where = resources[0] if len(resources) == 1 else f"{len(resources)} resources"
        yield f"statement {number}: on {where}" + (f", if {terms}" if terms else "")
        for action in sorted(one.actions):
            yield f"  {action}: {'; '.join(_gathered(_reasons(needs, one, action)))}"


def _reasons(needs: Needs, one: Statement, action: str) -> Iterator[str]:
    """Why an action of a statement is needed."""
    patterns = [resource for resource in one.resources if "*" in resource or "?" in resource]
    for need, whys in needs.found.items():
        named = need.action == action and {*one.conditions} <= {*need.conditions}
        if named and (need.resource in one.resources or any(fnmatchcase(need.resource, p) for p in patterns)):
            yield from whys


def _gathered(reasons: Iterable[str]) -> Iterator[str]:
    """The reasons, each once, those of one beginning together: ``creates it: a, b``."""
    by_verb: dict[str, dict[str, None]] = {}
    for reason in reasons:
        verb, _, what = reason.partition(": ")
        by_verb.setdefault(verb, {})[what] = None
    for verb, whats in by_verb.items():
        named = [what for what in whats if what]
        yield f"{verb}: {', '.join(named)}" if named else verb
