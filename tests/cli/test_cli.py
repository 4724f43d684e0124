"""The command as people and pipelines meet it: exit codes, what goes where, JSON that keeps its promise."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest

from reconciler import __main__
from reconciler.cli import interrupts
from reconciler.cli import main as cli
from reconciler.sandbox import process
from reconciler.schema import registry
from tests.support import prepared
from tests.support.plan_schema import valid_plan

ROOT = Path(__file__).resolve().parents[2]

STACK = """\
environment: tiny
region: eu-west-1
lookups:
  vpc: {vpc: {default: true}}
  subnets: {subnets: {vpcId: "${lookups.vpc}"}}
  default: {securityGroup: {groupName: default, vpcId: "${lookups.vpc}"}}
logGroups:
  /tiny/jobs: {retentionInDays: 7}
computeEnvironments:
  tiny-ce:
    type: MANAGED
    computeResources:
      type: FARGATE
      maxvCpus: 4
      subnets: "${lookups.subnets}"
      securityGroupIds: ["${lookups.default}"]
jobQueues:
  tiny-queue:
    priority: 1
    computeEnvironmentOrder: [{order: 1, computeEnvironment: tiny-ce}]
secrets:
  tiny-secret: {value: {password: "${env:TINY_PASSWORD}"}}
"""
PASSWORD = "hunter2-and-more"

Run = Callable[..., "Result"]


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def once(*argv: str) -> Result:
        codes: list[int] = []
        cli.main(list(argv), leave=codes.append)
        out, err = capsys.readouterr()
        assert PASSWORD not in out + err
        assert "Traceback" not in out + err
        return Result(codes[0], out, err)

    return once


@pytest.fixture
def account(served: Any) -> Any:
    return served


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "environment.yaml").write_text(STACK, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINY_PASSWORD", PASSWORD)
    return tmp_path


@pytest.fixture
def batch(account: Any) -> Any:
    return boto3.client("batch")


def test_from_nothing_to_nothing(run: Run, tiny: Path, account: Any, batch: Any) -> None:
    """validate, plan, apply, plan, drift behind its back, plan, apply, destroy: each as documented."""
    assert run("validate").code == 0
    planned = run("plan", "--detailed-exitcode")
    assert planned.code == 2
    assert planned.out.rstrip().endswith("Plan: 4 to create, 0 to update, 0 to replace, 0 to delete.")
    assert "API calls (--verbose shows them)" in planned.out and "batch:" not in planned.out
    told = run("plan", "--verbose").out
    assert "batch:CreateComputeEnvironment" in told and "wait until" in told

    assert run("apply").code == 4  # nobody there to say yes
    applied = run("apply", "--auto-approve")
    assert applied.code == 0, applied.err
    assert "4 created" in applied.out

    again = run("plan", "--detailed-exitcode")
    assert again.code == 0
    assert again.out.rstrip().endswith("No changes. The account matches the environment.")

    batch.update_job_queue(jobQueue="tiny-queue", priority=9)
    drifted = run("plan", "--detailed-exitcode")
    assert drifted.code == 2
    assert "priority  9 -> 1" in drifted.out
    assert run("apply", "-y").code == 0

    gone = run("destroy", "-y")
    assert gone.code == 0, gone.err
    assert run("plan", "--destroy", "--detailed-exitcode").code == 0
    assert batch.describe_job_queues(jobQueues=["tiny-queue"])["jobQueues"] in ([],) or all(
        queue["status"] == "DELETED" for queue in batch.describe_job_queues(jobQueues=["tiny-queue"])["jobQueues"]
    )


def test_the_json_plan_keeps_its_schema_at_every_stage(run: Run, tiny: Path, account: Any, batch: Any) -> None:
    def document(*more: str) -> Any:
        result = run("plan", "--format", "json", *more)
        valid_plan(result.json)
        return result.json

    fresh = document()
    assert fresh["summary"]["create"] == 4 and fresh["applyable"] and fresh["complete"]
    queue = next(r for r in fresh["resource_changes"] if r["address"] == "jobQueues.tiny-queue")
    assert queue["depends_on"] == ["computeEnvironments.tiny-ce"]
    assert queue["change"]["actions"] == ["create"] and queue["change"]["before"] is None
    assert queue["steps"][0]["call"] == "batch:CreateJobQueue"
    assert queue["source"] == {"file": "environment.yaml", "line": 18, "column": 3}
    secret = next(r for r in fresh["resource_changes"] if r["type"] == "secrets")
    assert secret["change"]["after_sensitive"] == {"value": True}
    assert document()["checksum"] == fresh["checksum"]

    run("apply", "-y")
    quiet = document()
    assert quiet["summary"]["noop"] == 4 and not quiet["applyable"]
    assert all(r["steps"] == [] and r["change"]["actions"] == ["no-op"] for r in quiet["resource_changes"])
    assert document("--only-changes")["resource_changes"] == []

    batch.update_job_queue(jobQueue="tiny-queue", priority=9)
    account.clock.advance(60)
    (changed,) = document("--only-changes")["resource_changes"]
    assert changed["differences"] == [
        {
            "path": "priority",
            "before": 9,
            "after": 1,
            "effect": "in-place",
            "reason": "",
            "sensitive": False,
            "unknown": False,
        }
    ]
    assert changed["steps"][0] == {
        "call": "batch:UpdateJobQueue",
        "parameters": {"jobQueue": "tiny-queue", "priority": 1},
    }
    assert document("--destroy")["summary"]["delete"] == 4


def test_a_saved_plan_is_applied_only_while_it_holds(run: Run, tiny: Path, account: Any, batch: Any) -> None:
    assert run("plan", "--out", "a.plan").code == 0
    saved = json.loads(Path("a.plan").read_text("utf-8"))
    valid_plan(saved["plan"])
    assert PASSWORD not in json.dumps(saved)
    assert run("apply", "a.plan").code == 0

    stale = run("apply", "a.plan")
    assert stale.code == 5
    assert "the saved plan is out of date" in stale.err

    Path("b.plan").write_text("{}", encoding="utf-8")
    assert "not a saved plan" in run("apply", "b.plan").err


def test_apply_as_json_lines(run: Run, tiny: Path, account: Any) -> None:
    lines = [json.loads(line) for line in run("apply", "-y", "--format", "json").out.splitlines()]

    assert lines[0]["type"] == "version" and lines[-1]["type"] == "summary"
    assert all({"type", "@level", "@message", "@timestamp"} <= set(line) for line in lines)
    done = [line for line in lines if line["type"] == "done"]
    assert {line["address"] for line in done} >= {"jobQueues.tiny-queue", "computeEnvironments.tiny-ce"}
    assert not lines[-1]["failed"]


def test_an_apply_that_cannot_begin_says_so_in_one_line_of_json(run: Run, tiny: Path, account: Any) -> None:
    """Nobody to approve, and a name that another has: the same problems as `validate --format json` has."""
    unapproved = run("apply", "--format", "json")
    assert unapproved.code == 4
    boto3.client("logs").create_log_group(logGroupName="/tiny/jobs")
    taken = run("apply", "-y", "--format", "json")
    assert taken.code == 1

    for failed, code in ((unapproved, "not-approved"), (taken, "exists-unowned")):
        assert len(failed.out.splitlines()) == 1
        assert failed.json["type"] == "problems" and failed.json["@level"] == "error" and failed.json["reconcile"]
        assert [problem["code"] for problem in failed.json["problems"]] == [code]


@pytest.mark.parametrize(
    ("form", "heard"), [("text", b"to delete."), pytest.param("json", b'"version"', marks=pytest.mark.long)]
)
def test_an_apply_ends_its_work_though_nobody_listens(
    run: Run, tiny: Path, account: Any, form: str, heard: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `reconcile apply -y 2>&1 | head`: the reader goes away as soon as the work begins."""
    monkeypatch.setattr(prepared, "digests_like_others", True)
    ours, theirs = os.pipe()
    command = [sys.executable, "-m", "reconciler", "apply", "-y", "--format", form]
    running = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while heard not in said:
        said += os.read(ours, 1)
    os.close(ours)

    assert running.wait(300) == 0
    assert run("plan", "--detailed-exitcode").code == 0


