"""ECS: the clusters of AWS Batch's compute environments, with the task counts of the jobs on them.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeClusters.html
"""

from __future__ import annotations

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json

RULES = Rules("ecs")


@RULES.before("DescribeClusters")
def clusters_of_batch_exist(call: ServiceCall) -> Json | None:
    """By name or ARN; other clusters are described by moto."""
    known = call.account.batch_clusters(call.region)
    names = {arn.rsplit("/", 1)[-1]: arn for arn in known}
    asked = call.params.get("clusters") or ["default"]
    ours = [names.get(name, name) for name in asked if name in known or name in names]
    others = [name for name in asked if name not in known and name not in names]
    if not ours:
        return None
    reply = call.forward({**call.params, "clusters": others}) if others else {"clusters": [], "failures": []}
    return {**reply, "clusters": [*(_cluster(arn, known[arn]) for arn in ours), *reply["clusters"]]}


def _cluster(arn: str, counts: dict[str, int]) -> Json:
    return {
        "clusterArn": arn,
        "clusterName": arn.rsplit("/", 1)[-1],
        "status": "ACTIVE",
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": counts["running"],
        "pendingTasksCount": counts["pending"],
        "activeServicesCount": 0,
        "statistics": [],
        "tags": [],
        "settings": [],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    }
