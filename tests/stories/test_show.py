"""Saved plans are shown as they were printed, without AWS; results in several formats, in files; and failures too."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import main as cli
from reconciler.operations import saved_plan
from tests.stories.test_saved_plans import BASIC, OTHER, SECRET, WAITING, declare
from tests.support.plan_schema import valid_plan
from tests.support.shell import Result, Shell

FORMATS = ("text", "json", "markdown", "html")
SCRIPTED = {
    "launchTemplates": {
        "site-lt": {"launchTemplateData": {"userData": f"#!/bin/sh\nexport DB_PASSWORD={SECRET}\necho one\n"}}
    }
}


@pytest.fixture
def declared(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small environment, in a clone."""
    monkeypatch.setenv("SITE_SECRET", SECRET)
    made = declare(shell.go(shell.home / "clone") / "environments" / "site", BASIC)
    with (made / "environment.yaml").open("a", encoding="utf-8") as stream:
        stream.write("namePrefix: ''\n")
    return made


@pytest.fixture
def site(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that has been applied, and is declared otherwise since; in a clone."""
    monkeypatch.setenv("SITE_SECRET", SECRET)
    clone = shell.go(shell.home / "clone")
    made = declare(clone / "environments" / "site", {**BASIC, **SCRIPTED})
    shell.ok("apply", "-y")
    monkeypatch.setenv("SITE_SECRET", OTHER)
    text = json.dumps({"launchTemplateData": {"userData": f"#!/bin/sh\nexport DB_PASSWORD={OTHER}\necho two\n"}})
    declare(made, BASIC, WAITING)
    with (made / "environment.yaml").open("a", encoding="utf-8") as stream:
        stream.write(f"launchTemplates: {{site-lt: {text}}}\nnamePrefix: ''\n")
    shell.secrets = {SECRET, OTHER}
    return made


def git(place: Path, *words: str) -> str:
    made = ["git", "-c", "user.name=x", "-c", "user.email=x@y", "-c", "commit.gpgsign=false", *words]
    return subprocess.run(made, cwd=place, check=True, capture_output=True, text=True).stdout.strip()


def timeless(page: str) -> str:
    """Without the time of planning, which comments and pages show."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\w:&#;<>! -]+?Z", "", page)


def stamped(document: Any) -> Any:
    return {**document, "timestamp": ""}