def test_the_sandbox_says_what_to_install(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_SANDBOX_DIR", str(tmp_path))
    monkeypatch.setattr(process, "find_spec", lambda _: None)
    refused = run("sandbox", "start")

    assert refused.code == 1
    assert refused.err == "error[no-sandbox]: the sandbox needs moto\n    pip install 'batch-reconcile[sandbox]'\n"


def test_adopting_what_is_there(run: Run, tiny: Path, account: Any) -> None:
    boto3.client("logs").create_log_group(logGroupName="/tiny/jobs")
    refused = run("plan")
    assert refused.code == 1
    assert (
        'environment.yaml:8:3: error[exists-unowned]: logGroups["/tiny/jobs"]' in refused.err
        and "--adopt" in refused.err
    )

    adopted = run("plan", "--adopt")
    assert adopted.code == 0
    assert "Plan: 3 to create, 1 to adopt, 0 to update, 0 to replace, 0 to delete." in adopted.out
    assert '& logGroups["/tiny/jobs"]' in adopted.out
    assert run("apply", "--adopt", "-y").code == 0
    assert run("plan", "--detailed-exitcode").code == 0


def test_a_failure_says_what_was_done_and_what_was_not(run: Run, tiny: Path, account: Any) -> None:
    account.faults.add(
        service="batch", operation="CreateJobQueue", status=400, code="ClientException", message="no queues today"
    )
    failed = run("apply", "-y")

    assert failed.code == 3
    assert "jobQueues.tiny-queue (environment.yaml:18:3) failed at batch:CreateJobQueue" in failed.out
    assert "ClientException: no queues today" in failed.out
    account.faults.clear()
    assert run("apply", "-y").code == 0


@pytest.mark.parametrize("value", ["999999999999"])
def test_the_account_guard_refuses(run: Run, tiny: Path, account: Any, value: str) -> None:
    guarded = STACK.replace("region: eu-west-1", f'region: eu-west-1\naccount: "{value}"')
    Path("environment.yaml").write_text(guarded, encoding="utf-8")

    assert run("plan").code == 4


def test_an_environment_without_resources_deletes_nothing(run: Run, tiny: Path, account: Any) -> None:
    run("apply", "-y")
    Path("environment.yaml").write_text("environment: tiny\nregion: eu-west-1\n", encoding="utf-8")

    refused = run("plan")
    assert refused.code == 4
    assert "reconcile destroy" in refused.err


def test_prevent_destroy_holds_and_can_be_lifted(run: Run, tiny: Path, account: Any) -> None:
    kept = STACK.replace("retentionInDays: 7", "retentionInDays: 7, lifecycle: {preventDestroy: true}")
    Path("environment.yaml").write_text(kept, encoding="utf-8")
    run("apply", "-y")

    assert run("destroy", "-y").code == 4
    Path("environment.yaml").write_text(STACK, encoding="utf-8")
    assert run("destroy", "-y").code == 0


def test_unset_variables_are_a_warning_to_validate_and_an_error_to_plan(
    run: Run, tiny: Path, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TINY_PASSWORD")

    checked, planned = run("validate"), run("plan")
    assert checked.code == 0 and "warning[unset-variable]" in checked.out and "TINY_PASSWORD" in checked.out
    assert run("validate", "--strict").code == 1
    assert planned.code == 1 and "error" in planned.err and "TINY_PASSWORD" in planned.err


def test_problems_as_json(run: Run, tiny: Path) -> None:
    Path("environment.yaml").write_text(STACK.replace("priority: 1", "priorty: 1"), encoding="utf-8")

    checked = run("validate", "--format", "json")
    assert checked.code == 1
    wrong = next(p for p in checked.json["problems"] if p["code"] == "unknown-field")
    assert (wrong["file"], wrong["line"], wrong["column"]) == ("environment.yaml", 19, 5)
    assert (wrong["address"], wrong["severity"]) == ("jobQueues.tiny-queue", "error")
    assert 'did you mean "priority"?' in wrong["hint"]
    assert run("plan", "--format", "json").json["problems"]


def test_places_can_be_opened_from_where_one_stands(run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("environment.yaml").write_text(STACK.replace("priority: 1", "priorty: 1"), encoding="utf-8")
    monkeypatch.chdir(tiny.parent)

    assert f"{tiny.name}/environment.yaml:19:5: error[unknown-field]:" in run("validate", tiny.name).out
    (tiny / "environment.yaml").write_text("environment: tiny\nlogGroups: {a: '${file:../b}'}\n", encoding="utf-8")
    assert f"{tiny.name}/environment.yaml:2:" in run("render", tiny.name).err


def test_targets_and_exclusions(run: Run, tiny: Path, account: Any) -> None:
    part = run("plan", "--target", 'logGroups["/tiny/jobs"]')
    assert "Plan: 1 to create" in part.out and "--target is in effect: other resources were not planned" in part.out
    rest = run("plan", "--exclude", "computeEnvironments.tiny-ce")
    assert "Plan: 2 to create" in rest.out and "--exclude is in effect: the excluded resources" in rest.out
    wrong = run("plan", "--target", "jobQueues.tiny-quue")
    assert wrong.code == 1 and 'did you mean "jobQueues.tiny-queue"?' in wrong.err


def test_render_shows_where_values_come_from_and_no_secret(run: Run, tiny: Path) -> None:
    shown = run("render").out

    assert "environment.yaml:19" in shown and "priority: 1" in shown


def test_schema_is_json_schema(run: Run) -> None:
    assert run("schema").json == registry.published()  # is sound: tests/schema/test_registry.py
    jsonschema.Draft202012Validator.check_schema(run("schema", "jobQueues").json)
    wrong = run("schema", "jobQueue")
    assert wrong.code == 1 and 'did you mean "jobQueues"?' in wrong.err


@pytest.mark.parametrize("template", ["minimal", "retry-strategies", "dcv-desktop", "custom-logging"])
def test_init_writes_what_validates(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("init", "my-stack", "--template", template).code == 0

    checked = run("validate", "my-stack", "--format", "json")
    assert checked.code == 0, checked.out
    assert "environment: my-stack" in Path("my-stack/environment.yaml").read_text("utf-8")
    again = run("init", "my-stack")
    assert again.code == 1 and "not empty" in again.err
    assert template in run("init", "--list").out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["plan", "--nope"], "No such option"),
        (["nope"], "No such command"),
        (["pln"], "No such command 'pln'; did you mean plan?"),
        (["apply", "--on-error", "foo"], "Invalid value for '--on-error': 'foo' is not one of 'stop', 'continue'."),
        (["validate", "--format", "xml"], "Invalid value for '--format': 'xml' is not one of 'text', 'json', 'github'"),
        (["apply", "--parallelism", "0"], "parallelism"),
        (["plan", "nowhere"], "nowhere"),
        (["plan", "--target", "x"], "is not an address"),
        (["init"], "no directory given"),
        (["init", "x", "--template", "retry-strategy"], 'did you mean "retry-strategies"?'),
    ],
)
def test_mistakes_on_the_command_line_are_told(run: Run, argv: list[str], said: str) -> None:
    result = run(*argv)

    assert result.code == 1
    assert said in result.err


def test_nobody_home(run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No endpoint, no credentials, no Region: each says what to set."""
    assert "error[no-credentials]" in run("plan").err
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    Path("environment.yaml").write_text(STACK.replace("region: eu-west-1\n", ""), encoding="utf-8")
    assert "AWS_REGION" in run("plan").err


def test_what_answers_is_not_aws(run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a word that is no URL nor a page of somebody's web server is a fault of ours."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")

        def log_message(self, *_: object) -> None:
            return

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for url in ("nonsense", f"http://127.0.0.1:{server.server_port}"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        refused = run("plan")
        assert refused.code == 1
        assert "AWS_ENDPOINT_URL" in refused.err and "a bug in reconcile" not in refused.err
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_a_signal_before_anything_has_begun_interrupts_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    before = {one: signal.getsignal(one) for one in interrupts.SIGNALS}
    for one in interrupts.SIGNALS:  # whoever starts tests in the background ignores some
        signal.signal(one, signal.default_int_handler)
    collecting = gc.get_threshold()
    monkeypatch.setattr(cli, "main", lambda: signal.raise_signal(number))
    monkeypatch.setattr(__main__, "leave", sys.exit)
    try:
        with pytest.raises(SystemExit) as left:
            __main__.main()
    finally:
        gc.set_threshold(*collecting)  # a command ends before it has garbage worth collecting; a worker does not
        for one, handler in before.items():
            signal.signal(one, handler)

    assert left.value.code == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_help_has_examples(run: Run) -> None:
    for command in ("plan", "apply", "destroy", "validate", "init", "render", "schema"):
        assert "Example" in run(command, "--help").out


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NO_COLOR", "1")
    return
