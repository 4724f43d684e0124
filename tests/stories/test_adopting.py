"""What is found in the account, and said before it is adopted: its state, the extra steps, and what nobody can compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.shell import Shell

SETTINGS = "environment: site\nregion: eu-west-1\n"


def declare(**sections: Any) -> None:
    lines = [f"{section}: {json.dumps(named)}\n" for section, named in sections.items()]
    Path("environment.yaml").write_text(SETTINGS + "".join(lines), "utf-8")


def workers(role: str | None = None, most: int = 4) -> dict[str, Any]:
    ec2 = boto3.client("ec2")
    place = {
        "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroupIds": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    made: dict[str, Any] = {"type": "MANAGED"}
    made["computeResources"] = {"type": "FARGATE", "maxvCpus": most, **place}
    return made | ({"serviceRole": role} if role else {})


def found(shell: Shell, *words: str) -> tuple[str, str, list[str], str]:
    """What the plan says of the first resource: action, reason, notes; and the last line of its text."""
    plan = shell("plan", "--adopt", "--format", "json", *words).json
    (entry,) = plan["resource_changes"]
    last = shell("plan", "--adopt", *words).out.rstrip().rpartition("\n")[2]
    return entry["action"], entry["action_reason"], entry["notes"], last


def test_an_environment_is_adopted_as_it_is_found(shell: Shell) -> None:
    batch = boto3.client("batch")
    role = "arn:aws:iam::123456789012:role/gone"
    batch.create_compute_environment(computeEnvironmentName="ce", **workers(role))
    declare(computeEnvironments={"ce": workers(role)})
    action, reason, notes, _ = found(shell)
    assert (action, reason) == ("adopt", "exists and is adopted; it is CREATING")
    assert notes == ["apply waits until this has ended"]

    shell.account.clock.advance(1e4)
    action, reason, notes, _ = found(shell)
    assert action == "adopt" and reason.startswith("exists and is adopted; it is INVALID: CLIENT_ERROR - ")
    assert notes == ["its settings are sent again, so that AWS checks it again"]
    refused = shell("plan")
    assert "a compute environment of this name exists (INVALID: CLIENT_ERROR - " in refused.err + refused.out

    declare(computeEnvironments={"ce": workers(role, most=8)})
    action, reason, notes, _ = found(shell)
    assert "it is INVALID: CLIENT_ERROR - " in reason and notes == []

    batch.update_compute_environment(computeEnvironment="ce", state="DISABLED")
    shell.account.clock.advance(1e4)
    iam = boto3.client("iam")
    trust = {"Principal": {"Service": "batch.amazonaws.com"}, "Effect": "Allow", "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="gone", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    iam.attach_role_policy(RoleName="gone", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole")
    shell.account.clock.advance(1e4)
    batch.delete_compute_environment(computeEnvironment="ce")
    action, reason, notes, _ = found(shell)
    assert (action, reason) == ("create", "ce is DELETING; it is created after that one is deleted")


def test_a_status_is_no_change(shell: Shell) -> None:
    """Nothing differs while AWS is at work: a plan finds nothing, and an apply waits for the end."""
    declare(computeEnvironments={"ce": workers()})
    shell.ok("apply", "-y")
    shell.account.change({"environment_scaling": 30})
    boto3.client("batch").update_compute_environment(computeEnvironment="ce", computeResources={"maxvCpus": 4})

    plan = shell("plan", "--detailed-exitcode", "--format", "json")
    assert plan.code == 0
    (entry,) = plan.json["resource_changes"]
    assert (entry["action"], entry["steps"], entry["change"]["actions"]) == ("noop", [], ["no-op"])
    assert plan.json["applyable"] is False and plan.json["summary"]["noop"] == 1
    assert entry["notes"][0].startswith("is UPDATING") and entry["notes"][0].endswith(
        "apply waits until this has ended"
    )
    text = shell.ok("plan").out
    assert "note: is UPDATING" in text and text.rstrip().endswith("No changes. The account matches the environment.")
    done = shell.ok("apply")  # nobody has to approve a wait
    assert "no changes" in done.out
    assert boto3.client("batch").describe_compute_environments()["computeEnvironments"][0]["status"] == "VALID"
    assert "note:" not in shell.ok("plan").out


def test_what_ends_badly_is_waited_for_and_not_repaired_without_approval(shell: Shell) -> None:
    role = "arn:aws:iam::123456789012:role/gone"
    tags = {"reconciler/environment": "site"}
    boto3.client("batch").create_compute_environment(computeEnvironmentName="ce", tags=tags, **workers(role))
    declare(computeEnvironments={"ce": workers(role)})
    assert shell("plan", "--detailed-exitcode").code == 0
    shell.writes()
    ended = shell("apply")

    assert ended.code == 3 and "INVALID" in ended.out, ended.told
    assert not [call for call in shell.writes() if call.startswith("batch:")]
    again = shell("plan", "--detailed-exitcode")
    assert again.code == 2 and "is INVALID: CLIENT_ERROR" in again.out
    assert "its settings are sent again, so that AWS checks it again" in again.out


def test_a_secret_is_never_said_to_match_where_its_value_cannot_be_compared(shell: Shell) -> None:
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="db", SecretString="theirs")
    declare(secrets={"db": {"value": "ours"}})
    action, reason, notes, _ = found(shell)
    assert (action, reason) == ("adopt", "exists and is adopted")
    assert notes == [
        "its value was written outside reconcile and cannot be compared; it is kept until the declared one changes"
    ]
    shell.ok("apply", "--adopt", "-y")
    for told in (shell.ok("plan").out, shell.ok("plan", "--format", "markdown").out, shell.ok("apply", "-y").out):
        assert "matches the environment" not in told
        assert "No changes. 1 live value cannot be compared with what is declared (see the notes)." in told
    lines = shell.ok("apply", "-y", "--format", "json").lines
    assert "cannot be compared" in lines[-1]["@message"]
    assert shell("plan", "--detailed-exitcode").code == 0
    declare(secrets={"db": {"value": "new"}})
    shell.ok("apply", "-y")
    assert shell.ok("plan").out.rstrip().endswith("The account matches the environment.")


def test_a_secret_that_is_scheduled_for_deletion_is_adopted_as_one(shell: Shell) -> None:
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="db", SecretString="theirs")
    secrets.delete_secret(SecretId="db")
    declare(secrets={"db": {"value": "ours"}})

    action, reason, _, _ = found(shell)
    assert (action, reason) == ("adopt", "exists and is adopted; it is scheduled for deletion and is restored")
    assert "a secret of this name exists (scheduled for deletion) and no environment owns it" in shell("plan").told
    shell.ok("apply", "--adopt", "-y")
    assert "DeletedDate" not in secrets.describe_secret(SecretId="db")


@pytest.mark.parametrize("name", ["ce-copy", "a-copy"])
def test_a_copy_made_in_the_console_is_not_taken_for_the_original(shell: Shell, name: str) -> None:
    """With the same tags, and as wanted, while what the queue uses has yet to be changed."""
    queue = {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "ce"}]}
    declare(computeEnvironments={"ce": workers()}, jobQueues={"q": queue})
    shell.ok("apply", "-y")
    tags = {"reconciler/environment": "site", "reconciler/name": "ce"}
    boto3.client("batch").create_compute_environment(computeEnvironmentName=name, tags=tags, **workers(most=8))
    shell.account.clock.advance(1e4)
    declare(computeEnvironments={"ce": workers(most=8)}, jobQueues={"q": queue})

    entries = {entry["name"]: entry for entry in shell("plan", "--format", "json").json["resource_changes"]}
    assert (entries["ce"]["physical_name"], entries["ce"]["action"]) == ("ce", "update")
    assert entries["ce"]["notes"] == [
        f"{name} has the same tags, and is deleted: owned by tag only; not created under this name by this tool"
    ]
    assert entries["q"]["action"] == "noop"
    shell.ok("apply", "-y")
    there = boto3.client("batch").describe_compute_environments()["computeEnvironments"]
    (left,) = [one for one in there if one["status"] != "DELETED"]
    assert (left["computeEnvironmentName"], left["computeResources"]["maxvCpus"]) == ("ce", 8)


def test_what_describe_prints_is_the_environment(shell: Shell) -> None:
    """README and docs/adopting.md: each list becomes a mapping by name, as jq's INDEX makes it, and nothing else."""
    batch = boto3.client("batch")
    batch.create_compute_environment(computeEnvironmentName="ce", tags={"team": "hpc"}, **workers())
    shell.account.clock.advance(60)
    order = [{"order": 1, "computeEnvironment": "ce"}]
    batch.create_job_queue(jobQueueName="q", priority=5, computeEnvironmentOrder=order)
    for command in ("old", "new"):
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
        container = {"image": "busybox", "command": [command], "resourceRequirements": needs}
        batch.register_job_definition(jobDefinitionName="jd", type="container", containerProperties=container)
    shell.account.clock.advance(60)

    Path("environment.yaml").write_text("environment: mine\n", "utf-8")
    revisions = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    for section, name, printed in (
        ("computeEnvironments", "computeEnvironmentName", batch.describe_compute_environments()["computeEnvironments"]),
        ("jobQueues", "jobQueueName", batch.describe_job_queues()["jobQueues"]),
        ("jobDefinitions", "jobDefinitionName", sorted(revisions, key=lambda one: one["revision"])),
    ):
        by_name = {section: {item[name]: item for item in printed}}
        Path(f"{section}.yaml").write_text(json.dumps(by_name, indent=2), "utf-8")
    entries = shell("plan", "--adopt", "--format", "json").json["resource_changes"]
    adopted = {one["address"]: (one["action"], [d["path"] for d in one["differences"]]) for one in entries}
    assert sorted(adopted) == ["computeEnvironments.ce", "jobDefinitions.jd", "jobQueues.q"]
    assert all(one == ("adopt", ["tags.reconciler/environment"]) for one in adopted.values())
    shell("apply", "--adopt", "--auto-approve")
    assert "No changes." in shell("plan").out
    assert len(batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]) == 2
