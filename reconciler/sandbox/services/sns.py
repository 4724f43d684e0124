"""SNS: email subscriptions that wait for their recipient, and topics that are not silently shared.

https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox.services._documents import missing_principal, statements
from reconciler.sandbox.services._hooks import Account, Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("sns")


_PENDING = "PendingConfirmation"
_ADDRESS = regex(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SETTABLE = {"RawMessageDelivery", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy", "DeliveryPolicy"}
_EVENTS = ("confirm", "expire", "leave")


def subscription_event(account: Account, topic_arn: str, endpoint: str, event: str) -> bool:
    """What a recipient does: ``confirm``, let it ``expire``, or ``leave``.

    Returns False if no such subscription exists; raises ``ValueError`` for another event.
    """
    if event not in _EVENTS:
        raise ValueError(f"an event is one of {', '.join(_EVENTS)}")
    region = topic_arn.split(":")[3]
    backend = account.moto.backend("sns", region)
    pending = account.memory["sns"].setdefault(region, {})
    found = False
    for arn, subscription in list(backend.subscriptions.items()):
        if (subscription.topic.arn, subscription.endpoint) == (topic_arn, endpoint):
            found = True
            pending.pop(arn, None)
            if event != "confirm":
                del backend.subscriptions[arn]
    account.moto.touched("sns", region)
    return found


def invalid(message: str) -> Refusal:
    """The refusal of a parameter."""
    return Refusal("InvalidParameter", f"Invalid parameter: {message}")


# --- topics ----------------------------------------------------------------------------------------------------------


@RULES.before("CreateTopic")
def a_topic_is_not_an_upsert(call: ServiceCall) -> None:
    """The same name with the same tags and attributes is the same topic; with others it is refused."""
    name = call.params["Name"]
    topic = next((topic for topic in call.backend.topics.values() if topic.name == name), None)
    if topic is None:
        return
    live = (topic._tags or {}).items()  # noqa: SLF001  moto's only place for them
    if any((tag["Key"], tag["Value"]) not in live for tag in call.params.get("Tags") or []):
        raise invalid("Tags Reason: Topic already exists with different tags")
    for attribute, value in (call.params.get("Attributes") or {}).items():
        kept = topic.__dict__.get("sandbox_kept", {})
        held = kept.get(attribute) or getattr(topic, re.sub(r"(?<!^)(?=[A-Z])", "_", attribute).lower(), None)
        if not _same(held, value):
            raise invalid("Attributes Reason: Topic already exists with different attributes")


def _same(live: Any, asked: str) -> bool:
    if isinstance(live, str) and live.startswith("{"):
        return bool(json.loads(live) == json.loads(asked))
    return str(live if live is not None else "").lower() == asked.lower()


@RULES.before("CreateTopic")
def policies_of_new_topics_are_documents(call: ServiceCall) -> None:
    """The policy of a new topic is checked."""
    given = call.params.get("Attributes") or {}
    if given.get("Policy"):
        _check_policy(call, given["Policy"])


@RULES.before("CreateTopic", "SetTopicAttributes")
def attributes_are_checked(call: ServiceCall) -> None:
    """Display names have at most 100 characters, rates are percentages, and some attributes are for FIFO topics.

    https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html
    """
    given = call.params.get("Attributes") or {}
    if "AttributeName" in call.params:
        given = {call.params["AttributeName"]: call.params.get("AttributeValue", "")}
    fifo = str(call.params.get("Name") or call.params.get("TopicArn")).endswith(".fifo")
    for name, value in given.items():
        if name == "DisplayName" and len(value) > 100:
            raise invalid("DisplayName Reason: Display name is too long")
        if name.endswith("SampleRate") and not (value.isdecimal() and int(value) <= 100):
            raise invalid(f"Attributes Reason: {name} must be between 0 and 100")
        if name == "ContentBasedDeduplication" and value == "true" and not fifo:
            raise invalid("Content-based deduplication can only be set for FIFO topics")


@RULES.before("SetTopicAttributes")
def topic_policies_are_documents(call: ServiceCall) -> None:
    """A policy that is set later is checked, too."""
    if call.params.get("AttributeName") == "Policy":
        _check_policy(call, call.params.get("AttributeValue", ""))


def _check_policy(call: ServiceCall, text: str) -> None:
    try:
        document = json.loads(text)
    except ValueError:
        raise invalid("Policy Error: null") from None
    if not isinstance(document, dict) or "Statement" not in document:
        raise invalid("Policy Error: null")
    for statement in statements(document):
        actions = statement.get("Action", [])
        for action in map(str.lower, [actions] if isinstance(actions, str) else actions):
            if action in ("*", "sns:*") or not action.startswith("sns:"):
                raise invalid("Policy statement action out of service scope!")
    if missing_principal(call, document):
        raise invalid("Policy Error: PrincipalNotFound")


_FEEDBACK = ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")
_PROTOCOLS = ("Application", "HTTP", "Lambda", "SQS", "Firehose")
# with the default that GetTopicAttributes shows
_KEPT: dict[str, str | None] = {
    "TracingConfig": "PassThrough",
    **dict.fromkeys(("SignatureVersion", "MaximumMessageSize", "ArchivePolicy", "FifoThroughputScope")),
    **dict.fromkeys(f"{kind}{end}" for kind in _PROTOCOLS for end in _FEEDBACK),
}


@RULES.after("CreateTopic")
def dropped_attributes_are_kept_at_creation(call: ServiceCall, result: Json) -> None:
    """Moto drops some attributes of a new topic."""
    _keep(call, result["TopicArn"], call.params.get("Attributes") or {})


@RULES.after("SetTopicAttributes")
def dropped_attributes_are_kept_later(call: ServiceCall, _: Json) -> None:
    """Moto drops them when they are set, too."""
    _keep(call, call.params["TopicArn"], {call.params["AttributeName"]: call.params.get("AttributeValue", "")})


def _keep(call: ServiceCall, arn: str, attributes: Json) -> None:
    topic = call.backend.topics.get(arn)
    if topic is not None:
        held = topic.__dict__.setdefault("sandbox_kept", {})
        held.update({name: value for name, value in attributes.items() if name in _KEPT})


@RULES.after("GetTopicAttributes")
def dropped_attributes_are_reported(call: ServiceCall, result: Json) -> None:
    """GetTopicAttributes returns the attributes that moto drops."""
    topic = call.backend.topics.get(call.params["TopicArn"])
    held = topic.__dict__.get("sandbox_kept", {}) if topic is not None else {}
    for name, default in _KEPT.items():
        value = held.get(name) or default
        if value and not (name == "ArchivePolicy" and value == "{}"):
            result["Attributes"][name] = value
    if str(result["Attributes"].get("FifoTopic", "")).lower() == "true":
        result["Attributes"].setdefault("FifoThroughputScope", "Topic")


@RULES.after("GetTopicAttributes")
def topics_count_their_subscriptions(call: ServiceCall, result: Json) -> None:
    """Pending and confirmed ones are counted apart."""
    expire_pending(call)
    arn = call.params["TopicArn"]
    held = [one.arn for one in call.backend.subscriptions.values() if one.topic.arn == arn]
    pending = sum(one in call.regional for one in held)
    result["Attributes"]["SubscriptionsPending"] = str(pending)
    result["Attributes"]["SubscriptionsConfirmed"] = str(len(held) - pending)


@RULES.before("TagResource")
def tags_are_checked(call: ServiceCall) -> None:
    """Tag keys that begin with ``aws:`` are refused."""
    if any(tag["Key"].lower().startswith("aws:") for tag in call.params.get("Tags") or []):
        raise invalid("Reason: aws: prefixed tag key names are not allowed for external use.")


# --- subscriptions ---------------------------------------------------------------------------------------------------


def expire_pending(call: ServiceCall) -> None:
    """Delete the subscriptions that were not confirmed in time."""
    expires = call.account.settings.pending_expires
    for arn, asked in list(call.regional.items()):
        if call.now - asked >= expires or arn not in call.backend.subscriptions:
            call.regional.pop(arn, None)
            call.backend.subscriptions.pop(arn, None)
            call.touch()


@RULES.before("Subscribe", "ListSubscriptions", "ListSubscriptionsByTopic", "GetSubscriptionAttributes", "Unsubscribe")
def pending_subscriptions_expire(call: ServiceCall) -> None:
    """A subscription that is not confirmed in time is deleted."""
    expire_pending(call)


@RULES.before("Subscribe")
def subscriptions_are_checked(call: ServiceCall) -> None:
    """Protocols have endpoints of a certain form; different attributes for an existing subscription are refused."""
    protocol, endpoint = call.params.get("Protocol", ""), call.params.get("Endpoint", "")
    if protocol in ("email", "email-json") and not _ADDRESS.fullmatch(endpoint):
        raise invalid("Email address")
    if protocol in ("http", "https") and not endpoint.startswith(f"{protocol}://"):
        raise invalid("Endpoint must match the specified protocol")
    known = ("http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose")
    if protocol not in known:
        raise invalid(f"Does not support this protocol string: {protocol}")
    if protocol == "sqs" and endpoint.endswith(".fifo") and not call.params["TopicArn"].endswith(".fifo"):
        raise invalid("Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
    _check_redrive((call.params.get("Attributes") or {}).get("RedrivePolicy"))
    live = subscription_of(call)
    asked = call.params.get("Attributes") or {}
    if live and any(not _same(live.attributes.get(name, ""), value) for name, value in asked.items()):
        raise invalid("Attributes Reason: Subscription already exists with different attributes")


@RULES.before("SetSubscriptionAttributes")
def dead_letter_queues_are_checked(call: ServiceCall) -> None:
    """Dead letters go to a queue."""
    if call.params.get("AttributeName") == "RedrivePolicy":
        _check_redrive(call.params.get("AttributeValue"))


def _check_redrive(text: str | None) -> None:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-configure-dead-letter-queue.html"""
    try:
        policy = json.loads(text or "{}")
    except ValueError:
        raise invalid("RedrivePolicy: failed to parse JSON.") from None
    if policy and ":sqs:" not in str(policy.get("deadLetterTargetArn")):
        raise invalid("RedrivePolicy: deadLetterTargetArn is an invalid arn")


