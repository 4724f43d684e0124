"""The waits for compute environments.

https://docs.aws.amazon.com/batch/latest/userguide/invalid_compute_environment.html
https://docs.aws.amazon.com/batch/latest/userguide/troubleshooting.html
"""

from __future__ import annotations

from typing import Any

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.common.visibility import not_visible
from reconciler.model import Call, Lifecycle, Repair, Wait
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.batch._diagnosis.causes import of_environments

# Seconds that the service usually takes at least, from what users and their tools report: 5 to 60 to create an
# environment, a few for an update that replaces no instances, 5 to 30 to disable one, 30 to 180 to delete it.
SOONEST_CREATED = 5.0
SOONEST_UPDATED = 2.0
SOONEST_DISABLED = 5.0
SOONEST_DELETED = 30.0

NEW_ROLE = not_visible("role")
NEW_PERMISSION = not_visible("role's permissions")
NEW_PROFILE = not_visible("instance profile")

# Reasons that pass by themselves: IAM takes a while to show a new role or profile to every service.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html#troubleshoot_general_eventual-consistency
IAM_LAG = {
    "sts:AssumeRole": NEW_ROLE,
    "is not authorized to perform": NEW_PERMISSION,
    "Instance profile": NEW_PROFILE,
    "IamInstanceProfile": NEW_PROFILE,
    "IamFleetRole is invalid": NEW_ROLE,
}


def valid(name: str, role: Any, *, timeout: float = 1800.0, soonest: float = SOONEST_UPDATED) -> Wait:
    """Wait until the environment is VALID: ``timeout`` seconds at most, and usually ``soonest`` at least.

    If it becomes INVALID because Batch does not see a new role yet, setting the service role again repairs that.
    """
    again = batch.write("UpdateComputeEnvironment", {"computeEnvironment": name, "serviceRole": role})
    return Wait(
        title=f"compute environment {name} VALID",
        read=describe(name),
        items="computeEnvironments",
        among="computeEnvironments",
        named_by=("computeEnvironmentName",),
        until={"status": batch.VALID},
        fail={"status": batch.INVALID | batch.DELETED},
        repair=Repair(on=IAM_LAG, call=again, times=6) if role else None,
        soonest=soonest,
        timeout=timeout,
        causes=of_environments(),
    )


def deleted(name: str, *, may_fail: bool = True, soonest: float = SOONEST_DELETED) -> Wait:
    """Wait until the environment does not exist, usually ``soonest`` seconds at least.

    ``may_fail`` is False for an environment that was INVALID before: it is shown as INVALID for a moment longer.
    """
    return Wait(
        title=f"compute environment {name} deleted",
        read=describe(name),
        items="computeEnvironments",
        among="computeEnvironments",
        named_by=("computeEnvironmentName",),
        until={"status": batch.DELETED},
        fail={"status": batch.INVALID},
        gone=True,
        soonest=soonest,
        grace=0.0 if may_fail else 60.0,
        causes=of_environments(),
    )


def drained(name: str, cluster: str, lifecycle: Lifecycle) -> Wait:
    """Wait until the ECS cluster of an environment has no tasks, ``lifecycle.drain_timeout_minutes`` at most.

    No queue lists the environment any more, so no jobs are added.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Cluster.html
    """
    return Wait(
        title=f"jobs on compute environment {name} finished",
        read=Call("ecs", "DescribeClusters", {"clusters": [cluster]}),
        items="clusters",
        among="clusters",
        named_by=("clusterArn", "clusterName"),
        until={"runningTasksCount": frozenset({0}), "pendingTasksCount": frozenset({0})},
        gone=True,
        timeout=lifecycle.drain_timeout_minutes * 60.0,
        or_go_on=lifecycle.drain == "terminate",
    )


def describe(name: str) -> Call:
    """The call that reads one environment."""
    return Call("batch", "DescribeComputeEnvironments", {"computeEnvironments": [name]})