def test_it_is_shown_as_it_was_printed(site: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither the YAML nor the account is there any more."""
    clone = Path.cwd()
    git(clone, "init", "-q")
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "one")
    (clone / ".git" / "hooks" / "post-index-change").write_text("#!/bin/sh\ntouch hooked\n", "utf-8")
    git(clone, "config", "core.fsmonitor", f"touch {clone}/watched")
    commit = git(clone, "rev-parse", "HEAD")
    printed = {form: shell("plan", "--detailed-exitcode", "--format", form) for form in FORMATS}
    whole = shell.ok("plan", "--verbose").out
    printed["changes"] = shell("plan", "--detailed-exitcode", "--format", "json", "--only-changes")
    assert {one.code for one in printed.values()} == {2}
    shell.ok("plan", "--out", "a.plan")
    assert not (clone / "hooked").exists() and not (clone / "watched").exists()
    (site / "new.yaml").write_text("topics: {t: {}}\n", "utf-8")
    shell.ok("plan", "--target", "topics.t", "--format", "markdown=b.md", "--out", "b.plan")
    contents = Path("a.plan").read_text("utf-8")
    assert SECRET not in contents and OTHER not in contents
    shutil.rmtree(site.parent)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    shell.account.calls.clear()

    for form in FORMATS:
        shown = shell("show", "a.plan", "--format", form, "--detailed-exitcode")
        assert shown.code == 2
        if form == "json":
            assert stamped(valid_plan(shown.json)) == stamped(printed[form].json)
            assert f"planned {shown.json['timestamp']} at commit {commit[:12]}\n" in shown.err
        else:
            assert timeless(shown.out) == timeless(printed[form].out)
    assert shell.ok("show", "a.plan", "-v").out == whole != printed["text"].out
    changes = shell.ok("show", "a.plan", "--format", "json", "--only-changes")
    assert stamped(changes.json) == stamped(printed["changes"].json)
    narrow = shell.ok("show", "b.plan", "--format", "markdown")
    assert narrow.out == Path("b.md").read_text("utf-8") and "--target is in effect" in narrow.out
    assert f"{commit[:12]} with uncommitted changes" in narrow.err
    assert shell.account.calls == []


def test_several_formats_of_one_planning(site: Path, shell: Shell) -> None:
    """Each in its place, whole and for the owner; and nothing else on stdout."""
    Path("plan.md").write_text("older", "utf-8")
    shell.account.calls.clear()
    words = ("--format", "markdown=plan.md", "--format=json=deep/plan.json", "--format", "html", "--out", "a.plan")
    refused = shell("plan", *words, "--format", "github=notes.txt")
    assert refused.code == 1 and "there is no directory deep" in refused.err and shell.account.calls == []
    assert Path("notes.txt").read_text("utf-8").startswith("::error title=reconcile (")
    Path("notes.txt").unlink()
    assert "<h1>There is no plan: 1 error.</h1>" in refused.out
    assert Path("plan.md").read_text("utf-8").startswith("### There is no plan: 1 error.\n")

    Path("deep").mkdir()
    made = shell.ok("plan", *words)
    assert made.out.startswith("<!doctype html>") and made.out.count("<html") == 1
    assert "Plan: " in Path("plan.md").read_text("utf-8")
    document = valid_plan(json.loads(Path("deep/plan.json").read_text("utf-8")))
    assert stamped(document) == stamped(shell.ok("show", "a.plan", "--format", "json=-").json)
    for file in ("plan.md", "deep/plan.json", "a.plan"):
        assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    assert not list(Path().rglob("*.part"))

    quiet = shell.ok("show", "a.plan", "--format", "text=plan.txt", "--format", "json=/dev/null")
    assert quiet.out == ""
    assert Path("plan.txt").read_text("utf-8") == shell.ok("show", "a.plan").out


MISPLACED = {
    "xml": "'xml' is not one of 'text', 'json', 'markdown', 'html'",
    "json=": "names no file",
    "json json=- ": "several formats without a file",
    "json=a.json html=./a.json": "is already used for another output",
    "json=a.plan": "is already used for another output",
    "json=old.plan": "is a saved plan, which is not overwritten",
    "json=environments": "is a directory",
    "json=no/where": "there is no directory no",
    "json=environments/site/environment.yaml/x": "there is no directory",
    "json=dangling": "is a link to a file that does not exist",
}


def test_files_that_cannot_be_written_are_told_before_aws_is_asked(declared: Path, shell: Shell) -> None:
    Path("dangling").symlink_to("nothing")
    Path("old.plan").write_bytes(b'{\n "file": "reconcile-plan/4"')
    shell.account.calls.clear()
    for words, told in MISPLACED.items():
        flags = [part for word in words.split() for part in ("--format", word)]
        refused = shell("plan", *flags, "--out", "a.plan")

        assert refused.code == 1 and told in refused.err and not Path("a.plan").exists(), words
        assert not Path("nothing").exists() and "reconcile-plan" in Path("old.plan").read_text("utf-8")
    assert shell.account.calls == []


def test_a_file_that_cannot_be_written_in_the_end(site: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others say so: none of them has a plan that was not delivered."""
    put = saved_plan.put

    def full(path: Path, data: bytes) -> None:
        if path.name == "plan.md" and b"There is no plan" not in data:
            raise OSError(28, "No space left on device")
        put(path, data)

    monkeypatch.setattr("reconciler.operations.own_files.put", full)
    failed = shell("plan", "--format", "json=plan.json", "--format", "markdown=plan.md", "--format", "html")

    assert failed.code == 1 and "plan.md cannot be written: No space left on device" in failed.err
    assert json.loads(Path("plan.json").read_text("utf-8"))["errored"] is True
    assert "There is no plan" in failed.out and "plan.md cannot be written" in failed.out


# --- every way in which planning fails -------------------------------------------------------------------------------


def _interrupted(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def _broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("no such wheel <b>")


def _edited(old: str, new: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def edit(site: Path, _: pytest.MonkeyPatch) -> None:
        file = site / "environment.yaml"
        file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")

    return edit


PLAN = "reconciler.operations.pipeline.make_plan"
LOOKUP = "namePrefix: ''\nlookups: {v: {vpc: {tags: {no: such}}}}"
# what goes wrong -> how, further words, the exit code, the code of the problem, and its file
FAILURES: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], Any], list[str], int, str, bool]] = {
    "no environment": (lambda site, _: None, ["nowhere"], 1, "no-environment", False),
    "an option": (lambda site, _: None, ["--target", "x"], 1, "bad-address", False),
    "a variable": (lambda site, _: None, ["--var", "x=1"], 1, "unknown-variable", False),
    "YAML": (_edited("namePrefix", "\tnamePrefix"), [], 1, "yaml-syntax", True),
    "the schema": (_edited("retentionInDays", "retentionInDay"), [], 1, "unknown-field", True),
    "an unset variable": (lambda _, patch: patch.delenv("SITE_SECRET"), [], 1, "unset-variable", True),
    "a look-up": (_edited("namePrefix: ''", LOOKUP), [], 1, "lookup-none", True),
    "credentials": (
        lambda _, patch: patch.setenv("AWS_PROFILE", "nobody"),
        [],
        1,
        "aws-profile",
        False,
    ),
    "another account": (_edited("namePrefix: ''", "account: '999999999999'"), [], 4, "wrong-account", False),
    "the sandbox": (
        lambda _, patch: patch.setattr("reconciler.sandbox.process.status", lambda: None),
        ["--sandbox"],
        1,
        "no-sandbox",
        False,
    ),
    "an interruption": (lambda _, patch: patch.setattr(PLAN, _interrupted), [], 130, "interrupted", False),
    "a bug": (lambda _, patch: patch.setattr(PLAN, _broken), [], 1, "internal-error", False),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_is_a_result(declared: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    spoil, words, code, problem, placed = FAILURES[what]
    spoil(declared, monkeypatch)
    files = [part for form in FORMATS for part in ("--format", f"{form}=out.{form}")]
    shell_or_bug: Callable[..., Result] = bare(shell) if what == "a bug" else shell

    failed = shell_or_bug("plan", *words, *files[2:], "--format", "text", "--out", "a.plan")
    assert failed.code == code and failed.out == "" and failed.err and not Path("a.plan").exists()
    alone = shell_or_bug("plan", *words, "--format", "json")
    assert alone.code == code and not re.search(r"error\[", alone.err)
    document = valid_plan(alone.json)
    assert stamped(document) == stamped(json.loads(Path("out.json").read_text("utf-8")))
    assert (document["errored"], document["applyable"], document["complete"]) == (True, False, False)
    found = [one for one in document["problems"] if one["severity"] == "error"]
    assert [one["code"] for one in found] == [problem] and "resource_changes" not in document
    place = f"environments/site/environment.yaml:{found[0]['line']}:{found[0]['column']}: error[{problem}]"
    place = place if placed else f"error[{problem}]"

    comment = Path("out.markdown").read_text("utf-8")
    first = comment.splitlines()[0]
    assert first.startswith("### ") and first.endswith("There is no plan: 1 error.") and place in comment
    name = found[0]["environment"]
    assert document["environment"] == name and name in ("site", *([] if placed else [""]))
    assert ("<!-- reconcile: " in comment, comment.endswith(f"\n\n<!-- reconcile: {name} -->\n")) == (bool(name),) * 2
    page = Path("out.html").read_text("utf-8")
    assert "There is no plan: 1 error." in page and place in html.unescape(page) and "<b>" not in page
    assert "default-src 'none'" in page
    shell_or_bug("plan", *words, *files[:2])
    text = Path("out.text").read_text("utf-8")
    assert place in text and text.endswith("There is no plan: 1 error.\n")
    assert shell_or_bug("plan", *words, "--format", "html").out.count("<html") == 1


def bare(shell: Shell) -> Callable[..., Result]:
    """The shell, which does not mind a bug."""

    def run(*argv: str) -> Result:
        codes: list[int] = []
        cli.main([*argv], leave=codes.append)
        return Result(codes[0], *shell.capsys.readouterr())

    return run


def test_a_plan_that_is_refused_is_shown_with_what_refuses_it(
    site: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a safety rail; and where AWS refuses to tell something."""
    old = '"site-a": {"retentionInDays": 30}'
    _edited(old, '"site-a": {"retentionInDays": 30, "lifecycle": {"preventDestroy": true}}')(site, monkeypatch)
    words = ("--format", "markdown=a.md", "--format", "json", "--destroy", "--out", "a.plan")
    refused = shell("plan", *words)
    assert refused.code == 4 and not Path("a.plan").exists()
    document = valid_plan(refused.json)
    assert document["errored"] and document["resource_changes"]
    assert [one["code"] for one in document["problems"]] == ["prevent-destroy"]
    assert "This cannot be applied: 1 error." in Path("a.md").read_text("utf-8")
    text = shell("plan", "--destroy", "--format", "json=a.json")
    assert (text.code, text.out) == (4, "") and "error[prevent-destroy]" in text.err
    assert stamped(json.loads(Path("a.json").read_text("utf-8"))) == stamped(document)

    shell.account.faults.add(service="logs", operation="DescribeLogGroups", deny=True, times=0)
    unread = shell("plan", "--format", "markdown=a.md", "--format", "json", "--out", "a.plan")
    assert unread.code == 1 and not Path("a.plan").exists() and valid_plan(unread.json)["errored"]
    assert "error[unreadable]" in Path("a.md").read_text("utf-8")
