"""Accounts that were made by something, imported: the YAML is short, and a plan of it finds nothing to change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import boto3
import pytest
from jsonschema import Draft202012Validator

from reconciler.operations.importing import select
from reconciler.schema import registry
from tests.support.examples import ROOT, SECRETS
from tests.support.imported import adopted, forget
from tests.support.long import some
from tests.support.others import BATCH, EXECUTION, MADE, role
from tests.support.shell import Shell

EXAMPLES = sorted(path.parent.name for path in ROOT.glob("environments/*/environment.yaml"))
PASSWORD = "hunter2-and-more"


@pytest.mark.parametrize("name", some(EXAMPLES, 12, 11))
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
    schema = json.loads((registry.directory() / "import.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(found.json)
    assert list(found.json["files"]) == ["environment.yaml"] and found.json["left_out"] == []
    names = {one["address"]: one["physical_name"] for one in found.json["resources"]}
    assert names["computeEnvironments.tf-fargate-20260101120000000100000003"].startswith("tf-fargate")
    yaml = text("mine")
    assert 'jobQueue: ["${jobQueues.tf-queue.arn}"]' in yaml and "awslogs-group: /tf/jobs" in yaml
    assert "platformVersion" not in yaml and "policy:" not in yaml and "path:" not in yaml
    assert "valueFrom: '${secrets[\"tf/db\"].arn}:password::'" in yaml and '"efs: mounts (tf)":' in yaml
    assert "TracingConfig" not in yaml and "{protocol: email, endpoint: ops@example.com}" in yaml
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
        (("new", "--name", "theirs"), "topics.theirs cannot be imported: belongs to the environment prod"),
        (("new", "--name", "theirs"), "nothing else matches: check --name, --kind and --tag"),
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
    shell.ok("import", "alone", "--kind", "jobDefinitions", "--kind", "computeEnvironments", "--depth", "0")
    yaml = text("alone")
    assert 'jobRoleArn: "${lookups.job}"' in yaml and "job: {role: job}" in yaml
    assert "instanceRole: ecsInstanceRole" in yaml and 'securityGroupIds: ["${lookups.gpu-nodes-group}"]' in yaml
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    adopted(shell, "alone")


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


@pytest.mark.long
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


def test_what_was_left_over_the_years(shell: Shell) -> None:
    MADE["hand"](lambda: shell.account.clock.advance(1e4))
    found = shell.ok("import", "mine", "--all")
    assert "warning: computeEnvironments.broken is INVALID: " in found.err
    assert "left out: computeEnvironments.spot: computeResources.spotIamFleetRole: the account has no" in found.err
    yaml = text("mine")
    for line in (
        "permissionsBoundary: boundary",
        "Resource: arn:aws:iam::123456789012:role/hpc/worker",
        '"aws:ResourceTag/$${aws:PrincipalTag/by}": "$${aws:PrincipalTag/team}"',
        "path: /hpc/",
        "instanceRole: worker-profile",
        "version: $Latest",
        "state: DISABLED",
        "numNodes: 4",
        "# this revision, which is not the latest, and no later one",
        "job-definition/mpi:1",
    ):
        assert line in yaml, line
    assert "ebsOptimized: true" in yaml and "monitoring" not in yaml
    role("gone", "batch.amazonaws.com", BATCH)  # adopting repairs what does not work
    shell.account.clock.advance(1e4)
    adopted(shell, "mine")


@pytest.mark.long
def test_importing_into_a_file_and_into_an_overlay(shell: Shell) -> None:
    boto3.client("logs").create_log_group(logGroupName="app-one")
    boto3.client("logs").create_log_group(logGroupName="prod-two")
    Path("site.yaml").write_text("environment: site\nregion: eu-west-1\ntags: {who: '${env:NOT_SET:-me}'}\n", "utf-8")
    found = shell.ok("import", "site.yaml", "--name", "app-*")
    assert "warning: logGroups.app-one: a plan would change tags.who" in found.err  # every resource gets these tags
    assert (
        Path("site.yaml")
        .read_text("utf-8")
        .endswith("logGroups:\n  # a plan would change this: tags.who\n  app-one: {}\n")
    )
    shell.ok("validate", "site.yaml")

    for name, settings in (("base", "region: eu-west-1\nnamePrefix: prod-\n"), ("prod", "extends: ../base\n")):
        Path("environments", name).mkdir(parents=True)
        Path("environments", name, "environment.yaml").write_text(f"environment: {name}\n{settings}", "utf-8")
    found = shell.ok("import", "prod", "--name", "prod-*")
    assert sorted(path.name for path in Path("environments").iterdir()) == ["base", "prod"]
    assert "two: {}" in text("environments/prod")
    adopted(shell, "prod")


def test_networks_are_looked_up_where_a_look_up_finds_exactly_them(shell: Shell) -> None:
    ec2, batch = boto3.client("ec2"), boto3.client("batch")

    def tags(**named: str) -> list[dict[str, str]]:
        return [{"Key": name, "Value": value} for name, value in named.items()]

    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=tags(Name="hpc main"))
    subnets = {}
    for number, (name, tier) in enumerate((("a", "private"), ("b", "private"), ("c", "public"))):
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.1.{number}.0/24")["Subnet"]["SubnetId"]
        ec2.create_tags(Resources=[made], Tags=tags(Name=name, tier=tier))
        subnets[name] = made
    files = boto3.client("efs").create_file_system(CreationToken="data", Tags=tags(Name="data"))["FileSystemId"]
    batch.register_job_definition(
        jobDefinitionName="mounts",
        type="container",
        containerProperties={
            "image": "busybox",
            "vcpus": 1,
            "memory": 128,
            "volumes": [{"name": "data", "efsVolumeConfiguration": {"fileSystemId": files}}],
        },
    )
    kms = boto3.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/batch", TargetKeyId=key)
    boto3.client("logs").create_log_group(logGroupName="/x/secret", kmsKeyId=key)
    group = ec2.create_security_group(GroupName="nodes", Description="d", VpcId=vpc)["GroupId"]
    for name, where in (("tagged", "ab"), ("named", "c"), ("every", "abc"), ("literal", "ac")):
        batch.create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            computeResources={
                "type": "FARGATE",
                "maxvCpus": 4,
                "subnets": [subnets[one] for one in where],
                "securityGroupIds": [group],
            },
        )
    shell.account.clock.advance(1e4)
    kinds = ("--kind", "computeEnvironments", "--kind", "jobDefinitions", "--kind", "logGroups")
    found = shell.ok("import", "mine", *kinds, "--depth", "0", "--single-file")
    assert "left out" not in found.told
    yaml = text("mine")
    for line in (
        "vpc-hpc-main:",
        "fileSystem: {tags: {Name: data}}",
        'fileSystemId: "${lookups.data-files}"',
        "batch-key: {kmsKey: alias/batch}",
        'kmsKeyId: "${lookups.batch-key}"',
        "vpc: {tags: {Name: hpc main}}",
        'subnets: "${lookups.private-subnets}"',
        'subnets: "${lookups.c-subnets}"',
        'subnets: "${lookups.vpc-hpc-main-subnets}"',
        "# no look-up finds exactly these: neither a VPC nor a tag",
        'securityGroupIds: ["${lookups.vpc-hpc-main-nodes-group}"]',
    ):
        assert line in yaml, yaml
    adopted(shell, "mine")


def test_the_name_of_nothing_is_written_as_an_arn(shell: Shell) -> None:
    """AWS does not mind a schedule of a definition that was deregistered; a plain name would have to exist."""
    role("scheduler", "scheduler.amazonaws.com", EXECUTION)
    shell.account.clock.advance(1e4)
    scheduler = boto3.client("scheduler")
    scheduler.create_schedule_group(Name="jobs")
    queue = "arn:aws:batch:eu-west-1:123456789012:job-queue/gone"
    target = {
        "Arn": "arn:aws:scheduler:::aws-sdk:batch:submitJob",
        "RoleArn": "arn:aws:iam::123456789012:role/scheduler",
        "Input": json.dumps({"JobName": "nightly", "JobQueue": queue, "JobDefinition": "gone"}),
    }
    rest = {"GroupName": "jobs", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"}}
    scheduler.create_schedule(Name="nightly", Target=target, **rest)
    found = shell.ok("import", "mine", "--kind", "schedules")
    assert "left out" not in found.err
    yaml = text("mine")
    assert "# there is no job definition gone in the account" in yaml
    assert "jobDefinition: arn:aws:batch:eu-west-1:123456789012:job-definition/gone" in yaml
    adopted(shell, "mine")
