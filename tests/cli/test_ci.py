"""``reconcile ci``: comments and issues as the hosts keep them, against stand-ins for their APIs over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import main as cli
from reconciler.operations import saved_plan, saved_variables
from reconciler.operations.hosts import posts
from reconciler.render.markup import mark
from tests.support.code_host import BOT, LONGEST, TOKEN, GitHubStandIn, GitLabStandIn, serve

Run = Callable[..., tuple[int, str, str]]
DEV, PROD = mark("dev", "123456789012", "eu-west-1"), mark("prod", "123456789012", "eu-west-1")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def once(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(["ci", *argv], leave=codes.append)
        return codes[0], *capsys.readouterr()

    return once


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubStandIn]:
    """The host of a job for pull request 3, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    (tmp_path / "event.json").write_text(json.dumps({"pull_request": {"number": 3}}))
    with serve(GitHubStandIn()) as host:
        for name, value in {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": host.url,
            "GITHUB_REPOSITORY": host.repository,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        }.items():
            monkeypatch.setenv(name, value)
        yield host


def text(name: str, content: str) -> str:
    Path(name).write_text(content, encoding="utf-8")
    return name


def plan(what: str, where: str = DEV) -> str:
    return text("plan.md", f"### {what}\n\n{where}\n")


def test_one_comment_for_each_environment(run: Run, github: GitHubStandIn) -> None:
    for number in range(120):  # more than a page of other people's
        github.say(3, "someone", f"what about {number}?\n\n{DEV}")
    assert run("comment", plan("first"))[1].startswith("wrote https://github.example/o/r/pull/3#issuecomment-")
    assert run("comment", plan("of prod", PROD))[1].startswith("wrote ")
    assert run("comment", plan("second"))[1].startswith("updated ")
    github.comments[3][-2]["body"] = github.comments[3][-2]["body"].replace("\n", "\r\n")  # as the host keeps them
    assert run("comment", plan("second"))[1].startswith("kept ")

    assert github.bodies(3) == [f"### second\r\n\r\n{DEV}\r\n", f"### of prod\n\n{PROD}\n"]
    assert all("what about" in body for body in github.bodies(3, "someone"))

    forged = github.say(3, BOT, f"```\n{DEV}\n```\nnot at its end")  # a value in YAML may look like the mark
    run("comment", plan("third"))
    assert "not at its end" in forged["body"] and "third" in github.bodies(3)[0]

    assert run("comment", plan("fourth"), "--new", "--heading", "### Not applied")[1].startswith("wrote ")
    run("comment", plan("fifth"))  # the newest is the one that is edited
    assert [body.split("\n")[0].strip() for body in github.bodies(3)] == [
        "### third", "### of prod", "```", "### fifth",
    ]  # fmt: skip


def test_a_plan_that_failed_is_said(run: Run, github: GitHubStandIn) -> None:
    run("comment", plan("first"))
    errors = text(
        "errors.txt", "error[aws]: \x1b[31mAccessDenied\x1b[0m: ``` <!-- x -->\n" + "x" * 90_000 + "\nlast line\n"
    )
    assert run("comment", text("empty.md", ""), "--environment", "dev", "--errors", errors)[1].startswith("updated ")
    (body,) = github.bodies(3)
    assert body.startswith("### Not planned\n\ndev\n\n<details open>") and len(body) < LONGEST and "\x1b" not in body
    assert "last line\n````" not in body and "last line\n```" in body and body.endswith(f"{mark('dev')}\n")
    failed = text("failed.md", "### `dev`: There is no plan: 1 error.\n\n```text\nerror: x\n```\n")
    assert run("comment", failed, "--environment", "dev")[1].startswith("updated ")
    assert github.bodies(3) == [f"{Path(failed).read_text()}\n{mark('dev')}\n"]
    run("comment", plan("works again"))
    assert github.bodies(3) == [f"### works again\n\n{DEV}\n"]

    run("comment", text("applied.txt", "1 created\n"), "--environment", "dev", "--new", "--heading", "### Applied")
    assert github.bodies(3)[1] == (
        "### Applied\n\n<details><summary>Output</summary>\n\n```text\n1 created\n```\n\n</details>\n"
    )
    run("comment", plan("again"), "--errors", text("why.txt", "out of date\n"), "--heading", "### Not applied", "--new")
    assert "out of date\n```" in github.bodies(3)[2] and github.bodies(3)[2].endswith(f"### again\n\n{DEV}\n")


