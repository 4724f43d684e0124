"""`reconcile test`: people's own expectations, without AWS."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ruamel.yaml import YAML

from reconciler.cli import main as cli
from reconciler.config import files
from reconciler.model import Address
from reconciler.model.granted import Granted, allowing
from reconciler.operations import pipeline, session, snapshots
from reconciler.operations.testing import accounts
from tests.support.examples import ROOT
from tests.support.plan_schema import valid_tests

DATA = ROOT / "tests" / "data" / "testing"
CASES = YAML(typ="safe").load((DATA / "cases.yaml").read_text("utf-8"))
SECRET = "correct-horse-battery"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_PASSWORD", SECRET)
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")  # no settings of the user's matter

    def typed(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(["test", *argv], leave=codes.append)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err and SECRET not in out + err
        return codes[0], out, err

    return typed


def lab(directory: Path, tests: Any, name: str = "tests/all.yaml", **more: Any) -> Path:
    """The environment of these tests, with tests."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "environment.yaml").write_bytes((DATA / "environment.yaml").read_bytes())
    (directory / "files").mkdir(exist_ok=True)
    (directory / "files" / "about.txt").write_text("about ${job}", encoding="utf-8")
    file = directory / name
    file.parent.mkdir(exist_ok=True)
    with file.open("w", encoding="utf-8") as stream:
        YAML().dump({**more, "tests": tests}, stream)
    return file


def place(found: Any, path: str) -> tuple[int, int]:
    """The line and column of what is at ``path`` in a test."""
    found = found if path.split(".", maxsplit=1)[0] in found else found["expect"]
    while path:
        key = next(
            key for key in sorted(keys(found), key=lambda one: -len(str(one))) if f"{path}.".startswith(f"{key}.")
        )
        line, column = (found.lc.item if isinstance(found, list) else found.lc.key)(key)
        found, path = found[key], path[len(str(key)) + 1 :]
    return line + 1, column + 1


def keys(found: Any) -> list[Any]:
    return [*range(len(found))] if isinstance(found, list) else [*found]


def test_each_expectation_holds_or_says_what_was_found(run: Run, tmp_path: Path) -> None:
    file = lab(tmp_path / "lab", [case["test"] for case in CASES])

    code, out, _ = run("lab", "--format", "json", "--format", "junit=report.xml")

    report = json.loads(out)
    assert valid_tests(report) and code == 1
    told = {one["name"]: one for one in report["tests"]}
    nodes = {one["name"]: one for one in YAML().load(file.read_text("utf-8"))["tests"]}
    for case in CASES:
        one, expected = told[case["test"]["name"]], case.get("told", [])
        found = sorted(
            (problem["line"], problem["column"], ": ".join(filter(None, (problem["address"], problem["message"]))))
            for problem in one["problems"]
        )
        assert one["file"] == "lab/tests/all.yaml"
        assert (one["status"] == "passed") is (not expected), (one["name"], found)
        wanted = sorted((*place(nodes[one["name"]], path), message) for path, message in expected)
        assert len(found) == len(wanted), (one["name"], found)
        for (*where, message), (*at, begins) in zip(found, wanted, strict=True):
            assert (where, message[: len(begins)]) == (at, begins)
    junit = ET.parse("report.xml").getroot()
    counted = report["summary"]
    assert {**junit.attrib, "time": ""} == {
        "name": "reconcile test",
        "tests": str(len(CASES)),
        "failures": str(counted["failed"]),
        "errors": str(counted["error"]),
        "time": "",
    }
    assert {case.get("name") for case in junit.iter("testcase") if len(case)} == {
        one["name"] for one in report["tests"] if one["status"] != "passed"
    }

    code, out, _ = run("lab/tests/all.yaml", "--name", "grants", "--name", "replaced")
    assert out.splitlines()[:3] == ["lab/tests/all.yaml", "  ok    replaced", "  FAIL  grants"]
    assert out.splitlines()[-1] == "2 tests: 1 passed, 1 failed"
    assert code == 1


