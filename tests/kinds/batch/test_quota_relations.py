"""What quota shares ask of the queue and the policy that are declared with them, judged without AWS."""

from __future__ import annotations

import pytest

from reconciler.checks import environment
from reconciler.config import loader
from reconciler.kinds import discover

BASE = """\
environment: t
schedulingPolicies:
  quota: {quotaSharePolicy: {idleResourceAssignmentStrategy: FIFO}}
  fair: {fairsharePolicy: {computeReservation: 1}}
serviceEnvironments:
  se: {serviceEnvironmentType: SAGEMAKER_TRAINING, capacityLimits: [{capacityUnit: ml.m5.large, maxCapacity: 4}]}
"""
SHARE = """\
    capacityLimits: [{capacityUnit: ml.m5.large, maxCapacity: 1}]
    resourceSharingConfiguration: {strategy: RESERVE}
    preemptionConfiguration: {inSharePreemption: DISABLED}
"""
CONTAINERS = "computeEnvironmentOrder: [{order: 1, computeEnvironment: c}]"
SAGEMAKER = "jobQueueType: SAGEMAKER_TRAINING\n    serviceEnvironmentOrder: [{order: 1, serviceEnvironment: se}]"


def told(tmp_path, queue, *shares, policy=None):
    """(address, path, message) of every error."""
    lines = [BASE, "jobQueues:\n  q:\n    priority: 1\n", f"    {queue}\n"]
    lines += [f"    schedulingPolicyArn: {policy}\n"] if policy else []
    lines += ["quotaShares:\n", *(f"  q/{share}:\n{SHARE}" for share in shares)] if shares else []
    file = tmp_path / "environment.yaml"
    file.write_text("".join(lines))
    _, problems = environment.environment(loader.load(file, environ={}), discover())
    return [(one.address, one.path, one.message) for one in problems if not one.warning]


@pytest.mark.parametrize("policy", ["quota", '"${schedulingPolicies.quota.arn}"', None])
def test_what_fits(tmp_path, policy):
    shares = [f"s{number}" for number in range(20)] if policy else []

    assert told(tmp_path, SAGEMAKER, *shares, policy=policy) == []
    assert told(tmp_path, CONTAINERS, policy="fair") == []
    assert told(tmp_path, SAGEMAKER, "s", policy="not-declared-here") == []


@pytest.mark.parametrize("policy", ["quota", '"${schedulingPolicies.quota.arn}"'])
def test_a_container_queue_with_a_quota_share_policy(tmp_path, policy):
    assert told(tmp_path, CONTAINERS, policy=policy) == [
        ("jobQueues.q", "schedulingPolicyArn", "quota is a quota-share policy, but the queue takes container jobs")
    ]


@pytest.mark.parametrize(
    ("queue", "policy", "message"),
    [
        (SAGEMAKER, None, "q has no quota-share policy"),
        (SAGEMAKER, "fair", "q has no quota-share policy"),
        (CONTAINERS, None, "q takes container jobs, but quota shares are for SageMaker training"),
    ],
)
def test_a_share_of_a_queue_that_has_none(tmp_path, queue, policy, message):
    assert told(tmp_path, queue, "s", policy=policy) == [('quotaShares["q/s"]', "", message)]


def test_too_many_shares(tmp_path):
    shares = [f"s{number}" for number in range(21)]

    assert told(tmp_path, SAGEMAKER, *shares, policy="quota") == [
        ('quotaShares["q/s20"]', "", "q has 21 quota shares; the maximum is 20")
    ]


@pytest.mark.parametrize(
    "policy",
    [
        "arn:aws:batch:eu-west-1:123456789012:compute-environment/c",
        "arn:aws:iam::123456789012:role/r",
        "arn:aws:batch:eu-west-1:123456789012:scheduling-policy/",
    ],
)
def test_the_arn_of_something_else_is_no_policy(tmp_path, policy):
    assert [path for _, path, _ in told(tmp_path, SAGEMAKER, policy=policy)] == ["schedulingPolicyArn"]


@pytest.mark.parametrize(
    ("there", "shared", "hint"),
    [
        ("ml.m5.large", ["ml.m5.large"], None),
        ("ml.m5.large", ["ml.m5.large", "ml.g5.xlarge"], "add a limit for ml.g5.xlarge to serviceEnvironments.se"),
        ("NUM_INSTANCES", ["ml.g5.xlarge"], "count serviceEnvironments.se by instance types"),
        ("ml.m5.large", ["NUM_INSTANCES"], "or set capacityUnit: ml.m5.large"),
        ('"${var.unit}"', ["ml.g5.xlarge"], None),
    ],
)
def test_a_share_is_of_what_the_environment_has(tmp_path, there, shared, hint):
    limits = ", ".join(f"{{capacityUnit: {unit}, maxCapacity: 1}}" for unit in shared)
    text = BASE.replace("capacityUnit: ml.m5.large", f"capacityUnit: {there}").replace(
        "environment: t\n", "environment: t\nvariables: {unit: ml.g5.xlarge}\n"
    )
    text += f"jobQueues:\n  q:\n    priority: 1\n    {SAGEMAKER}\n    schedulingPolicyArn: quota\n"
    text += "quotaShares:\n  q/s:\n" + SHARE.replace("{capacityUnit: ml.m5.large, maxCapacity: 1}", limits)
    file = tmp_path / "environment.yaml"
    file.write_text(text)
    _, problems = environment.environment(loader.load(file, environ={}), discover())
    errors = [one for one in problems if not one.warning]

    place = [("quotaShares.q/s", f"capacityLimits.{len(shared) - 1}.capacityUnit")] if hint else []
    assert [(one.address.replace('["', ".").replace('"]', ""), one.path) for one in errors] == place
    assert all(hint in one.hint for one in errors)


@pytest.mark.parametrize(("number", "warned"), [(50, []), (51, ["serviceEnvironments.e50"])])
def test_the_one_too_many_for_a_region_is_warned_of(tmp_path, number, warned):
    made = "{serviceEnvironmentType: SAGEMAKER_TRAINING, capacityLimits: [{maxCapacity: 1}]}"
    file = tmp_path / "environment.yaml"
    file.write_text("environment: t\nserviceEnvironments:\n" + "".join(f"  e{n}: {made}\n" for n in range(number)))
    _, problems = environment.environment(loader.load(file, environ={}), discover())

    assert [one.address for one in problems if one.warning and "allows 50 in a Region" in one.message] == warned