def test_environments_that_are_no_longer_touched(run: Run, github: GitHubStandIn) -> None:
    run("comment", plan("of dev"))
    run("comment", plan("of prod", PROD))
    changed = text("changed.json", json.dumps({"problems": [], "environments": [{"environment": "prod", "path": "x"}]}))
    assert run("outdate", changed)[1] == "updated the comment about dev\n"
    assert github.bodies(3) == [
        f"This pull request no longer changes dev: its plan is out of date.\n\n{DEV}\n",
        f"### of prod\n\n{PROD}\n",
    ]
    assert run("outdate", changed) == (0, "", "")
    run("comment", plan("touched again"))
    assert github.bodies(3)[0] == f"### touched again\n\n{DEV}\n"
    assert "error[usage]: changed.json has no list" in run("outdate", text("changed.json", "{}"))[2]


def test_environments_of_one_name_keep_their_comments(run: Run, github: GitHubStandIn) -> None:
    east, west = "dev.environments.east", "dev.environments.west"
    other = mark("dev", "123456789012", "us-west-2")
    run("comment", plan("of east"), "--environment", east)
    run("comment", plan("of west", other), "--environment", west)
    failed = text("failed.md", "### There is no plan: 1 error.\n")
    assert run("comment", failed, "--environment", west)[1].startswith("updated ")
    assert github.bodies(3) == [
        f"### of east\n\n{mark(east, '123456789012', 'eu-west-1')}\n",
        f"### There is no plan: 1 error.\n\n{mark(west)}\n",
    ]
    run("comment", plan("of west again", other), "--environment", west)
    assert github.bodies(3)[1] == f"### of west again\n\n{mark(west, '123456789012', 'us-west-2')}\n"
    before = github.bodies(3)
    for wrong in ("prod", "dev2", "prod.environments.dev"):
        code, _, err = run("comment", plan("of dev"), "--environment", wrong)
        assert (code, f"plan.md is a plan of dev, not of {wrong}" in err) == (1, True)
    assert run("comment", plan("of west", mark(west, "1", "x")), "--environment", east)[0] == 1
    assert github.bodies(3) == before
    left = [{"environment": "dev", "id": east, "path": "environments/east"}]
    assert run("outdate", text("changed.json", json.dumps({"environments": left})))[1].endswith(f"about {west}\n")


