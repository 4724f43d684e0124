"""Schedules: the whole schedule is always sent, jobs have a short form, and the tags of the group name the owner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.applying.executor import render_parameters
from reconciler.kinds.scheduler.schedule import KIND
from reconciler.model import Call, Effect, On, Proof, Refused, Sought, Unreadable
from reconciler.model.problems import Problems
from reconciler.operations import pipeline
from tests.support.histories import History
from tests.support.service_kinds import (
    INDEX,
    OWNED,
    SCOPE,
    TAGS,
    changed,
    differs,
    found,
    read,
    want,
    withstands_expressions,
)

ACCOUNT = "eu-west-1:123456789012"
ARN = f"arn:aws:scheduler:{ACCOUNT}:schedule/e/s"
GROUP = f"arn:aws:scheduler:{ACCOUNT}:schedule-group/e"
ROLE = "arn:aws:iam::123456789012:role/sched"
QUEUE = f"arn:aws:batch:{ACCOUNT}:job-queue/q"
SUBMIT = "arn:aws:scheduler:::aws-sdk:batch:submitJob"
JOB = {
    "jobName": "n",
    "jobQueue": QUEUE,
    "jobDefinition": "d",
    "parameters": {"lowerKey": "x"},
    "containerOverrides": {"command": ["a"], "environment": [{"name": "A", "value": "b"}]},
}
INPUT = {
    "JobName": "n",
    "JobQueue": QUEUE,
    "JobDefinition": "d",
    "Parameters": {"lowerKey": "x"},
    "ContainerOverrides": {"Command": ["a"], "Environment": [{"Name": "A", "Value": "b"}]},
}
RETRY = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
DECLARED = {"scheduleExpression": "rate(1 hour)", "target": {"submitJob": JOB, "roleArn": ROLE}}
NEW_ROLE = On("ValidationException", "must allow AWS EventBridge Scheduler to assume the role")
MISSING = Refused("ResourceNotFoundException", "")


def call(operation, *, all_pages=False, **params):
    return Call("scheduler", operation, params, all_pages=all_pages)


def shown(name="s", group="e", **more):
    target = {"Arn": SUBMIT, "RoleArn": ROLE, "Input": json.dumps(INPUT), "RetryPolicy": RETRY}
    plain = {
        "Arn": f"arn:aws:scheduler:{ACCOUNT}:schedule/{group}/{name}",
        "Name": name,
        "GroupName": group,
        "ScheduleExpression": "rate(1 hour)",
        "ScheduleExpressionTimezone": "UTC",
        "State": "ENABLED",
        "ActionAfterCompletion": "NONE",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }
    return {**plain, **more}


def get(name, reply, group="e"):
    return call("GetSchedule", GroupName=group, Name=name), reply


def tags(listed=TAGS, arn=GROUP):
    return call("ListTagsForResource", ResourceArn=arn), {"Tags": listed}


def schedules(*names, group="e"):
    return call("ListSchedules", all_pages=True, GroupName=group), {
        "Schedules": [{"Name": name, "GroupName": group} for name in names]
    }


def live(**more):
    (one,) = read(KIND, [[get("s", shown(**more)), tags()]], "s")
    return one


# --- reading ---------------------------------------------------------------------------------------------------------


def test_read():
    one = live(Description="d")

    assert (one.physical, one.attrs, one.tags) == ("s", {"name": "s", "arn": ARN}, OWNED)
    assert one.props == {
        "groupName": "e",
        "scheduleExpression": "rate(1 hour)",
        "scheduleExpressionTimezone": "UTC",
        "state": "ENABLED",
        "actionAfterCompletion": "NONE",
        "description": "d",
        "flexibleTimeWindow": {"mode": "OFF"},
        "target": {
            "roleArn": ROLE,
            "submitJob": JOB,
            "retryPolicy": {"maximumEventAgeInSeconds": 86400, "maximumRetryAttempts": 185},
        },
    }


def test_the_tags_of_the_group_name_the_owner_of_a_schedule():
    foreign = [{"Key": "team", "Value": "x"}, {"Key": "reconciler/environment", "Value": "other"}]
    (one,) = read(KIND, [[get("s", shown()), tags(foreign)]], "s")
    (loose,) = read(KIND, [[get("s", shown()), tags([{"Key": "team", "Value": "x"}])]], "s")

    assert one.tags == {"reconciler/environment": "other"}
    assert loose.tags == {}


def test_what_is_owned_is_in_the_groups_that_the_index_proposes():
    more = f"arn:aws:scheduler:{ACCOUNT}:schedule-group/g"
    rounds = [
        [(INDEX, {"ResourceTagMappingList": [{"ResourceARN": GROUP}, {"ResourceARN": more}]})],
        [tags(), tags([], more), schedules("s", "old"), schedules("foreign", group="g")],
        [get("s", shown()), get("old", shown("old"))],
    ]

    assert sorted(one.physical for one in read(KIND, rounds, "s", owned=True)) == ["old", "s"]


def test_without_the_index_all_groups_are_listed():
    groups = call("ListScheduleGroups", all_pages=True), {"ScheduleGroups": [{"Name": "default"}, {"Name": "e"}]}
    default = GROUP[:-1] + "default"
    rounds = [
        [groups],
        [tags(), tags([], default), schedules("s"), schedules("x", group="default")],
        [get("s", shown())],
    ]

    assert [one.physical for one in read(KIND, rounds, owned=True, indexed=False)] == ["s"]


def test_a_missing_group_and_a_refusal():
    assert read(KIND, [[get("s", MISSING), (tags()[0], MISSING)]], "s") == []
    with pytest.raises(Unreadable):
        read(KIND, [[get("s", Refused("AccessDeniedException", "")), tags()]], "s")


# --- comparing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declared",
    [
        DECLARED,
        {**DECLARED, "target": {"arn": SUBMIT, "input": INPUT, "roleArn": ROLE}},
        {**DECLARED, "target": {"arn": SUBMIT, "input": json.dumps(INPUT), "roleArn": ROLE}},
        {**DECLARED, "flexibleTimeWindow": {"mode": "OFF"}, "state": "ENABLED", "description": ""},
        {**DECLARED, "target": {**DECLARED["target"], "submitJob": {**JOB, "jobQueue": "q"}}},
        {**DECLARED, "target": {**DECLARED["target"], "retryPolicy": {"maximumRetryAttempts": 185}}},
    ],
)
def test_spellings_of_the_same(declared):
    assert differs(KIND, live(), want(KIND, "s", **declared)) == {}


def test_dates_are_compared_as_moments():
    one = live(StartDate="2026-01-31T12:00:00+00:00")

    assert differs(KIND, one, want(KIND, "s", **DECLARED, startDate="2026-01-31T13:00:00+01:00")) == {}
    assert "startDate" in differs(KIND, one, want(KIND, "s", **DECLARED, startDate="2026-01-31T13:00:00Z"))


def test_another_group_is_a_replacement():
    effect, why = KIND.fields["groupName"].effect({}, {})

    assert (effect, why) == (Effect.REPLACE, "a schedule cannot be moved to another group")
    assert differs(KIND, live(), want(KIND, "s", **DECLARED, groupName="g")) == {"groupName": ("e", "g")}


# --- writing ---------------------------------------------------------------------------------------------------------


def test_calls():
    (made,) = KIND.create(want(KIND, "s", **DECLARED))
    params = render_parameters(made.params, {})

    assert (made.operation, made.proof, made.retry_on) == ("CreateSchedule", Proof.EXISTS, (NEW_ROLE,))
    assert json.loads(params["Target"].pop("Input")) == INPUT
    assert params == {
        "Name": "s",
        "GroupName": "e",
        "ScheduleExpression": "rate(1 hour)",
        "ScheduleExpressionTimezone": "UTC",
        "State": "ENABLED",
        "ActionAfterCompletion": "NONE",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": SUBMIT, "RoleArn": ROLE},
    }
    (gone,) = KIND.delete(live(), {})
    assert (gone.operation, gone.params) == ("DeleteSchedule", {"GroupName": "e", "Name": "s"})
    assert KIND.tag(live(), {"a": "b"}, []) == []


def test_an_update_sends_everything():
    """AWS resets what an update leaves out."""
    (sent,) = changed(KIND, live(Description="d"), want(KIND, "s", **DECLARED, description="d", state="DISABLED"))

    assert sent.operation == "UpdateSchedule"
    assert sent.params["Description"] == "d" and sent.params["State"] == "DISABLED"
    assert {"ScheduleExpression", "Target", "FlexibleTimeWindow"} <= set(sent.params)


def test_other_targets():
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "ENABLED"}}
    target = {
        "arn": f"arn:aws:ecs:{ACCOUNT}:cluster/c",
        "roleArn": ROLE,
        "ecsParameters": {"taskDefinitionArn": "t", "networkConfiguration": network},
        "deadLetterConfig": {"arn": f"arn:aws:sqs:{ACCOUNT}:dead"},
        "input": "plain",
    }
    (made,) = KIND.create(want(KIND, "s", scheduleExpression="rate(1 day)", target=target))

    assert made.params["Target"] == {
        "Arn": f"arn:aws:ecs:{ACCOUNT}:cluster/c",
        "RoleArn": ROLE,
        "EcsParameters": {
            "TaskDefinitionArn": "t",
            "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["subnet-1"], "AssignPublicIp": "ENABLED"}},
        },
        "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{ACCOUNT}:dead"},
        "Input": "plain",
    }


def test_referrers_are_read_one_by_one():
    reads = KIND.referrers(SCOPE, {})
    (listing,) = next(reads)
    assert listing == call("ListSchedules", all_pages=True)
    gets = reads.send(({"Schedules": [{"Name": "s", "GroupName": "e"}]},))
    with pytest.raises(StopIteration) as end:
        reads.send((shown(),))

    (one,) = end.value.value
    assert gets == (get("s", None)[0],)
    assert (one.text, one.arn, one.props["target"]["submitJob"]["jobQueue"]) == ("schedule s", ARN, QUEUE)


# --- checks ----------------------------------------------------------------------------------------------------------


def target(**more):
    return {"target": {"submitJob": JOB, "roleArn": ROLE, **more}}


@pytest.mark.parametrize(
    ("props", "path"),
    [
        ({"scheduleExpression": "rate(0 hours)"}, "scheduleExpression"),
        ({"scheduleExpression": "every day"}, "scheduleExpression"),
        ({"scheduleExpression": "0 2 * * *"}, "scheduleExpression"),
        ({"scheduleExpression": "cron(0 2 * * *)"}, "scheduleExpression"),
        ({"scheduleExpression": "cron(0 2 * * * *)"}, "scheduleExpression"),
        ({"scheduleExpression": "cron(0 24 * * ? *)"}, "scheduleExpression"),
        ({"scheduleExpression": "cron(0 2 ? * MOO *)"}, "scheduleExpression"),
        ({"scheduleExpression": "at(2026-02-30T12:00:00)"}, "scheduleExpression"),
        ({"scheduleExpressionTimezone": "Europe/Pariss"}, "scheduleExpressionTimezone"),
        ({"flexibleTimeWindow": {"mode": "FLEXIBLE"}}, "flexibleTimeWindow"),
        (
            {"flexibleTimeWindow": {"mode": "OFF", "maximumWindowInMinutes": 5}},
            "flexibleTimeWindow.maximumWindowInMinutes",
        ),
        ({"startDate": "tomorrow"}, "startDate"),
        ({"startDate": "2026-02-01T00:00:00Z", "endDate": "2026-01-01T00:00:00Z"}, "endDate"),
        ({"actionAfterCompletion": "DELETE"}, "actionAfterCompletion*"),
        ({"target": {"roleArn": ROLE}}, "target"),
        ({"target": {"submitJob": JOB}}, "target"),
        (target(arn=SUBMIT), "target.arn"),
        ({"target": {"arn": QUEUE, "roleArn": ROLE}}, "target.arn"),
        ({"target": {"arn": SUBMIT, "roleArn": ROLE}}, "target"),
        (target(submitJob={"jobName": "n", "jobQueue": "q"}), "target.submitJob"),
        (target(submitJob={**JOB, "jobName": "a b"}), "target.submitJob.jobName"),
        (target(retryPolicy={"maximumRetryAttempts": 186}), "target.retryPolicy.maximumRetryAttempts"),
        (target(deadLetterConfig={"arn": f"arn:aws:sqs:{ACCOUNT}:dead.fifo"}), "target.deadLetterConfig.arn"),
        (target(deadLetterConfig={"arn": f"arn:aws:sns:{ACCOUNT}:t"}), "target.deadLetterConfig.arn"),
    ],
)
def test_check_finds_what_aws_would_refuse(props, path):
    assert list(found(KIND, "s", **{**DECLARED, **props})) == [path]


@pytest.mark.parametrize(
    "expression",
    [
        "rate(5 minutes)",
        "rate(1 hours)",
        "at(2026-01-31T12:00:00)",
        "cron(0/15 8-18 ? * MON-FRI *)",
        "cron(0 2 L * ? 2026-2030)",
        "cron(0 2 15W JAN,JUL ? *)",
        "cron(0 2 ? * 6#3 *)",
        "cron(0 2 ? * FRIL *)",
    ],
)
def test_expressions_that_aws_takes(expression):
    assert found(KIND, "s", **{**DECLARED, "scheduleExpression": expression}) == {}


def test_names():
    assert list(found(KIND, "a b", **DECLARED)) == [""]
    assert list(found(KIND, "a" * 65, **DECLARED)) == [""]


def test_check_withstands_expressions():
    window = {"mode": "FLEXIBLE", "maximumWindowInMinutes": 5}
    withstands_expressions(KIND, **DECLARED, flexibleTimeWindow=window, startDate="2026-01-01T00:00:00Z")


# --- in an environment -----------------------------------------------------------------------------------------------

ENVIRONMENT = """
environment: nights
tags: {team: hpc}
roles:
  scheduler:
    trust: [scheduler.amazonaws.com]
    inlinePolicies:
      submit: {Statement: [{Effect: Allow, Action: "batch:SubmitJob", Resource: "*"}]}
  service: {trust: [batch.amazonaws.com], managedPolicies: [service-role/AWSBatchServiceRole]}
