"""The journal of an apply: all that was sent and answered, whatever becomes of the run, and no secret."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.long import some
from tests.support.shell import Shell
from tests.support.waiting import PATIENCE, until

SETTINGS = "environment: site\nregion: eu-west-1\n"
STACK = "logGroups: {g: {retentionInDays: 7}}\n"
SECRET = "hunter2-and-more"


@pytest.fixture
def shell(shell: Shell) -> Shell:
    declare()
    return shell


def declare(stack: str = STACK) -> None:
    Path("environment.yaml").write_text(SETTINGS + stack, "utf-8")


def read(path: str | Path = "a.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def calls(lines: list[dict[str, Any]]) -> list[str]:
    return [line["call"] for line in lines if line["type"] == "call"]


def slow() -> str:
    """An environment that takes long to be there."""
    ec2 = boto3.client("ec2")
    place = {
        "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroupIds": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    workers = {"type": "MANAGED", "computeResources": {"type": "FARGATE", "maxvCpus": 4, **place}}
    return f"computeEnvironments: {json.dumps({'ce': workers})}\n"


LIMITED = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); runpy.run_module('reconciler', run_name='__main__')"


def start(*words: str, most_bytes: int = 0) -> subprocess.Popen[str]:
    begin = ["-c", LIMITED.format(most_bytes)] if most_bytes else ["-m", "reconciler"]
    command = [sys.executable, *begin, "apply", "-y", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_what_was_sent_and_answered(shell: Shell) -> None:
    declare(STACK + slow())
    shell.ok("apply", "-y", "--journal", "deep/a.jsonl")
    path = Path("deep/a.jsonl")
    lines = read(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert all(line["at"].endswith("Z") for line in lines)
    first, last = lines[0], lines[-1]
    assert (first["type"], first["environment"], first["account"]) == ("apply", "site", "123456789012")
    assert (last["type"], last["exit_code"]) == ("end", 0) and "2 created" in last["report"]
    plan = next(line for line in lines if line["type"] == "plan")
    assert plan["checksum"].startswith("sha256:") and plan["summary"]["create"] == 2 and not plan["destroy"]

    made = calls(lines)
    assert made[0] == "ssm:PutParameter" and made[-1] == "ssm:DeleteParameter"
    assert {"logs:CreateLogGroup", "batch:CreateComputeEnvironment", "batch:DescribeComputeEnvironments"} <= set(made)
    created = next(line for line in lines if line.get("call") == "batch:CreateComputeEnvironment")
    assert created["parameters"]["computeEnvironmentName"] == "ce"
    assert created["reply"]["computeEnvironmentName"] == "ce" and created["took"] >= 0
    ids = [line["request_id"] for line in lines if line["type"] == "call"]
    assert all(ids) and len(set(ids)) == len(ids)
    steps = [(line["address"], line["what"]) for line in lines if line["type"] == "step"]
    assert {("logGroups.g", "done"), ("computeEnvironments.ce", "waiting"), ("computeEnvironments.ce", "done")} <= {
        *steps
    }
    assert any("ce" in line.get("wait", "") for line in lines)

    shell.ok("destroy", "-y", "--journal", "deep/a.jsonl")
    both = read(path)
    assert [line["type"] for line in both].count("end") == 2 and both[: len(lines)] == lines
    assert "batch:DeleteComputeEnvironment" in calls(both)


def test_refusals_and_retries(shell: Shell) -> None:
    shell.account.faults.add(service="logs", operation="CreateLogGroup", throttle=True)
    shell.account.faults.add(
        service="logs", operation="PutRetentionPolicy", code="InvalidParameterException", message="no such days"
    )
    assert shell("apply", "-y", "--journal", "a.jsonl").code == 3
    lines = read()

    assert calls(lines).count("logs:CreateLogGroup") == 2
    refused = [line for line in lines if "refused" in line]
    assert [line["refused"]["code"] for line in refused] == ["ThrottlingException", "InvalidParameterException"]
    assert all(line["request_id"] for line in refused)
    whats = [line["what"] for line in lines if line["type"] == "step"]
    assert "again" in whats and "failed" in whats
    assert lines[-1]["exit_code"] == 3 and "no such days" in lines[-1]["report"]


def test_a_run_that_does_nothing_leaves_why(shell: Shell) -> None:
    shell("apply", "--journal", "a.jsonl")
    assert (read()[-1]["exit_code"], read()[-1]["type"]) == (4, "end")
    assert "--auto-approve" in read()[-1]["report"]

    shell.account.faults.add(service="logs", operation="Describe*", code="AccessDeniedException", times=0)
    shell("apply", "-y", "--journal", "b.jsonl")
    lines = read("b.jsonl")
    assert lines[-1]["exit_code"] == 1
    assert {line["refused"]["code"] for line in lines if "refused" in line} == {"AccessDeniedException"}


def test_no_secret_is_in_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_SECRET", SECRET)
    shell.secrets = {SECRET}
    container = {
        "image": "alpine",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
        "environment": [{"name": "DB_PASSWORD", "value": "${env:SITE_SECRET}"}],
    }
    job = json.dumps({"j": {"type": "container", "containerProperties": container}})
    declare(f'secrets: {{s: {{value: "${{env:SITE_SECRET}}"}}}}\njobDefinitions: {job}\n')
    shell.ok("apply", "-y", "--journal", "a.jsonl")

    assert {"secretsmanager:PutSecretValue", "batch:RegisterJobDefinition"} <= set(calls(read()))
    assert SECRET not in Path("a.jsonl").read_text("utf-8")


def test_no_secret_of_the_environment_variables_is_in_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that no expression names: what is named as secrets are, and passwords in addresses."""
    token, password = "glpat-abcdefghijklmnop", "correct-horse-battery"
    monkeypatch.setenv("DEPLOY_TOKEN", token)
    monkeypatch.setenv("ARTIFACTS_URL", f"https://ci:{password}@artifacts.example/")
    declare(f"logGroups: {{g: {{tags: {{note: 'left by {token}', from: 'ci:{password}'}}}}}}\n")
    shell.ok("apply", "-y", "--journal", "a.jsonl")

    written = Path("a.jsonl").read_text("utf-8")
    assert "logs:CreateLogGroup" in calls(read())
    assert token not in written and password not in written


