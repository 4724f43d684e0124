"""`plan --check-permissions`: what the role that applies lacks is a problem of the plan, before anything is done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.permitted import ACCOUNT, REGION, Permitted, without
from tests.support.shell import Shell

DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/ci/deployer"
ENVIRONMENT: dict[str, Any] = {
    "environment": "prod",
    "account": ACCOUNT,
    "region": REGION,
    "topics": {"news": {}},
    "roles": {"job": {"trust": ["ecs-tasks.amazonaws.com"], "managedPolicies": ["ReadOnlyAccess"]}},
    "securityGroups": {"nodes": {}},
}


@pytest.fixture
def permitted(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Permitted:
    (tmp_path / "prod.yaml").write_text(json.dumps(ENVIRONMENT), encoding="utf-8")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    boto3.client("iam").create_role(RoleName="deployer", Path="/ci/", AssumeRolePolicyDocument=document)
    return Permitted(shell, monkeypatch)


def grant(policies: list[dict[str, Any]]) -> None:
    """The deployer has these policies and no others."""
    for number, document in enumerate(policies):
        boto3.client("iam").put_role_policy(
            RoleName="deployer", PolicyName=str(number), PolicyDocument=json.dumps(document)
        )


def test_each_permission_that_the_role_lacks_is_a_problem(permitted: Permitted, tmp_path: Path) -> None:
    shell, check = permitted.shell, ("plan", "prod.yaml", "--apply-role", DEPLOYER)
    policies = permitted.policies("prod.yaml", "--for", "apply", folder=tmp_path)
    grant(policies)
    found = shell.ok(*check)
    assert f"{DEPLOYER} has every permission that this plan needs." in found.err

    grant(without(without(policies, "sns:CreateTopic"), "iam:AttachRolePolicy"))
    found = shell(*check, "--out", "prod.plan")
    assert found.code == 1
    assert f"{DEPLOYER} has no permission for sns:CreateTopic on arn:aws:sns:{REGION}:{ACCOUNT}:news" in found.told
    assert f"{DEPLOYER} has no permission for iam:AttachRolePolicy on arn:aws:iam::{ACCOUNT}:role/job" in found.told
    assert found.told.count("error[missing-permission]") == 2
    assert "`reconcile permissions ENV --for apply` prints the policy" in found.told, "there is no plan file"
    assert not (tmp_path / "prod.plan").exists()
    document = shell(*check, "--format", "json").json
    assert {one["code"] for one in document["problems"]} == {"missing-permission"}

    deny = {"Effect": "Deny", "Action": "ec2:CreateSecurityGroup", "Resource": "*"}
    grant([*policies, {"Version": "2012-10-17", "Statement": [deny]}])
    denied = f"{DEPLOYER} is explicitly denied ec2:CreateSecurityGroup on"
    assert denied in shell(*check).told
    (tmp_path / "prod.yaml").write_text(json.dumps({**ENVIRONMENT, "roleArn": DEPLOYER}), encoding="utf-8")
    asking = {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"}
    grant([*policies, {"Version": "2012-10-17", "Statement": [deny, asking]}])
    assert denied in shell("plan", "prod.yaml", "--apply-role", f"{DEPLOYER}2").told, "it assumes that role"


def test_the_caller_is_checked_by_default(permitted: Permitted, tmp_path: Path) -> None:
    found = permitted.shell("plan", "prod.yaml", "--check-permissions")
    assert found.code == 1
    assert "error[permissions-unknown]" in found.told
    assert "pass --apply-role with the ARN of the role that applies" in found.told
    unknown = ("plan", "prod.yaml", "--apply-role", f"{DEPLOYER}2", "--format", "json", "--format", "markdown=plan.md")
    shown = permitted.shell.ok(*unknown).json
    ((code, severity),) = {(one["code"], one["severity"]) for one in shown["problems"]}
    assert (code, severity) == ("permissions-unknown", "warning") and "NoSuchEntity" in Path("plan.md").read_text()
    found = permitted.shell(*unknown, "--check-permissions")
    assert found.code == 1 and "NoSuchEntity" in found.told and "has every permission" not in found.told

    policies = permitted.policies("prod.yaml", "--for", "plan", folder=tmp_path)
    found = permitted.run(policies, "plan", "prod.yaml", "--check-permissions")
    assert found.code == 1
    assert "allow iam:SimulatePrincipalPolicy" in found.told
    asking = {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"}
    found = permitted.run(
        [*policies, {"Version": "2012-10-17", "Statement": [asking]}], *("plan", "prod.yaml"), "--check-permissions"
    )
    assert found.code == 1
    assert "user/somebody-" in found.told
    lines = [line.partition(" has no permission for ")[2] for line in found.told.splitlines()]
    services = [{*re.findall(r"\b([a-z0-9]+):[A-Z]", line.partition(" on ")[0])} for line in lines if line]
    assert sorted(map(sorted, services)) == [["ec2"], ["iam"], ["sns"], ["ssm"]], "one problem for each service"
    assert "2 actions: ec2:CreateSecurityGroup (2 resources), ec2:CreateTags" in lines