computeEnvironments:
  ce: {type: UNMANAGED, serviceRole: service}
jobQueues:
  q: {priority: 1, computeEnvironmentOrder: [{order: 1, computeEnvironment: ce}]}
jobDefinitions:
  d:
    type: container
    containerProperties: {image: alpine, resourceRequirements: [{type: VCPU, value: "1"}, {type: MEMORY, value: "512"}]}
schedules:
  nightly:
    scheduleExpression: cron(30 2 * * ? *)
    scheduleExpressionTimezone: Europe/Paris
    target:
      submitJob: {jobQueue: q, jobDefinition: d, jobName: nightly, containerOverrides: {command: [date]}}
      roleArn: scheduler
"""


def environment(where: Path, text: str = ENVIRONMENT, *, strict: bool = True):
    (where / "environment.yaml").write_text(text, encoding="utf-8")
    env, found = pipeline.read_environment(where / "environment.yaml", {}, strict=strict)
    return env, [str(problem) for problem in found]


def test_a_schedule_starts_jobs(sandbox, tmp_path):
    env, _ = environment(tmp_path)
    history = History(sandbox, "nights")
    history.converge(env)
    scheduler, batch = sandbox.client("scheduler"), sandbox.client("batch")
    group = scheduler.get_schedule_group(Name="nights")
    listed = {tag["Key"]: tag["Value"] for tag in scheduler.list_tags_for_resource(ResourceArn=group["Arn"])["Tags"]}
    assert listed == {"team": "hpc", "reconciler/environment": "nights"}

    sandbox.clock.advance(2 * 86400)
    jobs = batch.list_jobs(jobQueue="q", filters=[{"name": "JOB_NAME", "values": ["nightly"]}])["jobSummaryList"]
    assert len(jobs) == 2
    (job,) = batch.describe_jobs(jobs=[jobs[0]["jobId"]])["jobs"]
    assert job["container"]["command"] == ["date"]

    for one in jobs:
        batch.terminate_job(jobId=one["jobId"], reason="done")
    history.destroy(env)
    assert [one["Name"] for one in scheduler.list_schedule_groups()["ScheduleGroups"]] == ["default"]


def test_changes_of_schedules_and_tags_converge(sandbox, tmp_path):
    history = History(sandbox, "nights")
    history.converge(environment(tmp_path)[0])
    renamed = ENVIRONMENT.replace("nightly:", "daily:").replace("team: hpc", "owner: web")
    history.converge(environment(tmp_path, renamed)[0])
    scheduler = sandbox.client("scheduler")

    assert [one["Name"] for one in scheduler.list_schedules()["Schedules"]] == ["daily"]
    without = ENVIRONMENT.partition("schedules:")[0]
    history.converge(environment(tmp_path, without)[0])
    assert [one["Name"] for one in scheduler.list_schedule_groups()["ScheduleGroups"]] == ["default"]


INPUTS = """environment: sch
region: eu-west-1
roles:
  r: {trust: [scheduler.amazonaws.com]}