# --- in CI -----------------------------------------------------------------------------------------------------------


def test_in_ci_there_is_one_in_any_case(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.ok("apply", "-y")
    monkeypatch.setenv("CI", "false")
    shell.ok("apply", "-y")
    assert not Path(".reconcile").exists()
    monkeypatch.setenv("CI", "true")
    told = shell.ok("destroy", "-y").err
    (path,) = Path(".reconcile").glob("site-*.jsonl")
    assert f"journal: {path}\n" in told
    assert "logs:DeleteLogGroup" in calls(read(path))

    shell.ok("apply", "-y", "--journal", "a.jsonl")
    assert len(list(Path(".reconcile").iterdir())) == 1 and read()[-1]["exit_code"] == 0


def test_where_ci_has_no_place_for_it_the_work_is_done_all_the_same(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    Path(".reconcile").write_text("in the way", "utf-8")
    done = shell.ok("apply", "-y")

    assert "1 created" in done.out and "warning: the journal" in done.err


# --- trouble ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["a/directory/", "a/file/a.jsonl", "/dev/full", "/proc/nowhere/a.jsonl"])
def test_one_that_cannot_be_written_is_told_before_anything_is_done(shell: Shell, place: str) -> None:
    Path("a/directory").mkdir(parents=True)
    Path("a/file").write_text("in the way", "utf-8")
    refused = shell("apply", "-y", "--journal", place, "--format", "json")

    assert refused.code == 1
    assert [problem["code"] for problem in refused.lines[0]["problems"]] == ["journal"]
    assert place.rstrip("/") in refused.lines[0]["problems"][0]["message"]
    assert shell.writes() == []


def test_a_disk_that_is_full_stops_nothing(shell: Shell) -> None:
    declare("logGroups: {" + ", ".join(f"g{number}: {{}}" for number in range(6)) + "}\n")
    with start("--journal", "a.jsonl", most_bytes=1500) as running:
        out, err = running.communicate(timeout=PATIENCE)

    assert running.returncode == 0, err
    assert "6 created" in out
    assert err.count("cannot write the journal a.jsonl any more") == 1 and "; apply continues" in err
    assert len(Path("a.jsonl").read_bytes()) <= 1500
    assert len(boto3.client("logs").describe_log_groups()["logGroups"]) == 6


@pytest.mark.parametrize("by", some([signal.SIGKILL, signal.SIGTERM], 2))
def test_whoever_ends_the_run_takes_nothing_away(shell: Shell, by: signal.Signals) -> None:
    declare(slow())
    shell.account.change({"environment_create": 1e6})
    with start("--journal", "a.jsonl") as running:
        until(
            lambda: Path("a.jsonl").exists() and "batch:CreateComputeEnvironment" in Path("a.jsonl").read_text("utf-8")
        )
        os.kill(running.pid, by)
        running.communicate(timeout=PATIENCE)
    lines = read()

    assert "batch:CreateComputeEnvironment" in calls(lines)
    if by is signal.SIGTERM:
        assert running.returncode == 130
        assert lines[-1]["exit_code"] == 130 and "computeEnvironments.ce" in lines[-1]["report"]
        assert calls(lines)[-1] == "ssm:DeleteParameter"
    else:
        assert lines[-1]["type"] != "end"