def test_the_tests_of_the_examples_hold(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    code, out, _ = run("--all", "--format", "json")

    report = json.loads(out)
    assert code == 0, out
    assert {one["environment"] for one in report["tests"]} == {"fargate-spot", "job-alerts", "retry-strategies"}


def test_against_a_snapshot_and_the_environment_of_a_commit(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = [
        {"name": "the days", "from": "before", "expect": {"actions": {"logGroups.*": "update"}, "nothingElse": True}},
        {"name": "nothing", "account": {"snapshot": "../lab.snapshot"}, "expect": {"noChanges": True}},
        {"name": "never", "from": "nowhere", "expect": {"noChanges": True}},
        {"name": "lost", "account": {"snapshot": "lost"}, "expect": {"noChanges": True}},
    ]
    lab(tmp_path / "lab", tests)
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("add", "lab"), ("commit", "-qm", "x"), ("tag", "before")):
        subprocess.run((*git, *words), check=True)
    file = tmp_path / "lab" / "environment.yaml"
    file.write_text(file.read_text("utf-8").replace("days: 30", "days: 14"), "utf-8")
    loaded = session.read(session.locate("lab", tmp_path), {"LAB_PASSWORD": SECRET}, strict=True)
    monkeypatch.setattr("reconciler.account.recording.widen", lambda *_: {})  # takes seconds: all names there are
    account = accounts.SandboxAccount()
    with accounts.without_aws_settings():
        snapshots.take(account.with_applied(loaded, loaded, {}, {}, "once"), tmp_path / "lab.snapshot")
    account.close()

    code, out, _ = run("lab")

    assert code == 1
    lines = out.splitlines()
    assert lines[1:3] == ["  ok    the days", "  ok    nothing"]
    assert "lab/tests/all.yaml:" in lines[4] and lines[4].endswith("there is no commit nowhere")
    assert lines[-4].endswith("lab/lost cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("tests: []", "1:1 out-of-range"),
        ("tests: [{name: a, expect: {noChangs: true}}]", "1:28 unknown-field"),
        ("tests: [{name: a, expect: {noChanges: true}}, {name: a, expect: {noChanges: true}}]", "1:48 duplicate"),
        ("tests: [{name: a, expect: {actions: {work: noop}}}]", "1:38 bad-address"),
        ("tests: [{name: a, from: x, account: empty, expect: {noChanges: true}}]", "1:19 not-applicable"),
        ("tests: [{name: a, change: {extends: x}, expect: {noChanges: true}}]", "1:28 not-applicable"),
        ("tests: [{name: a, expect: {values: {a.b: {c: {matches: '('}}}}}]", "1:47 invalid-value"),
        ("tests: [", "1:9 yaml-syntax"),
    ],
)
def test_a_file_that_is_wrong_is_an_error_at_its_place(written: str, problem: str, run: Run, tmp_path: Path) -> None:
    file = lab(tmp_path / "lab", [])
    file.write_text(written, encoding="utf-8")

    code, out, _ = run("lab", "--format", "json")

    ((found,),) = [one["problems"] for one in json.loads(out)["tests"]]
    assert (code, f"{found['line']}:{found['column']} {found['code']}") == (1, problem)


def test_tests_are_no_resources_and_other_files_below_tests_are(run: Run, tmp_path: Path) -> None:
    lab(tmp_path / "lab", [{"name": "a", "expect": {"values": {"logGroups.x": {"retentionInDays": 7}}}}])
    (tmp_path / "lab" / "tests" / "more.yaml").write_text("logGroups: {x: {retentionInDays: 7}}\n", encoding="utf-8")
    env, _ = pipeline.read_environment(tmp_path / "lab", {"LAB_PASSWORD": SECRET}, strict=True)
    assert Address("logGroups", "x") in env.resources
    assert [path.name for path in files.tests_of(tmp_path / "lab")] == ["all.yaml"]

    assert run("lab")[0] == 0
    for argv, message in (
        (("lab", "--name", "b"), "no test matches --name b"),
        (("lib",), 'there is no environment "lib"'),
        (("--all",), "there are no environments under environments/"),
    ):
        code, out, err = run(*argv)
        assert code == 1 and message in out + err, out + err
    (tmp_path / "lab" / "tests" / "all.yaml").unlink()
    assert "lab has no tests" in "".join(map(str, run("lab")))


def test_what_patterns_of_actions_have_in_common() -> None:
    def statement(*actions: str, allow: bool = True, inverted: bool = False) -> Granted:
        about = {"address": Address("roles", "x"), "path": (), "allow": allow, "inverted": inverted}
        return Granted(**about, actions=actions, resources=("*",))  # type: ignore[arg-type]

    for actions, pattern, meets in (
        (("s3:GetObject",), "S3:getobject", True),
        (("s3:Get*",), "s3:*Object", True),
        (("s3:Get*",), "s3:Put*", False),
        (("*",), "iam:PassRole", True),
        (("s3:G?tObject",), "s3:GetObject", True),
        (("s3:Get",), "s3:GetObject", False),
    ):
        assert bool(allowing([statement(*actions)], pattern)) is meets, (actions, pattern)
    assert not allowing([statement("iam:*", inverted=True)], "iam:Pass*")
    assert allowing([statement("iam:Pass*", inverted=True)], "iam:*")
    assert not allowing([statement("s3:*"), statement("s3:Put*", allow=False)], "s3:PutObject")
    assert allowing([statement("s3:*"), statement("s3:Put*", allow=False)], "s3:GetObject")
