"""One apply per environment at a time, at the command line: who is refused, who goes on, who gives it back."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.account.lock import LEASE, Claim
from reconciler.cli.terminal import Terminal
from reconciler.operations import apply as operation
from reconciler.operations import session
from reconciler.operations.apply import WallClock
from tests.support.shell import Shell
from tests.support.waiting import PATIENCE, until

SETTINGS = "environment: site\nregion: eu-west-1\n"
QUICK = "logGroups: {g: {}}\n"
NAME = "/reconcile/locks/site"
JOB = {"GITHUB_RUN_ID": "7", "GITHUB_REPOSITORY": "hpc/site", "GITHUB_SERVER_URL": "https://git.example"}


@pytest.fixture
def shell(shell: Shell) -> Shell:
    declare(QUICK)
    return shell


def declare(stack: str, settings: str = SETTINGS, file: str = "environment.yaml") -> None:
    Path(file).write_text(settings + stack, "utf-8")


def long(shell: Shell) -> None:
    """Declare a compute environment that takes for ever, and a queue that waits for it."""
    ec2 = boto3.client("ec2")
    place = {
        "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroupIds": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    workers = {"type": "MANAGED", "computeResources": {"type": "FARGATE", "maxvCpus": 4, **place}}
    queue = {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "site-ce"}]}
    stack = {"computeEnvironments": {"site-ce": workers}, "jobQueues": {"site-q": queue}}
    declare(QUICK + "".join(f"{section}: {json.dumps(named)}\n" for section, named in stack.items()))
    shell.account.change({"environment_create": 1e6})


def creating(shell: Shell) -> bool:
    return any(call.operation == "CreateComputeEnvironment" for call in shell.account.calls)


def locks() -> list[str]:
    return [item["Name"] for item in boto3.client("ssm").describe_parameters()["Parameters"]]


def elsewhere(run: str = "theirs") -> None:
    """Somebody on another machine holds the lock."""
    claim = Claim(run, "ann@\x1b[31mlaptop", "another machine", "4711@1", "2026-01-31T12:00:00Z")
    boto3.client("ssm").put_parameter(Name=NAME, Value=claim.text(), Type="String", Overwrite=True)


@contextmanager
def applying(shell: Shell, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A real apply that holds the lock, and waits for a compute environment that takes for ever."""
    long(shell)
    with start(**environ) as running:
        try:
            until(lambda: creating(shell))
            yield running
        finally:
            running.kill()


def start(**environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "reconciler", "apply", "-y"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **environ})


# --- real processes --------------------------------------------------------------------------------------------------


def test_of_two_that_start_at_once_one_is_refused(shell: Shell) -> None:
    long(shell)
    both = [start(), start()]
    until(lambda: any(one.poll() is not None for one in both))
    refused, going = sorted(both, key=lambda one: one.poll() is None)
    _, told = refused.communicate()
    assert refused.returncode == 4, told
    assert "the environment site is being applied by " in told
    assert f"@{socket.gethostname()}, process {going.pid}, since 20" in told and "`reconcile unlock`" in told
    until(lambda: creating(shell))
    shell.account.clock.advance(1e6)
    _, told = going.communicate(timeout=PATIENCE)

    assert going.returncode == 0, told
    made = [call.operation for call in shell.account.calls if call.operation.startswith("Create")]
    assert sorted(made) == ["CreateComputeEnvironment", "CreateJobQueue", "CreateLogGroup"]
    assert locks() == []


