"""`reconcile explain`: fields, values and problem codes, without AWS, by the rules that plans follow."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from reconciler.cli import main as cli
from reconciler.kinds import discover
from reconciler.model import Effect
from reconciler.operations.explaining import effects, field, schemas
from reconciler.operations.explaining.schemas import Place
from reconciler.render import explanation_text
from reconciler.render.explanation import document
from reconciler.schema import registry
from reconciler.schema.fields import EFFECTS
from tests.support.long import LONG

Run = Callable[..., tuple[int, str, str]]
SCHEMA = Draft202012Validator(json.loads((registry.directory() / "explain.schema.json").read_text("utf-8")))
BASE = """\
environment: base
variables: {max: 8, team: hpc}
tags: {team: "${var.team}"}
defaults:
  jobQueues: {state: DISABLED}
jobQueues:
  q: {priority: 1, computeEnvironmentOrder: [{order: 1, computeEnvironment: spot}]}
computeEnvironments:
  spot:
    type: MANAGED
    computeResources: &resources
      type: SPOT
      allocationStrategy: SPOT_CAPACITY_OPTIMIZED
      minvCpus: 0
      maxvCpus: 4
      instanceTypes: [c5]
      subnets: [subnet-0123456789abcdef0]
      securityGroupIds: [sg-0123456789abcdef0]
      instanceRole: nodes
  quick: {type: MANAGED, updatePolicy: {jobExecutionTimeoutMinutes: 5}, computeResources: *resources}
  # both are the service-linked role, or not, only when the expression is filled in
  own: {type: MANAGED, serviceRole: "${roles.batch.arn}", computeResources: *resources}
"""
PROD = """\
environment: prod
extends: ../../base
variables: {max: 16}
jobQueues:
  q: {priority: "${var.max}"}
roles:
  batch: {trust: [batch.amazonaws.com]}
logGroups:
  /aws/batch/x: {retentionInDays: 7}
