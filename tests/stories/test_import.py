"""Accounts that were made by something, imported: the YAML is short, and a plan of it finds nothing to change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import boto3
import pytest

from reconciler.operations.importing import select
from tests.support.examples import ROOT, SECRETS
from tests.support.imported import adopted, forget
from tests.support.long import some
from tests.support.others import EXECUTION, MADE, role
from tests.support.shell import Shell

EXAMPLES = sorted(path.parent.name for path in ROOT.glob("environments/*/environment.yaml"))
PASSWORD = "hunter2-and-more"


@pytest.mark.parametrize("name", some(EXAMPLES, 6, 5))
def test_an_example_is_imported(shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    shutil.copytree(ROOT / "environments" / name, name)
    shell.ok("apply", name, "-y")
    forget()
    what = ("--name", "*") if name == "ci-roles" else ("--all",)
    found = shell.ok("import", "again", *what)
    assert "warning" not in found.told and "left out" not in found.told
    adopted(shell, "again")


def text(env: str) -> str:
    return "".join(path.read_text("utf-8") for path in sorted(Path(env).glob("*.yaml")))


def test_what_the_cli_made(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    MADE["cli"](lambda: shell.account.clock.advance(1e4))
    shell.secrets.add(PASSWORD)
    found = shell.ok("import", "mine", "--name", "gpu-*", "--kind", "jobQueues")
    assert "there is a secret in plain text in jobDefinitions.train (containerProperties.environment." in found.err
    assert "next: export DB_PASSWORD=..." in found.out and PASSWORD not in text("mine")

    yaml = text("mine")
    for line in (
        "serviceRole: AWSBatchServiceRole",
        "instanceRole: ecsInstanceRole",
        "securityGroupIds: [gpu-nodes]",
        'subnets: "${lookups.subnets}"',
        "launchTemplate: {launchTemplateId: gpu-template}",
        "- {order: 5, computeEnvironment: gpu-spot}",
        'jobDefinition: "${jobDefinitions.train.arn}"',
        "executionRoleArn: job",
        '- "${jobQueues.gpu-queue.arn}"',
        '- "${jobDefinitions.train.arnPrefix}:*"',
        '- "arn:aws:s3:::data/$${aws:username}/*"',
        'value: "s3://data/$${X}"',
        'value: "${env:DB_PASSWORD}"',
        "echo $${HOME}",
        "image: train:2",
        "- {groupId: gpu-nodes}",
        "trust: [batch.amazonaws.com]",
    ):
        assert line in yaml, line
    for noise in (
        "desiredvCpus",
        "bidPercentage",
        "state: ENABLED",
        "privileged",
        "propagateTags",
        "ulimits",
        "egress",
    ):
        assert noise not in yaml, noise
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    adopted(shell, "mine")


def test_what_terraform_made(shell: Shell) -> None:
    MADE["terraform"](lambda: shell.account.clock.advance(1e4))
    found = shell.ok("import", "mine", "--tag", "Terraform=true", "--format", "json", "--single-file")
    assert list(found.json["files"]) == ["environment.yaml"] and found.json["left_out"] == []
    names = {one["address"]: one["physical_name"] for one in found.json["resources"]}
    assert names["computeEnvironments.tf-fargate-20260101120000000100000003"].startswith("tf-fargate")
    yaml = text("mine")
    assert 'jobQueue: ["${jobQueues.tf-queue.arn}"]' in yaml and "awslogs-group: /tf/jobs" in yaml
    assert "platformVersion" not in yaml and "policy:" not in yaml and "path:" not in yaml
    adopted(shell, "mine")


def test_what_cloudformation_made(shell: Shell) -> None:
    MADE["cloudformation"](lambda: shell.account.clock.advance(1e4))
    store = shell.account.batch("eu-west-1")._store
    for row in (*store.environments, *store.queues, *store.definitions):
        row.tags["aws:cloudformation:stack-name"] = "render"  # which no client can set
    shell.ok("import", "mine", "--all")
    yaml = text("mine")
    assert "cloudformation" not in yaml and "tags: {owner: film}" in yaml
    assert "# no look-up finds exactly these: neither a VPC nor a tag" in yaml
    assert 'securityGroupIds: ["${lookups.default-group}"]' in yaml
    adopted(shell, "mine")


def test_importing_into_an_environment(shell: Shell) -> None:
    """What is declared stays as it is; what is new is added, with its names."""
    boto3.client("logs").create_log_group(logGroupName="/x/one")
    boto3.client("logs").create_log_group(logGroupName="app-two")
    boto3.client("logs").create_log_group(logGroupName="other")
    Path("site").mkdir()
    settings = "environment: site\nregion: eu-west-1\nnamePrefix: app-\n"
    before = f"{settings}# ours\nlogGroups:\n  /x/one: {{}}   # the first\n"
    Path("site/environment.yaml").write_text(before, "utf-8")

    tried = shell.ok("import", "site", "--kind", "logGroups", "--dry-run")
    assert "+  two: {}" in tried.out and "--- a/environment.yaml" in tried.out and "-" not in tried.out.split("@@")[-1]
    assert Path("site/environment.yaml").read_text("utf-8") == before
    found = shell.ok("import", "site", "--kind", "logGroups", "--format", "json")
    assert found.json["left_out"][0]["why"].startswith(
        'already declared as logGroups["/x/one"], at environment.yaml:6:'
    )
    assert [one["address"] for one in found.json["resources"]] == ["logGroups.other", "logGroups.two"]
    after = Path("site/environment.yaml").read_text("utf-8")
    assert after.startswith(before.rstrip()) and "logGroupName: other" in after
    adopted(shell, "site")
    again = shell.ok("import", "site", "--kind", "logGroups")
    assert "Nothing was added" in again.out


def test_what_cannot_be_imported_is_said(shell: Shell) -> None:
    sns, events = boto3.client("sns"), boto3.client("events")
    sns.create_topic(Name="theirs", Tags=[{"Key": "reconciler/environment", "Value": "prod"}])
    events.put_rule(Name="aimless", ScheduleExpression="rate(1 day)")
    found = shell.ok("import", "mine", "--name", "theirs", "--name", "aimless", "--format", "json")
    assert found.json["left_out"] == [{"section": "topics", "name": "theirs", "why": "belongs to the environment prod"}]
    assert [one["address"] for one in found.json["resources"]] == ["eventRules.aimless"]

    for wrong, said in (
        (("mine",), "import needs to know what"),
        (("mine", "--kind", "jobQueue"), "there is no section jobQueue"),
        (("mine", "--tag", "team"), "--tag team has no value"),
        (("mine", "--all", "--kind", "topics"), "--all cannot be combined with --kind"),
        (("mine", "--all", "--environment", "other"), "the environment at mine is called mine"),
        (("new", "--all", "--environment", "No Name"), "cannot name an environment"),
        (("new", "--name", "nothing-is-called-this"), "nothing in account 123456789012, eu-west-1"),
    ):
        refused = shell("import", *wrong, "--format", "json")
        assert refused.code == 1 and said in json.dumps(refused.json["problems"]), refused.told


@pytest.mark.parametrize("few", [300, pytest.param(0, marks=pytest.mark.long)])
def test_how_far_references_are_followed(shell: Shell, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(select, "FEW", few)  # with many objects, those that refer to others are found by these
    MADE["cli"](lambda: shell.account.clock.advance(1e4))

    def names(*words: str) -> set[str]:
        found = shell.ok("import", "new", "--dry-run", "--format", "json", *words)
        return {one["address"] for one in found.json["resources"]}

    queue = ("--kind", "jobQueues", "--name", "gpu-queue")
    assert names(*queue, "--depth", "0") == {"jobQueues.gpu-queue"}
    one = {"jobQueues.gpu-queue", "computeEnvironments.gpu-spot", "eventRules.nightly", "roles.job"}
    assert one <= names(*queue, "--depth", "1") | {"roles.job"}
    assert "instanceProfiles.ecsInstanceRole" not in names(*queue, "--depth", "1")
    assert {"jobDefinitions.train", "roles.starter", "instanceProfiles.ecsInstanceRole"} <= names(*queue)


def test_what_cannot_be_read_is_a_warning(shell: Shell) -> None:
    MADE["terraform"](lambda: shell.account.clock.advance(1e4))
    for service, operation in (("iam", "*"), ("tagging", "*"), ("events", "List*"), ("ec2", "DescribeVpcs")):
        shell.account.faults.add(service=service, operation=operation, deny=True, times=0)
    found = shell.ok("import", "mine", "--tag", "Terraform=tr*")
    for section in ("roles", "policies", "instanceProfiles", "eventRules"):
        assert f"warning: {section} could not be read: " in found.err
    yaml = text("mine")
    assert "roles:" not in yaml and "executionRoleArn: arn:aws:iam::123456789012:role/tf-execution" in yaml
    assert "vpcId: vpc-" in yaml
    shell.account.faults.clear()
    adopted(shell, "mine")


def test_schedules_of_the_group_that_nobody_can_own(shell: Shell) -> None:
    role("scheduler", "scheduler.amazonaws.com", EXECUTION)
    shell.account.clock.advance(1e4)
    topic = boto3.client("sns").create_topic(Name="alerts")["TopicArn"]
    scheduler = boto3.client("scheduler")
    target = {"Arn": topic, "RoleArn": "arn:aws:iam::123456789012:role/scheduler"}
    for group in ("default", "jobs"):
        if group != "default":
            scheduler.create_schedule_group(Name=group)
        scheduler.create_schedule(
            Name=f"in-{group}",
            GroupName=group,
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=target,
        )
    found = shell.ok("import", "mine", "--kind", "schedules")
    assert "left out: schedules.in-default: " in found.err
    assert "groupName: jobs" in text("mine") and "scheduleGroups:\n  jobs: {}" in text("mine")
    adopted(shell, "mine")