def test_while_one_is_applied(shell: Shell) -> None:
    """The next is told who applies it; plans and other environments go on; who is killed is in nobody's way."""
    with applying(shell, **JOB) as holder:
        refused = shell("apply", "-y", "--format", "json")
        assert refused.code == 4
        (problem,) = refused.lines[0]["problems"]
        assert problem["code"] == "locked" and refused.lines[0]["@level"] == "error"
        assert "(https://git.example/hpc/site/actions/runs/7)" in problem["message"]
        assert f"process {holder.pid}" in problem["message"] and "s ago" in problem["message"]
        assert "the lock expires in " in problem["hint"]
        assert shell("destroy", "-y").code == 4
        shell.account.calls.clear()
        assert shell("plan").code == 0
        assert "ssm" not in {call.service for call in shell.account.calls if call.params.get("Name") == NAME}
        declare("logGroups: {h: {}}\n", SETTINGS.replace("site", "other"), "../other.yaml")
        shell.ok("apply", "../other.yaml", "-y")
        assert locks() == [NAME]

        holder.kill()
        holder.wait()
        shell.account.clock.advance(1e6)
        shell.ok("apply", "-y")
    assert locks() == []


@pytest.mark.long  # another process that is interrupted: tests/properties/test_faults.py::test_a_stop_is_clean
def test_who_is_interrupted_gives_it_back(shell: Shell) -> None:
    with applying(shell) as holder:
        holder.send_signal(signal.SIGINT)
        out, err = holder.communicate(timeout=PATIENCE)

    assert holder.returncode == 130, err
    assert "jobQueues.site-q" in out and "finish the rest" in out
    assert locks() == []


# --- held elsewhere --------------------------------------------------------------------------------------------------


