"""The everyday examples: sound by themselves, planned, built, left alone and taken down; and what their jobs do.

Every directory under ``environments/`` that is not of an article is one, and tested by being there.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.events.models import EventPattern

from reconciler.model import Address, Environment
from reconciler.operations import pipeline
from reconciler.sandbox import outbox
from tests.support.examples import ARTICLES, ROOT, SECRETS, Account
from tests.support.histories import History
from tests.support.long import some, some_rows
from tests.support.plan_schema import valid_plan

ENVIRONMENTS = ROOT / "environments"
EVERY = sorted(path.parent.name for path in ENVIRONMENTS.glob("*/environment.yaml"))
NAMES = [name for name in EVERY if name not in ARTICLES]
JOBLESS = ("ci-roles", "training-quotas")  # no jobs, or jobs of a service
MORE = {
    "ec2": (
        ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"),
        ("describe_placement_groups", "PlacementGroups", "GroupName"),
    ),
    "events": (("list_rules", "Rules", "Name"),),
    "batch": (
        ("list_scheduling_policies", "schedulingPolicies", "arn"),
        ("list_consumable_resources", "consumableResources", "consumableResourceName"),
    ),
}


def read(name: str) -> Environment:
    env, warnings = pipeline.read_environment(ENVIRONMENTS / name, {} if name in NAMES else SECRETS, strict=True)
    assert name in ARTICLES or not warnings, [str(problem) for problem in warnings]
    return env


def readme(name: str) -> str:
    return (ENVIRONMENTS / name / "README.md").read_text(encoding="utf-8")


def declared(name: str, section: str) -> dict[str, Any]:
    return {address.name: one.props for address, one in read(name).resources.items() if address.section == section}


# --- as they lie there -----------------------------------------------------------------------------------------------


def test_every_stack_of_every_day_is_among_them() -> None:
    wanted = {"fargate-spot", "multi-node-mpi", "eks", "fair-share", "gpu-training", "genomics-array", "job-alerts"}

    assert wanted <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_draws_no_advice_and_is_called_like_its_directory(name: str) -> None:
    assert read(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_every_file_starts_with_a_schema_line_that_leads_to_the_schema(name: str) -> None:
    for file in (ENVIRONMENTS / name).rglob("*.yaml"):
        first = file.read_text(encoding="utf-8").splitlines()[0]
        line = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)

        assert line, file
        schema = "tests.schema.json" if file.parent.name == "tests" else "environment.schema.json"
        assert (file.parent / line[1]).resolve() == ROOT / "schemas" / schema


@pytest.mark.parametrize("name", NAMES)
def test_its_readme_says_what_it_is_how_to_plan_it_and_what_it_costs(name: str) -> None:
    text = readme(name)
    about = text.splitlines()[2]

    assert about.endswith(".")
    assert len(about) <= 120
    for line in (f"reconcile plan {name}", f"reconcile apply {name}", "## For your own account", "## What it costs"):
        assert line in text


@pytest.mark.parametrize("name", [name for name in NAMES if name not in JOBLESS])
def test_the_jobs_its_readme_submits_are_declared(name: str) -> None:
    text = readme(name)
    queues, definitions = re.findall(r"--job-queue (\S+)", text), re.findall(r"--job-definition (\S+)", text)

    assert queues
    assert len(queues) == len(definitions)
    assert set(queues) <= declared(name, "jobQueues").keys()
    assert set(definitions) <= declared(name, "jobDefinitions").keys()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_one_would_run_in_production(name: str) -> None:
    for environment in declared(name, "computeEnvironments").values():
        resources = environment["computeResources"]
        fargate = resources["type"].startswith("FARGATE")

        assert "serviceRole" not in environment, "only the service-linked role allows every update in place"
        assert fargate or resources["minvCpus"] == 0
        assert fargate or all("AL2023" in one["imageType"] for one in resources["ec2Configuration"])
        assert resources["type"] != "SPOT" or resources["allocationStrategy"] == "SPOT_PRICE_CAPACITY_OPTIMIZED"
    for definition in declared(name, "jobDefinitions").values():
        assert definition["timeout"]["attemptDurationSeconds"] >= 60
        assert definition["retryStrategy"]["attempts"] > 1
    for group in declared(name, "logGroups").values():
        assert group["retentionInDays"] <= 90
    for role in declared(name, "roles").values():
        for document in role.get("inlinePolicies", {}).values():
            assert all(statement["Resource"] != "*" for statement in document["Statement"])
    assert read(name).tags


def test_no_name_is_declared_by_two_environments() -> None:
    seen: dict[Address, str] = {}
    for name in EVERY:
        for address in read(name).resources:
            if address.section != "serviceLinkedRoles":  # they belong to the account
                assert address not in seen, f"{address} is in {seen[address]} and {name}"
                seen[address] = name


def test_they_are_in_the_wheel() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]

    assert wheel["wheel"]["force-include"]["environments"] == "reconciler/templates"


# --- by the commands people type -------------------------------------------------------------------------------------


def everything(account: Account) -> set[tuple[str, str]]:
    """What there is by call and name, but for service-linked roles, which belong to the account and stay."""
    found = account.names()
    for service, listings in MORE.items():
        client: Any = boto3.client(service)  # type: ignore[call-overload]
        for call, items, name in listings:
            found |= {(call, item[name]) for item in getattr(client, call)()[items]}
    return {one for one in found if not one[1].startswith("AWSServiceRoleFor")}


@pytest.mark.parametrize("name", some(NAMES, 4))
def test_it_is_built_then_left_alone_then_taken_down_to_nothing(name: str, any_order: Account) -> None:
    account = any_order
    before = everything(account)

    account.reconcile("validate", name, "--strict")
    plan = json.loads(account.reconcile("plan", name, "--format", "json", "--detailed-exitcode", expect=2))

    valid_plan(plan)
    assert {change["action"] for change in plan["resource_changes"]} == {"create"}

    account.reconcile("apply", name, "--auto-approve")

    assert everything(account) > before
    again = json.loads(account.reconcile("plan", name, "--format", "json", "--detailed-exitcode"))
    valid_plan(again)
    assert {change["action"] for change in again["resource_changes"]} == {"noop"}

    account.reconcile("destroy", name, "--auto-approve")

    assert everything(account) == before


@pytest.mark.parametrize("name", some(NAMES, 4, first=1))
def test_as_a_template_it_is_planned_at_once(name: str, account: Account, tmp_path: Path) -> None:
    mine = tmp_path / "my-stack"

    account.reconcile("init", str(mine), "--template", name)

    account.reconcile("validate", str(mine), "--strict")
    plan = json.loads(account.reconcile("plan", str(mine), "--format", "json", "--detailed-exitcode", expect=2))
    assert len(plan["resource_changes"]) == len(read(name).resources)
    files = {str(path.relative_to(ENVIRONMENTS / name)) for path in (ENVIRONMENTS / name).rglob("*") if path.is_file()}
    assert files - {"README.md"} <= {str(path.relative_to(mine)) for path in mine.rglob("*")}
    listed = account.reconcile("init", "--list")
    assert f"{name} " in listed
    assert readme(name).splitlines()[2] in listed


# --- in one process, without waiting ---------------------------------------------------------------------------------


def built(sandbox: Any, name: str) -> History:
    """With every image that its jobs pull from ECR, and a value in every secret."""
    history = History(sandbox, name)
    history.converge(read(name))
    prepared(sandbox)
    return history


def prepared(sandbox: Any) -> None:
    """What is not declared: the images that job definitions name, and the values of secrets."""
    secrets = sandbox.client("secretsmanager")
    for one in secrets.list_secrets()["SecretList"]:
        if not one.get("SecretVersionsToStages"):
            secrets.put_secret_value(SecretId=one["ARN"], SecretString="x")
    batch, ecr = sandbox.client("batch"), sandbox.client("ecr")
    there = {one["repositoryUri"] for one in ecr.describe_repositories()["repositories"]}
    for definition in batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]:
        nodes = definition.get("nodeProperties", {}).get("nodeRangeProperties", ())
        for container in (definition.get("containerProperties", {}), *(one.get("container", {}) for one in nodes)):
            image = container.get("image", "")
            if image.partition(":")[0] in there:
                sandbox.push(image)


def job(sandbox: Any, job_id: str) -> Mapping[str, Any]:
    seen: Mapping[str, Any] = sandbox.client("batch").describe_jobs(jobs=[job_id])["jobs"][0]
    return seen


def submit(sandbox: Any, queue: str, definition: str, **more: Any) -> str:
    request = {"jobName": "try-it", "jobQueue": queue, "jobDefinition": definition, **more}
    submitted: str = sandbox.client("batch").submit_job(**request)["jobId"]
    return submitted


def ended(sandbox: Any, job_id: str) -> tuple[str, int]:
    """Its status, and how many attempts it took."""
    sandbox.advance(7200)
    seen = job(sandbox, job_id)
    return seen["status"], len(seen["attempts"])


RECLAIMED = {"statusReason": "Host EC2 (instance i-0123456789abcdef0) terminated."}
INTERRUPTED = {"statusReason": "Your Spot Task was interrupted."}
FAILED, FINE = {"exitCode": 3, "seconds": 1}, {"exitCode": 0, "seconds": 1}


@pytest.mark.parametrize(
    ("name", "queue", "definition", "lost", "more"),
    some_rows(
        [
            ("fargate-spot", "fargate-spot", "fargate-report", INTERRUPTED, {}),
            ("gpu-training", "gpu-spot", "gpu-train", RECLAIMED, {}),
            ("genomics-array", "genomics", "genomics-align", RECLAIMED, {}),
            ("fair-share", "fair-share-nightly", "fair-share-simulate", RECLAIMED, {"shareIdentifier": "teama"}),
        ],
        3,
    ),
)
def test_what_spot_takes_is_tried_again_and_what_fails_is_not(
    sandbox: Any, name: str, queue: str, definition: str, lost: Any, more: Any
) -> None:
    built(sandbox, name)

    sandbox.change({"outcomes": {"*": [lost, lost, FINE]}})
    assert ended(sandbox, submit(sandbox, queue, definition, **more)) == ("SUCCEEDED", 3)

    sandbox.change({"outcomes": {"*": [lost, FAILED]}})
    assert ended(sandbox, submit(sandbox, queue, definition, **more)) == ("FAILED", 2)


def test_a_fair_share_queue_asks_whose_share_a_job_is_of(sandbox: Any) -> None:
    built(sandbox, "fair-share")

    with pytest.raises(ClientError, match=r"(?i)share"):
        submit(sandbox, "fair-share-day", "fair-share-simulate")
    ids = [
        submit(sandbox, "fair-share-day", "fair-share-simulate", shareIdentifier=team) for team in ("teama", "release")
    ]

    assert [ended(sandbox, one)[0] for one in ids] == ["SUCCEEDED", "SUCCEEDED"]


def test_a_cohort_goes_sample_by_sample_and_ends_in_the_merge(sandbox: Any) -> None:
    built(sandbox, "genomics-array")
    array = {"arrayProperties": {"size": 3}}
    align = submit(sandbox, "genomics", "genomics-align", **array)
    call = submit(sandbox, "genomics", "genomics-call", **array, dependsOn=[{"jobId": align, "type": "N_TO_N"}])
    merge = submit(sandbox, "genomics-steady", "genomics-merge", dependsOn=[{"jobId": call}])

    sandbox.advance(7200)

    assert [job(sandbox, one)["status"] for one in (align, call, merge)] == ["SUCCEEDED"] * 3
    assert job(sandbox, call)["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 3


def test_an_mpi_job_may_ask_for_other_numbers_of_nodes(sandbox: Any) -> None:
    built(sandbox, "multi-node-mpi")

    submitted = submit(sandbox, "mpi", "mpi-solver", nodeOverrides={"numNodes": 8})

    assert ended(sandbox, submitted)[0] == "SUCCEEDED"
    assert job(sandbox, submitted)["nodeProperties"]["numNodes"] == 8


def test_a_new_version_of_the_gpu_template_takes_both_environments_along(sandbox: Any) -> None:
    history = built(sandbox, "gpu-training")
    env, _ = pipeline.read_environment(ENVIRONMENTS / "gpu-training", {}, strict=True)
    template = env.resources[Address("launchTemplates", "gpu")]
    disk: Any = template.props["launchTemplateData"]["blockDeviceMappings"][0]["ebs"]
    disk["volumeSize"] = 400

    history.converge(env)

    described = sandbox.client("batch").describe_compute_environments()["computeEnvironments"]
    assert {one["computeResources"]["launchTemplate"]["version"] for one in described} == {"2"}
    assert {one["computeEnvironmentName"] for one in described} == {"gpu-spot", "gpu-on-demand"}


# --- alerts ----------------------------------------------------------------------------------------------------------


def event(kind: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """As AWS sends it: https://docs.aws.amazon.com/batch/latest/userguide/batch_cwe_events.html"""
    detail = {name: job[name] for name in ("jobName", "jobId", "jobQueue", "status", "jobDefinition")}
    detail |= {name: job[name] for name in ("statusReason", "arrayProperties") if name in job}
    about = {"source": "aws.batch", "detail-type": kind, "account": "123456789012", "region": "eu-west-1"}
    return {"version": "0", "id": "1", "time": "2026-01-05T00:00:00Z", "resources": [], **about, "detail": detail}


