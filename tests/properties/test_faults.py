"""AWS at its worst: replies that are lost, storms of refusals, what is seen late, what is wrong for good, and Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError

from reconciler.kinds import discover
from reconciler.kinds.batch._diagnosis.causes import of_environments
from reconciler.model import Call, Proof, Refused, Reply, compact
from reconciler.sandbox import process
from tests.properties.test_killed import ENVIRONMENTS, counted, read
from tests.support import sandbox_account
from tests.support.changes import _Account, files
from tests.support.clients import client_of
from tests.support.histories import READS, Door, History
from tests.support.http_proxy import ROOT, SECRETS, Arrived, Perform, Proxy, Weather, everything, nothing, refusing
from tests.support.long import LONG, across, some, some_rows
from tests.support.waiting import PATIENCE, until

# --- lost replies ----------------------------------------------------------------------------------------------------

# Whose second sending comes to the same, by AWS's word.
API = "https://docs.aws.amazon.com"
SAME_AGAIN = {
    "iam:AttachRolePolicy": f"{API}/IAM/latest/APIReference/API_AttachRolePolicy.html",
    "iam:PutRolePolicy": f"{API}/IAM/latest/APIReference/API_PutRolePolicy.html",  # replaces
    "secretsmanager:PutSecretValue": f"{API}/secretsmanager/latest/apireference/API_PutSecretValue.html",  # token
    "sns:CreateTopic": f"{API}/sns/latest/api/API_CreateTopic.html",  # idempotent
    "sns:Subscribe": f"{API}/sns/latest/api/API_Subscribe.html",  # gives the ARN of the one that is there
    "ec2:AuthorizeSecurityGroupIngress": f"{API}/AWSEC2/latest/APIReference/errors-overview.html",  # Duplicate is done
    "ec2:AuthorizeSecurityGroupEgress": f"{API}/AWSEC2/latest/APIReference/errors-overview.html",
    "ec2:CreateTags": f"{API}/AWSEC2/latest/APIReference/API_CreateTags.html",  # overwrites
}
MAKES = re.compile(r":(Create|Register|Import|Add|Attach|Put|Subscribe|Authorize|Run|Start)")


@dataclass
class Losing(Door):
    """Every write is done, and the first answers to each are lost; ``sent`` counts each."""

    losses: int = 1
    sent: Counter[str] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)

    def call(self, call: Call) -> Reply:
        reply = super().call(call)
        if call.operation.startswith(READS):
            return reply
        key = f"{call} {compact(call.params)}"
        self.sent[key] += 1
        self.calls.append(call)
        lost = self.sent[key] <= self.losses
        return Refused("ConnectionClosedError", "the connection was closed", unknown_outcome=True) if lost else reply


LATE = {"read_lag": 20, "tag_lag": 20, "iam_refuses_fresh": True, "iam_delay": 25, "relationship_lag": 120}


@pytest.mark.parametrize(("name", "late"), across(ENVIRONMENTS, [{}, LATE], 16))
def test_every_answer_is_lost_once_and_nothing_is_done_twice(name: str, late: Mapping[str, Any], sandbox: Any) -> None:
    env, history = read(name), History(sandbox, name)
    history.converge(env)
    whole = counted(everything(sandbox.client))
    sandbox.reset()
    sandbox.change(late)
    history = History(sandbox, name)
    door = Losing(history.aws)

    outcome = history.run(env, door)

    assert outcome.ok, history.failures()
    proven = [event for event in history.events if event.detail == "succeeded, although the reply was lost"]
    assert len(proven) >= min(5, len(env.resources))
    assert any("; not visible yet" in event.detail for event in history.events) is bool(late)
    sandbox.advance(60)
    history.expect_nothing(env)
    assert counted(everything(sandbox.client)) == whole
    outcome = history.run(env, Losing(history.aws), destroy=True)
    assert outcome.ok, history.failures()
    sandbox.advance(60)
    history.expect_empty(env)


KINDS = [file for file in files() if not discover()[file.section].shared]


@pytest.mark.parametrize("file", some(KINDS, 8, first=1), ids=lambda file: file.section)
def test_lost_answers_to_changes_of_every_kind(file: Any, sandbox: Any, tmp_path: Path) -> None:
    sandbox.change({"iam_delay": 0})
    history = History(sandbox, name="effects")
    account = _Account(file, (), history, tmp_path, {})
    able = [row for row in file.rows if not row.refused and row.effect not in ("replace", "none")][:12]
    before, after = ({f"x-{row.id}": row.declared(value) for row in able for value in [pick(row)]} for pick in PICKS)
    for declared in (before, after, before):
        env = account.environment({file.name.format(id=name): props for name, props in declared.items()})
        door = Losing(history.aws)

        outcome = history.run(env, door, allow_deletions=100)

        assert outcome.ok, history.failures()
        history.expect_nothing(env)
        expect_safe(door.calls)
        revisions = [key for key, times in door.sent.items() if key.startswith("batch:RegisterJob") and times > 1]
        assert not revisions


PICKS = (lambda row: row.before, lambda row: row.after)


def expect_safe(calls: list[Call]) -> None:
    """What makes something has a proof that it was made, or does no harm when it is sent again."""
    for call in calls:
        unsafe = MAKES.search(str(call)) and call.proof is Proof.NONE and str(call) not in SAME_AGAIN
        assert not unsafe or str(call).startswith(TAKES_PLACE), str(call)


TAKES_PLACE = ("ecr:Put", "logs:Put", "events:Put", "sns:Put", "secretsmanager:Put", "iam:PutRolePermissionsBoundary")


def test_a_mistake_after_a_lost_answer_is_still_a_mistake(sandbox: Any) -> None:
    """What does not say that it is there already is not waited for."""
    env, history = read("job-alerts"), History(sandbox, "job-alerts")

    class Forbidding(Losing):
        def call(self, call: Call) -> Reply:
            again = self.sent[f"{call} {compact(call.params)}"]
            if call.operation == "CreateComputeEnvironment":
                self.sent[f"{call} {compact(call.params)}"] += 1
                return (
                    Refused("ClientException", "not authorized")
                    if again
                    else Refused("Timeout", "", unknown_outcome=True)
                )
            return super().call(call)

    door = Forbidding(history.aws)
    outcome = history.run(env, door)

    assert not outcome.ok
    assert [times for key, times in door.sent.items() if "CreateComputeEnvironment" in key] == [2]


def test_an_answer_that_never_comes_is_a_lost_one(sandbox: Any) -> None:
    aws = client_of(sandbox.session, sandbox.region)
    times: list[int] = []

    def never(**_: Any) -> None:
        times.append(1)
        raise ReadTimeoutError(endpoint_url="https://sns")

    aws.client("sns", once=True).meta.events.register_first("before-send.sns.CreateTopic", never)
    refused = aws.call(Call("sns", "CreateTopic", {"Name": "t"}))

    assert isinstance(refused, Refused) and refused.unknown_outcome and not refused.not_processed
    assert len(times) == 1


PAGES = [
    b"",
    b"<html><body>Sign in</body></html>",
    b'{"jobQueues": [{"jobQueueName": "q", "tags"',
    b"[]",
    b"null",
    b"\x00\x01",
]
ASKED = {
    "rest-json": Call("batch", "DescribeJobQueues"),
    "json": Call("events", "ListRules"),
    "json, of many": Call("resourcegroupstaggingapi", "GetResources"),
    "query": Call("iam", "ListRoles", all_pages=True),
    "ec2": Call("ec2", "DescribeVpcs"),
}


class Body(io.BytesIO):
    """What was received, as botocore reads it."""

    def stream(self) -> Iterator[bytes]:
        yield self.getvalue()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("call", ASKED.values(), ids=ASKED)
def test_a_page_that_is_not_awss_says_nothing_about_the_account(
    call: Call, page: bytes, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read is made again a few times; half a reply is not one that nothing stands in."""
    monkeypatch.setattr("reconciler.account.client.time.sleep", lambda _: None)
    aws = client_of(sandbox.session, sandbox.region)
    times: list[int] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        times.append(1)
        return AWSResponse(request.url, 200, HTTPHeaders(), Body(page))

    aws.client(call.service).meta.events.register_first("before-send", answer)
    refused = aws.call(call)

    assert isinstance(refused, Refused) and refused.unknown_outcome
    assert len(times) == 4