def test_one_elsewhere_is_respected_until_it_expires(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere()
    refused = shell("apply", "-y")
    assert refused.code == 4
    assert "ann@\\x1b[31mlaptop, process 4711, since 2026-01-31T12:00:00Z" in refused.err
    assert locks() == [NAME]

    later = session.time.time() + LEASE + 1
    monkeypatch.setattr(session.time, "time", lambda: later)
    shell.ok("apply", "-y")
    assert locks() == []


def test_unlock(shell: Shell) -> None:
    place = f"site in account 123456789012 (eu-west-1, {os.environ['AWS_ENDPOINT_URL']})"
    assert shell.ok("unlock").out == f"There is no lock to break: {place} is not locked.\n"
    assert shell.ok("unlock", "--format", "json").json == {"unlocked": None}
    elsewhere()
    unasked = shell("unlock")
    assert unasked.code == 4 and locks() == [NAME]
    assert f"The lock of {place} is held by ann@\\x1b[31mlaptop, process 4711, since 2026-01-31" in unasked.err
    assert " s ago, for " in unasked.err and "it notices within 15 s" in unasked.err
    assert f"Broke the lock of {place}, which was held by ann@" in shell.ok("unlock", "--auto-approve").out
    assert locks() == []
    elsewhere()
    assert "ann@" in shell.ok("unlock", "-y", "--format", "json").json["unlocked"]
    shell.ok("apply", "-y")


def test_unlock_breaks_only_what_was_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another took the lock while somebody looked at the question."""
    elsewhere()

    def confirm(*_: object) -> bool:
        boto3.client("ssm").delete_parameter(Name=NAME)
        elsewhere("another")
        return True

    monkeypatch.setattr(Terminal, "confirm", confirm)
    refused = shell("unlock")

    assert refused.code == 1 and "the lock changed hands since it was shown" in refused.err
    assert locks() == [NAME]


# --- without it ------------------------------------------------------------------------------------------------------


def test_without_the_lock(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere()
    shell.account.calls.clear()
    shell.ok("apply", "-y", "--no-lock")
    monkeypatch.setenv("RECONCILE_NO_LOCK", "1")
    shell.ok("destroy", "-y")
    assert "ssm" not in {call.service for call in shell.account.calls}
    monkeypatch.setenv("RECONCILE_NO_LOCK", "0")
    assert shell("apply", "-y").code == 4


@pytest.mark.parametrize("operation", ["PutParameter", "GetParameterHistory"])
def test_where_it_may_not_be_taken(shell: Shell, operation: str) -> None:
    if operation == "GetParameterHistory":
        elsewhere()  # only who finds a lock has to look whose it is
    shell.account.faults.add(service="ssm", operation=operation, code="AccessDeniedException", times=0)
    shell.ok("plan")
    refused = shell("apply", "-y")

    assert refused.code == 4
    assert f"ssm:{operation} on parameter/reconcile/locks/*" in refused.err and "--no-lock" in refused.err
    assert not [call for call in shell.writes() if not call.startswith("ssm:")]
    shell.ok("apply", "-y", "--no-lock")


def test_where_it_may_not_be_given_back_the_work_is_done_all_the_same(shell: Shell) -> None:
    shell.account.faults.add(service="ssm", operation="DeleteParameter", code="AccessDeniedException", times=0)
    done = shell.ok("apply", "-y")

    assert "1 created" in done.out
    assert "the lock cannot be released" in done.err and "ssm:DeleteParameter" in done.err


# --- given back ------------------------------------------------------------------------------------------------------


def _failing(shell: Shell) -> None:
    shell.account.faults.add(service="logs", operation="CreateLogGroup", code="InvalidParameterException", times=0)


def _taken(_: Shell) -> None:
    boto3.client("logs").create_log_group(logGroupName="g")


def _stale(shell: Shell) -> None:
    shell.ok("plan", "--out", "a.plan")
    declare("logGroups: {g: {}, h: {}}\n")


def _applied(shell: Shell) -> None:
    shell.ok("apply", "-y")


def _emptied(shell: Shell) -> None:
    _applied(shell)
    declare("")


ENDS: dict[str, tuple[Callable[[Shell], Any], tuple[str, ...], int]] = {
    "done": (lambda _: None, ("-y",), 0),
    "nothing to do": (_applied, ("-y",), 0),
    "failed": (_failing, ("-y",), 3),
    "refused": (_taken, ("-y",), 1),
    "a rail": (_emptied, ("-y",), 4),
    "not approved": (lambda _: None, (), 4),
    "stale": (_stale, ("a.plan",), 5),
}


@pytest.mark.parametrize("end", ENDS)
def test_however_it_ends_it_is_given_back(shell: Shell, end: str) -> None:
    before, words, code = ENDS[end]
    before(shell)
    shell.writes()
    ended = shell("apply", *words)

    assert ended.code == code, ended.told
    assert [call for call in shell.writes() if call.startswith("ssm:")] == ["ssm:PutParameter", "ssm:DeleteParameter"]
    assert locks() == []


# --- broken meanwhile ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json"])
def test_whose_lock_is_broken_starts_nothing_new(shell: Shell, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Deleted by `unlock`, and taken by another since."""
    long(shell)
    monkeypatch.setattr(operation, "WallClock", WallClock)  # the lock is held by the clock on the wall
    whole = operation.lock_of

    def short(account: Any) -> Any:
        lock = whole(account)
        lock.lease = 0.6
        return lock

    def breaking() -> None:
        until(lambda: creating(shell))
        boto3.client("ssm").delete_parameter(Name=NAME)
        if form == "json":
            elsewhere()

    monkeypatch.setattr(operation, "lock_of", short)
    breaker = threading.Thread(target=partial(breaking))
    breaker.start()
    ended = shell("apply", "-y", "--format", form)
    breaker.join()

    assert ended.code == 3, ended.told
    told = "another run broke the lock: no further steps are started"
    if form == "json":
        assert [line["@message"] for line in ended.lines if line["type"] == "lock-lost"] == [told]
        fates = ended.lines[-1]
        assert any("jobQueues.site-q" in step for step in [*fates["never_started"], *fates["skipped"]])
    else:
        assert told in ended.err and "jobQueues.site-q" in ended.out
    assert "CreateJobQueue" not in {call.operation for call in shell.account.calls}
    assert locks() == ([NAME] if form == "json" else [])
    if form == "json":
        (history,) = boto3.client("ssm").get_parameter_history(Name=NAME)["Parameters"][-1:]
        assert json.loads(history["Value"])["run"] == "theirs"
