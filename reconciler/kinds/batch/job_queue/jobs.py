"""Which jobs a declared queue takes, by its compute environments and its scheduling policy.

Multi-node jobs start on EC2 On-Demand only. A queue with a fair-share policy needs a share identifier for each job, any
other refuses one.

https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
"""

from __future__ import annotations

from typing import Final

from reconciler.kinds.batch.job_definition import outcomes
from reconciler.kinds.batch.job_queue import relations
from reconciler.kinds.common.declared import at, is_given, items
from reconciler.model import Declared, Resource
from reconciler.model.jobs import Takes

PLATFORMS: Final = {
    "EC2": outcomes.EC2,
    "managed instances": outcomes.EC2,
    "Fargate": outcomes.FARGATE,
    "EKS": outcomes.EKS,
}


def takes_jobs(queue: Resource, declared: Declared) -> Takes:
    """Which jobs ``queue`` takes; one of service environments takes no container jobs."""
    if is_given(queue.props.get("serviceEnvironmentOrder")):
        return Takes(platforms=frozenset(), multinode=False, shares=None)
    listed = [one for _, one in relations.listed_by(queue.props, declared)]
    families = [relations.family(one.props) for one in listed]
    given = items(queue.props.get(relations.ORDER))
    known = bool(families) and len(families) == len(given) and None not in families
    platforms = frozenset(PLATFORMS[family] for family in families if family is not None)
    types = [at(one.props, "computeResources", "type") for one in listed]
    return Takes(
        platforms=platforms if known else None,
        multinode="EC2" in types if known else None,
        shares=_shares(queue, declared),
        enabled=queue.props.get("state", "ENABLED") != "DISABLED",
    )


def _shares(queue: Resource, declared: Declared) -> bool | None:
    given = queue.props.get(relations.POLICY)
    if not is_given(given):
        return False
    policy = declared.resource("schedulingPolicies", given)
    return None if policy is None else not policy.props.get("quotaSharePolicy")
