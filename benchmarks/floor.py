"""The floor: the fewest boto3 calls that read the state of an estate, sent by threads.

``python -m benchmarks.floor N`` reads everything that :mod:`benchmarks.estate` declares and compares nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3

from benchmarks.estate import groups, queues


def main() -> None:
    """Send the calls; prints nothing, raises where one is refused."""
    n, name = int(sys.argv[1]), "estate"
    session = boto3.Session()
    client: Callable[[Any], Any] = session.client
    services = ("batch", "iam", "ec2", "ecr", "secretsmanager", "sns", "logs", "events", "sts")
    made = {service: client(service) for service in services}
    tagging = client("resourcegroupstaggingapi")
    batch, iam, ec2, ecr, events = (made[s] for s in ("batch", "iam", "ec2", "ecr", "events"))
    account = made["sts"].get_caller_identity()["Account"]
    arn = f"arn:aws:batch:{session.region_name}:{account}:scheduling-policy/{name}-fair"
    topic = f"arn:aws:sns:{session.region_name}:{account}:{name}-alerts"
    of = [{"Key": "reconciler/environment", "Values": [name]}]
    services = ("ec2", "ecr", "secretsmanager", "sns", "logs", "events", "batch:consumable-resource")

    def sweep(one: Any, operation: str, **params: Any) -> Callable[[], object]:
        return lambda: one.get_paginator(operation).paginate(**params).build_full_result()

    def network() -> object:
        found = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
        return ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [found]}])

    def named(filter_name: str, value: str) -> Any:
        return [{"Name": filter_name, "Values": [f"{name}-{value}"]}]

    many = [f"/aws/batch/{name}/{i:04d}" for i in range(groups(n))]
    environments = [f"{name}-compute-{i:04d}" for i in range(groups(n))]
    queued = [f"{name}-queue-{i:04d}" for i in range(queues(n))]
    profiles = [f"{name}-role-{i:04d}" for i in range(groups(n))]
    asked: list[Callable[[], object]] = [
        network,
        sweep(batch, "describe_job_definitions", status="ACTIVE"),
        *(lambda s=s: batch.describe_compute_environments(computeEnvironments=s) for s in runs(environments, 100)),
        *(lambda s=s: batch.describe_job_queues(jobQueues=s) for s in runs(queued, 100)),
        *(lambda s=s: made["logs"].describe_log_groups(logGroupIdentifiers=s) for s in runs(many, 50)),
        sweep(iam, "get_account_authorization_details", Filter=["Role", "LocalManagedPolicy"], MaxItems=1000),
        sweep(iam, "list_roles", MaxItems=1000),
        # only this call returns the tags of a profile, by which it is owned:
        # https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfiles.html
        *(lambda i=i: iam.get_instance_profile(InstanceProfileName=i) for i in profiles),
        lambda: iam.get_policy(PolicyArn=f"arn:aws:iam::{account}:policy/{name}-read-secrets"),
        sweep(tagging, "get_resources", TagFilters=of, ResourceTypeFilters=list(services), ResourcesPerPage=100),
        lambda: batch.describe_scheduling_policies(arns=[arn]),
        lambda: batch.describe_consumable_resource(consumableResource=f"{name}-licences"),
        lambda: ec2.describe_security_groups(Filters=named("group-name", "batch")),
        lambda: ec2.describe_launch_templates(Filters=named("launch-template-name", "instances")),
        lambda: ec2.describe_launch_template_versions(LaunchTemplateName=f"{name}-instances"),
        lambda: ec2.describe_placement_groups(Filters=named("group-name", "cluster")),
        lambda: ecr.describe_repositories(repositoryNames=[f"{name}/tools"]),
        lambda: absent(ecr.get_lifecycle_policy, ecr, repositoryName=f"{name}/tools"),
        lambda: absent(ecr.get_repository_policy, ecr, repositoryName=f"{name}/tools"),
        lambda: made["secretsmanager"].describe_secret(SecretId=f"{name}-db"),
        lambda: made["sns"].get_topic_attributes(TopicArn=topic),
        lambda: made["sns"].list_subscriptions_by_topic(TopicArn=topic),
        *(lambda r=r: events.describe_rule(Name=f"{name}-{r}") for r in ("failed", "nightly")),
        *(lambda r=r: events.list_targets_by_rule(Rule=f"{name}-{r}") for r in ("failed", "nightly")),
    ]
    with ThreadPoolExecutor(16) as pool:
        for future in [pool.submit(call) for call in asked]:
            future.result()


def runs(items: list[str], size: int) -> list[list[str]]:
    """``items`` in lists of at most ``size``."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def absent(call: Callable[..., object], client: Any, **params: Any) -> object:
    """The reply, or None where the repository has no such policy."""
    try:
        return call(**params)
    except (client.exceptions.LifecyclePolicyNotFoundException, client.exceptions.RepositoryPolicyNotFoundException):
        return None


if __name__ == "__main__":
    main()
