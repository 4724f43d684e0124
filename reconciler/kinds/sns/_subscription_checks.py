"""What SNS refuses in a declared subscription, as far as this can be decided offline: its endpoint and its attributes.

https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html
https://docs.aws.amazon.com/sns/latest/dg/sns-configure-dead-letter-queue.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.common.declared import as_text, mapping
from reconciler.kinds.common.json_text import from_json
from reconciler.kinds.common.policy_document.document import why_unparsed
from reconciler.kinds.sns import _subscriptions as subs
from reconciler.model import Finding, Path, Template
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.stand_ins import known

MAX_KEYS, MAX_COMBINATIONS = 5, 150
QUEUE = regex(r"arn:[^:]+:sqs:[^:]+:\d{12}:[^:]+")


def findings(item: Mapping[str, Any], path: Path, *, fifo: bool) -> Iterator[Finding]:
    """Findings about a subscription at ``path``; ``fifo``: its topic is a FIFO topic."""
    protocol, endpoint = item.get("protocol"), as_text(item.get("endpoint")) or ""
    if protocol == "sqs" and endpoint.endswith(".fifo") and not fifo:
        hint = "use a standard queue, or a FIFO topic"
        yield Finding((*path, "endpoint"), "a FIFO queue cannot subscribe to a standard topic", hint)
    here: Path = (*path, "attributes")
    attributes = mapping(item.get("attributes"))
    for name in subs.JSON:
        if why := why_not_json(attributes.get(name)):
            yield Finding((*here, name), f"invalid JSON in {name}: {why}", "write a mapping, or JSON text")
    yield from _filter(attributes, here)
    yield from _redrive(attributes.get("RedrivePolicy"), (*here, "RedrivePolicy"))
    if attributes.get("DeliveryPolicy") and isinstance(protocol, str) and protocol not in ("http", "https"):
        message = "DeliveryPolicy only has an effect on http and https endpoints"
        yield Finding((*here, "DeliveryPolicy"), message, "remove it", code=codes.NOT_APPLICABLE, warning=True)


def why_not_json(text: Any) -> str:
    """Why ``text`` is not JSON; empty if it is, or is no text."""
    if not isinstance(text, str) or not text.strip():
        return ""
    try:
        from_json(text)
    except ValueError:
        return why_unparsed(text)
    return ""


def _document(value: Any) -> Mapping[Any, Any] | None:
    """A declared JSON object, in either form; None if it is none, or is not known yet."""
    if isinstance(value, str):
        try:
            value = from_json(value)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) else None


def _filter(attributes: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    policy, scope = _document(attributes.get("FilterPolicy")), attributes.get("FilterPolicyScope", "MessageAttributes")
    here: Path = (*path, "FilterPolicy")
    if not policy:
        return
    if len(policy) > MAX_KEYS:
        yield Finding(here, f"the filter policy has {len(policy)} keys; at most {MAX_KEYS}", "remove some")
    written = isinstance(attributes["FilterPolicy"], Mapping)  # only then do its members have places
    for names, value in _leaves(policy, ()):
        at: Path = (*here, *names) if written else here
        if not isinstance(value, list | tuple | Template):
            hint = f"{names[-1]}: [...]"
            yield Finding(at, f"{names[-1]} must be a list of the values that match", hint, code=codes.WRONG_TYPE)
    nested = next((name for name, value in policy.items() if isinstance(value, Mapping)), None)
    if nested is not None and scope == "MessageAttributes":
        message = f"{nested} is nested, and the scope MessageAttributes has no nested keys"
        yield Finding(here, message, "add FilterPolicyScope: MessageBody")
    if (found := _combinations(policy)) > MAX_COMBINATIONS:
        message = f"the filter policy has {found} combinations of values; at most {MAX_COMBINATIONS}"
        yield Finding(here, message, "list fewer values, or use prefix or anything-but", code=codes.OUT_OF_RANGE)


def _leaves(policy: Mapping[Any, Any], names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in policy.items():
        here = (*names, str(name))
        if isinstance(value, Mapping):
            yield from _leaves(value, here)
        else:
            yield here, value


def _combinations(policy: Mapping[Any, Any]) -> int:
    """The number of values of every key, each times its depth, multiplied."""
    found = 1
    for names, value in _leaves(policy, ()):
        found *= max(1, len(value)) * len(names) if isinstance(value, list | tuple) else 1
    return found


def _redrive(value: Any, path: Path) -> Iterator[Finding]:
    policy = _document(value)
    if not policy:
        return
    queue = policy.get("deadLetterTargetArn")
    hint = "RedrivePolicy: {deadLetterTargetArn: the ARN of a queue}"
    if queue is None:
        yield Finding(path, "RedrivePolicy needs deadLetterTargetArn", hint, code=codes.MISSING_FIELD)
    elif isinstance(queue, str) and known(queue) and not QUEUE.fullmatch(queue):
        place: Path = (*path, "deadLetterTargetArn") if isinstance(value, Mapping) else path
        yield Finding(place, f'"{queue}" is not the ARN of a queue', hint)
