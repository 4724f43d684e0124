"""Whether a topic accepts the events that a rule sends to it, as far as its declaration shows.

EventBridge does not check this when a rule is created. If the topic's policy or key denies it, rules match, the events
are lost, and only a metric of failed invocations shows it.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from reconciler.kinds.common.declared import entries
from reconciler.model import Declared, Finding, Resource
from reconciler.model import problem_codes as codes
from reconciler.model.stand_ins import known

EVENTS = "events.amazonaws.com"
# the AWS managed key, whose policy cannot be changed
_CLOSED_KEYS = ("alias/aws/sns", "aws/sns")


def relations(rule: Resource, declared: Declared) -> Iterator[Finding]:
    """A warning for each target topic that events cannot reach."""
    for index, target in entries(rule.props.get("targets")):
        topic = declared.resource("topics", target.get("arn"))
        if topic is not None and not declared.resource("jobQueues", target.get("arn")):  # a name means the queue first
            for message, hint in delivery_problems(topic):
                yield Finding(("targets", index, "arn"), message, hint, codes.MISFIT, warning=True)


def delivery_problems(topic: Resource) -> Iterator[tuple[str, str]]:
    """The reasons why events cannot reach the topic: pairs of message and hint."""
    policy, attributes = topic.props.get("policy"), topic.props.get("attributes")
    if why := _unpublished(policy):
        allowed = (
            f'{{Effect: Allow, Principal: {{Service: {EVENTS}}}, Action: "sns:Publish", '
            f'Resource: "${{{topic.address}.arn}}"}}'
        )
        hint = f"add to the Statement of {topic.address}.policy: {allowed}"
        if not policy:
            hint = f'give {topic.address} a policy: {{Version: "2012-10-17", Statement: [{allowed}]}}'
        yield f"events will not reach the topic {topic.address.name}: {why}", hint
    if isinstance(attributes, Mapping) and attributes.get("KmsMasterKeyId") in _CLOSED_KEYS:
        message = f"events will not reach the topic {topic.address.name}: EventBridge cannot use the key alias/aws/sns"
        yield message, f"use a customer managed key that lets {EVENTS} use it, or no encryption"


def lets_events_publish(policy: Any) -> bool:
    """Whether a topic's policy lets EventBridge publish, or that is not known."""
    return not _unpublished(policy)


def _unpublished(policy: Any) -> str:
    """Why a topic's policy does not let EventBridge publish; empty if it does, or if that is not known."""
    if not policy:
        return f"the default policy of a topic does not let {EVENTS} publish"
    listed = policy.get("Statement") if isinstance(policy, Mapping) else None
    conditional = False
    for statement in listed if isinstance(listed, list) else [listed]:
        if not isinstance(statement, Mapping) or _undecided(statement):
            return ""
        if statement.get("Effect") != "Allow" or not _publishes(statement.get("Action")):
            continue
        named = _named(statement.get("Principal"))
        if not statement.get("Condition") and named & {EVENTS, "*"}:
            return ""
        conditional = conditional or EVENTS in named
    if conditional:
        return f"its policy lets {EVENTS} publish on a Condition, which EventBridge does not support for topics"
    return f"its policy does not let {EVENTS} publish"


def _undecided(statement: Mapping[str, Any]) -> bool:
    if "NotPrincipal" in statement or "NotAction" in statement:
        return True
    return not known([statement.get("Principal"), statement.get("Action")])


def _publishes(actions: Any) -> bool:
    return any(fnmatchcase("sns:publish", action.lower()) for action in _texts(actions))


def _named(principal: Any) -> frozenset[str]:
    """The services of a statement's principals, without the ``.cn`` of China, and ``*`` if it applies to every one."""
    if not isinstance(principal, Mapping):
        return frozenset(text for text in _texts(principal) if text == "*")
    wildcards = [text for text in _texts(principal.get("AWS")) if text == "*"]
    return frozenset([*wildcards, *(name.removesuffix(".cn") for name in _texts(principal.get("Service")))])


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, str)]