def test_one_issue_that_comes_and_goes(run: Run, github: GitHubStandIn) -> None:
    Path("drift").mkdir()

    def checked(**codes: int) -> str:
        for old in Path("drift").iterdir():
            old.unlink()
        for name, code in codes.items():
            text(f"drift/{name}.exit", f"{code}\n")
            text(f"drift/{name}.md", f"### drift of {name}\n\n{DEV}\n" if code == 2 else "")
            text(f"drift/{name}.err", "error[aws]: denied\n" if code == 1 else "")
        return run("issue", "drift", "--link", "https://ci.example/1")[1]

    github._open({"title": "mine", "body": f"not the pipeline's\n\n{posts.DRIFT}", "labels": ["reconcile-drift"]})
    next(iter(github.issues.values()))["user"] = {"login": "someone"}
    assert checked(dev=0, prod=0) == "no issue is open\n"
    assert checked(dev=2, prod=0).startswith("opened https://github.example/o/r/issues/")
    (number,) = [number for number, one in github.issues.items() if one["user"]["login"] == BOT]
    issue = github.issues[number]
    assert issue["labels"] == ["reconcile-drift"] and issue["title"] == posts.TITLE
    assert "drift of dev" in issue["body"] and "prod" not in issue["body"] and "drift in 1" in issue["body"]

    assert checked(dev=2, prod=1).startswith("updated ")
    assert issue["body"].index("## prod: could not be checked") < issue["body"].index("## dev\n")
    assert "error[aws]: denied" in issue["body"] and issue["body"].endswith(f"{posts.DRIFT}\n")
    assert checked(dev=0, prod=1).startswith("updated ") and issue["state"] == "open"  # an error is not "no drift"
    assert checked(dev=0, prod=0).startswith("closed ") and issue["state"] == "closed"
    assert github.bodies(number) == ["No drift any more. ([pipeline](https://ci.example/1))"]
    assert checked(dev=0, prod=0) == "no issue is open\n"

    for count, named in ((40, 40), (400, 326)):
        for number in range(count):
            text(f"drift/env-{number:03}.exit", "2")
            text(
                f"drift/env-{number:03}.md",
                f"### drift of {number:03}\n\n{'x' * (60_000 if number % 2 else 900)}\n\n{DEV}",
            )
        run("issue", "drift")
        big = list(github.issues.values())[-1]["body"]
        assert (
            len(big) < LONGEST
            and "**Too long for an issue, see the pipeline:**" in big
            and big.endswith(f"{posts.DRIFT}\n")
        )
        assert sum(f"env-{number:03}" in big for number in range(count)) == named
        assert "x\n\n<!-- reconcile" in big or count == 400
    assert "- env-001: drift of 001\n" in big
    for old in Path("drift").iterdir():
        old.unlink()
    assert run("issue", "drift")[2].startswith("error[usage]: there are no reports")


def kept(what: str, environment: str = "dev", **asked: Any) -> bytes:
    """A plan file with a right digest, whoever wrote it."""
    nothing = {name: [] for name in ("targets", "exclude", "replace", "refresh", "stayed")}
    plain = {"adopt": False, "destroy": False, "allow_deletions": None, "variables": {}, **nothing}
    place = {"environment": environment, "path": f"environments/{environment}", "in_clone": None}
    return saved_plan._sealed({**place, **plain, **asked}, {"checksum": what, "resource_changes": []}, {})


def test_the_plan_that_was_approved(run: Run, github: GitHubStandIn) -> None:
    def fetched(*argv: str) -> str:
        Path("p").unlink(missing_ok=True)
        code, out, err = run("approved-plan", "dev", "--out", "p", *argv)
        assert code == 0 and Path("p").exists() == out.startswith("wrote p")
        return saved_plan.read(Path("p")).checksum if Path("p").exists() else err

    github.merge(3, "head3", "aaa")
    github.merge(4, "head4", "bbb")
    github.merge(5, "head5", "ccc", repository="fork/r")
    github.keep("head3", {"dev.plan": kept("of an older run"), "prod.plan": kept("of prod", "prod")})
    github.keep("head3", {"dev.plan": kept("the plan")})
    github.keep("head3", {"dev.plan": kept("forged")}, repository="fork/r")
    github.keep("head3", {"dev.plan": kept("of a push")}, event="push")
    assert fetched("--commit", "aaa") == "the plan"
    assert fetched("--commit", "bbb", "--commit", "aaa") == "the plan"
    assert fetched("--commit", "bbb") == "no plan dev.plan was kept for pull request 4\n"
    assert fetched("--commit", "ccc") == fetched("--commit", "ddd")
    assert fetched("--commit", "ddd") == "no plan dev.plan was kept: no merged pull request is found\n"
    own, forks = github.runs[-1]["id"], github.runs[1]["id"]
    assert fetched("--run", str(own)) == "of an older run" and fetched("--run", str(forks)).startswith("no plan")


