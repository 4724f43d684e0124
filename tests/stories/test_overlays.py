"""dev, stage and prod of one base in one account and two Regions, and what a change of names does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.shell import Shell

BASE = """\
variables: {level: none}
namePrefix: "${environment}-"
tags: {level: "${var.level}"}
lookups:
  vpc: {vpc: {default: true}}
  subnets: {subnets: {vpcId: "${lookups.vpc}"}}
roles:
  job: {trust: [ecs-tasks.amazonaws.com], inlinePolicies: {logs: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "logs:*", Resource: "${logGroups.jobs.arn}"}]}}}
  instance: {trust: [ec2.amazonaws.com], managedPolicies: [shared, service-role/AmazonEC2ContainerServiceforEC2Role]}
policies:
  shared: {policyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:Get*", Resource: "*"}]}}
instanceProfiles:
  instance: {role: instance}
securityGroups:
  workers: {description: workers, vpcId: "${lookups.vpc}"}
launchTemplates:
  disk: {launchTemplateData: {ebsOptimized: true}}
secrets:
  app/token: {value: {name: "${secrets['app/token'].name}"}}
topics:
  alerts: {}
logGroups:
  jobs: {retentionInDays: 7}
repositories:
  app: {}
schedulingPolicies:
  fair: {fairsharePolicy: {shareDecaySeconds: 60}}
computeEnvironments:
  workers:
    type: MANAGED
    computeResources:
      type: EC2
      minvCpus: 0
      maxvCpus: 8
      instanceTypes: [m5.large]
      instanceRole: instance
      launchTemplate: {launchTemplateName: disk}
      subnets: "${lookups.subnets}"
      securityGroupIds: [workers]
jobQueues:
  main:
    priority: 1
    schedulingPolicyArn: fair
    computeEnvironmentOrder: [{order: 1, computeEnvironment: workers}]
jobDefinitions:
  work:
    type: container
    containerProperties:
      image: "${repositories.app.uri}:1"
      jobRoleArn: job
      resourceRequirements: [{type: VCPU, value: "1"}, {type: MEMORY, value: "512"}]
eventRules:
  failed:
    eventPattern: {source: [aws.batch]}
    targets: [{id: alerts, arn: alerts}]
"""
REGIONS = {"dev": "eu-west-1", "stage": "eu-west-1", "prod": "us-east-1"}


def environment(home: Path, name: str, text: str = "") -> None:
    folder = home / "environments" / name
    folder.mkdir(parents=True, exist_ok=True)
    settings = f"environment: {name}\nregion: {REGIONS.get(name, 'eu-west-1')}\nextends: ../../base.yaml\n"
    (folder / "environment.yaml").write_text(f"{settings}{text}")


@pytest.fixture
def home(shell: Shell) -> Path:
    (shell.home / "base.yaml").write_text(BASE)
    return shell.home


def names() -> dict[str, list[str]]:
    """What is in the account, by kind, in the Regions of all environments."""
    found: dict[str, list[str]] = {"roles": []}
    roles = boto3.client("iam").list_roles()["Roles"]
    found["roles"] = sorted(role["RoleName"] for role in roles if not role["Path"].startswith("/aws-service-role/"))
    for region in sorted(set(REGIONS.values())):
        batch, logs = boto3.client("batch", region_name=region), boto3.client("logs", region_name=region)
        queues: list[Any] = batch.describe_job_queues()["jobQueues"]
        work: list[Any] = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
        found[region] = sorted(
            [
                *(item["jobQueueName"] for item in queues),
                *(item["jobDefinitionName"] for item in work),
                *(item["logGroupName"] for item in logs.describe_log_groups()["logGroups"]),
            ]
        )
    return found


def test_three_environments_of_one_base_stand_side_by_side(home: Path, shell: Shell) -> None:
    for name in REGIONS:
        environment(home, name, f"variables: {{level: {name}-level}}\n")
        shell.ok("apply", name, "-y")
    for name in REGIONS:
        assert "No changes" in shell.ok("plan", name, "--detailed-exitcode").out
    assert names() == {
        "roles": [f"{name}-{role}" for name in sorted(REGIONS) for role in ("instance", "job")],
        "eu-west-1": [f"{name}-{one}" for name in ("dev", "stage") for one in ("jobs", "main", "work")],
        "us-east-1": ["prod-jobs", "prod-main", "prod-work"],
    }
    shown = {
        one["address"]: one["physical_name"]
        for one in shell.ok("plan", "dev", "--format", "json").json["resource_changes"]
    }
    assert shown["jobQueues.main"] == "dev-main" and shown['secrets["app/token"]'] == "dev-app/token"

    (home / "base.yaml").write_text(
        (home / "base.yaml").read_text().replace("retentionInDays: 7", "retentionInDays: 14")
    )
    assert shell("plan", "stage", "--detailed-exitcode").code == 2
    shell.ok("apply", "stage", "-y")
    shell.ok("plan", "stage", "--detailed-exitcode")

    shell.ok("destroy", "stage", "-y")
    assert names()["eu-west-1"] == ["dev-jobs", "dev-main", "dev-work"]
    shell.ok("destroy", "prod", "-y")
    shell.ok("destroy", "dev", "-y")
    assert names() == {"roles": [], "eu-west-1": [], "us-east-1": []}


@pytest.mark.long
def test_moving_under_a_prefix_is_a_replacement(home: Path, shell: Shell) -> None:
    """AWS renames nothing; a queue is refused without lifecycle.replace. Then back again, and under another prefix."""
    environment(home, "dev", "namePrefix: null\n")
    shell.ok("apply", "dev", "-y")
    old = names()
    assert old["eu-west-1"] == ["jobs", "main", "work"]

    environment(home, "dev")
    refused = shell("plan", "dev", "--format", "json", "--allow-deletions", "99")
    told = [
        (one["code"], one["address"], one["path"]) for one in refused.json["problems"] if one["severity"] == "error"
    ]
    assert (refused.code, told) == (1, [("cannot-replace", "jobQueues.main", "jobQueueName")])
    assert names() == old

    allowed = "jobQueues: {main: {lifecycle: {replace: delete-first}}}\n"
    for prefix, new in (("", "dev-"), ("namePrefix: d2-\n", "d2-"), ("namePrefix: null\n", "")):
        environment(home, "dev", f"{prefix}{allowed}")
        planned = shell.ok("plan", "dev", "--format", "json", "--allow-deletions", "99").json["resource_changes"]
        assert {one["action"] for one in planned} == {"replace"}
        definition = next(one for one in planned if one["address"] == "jobDefinitions.work")
        assert definition["physical_name"] == f"{new}work"
        assert definition["change"]["replace_paths"][0] == ["jobDefinitionName"]
        shell.ok("apply", "dev", "-y", "--allow-deletions", "99")
        shell.ok("plan", "dev", "--detailed-exitcode")
        assert names()["eu-west-1"] == [f"{new}jobs", f"{new}main", f"{new}work"]
        assert names()["roles"] == [f"{new}instance", f"{new}job"]


PLAIN = """\
environment: dev
region: eu-west-1
logGroups:
  dev-jobs: {}
roles:
  dev-job: {trust: [ecs-tasks.amazonaws.com]}
jobDefinitions:
  dev-work:
    type: container
    containerProperties:
      image: "alpine"
      jobRoleArn: dev-job
      resourceRequirements: [{type: VCPU, value: "1"}, {type: MEMORY, value: "512"}]
"""


def test_other_keys_for_the_same_names_replace_nothing(shell: Shell) -> None:
    """Only the tag that finds them by their logical name is added."""
    target = shell.home / "environment.yaml"
    target.write_text(PLAIN)
    shell.ok("apply", "-y")
    target.write_text(PLAIN.replace("dev-", "") + 'namePrefix: "dev-"\n')
    planned = shell.ok("plan", "--format", "json").json["resource_changes"]

    assert [(one["address"], one["action"]) for one in planned] == [
        ("jobDefinitions.work", "update"),
        ("logGroups.jobs", "update"),
        ("roles.job", "update"),
    ]
    paths = {(one["path"], one["after"]) for entry in planned for one in entry["differences"]}
    assert paths == {("tags.reconciler/name", name) for name in ("work", "jobs", "job")}
    shell.ok("apply", "-y")
    shell.ok("plan", "--detailed-exitcode")
    shell.ok("destroy", "-y")
    assert names()["eu-west-1"] == []


def test_a_name_of_its_own(shell: Shell) -> None:
    """It takes no prefix and may hold expressions; what refers to it uses the logical name."""
    target = shell.home / "environment.yaml"
    target.write_text(
        PLAIN.replace("dev-", "")
        .replace("{trust", '{roleName: "${environment}.${region}.${account}", trust')
        .replace("jobs: {}", 'jobs: {logGroupName: "/dev/${environment}/jobs"}\n  /plain: {}')
        + 'namePrefix: "${region}-"\n'
    )
    shell.ok("apply", "-y")
    shell.ok("plan", "--detailed-exitcode")

    assert names() == {
        "roles": ["dev.eu-west-1.123456789012"],
        "eu-west-1": ["/dev/dev/jobs", "/plain", "eu-west-1-work"],
        "us-east-1": [],
    }
    found = boto3.client("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"][0]
    assert found["containerProperties"]["jobRoleArn"].endswith(":role/dev.eu-west-1.123456789012")

    target.write_text(target.read_text().replace("/dev/${environment}/jobs", "elsewhere"))
    planned = shell.ok("plan", "--format", "json").json["resource_changes"]
    (moved,) = [one for one in planned if one["action"] != "noop"]
    assert (moved["address"], moved["action"], moved["physical_name"]) == ("logGroups.jobs", "replace", "elsewhere")
    target.write_text(PLAIN.replace("dev-", "").replace("  jobs: {}", "  other: {}"))
    assert shell("plan", "--allow-deletions", "9").code == 0
    shell.ok("destroy", "-y")
    assert names()["eu-west-1"] == [] and names()["roles"] == []


def test_files_of_a_base_are_named_as_people_type_them(home: Path, shell: Shell) -> None:
    environment(home, "dev")
    (home / "base.yaml").write_text(BASE.replace("priority: 1", "priority: -1"))
    shell.go(home / "docs")
    (home / "link").symlink_to(home / "environments" / "dev")
    line = BASE[: BASE.index("priority: 1")].count("\n") + 1
    for here, env, shown in (
        (".", "dev", "base.yaml"),
        (".", "./environments/dev/", "base.yaml"),
        (".", "link", "base.yaml"),
        ("docs", "../environments/dev", "../base.yaml"),
        ("environments", "dev", "../base.yaml"),
        ("environments/dev", ".", "../../base.yaml"),
    ):
        shell.go(home / here)
        told = shell("validate", env).out
        assert f"\n{shown}:{line}:5: error" in f"\n{told}", (here, env, told)


SCHEDULED = """\
environment: dev
region: eu-west-1
namePrefix: p-
topics: {t: {}}
roles: {r: {trust: [scheduler.amazonaws.com], inlinePolicies: {x: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "sns:Publish", Resource: "*"}]}}}}
"""
TARGET = 'scheduleExpression: rate(1 hour), target: {arn: "${topics.t.arn}", roleArn: r}'


@pytest.mark.parametrize(
    ("groups", "schedule", "made"),
    [
        ("", "", ("p-dev", "p-n")),
        ("scheduleGroups: {g: {}}\n", "groupName: g, ", ("p-g", "p-n")),
        ("scheduleGroups: {g: {name: own}}\n", "name: mine, groupName: g, ", ("own", "mine")),
    ],
)
def test_schedules_have_physical_names_too(groups: str, schedule: str, made: tuple[str, str], shell: Shell) -> None:
    """Also where they are read by name, to be adopted."""
    scheduler = boto3.client("scheduler", region_name="eu-west-1")
    place = shell.home / "e.yaml"
    place.write_text(f"{SCHEDULED}{groups}schedules: {{n: {{{schedule}{TARGET}}}}}\n")
    shell.ok("apply", "e.yaml", "-y")
    assert [(one["GroupName"], one["Name"]) for one in scheduler.list_schedules()["Schedules"]] == [made]
    assert "No changes" in shell.ok("plan", "e.yaml").out

    group = scheduler.get_schedule_group(Name=made[0])["Arn"]
    scheduler.untag_resource(ResourceArn=group, TagKeys=["reconciler/environment", "reconciler/name"])
    told = shell.ok("plan", "e.yaml", "--adopt").out
    assert "CreateSchedule" not in told
    assert "1 to update" in told or "to adopt" in told

    shell.ok("apply", "e.yaml", "-y", "--adopt")
    assert "No changes" in shell.ok("plan", "e.yaml").out
    shell.ok("destroy", "e.yaml", "-y")
    assert scheduler.list_schedules()["Schedules"] == []
