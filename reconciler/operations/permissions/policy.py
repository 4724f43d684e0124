"""IAM policy documents from needs: merged where that allows nothing more, and split where they are too large.

The limits count characters: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from reconciler.operations.permissions.merging import Statement, matches, statements
from reconciler.operations.permissions.needs import Need, Needs

MANAGED: Final = 6144  # characters of a managed policy, without white space
SESSION: Final = 2048  # of a session policy
ATTACHED: Final = 10  # managed policies that a role may have, or a session be given, unless AWS allows more


def document(statements: Iterable[Statement]) -> dict[str, Any]:
    """The policy document."""
    return {"Version": "2012-10-17", "Statement": [one.as_json() for one in statements]}


def compact(document: Mapping[str, Any]) -> str:
    """A document without white space, as its characters are counted."""
    return json.dumps(document, separators=(",", ":"))


def indented(document: Mapping[str, Any]) -> str:
    """A document for people."""
    return json.dumps(document, indent=2)


#: What stands for what is not known yet, and the most characters that it can have: aws-us-gov, ap-southeast-1.
_LONGEST: Final = {"${partition}": 10, "${region}": 14, "${account}": 12}


def size(some: Iterable[Statement]) -> int:
    """The characters of a document, as they are counted."""
    return _length(compact(document(some)))


def _length(text: str) -> int:
    return len(text) + sum(text.count(word) * (most - len(word)) for word, most in _LONGEST.items())


def documents(needs: Needs, limit: int) -> list[list[Statement]]:
    """The statements of one document; of several, by service, where one would have more than ``limit`` characters."""
    whole = statements(needs.found)
    if size(whole) <= limit:
        return [whole]
    services: dict[str, list[Need]] = {}
    for need in needs.found:
        services.setdefault(need.action.partition(":")[0], []).append(need)
    done: list[list[Statement]] = []
    room: list[int] = []  # what is left in each
    for _, some in sorted(services.items()):
        for one in _small(statements(some), limit):
            more = _length(compact(one.as_json())) + 1  # with a comma
            place = next((index for index, left in enumerate(room) if more <= left), None)
            if place is None:
                done.append([one])
                room.append(limit - size([one]))
            else:
                done[place].append(one)
                room[place] -= more
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
    by_action: dict[str, list[Need]] = {}
    for need in needs.found:
        by_action.setdefault(need.action, []).append(need)
    for number, one in enumerate(some, start=1):
        terms = " and ".join(f"{key} is {' or '.join(values)}" for key, values in one.conditions)
        resources = sorted(one.resources)
        where = resources[0] if len(resources) == 1 else f"{len(resources)} resources"
        yield f"statement {number}: on {where}" + (f", if {terms}" if terms else "")
        within = _Within(one)
        for action in sorted(one.actions):
            reasons = (why for need in by_action[action] if need in within for why in needs.found[need])
            yield f"  {action}: {'; '.join(_gathered(reasons))}"


class _Within:
    """The needs that a statement allows, by their resources and conditions."""

    def __init__(self, one: Statement) -> None:
        self.one, self.conditions = one, {*one.conditions}
        self.patterns = [resource for resource in one.resources if "*" in resource or "?" in resource]

    def __contains__(self, need: Need) -> bool:
        return self.conditions <= {*need.conditions} and (
            need.resource in self.one.resources or any(matches(need.resource, one) for one in self.patterns)
        )


def _gathered(reasons: Iterable[str]) -> Iterator[str]:
    """The reasons, each once, those of one beginning together: ``creates it: a, b``."""
    by_verb: dict[str, dict[str, None]] = {}
    for reason in reasons:
        verb, _, what = reason.partition(": ")
        by_verb.setdefault(verb, {})[what] = None
    for verb, whats in by_verb.items():
        named = [what for what in whats if what]
        yield f"{verb}: {', '.join(named)}" if named else verb