@RULES.before("Subscribe")
def attributes_are_kept(call: ServiceCall) -> None:
    """Moto keeps some attributes of a new subscription; the others are set afterwards."""
    call.memory["attributes"] = {
        name: value for name, value in (call.params.get("Attributes") or {}).items() if name in _SETTABLE
    }


@RULES.after("Subscribe")
def email_subscriptions_are_pending(call: ServiceCall, result: Json) -> None:
    """An email subscription is pending until its recipient confirms it."""
    live = subscription_of(call)
    if live is None:
        return
    for name, value in call.memory.pop("attributes", {}).items():
        live.attributes[name] = value
    if live.protocol in ("email", "email-json") and not live.__dict__.get("sandbox_asked"):
        live.__dict__["sandbox_asked"] = True
        call.regional[live.arn] = call.now
    waiting = live.arn in call.regional
    returned = call.params.get("ReturnSubscriptionArn") or not waiting
    result["SubscriptionArn"] = live.arn if returned else "pending confirmation"


@RULES.after("ListSubscriptions", "ListSubscriptionsByTopic")
def pending_subscriptions_show_no_arn(call: ServiceCall, result: Json) -> None:
    """Lists show ``PendingConfirmation`` in place of the ARN."""
    for one in result.get("Subscriptions", ()):
        if one["SubscriptionArn"] in call.regional:
            one["SubscriptionArn"] = _PENDING