def test_a_plan_that_the_pipeline_does_not_create(run: Run, github: GitHubStandIn) -> None:
    """Who can write artifacts can put a plan there, with a right digest: planning it again would do what it asks for."""

    def said(plan: bytes, *argv: str) -> str:
        number = github.keep("head", {"dev.plan": plan})
        code, _, err = run("approved-plan", "dev", "--out", "p", "--run", str(number), *argv)
        assert Path("p").exists() == (code == 0)
        Path("p").unlink(missing_ok=True)
        return err.partition("\n")[0].partition("creates them: ")[2] if code else ""

    hashed = saved_variables.SavedVariable(hashed=(b"salt", saved_variables._hash("hunter2", b"salt"))).as_json()
    for plan, argv, wrong in (
        (kept("x"), (), ""),
        (kept("x", "prod"), (), "the plan belongs to the environment prod"),
        # a line that begins like this is a command to GitHub
        (kept("x", "a\n::error::b"), (), r"the plan belongs to the environment a\n::error::b"),
        (kept("x", destroy=True), (), "created with --destroy"),
        (kept("x", destroy=True), ("--allow", "destroy"), ""),
        (kept("x", allow_deletions=9, adopt=True), ("--allow", "adopt"), "created with --allow-deletions"),
        (kept("x", targets=[["topics", "t"]]), (), "created with --target"),
        (kept("x", variables={"n": {"value": 9}}), (), 'a value of its own for the variable "n"'),
        (kept("x", variables={"n": {"value": 9}}), ("--var", "n=8"), 'a value of its own for the variable "n"'),
        (kept("x", variables={"n": {"value": 9}}), ("--var", "n=9"), ""),
        (kept("x", variables={"n": hashed}), ("--var", "n=hunter2"), ""),
        (kept("x", variables={"n": hashed}), (), 'a value of its own for the variable "n"'),
    ):
        assert said(plan, *argv) == wrong
    run_id = str(github.keep("h", {"dev.plan": kept("x", "prod", destroy=True)}))
    assert "\n    a plan of dev is needed: " in run("approved-plan", "dev", "--out", "p", "--run", run_id)[2]
    code, _, err = run("approved-plan", "dev", "--out", "p", "--run", str(github.keep("h", {"dev.plan": b"no plan"})))
    assert code == 1 and not Path("p").exists() and "p is not" in err
    number = github.keep("h", {"dev.plan": kept("x", variables={"n": hashed})})
    assert run("approved-plan", "dev", "--out", "p", "--run", str(number), "--var", "n=guess")[0] == 5


def test_a_plan_of_the_directory_that_it_is_fetched_for(run: Run, github: GitHubStandIn) -> None:
    """Another environment of the same name, or one beside the clone, is not what was approved."""
    for place in (".git", "environments/east", "environments/west", "../elsewhere"):
        Path(place).mkdir(parents=True)
    for place in ("environments/east", "environments/west", "../elsewhere"):
        text(f"{place}/environment.yaml", "environment: dev\n")
    name = "dev.environments.east"
    for asked, wrong in (
        ({"path": "environments/east", "in_clone": "environments/east"}, ""),
        ({"path": "../runner/environments/east", "in_clone": "environments/east"}, ""),  # planned from another place
        (
            {"path": "environments/west", "in_clone": "environments/east"},
            "belongs to the environment at environments/w",
        ),
        (
            {"path": "environments/west", "in_clone": "environments/west"},
            "belongs to the environment at environments/w",
        ),
        ({"path": "../elsewhere", "in_clone": None}, "dev at ../elsewhere, which does not exist here"),
        ({"path": "environments/east", "environment": "prod"}, "the plan belongs to the environment prod"),
    ):
        number = github.keep("head", {f"{name}.plan": kept("x", **asked)})
        fetch = ("approved-plan", name, "--path", "environments/east", "--out", "p", "--run", str(number))
        code, out, err = run(*fetch)
        assert (code, out) == ((1, "") if wrong else (0, "wrote p\n")), err
        assert wrong in err and Path("p").exists() is not bool(wrong)
        Path("p").unlink(missing_ok=True)


