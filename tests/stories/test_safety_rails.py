"""The safety rails at the command line: each holds, and each is lifted by what it says."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.plan_schema import valid_plan
from tests.support.shell import Result, Shell

SETTINGS = "environment: site\nregion: eu-west-1\n"


def declare(stack: Mapping[str, Any], settings: str = SETTINGS) -> None:
    """Settings in one file and resources in another, in the current directory."""
    Path("environment.yaml").write_text(settings, "utf-8")
    Path("batch.yaml").write_text("".join(f"{name}: {json.dumps(named)}\n" for name, named in stack.items()), "utf-8")


def groups(count: int, **settings: Any) -> dict[str, Any]:
    return {"logGroups": {f"g{number:02}": settings for number in range(count)}}


def held(found: Result, code: str, *told: str) -> None:
    """It is refused by the rail ``code``, which says all of ``told``."""
    assert found.code == 4, found.told
    (problem,) = found.lines[0]["problems"]
    assert problem["code"] == code and problem["severity"] == "error"
    assert all(part in problem["message"] + problem["hint"] for part in told), problem


def nothing_written(shell: Shell) -> None:
    assert {call.partition(":")[0] for call in shell.writes()} <= {"ssm"}  # the lock, taken and given back
    assert not boto3.client("ssm").describe_parameters()["Parameters"]


# --- the account -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("plan",), ("apply", "-y"), ("destroy", "-y"), ("unlock", "-y")])
def test_the_account_guard(shell: Shell, command: Sequence[str]) -> None:
    declare(groups(1), f'{SETTINGS}account: "999999999999"\n')
    refused = shell(*command)

    assert refused.code == 4
    assert "account 123456789012" in refused.err and "for 999999999999" in refused.err and "AWS_PROFILE" in refused.err
    assert shell.writes() == []
    declare(groups(1), f'{SETTINGS}account: "123456789012"\n')
    shell.ok(*command)


# --- an environment that is empty, or cannot be read -----------------------------------------------------------------


def test_an_environment_whose_files_are_gone_deletes_nothing(shell: Shell) -> None:
    declare(groups(2))
    shell.ok("apply", "-y")
    shell.writes()
    Path("batch.yaml").unlink()
    held(shell("apply", "-y", "--format", "json"), "empty-environment", "2 owned resources", "reconcile destroy")
    assert "- 2 logGroups" in shell("plan").out  # what it is about is shown
    nothing_written(shell)

    assert "2 deleted" in shell.ok("destroy", "-y").out


def test_a_file_with_settings_alone_deletes_nothing(shell: Shell) -> None:
    declare(groups(1))
    shell.ok("apply", "-y")
    Path("alone.yaml").write_text(f"{SETTINGS}tags: {{team: hpc}}\n", "utf-8")

    held(shell("apply", "alone.yaml", "-y", "--format", "json"), "empty-environment", "1 owned resource ")
    shell.ok("destroy", "alone.yaml", "-y")


@pytest.mark.parametrize("broken", ["a link to nowhere", "a base that is gone", "no YAML", "a directory"])
def test_an_environment_that_cannot_be_read_is_an_error(shell: Shell, broken: str) -> None:
    declare({**groups(1), "topics": {"t": {}}})
    shell.ok("apply", "-y")
    shell.writes()
    file = Path("batch.yaml")
    if broken == "a base that is gone":
        declare({"topics": {"t": {}}}, f"{SETTINGS}extends: ../base\n")
    elif broken == "no YAML":
        file.write_text("logGroups: {", "utf-8")
    else:
        file.unlink()
        if broken == "a directory":
            Path("environment.yaml").unlink()
        else:
            file.symlink_to("nowhere.yaml")
    refused = shell("apply", ".", "-y")

    assert refused.code == 1 and "error[" in refused.err
    assert shell.writes() == []


# --- many deletions --------------------------------------------------------------------------------------------------


def test_many_deletions_need_a_word(shell: Shell) -> None:
    declare(groups(13))
    shell.ok("apply", "-y")
    declare(groups(9))
    refused = shell("apply", "-y", "--format", "json")
    held(refused, "many-deletions", "4 of 13 owned", "--allow-deletions 4")
    held(shell("apply", "-y", "--format", "json", "--allow-deletions", "3"), "many-deletions")
    shell.writes()
    as_json = shell("plan", "--format", "json")
    assert as_json.code == 4
    valid_plan(as_json.json)
    assert as_json.json["errored"] and not as_json.json["applyable"] and as_json.json["summary"]["delete"] == 4
    assert [problem["code"] for problem in as_json.json["problems"]] == ["many-deletions"]
    nothing_written(shell)

    assert "4 deleted" in shell.ok("apply", "-y", "--allow-deletions", "4").out


def test_fewer_deletions_do_not(shell: Shell) -> None:
    """Three of eleven; and any number of ten."""
    declare(groups(11))
    shell.ok("apply", "-y")
    declare(groups(8))
    assert "3 deleted" in shell.ok("apply", "-y").out
    declare(groups(10))
    shell.ok("apply", "-y")
    declare(groups(1))
    assert "9 deleted" in shell.ok("apply", "-y").out


def test_replacements_count_of_all_that_is_owned(shell: Shell) -> None:
    """However few are targeted."""
    topics = {"topics": {f"t{number}": {} for number in range(5)}}
    declare({**groups(7), **topics})
    shell.ok("apply", "-y")
    four = [word for number in range(4) for word in ("--replace", f"topics.t{number}", "--target", f"topics.t{number}")]
    held(shell("apply", "-y", "--format", "json", *four), "many-deletions", "4 of 12 owned")

    assert "4 replaced" in shell.ok("apply", "-y", "--allow-deletions", "4", *four).out


# --- preventDestroy --------------------------------------------------------------------------------------------------

KEPT = {"lifecycle": {"preventDestroy": True}}


def test_prevent_destroy(shell: Shell) -> None:
    """Against replacing, destroying, and removing the declaration together with its word."""
    rest: dict[str, Any] = {"logGroups": {"g": {}}}
    declare({**rest, "topics": {"t": KEPT}})
    shell.ok("apply", "-y")
    shell.writes()
    place = "batch.yaml"
    for command in (("apply", "-y", "--replace", "topics.t"), ("destroy", "-y")):
        refused = shell(*command, "--format", "json")
        held(refused, "prevent-destroy", "lifecycle.preventDestroy forbids", "preventDestroy: false")
        assert refused.lines[0]["problems"][0]["file"] == place
    declare(rest)
    held(shell("apply", "-y", "--format", "json"), "prevent-destroy", "was declared with", "--exclude 'topics.t'")
    held(shell("destroy", "-y", "--format", "json"), "prevent-destroy", "declare it again")
    assert "No changes" in shell.ok("plan", "--exclude", "topics.t").out
    nothing_written(shell)

    declare({**rest, "topics": {"t": {"lifecycle": {"preventDestroy": False}}}})
    shell.ok("apply", "-y")
    shell.ok("plan", "--detailed-exitcode")
    declare(rest)
    assert "1 deleted" in shell.ok("apply", "-y").out


def test_prevent_destroy_is_lifted_by_taking_it_back(shell: Shell) -> None:
    declare({"topics": {"t": KEPT}})
    shell.ok("apply", "-y")
    (topic,) = boto3.client("sns").list_topics()["Topics"]
    tags = boto3.client("sns").list_tags_for_resource(ResourceArn=topic["TopicArn"])["Tags"]
    assert {"Key": "reconciler/prevent-destroy", "Value": "true"} in tags
    shell.ok("plan", "--detailed-exitcode")
    declare({"topics": {"t": {}}})

    shell.ok("destroy", "-y")


# --- partial sight ---------------------------------------------------------------------------------------------------


def test_nothing_is_deleted_while_a_read_fails(shell: Shell) -> None:
    declare({**groups(2), "topics": {"t": {}, "u": {}}})
    shell.ok("apply", "-y")
    declare({"topics": {"t": {}}})
    for service, code in (("logs", 0), ("sns", 1)):
        shell.account.faults.add(service=service, operation="*", code="AccessDeniedException", times=0)
        shell.writes()
        blind = shell("apply", "-y")
        assert blind.code == code and f"{service}:" in blind.err
        assert not [call for call in shell.writes() if "Delete" in call and not call.startswith("ssm:")]
        refused = shell("destroy", "-y")
        assert refused.code == 1 and f"{service}:" in refused.err
        shell.account.faults.clear()

    assert "3 deleted" in shell.ok("apply", "-y").out


JOB: Mapping[str, Any] = {
    "type": "container",
    "containerProperties": {
        "image": "busybox",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
    },
}


@pytest.mark.parametrize("shape", ["markdown", "html"])
def test_a_comment_or_page_says_what_stands_in_the_way(shell: Shell, shape: str) -> None:
    """Who reads the pull request sees neither stderr nor the exit code."""
    plan = ("plan", "--format", shape)
    declare({**groups(2), "topics": {"t": KEPT}})
    shell.ok("apply", "-y")
    declare({**groups(2), "topics": {"t": KEPT}, "jobDefinitions": {"j": JOB}})
    advised = shell.ok(*plan).out
    assert "cannot be applied" not in advised and "no-timeout" in advised
    assert shape == "html" or "Planned at <code>20" in advised
    declare(groups(2))
    rail = shell(*plan)
    assert rail.code == 4 and "This cannot be applied: 1 error." in rail.out
    assert "prevent" in rail.out and "1 to delete" in rail.out
    declare({**groups(2), "topics": {"t": KEPT}})
    shell.account.faults.add(service="sns", operation="*", deny=True, times=0)
    blind = shell(*plan)
    assert blind.code == 1 and "This cannot be applied: 1 error." in blind.out
    assert (
        "topics.t: not planned" in blind.out
        and "some resources could not be read, and undeclared ones are not deleted" in blind.out
    )
    shell.account.faults.clear()
    boto3.client("logs").create_log_group(logGroupName="g09")
    declare({**groups(10), "topics": {"t": KEPT}})
    taken = shell(*plan)
    assert taken.code == 1 and "no environment owns it" in taken.out and "to create" not in taken.out


# --- nobody to ask ---------------------------------------------------------------------------------------------------


def test_without_a_terminal_somebody_must_have_approved(shell: Shell) -> None:
    declare(groups(1))
    for command in ("apply", "destroy"):
        refused = shell(command, "--format", "json")
        if command == "apply":
            held(refused, "not-approved", "--auto-approve", "or apply a saved plan")
            shell.ok("apply", "-y")
        else:
            held(refused, "not-approved", "--auto-approve")
    declare(groups(2))
    shell.ok("plan", "--out", "a.plan")
    shell.ok("apply", "a.plan")
    shell.ok("destroy", "-y")
    assert not boto3.client("ssm").describe_parameters()["Parameters"]


@pytest.mark.parametrize(("said", "code", "done"), [("yes", 0, 1), ("y", 1, 0)])
def test_on_a_terminal_it_asks(shell: Shell, said: str, code: int, done: int) -> None:
    declare(groups(1))
    ours, theirs = pty.openpty()
    os.write(ours, f"{said}\n".encode())
    asked = subprocess.run(
        [sys.executable, "-m", "reconciler", "apply"], stdin=theirs, capture_output=True, text=True, check=False
    )
    os.close(theirs)
    os.close(ours)

    assert asked.returncode == code, asked.stderr
    where = f"account 123456789012 (eu-west-1, {os.environ['AWS_ENDPOINT_URL']})"
    assert f"Apply these changes to {where}: 1 to create? Type yes to continue" in asked.stderr
    assert len(boto3.client("logs").describe_log_groups()["logGroups"]) == done
    assert not boto3.client("ssm").describe_parameters()["Parameters"]
