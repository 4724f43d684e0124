"""A pull request from its first push to the merge, and a night's drift: the workflows that ``init --ci`` writes, as they
are, between a bare repository, a stand-in for GitHub's API and the sandbox.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from tests.support.code_host import TOKEN, GitHubStandIn, GitLabStandIn, serve
from tests.support.repository import CLEAN, commit, git
from tests.support.shell import Shell
from tests.support.workflow import Done, Runner

GROUPS = "logGroups:\n  jobs: {retentionInDays: %d}\n"
FILES = {
    "environments/base/groups.yaml": GROUPS % 7,
    "environments/dev/environment.yaml": "environment: dev\nregion: eu-west-1\nextends: ../base\n",
    "environments/other/environment.yaml": "environment: other\nregion: eu-west-1\ntopics: {t: {}}\n",
}
PULL = "github.event.pull_request"


@dataclass
class GitHub:
    """A repository with its workflows, and people: ``work`` is somebody's clone."""

    home: Path
    api: GitHubStandIn
    runner: Runner
    work: Path
    kept: dict[str, bytes] = field(default_factory=dict)
    at: str = ""

    def push(self, branch: str, files: dict[str, str | None]) -> str:
        made = commit(self.work, f"change {', '.join(files)}", files)
        git(self.work, "push", "-q", "-f", "origin", f"HEAD:{branch}")
        return made

    def file(self, name: str) -> Path:
        return self.work / ".github/workflows" / f"reconcile-{name}.yml"

    def checkout(self, directory: Path, inputs: dict[str, str]) -> None:
        depth = [] if inputs.get("fetch-depth") == "0" else ["--depth", "1"]
        git(directory, "init", "-q")
        git(directory, "fetch", "-q", *depth, f"file://{self.home}/origin.git", self.at)
        git(directory, "checkout", "-q", "FETCH_HEAD")

    def upload(self, directory: Path, inputs: dict[str, str]) -> None:
        for name in inputs["path"].split():
            if (directory / name).is_file():
                self.kept[name] = (directory / name).read_bytes()

    def event(self, number: int | None, sha: str) -> dict[str, Any]:
        """The values of a run, and what its steps see of them."""
        content = {"pull_request": {"number": number}} if number else {}
        (self.home / "event.json").write_text(json.dumps(content))
        self.runner.environ = {**self.runner.environ, "GITHUB_SHA": sha}
        self.at, self.kept = sha, {}
        return {
            "github.repository": "o/r",
            "github.server_url": "https://github.example",
            "github.run_id": "77",
            "github.token": TOKEN,
            "github.event.merge_group.base_sha": None,
        }

    def pull_request(self, number: int, head: str) -> Done:
        """What happens when ``head`` is pushed for a pull request: the last job that planned, or the one that failed."""
        merged = self.home / f"merged-{head}"
        git(self.home, "clone", "-q", "origin.git", str(merged))
        git(merged, "merge", "-q", "--no-ff", "-m", "merge", head)
        git(merged, "push", "-q", "-f", "origin", f"HEAD:refs/pull/{number}/merge")
        shutil.rmtree(merged)
        values = self.event(number, f"refs/pull/{number}/merge")
        values |= {"github.event_name": "pull_request", f"{PULL}.head.repo.full_name": "o/r", f"{PULL}.number": number}
        done = self.runner.job(self.file("plan"), "validate", values)
        if not done.ok:
            return done
        touched = done.outputs["environments"]
        for one in json.loads(touched):
            matrix = {f"matrix.{key}": value for key, value in one.items()}
            done = self.runner.job(self.file("plan"), "plan", {**values, **matrix})
        self.runner.job(self.file("plan"), "outdate", {**values, "needs.validate.outputs.environments": touched})
        self.api.keep(head, {f"{name}": content for name, content in self.kept.items() if name.endswith(".plan")})
        return done

    def merge(self, number: int, head: str) -> Done:
        """The squashed merge of a pull request, and its apply."""
        before = git(self.work, "rev-parse", "origin/main").strip()
        git(self.work, "checkout", "-q", "-B", "main", "origin/main")
        git(self.work, "merge", "-q", "--squash", head)
        after = self.push("main", {})
        self.api.merge(number, head, after)
        return self.apply({"github.event_name": "push", "github.event.before": before}, after)

    def apply(self, event: dict[str, Any], sha: str, **inputs: str) -> Done:
        given = {"inputs.environment": inputs.get("environment"), "inputs.run": inputs.get("run")}
        skipped = {"steps.apply.outputs.code": ""}  # of a step that did not run
        values = {**self.event(None, sha), **given, **event, **skipped}
        done = self.runner.job(self.file("apply"), "touched", values)
        assert done.ok, done.log
        (one,) = json.loads(done.outputs["environments"])
        done = self.runner.job(self.file("apply"), "apply", {**values, **{f"matrix.{k}": v for k, v in one.items()}})
        self.api.keep(sha, dict(self.kept), event="push")
        return done

    def drift(self) -> Done:
        return self.runner.job(self.file("drift"), "drift", self.event(None, "main"))

    def issue(self) -> dict[str, Any]:
        (found,) = self.api.issues.values()
        return found