def test_the_mail_of_a_failed_job_says_which_and_why(sandbox: Any) -> None:
    """From the job to the recipient, who has confirmed."""
    built(sandbox, "job-alerts")
    assert [one["endpoint"] for one in outbox.confirm(sandbox.account)] == ["oncall@example.com"]
    outbox.clear(sandbox.account)
    sandbox.change({"outcomes": {"*": [FAILED]}})
    failed = submit(sandbox, "job-alerts-demo", "job-alerts-fail")

    assert ended(sandbox, failed) == ("FAILED", 1)
    (mail,) = outbox.messages(sandbox.account)
    assert mail["to"] == "oncall@example.com" and "try-it failed at" in mail["text"]
    assert "Essential container in task exited" in mail["text"] and failed in mail["text"]


def test_alerts_reach_the_topic_for_the_queues_of_this_environment_and_no_others(sandbox: Any) -> None:
    built(sandbox, "job-alerts")
    events, sns = sandbox.client("events"), sandbox.client("sns")
    ((arn,),) = ([topic["TopicArn"]] for topic in sns.list_topics()["Topics"])

    def told(kind: str, about: Mapping[str, Any]) -> list[str]:
        """What is published, as EventBridge makes it of the event."""
        sent: list[str] = []
        for rule in events.list_rules()["Rules"]:
            if EventPattern.load(rule["EventPattern"]).matches_event(event(kind, about)):
                (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
                assert target["Arn"] == arn
                text = target["InputTransformer"]["InputTemplate"]
                for name, path in target["InputTransformer"]["InputPathsMap"].items():
                    text = text.replace(f"<{name}>", reduce(getitem, path.split(".")[1:], event(kind, about)))
                sent.append(text)
        return sent

    sandbox.change({"outcomes": {"*": [FAILED]}})
    failed = submit(sandbox, "job-alerts-demo", "job-alerts-fail")
    waiting = job(sandbox, failed)
    assert ended(sandbox, failed) == ("FAILED", 1)

    change, blocked = "Batch Job State Change", "Batch Job Queue Blocked"
    about = job(sandbox, failed)
    (text,) = told(change, about)
    for part in (
        "job-alerts: job try-it failed at 2026-01-05T00:00:00Z: Essential container",
        about["jobQueue"],
        failed,
    ):
        assert part in text
    assert not told(change, waiting)
    assert not told(change, {**about, "jobQueue": about["jobQueue"] + "-other"})
    assert not told(change, {**about, "arrayProperties": {"index": 7}})
    assert told(change, {**about, "arrayProperties": {"size": 9, "statusSummary": {"FAILED": 1}}})
    for reason, begins in (
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job", "job-alerts: job try-it blocks its job queue"),
        ("ACTION_REQUIRED - CE(s) associated with the job queue are invalid.", "job-alerts: job try-it waits"),
    ):
        stuck = {**about, "status": "RUNNABLE", "statusReason": reason}
        (text,) = told(blocked, stuck)
        assert begins in text and reason in text
        assert not told(blocked, {**stuck, "jobQueue": about["jobQueue"] + "-other"})

    policy = json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])
    own, ours = policy["Statement"]
    assert own["Condition"] == {"StringEquals": {"AWS:SourceOwner": "123456789012"}}, "SNS's own is kept"
    assert ours == {
        "Sid": "ReconcileAlerts",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": arn,
    }


