"""What SNS refuses in a declared topic, as far as this can be decided offline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.common.declared import as_text, at, entries, is_given, mapping
from reconciler.kinds.common.policy_document import checks
from reconciler.kinds.common.policy_document.document import why_unparsed
from reconciler.model import Finding, Json, Path, compact
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import near
from reconciler.model.stand_ins import known
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.sns import _subscription_checks
    from reconciler.kinds.sns import _subscriptions as subs

NAME = regex(r"[A-Za-z0-9_-]{1,256}")
FEEDBACK = ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")
ATTRIBUTES = (
    *("DisplayName", "DeliveryPolicy", "FifoTopic", "ContentBasedDeduplication", "FifoThroughputScope"),
    *("KmsMasterKeyId", "SignatureVersion", "TracingConfig", "ArchivePolicy", "Policy", "MaximumMessageSize"),
    *(f"{kind}{end}" for kind in ("Application", "HTTP", "Lambda", "SQS", "Firehose") for end in FEEDBACK),
)
CHOICES = {
    "TracingConfig": ("PassThrough", "Active"),
    "SignatureVersion": ("1", "2"),
    "FifoTopic": ("true", "false"),
    "ContentBasedDeduplication": ("true", "false"),
    "FifoThroughputScope": ("Topic", "MessageGroup"),
}
OF_SUBSCRIPTIONS = {
    "RawMessageDelivery": ("true", "false"),
    "FilterPolicyScope": ("MessageAttributes", "MessageBody"),
}
ENDPOINTS = {
    "email": (regex(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+"), "an address such as ops@example.com"),
    "email-json": (regex(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+"), "an address such as ops@example.com"),
    "http": (regex(r"http://\S+"), "an address that starts with http://"),
    "https": (regex(r"https://\S+"), "an address that starts with https://"),
    "sms": (regex(r"\+?[1-9][0-9 ()-]{4,18}"), "a phone number with its country, such as +31612345678"),
    "sqs": (regex(r"arn:[^:]+:sqs:[^:]+:\d{12}:.+"), "the ARN of a queue"),
    "lambda": (regex(r"arn:[^:]+:lambda:[^:]+:\d{12}:function:.+"), "the ARN of a function"),
    "firehose": (regex(r"arn:[^:]+:firehose:[^:]+:\d{12}:deliverystream/.+"), "the ARN of a delivery stream"),
    "application": (regex(r"arn:[^:]+:sns:[^:]+:\d{12}:endpoint/.+"), "the ARN of a mobile endpoint"),
}


MAX_DISPLAY_NAME, MAX_POLICY = 100, 30 * 1024
ONLY_FIFO = ("ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy")
ACTIONS_HINT = "list actions on topics, such as sns:Publish, sns:Subscribe, sns:GetTopicAttributes"


# https://docs.aws.amazon.com/sns/latest/dg/sns-fifo-topics.html
NOT_FOR_FIFO = ("email", "email-json", "http", "https", "sms", "application", "firehose")
# https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html
NOT_RAW = ("email", "email-json", "sms", "lambda", "application")


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about name, attributes, policies and subscriptions; expressions with unknown values are accepted."""
    attributes = mapping(props.get("attributes"))
    yield from _name(name, attributes.get("FifoTopic"))
    yield from _attributes(attributes, ("attributes",), ATTRIBUTES, CHOICES, "a topic")
    yield from _limits(name, attributes)
    if is_given(props.get("policy")):
        yield from checks.findings(props["policy"], "resource", ("policy",))
        yield from _policy(props["policy"], ("policy",))
    guard = props.get("dataProtectionPolicy")
    if is_given(guard) and not isinstance(guard, Mapping) and known(guard):
        why = f": {why_unparsed(guard)}" if isinstance(guard, str) else ""
        hint = "write a mapping, JSON text or ${file:...}"
        yield Finding(("dataProtectionPolicy",), f"invalid JSON{why}", hint)
    seen: set[str] = set()
    for index, item in entries(props.get("subscriptions")):
        path = ("subscriptions", index)
        yield from _subscription(item, path)
        yield from _subscription_checks.findings(item, path, fifo=name.endswith(".fifo"))
        if name.endswith(".fifo") and item.get("protocol") in NOT_FOR_FIFO:
            hint = "a FIFO topic delivers to SQS queues"
            yield Finding((*path, "protocol"), f"a FIFO topic does not deliver by {item['protocol']}", hint)
        for key in subs.declared([item]):
            if known(item.get("endpoint")) and key in seen:
                yield Finding(path, f"duplicate subscription {key}", "remove one of them")
            seen.add(key)


def _name(name: str, fifo: Any) -> Iterator[Finding]:
    ordered = subs.as_text(fifo) == "true"
    if not NAME.fullmatch(name.removesuffix(".fifo")) or len(name) > 256:
        yield Finding((), f'"{name}" is not a valid topic name', "1 to 256 of letters, digits, - and _")
    elif ordered and not name.endswith(".fifo"):
        yield Finding((), "the name of a FIFO topic must end in .fifo", f'did you mean "{name}.fifo"?')
    elif name.endswith(".fifo") and not ordered and known(fifo):
        yield Finding((), "a name that ends in .fifo is only valid for a FIFO topic", 'attributes: {FifoTopic: "true"}')


