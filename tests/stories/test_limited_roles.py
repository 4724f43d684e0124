"""An example planned and applied by roles that may do no more than their policies say.

A role that may read plans it and changes nothing; one that is limited by ARN and tag applies it, once it may pass the
roles to their services.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest

from tests.support.examples import Account
from tests.support.limited import ACCOUNT, Statement, allow, deny, keys, role

EXAMPLE = "retry-strategies"
BATCH = f"arn:aws:batch:eu-west-1:{ACCOUNT}"
IAM = f"arn:aws:iam::{ACCOUNT}"
READ = allow(["batch:Describe*", "ec2:Describe*", "iam:Get*", "iam:List*", "tag:GetResources"])
LOCK = allow("ssm:*Parameter*", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/reconcile/locks/{EXAMPLE}")
NEW = {"aws:RequestTag/reconciler/environment": EXAMPLE}
OURS = {"aws:ResourceTag/reconciler/environment": EXAMPLE}
ROLES = [f"{IAM}:role/AWSBatchServiceRole", f"{IAM}:role/ecsInstanceRole"]
PROFILE = f"{IAM}:instance-profile/ecsInstanceProfile"
MANAGED = "arn:aws:iam::aws:policy/service-role/*"
KEY_PAIR = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:key-pair/batch-ssh-key"
WRITE = (
    allow(["iam:CreateRole", "iam:TagRole"], ROLES, StringEquals=NEW),
    allow("iam:AttachRolePolicy", ROLES, ArnLike={"iam:PolicyARN": MANAGED}, StringEquals=OURS),
    allow(["iam:CreateInstanceProfile", "iam:TagInstanceProfile"], PROFILE, StringEquals=NEW),
    allow("iam:AddRoleToInstanceProfile", PROFILE, StringEquals=OURS),
    allow("ec2:ImportKeyPair", KEY_PAIR, StringEquals=NEW),
    allow("ec2:CreateTags", KEY_PAIR, StringEquals={"ec2:CreateAction": "ImportKeyPair"}),
    allow(
        ["batch:CreateComputeEnvironment", "batch:CreateJobQueue", "batch:RegisterJobDefinition", "batch:TagResource"],
        [f"{BATCH}:compute-environment/compute-0", f"{BATCH}:job-queue/queue-0", f"{BATCH}:job-definition/*"],
        **{"StringEquals": NEW, "ForAllValues:StringLike": {"aws:TagKeys": ["reconciler/*"]}},
    ),
    allow(["batch:UpdateComputeEnvironment", "batch:UpdateJobQueue"], f"{BATCH}:*", StringEquals=OURS),
)


def passing(name: str, service: str) -> Statement:
    return allow("iam:PassRole", f"{IAM}:role/{name}", StringEquals={"iam:PassedToService": service})


@pytest.fixture
def acting(account: Account, monkeypatch: pytest.MonkeyPatch) -> object:
    """Commands typed as the session of a role, with a policy; the account's own credentials afterwards."""

    @contextmanager
    def session(name: str, *statements: Statement) -> Iterator[Account]:
        arn = role(boto3.client("iam"), name, *statements)
        held = keys(boto3.client("sts"), arn)
        with monkeypatch.context() as patch:
            for variable, value in held.items():
                patch.setenv(variable.upper(), value)
            yield account

    return session


def test_an_example_by_a_role_that_reads_and_a_role_that_writes(account: Account, acting: object) -> None:
    with acting("reader", READ) as reader:
        assert "Plan: 9 to create" in reader.reconcile("plan", EXAMPLE)
        refused = reader.shell("apply", EXAMPLE, "--auto-approve")
        assert refused.code == 4 and "allow ssm:PutParameter on parameter/reconcile/locks/*" in refused.err
    with acting("reader", READ, LOCK) as reader:
        refused = reader.shell("apply", EXAMPLE, "--auto-approve")
        assert refused.code in (1, 3) and "assumed-role/reader/me is not authorized to perform: " in refused.told
        assert any(
            f"{action} on resource: " in refused.told for action in ("iam:CreateRole", "batch:RegisterJobDefinition")
        )
    assert "Plan: 9 to create" in account.reconcile("plan", EXAMPLE), "nothing was made"

    with acting("writer", READ, LOCK, *WRITE) as writer:
        stopped = writer.shell("apply", EXAMPLE, "--auto-approve")
        assert stopped.code == 3
        assert (
            f"perform: iam:PassRole on resource: {IAM}:role/ecsInstanceRole because no identity-based" in stopped.told
        )
    nodes, service = (
        passing("ecsInstanceRole", "ec2.amazonaws.com"),
        passing("AWSBatchServiceRole", "batch.amazonaws.com"),
    )
    with acting("writer", READ, LOCK, *WRITE, nodes, service) as writer:
        writer.reconcile("apply", EXAMPLE, "--auto-approve")
        writer.converged(EXAMPLE)
    needed = {need.action for need in account.shell.account.checked}
    assert {"batch:CreateComputeEnvironment", "iam:PassRole", "ec2:CreateTags", "ssm:DeleteParameter"} <= needed

    with acting("writer", READ, LOCK, allow("batch:*"), deny("batch:DeleteJobQueue", StringEquals=OURS)) as writer:
        kept = writer.shell("apply", EXAMPLE, "--auto-approve", "--replace", "jobQueues.queue-0")
        assert kept.code == 3 and "batch:DeleteJobQueue on resource: " in kept.told
        assert "with an explicit deny in an identity-based policy" in kept.told