def test_the_report_of_a_fleet_follows_its_array_job() -> None:
    rule = declared("fleet-drift", "eventRules")["fleet-drift-ended"]
    queue = "arn:aws:batch:eu-west-1:123456789012:job-queue/fleet-drift"
    declared_pattern = {**rule["eventPattern"], "detail": {**rule["eventPattern"]["detail"], "jobQueue": [queue]}}
    pattern = EventPattern.load(json.dumps(declared_pattern))
    about = {"jobName": "fleet-drift-parts", "jobId": "1", "jobQueue": queue, "jobDefinition": "x"}
    for more, follows in (
        ({"status": "SUCCEEDED", "arrayProperties": {"size": 16}}, True),
        ({"status": "FAILED", "arrayProperties": {"size": 16, "statusSummary": {"FAILED": 1}}}, True),
        ({"status": "SUCCEEDED", "arrayProperties": {"index": 3}}, False),
        ({"status": "RUNNING", "arrayProperties": {"size": 16}}, False),
        ({"status": "FAILED", "jobName": "fleet-drift-report"}, False),
    ):
        assert pattern.matches_event(event("Batch Job State Change", {**about, **more})) is follows, more

    (target,) = rule["targets"]
    made = json.loads(target["inputTransformer"]["inputTemplate"].replace("<results>", '"s3://bucket/run"'))
    definitions = declared("fleet-drift", "jobDefinitions")
    assert made == {"Parameters": {"results": "s3://bucket/run"}}
    for one in definitions.values():
        assert [*one["parameters"]] == ["results"] and "Ref::results" in one["containerProperties"]["command"]
    (schedule,) = declared("fleet-drift", "schedules").values()
    assert [*schedule["target"]["submitJob"]["parameters"]] == ["results"]


