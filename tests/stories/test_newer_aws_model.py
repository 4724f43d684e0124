"""Fields and values that only the installed AWS model knows, the whole way: checked, planned, sent, compared, removed.

The model is a made-up one (`tests/support/newer_model.py`) that the command and the sandbox find by themselves, in a process that
begins with it, as they would a newer botocore.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.loaders import create_loader

from reconciler.sandbox import process
from tests.support import newer_model
from tests.support.typist import Typist, hired

ROOT = Path(__file__).resolve().parents[2]
STACK = """\
environment: moon
region: eu-west-1
lookups:
  vpc: {vpc: {default: true}}
  subnets: {subnets: {vpcId: "${lookups.vpc}"}}
  default: {securityGroup: {groupName: default, vpcId: "${lookups.vpc}"}}
roles:
  moon-instances: {trust: [ec2.amazonaws.com], managedPolicies: [service-role/AmazonEC2ContainerServiceforEC2Role]}
instanceProfiles:
  moon-instances: {role: moon-instances}
computeEnvironments:
  ce:
    type: MANAGED
    moonMode: FULL
    birthSign: leo
    secondThought: false
    afterlife: long
    computeResources:
      type: EC2
      allocationStrategy: GREEDY_FIT
      minvCpus: 0
      maxvCpus: 4
      instanceTypes: [m5.large]
      instanceRole: moon-instances
      subnets: "${lookups.subnets}"
      securityGroupIds: ["${lookups.default}"]
      bootRites: {dance: NEW, rounds: 3, herbs: {sage: "1", rue: "2"}, offerings: [{resin: myrrh}]}
      graveGoods: beads
jobQueues:
  q:
    priority: 1
    queueJumping: true
    whisper: hush
    computeEnvironmentOrder: [{order: 1, computeEnvironment: ce, charm: 7}]
    jobStateTimeLimitActions:
      - state: STARTING
        reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY
        maxTimeSeconds: 600
        action: CANCEL
        epitaph: too late
schedulingPolicies:
  p: {totem: owl, fairsharePolicy: {mercySeconds: 5, shareDistribution: [{shareIdentifier: a}]}}
consumableResources:
  licence: {totalQuantity: 3, vintage: "1984"}
serviceEnvironments:
  se:
    serviceEnvironmentType: SAGEMAKER_TRAINING
    patron: eligius
    capacityLimits: [{maxCapacity: 1, capacityUnit: NUM_INSTANCES}]
defaults:
  jobDefinitions: {timeout: {attemptDurationSeconds: 60}}
variables:
  size: [{type: VCPU, value: "1"}, {type: MEMORY, value: "64"}]
  pod: {limits: {cpu: "1", memory: 64Mi}, requests: {cpu: "1", memory: 64Mi}}
jobDefinitions:
  single:
    type: container
    horoscope: mixed
    containerProperties:
      image: busybox
      amulet: true
      incense: [{resin: benzoin}]
      environment: [{name: A, value: "1", rune: fehu}, {name: B, value: "2"}]
      logConfiguration: {logDriver: otlp}
      resourceRequirements: "${var.size}"
  nodes:
    type: multinode
    nodeProperties:
      numNodes: 2
      mainNode: 0
      nodeRangeProperties:
        - targetNodes: "0:"
          constellation: orion
          container: {image: busybox, resourceRequirements: "${var.size}"}
  task:
    type: container
    ecsProperties:
      taskProperties:
        - altar: stone
          containers: [{name: a, image: busybox, candles: 3, resourceRequirements: "${var.size}"}]
  pod:
    type: container
    eksProperties:
      podProperties:
        oracle: delphi
        containers: [{name: a, image: busybox, omen: true, resources: "${var.pod}"}]
