"""The one place where requests are authorized: what is not allowed is refused, as the service words it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from reconciler.sandbox.faults import DENIALS, DENIED_ELSEWHERE
from reconciler.sandbox.iam import reference
from reconciler.sandbox.iam.evaluation import Decision, Effect, Policies, Request, evaluate
from reconciler.sandbox.iam.existing import Existing
from reconciler.sandbox.iam.needs import Asked, Need, needs
from reconciler.sandbox.iam.principals import Session, context_of, policies_of
from reconciler.sandbox.wire import Refusal

# The protocols that send JSON with the error's name in it answer 400, all others 403.
_JSON = frozenset({"ecr", "ecs", "events", "kms", "logs", "secretsmanager", "ssm", "tagging"})
_WRITTEN = {"sns": "SNS"}
_LISTS = {
    "events:ListRules": "rule/*",
    "iam:ListInstanceProfiles": "instance-profile/",
    "iam:ListPolicies": "policy/",
    "iam:ListRoles": "role/",
    "logs:DescribeLogGroups": "log-group::log-stream:",
    "sns:ListTopics": "*",
}
"""What refusals name as the resource of actions that no ARN limits, and that have one in the messages of AWS."""


def authorize(session: Session, asked: Asked, existing: Existing, now: float) -> list[Need]:
    """What was checked for a request; ``now`` is in seconds since the epoch.

    Raises :class:`Refusal` unless the principal may send it.
    """
    if session.announced:
        return []
    policies = policies_of(session, existing)
    if policies is None:
        code = "InvalidClientTokenId" if asked.service in DENIALS else "UnrecognizedClientException"
        raise Refusal(code, "The security token included in the request is invalid.", _status(asked.service))
    everywhere = {**context_of(session, existing), **_surroundings(existing, now)}
    checked = needs(asked, existing)
    for need in checked:
        decision = evaluate(_request(need, policies, existing, everywhere), policies)
        if not decision.allowed:
            raise refusal(session, asked.service, need, decision, existing)
    return checked


def _request(need: Need, policies: Policies, existing: Existing, everywhere: Mapping[str, tuple[str, ...]]) -> Request:
    """The request with the keys that IAM has for this action and type; those of unknown actions are all there."""
    service = need.action.partition(":")[0]
    specific = dict(need.keys)
    if any(map(_asks_for_tags, (*policies.identity, policies.boundary or "", *(policies.session or ())))):
        for key, value in existing.tags(need.resources).items():
            specific |= {f"aws:ResourceTag/{key}": (value,), f"{service}:ResourceTag/{key}": (value,)}
    known = reference.keys(need.action, need.kind) if reference.of(need.action) else None
    context = {
        key.lower(): values
        for key, values in specific.items()
        if known is None or key.lower() in known or f"{key.lower().partition('/')[0]}/" in known
    }
    return Request(need.action, need.resources, {**{key.lower(): one for key, one in everywhere.items()}, **context})


def _surroundings(existing: Existing, now: float) -> dict[str, tuple[str, ...]]:
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "aws:CurrentTime": (moment,),
        "aws:EpochTime": (str(int(now)),),
        "aws:RequestedRegion": (existing.region,),
        "aws:SecureTransport": ("true",),
        "aws:SourceIp": ("127.0.0.1",),
        "aws:ViaAWSService": ("false",),
    }


@lru_cache(maxsize=512)
def _asks_for_tags(document: str) -> bool:
    return "resourcetag/" in document.lower()


def refusal(session: Session, service: str, need: Need, decision: Decision, existing: Existing) -> Refusal:
    """The refusal of a service for a need that its policies do not meet."""
    prefix, _, name = need.action.partition(":")
    action = f"{_WRITTEN.get(prefix, prefix)}:{name}"
    shown = need.shown or need.resources[0]
    if need.action in _LISTS:
        region = "" if prefix == "iam" else existing.region
        shown = f"arn:{existing.partition}:{prefix}:{region}:{existing.account.id}:{_LISTS[need.action]}"
    known = bool(need.shown) or shown != "*" or service in ("batch", "ecr", "iam")
    where = f" on resource: {shown}" if known else ""
    if decision.effect is Effect.EXPLICIT_DENY:
        article = "an" if decision.kind.startswith("identity") else "a"
        reason = f"with an explicit deny in {article} {decision.kind}"
    else:
        reason = f"because no {decision.kind} allows the {action} action"
    message = f"User: {session.arn} is not authorized to perform: {action}{where} {reason}"
    if service == "ec2":
        message = f"You are not authorized to perform this operation. {message}"
        if where:  # of writes; reads have no more to say
            encoded = base64.urlsafe_b64encode(f"{int(time.time())}:{message}".encode()).decode().rstrip("=")
            message = f"{message}. Encoded authorization failure message: {encoded}"
    return Refusal(DENIALS.get(service, DENIED_ELSEWHERE), message, _status(service))


def _status(service: str) -> int:
    return 400 if service in _JSON else 403
