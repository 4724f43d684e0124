"""What AWS refuses about a compute environment together with other declared resources.

https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.batch.compute_environment import instance_role, launch_template
from reconciler.kinds.common.declared import as_text, at
from reconciler.model import Declared, Finding, Resource
from reconciler.model import problem_codes as codes
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.batch import _quotas as quotas

CLUSTER = ("eksConfiguration", "eksClusterArn")
MOST_ON_A_CLUSTER = 5


def relations(environment: Resource, declared: Declared) -> Iterator[Finding]:
    """Findings about its cluster, the quotas of a Region and of a cluster, and its launch template."""
    cluster = as_text(at(environment.props, *CLUSTER))
    if cluster is not None and cluster.startswith("arn:") and cluster.count(":") == 5:
        for message in declared.outside(cluster):
            yield Finding(CLUSTER, message, "name a cluster in the account and Region of the environment")
    yield from quotas.check_quota(environment, declared, "compute environments")
    if cluster is not None:
        yield from _check_cluster_quota(environment, cluster, declared)
    yield from launch_template.check_ids(environment, declared)
    yield from launch_template.check_template(environment, declared)
    yield from launch_template.check_versions(environment, declared)
    yield from instance_role.check_role(environment, declared)


def _check_cluster_quota(environment: Resource, cluster: str, declared: Declared) -> Iterator[Finding]:
    """A warning at the first environment above the number that AWS allows on one cluster."""
    same = [one for one in declared.section(environment.address.section) if at(one.props, *CLUSTER) == cluster]
    if len(same) > MOST_ON_A_CLUSTER and environment is same[MOST_ON_A_CLUSTER]:
        why = f"{len(same)} compute environments are on this cluster; AWS allows {MOST_ON_A_CLUSTER}"
        yield Finding(CLUSTER, why, "declare fewer, or use another cluster", codes.MISFIT, warning=True)
