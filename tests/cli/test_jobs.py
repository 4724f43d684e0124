"""`reconcile jobs` as it is typed, against the account: what is printed, what is asked for, and how often."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator

from tests.support.permitted import ACCOUNT, REGION, Permitted, actions_of
from tests.support.shell import Result, Shell, Ticking

VALID = Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "schemas" / "jobs.schema.json").read_text(encoding="utf-8"))
)
LAB = (Path(__file__).parents[1] / "data" / "jobs" / "lab.yaml").read_text(encoding="utf-8")
SERVICE_QUEUE = """
serviceEnvironments:
  training: {serviceEnvironmentType: SAGEMAKER_TRAINING, capacityLimits: [{capacityUnit: NUM_INSTANCES, maxCapacity: 2}]}
jobQueues:
  fits: {jobQueueType: SAGEMAKER_TRAINING, priority: 1, serviceEnvironmentOrder: [{order: 1, serviceEnvironment: training}]}
"""
SECRET = "s3cretvalue99"


@pytest.fixture
def lab(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """An environment with a queue on EC2 and one on Fargate, applied; time passes as commands sleep."""
    (tmp_path / "environments" / "lab").mkdir(parents=True)
    (tmp_path / "environments" / "lab" / "environment.yaml").write_text(LAB, encoding="utf-8")
    monkeypatch.setattr("reconciler.cli.job_options.WallClock", lambda: Ticking(shell.account))
    shell.secrets.add(SECRET)
    shell.ok("apply", "--auto-approve")
    shell.account.calls.clear()
    return shell


def asked(lab: Shell) -> Counter[str]:
    """How often each operation was called since the last look, beside those that every command begins with."""
    found = Counter(call.operation for call in lab.account.calls if call.operation != "GetCallerIdentity")
    lab.account.calls.clear()
    return found


def document(result: Result) -> Any:
    VALID.validate(result.json)
    return result.json


def scripted(lab: Shell, **ends: list[dict[str, Any]]) -> None:
    lab.account.change({"outcomes": ends})


HOST_LOST = {"statusReason": "Host EC2 (instance i-0abc) terminated.", "seconds": 20}


def test_a_job_is_submitted_followed_and_explained(lab: Shell) -> None:
    told = ["loading", f"token is {SECRET}", "frame 7 done"]
    scripted(lab, render=[{**HOST_LOST, "lines": ["first try"]}, {"exitCode": 3}, {"exitCode": 0, "lines": told}])
    words = ["--parameter", "frame=7", "--env", f"API_TOKEN={SECRET}", "--command", f"render --password {SECRET}9"]
    done = lab.ok("jobs", "submit", "render", *words, "--follow")

    job = done.err.split(" to main: ")[1].split()[0]
    assert done.out.splitlines() == [
        *("first try", "attempt 3 | loading", "attempt 3 | token is (sensitive)", "attempt 3 | frame 7 done"),
    ]
    assert "SUCCEEDED after 3 attempts, exit code 0" in done.err
    assert "RUNNABLE (attempt 2)" in done.err or "RUNNING (attempt 2)" in done.err

    asked(lab)
    text = lab.ok("jobs", "show", job).out
    assert asked(lab) == {"DescribeJobs": 1}
    for line in (
        "  definition  render:1 (jobDefinitions.render)",
        "  command     render --password (sensitive)",
        "  parameters  frame=7",
        "  variable    API_TOKEN=(sensitive)",
        "  variable    MODE=fast",
        "  statusReason: Host EC2 (instance i-0abc) terminated.",
        '  RETRY: entry 0 matches: onStatusReason: "Host EC2*" (environments/lab/environment.yaml:31:11)',
        '  RETRY: entry 1 matches: onExitCode: "3" (environments/lab/environment.yaml:32:11)',
        "  SUCCEEDED: exit code 0 is success",
        "  log: /lab/render lab/default/",
    ):
        assert line in text
    assert "region=eu-west-1#logsV2:log-groups/log-group/$252Flab$252Frender/log-events/lab$252Fdefault$252F" in text

    (shown,) = document(lab.ok("jobs", "show", "lab", job, "--format", "json"))["jobs"]
    assert [one["decision"]["decision"] for one in shown["attempts"]] == ["RETRY", "RETRY", "SUCCEEDED"]
    assert all(one["decision"]["as_expected"] for one in shown["attempts"])
    assert [one["exit_code"] for one in shown["attempts"]] == [None, 3, 0]

    asked(lab)
    only = lab.ok("jobs", "logs", job, "--attempt", "3", "--grep", "frame|load")
    assert only.out.splitlines() == ["loading", "frame 7 done"]
    assert asked(lab) == {"DescribeJobs": 1, "GetLogEvents": 2}
    lines = lab.ok("jobs", "logs", job, "--format", "json").lines
    assert [(one["attempt"], one["message"]) for one in lines] == [
        (1, "first try"),
        *((3, text) for text in ("loading", "token is (sensitive)", "frame 7 done")),
    ]
    for one in lines:
        VALID.validate(one)


def test_the_exit_code_tells_how_a_job_ended(lab: Shell) -> None:
    scripted(lab, render=[{"exitCode": 1}], web=[{"exitCode": 0, "seconds": 9000}])
    failed = lab("jobs", "submit", "render", "--wait", "--format", "json")
    array = lab("jobs", "submit", "render", "--array", "2", "--wait").out.strip()
    asked(lab)
    shown = lab.ok("jobs", "show", array)
    assert asked(lab) == {"DescribeJobs": 1, "ListJobs": 1}
    for index in range(2):
        assert f"  failed      {array}:{index}: exit code 1; Essential container in task exited" in shown.out
    (parent,) = document(lab.ok("jobs", "show", array, "--format", "json"))["jobs"]
    assert [one["exit_code"] for one in parent["failed_children"]] == [1, 1]
    assert failed.code == 1 and document(failed)["status"] == "FAILED" and document(failed)["exit_code"] == 1

    asked(lab)
    late = lab("jobs", "submit", "web", "--wait", "--timeout", "10m", "--name", "slow")
    assert late.code == 2 and "RUNNING" in late.err and "the job continues: `reconcile jobs show" in late.err
    calls = asked(lab)
    assert calls["SubmitJob"] == 1 and calls["DescribeJobs"] <= 24 + 48 + 1  # every 5, later every 10 seconds

    text = lab.ok("jobs", "show", "slow").out
    assert "attempt 1 of 1: RUNNING, since " in text and "address: " in text
    refused = lab("jobs", "submit", "nothing")
    assert refused.code == 1 and 'there is no job definition "nothing" in lab' in refused.err
    assert "--timeout needs --wait" in lab("jobs", "submit", "web", "--timeout", "5m").err


def test_what_was_submitted_is_found_stopped_and_reached(
    lab: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(lab, render=[{"seconds": 9000, "lines": ["child $AWS_BATCH_JOB_ARRAY_INDEX"]}], web=[{"seconds": 9000}])
    array = lab.ok("jobs", "submit", "jobDefinitions.render", "--array", "3", "--memory", "256").out.strip()
    foreign = boto3.client("batch").submit_job(jobName="foreign", jobQueue="light", jobDefinition="web")["jobId"]
    lab.account.clock.advance(300)

    asked(lab)
    text = lab.ok("jobs", "list").out
    assert asked(lab) == {"DescribeJobQueues": 1, "ListJobs": 2, "DescribeJobs": 1}
    assert "array of 3: 3 RUNNING" in text and "2 jobs in light, main." in text
    assert [
        one["job_id"] for one in document(lab.ok("jobs", "list", "--name", "for*", "--format", "json"))["jobs"]
    ] == [foreign]
    found = document(lab.ok("jobs", "list", "--queue", "jobQueues.light", "--status", "running", "--format", "json"))
    assert [one["job_name"] for one in found["jobs"]] == ["foreign"] and found["queues"] == ["light"]
    assert "No jobs" in lab.ok("jobs", "list", "--since", "2099-01-01").out
    assert "there is no such status" in lab("jobs", "list", "--status", "GONE").err

    asked(lab)
    lines = lab.ok("jobs", "logs", array).out.splitlines()
    assert sorted(lines) == [f":{index} attempt 1 | child {index}" for index in range(3)]
    assert asked(lab) == {"DescribeJobs": 2, "FilterLogEvents": 1}

    reached = document(lab.ok("jobs", "connect", f"{array}:1", "--format", "json"))
    assert asked(lab) == {"DescribeJobs": 1, "DescribeContainerInstances": 1, "DescribeInstances": 1}
    assert reached["instance"].startswith("i-") and reached["url"] == f"https://{reached['public_address']}:8443/"
    assert reached["command"] == (
        f"aws ssm start-session --target {reached['instance']} --document-name AWS-StartPortForwardingSession "
        "--parameters portNumber=8443,localPortNumber=8443 --region eu-west-1"
    )
    (tmp_path / "aws").write_text('#!/bin/sh\necho "$@" > "$0.asked"\nexit 3\n')
    (tmp_path / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert lab("jobs", "connect", f"{array}:1", "--ssm").code == 3
    assert f"aws {(tmp_path / 'aws.asked').read_text().strip()}" == reached["command"]
    monkeypatch.setenv("PATH", "/nowhere")
    assert "the AWS CLI is not installed" in lab("jobs", "connect", f"{array}:1", "--ssm").err
    asked(lab)
    fargate = lab.ok("jobs", "connect", "foreign", "--port", "443", "--session", "demo")
    found_by_name = {"DescribeJobQueues": 1, "ListJobs": 2, "DescribeJobs": 1}
    assert asked(lab) == {**found_by_name, "DescribeTasks": 1, "DescribeNetworkInterfaces": 1}
    assert fargate.out.startswith("https://") and fargate.out.rstrip().endswith("/#demo")
    assert "is an array of 3; running: " in lab("jobs", "connect", array).err

    assert lab("jobs", "stop", "--all", "--queue", "main").code == 4
    asked(lab)
    stopped = lab.ok(
        "jobs", "stop", "--all", "--queue", "main", "--auto-approve", "--reason", "enough", "--format", "json"
    )
    assert [one["job_id"] for one in document(stopped)["stopped"]] == [array]
    assert asked(lab) == {"DescribeJobQueues": 1, "ListJobs": 5, "TerminateJob": 1}
    both = document(lab.ok("jobs", "stop", array, foreign, "--format", "json"))
    assert [one["job_id"] for one in both["ended"]] == [array] and len(both["stopped"]) == 1
    shown = lab.ok("jobs", "show", f"{array}:2").out
    assert "FAILED: enough" in shown and "EXIT: a terminated job is not retried" in shown
    assert "is FAILED, not RUNNING: enough" in lab("jobs", "connect", f"{array}:2").err
    assert "there is no job" in lab("jobs", "show", array.replace(array[0], "f" if array[0] != "f" else "0", 1)).err


def test_many_streams_are_followed_together(lab: Shell) -> None:
    lines = [{"text": f"{number} of $AWS_BATCH_JOB_ARRAY_INDEX", "at": 7 * number} for number in range(4)]
    scripted(lab, render=[{"exitCode": 0, "seconds": 60, "lines": lines}])
    done = lab.ok("jobs", "submit", "render", "--array", "10", "--follow", "--format", "json")
    found = Counter((one["job_id"].rpartition(":")[2], one["message"]) for one in done.lines if one["type"] == "log")

    assert found == Counter((str(child), f"{number} of {child}") for child in range(10) for number in range(4))
    assert done.lines[-1]["status"] == "SUCCEEDED"
    calls = asked(lab)
    assert calls["GetLogEvents"] == 0 < calls["FilterLogEvents"] < 60
    assert calls["DescribeJobs"] < 2 * 40


def test_a_job_is_followed_through_an_outage(lab: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [{"text": f"line {number}", "at": number} for number in range(20)]
    scripted(lab, web=[{"exitCode": 0, "seconds": 60, "lines": lines}])
    for service, operation in (("batch", "DescribeJobs"), ("logs", "GetLogEvents")):
        lab.account.faults.add(service=service, operation=operation, code="InternalError", status=500, nth=3, times=20)
    done = lab.ok("jobs", "submit", "web", "--follow")
    assert done.out.splitlines() == [f"line {number}" for number in range(20)]

    lab.account.faults.clear()
    lab.account.faults.add(service="batch", operation="DescribeJobs", code="InternalError", status=500, times=0)
    monkeypatch.setattr("reconciler.operations.jobs.watch.PATIENCE", 20)
    assert "batch:DescribeJobs: InternalError" in lab("jobs", "submit", "web", "--wait").err


def test_a_list_is_watched_with_one_call_a_queue(lab: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def sleep(self: Ticking, seconds: float) -> None:
        looks.append(seconds)
        self.account.clock.advance(60)
        if len(looks) == 5:
            raise KeyboardInterrupt

    job = lab.ok("jobs", "submit", "web", "--name", "w").out.strip()
    monkeypatch.setattr(Ticking, "sleep", sleep)
    asked(lab)
    done = lab("jobs", "list", "--watch", "--queue", "light", "--format", "json")
    assert done.code == 130 and asked(lab) == {"DescribeJobQueues": 1, "ListJobs": 5}
    statuses = [one["job"]["status"] for one in done.lines]
    assert statuses == sorted(set(statuses), key=statuses.index) and statuses[-1] == "SUCCEEDED"
    assert {one["job"]["job_id"] for one in done.lines} == {job}

    looks.clear()
    lab.account.faults.add(service="batch", operation="ListJobs", code="InternalError", status=500, nth=2, times=2)
    assert lab("jobs", "list", "--watch", "--queue", "light").code == 130 and len(looks) == 5
    lab.account.faults.clear()
    lab.account.faults.add(service="batch", operation="DescribeJobQueues", code="AccessDeniedException", times=0)
    denied = lab("jobs", "list", "--format", "json")
    assert denied.code == 1 and "allow batch:DescribeJobQueues" in denied.json["problems"][0]["hint"]


def test_queues_are_chosen_and_words_completed(lab: Shell, tmp_path: Path, complete: Callable[..., list[str]]) -> None:
    more = LAB.replace(
        "jobQueues:\n",
        "jobQueues:\n  other: {priority: 2, computeEnvironmentOrder: [{order: 1, computeEnvironment: ec2}]}\n",
    )
    (tmp_path / "environments" / "lab" / "environment.yaml").write_text(more, encoding="utf-8")
    lab.ok("apply", "--auto-approve")
    assert "choose with --queue: main, other" in lab("jobs", "submit", "render").err
    assert lab.ok("jobs", "submit", "render", "--queue", "jobQueues.other").err.endswith("to other.\n")
    assert "takes no share identifier" in lab("jobs", "submit", "web", "--share", "a").err

    assert complete("jobs", "submit", "ren") == ["render"]
    assert complete("jobs", "submit", "lab", "--queue", "jobQueues.o") == ["jobQueues.other"]
    assert complete("jobs", "list", "la") == ["lab"]
    assert complete("jobs", "list", "--status", "RUN") == ["RUNNABLE", "RUNNING"]


@pytest.fixture
def complete(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The words that the shell offers for the last one."""
    from reconciler.cli import main as cli

    def words(*typed: str) -> list[str]:
        line = ["reconcile", *typed]
        with monkeypatch.context() as patch:
            patch.setenv("_RECONCILE_COMPLETE", "complete_bash")
            patch.setenv("COMP_WORDS", "\n".join(line))
            patch.setenv("COMP_CWORD", str(len(line) - 1))
            cli.main([], leave=lambda _: None)
        return capsys.readouterr().out.split()

    return words


