"""Scheduling policies: no status, effective at once, and not deleted while a queue uses them.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_FairsharePolicy.html
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.patterns import regex
from reconciler.sandbox.batch import paging, tags
from reconciler.sandbox.batch.messages import Invalid, missing, refusal
from reconciler.sandbox.batch.store import Json, Row, Store
from reconciler.sandbox.batch.validate import between, name

_IDENTIFIER = regex(r"[0-9A-Za-z_-]+")
KINDS = ("fairsharePolicy", "quotaSharePolicy")


def create(store: Store, given: Json) -> Json:
    """CreateSchedulingPolicy."""
    name(given["name"], "Scheduling policy")
    row = store.policies.add(given["name"], _checked(given), tags.checked(given.get("tags")))
    return {"name": row.name, "arn": row.arn}


def describe(store: Store, given: Json) -> Json:
    """DescribeSchedulingPolicies, by ARN."""
    arns = given["arns"]
    paging.limit_names(arns, "arns")
    found = (store.policies.find(_policy_arn(arn)) for arn in dict.fromkeys(arns))
    rows = paging.in_order(store, (row for row in found if row is not None))
    return {"schedulingPolicies": [{"name": row.name, "arn": row.arn, **row.props, "tags": row.tags} for row in rows]}


def list_all(store: Store, given: Json) -> Json:
    """ListSchedulingPolicies."""
    rows, token = paging.page(store, list(store.policies), given)
    return paging.reply("schedulingPolicies", [{"arn": row.arn} for row in rows], token)


def update(store: Store, given: Json) -> Json:
    """UpdateSchedulingPolicy: replaces the whole policy; its kind cannot be changed."""
    row = store.policies.need(_policy_arn(given["arn"]))
    after = _checked(given)
    if after and row.props and set(after) != {kind for kind in KINDS if kind in row.props}:
        raise Invalid("The kind of a scheduling policy cannot be changed.")
    row.props.update(after)
    return {}


def delete(store: Store, given: Json) -> Json:
    """DeleteSchedulingPolicy: refused while a queue uses the policy."""
    arn = _policy_arn(given["arn"])
    row = store.policies.find(arn)
    if row is None:
        if store.settings.unknown_delete == "ok":
            return {}
        raise missing(arn)
    if _users(store, row):
        raise refusal("Cannot delete, found existing JobQueue relationship with the scheduling policy")
    store.policies.drop(row)
    return {}


def _policy_arn(arn: str) -> str:
    if not arn.startswith("arn:"):
        raise Invalid("Only scheduling policy Arn can be allowed.")
    return arn


def _users(store: Store, row: Row) -> list[Row]:
    return [queue for queue in store.queues if not queue.gone and queue.props.get("schedulingPolicyArn") == row.arn]


def _checked(given: Json) -> Json:
    kinds = {kind: given[kind] for kind in KINDS if kind in given}
    if len(kinds) > 1:
        raise Invalid("A scheduling policy can have either fairsharePolicy or quotaSharePolicy")
    fair = kinds.get("fairsharePolicy")
    if fair is not None:
        between(fair.get("shareDecaySeconds", 0), 0, 604800, "shareDecaySeconds must be between 0 and 604800.")
        between(fair.get("computeReservation", 0), 0, 99, "computeReservation must be between 0 and 99.")
        _check_distribution(fair.get("shareDistribution", []))
    return kinds


def _check_distribution(shares: Sequence[Json]) -> None:
    if len(shares) > 500:
        raise Invalid("A maximum of 500 share identifiers is supported.")
    for share in shares:
        identifier = share["shareIdentifier"].removesuffix("*")
        if len(share["shareIdentifier"]) > 255 or not _IDENTIFIER.fullmatch(identifier):
            raise Invalid("ShareIdentifier name should match a valid pattern.")
        between(share.get("weightFactor", 1.0), 0.0001, 999.9999, "weightFactor must be between 0.0001 and 999.9999.")
    identifiers = [share["shareIdentifier"] for share in shares]
    for index, one in enumerate(identifiers):
        for other in identifiers[index + 1 :]:
            if _overlap(one, other):
                raise Invalid(f"shareIdentifiers {one} and {other} overlap.")


def _overlap(one: str, other: str) -> bool:
    if one.endswith("*") and other.endswith("*"):
        return one[:-1].startswith(other[:-1]) or other[:-1].startswith(one[:-1])
    if one.endswith("*"):
        return other.startswith(one[:-1])
    if other.endswith("*"):
        return one.startswith(other[:-1])
    return one == other
