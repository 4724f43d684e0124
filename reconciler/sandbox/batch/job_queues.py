"""Job queues, and their relationship with compute environments, which outlives them for a while.

Source: https://docs.aws.amazon.com/batch/latest/userguide/job_queues.html and the API pages of the four operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reconciler.sandbox.batch import paging, running, tags
from reconciler.sandbox.batch.compute_resources import on_fargate
from reconciler.sandbox.batch.instance_types import architecture
from reconciler.sandbox.batch.messages import (
    ATTACH,
    DELETE_BUSY,
    UPDATE_BUSY,
    Invalid,
    delete_enabled,
    missing,
    refusal,
)
from reconciler.sandbox.batch.store import Json, Row, Store
from reconciler.sandbox.batch.validate import between, name

HEALTHY = "JobQueue Healthy"
SAGEMAKER = "SAGEMAKER_TRAINING"


def create(store: Store, given: Json) -> Json:
    """CreateJobQueue: CREATING, then VALID."""
    name(given["jobQueueName"], "Job Queue")
    sagemaker = given.get("jobQueueType") == SAGEMAKER
    _check_priority(given["priority"])
    _check_kind(given, sagemaker=sagemaker)
    policy = given.get("schedulingPolicyArn")
    if policy:
        _check_policy(store, policy, sagemaker=sagemaker)
    props: Json = {
        "priority": given["priority"],
        "computeEnvironmentOrder": [],
        "jobStateTimeLimitActions": _actions(given.get("jobStateTimeLimitActions", []), sagemaker=sagemaker),
    }
    if sagemaker:
        props["serviceEnvironmentOrder"] = _services(store, given["serviceEnvironmentOrder"])
    else:
        order, kind = _environments(store, given["computeEnvironmentOrder"], held=())
        props["computeEnvironmentOrder"] = order
        _check_type(given.get("jobQueueType"), kind)
        if store.settings.queue_type_derived:
            props["jobQueueType"] = kind
    for member in ("jobQueueType", "schedulingPolicyArn"):
        if given.get(member):
            props[member] = given[member]
    first_tags = tags.checked(given.get("tags"))
    most = store.settings.queues_most
    if sum(not row.gone for row in store.queues) >= most:
        raise refusal(f"The limit of {most} job queues is reached.")
    row = store.queues.add(given["jobQueueName"], props, first_tags)
    row.state = given.get("state", "ENABLED")
    _change(store, row, "CREATING", store.settings.queue_create)
    return _named(row)


def describe(store: Store, given: Json) -> Json:
    """DescribeJobQueues."""
    rows, token = paging.describe(store, store.queues, given, "jobQueues")
    return paging.reply("jobQueues", [_detail(row) for row in rows], token)


def update(store: Store, given: Json) -> Json:
    """UpdateJobQueue: refused while another change is in progress."""
    row = store.queues.need(given["jobQueue"])
    if row.busy:
        raise refusal(UPDATE_BUSY)
    sagemaker = row.props.get("jobQueueType") == SAGEMAKER
    changed: Json = {}
    if "priority" in given:
        _check_priority(given["priority"])
        changed["priority"] = given["priority"]
    if "computeEnvironmentOrder" in given:
        if sagemaker:
            raise Invalid("computeEnvironmentOrder is not applicable for job queues of type SAGEMAKER_TRAINING.")
        held = [item["computeEnvironment"] for item in row.props["computeEnvironmentOrder"]]
        order, kind = _environments(store, given["computeEnvironmentOrder"], held=held)
        _check_type(row.props.get("jobQueueType"), kind)
        changed["computeEnvironmentOrder"] = order
    if "serviceEnvironmentOrder" in given:
        if not sagemaker:
            raise Invalid("serviceEnvironmentOrder is only applicable for job queues of type SAGEMAKER_TRAINING.")
        changed["serviceEnvironmentOrder"] = _services(store, given["serviceEnvironmentOrder"])
    if "jobStateTimeLimitActions" in given:
        changed["jobStateTimeLimitActions"] = _actions(given["jobStateTimeLimitActions"], sagemaker=sagemaker)
    if "schedulingPolicyArn" in given:
        _check_policy_change(store, row, given["schedulingPolicyArn"], sagemaker=sagemaker)
        changed["schedulingPolicyArn"] = given["schedulingPolicyArn"]

    if "computeEnvironmentOrder" in changed:
        _release(store, row, kept=changed["computeEnvironmentOrder"])
    row.props.update({key: value for key, value in changed.items() if value != ""})
    row.state = given.get("state", row.state)
    _change(store, row, "UPDATING", store.settings.queue_update)
    return _named(row)


def delete(store: Store, given: Json) -> Json:
    """DeleteJobQueue: only DISABLED; its jobs are ended."""
    row = store.queues.find(given["jobQueue"])
    if row is None:
        if store.settings.unknown_delete == "ok":
            return {}
        raise missing(store.queues.arn(given["jobQueue"]))
    if row.busy:
        raise refusal(DELETE_BUSY)
    if row.state != "DISABLED":
        raise delete_enabled("job queue")
    row.status, row.reason = "DELETING", ""
    running.stop_queue(store, row)
    store.after(store.settings.queue_delete, lambda: _deleted(store, row))
    return {}


def _check_priority(priority: int) -> None:
    between(priority, 0, 1000, "Job Queue priority must be between 0 and 1000.")


def _check_kind(given: Json, *, sagemaker: bool) -> None:
    services, environments = given.get("serviceEnvironmentOrder"), given.get("computeEnvironmentOrder")
    if services and environments:
        raise Invalid("Only one of computeEnvironmentOrder and serviceEnvironmentOrder can be specified.")
    if sagemaker:
        if not services:
            raise Invalid("Job queues of type SAGEMAKER_TRAINING must have serviceEnvironmentOrder.")
        return
    if services:
        given_type = given.get("jobQueueType", "ECS")
        raise Invalid(
            f"The jobQueueType provided is {given_type}, which is incompatible with the provided "
            "serviceEnvironmentOrder."
        )
    if not environments:
        raise Invalid("computeEnvironmentOrder is required.")


def _environments(store: Store, given: Sequence[Json], *, held: Sequence[str]) -> tuple[list[Json], str]:
    """The order with ARNs, and the resulting type of queue; environments already in use (`held`) need not be VALID."""
    if not given:
        raise Invalid("computeEnvironmentOrder is required.")
    if len(given) > 3:
        raise Invalid("Only 3 environments are allowed in job queue request.")
    if len({item["order"] for item in given}) < len(given):
        raise Invalid("Duplicate ComputeEnvironment order values.")
    arns = [store.environments.arn(item["computeEnvironment"]) for item in given]
    if len(set(arns)) < len(arns):
        raise Invalid("Duplicate ComputeEnvironments within order list.")
    rows = [store.environments.find(arn) for arn in arns]
    found = [row for row in rows if row is not None and (row.status == "VALID" or row.arn in held)]
    if len(found) < len(rows):
        raise refusal(ATTACH)
    order = [{**item, "computeEnvironment": row.arn} for item, row in zip(given, found, strict=True)]
    return order, _check_mixing(found)


def _check_mixing(rows: Sequence[Row]) -> str:
    kinds = {_queue_type(row) for row in rows}
    if len(kinds) == 1:
        architectures = {
            architecture(one) for row in rows for one in row.props.get("computeResources", {}).get("instanceTypes", [])
        }
        if len(architectures) > 1:
            raise Invalid("Compute environments of different architectures can not be mixed.")
        return kinds.pop()
    if kinds == {"ECS", "ECS_FARGATE"}:
        raise Invalid("Fargate and EC2 compute environments can not be mixed.")
    if "EKS" in kinds:
        raise Invalid("EKS job queue type must have EKS compute environment.")
    raise Invalid("Compute environments of different types can not be mixed.")


def _queue_type(row: Row) -> str:
    resources: Json = row.props.get("computeResources", {})
    if "eksConfiguration" in row.props:
        return "EKS"
    if resources.get("type") == "ECS_MANAGED_INSTANCES":
        return "ECS_MANAGED_INSTANCES"
    return "ECS_FARGATE" if on_fargate(resources) else "ECS"


def _check_type(given: str | None, found: str) -> None:
    if given is None or given == found:
        return
    if given == "EKS":
        raise Invalid("EKS job queue type must have EKS compute environment.")
    raise Invalid(
        f"The jobQueueType provided is {given}, which is incompatible with the provided computeEnvironmentOrder."
    )


def _services(store: Store, given: Sequence[Json]) -> list[Json]:
    if not given:
        raise Invalid("Job queues of type SAGEMAKER_TRAINING must have serviceEnvironmentOrder.")
    if len(given) > 1:
        raise Invalid("Job queue can only have 1 service environment.")
    row = store.services.find(given[0]["serviceEnvironment"])
    if row is None or row.status != "VALID":
        raise refusal("Service Environments must be created and valid before attaching them to a job queue")
    return [{**given[0], "serviceEnvironment": row.arn}]


def _actions(given: Sequence[Json], *, sagemaker: bool) -> list[Json]:
    allowed = "TERMINATE" if sagemaker else "CANCEL"
    actions = [{**one, "action": one["action"].upper()} for one in given]
    for one in actions:
        if one["action"] != allowed:
            raise Invalid(f"Invalid job action. Valid job actions: [{allowed}]")
        between(one["maxTimeSeconds"], 600, 86400, "maxTimeSeconds must be between 600 and 86400.")
    kinds = {(one["state"], one["reason"]) for one in actions}
    if len(kinds) < len(actions):
        raise Invalid("Duplicate job state limit actions are not allowed.")
    return actions


def _check_policy(store: Store, arn: str, *, sagemaker: bool) -> None:
    if not arn.startswith("arn:") or ":scheduling-policy/" not in arn:
        raise Invalid("Only scheduling policy Arn can be allowed.")
    row = store.policies.find(arn)
    if row is None:
        raise Invalid(f"SchedulingPolicy {arn} not found.")
    if "quotaSharePolicy" in row.props and not sagemaker:
        raise Invalid("Quota Management feature is only supported for SageMaker Training job queues.")


def _check_policy_change(store: Store, row: Row, arn: str, *, sagemaker: bool) -> None:
    before: str | None = row.props.get("schedulingPolicyArn")
    if before is None and arn:
        raise Invalid("A scheduling policy cannot be added to a job queue that was created without one.")
    if before is not None and not arn:
        raise Invalid("The scheduling policy of a job queue can be replaced but not removed.")
    if arn:
        _check_policy(store, arn, sagemaker=sagemaker)


def _release(store: Store, row: Row, *, kept: Sequence[Any]) -> None:
    """The deletion of environments that are no longer used is still refused for a while; no queue shows why."""
    still = {item["computeEnvironment"] for item in kept}
    for item in row.props["computeEnvironmentOrder"]:
        arn = item["computeEnvironment"]
        if arn not in still:
            until = store.now + store.settings.relationship_lag
            store.released[arn] = max(until, store.released.get(arn, 0))


def _change(store: Store, row: Row, status: str, seconds: float) -> None:
    row.status, row.reason = status, ""
    store.after(seconds, lambda: _settled(store, row))


def _settled(store: Store, row: Row) -> None:
    row.status, row.reason = "VALID", HEALTHY
    running.kick(store)


def _deleted(store: Store, row: Row) -> None:
    _release(store, row, kept=())
    for share in store.shares:
        if share.props["jobQueueArn"] == row.arn:
            store.shares.drop(share)
    row.reason = ""
    store.queues.linger(row)


def _named(row: Row) -> Json:
    return {"jobQueueName": row.name, "jobQueueArn": row.arn}


def _detail(row: Row) -> Json:
    return {
        **_named(row),
        **row.props,
        "tags": row.tags,
        "state": row.state,
        "status": row.status,
        **({"statusReason": row.reason} if row.reason else {}),
    }
