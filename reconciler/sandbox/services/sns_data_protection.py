"""SNS: data protection policies of standard topics, which moto does not have.

https://docs.aws.amazon.com/sns/latest/api/API_GetDataProtectionPolicy.html
https://docs.aws.amazon.com/sns/latest/api/API_PutDataProtectionPolicy.html
"""

from __future__ import annotations

import json
from typing import Any

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("sns")

_KEPT = "sandbox_data_protection"
_MAX = 30_720


@RULES.before("CreateTopic")
def policies_of_new_topics_are_checked(call: ServiceCall) -> None:
    """A new topic may come with its policy."""
    text = call.params.get("DataProtectionPolicy")
    if text:
        fifo = str((call.params.get("Attributes") or {}).get("FifoTopic", "")).lower() == "true"
        _check(text, fifo=fifo)


@RULES.after("CreateTopic")
def policies_of_new_topics_are_kept(call: ServiceCall, result: Json) -> None:
    """The policy is kept with the topic."""
    text = call.params.get("DataProtectionPolicy")
    topic = call.backend.topics.get(result["TopicArn"])
    if text and topic is not None:
        topic.__dict__[_KEPT] = text


@RULES.before("PutDataProtectionPolicy")
def policies_are_put(call: ServiceCall) -> Json:
    """A policy is set; an empty text removes it."""
    topic = _topic(call)
    text = call.params.get("DataProtectionPolicy", "")
    if text:
        _check(text, fifo=str(topic.fifo_topic).lower() == "true")
    topic.__dict__[_KEPT] = text
    call.touch()
    return {}


@RULES.before("GetDataProtectionPolicy")
def policies_are_shown(call: ServiceCall) -> Json:
    """The text as it was put; empty for a topic without one."""
    return {"DataProtectionPolicy": _topic(call).__dict__.get(_KEPT, "")}


def _topic(call: ServiceCall) -> Any:
    found = call.backend.topics.get(call.params["ResourceArn"])
    if found is None:
        raise Refusal("NotFound", "Topic does not exist", 404)
    return found


def _check(text: str, *, fifo: bool) -> None:
    if fifo:
        raise Refusal("InvalidParameter", "Invalid parameter: DataProtectionPolicy is not supported on FIFO topics")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict) or len(text) > _MAX:
        raise Refusal("InvalidParameter", "Invalid parameter: DataProtectionPolicy")