def _limits(name: str, attributes: Mapping[str, Any]) -> Iterator[Finding]:
    """Values of a topic's attributes that SetTopicAttributes refuses.

    https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html
    """
    for attribute, value in attributes.items():
        path: Path = ("attributes", str(attribute))
        text = subs.as_text(value)
        if attribute == "DisplayName" and isinstance(text, str) and known(text) and len(text) > MAX_DISPLAY_NAME:
            message = f"the display name has {len(text)} characters; at most {MAX_DISPLAY_NAME}"
            yield Finding(path, message, "shorten it", code=codes.OUT_OF_RANGE)
        elif attribute in ONLY_FIFO and not name.endswith(".fifo") and known(text) and text not in ("", "false"):
            message = f"{attribute} is only valid for a FIFO topic"
            yield Finding(path, message, "remove it", code=codes.NOT_APPLICABLE)
        elif str(attribute).endswith("SampleRate") and isinstance(text, str) and known(text):
            if not (text.isdecimal() and int(text) <= 100):
                yield Finding(path, f'"{text}" is not a rate', "a percentage from 0 to 100", code=codes.OUT_OF_RANGE)
        elif attribute in ("DeliveryPolicy", "ArchivePolicy") and (why := _subscription_checks.why_not_json(value)):
            yield Finding(path, f"invalid JSON in {attribute}: {why}", "write a mapping, or JSON text")


def _policy(policy: Any, path: Path) -> Iterator[Finding]:
    """What only topic policies refuse: all actions by a wildcard, actions of other services, and great length.

    Observed: "Policy statement action out of service scope!" for ``sns:*`` and for ``kms:`` actions.
    """
    several = at(policy, "Statement")
    for index, statement in entries(several if isinstance(several, list) else [several]):
        here: Path = (*path, "Statement", index) if isinstance(several, list) else (*path, "Statement")
        actions = statement.get("Action")
        for number, action in enumerate(actions if isinstance(actions, list) else [actions]):
            if (
                isinstance(action, str)
                and known(action)
                and (action.lower() in ("*", "sns:*") or not action.lower().startswith("sns:"))
            ):
                place: Path = (*here, "Action", number) if isinstance(actions, list) else (*here, "Action")
                yield Finding(place, f'a topic policy cannot have the action "{action}"', ACTIONS_HINT)
    text = compact(policy) if isinstance(policy, Mapping) and known(policy) else as_text(policy)
    if text and len(text.encode()) > MAX_POLICY:
        message = f"the policy has {len(text.encode())} bytes, and the maximum is {MAX_POLICY}"
        yield Finding(path, message, "shorten it", code=codes.OUT_OF_RANGE)


def _attributes(
    attributes: Mapping[str, Any],
    path: Path,
    names: tuple[str, ...],
    choices: Mapping[str, tuple[str, ...]],
    what: str,
) -> Iterator[Finding]:
    for name, value in attributes.items():
        here = (*path, str(name))
        if name not in names:
            meant = near(str(name), names)
            if meant:
                yield Finding(
                    here, f'{what} has no attribute "{name}"', f'did you mean "{meant}"?', codes.UNKNOWN_FIELD
                )
            else:
                message = f'unknown attribute "{name}" of {what}; it is passed through'
                hint = f"known attributes include {', '.join(names[:6])}"
                yield Finding(here, message, hint, code=codes.UNKNOWN_FIELD, warning=True)
        elif name in choices and known(value) and subs.as_text(value) not in choices[name]:
            yield Finding(here, f'"{value}" is not a {name}', f"one of {', '.join(choices[name])}")


def _subscription(item: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    protocol, endpoint = as_text(item.get("protocol")), item.get("endpoint")
    for name in ("protocol", "endpoint"):
        if not is_given(item.get(name)):
            hint = "{protocol: email, endpoint: ops@example.com}"
            yield Finding(path, f"the subscription has no {name}", hint, code=codes.MISSING_FIELD)
    if protocol and protocol not in ENDPOINTS:
        meant = near(protocol, ENDPOINTS)
        hint = f'did you mean "{meant}"?' if meant else f"one of {', '.join(ENDPOINTS)}"
        yield Finding((*path, "protocol"), f'"{protocol}" is not an SNS protocol', hint)
    elif protocol and isinstance(endpoint, str) and endpoint:
        form, hint = ENDPOINTS[protocol]
        if not form.fullmatch(endpoint):
            yield Finding((*path, "endpoint"), f'"{endpoint}" is not a valid endpoint for {protocol}', hint)
    attributes = mapping(item.get("attributes"))
    yield from _attributes(attributes, (*path, "attributes"), tuple(subs.DEFAULTS), OF_SUBSCRIPTIONS, "a subscription")
    raw = attributes.get("RawMessageDelivery")
    if protocol in NOT_RAW and known(raw) and subs.as_text(raw) == "true":
        hint = "remove it: only sqs, http, https and firehose support it"
        yield Finding(
            (*path, "attributes", "RawMessageDelivery"), f"{protocol} does not support raw message delivery", hint
        )
    if protocol == "firehose" and not is_given(attributes.get("SubscriptionRoleArn")):
        hint = "attributes: {SubscriptionRoleArn: ...}"
        yield Finding(path, "a firehose subscription needs SubscriptionRoleArn", hint, code=codes.MISSING_FIELD)
