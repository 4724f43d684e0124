"""Tasks that cannot start, in the words of AWS: images, roles, secrets and log groups.

The cases cite the reference, `operating.md` 1.4, or the public place of a text.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.sandbox import site

CASES = yaml.safe_load((Path(__file__).parents[1] / "data/sandbox/task_starts.yaml").read_text())


def test_what_keeps_a_task_from_starting_is_told_as_aws_tells_it(sandbox: Any) -> None:
    site.built(sandbox)
    secrets = furnished(sandbox)

    def filled(text: str) -> str:
        for name, arn in secrets.items():
            text = text.replace(f"SECRET/{name}", arn)
        return text.replace("ECR/", f"{site.ECR}/").replace("ROLE/", f"{site.ROLE}/")

    jobs = {}
    for case in CASES:
        given = site.container(case["platform"], **json.loads(filled(json.dumps(case["container"]))))
        definition = {"type": "container", "containerProperties": given}
        jobs[case["name"]] = site.submit(sandbox, case["platform"], case["name"], definition=definition)
    sandbox.advance(600)

    for case in CASES:
        job = site.described(sandbox, jobs[case["name"]])
        (attempt,) = job["attempts"]
        if case.get("starts"):
            assert (job["status"], job.get("statusReason")) == ("SUCCEEDED", "Essential container in task exited"), case
            continue
        assert job["status"] == "FAILED", case
        assert "startedAt" not in attempt and "logStreamName" not in attempt["container"], case
        assert alike(filled(case["statusReason"]), attempt["statusReason"]), (case, attempt)
        assert (
            alike(filled(case["reason"]), attempt["container"]["reason"])
            if "reason" in case
            else ("reason" not in attempt["container"])
        ), (case, attempt)
        assert len(attempt["container"].get("reason", "")) <= 255


def test_a_script_says_how_a_job_ends_and_its_image_is_taken_to_be_there(sandbox: Any) -> None:
    """Reasons that a script gives for a start that fails are those of an attempt that never ran."""
    site.built(sandbox)
    sandbox.client("ecr").create_repository(repositoryName="tools")
    reason = "CannotPullContainerError: no"
    pulled = {"exitCode": 0, "seconds": 1}
    sandbox.change({"outcomes": {"scripted": [{"reason": reason, "statusReason": "Task failed to start"}, pulled]}})
    image = site.container("ec2", image=f"{site.ECR}/tools:1")
    definition = {"type": "container", "containerProperties": image, "retryStrategy": {"attempts": 2}}
    scripted = site.submit(sandbox, "ec2", "scripted", definition=definition)
    by_itself = site.submit(sandbox, "ec2", "by-itself", definition=definition)
    sandbox.advance(600)

    job = site.described(sandbox, scripted)
    assert [("startedAt" in one, one["container"].get("reason")) for one in job["attempts"]] == [
        (False, reason),
        (True, None),
    ]
    assert job["status"] == "SUCCEEDED"
    assert len(site.described(sandbox, by_itself)["attempts"]) == 2


def furnished(sandbox: Any) -> dict[str, str]:
    """What the cases need; the ARNs of the secrets by name."""
    sandbox.change({"unreachable_collectors": ["gone.example.com"]})
    login = site.allow("ecr:GetAuthorizationToken", "logs:*")
    conditional = site.allow("ecr:*", "logs:*", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})
    site.role(sandbox, "bare", "ecs-tasks.amazonaws.com")
    site.role(sandbox, "login", "ecs-tasks.amazonaws.com", login=login)
    site.role(sandbox, "conditional", "ecs-tasks.amazonaws.com", conditional=conditional)
    sandbox.client("ecr").create_repository(repositoryName="tools")
    for tag, platforms in (("1", []), ("arm", ["linux/arm64"]), ("both", ["linux/arm64", "linux/amd64"])):
        sandbox.push(f"{site.ECR}/tools:{tag}", platforms)
    secrets = sandbox.client("secretsmanager")
    made = {"db": secrets.create_secret(Name="db", SecretString='{"user": "u"}')["ARN"]}
    made["empty"] = secrets.create_secret(Name="empty")["ARN"]
    sandbox.client("ssm").put_parameter(Name="/there", Value="v", Type="String")
    sandbox.client("logs").create_log_group(logGroupName="/mine")
    return made


def alike(expected: str, told: str) -> bool:
    """INSTANCE and TASK stand for ids; of texts that are cut at 255 characters the beginning is expected."""
    pattern = re.escape(expected).replace("INSTANCE", "i-[0-9a-f]{17}").replace("TASK", "[0-9a-f]{32}")
    return (re.match if len(told) == 255 else re.fullmatch)(pattern, told) is not None
