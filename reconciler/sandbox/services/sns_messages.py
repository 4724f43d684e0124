"""SNS: what is published, kept for the outbox: moto would send it over the network, or drop it.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from reconciler.sandbox.services._hooks import Account, Rules, ServiceCall
from reconciler.sandbox.services._moto_objects import keep_messages
from reconciler.sandbox.services.sns import expire_pending, invalid, subscription_event, subscription_of
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("sns")

_SENT = "sandbox_sent"


def _kept(subscription: Any, message: str, subject: str | None) -> None:
    subscription.topic.__dict__.setdefault(_SENT, []).append((subscription, message, subject))


keep_messages(_kept)


def publish(account: Account, topic: Any, message: str, at: float) -> None:
    """A service publishes to a topic."""
    topic.publish(message)
    _collect(account, topic, at)


def sent(account: Account) -> Iterator[Json]:
    """Takes the mails and messages that were sent since this was last asked, each with its time as ``at``."""
    held = account.memory["sent"].setdefault("messages", [])
    while held:
        yield held.pop(0)


def confirm_pending(account: Account) -> list[tuple[str, str]]:
    """Confirm every pending subscription; the topic and address of each."""
    found: list[tuple[str, str]] = []
    for region, pending in account.memory["sns"].items():
        backend = account.moto.backend("sns", region)
        for arn in [arn for arn in pending if arn in backend.subscriptions]:
            subscription = backend.subscriptions[arn]
            found.append((subscription.topic.arn, subscription.endpoint))
    for topic, endpoint in found:
        subscription_event(account, topic, endpoint, "confirm")
    return found


@RULES.before("Publish", "PublishBatch")
def pending_subscriptions_expire_before_messages(call: ServiceCall) -> None:
    """What was not confirmed in time gets nothing."""
    expire_pending(call)


@RULES.before("Publish")
def subjects_are_one_line(call: ServiceCall) -> None:
    """A subject has at most 100 characters and no line break; a message must not be empty.

    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    """
    subject = call.params.get("Subject")
    if subject is not None and (not subject or len(subject) > 100 or not subject.isprintable()):
        raise invalid("Subject")
    if not call.params.get("Message"):
        raise invalid("Empty message")
    if len(call.params["Message"].encode()) > 256 * 1024:
        raise invalid("Message too long")
    arn = call.params.get("TopicArn") or call.params.get("TargetArn")
    if arn and arn not in call.backend.topics and ":endpoint/" not in arn:
        raise Refusal("NotFound", "Topic does not exist", 404)


@RULES.after("Publish", "PublishBatch")
def messages_are_sent(call: ServiceCall, _: Json) -> None:
    """To those who have confirmed; a message to a telephone number has no topic."""
    topic = call.backend.topics.get(call.params.get("TopicArn") or call.params.get("TargetArn"))
    if topic is not None:
        _collect(call.account, topic, call.now)
    elif call.params.get("PhoneNumber"):
        message = {"kind": "sms", "to": call.params["PhoneNumber"], "text": call.params["Message"], "at": call.now}
        call.account.memory["sent"].setdefault("messages", []).append(message)


@RULES.after("Subscribe")
def recipients_are_asked(call: ServiceCall, _: Json) -> None:
    """Each request for an email subscription that is pending sends a mail."""
    live = subscription_of(call)
    if live is not None and live.arn in call.regional:
        text = (
            f"You have chosen to subscribe to the topic:\n{live.topic.arn}\n\nTo confirm this subscription, click or "
            "visit the link below (If this was in error no action is necessary):\nConfirm subscription"
        )
        mail = _mail(live, text, "AWS Notification - Subscription Confirmation")
        call.account.memory["sent"].setdefault("messages", []).append({**mail, "at": call.now})


def _collect(account: Account, topic: Any, at: float) -> None:
    region = topic.arn.split(":")[3]
    pending = account.memory["sns"].get(region, {})
    held = account.memory["sent"].setdefault("messages", [])
    for subscription, message, subject in topic.__dict__.pop(_SENT, ()):
        if subscription.arn in pending:
            continue
        if subscription.protocol.startswith("email"):
            text = message
            if subscription.protocol == "email-json":
                text = json.dumps(
                    {"Type": "Notification", "TopicArn": topic.arn, "Subject": subject, "Message": message}
                )
            held.append({**_mail(subscription, text, subject or "AWS Notification Message"), "at": at})
        else:
            told = {"kind": subscription.protocol, "to": subscription.endpoint, "topic": topic.arn}
            held.append({**told, **({"subject": subject} if subject else {}), "text": message, "at": at})


def _mail(subscription: Any, text: str, subject: str) -> Json:
    name = subscription.topic.display_name or "AWS Notifications"
    return {
        "kind": subscription.protocol,
        "to": subscription.endpoint,
        "from": f"{name} <no-reply@sns.amazonaws.com>",
        "topic": subscription.topic.arn,
        "subject": subject,
        "text": text,
    }
