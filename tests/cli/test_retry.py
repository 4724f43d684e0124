"""`reconcile retry` as it is typed: what becomes of failed attempts, without AWS."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import main as cli
from tests.support.plan_schema import valid_retry

Run = Callable[..., tuple[int, str, str]]
CONTAINER = """\
    type: container
    containerProperties:
      image: app:1
      resourceRequirements: [{type: VCPU, value: "1"}, {type: MEMORY, value: "512"}]
"""
ENVIRONMENT = f"""\
environment: prod
region: eu-west-1
jobDefinitions:
  render:
{CONTAINER}    timeout: {{attemptDurationSeconds: 5400}}
    retryStrategy:
      attempts: 4
      evaluateOnExit:
        - {{onStatusReason: "Host EC2*", action: RETRY}}
        - {{onExitCode: "13*", action: EXIT}}
        - {{onStatusReason: "Made up*", action: RETRY}}
        - {{onReason: "*", action: EXIT}}
  plain:
{CONTAINER}    jobDefinitionName: physically-plain
  mpi:
    type: multinode
    timeout: {{attemptDurationSeconds: 60}}
    retryStrategy: {{attempts: 2}}
    nodeProperties:
      numNodes: 4
      mainNode: 1
      nodeRangeProperties:
        - targetNodes: "0:"
          ecsProperties:
            taskProperties:
              - containers: &two
                  - {{name: a, image: "a:1", resourceRequirements: &small [{{type: VCPU, value: "1"}}, {{type: MEMORY, value: "512"}}]}}
                  - {{name: b, image: "b:1", resourceRequirements: *small}}
  tasks:
    type: container
    retryStrategy: {{attempts: 2, evaluateOnExit: [{{onExitCode: "3", action: EXIT}}]}}
    ecsProperties: {{taskProperties: [{{containers: *two}}]}}
  pod:
    type: container
    retryStrategy: {{attempts: 2, evaluateOnExit: [{{onExitCode: "137", action: EXIT}}]}}
    eksProperties:
      podProperties:
        containers: [{{image: "a:1", resources: {{limits: {{cpu: "1", memory: 512Mi}}, requests: {{cpu: "1", memory: 512Mi}}}}}}]
  sets:
{CONTAINER}    retryStrategy:
      attempts: 3
      use: [spot-reclaim, oom-fails]
      evaluateOnExit: [{{onExitCode: "75", action: RETRY}}, {{onReason: "*", action: EXIT}}]
  far:
    type: container
    platformCapabilities: [FARGATE]
    retryStrategy: {{attempts: 3}}
    containerProperties:
      image: app:1
      executionRoleArn: arn:aws:iam::123456789012:role/x
      resourceRequirements: [{{type: VCPU, value: "1"}}, {{type: MEMORY, value: "2048"}}]
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def refused(*_: Any) -> None:
        raise AssertionError("AWS was asked")

    place = tmp_path / "environments" / "prod"
    place.mkdir(parents=True)
    (place / "environment.yaml").write_text(ENVIRONMENT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refused)

    def once(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(["retry", *argv], leave=codes.append)
        return codes[0], *capsys.readouterr()

    return once


@pytest.fixture
def document(run: Run) -> Callable[..., dict[str, Any]]:
    def once(*argv: str) -> dict[str, Any]:
        code, out, _ = run(*argv, "--format", "json")
        assert code == 0
        found: dict[str, Any] = valid_retry(json.loads(out))
        return found

    return once


def test_one_end_has_one_decision_with_the_entry_and_its_place(run: Run, document: Callable[..., Any]) -> None:
    assert document("prod", "render", "--status-reason", "Host EC2 (instance i-0) terminated.") == {
        "decision": "RETRY",
        "entry": 0,
        "job_status": "RUNNABLE",
        "because": 'entry 0 matches: onStatusReason: "Host EC2*"',
        "assumed": False,
        "assumptions": [],
        "attempt": 1,
        "outcome": None,
        "source": "environments/prod/environment.yaml:13:11",
    }
    by_name = document("jobDefinitions.render", "--outcome", "exit:1")
    assert (by_name["decision"], by_name["entry"], by_name["job_status"]) == ("EXIT", 3, "FAILED")
    assert by_name["assumed"]
    assert "missing reason" in by_name["assumptions"][0]
    for options, expected in {
        ("--exit-code", "137"): ("EXIT", 1, "FAILED"),
        ("--exit-code", "137", "--attempt", "4"): ("EXIT", None, "FAILED"),
        ("--exit-code", "0"): ("SUCCEEDED", None, "SUCCEEDED"),
        ("--cause", "timeout"): ("EXIT", None, "FAILED"),
        ("--outcome", "timeout"): ("EXIT", None, "FAILED"),
        ("--reason", "CannotPullContainerError: x"): ("EXIT", 3, "FAILED"),
    }.items():
        found = document("prod", "render", *options)
        assert (found["decision"], found["entry"], found["job_status"]) == expected

    _, out, _ = run("render", "--exit-code", "137", "--attempt", "2")
    assert out == (
        "jobDefinitions.render, attempt 2 of 4, exit code 137: EXIT; the job is FAILED\n"
        '  because entry 1 matches: onExitCode: "13*" (environments/prod/environment.yaml:14:11)\n'
    )


def test_several_ends_are_a_time_line(run: Run, document: Callable[..., Any]) -> None:
    _, out, _ = run("prod", "render", "--outcome", "host-lost,exit:1,exit:0")
    assert "attempt 1  host-lost  RETRY" in out
    assert "The job is FAILED after 2 attempts; run time at most: 3 h.\nNot reached: exit:0." in out

    line = document("prod", "render", "--outcome", "host-lost, host-lost", "--outcome", "exit:0")
    assert (line["job_status"], line["most_seconds"]) == ("SUCCEEDED", 3 * 5400)
    assert [each["decision"] for each in line["attempts"]] == ["RETRY", "RETRY", "SUCCEEDED"]

    _, out, _ = run("render", "--outcome", "host-lost,host-lost", "--attempt", "2")
    assert "The job is RUNNABLE again: attempt 4 follows." in out
    late = document("render", "--outcome", "host-lost,host-lost", "--attempt", "3")
    assert [each["because"] for each in late["attempts"]][1] == "no attempts are left: this was 4 of 4"


def test_without_an_end_the_table_has_all_known_ends_and_what_they_cost(run: Run, document: Callable[..., Any]) -> None:
    table = document("prod", "render")
    rows = {row["outcome"]: row for row in table["outcomes"]}

    assert (table["attempts"], table["most_seconds"], table["idle_entries"]) == (4, 4 * 5400, [2])
    for name, attempts, most in (
        *(("host-lost", 4, 4 * 5400), ("exit:13", 1, 5400), ("image-denied", 1, 0), ("oom", 1, 5400)),
        *(("timeout", 1, 5400), ("agent-lost", 1, 5400), ("no-exit-code", 1, 5400), ("exit:1", 1, 5400)),
    ):
        assert (len(rows[name]["attempts"]), rows[name]["most_seconds"]) == (attempts, most), name
    _, out, _ = run("prod", "render")
    assert out.startswith("jobDefinitions.render: 4 attempts at most, each 1 h 30 min at most: 6 h of run time\n")
    assert "note: entry 2 of evaluateOnExit decides none" in out and "warning[" not in out
    assert '[1] "*" is assumed to match a missing reason' in out


def test_the_table_has_what_validate_warns_of_in_these_rules(run: Run, document: Callable[..., Any]) -> None:
    rules = '    retryStrategy: {attempts: 2, evaluateOnExit: [{onStatusReason: "Host EC2*", action: RETRY}]}\n'
    more = Path("environments/prod/more.yaml")
    more.write_text(f"jobDefinitions:\n  more:\n{CONTAINER}{rules}", encoding="utf-8")

    (found,) = document("prod", "more")["problems"]

    assert (found["code"], found["environment"], found["file"]) == ("no-catch-all", "prod", str(more))
    _, out, _ = run("prod", "more")
    where = f"{more}:{found['line']}:{found['column']}"
    assert f"\n\n{where}: warning[no-catch-all]: jobDefinitions.more: a failure that no rule matches" in out


def test_every_kind_of_definition_has_its_own_ends(run: Run, document: Callable[..., Any]) -> None:
    _, out, _ = run("prod", "physically-plain")
    assert "jobDefinitions.plain: 1 attempt at most, without a timeout: run time has no limit" in out
    _, out, _ = run("mpi")
    assert "2 attempts at most, each 1 min at most: 2 min of run time on 4 nodes" in out
    assert "note: the attempt of the main node is evaluated" in out
    assert "several containers" in document("tasks", "--exit-code", "3")["assumptions"][0]
    assert not document("pod", "--exit-code", "137")["assumed"]

    far, pod = document("far"), document("pod")
    assert far["timeout_seconds"] == 14 * 86400
    ends = {name: {row["outcome"] for row in table["outcomes"]} for name, table in (("far", far), ("pod", pod))}
    assert "fargate-spot" in ends["far"]
    assert "host-lost" not in ends["far"]
    assert {"pod-oom", "timeout", "exit:137"} < ends["pod"]
    assert len(far["outcomes"][1]["attempts"]) == 3


def test_named_sets_are_entries_where_they_are_named(run: Run, document: Callable[..., Any], capsys: Any) -> None:
    lost = document("sets", "--outcome", "host-lost")
    assert (lost["entry"], lost["decision"], lost["source"][-5:]) == (1, "RETRY", "54:13")
    assert document("sets", "--outcome", "oom")["entry"] == 2
    rest = document("sets", "--reason", "x")
    assert (rest["entry"], rest["source"][-5:]) == (3, "55:59")

    cli.main(["render", "prod"], leave=lambda _: None)
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert 'onStatusReason: "Host EC2*" # environment.yaml:54' in shown
    assert not any(line.startswith("use:") for line in shown)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("prod",), "no job definition given\n    one of far, mpi, plain"),
        (("prod", "rendr"), 'there is no job definition "rendr"\n    did you mean "render"?'),
        (("nowhere",), 'there is no job definition "nowhere"'),
        (("render", "--outcome", "host-lots"), 'there is no outcome "host-lots"\n    did you mean "host-lost"?'),
        (("render", "--outcome", "exit:x"), 'there is no outcome "exit:x"\n    exit:N, or '),
        (("render", "--outcome", "oom", "--exit-code", "1"), "--outcome cannot be combined with --exit-code"),
        (("render", "--attempt", "2"), "--attempt needs an end"),
        (("elsewhere", "render"), "elsewhere"),
    ],
)
def test_what_cannot_be_answered_is_refused(run: Run, argv: tuple[str, ...], message: str) -> None:
    code, out, err = run(*argv)

    assert (code, out) == (1, "")
    assert message in err


