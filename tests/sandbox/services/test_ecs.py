"""ECS in the sandbox: the clusters AWS Batch keeps.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeClusters.html
"""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def cluster(sandbox):
    batch = sandbox.client("batch")
    ec2 = sandbox.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    resources = {"type": "FARGATE", "maxvCpus": 4, "subnets": [subnet], "securityGroupIds": [group]}
    batch.create_compute_environment(computeEnvironmentName="c", type="MANAGED", computeResources=resources)
    sandbox.advance(60)
    return batch.describe_compute_environments()["computeEnvironments"][0]["ecsClusterArn"]


def test_a_compute_environments_cluster_is_there_by_arn_and_by_name(sandbox, cluster):
    """Without jobs it has no tasks."""
    ecs = sandbox.client("ecs")
    for name in (cluster, cluster.rsplit("/", 1)[-1]):
        (found,) = ecs.describe_clusters(clusters=[name])["clusters"]
        assert found["clusterArn"] == cluster
        assert (found["runningTasksCount"], found["pendingTasksCount"]) == (0, 0)


def test_an_unknown_cluster_is_missing(sandbox, cluster):
    """Beside a known one as well."""
    reply = sandbox.client("ecs").describe_clusters(clusters=["nothing", cluster])
    assert [one["clusterArn"] for one in reply["clusters"]] == [cluster]
    assert [one["reason"] for one in reply["failures"]] == ["MISSING"]


def test_a_cluster_goes_with_its_environment(sandbox, cluster):
    """Once the environment is gone its cluster is not found."""
    batch = sandbox.client("batch")
    batch.update_compute_environment(computeEnvironment="c", state="DISABLED")
    sandbox.advance(60)
    batch.delete_compute_environment(computeEnvironment="c")
    sandbox.advance(600)
    assert sandbox.client("ecs").describe_clusters(clusters=[cluster])["clusters"] == []


def test_lists_are_read_as_ecs_reads_them(sandbox, cluster):
    """By state and launch type, at most a hundred described; clusters of AWS Batch are not changed here."""
    ecs = sandbox.client("ecs")
    assert ecs.list_clusters()["clusterArns"] == [cluster]
    assert ecs.list_container_instances(cluster=cluster, status="DRAINING")["containerInstanceArns"] == []
    refused = {
        "InvalidParameterException": [
            (ecs.describe_tasks, {"tasks": []}),
            (ecs.describe_tasks, {"tasks": ["t"] * 101}),
            (ecs.describe_container_instances, {"containerInstances": ["t"] * 101}),
        ],
        "NotImplemented": [
            (ecs.list_container_instances, {"filter": "attribute:ecs.os-type == linux"}),
            (ecs.stop_task, {"task": "t"}),
            (ecs.delete_cluster, {}),
        ],
    }
    for code, calls in refused.items():
        for call, given in calls:
            with pytest.raises(ClientError) as caught:
                call(cluster=cluster, **given)
            assert caught.value.response["Error"]["Code"] == code
