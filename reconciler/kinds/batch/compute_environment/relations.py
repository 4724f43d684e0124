"""What AWS would refuse about a compute environment together with what is declared beside it.

https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.batch import _quotas as quotas
from reconciler.kinds.batch.compute_environment import launch_template
from reconciler.kinds.common.declared import as_text, at
from reconciler.model import Declared, Finding, Resource
from reconciler.model import problem_codes as codes

CLUSTER = ("eksConfiguration", "eksClusterArn")
MOST_ON_A_CLUSTER = 5


def relations(environment: Resource, declared: Declared) -> Iterator[Finding]:
    """Its cluster, the quotas of a Region and of a cluster, and its launch template."""
    cluster = as_text(at(environment.props, *CLUSTER))
    if cluster is not None and cluster.startswith("arn:") and cluster.count(":") == 5:
        for message in declared.outside(cluster):
            yield Finding(CLUSTER, message, "name a cluster that is where the environment is")
    yield from quotas.beyond(environment, declared, "compute environments")
    if cluster is not None:
        yield from _beside(environment, cluster, declared)
    yield from launch_template.misfits(environment, declared)


def _beside(environment: Resource, cluster: str, declared: Declared) -> Iterator[Finding]:
    """More environments on one cluster than AWS allows, told at the first that is one too many."""
    same = [one for one in declared.section(environment.address.section) if at(one.props, *CLUSTER) == cluster]
    if len(same) > MOST_ON_A_CLUSTER and environment is same[MOST_ON_A_CLUSTER]:
        why = f"{len(same)} compute environments are on this cluster; AWS allows {MOST_ON_A_CLUSTER}"
        yield Finding(CLUSTER, why, "let one serve for several, or take another cluster", codes.MISFIT, warning=True)