"""
# what of the stack is newer than the schemas
PIECES = (
    "    moonMode: FULL\n",
    "    birthSign: leo\n",
    "    secondThought: false\n",
    "    afterlife: long\n",
    '      bootRites: {dance: NEW, rounds: 3, herbs: {sage: "1", rue: "2"}, offerings: [{resin: myrrh}]}\n',
    "      graveGoods: beads\n",
    "    queueJumping: true\n",
    "    whisper: hush\n",
    ", charm: 7",
    "        epitaph: too late\n",
    "totem: owl, ",
    "mercySeconds: 5, ",
    ', vintage: "1984"',
    "    patron: eligius\n",
    "    horoscope: mixed\n",
    "      amulet: true\n",
    "      incense: [{resin: benzoin}]\n",
    ", rune: fehu",
    "          constellation: orion\n",
    "altar: stone\n          ",
    "candles: 3, ",
    "        oracle: delphi\n",
    "omen: true, ",
)
MEMBERS = {re.findall(r"(\w+): ", piece)[0] for piece in PIECES}

QUEUE = """\
environment: e
jobQueues:
  q:
    priority: 1
    computeEnvironmentOrder: [{order: 1, computeEnvironment: "arn:aws:batch:eu-west-1:123456789012:compute-environment/c"}]