secrets:
  s: {value: "${env:PASSWORD:-a-default-password}"}
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def refused(*_: Any) -> None:
        raise AssertionError("AWS was asked")

    for name, text in (("base", BASE), ("environments/prod", PROD)):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "environment.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refused)

    def once(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(["explain", *argv], leave=codes.append)
        return codes[0], *capsys.readouterr()

    return once


def read(run: Run, *argv: str) -> dict[str, Any]:
    """The explanation as JSON, which is as the published schema says."""
    code, out, err = run(*argv, "--format", "json")
    assert (code, err) == (0, ""), out
    found = json.loads(out)
    SCHEMA.validate(found)
    return dict(found)


def test_a_field_says_when_a_change_does_what(run: Run) -> None:
    found = read(run, "computeEnvironments.computeResources.subnets")

    assert found["type"] == "set of text, or a look-up of subnets"
    assert found["example"] == ["subnet-0123456789abcdef0"]
    assert found["left_out"] == "not possible in the example: computeResources.subnets is missing"
    assert "https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html" in found["sources"]
    assert found["aws"][0].startswith("The VPC subnets where the compute resources are launched.")
    scaling, infrastructure, *replaced = found["changes"]
    assert scaling["when"] == ["computeResources.type is FARGATE or FARGATE_SPOT"]
    assert (infrastructure["effect"], infrastructure["when"], infrastructure["because"]) == ("infrastructure", [], "")
    assert "running jobs may continue for 30 minutes" in infrastructure["interrupts"]
    assert found["replaced"] == "the new one is created first (create-first)"
    assert [one["when"] for one in replaced] == [
        ["computeResources.allocationStrategy is BEST_FIT or left out"],
        ["serviceRole is a custom role"],
    ]

    code, text, _ = run("computeEnvironments.computeResources.subnets")
    assert code == 0
    assert "a change   scaling update: where computeResources.type is FARGATE or FARGATE_SPOT\n" in text
    assert "           infrastructure update: otherwise\n" in text
    assert "example (from the schema):\n  subnets:\n    - subnet-0123456789abcdef0\n" in text


@pytest.mark.parametrize(
    ("what", "lines"),
    [
        ("jobQueues", ["  priority                  integer, required                  in place", "    NAME:"]),
        ("jobQueues.jobQueueName", ["a change   replacement: another name is another resource"]),
        (
            "jobDefinitions.retryStrategy.attempts",
            ["left out   not possible in the example: retryStrategy needs attempts"],
        ),
        ("alerts.on", ["limits     at least 1 item"]),
        ("jobQueues.state", ["default    ENABLED", "left out   in place, to the default"]),
        ("jobQueues.tags.team", ["jobQueues.tags.*", "a change   in place"]),
        ("jobQueues.lifecycle.replace", ["type       create-first or delete-first"]),
        (
            "computeEnvironments.computeResources.desiredvCpus",
            ["a change   not compared: a difference is not a change"],
        ),
        ("computeEnvironments.status", ["read-only  set by AWS; accepted in pasted output and ignored"]),
        ("computeEnvironments.updatePolicy.jobExecutionTimeoutMinutes", ["limits     1 to 7200", "default    30"]),
        ("jobDefinitions.containerProperties.environment[].value", ["a change   new revision"]),
        ("policies.policyDocument.Statement.Action", ["policies.policyDocument.*", "type       any"]),
        ("secrets.value", ["left out   its live value is kept, and no longer compared"]),
        ("namePrefix", ["type       text", "default    none"]),
        ("lookups.vpc.cidrBlock", ["lookups.*.vpc.cidrBlock", "Its primary CIDR block."]),
        ("unknown-field", ["fix        Correct the name, or remove the field."]),
    ],
)
def test_sections_fields_settings_and_codes(run: Run, what: str, lines: list[str]) -> None:
    code, out, err = run(what)
    assert (code, err) == (0, "")
    assert set(lines) <= set(out.splitlines()), out
    read(run, what)


def test_a_member_that_only_the_installed_model_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {"type": "string", "description": "What it is for."}

    def member(_: object, path: tuple[Any, ...], __: object) -> Any:
        return {**shape, "x-note": "a change means a replacement"} if path == ("brandNew",) else None

    monkeypatch.setattr(schemas.ModelExtension, "member", member)
    place, left = schemas.found(schemas.root("jobQueues") or pytest.fail("jobQueues"), ["brandNew"])
    facts = field.explained(place)

    assert left == () and facts.about == "What it is for."
    assert [one.effect for one in facts.changes] == ["replace"]


@pytest.mark.parametrize(
    ("what", "value", "origins"),
    [
        (
            "jobQueues.q.priority",
            16,
            [
                ("declared", "environments/prod/environment.yaml:5:7", "${var.max}", True),
                ("variable", "environments/prod/environment.yaml:3:13", None, True),
                ("extends", "base/environment.yaml:7:7", 1, False),
            ],
        ),
        ("jobQueues.q.state", "DISABLED", [("defaults", "base/environment.yaml:5:15", "DISABLED", True)]),
        (
            "jobQueues.q.tags.team",
            "hpc",
            [
                ("tags", "base/environment.yaml:3:8", "${var.team}", True),
                ("variable", "base/environment.yaml:2:21", None, True),
            ],
        ),
        (
            'logGroups["/aws/batch/x"].retentionInDays',
            7,
            [("declared", "environments/prod/environment.yaml:9:18", 7, True)],
        ),
        ("jobQueues.q.computeEnvironmentOrder[0].order", 1, [("extends", "base/environment.yaml:7:47", 1, True)]),
        (
            "secrets.s.value",
            "(sensitive)",
            [
                ("declared", "environments/prod/environment.yaml:11:7", "(sensitive)", True),
                ("environment variable", "", None, True),
            ],
        ),
    ],
)
def test_a_value_says_where_it_is_from(run: Run, what: str, value: Any, origins: list[Any]) -> None:
    found = read(run, what, "prod")
    assert found["value"] == value
    assert [(one["source"], one["place"], one.get("written"), one["used"]) for one in found["origins"]] == origins
    for arguments in ((what,), (what, "prod", "--format", "json")):
        assert "a-default-password" not in run(*arguments)[1]


def test_a_variable_of_the_command_line_and_what_is_not_declared(run: Run) -> None:
    found = read(run, "jobQueues.q.priority", "prod", "--var", "max=3")
    assert (found["value"], found["origins"][1]["place"]) == (3, "--var max")

    code, out, _ = run("jobQueues.q.jobQueueType", "prod")
    assert code == 0 and "value      not declared; the default is derived from its environments" in out
    code, out, _ = run("jobQueues.q", "prod")
    assert code == 0
    assert any(
        line.split() == ["priority", "16", "environments/prod/environment.yaml:5:7", "in", "place"]
        for line in out.splitlines()
    )
    assert "extends: base/environment.yaml:7:3 (merged beneath)" in out
    found = read(run, "jobQueues.q.computeEnvironmentOrder.order", "prod")
    assert [(one["path"], one["value"]) for one in found["leaves"]] == [("computeEnvironmentOrder.0.order", 1)]


def test_a_value_says_which_change_of_it_jobs_would_notice(run: Run) -> None:
    for name, minutes in (("spot", "30"), ("quick", "5")):
        (change,) = read(run, f"computeEnvironments.{name}.computeResources.instanceTypes", "prod")["changes"][:1]
        assert f"running jobs may continue for {minutes} minutes" in change["interrupts"]
    code, out, _ = run("jobQueues.q.priority", "prod")
    assert code == 0 and "jobs  " not in out
    code, out, _ = run("computeEnvironments.spot.state", "prod")
    assert "jobs       scaling update to DISABLED: no new jobs are started on it; running jobs continue" in out


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "spot",
            {
                ("infrastructure", ("EC2",)),
                ("replace", ("FARGATE", "FARGATE_SPOT", "ECS_MANAGED_INSTANCES")),
            },
        ),
        ("own", {("replace", ("EC2",)), ("replace", ("FARGATE", "FARGATE_SPOT", "ECS_MANAGED_INSTANCES"))}),
    ],
)
def test_what_changing_a_value_would_do_depends_on_the_rest_of_the_resource(run: Run, name: str, expected: Any) -> None:
    found = read(run, f"computeEnvironments.{name}.computeResources.type", "prod")

    assert {(one["effect"], tuple(one["when"])) for one in found["changes"]} == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["jobQuees"], 'did you mean "jobQueues"?'),
        (["unknwn-field"], 'did you mean "unknown-field"?'),
        (["jobQueues.priorty", "prod"], 'did you mean "priority"?'),
        (["jobQueues.r", "prod"], "jobQueues has no field"),
        (["jobQueues.q.stat", "prod"], 'did you mean "state"?'),
        (["computeEnvironments.computeResources.maxVcpu"], 'did you mean "maxvCpus"?'),
        (["jobQueues.priority.more"], "jobQueues.priority has no fields"),
        (["jobQueues..state"], 'cannot read "jobQueues..state"'),
        (["jobQueues.q", "nowhere"], "nowhere"),
    ],
)
def test_what_is_unknown_has_the_nearest_name(run: Run, words: list[str], said: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (1, "") and said in err
    code, out, err = run(*words, "--format", "json")
    assert (code, err) == (1, "") and json.loads(out)["problems"]


def test_without_an_environment_a_misspelt_field_is_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    code, _, err = run("jobQueues.priorty")
    assert code == 1 and 'did you mean "priority"?' in err
    code, _, err = run("jobQueues.zzz")
    assert code == 1 and "pass the environment that declares the resource" in err


def places(place: Place, depth: int = 0) -> list[Place]:
    return [place, *(inner for one in place.members() if depth < 12 for inner in places(one, depth + 1))]


def test_every_field_is_explained_and_none_has_two_minds() -> None:
    every = [one for name in schemas.roots() for one in places(schemas.root(name) or pytest.fail(name))]
    assert len(every) > 1500

    for number, place in enumerate(every):
        if not LONG and number % 12:
            continue
        facts = field.explained(place)
        SCHEMA.validate({"subject": "field", **json.loads(json.dumps(document(facts)))})
        text = explanation_text.field(facts)
        if "\nexample" in text and facts.path:
            shown = text.partition("\nexample")[2].partition("\n")[2].partition("\n\n")[0]
            name = facts.path.rpartition(".")[2]
            inside = json.loads(json.dumps(facts.example))
            assert YAML(typ="safe").load(shown) == (inside if name == "*" else {name: inside}), shown
        assert text.startswith(facts.address) and "\n\n\n" not in text
        # the reference page has the same effects
        assert all(EFFECTS[Effect(one.effect)] in text for one in facts.changes)
        assert bool(facts.changes) or facts.not_compared or place.kind is None or not place.path or facts.read_only
        if facts.required:
            assert facts.left_out in ("not possible", "")
        if place.kind is not None and place.kind.versioned and facts.changes and not place.path.startswith("tags"):
            assert {one.effect for one in facts.changes} <= {"new-revision", "replace"}
    assert {kind.section for kind in discover().values()} <= {one.section for one in every}
    assert effects.words(()) == ""