def test_after_a_merge_the_pull_request_is_found(
    run: Run, github: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    text("event.json", json.dumps({"after": "aaa"}))
    monkeypatch.setenv("GITHUB_SHA", "aaa")
    assert run("comment", plan("x")) == (0, "", "no comment: no pull request belongs to this commit\n")
    github.merge(9, "head", "aaa")
    assert run("comment", plan("x"))[1].startswith("wrote ") and github.bodies(9)
    monkeypatch.setenv("GITHUB_REF", "refs/pull/8/merge")
    run("comment", plan("x"))
    assert github.bodies(8)


def test_what_the_host_refuses(run: Run, github: GitHubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    github.failures[:] = [(503, {}), (429, {"Retry-After": "3"})]
    assert run("comment", plan("after a while"))[0] == 0
    github.failures[:] = [(503, {})] * 9
    assert run("comment", plan("never"))[2] == (
        "error[host-refused]: GitHub refused GET /repos/o/r/issues/3/comments: 503 busy\n"
    )
    github.failures.clear()
    github.may.clear()
    code, _, err = run("comment", plan("not allowed"))
    assert code == 1 and err == (
        "error[host-refused]: GitHub refused PATCH /repos/o/r/issues/comments/1000: 403 Resource not accessible by "
        "integration\n    the job needs permissions: {pull-requests: write}\n"
    )
    assert "permissions: {actions: read}" in run("approved-plan", "x", "--run", "1", "--out", "p")[2]
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    assert run("comment", plan("nobody there"))[2].startswith("error[host-refused]: GitHub cannot be reached at ")
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    monkeypatch.setenv("GITHUB_TOKEN", "expired")
    told = run("comment", plan("of nobody"))[2]
    assert "401 Bad credentials\n    the token is not valid, or has expired\n" in told
    monkeypatch.setenv("GITHUB_TOKEN", "")
    assert "GITHUB_TOKEN is not set" in run("comment", plan("no token"))[2]
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert "reconcile ci found no code host" in run("comment", plan("no host"))[2]


def test_gitlab(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serve(GitLabStandIn()) as host:
        for name, value in {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": host.url,
            "CI_PROJECT_ID": "7",
            "CI_PROJECT_URL": "https://gitlab.example/g/p",
            "CI_MERGE_REQUEST_IID": "3",
            "RECONCILE_GITLAB_TOKEN": TOKEN,
        }.items():
            monkeypatch.setenv(name, value)
        host.notes.append({"id": 1, "system": False, "author": {"id": 1}, "body": f"not mine\n\n{DEV}"})
        assert run("comment", plan("first"))[1] == "wrote https://gitlab.example/g/p/-/merge_requests/3#note_2\n"
        assert run("comment", plan("second"))[1].startswith("updated ")
        assert [note["body"] for note in host.notes] == [f"not mine\n\n{DEV}", f"### second\n\n{DEV}\n"]

        Path("drift").mkdir()
        for code, done in ((2, "opened"), (2, "updated"), (1, "updated"), (0, "closed"), (0, "no issue")):
            text("drift/dev.exit", str(code))
            assert run("issue", "drift")[1].startswith(done)
        assert [issue["state"] for issue in host.issues] == ["closed"]

        host.merged["aaa"] = 3
        host.pipelines += [
            {"id": 10, "source": "push", "project_id": 7, "sha": "x"},
            {"id": 11, "source": "merge_request_event", "project_id": 8, "sha": "x"},
            {"id": 12, "source": "merge_request_event", "project_id": 7, "sha": "x"},
        ]
        host.jobs[12] = [{"id": 5, "name": "plan", "status": "success"}]
        host.files[5, "plans/dev.plan"] = kept("the plan")
        assert run("approved-plan", "dev", "--commit", "aaa", "--out", "p")[1] == (
            "wrote p, the plan of pull request 3\n"
        )
        assert "no plan prod.plan was kept" in run("approved-plan", "prod", "--commit", "aaa", "--out", "q")[2]
        monkeypatch.delenv("CI_MERGE_REQUEST_IID")
        monkeypatch.setenv("CI_COMMIT_SHA", "aaa")
        assert run("comment", plan("after the merge"), "--new")[1].endswith("#note_3\n")
        monkeypatch.delenv("RECONCILE_GITLAB_TOKEN")
        assert "add a masked CI/CD variable of this name" in run("comment", plan("no token"))[2]
