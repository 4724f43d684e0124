"""Data protection policies of SNS topics.

Each is read by a call of its own, for standard topics alone: FIFO topics cannot have one. An empty text removes it.
Since April 2026 only accounts that had one before can have them.

https://docs.aws.amazon.com/sns/latest/api/API_GetDataProtectionPolicy.html
https://docs.aws.amazon.com/sns/latest/dg/sns-message-data-protection-availability-change.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.kinds.common.replies import ok
from reconciler.kinds.sns._subscriptions import ABSENT, BUSY
from reconciler.model import Call, Json, JsonText, Live, Refused, Reply

READ = "GetDataProtectionPolicy"
DENIED = "denied"
# where SNS does not have them
UNSUPPORTED = "InvalidParameter"
NOT_READ = "data_protection_not_read"


def read_call(arn: str) -> Call:
    """The call that returns the policy of a topic."""
    return Call("sns", READ, {"ResourceArn": arn})


def calls_if_not_declared(topics: Mapping[str, Mapping[str, Json]]) -> dict[str, Call]:
    """The calls, by name, for the policies of topics that may have one although none is declared.

    ``topics`` are the replies about each topic by operation.
    """
    attributes = {name: parts["GetTopicAttributes"]["Attributes"] for name, parts in topics.items()}
    rest = [name for name in topics if READ not in topics[name] and attributes[name].get("FifoTopic") != "true"]
    return {name: read_call(attributes[name]["TopicArn"]) for name in rest}


def if_not_declared(call: Call, reply: Reply) -> Json:
    """The reply about a policy that is not declared; who may not read it plans without it. Raises Unreadable."""
    if isinstance(reply, Refused) and reply.denied:
        return {DENIED: True}
    return ok(call, reply, *ABSENT, UNSUPPORTED) or {}


def not_read(reply: Json) -> Json:
    """What a live topic keeps in ``extra`` about a policy that could not be read."""
    return {NOT_READ: True} if reply.get(DENIED) else {}


def notes(live: Live) -> Iterable[str]:
    """A note if the policy could not be read."""
    if live.extra.get(NOT_READ):
        yield f"sns:{READ} was denied: an undeclared data protection policy is not removed; allow sns:{READ}"


def put_call(arn: str, declared: Any) -> Call:
    """The call that sets the policy, or removes it if none is declared."""
    params = {"ResourceArn": arn, "DataProtectionPolicy": JsonText(declared) if declared else ""}
    return Call("sns", "PutDataProtectionPolicy", params, retry_on=BUSY)
