"""``validate --changed-since REF``: the environments that a change touches, as a pipeline asks for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from reconciler.cli import main as cli
from reconciler.operations import changed_since
from tests.support.long import some
from tests.support.repository import commit, git, write

Run = Callable[..., tuple[int, str, str]]
GROUPS = "logGroups: {a: {retentionInDays: %d}}\n"
FILES = {
    "README.md": "# what is here\n",
    "vars/prod.yaml": "days: 7\n",
    "environments/base/groups.yaml": GROUPS % 7,
    "environments/base/more/topics.yaml": "topics: {t: {}}\n",
    "environments/single-base.yaml": "topics: {s: {}}\n",
    "environments/dev/environment.yaml": "environment: dev\nregion: eu-west-1\nextends: ../base\n",
    "environments/prod/environment.yaml": (
        "environment: prod\nregion: eu-west-1\nextends: [../base, ../single-base.yaml]\nvariables: {days: 1}\n"
    ),
    "environments/prod/README.md": "# prod\n",
    "environments/prod/topics.yaml": (
        "topics: {u: {attributes: {DisplayName: '${file:files/name.txt}'}}}\n"  # the text that is not a reference
    ),
    "environments/prod/files/name.txt": "alerts\n",
    "environments/prod/files/other.txt": "nobody reads this\n",
    "environments/alone/environment.yaml": "environment: alone\nregion: eu-west-1\nlogGroups: {b: {}}\n",
    "environments/one.yaml": "environment: one\nregion: eu-west-1\nlogGroups: {c: {}}\n",
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def once(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(list(argv), leave=codes.append)
        return codes[0], *capsys.readouterr()

    return once


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone whose main has FILES, on a branch of its own."""
    root = tmp_path / "clone"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    commit(root, "begin", FILES)
    git(root, "checkout", "-q", "-b", "work")
    monkeypatch.chdir(root)
    return root


def touched(run: Run, *argv: str) -> list[str]:
    found = json.loads(run("validate", "--changed-since", "main", "--format", "json", *argv)[1])
    return [one["environment"] for one in found["environments"]]


ALL = ["alone", "dev", "one", "prod"]
MOVED = "environments/base/more/moved.yaml"
CHANGES: list[tuple[str, Mapping[str, str | None], list[str]]] = [
    ("nothing", {}, []),
    ("what nobody reads", {"README.md": "# else\n", "environments/prod/README.md": "", ".github/x.yaml": "a: 1\n"}, []),
    ("a file beside the one that is named", {"environments/prod/files/other.txt": "else\n"}, []),
    ("the environment's own", {"environments/alone/environment.yaml": "environment: alone\n"}, ["alone"]),
    ("a new file in it", {"environments/alone/jobs/x.yml": "topics: {x: {}}\n"}, ["alone"]),
    ("a hidden one", {"environments/alone/.x.yml": "topics: {x: {}}\n"}, []),
    ("a file of a base", {"environments/base/groups.yaml": GROUPS % 30}, ["dev", "prod"]),
    ("a new file of a base", {"environments/base/x.yaml": "topics: {x: {}}\n"}, ["dev", "prod"]),
    ("a deleted file of a base", {"environments/base/more/topics.yaml": None}, ["dev", "prod"]),
    (
        "a renamed one",
        {"environments/base/more/topics.yaml": None, MOVED: FILES["environments/base/more/topics.yaml"]},
        ["dev", "prod"],
    ),
    ("a whole base deleted", dict.fromkeys([name for name in FILES if "/base/" in name]), ["dev", "prod"]),
    ("a base that is one file", {"environments/single-base.yaml": "topics: {}\n"}, ["prod"]),
    ("the same, deleted", {"environments/single-base.yaml": None}, ["prod"]),
    ("an environment that is one file", {"environments/one.yaml": "environment: one\n"}, ["one"]),
    ("a file that an expression names", {"environments/prod/files/name.txt": "pages\n"}, ["prod"]),
    ("the same, deleted", {"environments/prod/files/name.txt": None}, ["prod"]),
]


@pytest.mark.parametrize("committed", some([True, False], 2), ids=["committed", "uncommitted"])
def test_what_a_change_touches(run: Run, repository: Path, committed: bool) -> None:
    for about, files, expected in CHANGES:
        if committed:
            commit(repository, about, files)
        else:
            write(repository, files)
        assert touched(run) == expected, about
        if set(expected) == {"alone"}:
            assert touched(run, "alone", "dev") == ["alone"] and touched(run, "dev") == []
        git(repository, "reset", "-q", "--hard", "main")
        git(repository, "clean", "-q", "-f", "-d")


def test_files_with_variables_concern_whoever_takes_them(run: Run, repository: Path) -> None:
    commit(repository, "other days", {"vars/prod.yaml": "days: 30\n"})
    assert touched(run) == []
    assert touched(run, "prod", "--var-file", "vars/prod.yaml") == ["prod"]


def test_the_other_branch_may_have_moved_on(run: Run, repository: Path) -> None:
    git(repository, "checkout", "-q", "main")
    commit(repository, "theirs", {"environments/alone/environment.yaml": "environment: alone\n"})
    git(repository, "checkout", "-q", "work")
    commit(repository, "ours", {"environments/one.yaml": "environment: one\n"})
    assert touched(run) == ["one"]


