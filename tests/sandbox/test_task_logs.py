"""Logs of jobs: groups, streams, lines that arrive with time, and how they are read.

operating.md 3.1 (names) and 3.2 (reading); aws-batch.md 7 (drivers and options).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reconciler.sandbox.wire import Request
from tests.sandbox import site

FOR_EVER = {"exitCode": 0, "seconds": 10**9}
RUNNING = 400  # seconds from submitting to RUNNING, with an instance that must start first


def test_a_stream_is_there_from_running_on_and_lines_arrive_over_time(sandbox: Any) -> None:
    site.built(sandbox)
    logs = sandbox.client("logs")
    lines = ["attempt $AWS_BATCH_JOB_ATTEMPT", {"text": "half", "at": 50}, {"text": "too late", "at": 101}]
    sandbox.change({"outcomes": {"train": [{"exitCode": 1, "seconds": 100, "lines": lines}]}, "job_to_running": 40})
    definition = {"type": "container", "containerProperties": site.container("ec2"), "retryStrategy": {"attempts": 2}}
    job = site.submit(sandbox, "ec2", "train", definition=definition)

    sandbox.advance(90)  # STARTING
    assert site.described(sandbox, job)["status"] == "STARTING"
    assert "logStreamName" not in site.described(sandbox, job)["container"]
    assert logs.describe_log_groups()["logGroups"] == []

    sandbox.advance(25)
    seen = site.described(sandbox, job)["container"]
    stream = {"logGroupName": "/aws/batch/job", "logStreamName": seen["logStreamName"]}
    assert seen["logStreamName"] == f"train/default/{seen['taskArn'].rsplit('/', 1)[-1]}"
    assert texts(logs, **stream) == ["attempt 1"]
    sandbox.advance(50)
    assert texts(logs, **stream) == ["attempt 1", "half"]

    sandbox.advance(600)
    first, second = (one["container"]["logStreamName"] for one in site.described(sandbox, job)["attempts"])
    assert first == seen["logStreamName"] != second
    assert texts(logs, **{**stream, "logStreamName": second}) == ["attempt 2", "half"]
    by_time = logs.describe_log_streams(logGroupName="/aws/batch/job", orderBy="LastEventTime", descending=True)
    assert [one["logStreamName"] for one in by_time["logStreams"]] == [second, first]
    event = logs.get_log_events(**stream, limit=1, startFromHead=True)["events"][0]
    started = site.described(sandbox, job)["attempts"][0]["startedAt"]
    assert event["timestamp"] == event["ingestionTime"] == started


def test_names_are_those_of_containers_children_nodes_and_options(sandbox: Any) -> None:
    site.built(sandbox)
    logs = sandbox.client("logs")
    logs.create_log_group(logGroupName="/mine")
    here = {"logDriver": "awslogs", "options": {"awslogs-group": "/mine", "awslogs-stream-prefix": "p"}}
    sandbox.change({"outcomes": {"*": [FOR_EVER]}})
    custom = site.container("ec2", logConfiguration=here)
    two = [
        {**site.container("ec2"), "name": "app", "logConfiguration": here},
        {**site.container("ec2"), "name": "aside"},
    ]
    nodes = {
        "numNodes": 2,
        "mainNode": 0,
        "nodeRangeProperties": [{"targetNodes": "0:", "container": site.container("ec2")}],
    }
    file = {**site.container("ec2"), "logConfiguration": {"logDriver": "json-file"}}
    jobs = {
        name: site.submit(sandbox, "ec2", name, definition=definition, **more)
        for name, definition, more in (
            ("custom", {"type": "container", "containerProperties": custom}, {}),
            ("array", None, {"arrayProperties": {"size": 2}}),
            ("both", {"type": "container", "ecsProperties": {"taskProperties": [{"containers": two}]}}, {}),
            ("nodes", {"type": "multinode", "nodeProperties": nodes}, {}),
            ("file", {"type": "container", "containerProperties": file}, {}),
        )
    }
    sandbox.advance(RUNNING)

    def named(job: str) -> Any:
        return site.described(sandbox, job)["container"].get("logStreamName", "").rpartition("/")[0]

    assert named(jobs["custom"]) == "p/default"
    assert named(f"{jobs['array']}:1") == "array/default"
    assert named(f"{jobs['nodes']}#1") == "nodes/default"
    assert named(jobs["file"]) == ""
    assert "container" not in site.described(sandbox, jobs["array"]) or named(jobs["array"]) == ""
    task = site.described(sandbox, jobs["both"])["ecsProperties"]["taskProperties"][0]
    assert [one["logStreamName"].rpartition("/")[0] for one in task["containers"]] == ["p/app", "both/aside"]
    streams = logs.describe_log_streams(logGroupName="/aws/batch/job")["logStreams"]
    assert len({one["logStreamName"] for one in streams}) == 2 + 1 + 2

    sandbox.write_log(jobs["both"], ["from the app", "again"], "aside")
    found = logs.filter_log_events(logGroupName="/aws/batch/job", logStreamNamePrefix="both/")["events"]
    assert [(one["message"], one["logStreamName"].split("/")[1]) for one in found] == [
        ("from the app", "aside"),
        ("again", "aside"),
    ]
    assert logs.filter_log_events(logGroupName="/mine", logStreamNamePrefix="none")["events"] == []
    for job, container in (("nothing", ""), (jobs["both"], "other")):
        with pytest.raises(ValueError, match=r"No job nothing is RUNNING|has no container other"):
            sandbox.write_log(job, ["x"], container)

    sandbox.client("batch").terminate_job(jobId=jobs["nodes"], reason="enough")
    sandbox.advance(60)
    node = site.described(sandbox, f"{jobs['nodes']}#1")
    assert node["attempts"][0]["container"]["logStreamName"] == node["container"]["logStreamName"]


def test_tokens_hold_their_place_while_lines_arrive(sandbox: Any) -> None:
    """`nextForwardToken` is the one that was sent at the end, and nothing is lost or read twice."""
    site.built(sandbox)
    logs = sandbox.client("logs")
    sandbox.change({"outcomes": {"*": [FOR_EVER]}})
    job = site.submit(sandbox, "ec2", "follow")
    sandbox.advance(RUNNING)
    stream = {
        "logGroupName": "/aws/batch/job",
        "logStreamName": site.described(sandbox, job)["container"]["logStreamName"],
    }

    empty = logs.get_log_events(**stream, startFromHead=False)
    token = empty["nextForwardToken"]
    assert empty["events"] == [] and logs.get_log_events(**stream, nextToken=token)["nextForwardToken"] == token
    seen = []
    for number in range(7):
        sandbox.write_log(job, [str(number)])
        sandbox.advance(1)
        if number % 3 == 2:
            page = logs.get_log_events(**stream, nextToken=token, startFromHead=True, limit=2)
            seen += [one["message"] for one in page["events"]]
            token = page["nextForwardToken"]
    while (page := logs.get_log_events(**stream, nextToken=token, startFromHead=True))["nextForwardToken"] != token:
        seen += [one["message"] for one in page["events"]]
        token = page["nextForwardToken"]
    assert seen == list("0123456")
    last = logs.get_log_events(**stream, limit=2)
    assert [one["message"] for one in last["events"]] == ["5", "6"]
    before = logs.get_log_events(**stream, nextToken=last["nextBackwardToken"], limit=2)
    assert [one["message"] for one in before["events"]] == ["3", "4"]
    times = [one["timestamp"] for one in logs.get_log_events(**stream, startFromHead=True)["events"]]
    middle = logs.get_log_events(**stream, startTime=times[2], endTime=times[4], startFromHead=True)["events"]
    assert [one["message"] for one in middle] == ["2", "3"], "the end is not part of it"

    for wrong, code in (
        ({"logStreamName": "none"}, "ResourceNotFoundException"),
        ({"logGroupName": "none"}, "ResourceNotFoundException"),
        ({"nextToken": "x"}, "InvalidParameterException"),
    ):
        with pytest.raises(ClientError, match=code):
            logs.get_log_events(**{**stream, **wrong})
    with pytest.raises(ClientError, match="NotImplemented"):
        logs.start_live_tail(logGroupIdentifiers=["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/batch/job"])


def test_lines_for_splunk_reach_the_collector_with_a_token_that_it_accepts(sandbox: Any) -> None:
    """The driver checks the address when it starts, not the token: what is refused later is dropped.

    docs.docker.com/engine/logging/drivers/splunk, docs.splunk.com HECRESTendpoints (codes 0, 2, 4, 5, 6)
    """
    site.built(sandbox)
    secret = sandbox.client("secretsmanager").create_secret(Name="hec", SecretString='{"token": "good"}')["ARN"]
    sandbox.change({"outcomes": {"*": [FOR_EVER]}, "splunk_tokens": ["good"]})
    options = {"splunk-url": "https://splunk.example.com:8088", "splunk-index": "batch", "tag": "job"}
    by_secret = {"logDriver": "splunk", "options": options}
    by_secret["secretOptions"] = [{"name": "splunk-token", "valueFrom": f"{secret}:token::"}]
    plain = {"logDriver": "splunk", "options": {**options, "splunk-token": "bad"}}
    syslog = {"logDriver": "syslog", "options": {"syslog-address": "udp://10.0.0.9:514"}}
    for name, log in (("good", by_secret), ("bad", plain), ("other", syslog)):
        given = site.container("ec2", logConfiguration=log, executionRoleArn=f"{site.ROLE}/execution")
        site.submit(sandbox, "ec2", name, definition={"type": "container", "containerProperties": given})
    sandbox.advance(RUNNING)
    for name in ("good", "bad", "other"):
        sandbox.write_log(name, [f"from {name}"])

    def received() -> Any:
        reply = sandbox.answer(Request("GET", "/_sandbox/collector", "", {}, b""))
        return json.loads(reply.body)["received"]

    good, bad, other = received()
    assert good["address"] == "https://splunk.example.com:8088" and good["index"] == "batch"
    assert good["event"] == {"line": "from good", "source": "stdout", "tag": "job"}
    assert bad["refused"] == "Invalid token" and "event" not in bad
    assert (other["driver"], other["event"]["line"]) == ("syslog", "from other")

    def post(body: str, **headers: str) -> tuple[int, int]:
        reply = sandbox.answer(Request("POST", "/services/collector/event", "", headers, body.encode()))
        return reply.status, json.loads(reply.body)["code"]

    allowed = {"authorization": "Splunk good"}
    assert post('{"event": "a"}{"event": {"line": "b"}}', **allowed) == (200, 0)
    assert [one["event"] for one in received()[3:]] == ["a", {"line": "b"}]
    assert post('{"event": "a"}', authorization="Splunk no") == (403, 4)
    assert post('{"event": "a"}') == (401, 2)
    assert [post(body, **allowed) for body in ("", "{", '{"x": 1}')] == [(400, 5), (400, 6), (400, 12)]


def texts(logs: Any, **stream: str) -> list[str]:
    """The lines of a stream."""
    return [one["message"] for one in logs.get_log_events(**stream, startFromHead=True)["events"]]
