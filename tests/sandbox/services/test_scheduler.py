"""EventBridge Scheduler in the sandbox: what it refuses, what it keeps, and when it fires."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from reconciler.sandbox.services._schedule_times import moments

SUBMIT = "arn:aws:scheduler:::aws-sdk:batch:submitJob"
JOB = json.dumps({"JobName": "n", "JobQueue": "q", "JobDefinition": "d"})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def fired(expression, begin, end, zone="UTC", since=None):
    found = moments(expression, zone, at(since or begin), at(begin), at(end))
    return [datetime.fromtimestamp(one, UTC).strftime("%m-%d %H:%M") for one in found]


# https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
@pytest.mark.parametrize(
    ("expression", "zone", "begin", "end", "expected"),
    [
        ("rate(8 hours)", "UTC", "2026-01-01T00:00", "2026-01-01T20:00", ["01-01 08:00", "01-01 16:00"]),
        ("at(2026-01-01T12:00:00)", "Europe/Paris", "2026-01-01T00:00", "2026-01-02T00:00", ["01-01 11:00"]),
        ("at(2026-01-01T12:00:00)", "UTC", "2026-01-01T12:00", "2026-01-02T00:00", []),
        ("cron(0 4 * * ? *)", "Europe/Paris", "2026-01-01T00:00", "2026-01-03T00:00", ["01-01 03:00", "01-02 03:00"]),
        ("cron(0/30 9 ? * MON *)", "UTC", "2026-01-01T00:00", "2026-01-08T00:00", ["01-05 09:00", "01-05 09:30"]),
        ("cron(0 0 L * ? *)", "UTC", "2026-02-01T00:00", "2026-04-01T00:00", ["02-28 00:00", "03-31 00:00"]),
        ("cron(0 0 1W * ? *)", "UTC", "2026-08-01T00:00", "2026-08-31T00:00", ["08-03 00:00"]),
        ("cron(0 0 ? * 6#2 *)", "UTC", "2026-01-01T00:00", "2026-01-31T00:00", ["01-09 00:00"]),
        ("cron(0 0 ? * FRIL *)", "UTC", "2026-01-01T00:00", "2026-01-31T00:00", ["01-30 00:00"]),
        ("cron(0 0 ? JAN SAT-SUN 2026)", "UTC", "2026-01-01T00:00", "2026-01-05T00:00", ["01-03 00:00", "01-04 00:00"]),
        # the clocks go forward at 02:00 on 29 March: that night has no 02:30
        ("cron(30 2 * * ? *)", "Europe/Paris", "2026-03-28T00:00", "2026-03-31T00:00", ["03-28 01:30", "03-30 00:30"]),
    ],
)
def test_when_it_fires(expression, zone, begin, end, expected):
    assert fired(expression, begin, end, zone) == expected


@pytest.mark.parametrize(
    "expression",
    ["", "rate(0 days)", "rate(1 week)", "at(tomorrow)", "cron(0 2 * * *)", "cron(0 2 * * * *)", "cron(99 2 * * ? *)"],
)
def test_what_is_no_expression(expression):
    with pytest.raises(ValueError):
        fired(expression, "2026-01-01T00:00", "2026-01-02T00:00")


@pytest.fixture
def scheduler(sandbox):
    iam = sandbox.client("iam")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    may = {"Effect": "Allow", "Action": "batch:SubmitJob", "Resource": "*"}
    iam.put_role_policy(
        RoleName="r", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]})
    )
    sandbox.clock.advance(60)
    return sandbox.client("scheduler")


def schedule(**more):
    target = {"Arn": SUBMIT, "RoleArn": "arn:aws:iam::123456789012:role/r", "Input": JOB, **more.pop("target", {})}
    return {
        "Name": "s",
        "ScheduleExpression": "rate(1 hour)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
        **more,
    }


def refusal(call, **params):
    with pytest.raises(ClientError) as error:
        call(**params)
    return error.value.response["Error"]["Code"]


def test_groups_conflict_and_are_deleted_with_their_schedules(scheduler, sandbox):
    scheduler.create_schedule_group(Name="g", Tags=[{"Key": "a", "Value": "b"}])
    scheduler.create_schedule(**schedule(GroupName="g"))

    assert refusal(scheduler.create_schedule_group, Name="g") == "ConflictException"
    assert refusal(scheduler.create_schedule, **schedule(GroupName="g")) == "ConflictException"
    assert refusal(scheduler.create_schedule, **schedule(GroupName="none")) == "ResourceNotFoundException"
    assert refusal(scheduler.delete_schedule_group, Name="default") == "ValidationException"
    scheduler.delete_schedule_group(Name="g")
    assert scheduler.get_schedule_group(Name="g")["State"] == "DELETING"
    assert refusal(scheduler.get_schedule, GroupName="g", Name="s") == "ResourceNotFoundException"
    sandbox.clock.advance(60)
    assert refusal(scheduler.get_schedule_group, Name="g") == "ResourceNotFoundException"


def test_tags_are_those_of_groups_and_in_the_index(scheduler, sandbox):
    arn = scheduler.create_schedule_group(Name="g", Tags=[{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}])
    arn = arn["ScheduleGroupArn"]
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["a", "x"])
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "e", "Value": "f"}])
    tagging = sandbox.client("resourcegroupstaggingapi")

    listed = [{"Key": "c", "Value": "d"}, {"Key": "e", "Value": "f"}]
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == listed
    (found,) = tagging.get_resources(ResourceTypeFilters=["scheduler:schedule-group"])["ResourceTagMappingList"]
    assert found == {"ResourceARN": arn, "Tags": listed}


@pytest.mark.parametrize(
    "more",
    [
        {"ScheduleExpression": "every day"},
        {"ScheduleExpressionTimezone": "Europe/Pariss"},
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}},
        {"Name": "a b"},
        {"target": {"RoleArn": "arn:aws:iam::123456789012:role/none"}},
        {"target": {"Arn": "arn:aws:batch:eu-west-1:123456789012:job-queue/q"}},
        {"target": {"Input": "no JSON"}},
        {"target": {"Input": "{}"}},
    ],
)
def test_what_it_refuses(scheduler, more):
    assert refusal(scheduler.create_schedule, **schedule(**more)) == "ValidationException"


def test_an_update_resets_what_it_leaves_out(scheduler):
    scheduler.create_schedule(**schedule(State="DISABLED", Description="d", ActionAfterCompletion="DELETE"))
    scheduler.update_schedule(**schedule())
    shown = scheduler.get_schedule(Name="s")

    assert "Description" not in shown
    assert (shown["State"], shown["ActionAfterCompletion"], shown["GroupName"]) == ("ENABLED", "NONE", "default")
    assert shown["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


def test_lists_are_paged(scheduler):
    for name in ("a", "b", "c"):
        scheduler.create_schedule(**schedule(Name=name))
    first = scheduler.list_schedules(MaxResults=2)
    rest = scheduler.list_schedules(MaxResults=2, NextToken=first["NextToken"])

    assert [one["Name"] for one in (*first["Schedules"], *rest["Schedules"])] == ["a", "b", "c"]
    assert "NextToken" not in rest and first["Schedules"][0]["Target"] == {"Arn": SUBMIT}


def test_what_cannot_be_submitted_is_in_the_log_and_a_last_run_deletes(scheduler, sandbox):
    then = datetime.fromtimestamp(sandbox.clock.now() + 600, UTC).strftime("at(%Y-%m-%dT%H:%M:%S)")
    scheduler.create_schedule(**schedule(ScheduleExpression=then, ActionAfterCompletion="DELETE"))
    assert scheduler.get_schedule(Name="s")["State"] == "ENABLED"
    sandbox.clock.advance(1200)

    assert refusal(scheduler.get_schedule, Name="s") == "ResourceNotFoundException"
    (run,) = [one for one in sandbox.calls if one.operation == "SubmitJob"]
    assert (run.params["jobQueue"], run.status, run.code) == ("q", 400, "ClientException")

    scheduler.create_schedule(**schedule(Name="t"))
    sandbox.client("iam").delete_role_policy(RoleName="r", PolicyName="p")
    sandbox.clock.advance(3700)
    scheduler.list_schedules()
    run = [one for one in sandbox.calls if one.operation == "SubmitJob"][-1]
    assert (run.status, run.code) == (403, "AccessDeniedException"), "the role of the schedule submits the job"


def test_a_disabled_schedule_does_not_fire(scheduler, sandbox):
    scheduler.create_schedule(**schedule(State="DISABLED"))
    sandbox.clock.advance(86400)
    scheduler.list_schedules()

    assert [one for one in sandbox.calls if one.operation == "SubmitJob"] == []
