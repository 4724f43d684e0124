"""What compute environments are waited for, and what to do when one ends badly.

https://docs.aws.amazon.com/batch/latest/userguide/invalid_compute_environment.html
https://docs.aws.amazon.com/batch/latest/userguide/troubleshooting.html
"""

from __future__ import annotations

from typing import Any

from reconciler.kinds import _batch as batch
from reconciler.model import Call, Lifecycle, Repair, Wait

# reasons that pass by themselves, when a role or profile is so new that IAM has not spread it yet
IAM_LAG = (
    "sts:AssumeRole",
    "is not authorized to perform",
    "Instance profile",
    "IamInstanceProfile",
    "IamFleetRole is invalid",
)

_ROLE = (
    "the service role must exist, trust batch.amazonaws.com and have service-role/AWSBatchServiceRole; an environment\n"
    "      that cannot be deleted goes once a role of that name is back: create it, then run this again"
)
CAUSES = (
    (
        "IamFleetRole is invalid",
        "spotIamFleetRole must be a role that trusts spotfleet.amazonaws.com and has AmazonEC2SpotFleetTaggingRole",
    ),
    (
        "sts:AssumeRole",
        _ROLE,
    ),
    (
        "is not authorized to perform",
        "the service role lacks a permission: attach service-role/AWSBatchServiceRole to it",
    ),
    (
        "nstance profile",
        "instanceRole must name an instance profile that exists and holds a role; it is not the name of a role",
    ),
    ("IamInstanceProfile", "instanceRole must name an instance profile that exists and holds a role"),
    ("Kubernetes", "look at the namespace, the cluster's version and its access entries for AWS Batch"),
    (
        "none of the instances joined",
        "instances do not reach ECS: look at the subnets' route out, security groups, image and instance role",
    ),
    ("Clusters can not be blank", "its ECS cluster was deleted by somebody: replace it with --replace"),
)


def valid(name: str, role: Any, timeout: float = 1800.0) -> Wait:
    """Until it is VALID; while IAM is spreading a new role it is told its service role again."""
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
        timeout=timeout,
        causes=CAUSES,
    )


def gone(name: str, *, may_fail: bool = True) -> Wait:
    """Until it is gone. One that was INVALID before (not ``may_fail``) shows so for a moment more."""
    return Wait(
        title=f"compute environment {name} gone",
        read=describe(name),
        items="computeEnvironments",
        among="computeEnvironments",
        named_by=("computeEnvironmentName",),
        until={"status": batch.DELETED},
        fail={"status": batch.INVALID},
        gone=True,
        grace=0.0 if may_fail else 60.0,
        causes=CAUSES,
    )


def drained(name: str, cluster: str, lifecycle: Lifecycle) -> Wait:
    """Until no job is left on an environment that no queue names any more: its ECS cluster has no tasks then.

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
    """How one environment is looked at."""
    return Call("batch", "DescribeComputeEnvironments", {"computeEnvironments": [name]})