EXPECTATIONS = """\
retry:
  - name: a Spot reclaim is retried
    definition: render
    outcome: host-lost
    expect: RETRY
  - {definition: jobDefinitions.render, outcome: "host-lost,exit:0", expect: {status: SUCCEEDED, attempts: 2}}
  - {definition: plain, outcome: [oom], expect: FAILED}
  - {definition: plain, exitCode: 1, submitted: {attempts: 2, use: [oom-fails]}, expect: {decision: RETRY, entry: null}}
"""
WRONG = """\
- {definition: render, exitCode: 137, expect: {decision: RETRY, entry: 0, assumed: false}}
- {definition: render, cause: timeout, attempt: 2, expect: EXIT}
"""
UNREADABLE = """\
- {definition: render, outcom: host-lost, expect: RETRY}
- {definition: render, expect: RETRY}
- {definition: render, exitCode: 1, outcome: oom, expect: RETRY}
- {definition: render, exitCode: "1", attempt: 0, expect: MAYBE}
- {definition: render, cause: tired, expect: {decision: PERHAPS, entri: 1}}
- text
"""


def test_expectations_are_compared_and_a_difference_is_an_error(run: Run, document: Callable[..., Any]) -> None:
    file = Path("retries.yaml")
    file.write_text(EXPECTATIONS, encoding="utf-8")
    assert run("prod", "--expect", "retries.yaml") == (0, "4 expectations: 4 passed, 0 failed\n", "")
    assert document("prod", "--expect", "retries.yaml")["summary"] == {"passed": 4, "failed": 0}

    file.write_text(WRONG, encoding="utf-8")
    code, out, _ = run("--expect", "retries.yaml")
    assert code == 1
    assert out == (
        "retries.yaml:1:3: failed: jobDefinitions.render, exit code 137\n"
        "  decision: expected RETRY, found EXIT\n"
        "  entry: expected 0, found 1\n"
        '  because entry 1 matches: onExitCode: "13*" (environments/prod/environment.yaml:14:11)\n'
        "2 expectations: 1 passed, 1 failed\n"
    )
    code, out, _ = run("prod", "--expect", "retries.yaml", "--format", "json")
    valid_retry(json.loads(out))
    assert (code, json.loads(out)["summary"]) == (1, {"passed": 1, "failed": 1})


