"""Moto's objects that the sandbox makes or changes itself: lines of logs, messages of topics, queues of SQS, reasons of
instances.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.backends import get_backend
from moto.core.exceptions import ServiceException
from moto.logs.models import LogEvent
from moto.sns.models import Subscription

from reconciler.sandbox.services._moto_data import StateReason

REFUSED = ServiceException
"""What moto's objects raise where a service refuses a request."""
_by_moto = Subscription.publish


def log_event(millis: int, text: str) -> Any:
    """A line that is written and ingested at the same time."""
    return LogEvent(millis, {"timestamp": millis, "message": text})


def ended(instance: Any, at: float, *, reclaimed: bool = False) -> None:
    """Write into an instance that has ended who ended it: EC2, if it is ``reclaimed``, or a call of the API."""
    who = "Service" if reclaimed else "User"
    instance._reason = f"{who} initiated ({datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} GMT)"  # noqa: SLF001
    if reclaimed:
        code = "Server.SpotInstanceTermination"
        instance.state_reason = StateReason(f"{code}: Spot instance termination", code)


def queues(account: str, region: str) -> Any:
    """The backend of SQS."""
    return get_backend("sqs")[account][region]


def keep_messages(keep: Callable[[Any, str, str | None], None]) -> None:
    """Have subscriptions give messages to ``keep``, with their subject, except those to queues.

    Moto would send them over the network, or drop them.
    """

    def publish(subscription: Any, message: str, *args: Any, **more: Any) -> None:
        if subscription.protocol == "sqs":
            _by_moto(subscription, message, *args, **more)
            return
        matcher = subscription._filter_policy_matcher  # noqa: SLF001  moto's only place for it
        if matcher is not None and not matcher.matches(more.get("message_attributes"), message):
            return
        if more.get("message_structure") == "json":
            message = subscription._parse_message_structure(message, subscription.protocol)  # noqa: SLF001
        keep(subscription, message, more.get("subject"))

    setattr(Subscription, "publish", publish)  # noqa: B010  mypy refuses an assignment
