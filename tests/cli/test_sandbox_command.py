"""``reconcile sandbox`` and ``--sandbox``: a shell that evaluates it never reaches a real account by accident."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.httpsession import URLLib3Session

from reconciler.sandbox import process
from tests.support import limited
from tests.support.plan_schema import valid_plan
from tests.support.shell import Result, Shell

OTHER = "111122223333"
STACK = f"""\
environment: prod
region: us-east-1
account: "{OTHER}"
profile: nowhere
roleArn: arn:aws:iam::{OTHER}:role/deployer
externalId: given
logGroups:
  /prod/jobs: {{retentionInDays: 7}}
"""
REAL = {"AWS_ACCESS_KEY_ID": "REALKEY", "AWS_SECRET_ACCESS_KEY": "REAL", "AWS_SESSION_TOKEN": "REALTOKEN"}


@pytest.fixture
def taken() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def nowhere(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell with the settings of a real account, and no sandbox yet."""
    for name in (name for name in os.environ if name.startswith("AWS_")):
        monkeypatch.delenv(name)
    config = shell.home / "config"
    config.write_text("[profile real]\naws_access_key_id = REALKEY\naws_secret_access_key = REAL\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name, value in {**REAL, "AWS_PROFILE": "real", "AWS_ENDPOINT_URL_BATCH": "https://elsewhere"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RECONCILE_SANDBOX_DIR", str(shell.home / "state"))
    return shell


@pytest.fixture
def running(nowhere: Shell, sandbox_url: str) -> Shell:
    """As ``sandbox start`` leaves it; the sandbox is the tests' account."""
    (nowhere.home / "state").mkdir()
    (nowhere.home / "state" / "sandbox.json").write_text(json.dumps({"url": sandbox_url, "pid": os.getpid()}))
    (nowhere.home / "environment.yaml").write_text(STACK)
    return nowhere


def evaluated(printed: str, environ: dict[str, str]) -> tuple[int, dict[str, str]]:
    """How ``eval`` ends in a shell, and its variables for AWS afterwards."""
    script = 'eval "$PRINTED"; echo $?; env'
    ran = subprocess.run(
        ["sh", "-c", script], env={**environ, "PRINTED": printed}, capture_output=True, text=True, check=True
    )
    code, *lines = ran.stdout.splitlines()
    found = dict(line.split("=", 1) for line in lines if line.startswith("AWS_"))
    found.pop("AWS_CONFIG_FILE")
    return int(code), found


def failing(name: str, monkeypatch: pytest.MonkeyPatch, shell: Shell, port: int) -> Result:
    start = ("sandbox", "start")
    if name == "port":
        return shell(*start, "--port", str(port))
    if name == "option":
        return shell(*start, "--speeed", "3")
    if name == "account":
        return shell(*start, "--account", "12")
    if name == "moto":
        monkeypatch.setattr(process, "find_spec", lambda _: None)
        return shell(*start)
    if name == "directory":
        (shell.home / "state").write_text("a file")
        return shell(*start)
    stop: Callable[..., Any] = {"interrupt": KeyboardInterrupt, "bug": ZeroDivisionError}[name]  # type: ignore[assignment]
    monkeypatch.setattr(process, "start", lambda **_: (_ for _ in ()).throw(stop()))
    return shell(*start) if name == "interrupt" else typed(shell, *start)


def typed(shell: Shell, *argv: str) -> Result:
    from reconciler.cli import main as cli

    codes: list[int] = []
    cli.main(list(argv), leave=codes.append)
    return Result(codes[0], *shell.capsys.readouterr())


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("port", 1, "cannot listen on 127.0.0.1:"),
        ("option", 1, "No such option: --speeed"),
        ("account", 1, "an account has twelve digits"),
        ("moto", 1, "pip install 'batch-reconcile[sandbox]'"),
        ("directory", 1, "RECONCILE_SANDBOX_DIR names another directory"),
        ("interrupt", 130, "Interrupted"),
        ("bug", 1, "internal error"),
    ],
)
def test_a_failed_start_leaves_an_endpoint_that_refuses(
    name: str, code: int, said: str, nowhere: Shell, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(os.environ)
    failed = failing(name, monkeypatch, nowhere, taken)

    assert failed.code == code and said in failed.err
    result, variables = evaluated(failed.out, before)
    assert result == 1, "so that `eval ... && reconcile apply` ends here"
    assert variables == process.environment(process.NOWHERE), "neither the profile nor the token, nor another endpoint"
    first, *_ = failed.out.splitlines()
    assert evaluated(first, before)[1] == variables, "also where the process was killed after its first line"
    if name == "port":
        for variable in before.keys() & {*REAL, "AWS_PROFILE", "AWS_ENDPOINT_URL_BATCH"}:
            monkeypatch.delenv(variable)
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        (nowhere.home / "environment.yaml").write_text(STACK)
        assert "belongs to a sandbox that could not be started" in nowhere("plan").err


def test_starting_points_at_the_account_and_region(
    running: Shell, sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, before = running("sandbox", "start"), dict(os.environ)
    given = running("sandbox", "start", "--account", OTHER, "--region", "us-east-1")

    assert evaluated(plain.out, before) == (0, process.environment(sandbox_url))
    assert evaluated(given.out, before) == (0, process.environment(sandbox_url, "us-east-1", OTHER))
    assert "unset AWS_ENDPOINT_URL_BATCH AWS_PROFILE AWS_SESSION_TOKEN" in plain.out
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "corp.example")
    assert running("sandbox", "start").out.endswith(
        "export NO_PROXY=corp.example,127.0.0.1 no_proxy=corp.example,127.0.0.1\n"
    )
    running.ok("plan", "--sandbox")
    status = running.ok("sandbox", "status").out
    assert "Account 123456789012, Region eu-west-1." in status
    assert f"AWS_ACCESS_KEY_ID={OTHER}" in status
    assert "export AWS" not in running("sandbox", "start", "--help").out


@pytest.mark.parametrize(("asked", "speed"), [([], 50), (["--speed", "20"], 20)])
def test_a_sandbox_that_runs_keeps_its_speed_unless_another_is_asked_for(
    running: Shell, sandbox_url: str, asked: list[str], speed: float
) -> None:
    """A second shell that is pointed at it does not slow down what the first one does."""
    before = process.control(sandbox_url, "status")["speed"]
    process.control(sandbox_url, "clock", {"speed": 50})
    try:
        running.ok("sandbox", "start", *asked)
        assert process.control(sandbox_url, "status")["speed"] == speed
    finally:
        process.control(sandbox_url, "clock", {"speed": before})


def test_an_environment_of_another_account_runs_in_the_sandbox(
    running: Shell, sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--sandbox`, and in a shell that points at it: its account, its role, and no profile of this machine."""
    sent: list[Any] = []
    send = URLLib3Session.send
    monkeypatch.setattr(URLLib3Session, "send", lambda self, request: (sent.append(request), send(self, request))[1])
    head = f"prod in account {OTHER}, us-east-1 (sandbox)"

    assert running.ok("plan", "--sandbox", "--out", "saved.plan").out.startswith(head)
    document = running.ok("plan", "--sandbox", "--format", "json").json
    valid_plan(document)
    assert (document["account"], document["endpoint"]) == (OTHER, "sandbox")
    assert f"<title>{head}" in running.ok("plan", "--sandbox", "--format", "html").out
    assert "us-east-1 (sandbox)" in running.ok("plan", "--sandbox", "--format", "markdown").out
    assert running.ok("apply", "saved.plan", "--sandbox").code == 0
    assert {item.url.startswith(sandbox_url) for item in sent} == {True}
    assert not any("REAL" in str(item.headers) for item in sent)

    for name in (*REAL, "AWS_PROFILE", "AWS_ENDPOINT_URL_BATCH"):
        monkeypatch.delenv(name)
    for name, value in process.environment(sandbox_url).items():
        monkeypatch.setenv(name, value)
    there = running.ok("plan", "--detailed-exitcode")
    assert there.out.startswith(head) and "No changes." in there.out
    Path("environment.yaml").write_text(
        STACK.replace("profile: nowhere\n", "").split("account")[0] + "logGroups: {/x: {}}\n"
    )
    assert running.ok("plan").out.startswith("prod in account 123456789012, us-east-1 (sandbox)")


def test_a_plan_of_the_sandbox_is_not_applied_elsewhere(
    running: Shell, sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = (
        STACK.replace(OTHER, "123456789012")
        .replace("profile: nowhere\n", "")
        .replace("roleArn", "#")
        .replace("externalId", "#")
    )
    Path("environment.yaml").write_text(mine)
    running.ok("plan", "--sandbox", "--out", "saved.plan")
    for name in (*REAL, "AWS_PROFILE", "AWS_ENDPOINT_URL_BATCH"):
        monkeypatch.delenv(name)
    for name, value in process.environment(sandbox_url).items():
        monkeypatch.setenv(name, value)
    (running.home / "state" / "sandbox.json").unlink()  # now it is any endpoint

    refused = running("apply", "saved.plan")

    assert refused.code == 5 and "the plan is for the sandbox, but this is not the sandbox" in refused.err
    assert running.ok("plan").out.startswith(f"prod in account 123456789012, us-east-1 (endpoint {sandbox_url})")


def test_a_role_of_the_sandbox_may_do_what_its_policies_allow(
    running: Shell, sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shell that has the keys of its session, and as the `roleArn` of an environment."""
    for name in (*REAL, "AWS_PROFILE", "AWS_ENDPOINT_URL_BATCH"):
        monkeypatch.delenv(name)
    for name, value in process.environment(sandbox_url).items():
        monkeypatch.setenv(name, value)
    arn = limited.role(boto3.client("iam"), "ci", limited.allow(["batch:Describe*", "batch:List*", "tag:GetResources"]))
    stack = "environment: dev\nregion: eu-west-1\nschedulingPolicies:\n  p: {}\n"
    written = running.home / "environment.yaml"
    for held, text in (
        (limited.keys(boto3.client("sts"), arn), stack),
        ({"aws_access_key_id": "test", "aws_session_token": ""}, f"roleArn: {arn}\n{stack}"),
    ):
        written.write_text(text)
        for name, value in held.items():
            monkeypatch.setenv(name.upper(), value)

        assert "Plan: 1 to create" in running.ok("plan").out
        refused = running("apply", "--auto-approve", "--no-lock")
        assert refused.code == 3 and "assumed-role/ci/" in refused.told
        assert "is not authorized to perform: batch:CreateSchedulingPolicy on resource: " in refused.told
