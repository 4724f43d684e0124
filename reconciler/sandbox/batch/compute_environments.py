"""Compute environments: CREATING, UPDATING and DELETING take time, and a wrong role is only reported afterwards.

Source: https://docs.aws.amazon.com/batch/latest/userguide/compute_environments.html and the API pages of the four
operations.
"""

from __future__ import annotations

import math

from reconciler.model.patterns import regex
from reconciler.sandbox.batch import compute_images, compute_resources, health, hosts, paging, running, tags
from reconciler.sandbox.batch.compute_resources import on_fargate
from reconciler.sandbox.batch.messages import (
    DELETE_BUSY,
    DELETE_RELATED,
    UPDATE_BUSY,
    Invalid,
    delete_enabled,
    missing,
    refusal,
)
from reconciler.sandbox.batch.store import Json, Row, Store
from reconciler.sandbox.batch.validate import between, name

HEALTHY = "ComputeEnvironment Healthy"
_NAMESPACE = regex(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def create(store: Store, given: Json) -> Json:
    """CreateComputeEnvironment: CREATING, then VALID or INVALID."""
    name(given["computeEnvironmentName"], "Compute environment")
    if given.get("state") == "DISABLED":
        raise Invalid("Compute Environment must be created in ENABLED state.")
    eks = "eksConfiguration" in given
    if given["type"] == "MANAGED":
        _check_managed(given)
    else:
        _check_unmanaged(store, given)
    props: Json = {
        key: given[key]
        for key in ("type", "unmanagedvCpus", "eksConfiguration", "context", "ecsSettings")
        if key in given
    }
    if "computeResources" in given:
        props["computeResources"] = compute_resources.created(
            given["computeResources"], eks=eks, settings=store.settings
        )
    first_tags = tags.checked(given.get("tags"))
    most = store.settings.environments_most
    if sum(not row.gone for row in store.environments) >= most:
        raise refusal(f"The limit of {most} compute environments is reached.")
    row = store.environments.add(given["computeEnvironmentName"], props, first_tags)
    row.state = "ENABLED"
    props["serviceRole"] = _service_role(store, given.get("serviceRole"))
    props["uuid"] = store.new_id()
    props["containerOrchestrationType"] = "EKS" if eks else "ECS"
    if not eks:
        cluster = f"cluster/AWSBatch-{row.name}-{props['uuid']}"
        props["ecsClusterArn"] = f"arn:{store.partition}:ecs:{store.region}:{store.account}:{cluster}"
    compute_images.created(store, row)
    _change(store, row, "CREATING", store.settings.environment_create)
    return _named(row)


def describe(store: Store, given: Json) -> Json:
    """DescribeComputeEnvironments."""
    rows, token = paging.describe(store, store.environments, given, "computeEnvironments")
    return paging.reply("computeEnvironments", [_detail(store, row) for row in rows], token)


def update(store: Store, given: Json) -> Json:
    """UpdateComputeEnvironment: a scaling or an infrastructure update, refused while another change is in progress."""
    row = store.environments.need(given["computeEnvironment"])
    if row.busy:
        raise refusal(UPDATE_BUSY)
    before: Json = row.props.get("computeResources", {})
    role = _updated_role(store, row, given)
    resources = _updated_resources(store, row, given)
    if "unmanagedvCpus" in given and row.props["type"] == "MANAGED":
        raise Invalid("unmanagedvCpus is not applicable for managed Compute Environments")
    policy = _updated_policy(row, given)

    row.props["serviceRole"] = role
    if resources:
        row.props["computeResources"] = resources
    if policy:
        row.props["updatePolicy"] = policy
    for member in ("unmanagedvCpus", "context", "ecsSettings"):
        if member in given:
            row.props[member] = given[member]
    if "eksConfiguration" in given:
        row.props["eksConfiguration"] = {**row.props.get("eksConfiguration", {}), **given["eksConfiguration"]}
    row.state = given.get("state", row.state)
    new_instances = compute_resources.infrastructure_members(given.get("computeResources", {}), before)
    if new_instances:
        _replace_instances(store, row)
    settings = store.settings
    seconds = settings.environment_infrastructure if new_instances else settings.environment_scaling
    _change(store, row, "UPDATING", seconds)
    if new_instances:
        latest = bool(given["computeResources"].get("updateToLatestImageVersion"))
        store.after(seconds, lambda: compute_images.updated(store, row, latest=latest))
    return _named(row)


def _replace_instances(store: Store, row: Row) -> None:
    """Jobs on the old instances end at once, or after a time, according to the environment's update policy."""
    policy: Json = row.props.get("updatePolicy", {})
    if policy.get("terminateJobsOnUpdate"):
        running.lose_hosts(store, row)
    else:
        running.lose_hosts_later(store, row, 60.0 * policy.get("jobExecutionTimeoutMinutes", 30))


def delete(store: Store, given: Json) -> Json:
    """DeleteComputeEnvironment: only DISABLED, and not used by a queue."""
    row = store.environments.find(given["computeEnvironment"])
    if row is None:
        if store.settings.unknown_delete == "ok":
            return {}
        raise missing(store.environments.arn(given["computeEnvironment"]))
    if row.busy:
        raise refusal(DELETE_BUSY)
    if row.state != "DISABLED":
        raise delete_enabled("compute environment")
    if store.released.get(row.arn, 0) > store.now or any(_holds(queue, row) for queue in store.queues):
        raise refusal(DELETE_RELATED)
    row.status, row.reason = "DELETING", ""
    store.after(store.settings.environment_delete, lambda: _deleted(store, row))
    return {}


def scale(store: Store, row: Row, vcpus: int) -> None:
    """Set `desiredvCpus` as the service itself does for waiting jobs, within the limits."""
    resources: Json = row.props["computeResources"]
    resources["desiredvCpus"] = max(resources["minvCpus"], min(vcpus, resources["maxvCpus"]))
    _instances(store, row)


def _check_managed(given: Json) -> None:
    if "unmanagedvCpus" in given:
        raise Invalid("unmanagedvCpus is not applicable for managed Compute Environments")
    if "computeResources" not in given:
        raise Invalid("computeResources is required for managed Compute Environments.")
    namespace = given.get("eksConfiguration", {}).get("kubernetesNamespace")
    if namespace is None:
        return
    if on_fargate(given["computeResources"]):
        raise Invalid("eksConfiguration is not applicable for Fargate.")
    if namespace == "default":
        raise Invalid("kubernetesNamespace cannot be the default Kubernetes namespace")
    if namespace.startswith("kube-"):
        raise Invalid("kubernetesNamespace cannot be a reserved Kubernetes system namespace")
    if len(namespace) > 63 or not _NAMESPACE.fullmatch(namespace):
        raise Invalid("kubernetesNamespace should match a valid pattern.")


def _check_unmanaged(store: Store, given: Json) -> None:
    if "computeResources" in given:
        raise Invalid("computeResources is not applicable for unmanaged Compute Environments")
    if not given.get("serviceRole"):
        raise Invalid("ServiceRole is required.")
    if health.service_linked(_role_arn(store, given["serviceRole"])):
        raise Invalid("Service Linked Role cannot be used with UNMANAGED Compute Environment")


def _service_role(store: Store, given: str | None) -> str:
    if given:
        return _role_arn(store, given)
    return store.surroundings.ensure_service_linked_role(health.SERVICE)


def _role_arn(store: Store, name_or_arn: str) -> str:
    """A bare name counts as a role in path `/`."""
    return name_or_arn if name_or_arn.startswith("arn:") else store.iam_arn(f"role/{name_or_arn.lstrip('/')}")


def _updated_role(store: Store, row: Row, given: Json) -> str:
    before: str = row.props["serviceRole"]
    if not given.get("serviceRole"):
        return before
    after = _role_arn(store, given["serviceRole"])
    if health.service_linked(before) != health.service_linked(after):
        raise Invalid("Service role cannot be changed between a Batch Service Linked Role and another role.")
    return after


def _updated_resources(store: Store, row: Row, given: Json) -> Json:
    patch = given.get("computeResources")
    if patch is None:
        return {}
    if row.props["type"] == "UNMANAGED":
        raise Invalid("computeResources is not applicable for unmanaged Compute Environments")
    if not patch:
        raise Invalid("At least one compute-resources attribute must be specified")
    current: Json = row.props["computeResources"]
    eks = "eksConfiguration" in row.props
    if on_fargate(current):
        for member in compute_resources.NOT_FOR_FARGATE:
            if patch.get(member) not in (None, [], {}):
                raise Invalid(f"{member} is not applicable for Fargate.")
    fresh = compute_resources.infrastructure_members(patch, current)
    if fresh and not (on_fargate(current) and fresh == ["type"]):
        _check_infrastructure(row, fresh)
    after = compute_resources.updated(patch, current, eks=eks, settings=store.settings)
    idle = current.get("desiredvCpus") == current.get("minvCpus")
    if idle and "minvCpus" in patch and "desiredvCpus" not in patch:
        after["desiredvCpus"] = min(after["desiredvCpus"], after["minvCpus"])
    return after


def _check_infrastructure(row: Row, members: list[str]) -> None:
    resources: Json = row.props["computeResources"]
    if on_fargate(resources) or not health.service_linked(row.props["serviceRole"]):
        raise Invalid(
            f"Following fields {members} can be updated only for Non-fargate Compute Environment having a Batch "
            "Service Linked Role"
        )
    managed_instances = resources["type"] == "ECS_MANAGED_INSTANCES"
    if not managed_instances and resources.get("allocationStrategy", "BEST_FIT") == "BEST_FIT":
        raise Invalid(
            f"Following fields {members} can be updated only for Compute Environment whose allocation strategy is "
            "BEST_FIT_PROGRESSIVE, SPOT_CAPACITY_OPTIMIZED or SPOT_PRICE_CAPACITY_OPTIMIZED"
        )


def _updated_policy(row: Row, given: Json) -> Json:
    if "updatePolicy" not in given:
        return {}
    policy: Json = {
        "terminateJobsOnUpdate": False,
        "jobExecutionTimeoutMinutes": 30,
        **row.props.get("updatePolicy", {}),
        **given["updatePolicy"],
    }
    between(policy["jobExecutionTimeoutMinutes"], 1, 7200, "jobExecutionTimeoutMinutes must be between 1 and 7200.")
    return policy


def _change(store: Store, row: Row, status: str, seconds: float) -> None:
    """CREATING or UPDATING: the roles are used early, the result is shown at the end."""
    row.status, row.reason = status, ""
    verdict: list[str | None] = []
    if store.settings.role_check <= 0:
        verdict.append(health.fault(store, row))
    else:
        store.after(min(store.settings.role_check, seconds), lambda: verdict.append(health.fault(store, row)))
    store.after(seconds, lambda: _settled(store, row, verdict[0]))


def _settled(store: Store, row: Row, reason: str | None) -> None:
    row.status = "INVALID" if reason else "VALID"
    row.reason = reason or HEALTHY
    resources: Json = row.props.get("computeResources", {})
    if reason is None and "minvCpus" in resources:
        if row.state == "DISABLED":  # idle instances are terminated
            resources["desiredvCpus"] = max(resources["minvCpus"], math.ceil(store.used.get(row.arn, 0)))
        resources["desiredvCpus"] = max(resources["minvCpus"], min(resources["desiredvCpus"], resources["maxvCpus"]))
        store.after(store.settings.instances_launch, lambda: _instances(store, row))
    running.kick(store)


def _instances(store: Store, row: Row) -> None:
    """While the environment is DISABLED, running instances are kept, down to `minvCpus`."""
    if row.status not in ("VALID", "UPDATING") or not hosts.has_hosts(row):
        return
    hosts.scale_to(store, row, row.props["computeResources"]["desiredvCpus"])
    store.after(store.settings.instances_idle, lambda: hosts.trim(store, row))


def _deleted(store: Store, row: Row) -> None:
    reason = health.role_fault(store, row)
    if reason is None and on_fargate(row.props.get("computeResources", {})) and running.on_environment(store, row):
        reason = "CLIENT_ERROR - The compute environment still has active jobs"
    if reason is not None:
        row.status, row.reason = "INVALID", reason
        return
    running.lose_hosts(store, row)
    row.reason = ""
    store.environments.linger(row)


def _holds(queue: Row, row: Row) -> bool:
    order = queue.props.get("computeEnvironmentOrder", [])
    return not queue.gone and any(item["computeEnvironment"] == row.arn for item in order)


def _named(row: Row) -> Json:
    return {"computeEnvironmentName": row.name, "computeEnvironmentArn": row.arn}


def _detail(store: Store, row: Row) -> Json:
    props = dict(row.props)
    resources = props.get("computeResources")
    if resources is not None and store.settings.instance_role_echo == "arn":
        props["computeResources"] = {**resources, **_profile_arn(store, resources)}
    if resources is not None and "ec2Configuration" in resources:
        shown = compute_images.configuration(store, row)
        props["computeResources"] = {**props["computeResources"], "ec2Configuration": shown}
    return {
        **_named(row),
        **props,
        "tags": row.tags,
        "state": row.state,
        "status": row.status,
        **({"statusReason": row.reason} if row.reason else {}),
    }


def _profile_arn(store: Store, resources: Json) -> Json:
    wanted = resources.get("instanceRole")
    if wanted is None or wanted.startswith("arn:"):
        return {}
    return {"instanceRole": store.iam_arn(f"instance-profile/{wanted}")}
