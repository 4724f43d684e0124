"""The examples in every partition of AWS: applied, left alone, and as they should be."""

from __future__ import annotations

import json

import boto3
import pytest

from tests.support.examples import Account
from tests.support.long import LONG

# with roles, profiles, service-linked roles, a repository, log groups, rules with targets, topics and policies
EXAMPLES = ("genomics-array", "job-alerts", *(["custom-logging"] if LONG else []))
PARTITIONS = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


@pytest.fixture
def region(request: pytest.FixtureRequest, account: Account, monkeypatch: pytest.MonkeyPatch) -> str:
    found: str = PARTITIONS[request.param]
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, found)
    return found


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        pytest.param(
            name, name, marks=() if name == "aws-cn" else pytest.mark.long
        )  # the others: as all other stories, and alike
        for name in PARTITIONS
    ],
    indirect=["region"],
)
def test_examples_are_applied_and_left_alone(region: str, partition: str, account: Account) -> None:
    account.shell.account.change({"shuffle": 7})
    for name in EXAMPLES:
        plan = account.reconcile("plan", name, "--format", "json")
        account.reconcile("apply", name, "--auto-approve")
        account.converged(name)
        assert {word.split(":")[1] for word in json.dumps(plan).split('"') if word.startswith("arn:")} <= {partition}

    batch = boto3.client("batch")
    environments = batch.describe_compute_environments()["computeEnvironments"]
    assert {(one["status"], one["computeEnvironmentArn"].split(":")[1]) for one in environments} == {
        ("VALID", partition)
    }
    domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    definitions = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    images = {one["containerProperties"]["image"] for one in definitions if one.get("containerProperties")}
    assert f"123456789012.dkr.ecr.{region}.{domain}/genomics-tools:2026-01" in images
