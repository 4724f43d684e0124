"""What a preflight asks: by what is named together, and not by how many definitions name it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reconciler.render import preflight as rendered
from tests.stories.test_preflight import ECR, MANIFEST, TRUST, estate, job, put
from tests.support.plan_schema import valid_plan
from tests.support.shell import Shell

COUNTED = ("ecr", "logs", "iam")
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}


def logging(group: str) -> dict[str, Any]:
    return {"logDriver": "awslogs", "options": {"awslogs-group": group}}


def test_calls_follow_what_is_asked_about(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.go(tmp_path / "estate")
    session = shell.account.attach()
    ec2, iam, ecr, logs = (session.client(name, region_name="eu-west-1") for name in ("ec2", "iam", "ecr", "logs"))
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]][:2]
    (group, *_) = (one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"])
    trust = json.dumps(TRUST).replace("ec2.", "ecs-tasks.")
    iam.create_role(RoleName="starts", AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName="starts", PolicyName="logs", PolicyDocument=json.dumps(ALLOWED))
    for name in ("tools", "one", "two"):
        ecr.create_repository(repositoryName=name)
    for number in range(6):
        ecr.put_image(repositoryName="tools", imageManifest=json.dumps(MANIFEST), imageTag=f"{number}")
        logs.create_log_group(logGroupName=f"/there/{number}")
    ecr.put_image(repositoryName="one", imageManifest=json.dumps(MANIFEST), imageTag="1")
    role = {"executionRoleArn": "arn:aws:iam::123456789012:role/starts"}
    where = ("there", "gone")
    made = {
        **{f"tools-{n}": job(f"{ECR}/tools:{n}", logConfiguration=logging(f"/{where[n > 5]}/{n}"), **role) for n in range(8)},
        **{f"own-{n}": job(f"{ECR}/own:{n}") for n in range(12)},
        **{f"none-{n}": job(f"{ECR}/none-{n}:1") for n in range(12)},
        "one": job(f"{ECR}/one:1"),
        "two": job(f"{ECR}/two:1"),
    }  # fmt: skip
    put(shell, estate(subnets, group, **made) | {"repositories": {"own": {}}})

    def asked() -> tuple[dict[str, int], Any]:
        shell.account.calls.clear()
        found = shell("plan", "--preflight", "--format", "json")
        counts = Counter(f"{call.service}:{call.operation}" for call in shell.account.calls if call.service in COUNTED)
        return counts, valid_plan(found.json)

    counts, plan = asked()
    # tools together, one of which is missing, so all that are in it; one, and two; the own one and those that are not
    # there cost nothing
    assert counts["ecr:DescribeImages"] == 4
    assert counts["ecr:DescribeRepositories"] == 2  # the plan's own, and all
    assert counts["ecr:DescribePullThroughCacheRules"] == 0
    assert counts["logs:DescribeLogGroups"] == 1
    assert counts["iam:SimulatePrincipalPolicy"] <= 2
    rows = {(one["address"].split(".")[1], one["check"]): one for one in plan["preflight"] if not one["environment"]}
    images = {name: one["verdict"] for (name, check), one in rows.items() if check == "image"}
    assert images == {
        **{f"tools-{n}": ("fits", "cannot")[n > 5] for n in range(8)},
        **{f"own-{n}": "unknown" for n in range(12)},
        **{f"none-{n}": "cannot" for n in range(12)},
        "one": "fits",
        "two": "cannot",
    }
    assert [rows[f"tools-{n}", "logGroup"]["verdict"] for n in (0, 5, 6, 7)] == ["fits", "fits", "cannot", "cannot"]
    assert {rows[f"own-{n}", "image"]["message"] for n in range(12)} == {
        "apply creates repositories.own: push its images after that"
    }
    told = [one["message"] for one in plan["problems"] if "there is no repository" in one["message"]]
    assert told == [
        "there is no repository none-0 in the registry 123456789012; 11 more like this are in --format json"
    ]
    fitting = sum(one["verdict"] == "fits" for one in plan["preflight"])
    (line,) = (one for one in shell("plan", "--preflight").out.splitlines() if one.startswith("Preflight: "))
    assert line.startswith(f"Preflight: {fitting} checks fit, ")
    assert line.endswith(" unknown (see `--format json`).")

    monkeypatch.setattr(rendered, "MOST", 50)
    _, large = asked()
    left = {one["address"].split(".")[1]: one["omitted"] for one in large["preflight"] if one["check"] == "placement"}
    assert left["one"] > 0
    assert not [one for one in large["preflight"] if one["environment"] and one["verdict"] == "fits" and one["queue"]]
    assert len(large["preflight"]) + sum(left.values()) == len(plan["preflight"])