"""


@dataclass
class Shell:
    """Runs the command where the newer model is in sight: typed by ``typist``, or in a process of its own."""

    environ: Mapping[str, str]
    folder: Path
    typist: Typist | None = None

    def __call__(self, *argv: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        if self.typist:
            done = self.typist(*argv, folder=self.folder, environ=self.environ)
        else:
            command = [sys.executable, "-m", "reconciler", *argv]
            done = subprocess.run(
                command, env=dict(self.environ), cwd=self.folder, capture_output=True, text=True, check=False
            )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def write(self, text: str) -> None:
        (self.folder / "environment.yaml").write_text(text, encoding="utf-8")

    def problems(self, text: str, code: int = 0, *, strict: bool = False) -> list[dict[str, Any]]:
        self.write(text)
        said = self("validate", "--format", "json", *(["--strict"] if strict else []), code=code).stdout
        found: list[dict[str, Any]] = json.loads(said)["problems"]
        return found

    def changes(self, text: str) -> list[dict[str, Any]]:
        """What a plan would change, by resource."""
        self.write(text)
        plan = json.loads(self("plan", "--format", "json", "--only-changes").stdout)
        found: list[dict[str, Any]] = plan["resource_changes"]
        return found


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return newer_model.write(tmp_path_factory.mktemp("models"))


@pytest.fixture
def shell(models: Path, tmp_path: Path) -> Shell:
    return Shell({**os.environ, "PYTHONPATH": str(ROOT), "AWS_DATA_PATH": str(models), "NO_COLOR": "1"}, tmp_path)


@pytest.fixture(scope="module")
def typist(models: Path) -> Iterator[Typist]:
    with hired({**os.environ, "PYTHONPATH": str(ROOT), "AWS_DATA_PATH": str(models)}) as found:
        yield found


@pytest.fixture
def typed(shell: Shell, typist: Typist) -> Shell:
    """The same in one process for all commands, which has read the models."""
    return Shell(shell.environ, shell.folder, typist)


@pytest.fixture
def account(typed: Shell, typist: Typist) -> Shell:
    """The same in an empty account, of a sandbox that has the newer model, too."""
    process.control(typist.url, "reset", {})
    return Shell({**typed.environ, **process.environment(typist.url)}, typed.folder, typist)


def places(found: list[dict[str, Any]], code: str) -> set[str]:
    return {problem["path"].rpartition(".")[2] for problem in found if problem["code"] == code}


# --- checked ---------------------------------------------------------------------------------------------------------


def test_what_the_model_has_is_a_note_and_being_strict_does_not_mind(typed: Shell) -> None:
    found = typed.problems(STACK, strict=True)

    assert {problem["severity"] for problem in found} == {"note"}
    assert places(found, "newer-member") == MEMBERS
    assert places(found, "newer-value") == {"allocationStrategy", "logDriver", "state"}
    (mode,) = [problem for problem in found if problem["path"] == "moonMode"]
    line = STACK.splitlines().index("    moonMode: FULL") + 1
    assert (mode["file"], mode["line"], mode["column"]) == ("environment.yaml", line, 5)
    assert "newer than this version" in mode["message"]
    hints = {problem["path"]: problem["hint"] for problem in found}
    assert "a change means a replacement" in hints["birthSign"]
    assert "drift in it is not detected" in hints["whisper"]
    assert typed("validate").stdout.endswith("\n11 resources: 0 errors, 0 warnings, 26 notes\n")


def test_without_such_a_model_it_is_unknown_with_the_nearest_name(shell: Shell) -> None:
    shell.environ = {name: value for name, value in shell.environ.items() if name != "AWS_DATA_PATH"}

    found = shell.problems(STACK, code=1)

    assert {problem["severity"] for problem in found} == {"error"}
    assert places(found, "unknown-field") == MEMBERS
    assert places(found, "invalid-value") == {"allocationStrategy", "logDriver", "state"}


def test_models_dropped_below_the_home_directory_count(shell: Shell, models: Path) -> None:
    home = shell.folder / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "models").symlink_to(models)
    shell.environ = {**{k: v for k, v in shell.environ.items() if k != "AWS_DATA_PATH"}, "HOME": str(home)}

    assert places(shell.problems(STACK), "newer-member") == MEMBERS


MISTAKES = [
    ("moonMode: FULL", "moonMode: FUL", "invalid-value", "moonMode", 'did you mean "FULL"?'),
    ("birthSign: leo", "birthSign: 7", "wrong-type", "birthSign", "write it in quotes"),
    ("secondThought: false", "secondThought: no", "wrong-type", "secondThought", "write false, without quotes"),
    ("rounds: 3", "rounds: 12", "out-of-range", "computeResources.bootRites.rounds", "at most 9"),
    ("rounds: 3", "rounds: 0", "out-of-range", "computeResources.bootRites.rounds", "at least 1"),
    ("rounds: 3", "round: 3", "unknown-field", "computeResources.bootRites.round", 'did you mean "rounds"?'),
    ("dance: NEW, ", "", "missing-field", "computeResources.bootRites", "dance is missing"),
    ('rue: "2"', "rue: 2", "wrong-type", "computeResources.bootRites.herbs.rue", "write it in quotes"),
    ("[{resin: myrrh}]", "myrrh", "wrong-type", "computeResources.bootRites.offerings", "must be a list"),
    (
        "{resin: myrrh}",
        "{resin: [a]}",
        "wrong-type",
        "computeResources.bootRites.offerings.0.resin",
        "must be text",
    ),
    ("[{resin: benzoin}]", "[{}]", "missing-field", "containerProperties.incense.0", "resin is missing"),
    (
        "[{resin: benzoin}]",
        "[{resin: a}, {resin: b}, {resin: c}]",
        "out-of-range",
        "containerProperties.incense",
        "at most 2 items",
    ),
    ("charm: 7", "charm: x", "wrong-type", "computeEnvironmentOrder.0.charm", "a whole number"),
    (
        "charm: 7",
        "charn: 7",
        "unknown-field",
        "computeEnvironmentOrder.0.charn",
        "one of computeEnvironment, order",
    ),
    ("GREEDY_FIT", "GREEDIEST", "invalid-value", "computeResources.allocationStrategy", "BEST_FIT_PROGRESSIVE"),
    ("moonMode: FULL", "computeEnvironment: ce", "unknown-field", "computeEnvironment", ""),
    ("vintage: ", "operation: ", "unknown-field", "operation", ""),
]


@pytest.fixture(scope="module")
def told(models: Path, typist: Typist, tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    """What one command says of every mistake, in their order."""
    folder = tmp_path_factory.mktemp("mistakes")
    for number, (old, new, *_) in enumerate(MISTAKES):
        assert old in STACK
        (folder / f"mistake-{number}.yaml").write_text(STACK.replace(old, new, 1), encoding="utf-8")
    shell = Shell({**os.environ, "PYTHONPATH": str(ROOT), "AWS_DATA_PATH": str(models)}, folder, typist)
    files = [f"mistake-{number}.yaml" for number in range(len(MISTAKES))]
    found = json.loads(shell("validate", "--format", "json", *files, code=1).stdout)["problems"]
    errors = [problem for problem in found if problem["severity"] == "error"]
    return [[one for one in errors if one["file"].endswith(name)] for name in files]


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=[f"{old}->{new}" for old, new, *_ in MISTAKES])
def test_what_does_not_fit_the_model_is_an_error_at_its_place(told: list[list[dict[str, Any]]], number: int) -> None:
    old, new, code, path, said = MISTAKES[number]

    assert [(error["code"], error["path"]) for error in told[number]] == [(code, path)]
    (error,) = told[number]
    assert said in f"{error['message']} {error['hint']}"
    line = STACK.replace(old, new, 1).splitlines()[error["line"] - 1]
    assert (new or "bootRites") in line
    assert line[error["column"] - 1 :].startswith((path.rpartition(".")[2], "- ", "{", "[", '"', "myrrh"))


def test_an_expression_stands_for_any_value(typed: Shell) -> None:
    text = STACK.replace("birthSign: leo", 'birthSign: "${roles.moon-instances.arn}"')

    assert places(typed.problems(text), "newer-member") == MEMBERS


def test_changes_of_it_can_be_ignored_by_name(typed: Shell) -> None:
    paths = "[moonMode, computeResources.bootRites.rounds, computeResources.bootRites.herbs.sage]"
    ignoring = STACK.replace("    moonMode: FULL\n", f"    lifecycle: {{ignoreChanges: {paths}}}\n    moonMode: FULL\n")

    assert places(typed.problems(ignoring), "newer-member") == MEMBERS
    wrong = typed.problems(ignoring.replace("[moonMode", "[moonMood"), code=1)
    assert [problem["path"] for problem in wrong if problem["severity"] == "error"] == ["lifecycle.ignoreChanges.0"]


def test_botocore_is_imported_for_an_unknown_field_and_never_otherwise(shell: Shell) -> None:
    for name, newer in (("known", ""), ("newer", "    whisper: hush\n")):
        (shell.folder / name).mkdir()
        (shell.folder / name / "environment.yaml").write_text(QUEUE + newer, encoding="utf-8")
    told = (
        "import sys; from reconciler.cli import main as cli\n"
        "for name in ('known', 'newer'):\n"
        "    codes = []; cli.main(['validate', name], leave=codes.append)\n"
        "    print('boto', [name for name in sys.modules if name.startswith('boto')][:1], *codes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", told],
        env=dict(shell.environ),
        cwd=shell.folder,
        capture_output=True,
        text=True,
        check=True,
    )

    assert [line for line in done.stdout.splitlines() if line.startswith("boto")] == [
        "boto [] 0",
        "boto ['botocore'] 0",
    ]


ELSEWHERE = """\
environment: e
launchTemplates:
  template: {launchTemplateData: {instanceType: m5.large, spiritLevel: high}}