topics: {t: {}}
schedules:
  plain:
    scheduleExpression: rate(1 day)
    target: {arn: t, roleArn: r, input: '{"who": "${topics.t.arn}", "n": 1}'}
  universal:
    scheduleExpression: rate(1 day)
    target:
      arn: arn:${partition}:scheduler:::aws-sdk:batch:submitJob
      roleArn: r
      input: '{"JobName": "a", "JobQueue": "arn:aws:batch:${region}:123456789012:job-queue/q", "JobDefinition": "d:1"}'
"""


def test_expressions_in_the_text_of_an_input_are_no_difference(sandbox, tmp_path):
    history = History(sandbox, name="sch")

    history.converge(environment(tmp_path, INPUTS)[0])
    history.expect_nothing(environment(tmp_path, INPUTS)[0])


def test_a_group_of_others_is_not_taken_silently(sandbox, tmp_path):
    scheduler = sandbox.client("scheduler")
    scheduler.create_schedule_group(Name="nights")
    env, _ = environment(tmp_path)
    history = History(sandbox, "nights")

    (problem,) = history.plan(env).problems
    assert "scheduleGroups.nights" in str(problem) and "no environment" in str(problem)
    outcome = history.run(env, adopt=True)
    assert outcome.ok, history.failures()
    history.expect_nothing(env)


def test_an_existing_schedule_is_adopted_with_its_group(sandbox, tmp_path):
    env, _ = environment(tmp_path)
    history = History(sandbox, "nights")
    history.converge(env)
    scheduler = sandbox.client("scheduler")
    arn = scheduler.get_schedule_group(Name="nights")["Arn"]
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["reconciler/environment", "team"])
    planned = history.plan(env)
    assert sorted(p.address for p in planned.problems) == ["scheduleGroups.nights", "schedules.nightly"]

    changed_env, _ = environment(tmp_path, ENVIRONMENT.replace("30 2", "40 2"))
    outcome = history.run(changed_env, adopt=True)
    assert outcome.ok, history.failures()
    history.expect_nothing(changed_env)


def test_a_definition_that_a_schedule_of_others_names_is_kept(sandbox, tmp_path):
    history = History(sandbox, "nights")
    history.converge(environment(tmp_path, ENVIRONMENT)[0])
    scheduler = sandbox.client("scheduler")
    shown = scheduler.get_schedule(GroupName="nights", Name="nightly")
    kept = {name: shown[name] for name in ("ScheduleExpression", "FlexibleTimeWindow", "Target")}
    scheduler.create_schedule(Name="foreign", GroupName="default", State="DISABLED", **kept)
    env, _ = environment(tmp_path, ENVIRONMENT.partition("jobDefinitions:")[0])

    entries = {str(one.address): one for one in history.plan(env).plan.resources}
    assert "schedule foreign starts jobs with the latest revision" in " ".join(entries["jobDefinitions.d"].notes)
    assert not entries["jobDefinitions.d"].steps


def problems(where: Path, text: str) -> list[tuple[str, str]]:
    try:
        _, found = pipeline.read_environment(_written(where, text), {}, strict=True)
    except Problems as error:
        found = error.problems
    return [(one.path, one.message) for one in found if one.path]


def _written(where: Path, text: str) -> Path:
    (where / "environment.yaml").write_text(text, encoding="utf-8")
    return where / "environment.yaml"


def test_the_trust_of_the_role_is_checked(tmp_path):
    text = ENVIRONMENT.replace("trust: [scheduler.amazonaws.com]", "trust: [events.amazonaws.com]")

    ((path, message),) = problems(tmp_path, text)
    assert path == "target.roleArn" and "scheduler.amazonaws.com" in message


def test_a_queue_is_no_target_by_itself(tmp_path):
    submit = ENVIRONMENT[ENVIRONMENT.index("      submitJob:") : ENVIRONMENT.index("      roleArn: scheduler")]
    text = ENVIRONMENT.replace(submit, "      arn: q\n")

    ((path, message),) = problems(tmp_path, text)
    assert path == "target.arn" and "submitJob" in message


def test_a_group_must_be_declared_and_own_tags_are_not_used(tmp_path):
    text = ENVIRONMENT + "    groupName: default\n    tags: {a: b}\n"

    found = dict(problems(tmp_path, text))
    assert "is not declared" in found["groupName"]
    assert "cannot be tagged" in found["tags"]
    with pytest.raises(Problems) as default:
        environment(tmp_path, text)
    assert [one.hint for one in default.value.problems if one.path == "groupName"] == [
        "leave out groupName, for the environment's own group"
    ]
    with pytest.raises(Problems) as other:
        environment(tmp_path, text.replace("default", "mine"))
    assert "declare scheduleGroups: {mine: {}}" in "".join(one.hint for one in other.value.problems)
    declared = ENVIRONMENT + "    groupName: mine\nscheduleGroups: {mine: {tags: {a: b}}}\n"
    assert problems(tmp_path, declared) == []


@pytest.mark.parametrize("section", ["schedule", "cronJobs", "scheduledJobs", "schedulers", "scheduledRules", "crons"])
def test_a_section_that_means_schedules_suggests_them(tmp_path, section):
    with pytest.raises(Problems) as error:
        environment(tmp_path, ENVIRONMENT.replace("schedules:", f"{section}:"))

    assert any("schedules" in one.hint for one in error.value.problems if not one.warning)


def test_a_read_needs_the_group(sandbox):
    assert KIND.attrs(SCOPE, "s", {"groupName": "g"})["arn"].endswith("schedule/g/s")
    assert (
        read(
            KIND, [[get("s", MISSING, "g"), (tags([], GROUP[:-1] + "g")[0], MISSING)]], Sought("s", {"groupName": "g"})
        )
        == []
    )
