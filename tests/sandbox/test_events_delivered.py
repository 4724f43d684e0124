"""Events of AWS Batch reach rules and their targets, and what leaves AWS is in the outbox.

https://docs.aws.amazon.com/batch/latest/userguide/batch_job_events.html (no event for the submission itself),
batch-job-queue-blocked-events.html (the job and the queue are its resources; operating.md 1.1 rule 6),
aws-surroundings.md 2.10 (subscriptions, topic policies) and 2.12 (targets).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator

from reconciler.sandbox.event_delivery import target_input
from reconciler.sandbox.wire import Request
from tests.sandbox import site

INPUTS = yaml.safe_load((Path(__file__).parents[1] / "data/sandbox/target_inputs.yaml").read_text())
SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[2] / "schemas/outbox.schema.json").read_text()))
RULE = "arn:aws:events:eu-west-1:123456789012:rule/r"


def test_a_target_gets_the_event_or_what_is_made_of_it() -> None:
    for case in INPUTS["cases"]:
        assert target_input(case["target"], INPUTS["event"], RULE) == case["text"]
    assert json.loads(target_input({}, INPUTS["event"], RULE)) == INPUTS["event"]


def test_every_change_of_state_is_an_event_but_the_submission(sandbox: Any) -> None:
    site.built(sandbox)
    sandbox.client("events").create_event_bus(Name="team")
    queue = queue_for(sandbox, "all", {"source": ["aws.batch"]}, "team")
    sandbox.change({"outcomes": {"two": [{"exitCode": 1}, {"exitCode": 0}]}, "blocked_after": 60})
    definition = {"type": "container", "containerProperties": site.container("ec2"), "retryStrategy": {"attempts": 2}}
    job = site.submit(sandbox, "ec2", "two", definition=definition, tags={"team": "a"})
    later = site.submit(sandbox, "ec2", "later", dependsOn=[{"jobId": job}])
    sandbox.advance(900)

    sent = [one for one in events(sandbox, queue) if one["detail"]["jobId"] == job]
    states = [one["detail"]["status"] for one in sent]
    again = ["RUNNABLE", "STARTING", "RUNNING"]
    assert states == [*again, *again, "SUCCEEDED"]
    last = sent[-1]
    detail = last["detail"]
    arn = detail["jobArn"]
    assert (last["source"], last["detail-type"], last["resources"]) == ("aws.batch", "Batch Job State Change", [arn])
    assert (last["version"], last["account"], last["region"]) == ("0", "123456789012", "eu-west-1")
    assert detail == {**site.described(sandbox, job), "tags": {"resourceArn": arn, "team": "a"}}
    assert [len(one["detail"]["attempts"]) for one in sent] == [0, 0, 0, 1, 1, 1, 2]
    assert sorted({one["time"] for one in sent})[0] < last["time"]
    assert site.described(sandbox, later)["status"] == "SUCCEEDED"

    large = site.container(
        "ec2", resourceRequirements=[{"type": "VCPU", "value": "64"}, {"type": "MEMORY", "value": "9"}]
    )
    stuck = site.submit(sandbox, "ec2", "stuck", definition={"type": "container", "containerProperties": large})
    sandbox.advance(900)
    (blocked,) = [one for one in events(sandbox, queue) if one["detail-type"] == "Batch Job Queue Blocked"]
    found = site.described(sandbox, stuck)
    assert blocked["resources"] == [found["jobArn"], found["jobQueue"]]
    assert blocked["detail"]["statusReason"] == found["statusReason"] != ""


def test_rules_reach_topics_that_let_them_in_and_addresses_that_have_confirmed(sandbox: Any) -> None:
    site.built(sandbox)
    sns, rules = sandbox.client("sns"), sandbox.client("events")
    failed = {"source": ["aws.batch"], "detail": {"status": ["FAILED"], "jobName": [{"prefix": "bad"}]}}
    open_topic, closed = (sns.create_topic(Name=name)["TopicArn"] for name in ("open", "closed"))
    service = {"Principal": {"Service": "events.amazonaws.com"}, "Resource": open_topic}
    only = {"ArnEquals": {"aws:SourceArn": RULE}}
    policy = site.allow("sns:Publish", **service, Condition=only)
    sns.set_topic_attributes(TopicArn=open_topic, AttributeName="Policy", AttributeValue=policy)
    sns.set_topic_attributes(TopicArn=open_topic, AttributeName="DisplayName", AttributeValue="Alerts")
    for protocol, endpoint in (
        ("email", "ops@example.com"),
        ("email", "late@example.com"),
        ("https", "https://x.example/"),
    ):
        sns.subscribe(TopicArn=open_topic, Protocol=protocol, Endpoint=endpoint)
    told = {"InputPathsMap": {"name": "$.detail.jobName"}, "InputTemplate": '"Job <name> failed."'}
    for rule, targets in (
        ("r", [{"Id": "1", "Arn": open_topic, "InputTransformer": told}, {"Id": "2", "Arn": closed}]),
        ("other", [{"Id": "1", "Arn": open_topic}]),
    ):
        rules.put_rule(Name=rule, EventPattern=json.dumps(failed))
        rules.put_targets(Rule=rule, Targets=targets)
    rules.put_rule(Name="off", State="DISABLED", EventPattern=json.dumps(failed))
    rules.put_targets(Rule="off", Targets=[{"Id": "1", "Arn": closed}])
    assert [one["subject"] for one in outbox(sandbox)] == ["AWS Notification - Subscription Confirmation"] * 2
    admin(sandbox, "subscriptions", {"topic": open_topic, "endpoint": "ops@example.com"})
    admin(sandbox, "outbox", {"clear": True})

    sandbox.change({"outcomes": {"*": [{"exitCode": 1}]}})
    for name in ("bad", "good"):
        site.submit(sandbox, "ec2", name)
    sandbox.advance(600)

    sent = outbox(sandbox)
    assert {(one["kind"], one["to"], one["text"]) for one in sent if "text" in one} == {
        ("email", "ops@example.com", '"Job bad failed."'),
        ("https", "https://x.example/", '"Job bad failed."'),
    }
    mail = next(one for one in sent if one["kind"] == "email")
    assert (mail["subject"], mail["from"]) == ("AWS Notification Message", "Alerts <no-reply@sns.amazonaws.com>")
    lost = {(one["to"], one["rule"].rpartition("/")[2]) for one in sent if one["kind"] == "undelivered"}
    assert lost == {(closed, "r"), (closed, "other"), (open_topic, "other")} - {(closed, "other")}

    assert [one["endpoint"] for one in admin(sandbox, "outbox", {"confirm": True})["confirmed"]] == ["late@example.com"]
    admin(sandbox, "outbox", {"clear": True})
    sns.publish(TopicArn=open_topic, Subject="Session ready", Message="https://10.0.0.1:8443")
    sns.publish(PhoneNumber="+4917012345", Message="hello")
    ready = outbox(sandbox)
    assert [(one["to"], one.get("subject")) for one in ready if one["kind"] == "email"] == [
        ("ops@example.com", "Session ready"),
        ("late@example.com", "Session ready"),
    ]
    assert ready[-1]["kind"] == "sms" and ready[-1]["text"] == "hello"
    for wrong in ({"Subject": "two\nlines"}, {"Subject": "x" * 101}, {"Message": ""}, {"TopicArn": f"{open_topic}x"}):
        with pytest.raises(ClientError, match=r"InvalidParameter|NotFound"):
            sns.publish(**{"TopicArn": open_topic, "Message": "m", **wrong})


def test_a_rule_submits_a_job_and_writes_to_a_log_group_if_it_may(sandbox: Any) -> None:
    site.built(sandbox)
    rules, logs = sandbox.client("events"), sandbox.client("logs")
    site.role(sandbox, "may", "events.amazonaws.com", submit=site.allow("batch:SubmitJob"))
    site.role(sandbox, "may-not", "events.amazonaws.com")
    logs.create_log_group(logGroupName="/aws/events/jobs")
    sandbox.advance(60)
    report = site.submit(sandbox, "ec2", "report")
    arns = {
        one["jobQueueName"]: one["jobQueueArn"] for one in sandbox.client("batch").describe_job_queues()["jobQueues"]
    }
    job = {"Arn": arns["fargate"], "BatchParameters": {"JobDefinition": "merge", "JobName": "merge"}}
    given = {"InputPathsMap": {"id": "$.detail.jobId"}, "InputTemplate": '{"Parameters": {"of": <id>}}'}
    done = {"detail-type": ["Batch Job State Change"], "detail": {"status": ["SUCCEEDED"], "jobName": ["report"]}}
    rules.put_rule(Name="r", EventPattern=json.dumps(done))
    group = f"arn:aws:logs:eu-west-1:{site.ACCOUNT}:log-group:/aws/events/jobs"
    targets = [
        {"Id": "1", "RoleArn": f"{site.ROLE}/may", "InputTransformer": given, **job},
        {"Id": "2", "RoleArn": f"{site.ROLE}/may-not", **job},
        {"Id": "3", "Arn": group},
    ]
    rules.put_targets(Rule="r", Targets=targets)
    merge = {"type": "container", "containerProperties": site.container("fargate", command=["merge", "Ref::of"])}
    batch = sandbox.client("batch")
    batch.register_job_definition(jobDefinitionName="merge", platformCapabilities=["FARGATE"], **merge)
    admin(sandbox, "clock", {"advance": 600})  # in one step, in which the rule's job runs, too
    assert len(batch.list_jobs(jobQueue="fargate", jobStatus="SUCCEEDED")["jobSummaryList"]) == 1
    assert {(one["to"], one["why"].partition(" ")[0]) for one in outbox(sandbox)} == {
        (arns["fargate"], "AccessDeniedException:"),
        (group, "no"),
    }

    service = {"Principal": {"Service": "events.amazonaws.com"}}
    logs.put_resource_policy(policyName="p", policyDocument=site.allow("logs:PutLogEvents", **service))
    (merged,) = batch.list_jobs(jobQueue="fargate", jobStatus="SUCCEEDED")["jobSummaryList"]
    assert site.described(sandbox, merged["jobId"])["parameters"] == {"of": report}
    entry = {"Source": "mine", "DetailType": "Batch Job State Change", "Detail": json.dumps(done["detail"])}
    plain = {**entry, "Detail": '{"status": "SUCCEEDED", "jobName": "report"}'}
    wrong = [{**plain, "Source": "aws.batch"}, {**plain, "Detail": "["}, {**plain, "DetailType": ""}]
    put = rules.put_events(Entries=[plain, *wrong])
    assert put["FailedEntryCount"] == 3 and put["Entries"][0]["EventId"]
    codes = [one.get("ErrorCode") for one in put["Entries"][1:]]
    assert codes == ["NotAuthorizedForSourceException", "MalformedDetail", "InvalidArgument"]
    (written,) = logs.filter_log_events(logGroupName="/aws/events/jobs")["events"]
    assert json.loads(written["message"])["source"] == "mine"


def queue_for(sandbox: Any, name: str, pattern: Any, bus: str) -> str:
    """The URL of an SQS queue that gets what matches, over a bus to which the default one sends it, and it back."""
    sqs, rules = sandbox.client("sqs"), sandbox.client("events")
    arn = f"arn:aws:sqs:eu-west-1:{site.ACCOUNT}:{name}"
    policy = site.allow("sqs:SendMessage", Principal={"Service": "events.amazonaws.com"})
    url: str = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    buses = f"arn:aws:events:eu-west-1:{site.ACCOUNT}:event-bus"
    for where, targets in (("default", [f"{buses}/{bus}"]), (bus, [arn, f"{buses}/default"])):
        rules.put_rule(Name=name, EventPattern=json.dumps(pattern), EventBusName=where)
        listed = [{"Id": str(number), "Arn": one} for number, one in enumerate(targets)]
        rules.put_targets(Rule=name, EventBusName=where, Targets=listed)
    return url


def events(sandbox: Any, url: str) -> list[Any]:
    """What the queue has, oldest first."""
    sqs = sandbox.client("sqs")
    found: list[Any] = []
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for one in got:
            found.append(json.loads(one["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return found


def admin(sandbox: Any, endpoint: str, values: Any) -> Any:
    """The reply of the admin API."""
    reply = sandbox.answer(Request("POST", f"/_sandbox/{endpoint}", "", {}, json.dumps(values).encode()))
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def outbox(sandbox: Any) -> list[Any]:
    """Everything in the outbox, of the form that its schema has."""
    reply = sandbox.answer(Request("GET", "/_sandbox/outbox", "", {}, b""))
    messages: list[Any] = json.loads(reply.body)["messages"]
    SCHEMA.validate({"messages": messages})
    return messages