def test_below_the_top_of_the_repository(run: Run, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments may be a part of a larger repository, which may be reached by a link."""
    (repository / "sub").mkdir()
    git(repository, "mv", "environments", "sub")
    commit(repository, "move")
    git(repository, "branch", "-q", "-f", "main")
    commit(repository, "a base", {"sub/environments/single-base.yaml": "topics: {}\n"})
    write(repository, {"sub/environments/alone/naïve name.yaml": "topics: {x: {}}\n"})
    for place in ("sub", "sub/environments/alone"):
        monkeypatch.chdir(repository / place)
        assert touched(run) == (["alone", "prod"] if place == "sub" else ["alone"])
    (repository.parent / "link").symlink_to(repository)
    monkeypatch.chdir(repository.parent / "link/sub")
    assert touched(run) == ["alone", "prod"]


def test_a_link_leads_to_what_it_names(run: Run, repository: Path) -> None:
    (repository / "environments/linked").symlink_to("alone")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "a link")
    assert touched(run, "environments/linked") == ["alone"]  # the link itself is new
    git(repository, "checkout", "-q", "-B", "main")
    commit(repository, "behind the link", {"environments/alone/x.yaml": "topics: {x: {}}\n"})
    git(repository, "checkout", "-q", "-B", "work")
    git(repository, "branch", "-q", "-f", "main", "HEAD~1")
    assert touched(run, "environments/linked") == ["alone"]


LEFT = "warning[deleted-environment]: %s is no longer the environment %s: its resources remain in the account"


def test_a_deleted_environment_is_said(run: Run, repository: Path) -> None:
    moved = FILES["environments/alone/environment.yaml"]
    commit(
        repository,
        "less",
        {
            "environments/one.yaml": None,
            "environments/dev/environment.yaml": "environment: develop\nregion: eu-west-1\nextends: ../base\n",
            "environments/alone/environment.yaml": None,
            "environments/team/alone/environment.yaml": moved,  # the same one at another place
        },
    )
    code, out, _ = run("validate", "--changed-since", "main")
    assert code == 0
    assert out.splitlines() == [
        LEFT % ("environments/dev/environment.yaml", "dev"),
        "    to delete them, run reconcile destroy on environments/dev as it was in main",
        LEFT % ("environments/one.yaml", "one"),
        "    to delete them, run reconcile destroy on environments/one.yaml as it was in main",
        "3 resources in 2 environments: 0 errors, 2 warnings",
    ]
    assert touched(run) == ["develop", "alone"]
    assert run("validate", "--changed-since", "main", "--strict")[0] == 1
    assert "deleted-environment" not in run("validate", "environments/prod", "--changed-since", "main")[1]

    shutil.rmtree(repository / "environments")
    code, out, _ = run("validate", "--changed-since", "main", "--format", "json")
    found = json.loads(out)
    assert (code, found["environments"]) == (0, [])
    assert [one["environment"] for one in found["problems"]] == ALL


def test_one_of_two_of_a_name_is_deleted(run: Run, repository: Path) -> None:
    west = "environments/west/environment.yaml"
    commit(repository, "another prod", {west: "environment: prod\nregion: us-west-2\n"})
    git(repository, "branch", "-q", "-f", "main", "HEAD")
    git(repository, "mv", "environments/prod", "environments/east")
    commit(repository, "moved", {})
    assert "deleted-environment" not in run("validate", "--changed-since", "main")[1]
    commit(repository, "less", {west: None})
    found = run("validate", "--changed-since", "main")[1]
    assert f"{west} is no longer the environment prod: its resources remain in its account and Region, if" in found
    assert found.count("deleted-environment") == 1 and "would delete what the other declares" in found


def test_nothing_touched(run: Run, repository: Path) -> None:
    said = "no environment is touched by the changes since main: no problems\n"
    assert run("validate", "--changed-since", "main") == (0, said, "")
    assert run("validate", "--changed-since", "main", "--format", "github") == (0, "", "")
    assert touched(run, "--changed-since", "0" * 40) == ALL  # how hosts write that there was no commit before


def test_what_git_cannot_tell(run: Run, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(ref: str) -> str:
        code, out, err = run("validate", "--changed-since", ref)
        assert code == 1 and out == "" and err.startswith("error[changes-unknown]: ")
        return err.removeprefix("error[changes-unknown]: ")

    assert refused("nope") == "git knows no commit nope\n    fetch it, or give another: git rev-parse nope\n"
    assert refused("--output=x").startswith("git knows no commit --output=x\n")
    commit(repository, "more")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    assert refused("main").startswith("git knows no commit main, and this clone is shallow\n    fetch its history: ")
    git(tmp_path / "shallow", "fetch", "-q", "--depth", "1", "origin", "main:main")
    assert refused("main").startswith("the current commit and main have no commit in common in this shallow clone\n")
    monkeypatch.chdir(tmp_path)
    assert refused("main").startswith("not in a git repository\n    git: fatal: not a git repository")
    monkeypatch.setattr(changed_since.shutil, "which", lambda name: None)
    assert refused("main") == "git is not installed: --changed-since asks it what changed\n    install git\n"


def test_the_repository_runs_nothing(run: Run, repository: Path, tmp_path: Path) -> None:
    """Its configuration may name programs: for monitors, filters, conversions, differences, hooks."""
    trap = tmp_path / "trap.sh"
    trap.write_text(f'#!/bin/sh\necho "$0 $@" >> {tmp_path}/sprung\ncat\n')
    trap.chmod(0o755)
    commit(repository, "attributes", {".gitattributes": "* filter=x diff=x\n"})
    for name in (
        "core.fsmonitor",
        "filter.x.clean",
        "filter.x.process",
        "diff.external",
        "diff.x.textconv",
        "core.pager",
    ):
        git(repository, "config", name, str(trap))
    for hook in ("post-index-change", "reference-transaction"):
        shutil.copy(trap, repository / ".git/hooks" / hook)
    write(repository, {"environments/one.yaml": "environment: one\nregion: eu-west-2\n"})
    assert touched(run) == ["one"]
    assert not (tmp_path / "sprung").exists(), (tmp_path / "sprung").read_text()