def test_the_schedule_of_a_fleet_submits_its_array_job_every_night(sandbox: Any) -> None:
    """To its end, after which a rule submits the report; a container is not run in the sandbox."""
    sandbox.advance(100_800 - sandbox.clock.now() % 86_400)  # to hours after it was due, whatever the time is
    given = {"RECONCILE_VAR_nightly": "ENABLED", "RECONCILE_VAR_parts": "3"}
    env, _ = pipeline.read_environment(ENVIRONMENTS / "fleet-drift", given, strict=True)
    History(sandbox, "fleet-drift").converge(env)
    sandbox.client("ecr").create_repository(repositoryName="estate")
    prepared(sandbox)
    batch = sandbox.client("batch")

    def nights(name: str = "fleet-drift-parts") -> list[Mapping[str, Any]]:
        every = batch.list_jobs(jobQueue="fleet-drift", filters=[{"name": "JOB_NAME", "values": [name]}])
        return [job(sandbox, one["jobId"]) for one in every["jobSummaryList"]]

    assert nights() == []
    for number in (1, 2):
        sandbox.advance(86_400)
        assert len(nights()) == number, "one a day"
        sandbox.advance(7_200)
    first, second = nights()
    assert [one["status"] for one in (first, second)] == ["SUCCEEDED"] * 2
    assert first["arrayProperties"]["size"] == 3 and first["jobDefinition"].endswith("/fleet-drift-parts:1")
    where = {one["parameters"]["results"] for one in (first, second)}
    reports = nights("fleet-drift-report")
    assert {one["parameters"]["results"] for one in reports} == where and len(reports) == 2
    assert len(where) == 2 and all(re.fullmatch(r"s3://example-estate-drift/fleet-drift/\w+", one) for one in where)
    child = job(sandbox, f"{first['jobId']}:2")
    command = ["drift", "--all", "--shard", "auto/3", "--results", "Ref::results", "--only-changes"]
    assert child["container"]["command"] == command and child["parameters"] == first["parameters"]
    assert child["container"]["jobRoleArn"].endswith(":role/fleet-drift-job")