@RULES.after("GetSubscriptionAttributes")
def pending_subscriptions_are_marked(call: ServiceCall, result: Json) -> None:
    """GetSubscriptionAttributes returns PendingConfirmation."""
    waiting = call.params["SubscriptionArn"] in call.regional
    result["Attributes"][_PENDING] = str(waiting).lower()
    result["Attributes"]["ConfirmationWasAuthenticated"] = str(not waiting).lower()
    for name, value in result["Attributes"].items():
        if value in ("True", "False"):
            result["Attributes"][name] = value.lower()


@RULES.before("Unsubscribe")
def pending_subscriptions_cannot_be_cancelled(call: ServiceCall) -> None:
    """Unsubscribe is refused before the subscription is confirmed."""
    arn = call.params["SubscriptionArn"]
    if not re.fullmatch(r"arn:[^:]+:sns:[^:]+:\d{12}:[^:]+:[^:]+", arn):
        raise invalid("SubscriptionArn Reason: An ARN must have at least 6 elements, not 1")
    if arn in call.regional:
        raise invalid("SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending confirmation")


def subscription_of(call: ServiceCall) -> Any:
    """The subscription that a request for one names; None if it does not exist."""
    wanted = (call.params.get("TopicArn"), call.params.get("Protocol"), call.params.get("Endpoint"))
    return next((one for one in _all(call) if (one.topic.arn, one.protocol, one.endpoint) == wanted), None)


def _all(call: ServiceCall) -> Iterator[Any]:
    yield from call.backend.subscriptions.values()