def test_expectations_that_cannot_be_read_are_refused_all_at_once(run: Run) -> None:
    file = Path("retries.yaml")
    file.write_text(UNREADABLE, encoding="utf-8")
    code, _, err = run("prod", "--expect", "retries.yaml")
    assert code == 1
    assert [line.split(" ")[0] for line in err.splitlines() if line.startswith("retries")] == [
        *("retries.yaml:1:24:", "retries.yaml:2:3:", "retries.yaml:3:24:", "retries.yaml:4:24:", "retries.yaml:4:39:"),
        *("retries.yaml:4:51:", "retries.yaml:5:24:", "retries.yaml:5:47:", "retries.yaml:5:66:", "retries.yaml:6:3:"),
    ]
    for text, message in (
        (
            "- {definition: rendr, outcome: oom, expect: EXIT}",
            "retries.yaml:1:3: error[usage]: there is no job definition",
        ),
        (
            "- {definition: render, outcome: om, expect: EXIT}",
            'retries.yaml:1:3: error[usage]: there is no outcome "om"',
        ),
        ("", "has no expectations"),
        ("text", "the expectations are a list"),
    ):
        file.write_text(text, encoding="utf-8")
        code, _, err = run("prod", "--expect", "retries.yaml")
        assert (code, message in err) == (1, True), err
    assert "retries.yml: No such file" in run("prod", "--expect", "retries.yml")[2]
    assert "--expect cannot be combined" in run("prod", "render", "--expect", "retries.yaml")[2]


def test_a_shell_completes_definitions(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run
    for line, wanted in (
        ("reconcile retry prod re", "render"),
        ("reconcile retry re", "render"),
        ("reconcile retry pr", "prod"),
        ("reconcile retry prod jobDefinitions.re", "jobDefinitions.render"),
    ):
        monkeypatch.setenv("_RECONCILE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        cli.main([], leave=lambda _: None)
        assert wanted in capsys.readouterr().out.split()