LOST: list[tuple[str, dict[str, Any], list[str], int, str]] = [
    ("reply lost", {"lost": True}, [], 0, "The reply of AWS was lost; the job was found by its name."),
    ("reply lost, of a name that others have", {"lost": True}, ["--name", "taken"], 0, "found by its name"),
    ("request lost", {"code": "InternalError", "status": 500}, ["--name", "taken"], 0, "Sent 2 times"),
    ("throttled", {"throttle": True, "times": 2}, [], 0, "Sent 3 times"),
    ("no server", {"code": "InternalError", "status": 503, "times": 9}, [], 1, "was submitted is unknown"),
    ("refused", {"deny": True}, [], 1, "allow batch:SubmitJob: see `reconcile permissions --for jobs`"),
    ("found too late", {"lost": True}, ["--name", "unlisted"], 1, "submitted-perhaps"),
]


def test_a_lost_reply_never_submits_twice(lab: Shell) -> None:
    batch = boto3.client("batch")
    batch.submit_job(jobName="taken", jobQueue="light", jobDefinition="web")

    def jobs() -> int:
        listed = batch.list_jobs(jobQueue="light", filters=[{"name": "AFTER_CREATED_AT", "values": ["1"]}])
        return len(listed["jobSummaryList"])

    for title, fault, words, code, message in LOST:
        lab.account.faults.clear()
        lab.account.faults.add(service="batch", operation="SubmitJob", **fault)
        if title == "found too late":
            lab.account.faults.add(service="batch", operation="ListJobs", code="AccessDenied", status=403, nth=3)
        before = jobs()
        done = lab("jobs", "submit", "web", *words)
        assert (done.code, message in done.err) == (code, True), (title, done.told)
        lab.account.faults.clear()
        wanted = 0 if title in ("no server", "refused") else 1
        assert jobs() - before == wanted, title