eventRules:
  rule:
    eventPattern: {source: [aws.batch]}
    targets: [{id: a, arn: "arn:aws:sns:eu-west-1:123456789012:t", incantation: hum}]
"""


def test_launch_templates_and_targets_of_rules_pass_through(account: Shell) -> None:
    found = account.problems(ELSEWHERE)
    calls = {step["call"]: step["parameters"] for change in account.changes(ELSEWHERE) for step in change["steps"]}

    assert {problem["path"] for problem in found if problem["code"] == "newer-member"} == {
        "launchTemplateData.spiritLevel",
        "targets.0.incantation",
    }
    assert calls["ec2:CreateLaunchTemplate"]["LaunchTemplateData"]["SpiritLevel"] == "high"
    assert calls["events:PutTargets"]["Targets"][0]["Incantation"] == "hum"


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("{launchTemplateData", "{dryRun: true, launchTemplateData", "dryRun"),
        ("incantation: hum", "wards: {north: Salt}", "wards"),  # a map's keys cannot be told from names there
    ],
)
def test_what_cannot_be_passed_through_is_unknown(typed: Shell, old: str, new: str, name: str) -> None:
    assert places(typed.problems(ELSEWHERE.replace(old, new), code=1), "unknown-field") == {name}


def test_what_the_model_calls_sensitive_is_never_shown(account: Shell) -> None:
    stack = without_the_new(STACK).replace("GREEDY_FIT", "BEST_FIT_PROGRESSIVE").replace("otlp", "awslogs")
    stack = stack.replace("state: STARTING", "state: RUNNABLE")
    told = stack.replace("      image: busybox\n", "      image: busybox\n      password: hunter2-and-more\n")
    account.write(told)
    shown = [account("plan"), account("plan", "--format", "json"), account("apply", "--auto-approve")]
    account.write(told.replace("hunter2", "hunter3"))
    shown += [account("plan"), account("plan", "--format", "json"), account("apply", "--auto-approve")]
    account.write(told.replace("hunter2-and-more", "[hunter4-and-more]"))
    shown += [account("validate", code=1)]
    account.write(told.replace("hunter2-and-more", "40404040404"))
    shown += [account("validate", code=1)]

    text = "".join(done.stdout + done.stderr for done in shown)
    assert "containerProperties.password" in text
    assert "-and-more" not in text
    assert "40404040404" not in text


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_it_is_sent_compared_changed_and_removed(account: Shell, typist: Typist) -> None:
    account.write(STACK)
    shown = account("apply", "--auto-approve")
    assert "26 notes: see `reconcile validate`" in shown.stderr
    assert_arrived(account, typist.url)

    assert account.changes(STACK) == []
    assert account.changes(without_the_new(STACK)) == []

    changed = STACK.replace("rounds: 3", "rounds: 4").replace("charm: 7", "charm: 8").replace("fehu", "uruz")
    changed = changed.replace("owl", "bear").replace("mercySeconds: 5", "mercySeconds: 6").replace("1984", "1985")
    changed = changed.replace("eligius", "luke").replace("afterlife: long", "afterlife: short")
    account.write(changed)
    account("apply", "--auto-approve")
    assert account.changes(changed) == []
    assert {change["action"] for change in account.changes(STACK)} == {"update"}

    account("destroy", "--auto-approve")
    assert {change["action"] for change in account.changes(STACK)} == {"create"}


CHANGES = [
    ("moonMode: FULL", "moonMode: NEW", "moonMode", "in-place"),
    ("secondThought: false", "secondThought: true", "secondThought", "in-place"),
    ("afterlife: long", "afterlife: short", "afterlife", "in-place"),
    ("birthSign: leo", "birthSign: virgo", "birthSign", "replace"),
    ("rounds: 3", "rounds: 4", "computeResources.bootRites.rounds", "infrastructure"),
    (', rue: "2"', "", "computeResources.bootRites.herbs.rue", "infrastructure"),
    ("graveGoods: beads", "graveGoods: gold", "computeResources.graveGoods", "replace"),
    ("GREEDY_FIT", "BEST_FIT_PROGRESSIVE", "computeResources.allocationStrategy", "infrastructure"),
    ("queueJumping: true", "queueJumping: false", "queueJumping", "in-place"),
    ("charm: 7", "charm: 8", "computeEnvironmentOrder.1.charm", "in-place"),
    ("too late", "rest", "jobStateTimeLimitActions.CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY.epitaph", "in-place"),
    ("mercySeconds: 5", "mercySeconds: 6", "fairsharePolicy.mercySeconds", "in-place"),
    ('"1984"', '"1985"', "vintage", "in-place"),
    ("eligius", "luke", "patron", "in-place"),
    ("mixed", "good", "horoscope", "new-revision"),
    ("amulet: true", "amulet: false", "containerProperties.amulet", "new-revision"),
    ("benzoin", "storax", "containerProperties.incense.0.resin", "new-revision"),
    ("fehu", "uruz", "containerProperties.environment.A.rune", "new-revision"),
    ("orion", "lyra", "nodeProperties.nodeRangeProperties.0:.constellation", "new-revision"),
    ("altar: stone", "altar: wood", "ecsProperties.taskProperties.0.altar", "new-revision"),
    ("candles: 3", "candles: 4", "ecsProperties.taskProperties.0.containers.a.candles", "new-revision"),
    ("delphi", "dodona", "eksProperties.podProperties.oracle", "new-revision"),
    ("omen: true", "omen: false", "eksProperties.podProperties.containers.a.omen", "new-revision"),
]


@pytest.mark.long
def test_a_change_is_planned_as_what_the_requests_allow(account: Shell) -> None:
    account.write(STACK)
    account("apply", "--auto-approve")
    changed = STACK
    for old, new, *_ in CHANGES:
        assert old in changed
        changed = changed.replace(old, new, 1)

    differences = [one for change in account.changes(changed) for one in change["differences"]]

    told = {(one["path"], one["effect"]) for one in differences if not one["path"].endswith("computeEnvironment")}
    assert told == {(path, effect) for _, _, path, effect in CHANGES}
    assert account.changes(STACK.replace("whisper: hush", "whisper: psst")) == []


@pytest.mark.long
def test_a_replacement_goes_all_the_way(account: Shell) -> None:
    account.write(STACK)
    account("apply", "--auto-approve")
    replaced = STACK.replace("birthSign: leo", "birthSign: virgo")
    account.write(replaced)
    account("apply", "--auto-approve")

    assert account.changes(replaced) == []


def without_the_new(text: str) -> str:
    for piece in PIECES:
        assert piece in text, piece
        text = text.replace(piece, "", 1)
    return text


def assert_arrived(account: Shell, url: str) -> None:
    """What the service shows, asked by a client with the same model."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1")
    session._session.register_component("data_loader", create_loader(account.environ["AWS_DATA_PATH"]))
    batch = session.client("batch", endpoint_url=url)
    (ce,) = batch.describe_compute_environments()["computeEnvironments"]
    assert (ce["moonMode"], ce["birthSign"], ce["secondThought"], ce["afterlife"]) == ("FULL", "leo", False, "long")
    assert ce["computeResources"]["bootRites"]["offerings"] == [{"resin": "myrrh"}]
    assert ce["computeResources"]["allocationStrategy"] == "GREEDY_FIT"
    (queue,) = batch.describe_job_queues()["jobQueues"]
    assert queue["computeEnvironmentOrder"][0]["charm"] == 7
    definitions = {item["jobDefinitionName"]: item for item in batch.describe_job_definitions()["jobDefinitions"]}
    assert definitions["single"]["containerProperties"]["environment"][0]["rune"] == "fehu"
    assert definitions["task"]["ecsProperties"]["taskProperties"][0]["containers"][0]["candles"] == 3
    assert definitions["pod"]["eksProperties"]["podProperties"]["oracle"] == "delphi"


@pytest.mark.long
def test_it_is_imported(account: Shell) -> None:
    """What only the model knows is in the YAML, unless no reply shows it; nothing else is written out because of it."""
    account.write(STACK)
    account("apply", "-y")
    account("import", "again", "--all", "--environment", "moon", "--single-file")
    text = (account.folder / "again" / "environment.yaml").read_text("utf-8")
    for line in ("moonMode: FULL", "birthSign: leo", "graveGoods: beads", "charm: 7", "totem: owl", "mercySeconds: 5"):
        assert line in text, line
    for line in ("updatePolicy", "state: ENABLED", "AWSServiceRoleForBatch", "whisper"):
        assert line not in text, line
    account("plan", "again", "--detailed-exitcode")
