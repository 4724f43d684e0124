"""Subscriptions of SNS topics: identified by protocol and endpoint, with attributes that are text or JSON text.

https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from reconciler.kinds.common.declared import items, mapping
from reconciler.model import EMPTY, Call, Json, JsonText, On, Reads
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.json_text import from_json
    from reconciler.kinds.common.replies import ok

DEFAULTS: Mapping[str, str] = {
    "RawMessageDelivery": "false",
    "FilterPolicyScope": "MessageAttributes",
    "FilterPolicy": "",
    "RedrivePolicy": "",
    "DeliveryPolicy": "",
    "SubscriptionRoleArn": "",
    "ReplayPolicy": "",
}
CLEARED = {"FilterPolicy": "{}"}
JSON = ("FilterPolicy", "RedrivePolicy", "DeliveryPolicy", "ReplayPolicy", "ArchivePolicy")
PENDING = "PendingConfirmation"
LIST = "ListSubscriptionsByTopic"
ABSENT = ("NotFound", "ResourceNotFound")

_PASSWORD = regex(r"(https?://[^:/@]+):[^@/]*@", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One subscription; ``arn`` is PendingConfirmation until its recipient confirms it, "" until it is created."""

    protocol: str
    endpoint: Any
    attributes: Mapping[str, Any] = field(default=EMPTY)
    arn: str = ""

    def __str__(self) -> str:
        """Its identity. SNS masks a password in an endpoint, and email addresses ignore case."""
        endpoint = str(self.endpoint)
        if self.protocol.startswith("email"):
            endpoint = endpoint.lower()
        starred = _PASSWORD.sub(r"\1:****@", endpoint)
        return f"{self.protocol} {starred}"

    @property
    def pending(self) -> bool:
        """Whether its recipient has not confirmed it yet."""
        return bool(self.arn) and not self.arn.startswith("arn:")

    def is_change_of(self, other: Subscription) -> bool:
        """Whether one is shown as a change of the other: the same protocol."""
        return self.protocol == other.protocol

    def props(self) -> dict[str, Any]:
        """In YAML's shape: attributes by meaning, without those that have their default."""
        meant = {name: meaning(name, value) for name, value in self.attributes.items()}
        kept = {name: value for name, value in meant.items() if value != meaning(name, DEFAULTS.get(name))}
        _, _, shown = str(self).partition(" ")
        endpoint = shown if isinstance(self.endpoint, str) else self.endpoint
        return {"protocol": self.protocol, "endpoint": endpoint, **({"attributes": kept} if kept else {})}


def declared(declarations: Any, arns: Mapping[str, str] = EMPTY) -> dict[str, Subscription]:
    """The items of a ``subscriptions`` list by identity; ``arns`` has the ARNs of those that exist."""
    found: dict[str, Subscription] = {}
    for item in map(mapping, items(declarations)):
        one = Subscription(
            protocol=str(item.get("protocol", "")),
            endpoint=item.get("endpoint"),
            attributes=mapping(item.get("attributes")),
        )
        known = arns.get(str(one), "")
        found[str(one)] = Subscription(
            protocol=one.protocol, endpoint=one.endpoint, attributes=one.attributes, arn=known
        )
    return found


def from_api(item: Json, attributes: Mapping[str, str]) -> Subscription:
    """One item of ListSubscriptionsByTopic with its attributes from GetSubscriptionAttributes."""
    return Subscription(
        protocol=item["Protocol"],
        endpoint=item["Endpoint"],
        attributes={name: value for name, value in attributes.items() if name in DEFAULTS},
        arn=item["SubscriptionArn"],
    )


def meaning(name: str, value: Any) -> Any:
    """An attribute in comparable form: JSON parsed, without empty members; anything else as text."""
    if value is None:
        return ""
    if name in JSON:
        return _without_empty(_parsed(value)) or ""
    return as_text(value)