def test_the_printed_policy_is_enough_and_no_more(lab: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(lab, render=[{"seconds": 9000, "lines": ["hello"]}], web=[{"seconds": 9000}], fit=[{"seconds": 9000}])
    (tmp_path / "environments" / "lab" / "services.yaml").write_text(SERVICE_QUEUE, encoding="utf-8")
    lab.ok("apply", "--auto-approve")
    fits = {"jobQueue": "fits", "serviceJobType": "SAGEMAKER_TRAINING", "serviceRequestPayload": "{}"}
    fit = boto3.client("batch").submit_service_job(jobName="fit", **fits)
    permitted = Permitted(lab, monkeypatch)
    policies = permitted.policies("lab", "--for", "jobs", "--account", ACCOUNT, "--region", REGION, folder=tmp_path)

    def run(*words: str) -> str:
        done = permitted.run(policies, "jobs", *words)
        assert (done.code, permitted.denied) == (0, set()), (done.told, permitted.denied)
        return done.out.strip()

    array = run("submit", "render", "--array", "2")
    web = run("submit", "web")
    lab.account.clock.advance(400)
    run("list")
    run("show", web)
    assert "hello" in run("logs", array)
    run("logs", f"{array}:0")
    run("connect", f"{array}:0")
    run("connect", web)
    run("stop", array, web)
    listed = run("list", "--queue", "fits", "--status", "running,runnable")
    assert fit["jobId"] in listed and "attempt 1 of 1: RUNNING, since " in run("show", fit["jobId"])
    assert f"{fit['jobId']}  fit: stopping (RUNNING)" in run("stop", fit["jobArn"])
    (stopped,) = document(lab.ok("jobs", "show", "fit", "--format", "json"))["jobs"]
    assert (stopped["status"], stopped["terminated"], stopped["definition"]) == ("FAILED", True, "")
    assert all(":training-job/" in one["resource"] for one in stopped["attempts"])
    assert "which shows no machine" in lab("jobs", "connect", "fit").err
    assert "the job runs in SAGEMAKER_TRAINING" in lab.ok("jobs", "logs", "fit", "--follow").err
    assert actions_of(policies) - permitted.asked == set()
