"""Which compute environment and which instances take a waiting job, and what AWS Batch says of a queue it blocks.

Source: https://docs.aws.amazon.com/batch/latest/userguide/job_scheduling.html and the texts of
https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.sandbox.batch import health, hosts
from reconciler.sandbox.batch.compute_resources import on_fargate
from reconciler.sandbox.batch.store import Host, Json, Need, Row, Run, Store

TOO_LARGE = (
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue cannot meet the CPU "
    "requirement of the job."
)
NOTHING_FITS = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is higher than that "
    "can be met by the CE(s) attached to the job queue."
)
NO_CAPACITY = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested for instance type [{}]"
)
UNSUPPORTED = (
    "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED - Your compute environment associated with this job queue "
    "has an unsupported instance type configuration."
)
NO_PERMISSION = "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS – Batch service role has a permission issue."  # noqa: RUF001
ALL_INVALID = "ACTION_REQUIRED - CE(s) associated with the job queue are invalid."
UNDETERMINED = "UNDETERMINED - Batch job is blocked, root cause is undetermined."


def environments_of(store: Store, queue: Row) -> list[Row]:
    """The environments of a queue, in order."""
    order = sorted(queue.props["computeEnvironmentOrder"], key=lambda item: int(item["order"]))
    rows = [store.environments.find(item["computeEnvironment"]) for item in order]
    return [row for row in rows if row is not None]


def place(store: Store, row: Row) -> Row | None:
    """The environment that takes a job now, with its instances and consumable resources reserved; None if none does."""
    queue = store.queues.find(row.props["jobQueue"])
    run = store.runs[row.name]
    for environment in environments_of(store, queue) if queue is not None else ():
        if not takes(environment, run) or used(store, environment) + run.vcpus > capacity(environment):
            continue
        if not _consumables_suffice(store, run):
            return None
        if not hosts.has_hosts(environment) and not hosts.brings_hosts(environment):
            break
        found = _hosts(store, environment, run, row.name)
        if found is not None:
            run.hosts = found
            break
    else:
        return None
    run.environment = environment.arn
    store.used[environment.arn] = used(store, environment) + run.vcpus
    _take_consumables(store, run)
    grow(store, environment)
    return environment


def _hosts(store: Store, environment: Row, run: Run, job: str) -> list[str] | None:
    """Reserve an instance for each need; None, and nothing reserved, if one is missing."""
    reserved: list[Host] = []
    for index, need in enumerate(run.needs or (Need(run.vcpus),)):
        key = f"{job}#{index}" if run.multinode else job
        host = _with_room(store, environment, need, alone=run.multinode)
        if host is None and hosts.has_hosts(environment) and not _pointless(store, environment, need):
            host = hosts.launch_for(store, environment, need, 0 if run.multinode else store.waiting_vcpus)
        if host is None or not host.room(need):
            hosts.release(store, job)
            return None
        host.take(key, need)
        reserved.append(host)
    return [host.id for host in reserved]


def _with_room(store: Store, environment: Row, need: Need, *, alone: bool) -> Host | None:
    ours = [host for host in hosts.of(store, environment) if not host.old and host.joins]
    return next((host for host in ours if host.room(need) and not (alone and host.jobs)), None)


def _pointless(store: Store, environment: Row, need: Need) -> bool:
    """Whether an empty instance waits for this job already and is not enough, or does not join."""
    return any(
        not host.jobs and not host.old for host in hosts.of(store, environment) if hosts.suits(host.machine, need)
    )


def takes(environment: Row, run: Run) -> bool:
    """Whether the environment is in service and of the platform of the job."""
    if environment.status not in ("VALID", "UPDATING") or environment.state != "ENABLED":
        return False
    return right_platform(environment, run)


def right_platform(environment: Row, run: Run) -> bool:
    """Multi-node jobs only start on EC2 On-Demand."""
    resources: Json = environment.props.get("computeResources", {})
    if run.multinode:
        return resources.get("type") == "EC2"
    if run.platform == "EKS":
        return "eksConfiguration" in environment.props
    return on_fargate(resources) == (run.platform == "FARGATE") and "eksConfiguration" not in environment.props


def capacity(environment: Row) -> float:
    """The most vCPUs of an environment."""
    resources: Json = environment.props.get("computeResources", {})
    return float(resources.get("maxvCpus") or environment.props.get("unmanagedvCpus") or 10**6)


def used(store: Store, environment: Row) -> float:
    """The vCPUs of the jobs on an environment."""
    return store.used.get(environment.arn, 0)


def grow(store: Store, environment: Row) -> None:
    """The service sets `desiredvCpus` to what its jobs need, within the limits."""
    resources: Json = environment.props.get("computeResources", {})
    if "desiredvCpus" in resources:
        wanted = max(resources["minvCpus"], int(used(store, environment)))
        resources["desiredvCpus"] = min(resources["maxvCpus"], wanted)


def blocked_reason(store: Store, row: Row) -> str:
    """What AWS Batch says of the first job of a queue that cannot start; empty: nothing."""
    queue = store.queues.find(row.props["jobQueue"])
    run = store.runs[row.name]
    listed = environments_of(store, queue) if queue is not None else []
    if listed and all(one.status == "INVALID" for one in listed):
        denied = any("is not authorized to perform" in one.reason for one in listed)
        return NO_PERMISSION if denied and not any(_linked(one) for one in listed) else ALL_INVALID
    fitting = [one for one in listed if takes(one, run)]
    if not fitting:
        return ""
    if all(run.vcpus > capacity(one) for one in fitting):
        return TOO_LARGE
    managed = [one for one in fitting if hosts.has_hosts(one)]
    if len(managed) < len(fitting):
        return ""
    reason = _managed_reason(store, managed, run.needs or (Need(run.vcpus),))
    if (
        not reason
        and _never_joins(store, managed)
        and store.now - run.waiting_since >= store.settings.undetermined_after
    ):
        return UNDETERMINED
    return reason


def _never_joins(store: Store, listed: Sequence[Row]) -> bool:
    """Whether instances run for the environments, none of which joins: the service sees no reason."""
    found = [host for one in listed for host in hosts.of(store, one)]
    return bool(found) and not any(host.joins for host in found)


def _managed_reason(store: Store, listed: Sequence[Row], needs: Sequence[Need]) -> str:
    def enough(environment: Row, need: Need) -> bool:
        return any(hosts.suits(machine, need) for machine in hosts.types(store, environment))

    if any(not any(enough(one, need) for one in listed) for need in needs):
        return NOTHING_FITS
    launches = [[each for each in store.activities.get(one.arn, ()) if not each.ended] for one in listed]
    failures = [each[-1] for each in launches if each]
    if len(failures) == len(listed) and all(_no_capacity(one.failure) for one in failures):
        return NO_CAPACITY.format(failures[0].machine)
    if len(failures) == len(listed) and all("Unsupported - " in one.failure for one in failures):
        return UNSUPPORTED
    return ""


def _no_capacity(failure: str) -> bool:
    return "InsufficientInstanceCapacity" in failure or "UnfulfillableCapacity" in failure


def _linked(environment: Row) -> bool:
    return health.service_linked(environment.props["serviceRole"])


def _consumables_suffice(store: Store, run: Run) -> bool:
    found = [(store.consumables.find(arn), quantity) for arn, quantity in run.consumables]
    return all(one is not None and one.props["totalQuantity"] - one.props["inUseQuantity"] >= n for one, n in found)


def _take_consumables(store: Store, run: Run) -> None:
    for arn, quantity in run.consumables:
        resource = store.consumables.find(arn)
        if resource is not None:
            resource.props["inUseQuantity"] += quantity


def release_consumables(store: Store, run: Run) -> None:
    """A job gives back its consumable resources; used up are those that are not replenished."""
    for arn, quantity in run.consumables:
        resource = store.consumables.find(arn)
        if resource is None:
            continue
        resource.props["inUseQuantity"] = max(resource.props["inUseQuantity"] - quantity, 0)
        if resource.props["resourceType"] == "NON_REPLENISHABLE":
            resource.props["totalQuantity"] = max(resource.props["totalQuantity"] - quantity, 0)
