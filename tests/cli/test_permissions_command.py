"""`reconcile permissions` as it is typed: a policy on stdout and nothing else, without AWS; everything else on stderr."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler.cli import main as cli
from reconciler.operations import editor_schema
from tests.support.examples import ROOT

Run = Callable[..., tuple[int, str, str]]
ENVIRONMENT: dict[str, Any] = {
    "environment": "prod",
    "region": "eu-west-1",
    "topics": {"news": {}},
    "jobQueues": {"q": {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "theirs"}]}},
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def refused(*_: Any) -> None:
        raise AssertionError("AWS was asked")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refused)
    (tmp_path / "prod.yaml").write_text(json.dumps(ENVIRONMENT), encoding="utf-8")

    def once(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(["permissions", *argv], leave=codes.append)
        return codes[0], *capsys.readouterr()

    return once


def test_it_prints_the_policy_and_says_the_rest_beside_it(run: Run) -> None:
    code, out, err = run("prod.yaml", "--for", "apply", "--explain")
    found = json.loads(out)

    assert code == 0
    assert found["Version"] == "2012-10-17"
    assert any("arn:aws:sns:eu-west-1:*:news" in one["Resource"] for one in found["Statement"])
    assert "note: the account is not known, so ARNs have * in its place: pass --account" in err
    assert "  sns:CreateTopic: create: topics.news" in err.splitlines()
    assert "  ssm:PutParameter: the lock of the environment" in err.splitlines()


@pytest.mark.parametrize("wrong", [("--account", "*"), ("--account", "123"), ("--region", 'x"y'), ("--region", "*")])
def test_what_is_no_account_or_region_is_refused(run: Run, wrong: tuple[str, str]) -> None:
    code, out, err = run("prod.yaml", *wrong)
    assert code == 1 and not out and f"{wrong[0]} takes the " in err


@pytest.mark.parametrize("purpose", [[], ["--for", "plan"], ["--for", "drift"]])
def test_a_drift_needs_what_a_plan_needs_and_the_event_history(run: Run, purpose: list[str]) -> None:
    code, out, err = run("prod.yaml", "--account", "123456789012", *purpose)

    assert (code, err) == (0, "")
    assert "PutParameter" not in out
    assert "tag:GetResources" in out
    assert ("cloudtrail:LookupEvents" in out) == ("drift" in purpose)


def test_files_are_small_enough_to_be_attached(run: Run, tmp_path: Path) -> None:
    many = {**ENVIRONMENT, "topics": {f"topic-{number:060}": {} for number in range(40)}}
    (tmp_path / "prod.yaml").write_text(json.dumps(many), encoding="utf-8")
    where = ("prod.yaml", "--for", "apply", "--account", "123456789012")
    _, out, err = run(*where)
    assert len(json.dumps(json.loads(out), separators=(",", ":"))) > 6144
    assert "characters, and a managed policy has at most 6,144; --out-dir DIR writes it as" in err

    code, out, err = run(*where, "--out-dir", "made/here", "--explain")
    files = sorted(path.name for path in (tmp_path / "made" / "here").iterdir())
    assert (code, out) == (0, "")
    assert files == [f"prod-apply-{number}.json" for number in range(1, len(files) + 1)]
    for name in files:
        text = (tmp_path / "made" / "here" / name).read_text(encoding="utf-8")
        assert len(json.dumps(json.loads(text), separators=(",", ":"))) <= 6144
        assert f"Wrote made/here/{name} (" in err
        assert f"\n{name}\n" in err


def test_a_preflight_is_permitted_where_it_is_wanted(run: Run, tmp_path: Path) -> None:
    environment = {"type": "MANAGED", "computeResources": {"type": "FARGATE", "maxvCpus": 4, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}}  # fmt: skip
    (tmp_path / "prod.yaml").write_text(json.dumps({**ENVIRONMENT, "computeEnvironments": {"ce": environment}}))
    (_, plain, _), (code, more, err) = run("prod.yaml"), run("prod.yaml", "--for", "plan", "--preflight")
    assert code == 0, err
    assert "servicequotas:GetServiceQuota" in more
    assert "servicequotas:GetServiceQuota" not in plain
    assert "--preflight has no effect" in run("prod.yaml", "--for", "drift", "--preflight")[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prod.yaml", "--for", "nothing"], "'nothing' is not one of 'plan', 'apply', 'drift', 'snapshot'"),
        (["prod.yaml", "--also", "topic"], "there is no section topic"),
        (["prod.yaml", "--out-dir", "prod.yaml"], "prod.yaml cannot be written"),
        (["nowhere"], "nowhere"),
        (["file.plan", "--for", "plan"], "a PLAN-FILE has its own account, Region and steps"),
        (["file.plan"], "is not a saved plan"),
        (["prod.yaml", "--except", "prod.yaml"], "--except has no effect without --all"),
        (["prod.yaml", "--results", "s3://x/y"], "--results has no effect without --for drift"),
        (["prod.yaml", "--for", "drift", "--results", "results"], "--results: only what is in S3 needs a permission"),
        (["prod.yaml", "--name", "x"], "--name has no effect without --format yaml"),
        (["prod.yaml", "--format", "yaml", "--name", "x y"], "--name takes the beginning of a policy's name"),
        (["--all", "prod.yaml"], "--all cannot be combined with ENV"),
        (["--all"], "environments"),
    ],
)
def test_what_is_refused(run: Run, tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "file.plan").write_text("x", encoding="utf-8")
    code, out, err = run(*words)

    assert (code, out) == (1, "")
    assert said in err


def test_what_is_no_longer_declared_is_covered_on_request(run: Run) -> None:
    _, out, _ = run("prod.yaml", "--for", "apply", "--account", "123456789012", "--also", "repositories")

    assert "ecr:DeleteRepository" in out
    assert "ecr:CreateRepository" not in out


def test_several_environments_have_one_policy_and_those_of_other_accounts_are_left_out(
    run: Run, tmp_path: Path
) -> None:
    for name, more in (("one", {}), ("two", {"account": "123456789012"}), ("far", {"account": "210987654321"})):
        folder = tmp_path / "environments" / name
        folder.mkdir(parents=True)
        document = {"environment": name, "topics": {f"news-{name}": {}}, **more}
        (folder / "environment.yaml").write_text(json.dumps(document), encoding="utf-8")
    where = ("--account", "123456789012", "--region", "eu-west-1")
    code, out, err = run("--all", "--for", "apply", *where)
    assert (code, err) == (0, "note: far is left out: it is in account 210987654321\n")
    assert out.count("locks/one") == out.count("locks/two") == 1
    assert "far" not in out and ":news-one" in out and ":news-two" in out

    _, out, err = run("--all", "--except", "two", "--except", "far", "--format", "yaml")
    assert err == ""
    assert "#   reconcile permissions --all --except two --except far --format yaml\n" in out
    assert '"arn:${partition}:sns:${region}:${account}:news-one"' in out
    assert "  reconcile-plan-1:\n" in out and "news-two" not in out and "$schema" not in out

    look = ("one", "two", "--for", "drift", "--format", "yaml", "--name", "look", "--out-dir", "made")
    assert run(*look)[0] == 0
    assert Path("made/look.yaml").read_text(encoding="utf-8").startswith("# Generated"), "there is no schema to name"
    editor_schema.write(tmp_path)
    code, _, err = run(*look)
    written = (tmp_path / "made" / "look.yaml").read_text(encoding="utf-8")
    assert (code, err) == (0, "Wrote made/look.yaml (look-1)\n")
    assert written.startswith("# yaml-language-server: $schema=") and "news-two" in written


def test_the_policies_of_ci_roles_are_what_the_environments_need(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    made = {("drift", "plan"): [], ("apply", "apply"): ["--except", "ci-roles"]}
    attached = YAML(typ="safe", pure=True).load((ROOT / "environments/ci-roles/roles.yaml").read_text(encoding="utf-8"))
    for (purpose, role), words in made.items():
        _, out, _ = run("--all", *words, "--for", purpose, "--format", "yaml")
        committed = (ROOT / f"environments/ci-roles/reconcile-{purpose}.yaml").read_text(encoding="utf-8")
        meant = [text.partition("\npolicies:\n")[2].strip() for text in (out, committed)]
        assert meant[0] == meant[1], "make policies"
        policies = re.findall(r"^  ([\w-]+):$", committed, re.MULTILINE)
        assert attached["roles"][f"reconcile-{role}"]["managedPolicies"] == policies
