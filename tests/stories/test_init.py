"""Environments that `init` writes: two of one template side by side, their README, and what `--list` offers."""

from __future__ import annotations

import re
from pathlib import Path

import boto3
import pytest

from reconciler.operations import pipeline, scaffold
from tests.support.examples import SECRETS
from tests.support.long import some
from tests.support.shell import Shell

TEMPLATES = [name for name in scaffold.templates() if name != scaffold.MINIMAL]
ACCOUNTS = "serviceLinkedRoles"  # belong to the account, and are shared


@pytest.mark.parametrize("template", some(TEMPLATES, 3))
def test_two_of_one_template_share_no_name(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for place in ("team/one", "Two"):
        written = scaffold.write(Path(place), template)
        env, _ = pipeline.read_environment(Path(place), SECRETS, strict=True)
        name = place.rpartition("/")[2].lower()
        found = {(a.section, str(one.name)) for a, one in env.resources.items() if a.section != ACCOUNTS}
        names.append(found)

        assert env.name == name
        assert all(re.search(rf"(^|/){name}-", physical) for _, physical in found)
        readme = (Path(place) / "README.md").read_text("utf-8")
        assert Path(place) / "README.md" in written
        assert readme.startswith(f"# {name}\n")
        assert "](../.." not in readme
        assert f"\nreconcile plan {place}\n" in readme and f"begin with `{name}-`" in readme
        for section, option in (("jobQueues", "job-queue"), ("jobDefinitions", "job-definition")):
            assert {(section, used) for used in re.findall(rf"--{option} (\S+)", readme)} <= found
    assert not names[0] & names[1]


@pytest.mark.long
def test_both_are_built_left_alone_and_taken_down(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    for place in ("a", "b"):
        shell.ok("init", place, "--template", "custom-logging")
        shell.ok("apply", place, "--auto-approve")
    queues = boto3.client("batch").describe_job_queues()["jobQueues"]
    groups = boto3.client("logs").describe_log_groups()["logGroups"]
    for place in ("a", "b"):
        assert shell.ok("plan", place, "--detailed-exitcode").out.endswith(
            "No changes. The account matches the environment.\n"
        )
    assert {one["jobQueueName"][:2] for one in queues} == {"a-", "b-"}
    assert {one["logGroupName"] for one in groups} == {f"/aws/batch/custom/{name}-env-queue" for name in "ab"}
    for place in ("a", "b"):
        shell.ok("destroy", place, "--auto-approve")
    assert not boto3.client("batch").describe_job_queues()["jobQueues"]
    assert not boto3.client("logs").describe_log_groups()["logGroups"]


def test_in_a_repository_that_has_a_readme(shell: Shell) -> None:
    (shell.home / "readme.rst").write_text("ours\n")
    shell.ok("init", ".", "--template", "retry-strategies")

    assert not (shell.home / "README.md").exists()
    (shell.home / "elsewhere").mkdir()
    shell.go(shell.home / "elsewhere")
    shell.ok("init", ".", "--template", "retry-strategies")
    readme = Path("README.md").read_text("utf-8")
    assert "\nreconcile plan\nreconcile apply\n" in readme
    assert "docs/tutorials" not in readme and "\n\n\n" not in readme


def test_the_list_is_of_templates_with_a_line_each(shell: Shell) -> None:
    lines = shell.ok("init", "--list").out.splitlines()

    assert [line.split()[0] for line in lines] == ["minimal", *TEMPLATES]
    assert all(re.fullmatch(r"\S+ +[A-Z].*\.", line) and len(line) <= 140 for line in lines)