def as_text(value: Any) -> Any:
    """An attribute as SNS expects it: text, mappings as JSON text; stand-ins unchanged."""
    if isinstance(value, Mapping | list | tuple):
        return JsonText(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return from_json(value) if value.strip() else ""
    except ValueError:
        return value


def _without_empty(value: Any) -> Any:
    """SNS adds members that are null, and ``guaranteed: false``."""
    if isinstance(value, Mapping):
        return {
            name: _without_empty(item)
            for name, item in value.items()
            if item is not None and not (name == "guaranteed" and item is False)
        }
    return [_without_empty(item) for item in value] if isinstance(value, list | tuple) else value


# --- reading ---------------------------------------------------------------------------------------------------------


def list_call(arn: str) -> Call:
    """The call that lists the subscriptions of a topic."""
    return Call("sns", LIST, {"TopicArn": arn}, all_pages=True)


def subscriptions_of(topics: Mapping[str, Mapping[str, Json]]) -> Reads[dict[str, dict[str, Subscription]]]:
    """The subscriptions of each topic by identity, without those that their recipient has ended.

    ``topics`` are the replies about each topic by operation. If the subscriptions of a topic are not among them, they
    are listed if the topic counts any. Raises Unreadable.
    """
    attributes = {name: parts["GetTopicAttributes"]["Attributes"] for name, parts in topics.items()}
    pages = {name: parts[LIST] for name, parts in topics.items() if LIST in parts}
    more = {n: list_call(said["TopicArn"]) for n, said in attributes.items() if n not in pages and _counted(said)}
    for (name, call), reply in zip(more.items(), (yield tuple(more.values())) if more else (), strict=True):
        pages[name] = ok(call, reply, *ABSENT) or {}
    found = {
        name: [item for item in pages.get(name, {}).get("Subscriptions", ()) if item["SubscriptionArn"] != "Deleted"]
        for name in topics
    }
    details = yield from _details([item["SubscriptionArn"] for items in found.values() for item in items])
    made = {
        name: [from_api(item, details.get(item["SubscriptionArn"], {})) for item in items]
        for name, items in found.items()
    }
    return {name: {str(one): one for one in those} for name, those in made.items()}


def _counted(attributes: Mapping[str, str]) -> bool:
    """Whether a topic has subscriptions, by its own count."""
    return any(attributes.get(f"Subscriptions{state}", "?") != "0" for state in ("Confirmed", "Pending"))


def _details(arns: Sequence[str]) -> Reads[dict[str, Mapping[str, str]]]:
    """The attributes of the subscriptions that are confirmed, by ARN."""
    known = [arn for arn in arns if arn.startswith("arn:")]
    calls = tuple(Call("sns", "GetSubscriptionAttributes", {"SubscriptionArn": arn}) for arn in known)
    replies = (yield calls) if calls else ()
    answers = [ok(call, reply, *ABSENT) or {} for call, reply in zip(calls, replies, strict=True)]
    return {arn: answer.get("Attributes", {}) for arn, answer in zip(known, answers, strict=True)}


# --- writing ---------------------------------------------------------------------------------------------------------

BUSY = (On("ConcurrentAccess"), On("StaleTag"))
NOT_FOUND = (On("NotFound"),)


def subscribe(topic: str, one: Subscription) -> Call:
    """The Subscribe call, with the attributes that have a value."""
    attributes = {name: as_text(value) for name, value in sorted(one.attributes.items())}
    sent = {name: value for name, value in attributes.items() if value not in (None, "")}
    params = {"TopicArn": topic, "Protocol": one.protocol, "Endpoint": one.endpoint}
    extra = {"Attributes": sent} if sent else {}
    return Call("sns", "Subscribe", {**params, **extra, "ReturnSubscriptionArn": True}, retry_on=BUSY)


def update_calls(have: Subscription, wish: Subscription) -> Sequence[Call]:
    """One SetSubscriptionAttributes call per attribute that differs; none before the subscription is confirmed.

    The scope of a filter is set before the filter, which SNS checks against it.
    """
    if have.pending or not have.arn:
        return []
    names = sorted({*DEFAULTS, *wish.attributes}, key=lambda name: (name != "FilterPolicyScope", name))
    calls: list[Call] = []
    for name in names:
        before = have.attributes.get(name, DEFAULTS.get(name))
        after = wish.attributes.get(name, DEFAULTS.get(name))
        if meaning(name, before) == meaning(name, after):
            continue
        value = as_text(after) or CLEARED.get(name, "")
        params = {"SubscriptionArn": have.arn, "AttributeName": name, "AttributeValue": value}
        calls.append(Call("sns", "SetSubscriptionAttributes", params, retry_on=BUSY))
    return calls


def unsubscribe(one: Subscription) -> Call:
    """The Unsubscribe call; a subscription that no longer exists is a success."""
    return Call("sns", "Unsubscribe", {"SubscriptionArn": one.arn}, retry_on=BUSY, ok_if=NOT_FOUND)
