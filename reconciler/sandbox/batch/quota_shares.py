"""Quota shares: parts of the capacity of a SageMaker queue whose policy is a quota-share policy.

Source: https://docs.aws.amazon.com/batch/latest/userguide/quota-management.html
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.sandbox.batch import paging, tags
from reconciler.sandbox.batch.messages import DELETE_BUSY, UPDATE_BUSY, Invalid, delete_enabled, missing, refusal
from reconciler.sandbox.batch.store import Json, Row, Store
from reconciler.sandbox.batch.validate import name

LIMIT = 20
MEMBERS = ("capacityLimits", "resourceSharingConfiguration", "preemptionConfiguration")


def create(store: Store, given: Json) -> Json:
    """CreateQuotaShare, for a VALID queue with a quota-share policy."""
    name(given["quotaShareName"], "Quota share")
    queue = store.queues.need(given["jobQueue"])
    if queue.status != "VALID":
        raise refusal("The job queue must be VALID before it can be associated with a quota share.")
    if not _managed(store, queue):
        raise refusal("The job queue does not have a quota share scheduling policy.")
    props = {"jobQueueArn": queue.arn, **_checked(given)}
    first_tags = tags.checked(given.get("tags"))
    if len(_of(store, queue)) >= LIMIT:
        raise refusal(f"The limit of {LIMIT} quota shares of a job queue is reached.")
    arn = f"{queue.arn}/quota-share/{given['quotaShareName']}"
    row = store.shares.add(given["quotaShareName"], props, first_tags, arn=arn)
    row.state = given.get("state", "ENABLED")
    _change(store, row, "CREATING")
    return _named(row)


def describe(store: Store, given: Json) -> Json:
    """DescribeQuotaShare."""
    row = _need(store, given["quotaShareArn"])
    return {**_detail(row), "tags": row.tags}


def list_all(store: Store, given: Json) -> Json:
    """ListQuotaShares of a queue."""
    rows, token = paging.page(store, _of(store, store.queues.need(given["jobQueue"])), given)
    return paging.reply("quotaShares", [_detail(row) for row in rows], token)


def update(store: Store, given: Json) -> Json:
    """UpdateQuotaShare: refused while another change is in progress."""
    row = _need(store, given["quotaShareArn"])
    if row.busy:
        raise refusal(UPDATE_BUSY)
    row.props.update(_checked({**row.props, **given}))
    row.state = given.get("state", row.state)
    _change(store, row, "UPDATING")
    return _named(row)


def delete(store: Store, given: Json) -> Json:
    """DeleteQuotaShare: only DISABLED."""
    row = store.shares.find(given["quotaShareArn"])
    if row is None:
        if store.settings.unknown_delete == "ok":
            return {}
        raise missing(given["quotaShareArn"])
    if row.busy:
        raise refusal(DELETE_BUSY)
    if row.state != "DISABLED":
        raise delete_enabled("quota share")
    row.status = "DELETING"
    store.after(store.settings.quota_share, lambda: store.shares.drop(row))
    return {}


def _need(store: Store, arn: str) -> Row:
    if ":job-queue/" not in arn or "/quota-share/" not in arn:
        raise Invalid("quotaShareArn should match a valid pattern.")
    return store.shares.need(arn)


def _of(store: Store, queue: Row) -> list[Row]:
    return [row for row in store.shares if row.props["jobQueueArn"] == queue.arn]


def _managed(store: Store, queue: Row) -> bool:
    arn = queue.props.get("schedulingPolicyArn")
    policy = store.policies.find(arn) if arn else None
    return policy is not None and "quotaSharePolicy" in policy.props


def _checked(given: Json) -> Json:
    limits: Sequence[Json] = given["capacityLimits"]
    if not limits:
        raise Invalid("capacityLimits should have at least one entry.")
    if any(limit["maxCapacity"] < 1 for limit in limits):
        raise Invalid("maxCapacity must be at least 1.")
    if len({limit["capacityUnit"] for limit in limits}) < len(limits):
        raise Invalid("Duplicate capacityUnit in capacityLimits.")
    sharing = dict(given["resourceSharingConfiguration"])
    if sharing["strategy"] == "LEND_AND_BORROW":
        sharing.setdefault("borrowLimit", -1)
        if sharing["borrowLimit"] < -1:
            raise Invalid("borrowLimit must be at least -1.")
    elif "borrowLimit" in sharing:
        raise Invalid("borrowLimit can only be applied to quota shares with a strategy of LEND_AND_BORROW.")
    return {**{member: given[member] for member in MEMBERS}, "resourceSharingConfiguration": sharing}


def _change(store: Store, row: Row, status: str) -> None:
    row.status = status
    store.after(store.settings.quota_share, lambda: _settled(row))


def _settled(row: Row) -> None:
    row.status = "VALID"


def _named(row: Row) -> Json:
    return {"quotaShareName": row.name, "quotaShareArn": row.arn}


def _detail(row: Row) -> Json:
    return {**_named(row), **row.props, "state": row.state, "status": row.status}
