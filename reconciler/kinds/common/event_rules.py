"""The event rules of an account, on every bus: read by what targets them name, without the kind of rules.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRules.html
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.kinds.common.declared import items
from reconciler.kinds.common.replies import ok
from reconciler.model import Call, Json, On, Reads, Refused, Reply

NO_LONGER_EXISTS = (On("ResourceNotFoundException"), On(message="does not exist"), On(message="not found"))


def rules() -> Reads[list[tuple[str, Json]]]:
    """(name of the bus, rule) of every rule."""
    names = yield from _buses()
    calls = tuple(on_bus("ListRules", bus) for bus in names)
    replies = yield calls
    return [
        (bus, rule)
        for bus, call, reply in zip(names, calls, replies, strict=True)
        for rule in items((unless_deleted(call, reply) or {}).get("Rules"))
    ]


def aiming_at(buses: Sequence[str], arns: Sequence[str]) -> Reads[set[tuple[str, str]]]:
    """(name of the bus, name of the rule) of the rules on ``buses`` with a target ``arns``."""
    asked = [(bus, arn) for bus in buses for arn in arns]
    calls = tuple(on_bus("ListRuleNamesByTarget", bus, TargetArn=arn) for bus, arn in asked)
    replies = (yield calls) if calls else ()
    return {
        (bus, name)
        for (bus, _), call, reply in zip(asked, calls, replies, strict=True)
        for name in items((unless_deleted(call, reply) or {}).get("RuleNames"))
    }


def targets_of(rules: Sequence[tuple[str, Json]]) -> Reads[list[tuple[Json, list[Json]]]]:
    """(rule, its targets) of ``rules``; one call a rule."""
    calls = tuple(on_bus("ListTargetsByRule", bus, Rule=rule["Name"]) for bus, rule in rules)
    replies = (yield calls) if calls else ()
    return [
        (rule, items((unless_deleted(call, reply) or {}).get("Targets")))
        for (_, rule), call, reply in zip(rules, calls, replies, strict=True)
    ]


def on_bus(operation: str, bus: str, **params: str) -> Call:
    """A call about one bus."""
    where = {} if bus == "default" else {"EventBusName": bus}
    return Call("events", operation, {**params, **where}, all_pages=True)


def unless_deleted(call: Call, reply: Reply) -> Json | None:
    """The reply; None if the object was deleted meanwhile. Raises Unreadable for other refusals."""
    deleted = isinstance(reply, Refused) and any(on.matches(reply) for on in NO_LONGER_EXISTS)
    return None if deleted else ok(call, reply)


def _buses() -> Reads[list[str]]:
    """The names of the event buses; botocore has no paginator for them."""
    names: list[str] = []
    params: dict[str, str] = {}
    while True:
        call = Call("events", "ListEventBuses", params)
        (reply,) = yield (call,)
        page = ok(call, reply) or {}
        names += [bus["Name"] for bus in items(page.get("EventBuses"))]
        if not page.get("NextToken"):
            return names
        params = {"NextToken": page["NextToken"]}