@pytest.fixture
def github(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    if not shutil.which("jq"):
        pytest.skip("jq is not installed, which GitHub's runners have")
    work = tmp_path / "work"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    git(tmp_path, "clone", "-q", "origin.git", "work")
    shell.go(work)
    shell.ok("init", "--ci", "github")
    commit(work, "begin", FILES)
    git(work, "push", "-q", "origin", "HEAD:main")
    shell.ok("apply", "dev", "--auto-approve")
    shell.ok("apply", "other", "--auto-approve")
    with serve(GitHubStandIn()) as api:
        environ = {
            **os.environ,
            **CLEAN,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": api.url,
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        }
        found = GitHub(tmp_path, api, Runner(tmp_path / "runner", environ, {}), work)
        found.runner.actions = {
            "actions/checkout": found.checkout,
            "actions/setup-python": lambda *_: None,
            "aws-actions/configure-aws-credentials": lambda *_: None,
            "actions/upload-artifact": found.upload,
        }
        yield found


def retention(group: str = "jobs") -> int:
    logs = boto3.client("logs", region_name="eu-west-1")
    (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    return int(found["retentionInDays"])


def shown(body: str) -> str:
    """The lines about the retention."""
    return "\n".join(line for line in body.splitlines() if "retentionInDays" in line)


def by_hand(days: int) -> None:
    boto3.client("logs", region_name="eu-west-1").put_retention_policy(logGroupName="jobs", retentionInDays=days)


def test_from_the_first_push_to_the_merge(github: GitHub) -> None:
    git(github.work, "checkout", "-q", "-b", "more")
    head = github.push("more", {"environments/base/groups.yaml": GROUPS % 14})
    done = github.pull_request(3, head)
    assert done.ok, done.log
    (first,) = github.api.comments[3]
    assert first["body"].startswith("### Plan: 0 to create, 1 to update, 0 to replace, 0 to delete.")
    assert (
        "7 -> 14" in shown(first["body"]) and "\n<!-- reconcile: dev " in first["body"] and "other" not in first["body"]
    )
    assert done.summary == first["body"].replace("\r\n", "\n") and "\x1b" not in done.log

    head = github.push("more", {"environments/base/groups.yaml": GROUPS % 30})
    assert github.pull_request(3, head).ok
    (second,) = github.api.comments[3]
    assert second["id"] == first["id"] and "7 -> 30" in shown(second["body"])

    broken = github.push("more", {"environments/base/groups.yaml": "logGroups:\n  jobs: {retentionDays: 30}\n"})
    failed = github.pull_request(3, broken)
    assert not failed.ok and "::error file=environments/base/groups.yaml,line=2,col=10," in failed.log
    git(github.work, "reset", "-q", "--hard", head)
    git(github.work, "push", "-q", "-f", "origin", "HEAD:more")

    done = github.merge(3, head)
    assert done.ok, done.log
    assert retention() == 30
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ   done logGroups.jobs: ", done.log, re.MULTILINE)
    assert [one["body"].partition("\n")[0] for one in github.api.comments[3]][1:] == ["### dev: applied"]
    assert "\nDone in " in github.api.comments[3][1]["body"]


@pytest.mark.long
def test_a_plan_that_no_longer_holds_is_made_anew(github: GitHub) -> None:
    git(github.work, "checkout", "-q", "-b", "more")
    head = github.push("more", {"environments/base/groups.yaml": GROUPS % 14})
    assert github.pull_request(3, head).ok
    by_hand(60)

    done = github.merge(3, head)
    assert not done.ok and retention() == 60  # nothing was changed
    again = github.api.comments[3][-1]["body"]
    assert again.startswith("### dev: not applied, since the approved plan no longer holds\n\nNothing was changed.")
    assert (
        "out of date" in again and "60" in again and again.rstrip().splitlines()[-1].startswith("<!-- reconcile: dev ")
    )
    run = github.api.runs[0]["id"]
    assert "`gh workflow run reconcile-apply.yml -f environment=dev -f run=77`" in again
    assert github.api.artifacts[run].keys() == {"dev.plan", "journal.jsonl"}

    done = github.apply(
        {"github.event_name": "workflow_dispatch", "github.event.before": None},
        github.at,
        environment="dev",
        run=str(run),
    )
    assert done.ok, done.log
    assert retention() == 14


def test_a_plan_that_somebody_else_put_there(github: GitHub, shell: Shell) -> None:
    """With a right digest, but another option; the pull request says why it is refused."""
    git(github.work, "checkout", "-q", "-b", "more")
    head = github.push("more", {"environments/base/groups.yaml": GROUPS % 14})
    assert github.pull_request(3, head).ok
    shell.go(github.work)
    shell.ok("plan", "dev", "--destroy", "--out", "forged.plan")
    github.api.keep(head, {"dev.plan": Path("forged.plan").read_bytes()})
    Path("forged.plan").unlink()

    done = github.merge(3, head)
    assert not done.ok and retention() == 7
    said = github.api.comments[3][-1]["body"]
    assert said.startswith("### dev: not applied\n") and "created with --destroy" in said


def test_a_night_in_which_somebody_changed_something(github: GitHub) -> None:
    assert github.drift().ok and not github.api.issues
    by_hand(60)
    done = github.drift()
    assert done.ok, done.log
    first = github.issue()["body"]
    assert "60 -> 7" in shown(first) and "2 environments" in first and "1 drifted" in first
    by_hand(90)
    assert github.drift().ok
    assert "90 -> 7" in shown(github.issue()["body"]) and "60" not in shown(github.issue()["body"])

    github.push("main", {"environments/other/environment.yaml": "environment: other\ntopic: {t: {}}\n"})
    by_hand(7)
    assert not github.drift().ok  # what cannot be checked is not "no drift"
    assert github.issue()["state"] == "open" and "unknown section" in github.issue()["body"]
    github.push("main", {"environments/other/environment.yaml": FILES["environments/other/environment.yaml"]})
    assert github.drift().ok
    assert github.issue()["state"] == "closed" and github.api.bodies(github.issue()["number"])[0].startswith("No drift")
    assert github.drift().ok and len(github.api.issues) == 1


def test_a_fork_is_told_what_it_gets(github: GitHub) -> None:
    git(github.work, "checkout", "-q", "-b", "theirs")
    github.push("theirs", {"environments/base/groups.yaml": GROUPS % 14})
    git(github.work, "merge", "-q", "--no-ff", "-m", "merge", "theirs")
    git(github.work, "checkout", "-q", "-B", "merged", "origin/main")
    git(github.work, "merge", "-q", "--no-ff", "-m", "merge", "theirs")
    github.push("refs/pull/4/merge", {})
    values = github.event(4, "refs/pull/4/merge")
    values |= {"github.event_name": "pull_request", f"{PULL}.head.repo.full_name": "someone/r", f"{PULL}.number": 4}
    done = github.runner.job(github.file("plan"), "validate", values)
    assert done.ok and "Thank you! Pull requests of forks are validated only" in done.summary
    assert not github.api.requests


# --- GitLab ------------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_same_on_gitlab(shell: Shell, tmp_path: Path) -> None:
    work = tmp_path / "work"
    git(tmp_path, "init", "-q", "-b", "main", "work")
    shell.go(work)
    shell.ok("init", "--ci", "gitlab")
    before = commit(work, "begin", FILES)
    for name in ("dev", "other"):
        shell.ok("apply", name, "--auto-approve")
    jobs = yaml.safe_load((work / ".gitlab/reconcile.yml").read_text(encoding="utf-8"))

    with serve(GitLabStandIn()) as api:
        common = {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_API_V4_URL": api.url,
            "CI_PROJECT_ID": "7",
            "AWS_ID_TOKEN": "jwt",
        }
        common |= {"RECONCILE_GITLAB_TOKEN": TOKEN, "CI_PROJECT_URL": "https://gitlab.example/g/p", "CI_JOB_ID": "9"}
        runner = Runner(tmp_path / "runner", {**os.environ, **CLEAN, **common}, {})

        def job(name: str, **variables: str) -> Done:
            done, lines = Done(), [*jobs[jobs[name]["extends"]]["before_script"], *jobs[name]["script"]]
            script = "\n".join(line for line in lines if not line.startswith("pip install"))
            runner.script(work, script, {"CI_PROJECT_DIR": str(tmp_path / "project"), **variables}, done)
            for left in ("plans", "journals", "drift", ".reconcile"):
                if (work / left).exists():
                    shutil.copytree(work / left, tmp_path / "kept" / left, dirs_exist_ok=True)
                    shutil.rmtree(work / left)
            git(work, "clean", "-q", "-f", "-d")
            return done

        git(work, "checkout", "-q", "-b", "more")
        for days in (14, 30):
            commit(work, "more days", {"environments/base/groups.yaml": GROUPS % days})
            done = job("plan", CI_MERGE_REQUEST_DIFF_BASE_SHA=before, CI_MERGE_REQUEST_IID="3")
            assert done.ok, done.log
            (note,) = api.notes
            assert f"7 -> {days}" in shown(note["body"])
        plans = tmp_path / "kept/plans"
        assert json.loads((plans / "dev.tfplan.json").read_text()) == {"create": 0, "update": 1, "delete": 0}
        assert {path.name for path in plans.iterdir()} >= {"dev.plan", "dev.html", "dev.md"}
        token = tmp_path / "project.aws-token"
        assert token.read_text() == "jwt" and token.stat().st_mode & 0o077 == 0

        git(work, "checkout", "-q", "-B", "main", "more")
        after = git(work, "rev-parse", "HEAD").strip()
        api.merged[after] = 3
        api.pipelines.append({"id": 12, "source": "merge_request_event", "project_id": 7})
        api.jobs[12] = [{"id": 5, "name": "plan", "status": "success"}]
        api.files[5, "plans/dev.plan"] = (plans / "dev.plan").read_bytes()
        done = job("apply", CI_COMMIT_BEFORE_SHA=before, CI_COMMIT_SHA=after)
        assert done.ok and retention() == 30, done.log
        assert api.notes[-1]["body"].startswith("### dev: applied\n")
        assert (tmp_path / "kept/journals/dev.jsonl").is_file()
        done = job("apply", CI_COMMIT_BEFORE_SHA=before, CI_COMMIT_SHA=after)  # the same plan once more
        assert not done.ok and api.notes[-1]["body"].startswith(
            "### dev: not applied, since the approved plan no longer"
        )
        api.files[5, "plans/dev.plan"] = b"damaged"
        done = job("apply", CI_COMMIT_BEFORE_SHA=before, CI_COMMIT_SHA=after)
        assert not done.ok and api.notes[-1]["body"].startswith("### dev: not applied\n")
        assert "is not a saved plan" in api.notes[-1]["body"]

        by_hand(60)
        assert job("drift").ok and "60 -> 30" in shown(api.issues[0]["description"])
        by_hand(30)
        assert job("drift").ok and [one["state"] for one in api.issues] == ["closed"]

        commit(work, "wrong", {"environments/base/groups.yaml": "logGroups:\n  jobs: {retentionDays: 30}\n"})
        script = "\n".join(jobs["validate"]["script"])
        done = Done()
        runner.script(work, script, {"CI_MERGE_REQUEST_DIFF_BASE_SHA": after}, done)
        (finding,) = json.loads((work / "gl-code-quality-report.json").read_text())
        assert not done.ok and finding["location"] == {"path": "environments/base/groups.yaml", "lines": {"begin": 2}}