def test_half_a_refusal_is_none(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there is told by a code: without it, it may be there all the same."""
    monkeypatch.setattr("reconciler.account.client.time.sleep", lambda _: None)
    aws = client_of(sandbox.session, sandbox.region)
    halves = [b'{"__type": "ResourceNotFoundException", "mess'] * 2

    def answer(request: Any, **_: Any) -> AWSResponse | None:
        return AWSResponse(request.url, 404, HTTPHeaders(), Body(halves.pop())) if halves else None

    aws.client("secretsmanager").meta.events.register_first("before-send", answer)
    refused = aws.call(Call("secretsmanager", "DescribeSecret", {"SecretId": "s"}))

    assert isinstance(refused, Refused) and refused.code == "ResourceNotFoundException"


def test_a_creation_that_is_answered_by_another_page_is_a_lost_one(sandbox: Any) -> None:
    aws = client_of(sandbox.session, sandbox.region)
    page = Body(b"<html><body>Sign in</body></html>")
    answer = lambda request, **_: AWSResponse(request.url, 200, HTTPHeaders(), page)  # noqa: E731
    aws.client("batch", once=True).meta.events.register_first("before-send", answer)
    refused = aws.call(Call("batch", "CreateJobQueue", {"jobQueueName": "q", "priority": 1}))

    assert isinstance(refused, Refused) and refused.unknown_outcome


# --- storms, from outside --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", some(range(6), 6, first=1))
def test_one_run_comes_through_a_storm(seed: int, proxy: Proxy) -> None:
    proxy.type("apply", "job-alerts", "--auto-approve")
    whole = counted(everything(boto3.client))
    proxy.type("destroy", "job-alerts", "--auto-approve")
    proxy.sandbox.reset()
    weather = Weather(seed)
    proxy.happens = weather

    proxy.type("apply", "job-alerts", "--auto-approve")

    assert sum(weather.met.values()) >= 12 and {"throttled", "lost"} <= weather.met.keys(), weather.met
    assert counted(everything(boto3.client)) == whole
    proxy.happens = nothing
    proxy.type("plan", "job-alerts", "--detailed-exitcode")
    proxy.happens = weather if LONG else nothing
    proxy.type("destroy", "job-alerts", "--auto-approve")
    assert sum(counted(everything(boto3.client)).values()) == 1  # the default security group


MISTAKES = [
    ("CreateRole", "AccessDenied", "not authorized to perform: iam:CreateRole", 403),
    ("CreateRole", "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000", 409),
    ("CreateLogGroup", "LimitExceededException", "Resource limit exceeded.", 400),
    ("CreateTopic", "TopicLimitExceeded", "Topic limit exceeded", 403),
    ("CreateComputeEnvironment", "ClientException", "Compute environment limit exceeded", 400),
    ("CreateSecurityGroup", "VpcLimitExceeded", "too many", 400),
    ("PutRule", "ValidationException", "Event pattern is not valid", 400),
]


@pytest.mark.parametrize(("operation", "code", "message", "status"), MISTAKES)
def test_a_mistake_fails_at_once_with_its_cause(
    operation: str, code: str, message: str, status: int, proxy: Proxy
) -> None:
    proxy.happens = refusing(operation, code, message, status)

    told, _ = proxy.type("apply", "job-alerts", "--auto-approve", expect=3)

    tried = Counter((call.request.query, call.request.body) for call in proxy.arrived if call.operation == operation)
    assert set(tried.values()) == {1}
    assert f"{code}: {message}" in told
    assert re.search(r"environments/job-alerts/\w+\.yaml:\d+:\d+\) failed at", told)


def test_what_is_throttled_for_ever_comes_to_an_end(sandbox: Any) -> None:
    env, history = read("job-alerts"), History(sandbox, "job-alerts")

    class Busy(Door):
        def call(self, call: Call) -> Reply:
            if call.operation == "CreateTopic":
                self.writes.append(str(call))
                return Refused("Throttling", "Rate exceeded", not_processed=True)
            return super().call(call)

    door = Busy(history.aws)
    before = sandbox.clock.now()
    outcome = history.run(env, door)

    assert not outcome.ok
    assert door.writes.count("sns:CreateTopic") == 10
    assert sandbox.clock.now() - before < 600
    assert any("Throttling: Rate exceeded (10 times)" in failure for failure in history.failures())


# --- compute environments that turn INVALID --------------------------------------------------------------------------

REASONS = {  # https://docs.aws.amazon.com/batch/latest/userguide/invalid_compute_environment.html and .../troubleshooting.html
    "CLIENT_ERROR - Not authorized to perform sts:AssumeRole (Service: AWSSecurityTokenService)": "serviceRole",
    "CLIENT_ERROR - User: batch.amazonaws.com is not authorized to perform: sts:AssumeRole on resource: x": "serviceRole",
    "CLIENT_ERROR - User: arn:aws:sts::1:assumed-role/r/aws-batch is not authorized to perform: ecs:DescribeClusters "
    "on resource: x": "serviceRole",
    "CLIENT_ERROR - User: arn:aws:sts::1:assumed-role/r/aws-batch is not authorized to perform: autoscaling:Create": (
        "serviceRole"
    ),
    "CLIENT_ERROR - Parameter: SpotFleetRequestConfig.IamFleetRole is invalid": "computeResources.spotIamFleetRole",
    "CLIENT_ERROR - Instance profile arn:x does not exist": "computeResources.instanceRole",
    "CLIENT_ERROR - Invalid IamInstanceProfile: arn:x": "computeResources.instanceRole",
    "CLIENT_ERROR - Clusters can not be blank.": "type",
    "CLIENT_ERROR - Unable to validate Kubernetes Namespace": "eksConfiguration.kubernetesNamespace",
    "CLIENT_ERROR - EKS Cluster version [1.19] is unsupported": "eksConfiguration.eksClusterArn",
    "Your compute environment has been INVALIDATED and scaled down because none of the instances joined the underlying "
    "ECS Cluster": "computeResources.subnets",
    "CLIENT_ERROR - The subnet ID 'subnet-1' does not exist": "computeResources.subnets",
    "CLIENT_ERROR - The subnets belong to different networks": "computeResources.subnets",
    "CLIENT_ERROR - The security group 'sg-1' does not exist": "computeResources.securityGroupIds",
    "CLIENT_ERROR - Security group sg-1 and the subnets belong to different networks": (
        "computeResources.securityGroupIds"
    ),
    "CLIENT_ERROR - The specified launch template, lt-1, does not exist": "computeResources.launchTemplate",
}


@pytest.mark.parametrize(("reason", "path"), REASONS.items())
def test_every_known_cause_names_its_property(reason: str, path: str) -> None:
    cause = next(known for known in of_environments() if known.matches(reason))

    assert cause.path == path
    assert path.rpartition(".")[2] in cause.advice or path == "type"


WRONG = {
    "serviceRole": (
        {"roles": {"bad": {"trust": ["ec2.amazonaws.com"]}}, "role": "bad"},
        "sts:AssumeRole on resource",
        '"serviceRole"',
        '"bad": {',
    ),
    "computeResources.instanceRole": (
        {"roles": {}, "role": "svc", "instanceRole": "arn:aws:iam::123456789012:instance-profile/none"},
        "Instance profile arn:aws:iam::123456789012:instance-profile/none does not exist",
        '"instanceRole"',
        "",
    ),
}


@pytest.mark.parametrize("path", WRONG)
def test_one_that_turns_invalid_fails_with_its_reason_and_the_line_to_change(
    path: str, proxy: Proxy, tmp_path: Path
) -> None:
    facts, reason, member, other = WRONG[path]
    resources = {"instanceRole": facts["instanceRole"]} if "instanceRole" in facts else {}
    made = sandbox_account.ec2(role=facts["role"], **resources)
    stack = sandbox_account.estate({"c": made}, {"q": sandbox_account.queue("c")}, roles=facts["roles"])
    target = tmp_path / "environment.yaml"
    target.write_text(json.dumps(stack, indent=1), encoding="utf-8")
    lines = target.read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines, 1) if member in line)

    proxy.type("apply", str(target), "--auto-approve", "--exclude", "computeEnvironments.c")

    told, _ = proxy.type("apply", str(target), "--auto-approve", expect=3)
    again, _ = proxy.type("apply", str(target), "--auto-approve", "--format", "json", expect=3)

    assert "INVALID: CLIENT_ERROR" in told and reason in told
    assert re.search(rf"see {path} \(\S*environment\.yaml:{at}:\d+\)", told), told
    if other:
        named = next(number for number, line in enumerate(lines, 1) if other in line)
        assert re.search(rf"which names roles\.bad \(\S*environment\.yaml:{named}:", told), told
    assert "batch:CreateJobQueue" not in proxy.writes()
    failed = next(one for one in map(json.loads, again.splitlines()) if one["type"] == "failed")
    assert reason in failed["detail"]
    assert (failed["cause"]["path"], failed["cause"]["line"]) == (path, at)
    assert failed["cause"]["file"].endswith("environment.yaml")


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------

STOPS = [
    pytest.param("DescribeComputeEnvironments", signal.SIGINT, False, id="while planning", marks=pytest.mark.long),
    pytest.param("PutParameter", signal.SIGINT, False, id="as the lock is taken"),
    pytest.param("CreateComputeEnvironment", signal.SIGINT, True, id="while a write is made", marks=pytest.mark.long),
    pytest.param("CreateRole", signal.SIGTERM, True, id="by whoever stops the job", marks=pytest.mark.long),
    pytest.param("CreateRole", signal.SIGHUP, True, id="as the terminal is closed", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("operation", "number", "soft"), STOPS)
def test_a_stop_is_clean(operation: str, number: int, soft: bool, proxy: Proxy) -> None:
    stopped: list[str] = []

    def happens(call: Arrived, perform: Perform) -> Any:
        reply = perform()
        if call.operation == operation and not stopped:
            stopped.append(str(call))
            proxy.signal(number)
        return reply

    proxy.happens = happens
    told, heard = proxy.run("apply", "job-alerts", "--auto-approve", expect=130)

    assert soft or "Interrupted." in heard
    assert not [name for call, name in everything(boto3.client) if call == "describe_parameters"]
    if soft:
        assert told.rstrip().endswith("Run the same command again to finish the rest.")
        assert "Interrupted after" in told and "not started" in told
    proxy.type("apply", "job-alerts", "--auto-approve")
    proxy.type("plan", "job-alerts", "--detailed-exitcode")


@pytest.mark.long
@pytest.mark.parametrize(
    "operation", ["GetCallerIdentity", "PutParameter", "ListRoles", "CreateRole", "DeleteParameter"]
)
def test_twenty_signals_end_without_a_traceback(operation: str, proxy: Proxy) -> None:
    stopped: list[str] = []

    def happens(call: Arrived, perform: Perform) -> Any:
        reply = perform()
        if call.operation == operation and not stopped:
            stopped.append(str(call))
            for _ in range(20):
                proxy.signal(signal.SIGTERM)
                time.sleep(0.01)
        return reply

    proxy.happens = happens
    running = proxy.start("apply", "job-alerts", "--auto-approve")
    told, _ = running.communicate(timeout=600)

    assert "Traceback" not in told + proxy.heard()
    assert running.returncode in (0, 130)  # the lock is the last that is given back
    assert not [name for call, name in everything(boto3.client) if call == "describe_parameters"]


@pytest.mark.long
@pytest.mark.parametrize("operation", ["DescribeComputeEnvironments", "CreateRole"])
def test_a_terminal_that_is_closed_gives_the_lock_back(operation: str, proxy: Proxy) -> None:
    """All output goes to a terminal that is no more."""
    ours, theirs = pty.openpty()
    closed: list[str] = []

    def happens(call: Arrived, perform: Perform) -> Any:
        reply = perform()
        if call.operation == operation and not closed:
            closed.append(str(call))
            os.close(ours)
        return reply

    proxy.happens = happens
    threading.Thread(target=drain, args=(ours,), daemon=True).start()
    running = subprocess.Popen(
        [sys.executable, "-c", CONTROLLED, "apply", "job-alerts", "--auto-approve"],
        **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
        cwd=ROOT,
        env={**os.environ, **process.environment(proxy.url), **SECRETS},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        assert running.wait(timeout=300) == 130
    finally:
        running.kill()

    assert not [name for call, name in everything(boto3.client) if call == "describe_parameters"]
    proxy.type("apply", "job-alerts", "--auto-approve")


CONTROLLED = "import fcntl, runpy, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); runpy.run_module('reconciler', run_name='__main__')"


def drain(terminal: int) -> None:
    with suppress(OSError):
        while os.read(terminal, 1 << 16):
            pass


@pytest.mark.parametrize(
    ("operation", "times"),
    some_rows([("DescribeComputeEnvironments", 1), ("CreateRole", 2)], 2, first=1),
    ids=["planning", "asked-twice"],
)
def test_who_insists_does_not_wait_for_a_call_that_hangs(operation: str, times: int, proxy: Proxy) -> None:
    ended = threading.Event()
    hanging: list[str] = []

    def happens(call: Arrived, perform: Perform) -> Any:
        if call.operation == operation and not hanging:
            hanging.append(str(call))
            proxy.signal(signal.SIGINT)
            if times > 1:
                until(lambda: "a second signal stops at once" in proxy.heard())
                proxy.signal(signal.SIGINT)
            assert ended.wait(PATIENCE), "it waited for the call"
        return perform()

    proxy.happens = happens
    _, heard = proxy.run("apply", "job-alerts", "--auto-approve", expect=130)
    ended.set()

    assert "Interrupted." in heard
    assert not [name for call, name in everything(boto3.client) if call == "describe_parameters"]


# --- the world moves ---------------------------------------------------------------------------------------------------


def test_what_moves_when_the_first_write_arrives_ends_in_exit_5(proxy: Proxy, tmp_path: Path) -> None:
    """The first queue is being written to as somebody changes the second; the third is nobody's business."""
    target = tmp_path / "environment.yaml"

    def declare(priority: int) -> None:
        queues = {name: sandbox_account.queue("c", priority=priority) for name in "pqr"}
        target.write_text(
            json.dumps(sandbox_account.estate({"c": sandbox_account.fargate()}, queues)), encoding="utf-8"
        )

    declare(1)
    proxy.type("apply", str(target), "--auto-approve")
    declare(2)
    batch = boto3.client("batch")
    moved: list[str] = []

    def happens(call: Arrived, perform: Perform) -> Any:
        if call.operation == "UpdateJobQueue" and not moved:
            moved.append(str(call))
            batch.update_job_queue(jobQueue="q", priority=9)
            batch.create_scheduling_policy(name="unrelated", fairsharePolicy={})
        return perform()

    proxy.happens = happens
    arguments = ("apply", str(target), "--auto-approve", "--parallelism", "1")
    told, _ = proxy.type(*arguments, "--on-error", "continue", expect=5)

    assert re.search(r"jobQueues\.q \(\S+\) failed at", told)
    assert "priority of q changed since the plan was created; plan again" in told
    found = {queue["jobQueueName"]: queue["priority"] for queue in batch.describe_job_queues()["jobQueues"]}
    assert found == {"p": 2, "q": 9, "r": 2}
    proxy.type(*arguments)
    proxy.type("plan", str(target), "--detailed-exitcode")


def test_half_a_reply_changes_no_plan(proxy: Proxy) -> None:
    """Every read of a plan is once cut in the middle."""
    proxy.type("apply", "job-alerts", "--auto-approve")
    cut: set[str] = set()

    def happens(call: Arrived, perform: Perform) -> Any:
        reply = perform()
        if not call.reads or str(call) in cut:
            return reply
        cut.add(str(call))
        return replace(reply, body=reply.body[: len(reply.body) // 2])

    proxy.happens = happens
    proxy.type("plan", "job-alerts", "--detailed-exitcode")

    assert len(cut) > 10
