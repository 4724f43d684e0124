"""Half permitted: every read that a plan sends is denied in turn, and the plan is what can be told without it.

In an account where everything is as declared, where something is no longer declared, and where everything has drifted.
What is not affected is planned as it is without the denial; what cannot be seen is told, with the action that a policy
lacks; nothing is deleted on partial sight; and nothing but reads is ever sent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from reconciler.config.references import dependencies
from reconciler.kinds import discover
from reconciler.model import Address, Call, Environment, Options, Refused, Reply, Secret, Verb
from reconciler.model.problems import Problem
from reconciler.operations import pipeline
from tests.properties.test_killed import ENVIRONMENTS, read
from tests.support.histories import History
from tests.support.http_proxy import READS
from tests.support.long import LONG, some, some_rows
from tests.support.plan_schema import valid_plan
from tests.support.shell import Shell

SHARES = "shares"  # the kinds that no example has
STACK = {
    "serviceEnvironments": {
        "train": {
            "serviceEnvironmentType": "SAGEMAKER_TRAINING",
            "capacityLimits": [{"capacityUnit": "NUM_INSTANCES", "maxCapacity": 8}],
        }
    },
    "schedulingPolicies": {"quota": {"quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}}},
    "jobQueues": {
        "train": {
            "priority": 1,
            "jobQueueType": "SAGEMAKER_TRAINING",
            "schedulingPolicyArn": "quota",
            "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "train"}],
        }
    },
    "quotaShares": {
        "train/team": {
            "capacityLimits": [{"capacityUnit": "NUM_INSTANCES", "maxCapacity": 4}],
            "resourceSharingConfiguration": {"strategy": "RESERVE"},
            "preemptionConfiguration": {"inSharePreemption": "ENABLED"},
        }
    },
    "consumableResources": {"tokens": {"totalQuantity": 2, "resourceType": "REPLENISHABLE"}},
}
LIKELY = (
    "logGroups",
    "keyPairs",
    "repositories",
    "placementGroups",
    "consumableResources",
    "topics",
    "schedulingPolicies",
)
STEP = 1 if LONG else 9
PREFIXES = {"tagging": "tag"}  # what requests are signed for, and what IAM calls it


# --- an account and what happens to it -------------------------------------------------------------------------------


@dataclass
class Estate:
    """What an environment is applied as, and the plans that are made of it."""

    history: History
    env: Environment
    asked: set[tuple[str, str]] = field(default_factory=set)

    def plan(self, env: Environment, *denied: tuple[str, str], **options: Any) -> pipeline.Planned:
        """A plan while these operations are denied; no write is ever sent for it."""
        self.history.sandbox.faults.clear()
        self.history.sandbox.calls.clear()
        for service, operation in denied:
            self.history.sandbox.faults.add(service=service, operation=operation, deny=True, times=0)
        made = self.history.plan(env, **options)
        self.history.sandbox.faults.clear()
        calls = self.history.sandbox.calls
        assert all(call.operation.startswith(READS) for call in calls), [call.operation for call in calls]
        assert all(call.operation != "GetSecretValue" for call in calls)
        self.asked = {(call.service, call.operation) for call in calls}
        return made


Change = Callable[[Environment], Environment]


def unchanged(env: Environment) -> Environment:
    return env


def shrunk(env: Environment) -> Environment:
    """Without a job definition, which others may use, and without something that stands by itself."""
    written = repr([one.props for one in env.resources.values()])  # what an expression names must be there
    free = [a for a in env.resources if a.section == "jobDefinitions" and f"${{{a}." not in written]
    gone = [next(iter(free), None)]
    gone += [next((a for section in LIKELY for a in env.resources if a.section == section and alone(env, a)), None)]
    if not any(gone):
        gone += [next(a for a in env.resources if alone(env, a))]
    return replace(env, resources={a: one for a, one in env.resources.items() if a not in gone})


def alone(env: Environment, address: Address) -> bool:
    kinds = discover()
    return not any(
        address == use.target for one in env.resources.values() for use in dependencies(one, kinds, env.resources)
    )


def drifted(env: Environment) -> Environment:
    """With a tag on everything that the account does not have yet."""
    kinds = discover()
    resources = {
        a: one if kinds[a.section].shared else replace(one, tags={**one.tags, "moved": "yes"})
        for a, one in env.resources.items()
    }
    return replace(env, resources=resources)


CHANGES: tuple[Change, ...] = (unchanged, shrunk, drifted)


def environment(history: History, name: str) -> Environment:
    return history.environment(STACK) if name == SHARES else read(name)


def settled(sandbox: Any, name: str) -> Estate:
    history = History(sandbox, name)
    env = environment(history, name)
    outcome = history.run(env)
    assert outcome.ok, history.failures()
    history.sandbox.advance(3600)
    return Estate(history, env)


# --- what is expected ------------------------------------------------------------------------------------------------


def action(denied: tuple[str, str]) -> str:
    return f"{PREFIXES.get(denied[0], denied[0])}:{denied[1]}"


def shown(item: Any) -> Any:
    """What a plan says of one resource; not in what order it is done, which depends on the others."""
    return item.verb, item.changes, item.physical, [str(step.action) for step in item.steps]


def told(problem: Problem) -> str:
    return f"{problem.message} {problem.hint}"


def expect(
    env: Environment, whole: pipeline.Planned, made: pipeline.Planned, denied: Sequence[tuple[str, str]]
) -> None:
    """``made`` is what can be told of ``whole`` while ``denied`` is."""
    before = {item.address: shown(item) for item in whole.plan.resources}
    after = {item.address: shown(item) for item in made.plan.resources}
    told_all = [*made.problems, *made.warnings]
    assert all(problem.code in ("unreadable", "lookup-refused") for problem in told_all), told_all
    names = [action(one) for one in denied]

    for address, one in after.items():
        if before[address][0] is not Verb.DELETE:
            assert one == before[address], address
    missing = [address for address in env.resources if address not in after]
    for address in missing:
        own = [told(problem) for problem in made.problems if problem.address == str(address)]
        assert any(f"allow {name}" in text for text in own for name in names), (address, own)
    lost = {a for a, one in before.items() if one[0] is Verb.DELETE} - {
        a for a, one in after.items() if one[0] is Verb.DELETE
    }
    if lost or missing or told_all:
        assert not made.plan.complete
        assert all(any(name in told(problem) for name in names) for problem in told_all), told_all
        assert told_all
    if not made.plan.complete:
        assert not [a for a, one in after.items() if one[0] is Verb.DELETE]
    assert made.errored is bool(missing) or any(problem.code == "lookup-refused" for problem in made.problems)


@pytest.mark.parametrize("name", some([*ENVIRONMENTS, SHARES], 14))
def test_each_read_denied_in_turn(name: str, sandbox: Any) -> None:
    estate, felt = settled(sandbox, name), Counter[str]()
    for number, change in enumerate(CHANGES):
        env = change(estate.env)
        whole = estate.plan(env)
        assert not whole.problems
        assert (change is unchanged) is not whole.plan.applyable
        reads = sorted(estate.asked - {("sts", "GetCallerIdentity")})
        place = [*ENVIRONMENTS, SHARES].index(name) + number
        for denied in reads[place % STEP :: STEP]:
            made = estate.plan(env, denied)
            expect(env, whole, made, [denied])
            felt[action(denied)] += bool(made.problems or made.warnings)
    assert sum(felt.values()) > len(felt) / 3


@pytest.mark.parametrize(
    "name",
    ["job-alerts", *(pytest.param(name, marks=pytest.mark.long) for name in ENVIRONMENTS if name != "job-alerts")],
)
def test_two_reads_denied_at_once(name: str, sandbox: Any) -> None:
    estate = settled(sandbox, name)
    env = shrunk(drifted(estate.env))
    whole = estate.plan(env)
    reads = sorted(estate.asked - {("sts", "GetCallerIdentity")})
    pairs = [(one, other) for i, one in enumerate(reads) for other in reads[i + 1 :]]
    for pair in pairs[:: 1 if LONG else 37]:
        expect(env, whole, estate.plan(env, *pair), pair)


def test_what_could_not_be_planned_for_want_of_sight_is_no_ground_for_a_guess(sandbox: Any) -> None:
    """The group is not read, for its look-up is denied, nor found by its owner; what names it is not said to change."""
    estate = settled(sandbox, "multi-node-mpi")
    denied = [("ec2", "DescribeSecurityGroupRules"), ("ec2", "DescribeVpcs")]
    whole, made = estate.plan(estate.env), estate.plan(estate.env, *denied)

    expect(estate.env, whole, made, denied)
    assert not made.plan.applyable


@pytest.mark.parametrize("name", some(["dcv-desktop", "job-alerts", "gpu-training", SHARES], 4, first=1))
def test_the_whole_of_a_service_denied(name: str, sandbox: Any) -> None:
    """And every service: then there is nothing but problems, one for each resource."""
    estate = settled(sandbox, name)
    env = shrunk(drifted(estate.env))
    whole = estate.plan(env)
    reads = sorted(estate.asked)
    kinds = discover()
    for service in sorted({service for service, _ in reads} - {"sts"}):
        made = estate.plan(env, (service, "*"))
        refused = [(service, operation) for _, operation in everything(estate, service)]
        expect(env, whole, made, refused)
        assert made.plan.count(Verb.DELETE) == 0 or made.plan.complete

    services = sorted({service for service, _ in reads} - {"sts"})
    made = estate.plan(env, *((service, "*") for service in services))
    assert not made.plan.resources or all(kinds[item.address.section].shared for item in made.plan.resources)
    assert {str(address) for address in env.resources} <= {problem.address for problem in made.problems}
    assert all("allow " in problem.hint for problem in (*made.problems, *made.warnings))


def everything(estate: Estate, service: str) -> Iterator[tuple[str, str]]:
    """What was asked of a service, whatever was answered."""
    return iter(sorted(one for one in estate.asked if one[0] == service))


# --- some resources only ---------------------------------------------------------------------------------------------


@dataclass
class Policy:
    """Allows all but what ``denies`` is true of, as a policy about single resources does."""

    aws: Any
    denies: Callable[[Call], bool]

    def call(self, call: Call) -> Reply:
        if not self.denies(call):
            return self.aws.call(call)
        return Refused("AccessDenied", f"User is not authorized to perform: {call.action}", status=403)


def planned(estate: Estate, env: Environment, denies: Callable[[Call], bool]) -> pipeline.Planned:
    assert estate.history.scope
    return pipeline.make_plan(env, estate.history.scope, Policy(estate.history.aws, denies), Options(), parallelism=0)


IN_BULK = ("GetAccountAuthorizationDetails", "ListRoles", "ListInstanceProfiles", "ListPolicies", "ListRules")


def about(name: str, service: str) -> Callable[[Call], bool]:
    """Reads of one thing by its name, and those of all there is."""

    def denies(call: Call) -> bool:
        return call.service == service and (name in call.params.values() or call.operation in IN_BULK)

    return denies


@pytest.mark.parametrize(
    ("example", "section", "service"),
    some_rows(
        [
            ("dcv-desktop", "secrets", "secretsmanager"),
            ("custom-logging", "roles", "iam"),
            ("job-alerts", "eventRules", "events"),
        ],
        3,
    ),
)
def test_one_of_several_denied(example: str, section: str, service: str, sandbox: Any) -> None:
    estate = settled(sandbox, example)
    address = min(a for a in estate.env.resources if a.section == section)
    env = shrunk(drifted(estate.env))
    whole = estate.plan(env)
    made = planned(estate, env, about(address.name, service))

    seen = {item.address for item in made.plan.resources}
    assert address not in seen
    others = [a for a in env.resources if a.section == section and a != address]
    assert others and set(others) <= seen
    assert {p.address for p in made.problems if not depends(p)} == {str(address)}
    unaffected = {item.address: shown(item) for item in whole.plan.resources}
    assert all(shown(item) == unaffected[item.address] for item in made.plan.resources)
    assert not made.plan.count(Verb.DELETE)


def depends(problem: Problem) -> bool:
    """Whether it is about what only needs what cannot be read."""
    return "it depends on" in problem.message


def test_what_is_named_and_cannot_be_read_is_not_said_to_be_missing(sandbox: Any) -> None:
    """Nor is what names it planned with a guess; the rest is."""
    history = History(sandbox, "named")
    trust = '{"Version": "2012-10-17", "Statement": []}'
    sandbox.client("iam").create_role(RoleName="theirs", Path="/teams/", AssumeRolePolicyDocument=trust)
    job = {"type": "container", "containerProperties": {"image": "i", "jobRoleArn": "theirs", "vcpus": 1, "memory": 9}}
    env = history.environment({"jobDefinitions": {"mine": job}, "logGroups": {"/a": {}}})
    estate = Estate(history, env)

    assert {item.address for item in estate.plan(env).plan.resources} == set(env.resources)
    made = estate.plan(env, ("iam", "*"))

    (problem,) = made.problems
    assert (problem.code, problem.address, problem.hint) == ("unreadable", "jobDefinitions.mine", "allow iam:GetRole")
    assert "roles.theirs, which cannot be read" in problem.message
    assert [item.address.section for item in made.plan.resources] == ["logGroups"]


def test_who_uses_what_would_go_cannot_be_asked_and_nothing_goes(sandbox: Any) -> None:
    """Not even what nobody could be using; but what is declared is planned."""
    estate = settled(sandbox, "genomics-array")
    env = drifted(estate.env)
    kept = {a: one for a, one in env.resources.items() if a.section not in ("jobDefinitions", "logGroups")}
    env = replace(env, resources=kept)
    whole = estate.plan(env).plan
    made = estate.plan(env, ("batch", "ListJobs"))

    gone = {item.address for item in whole.resources if item.verb is Verb.DELETE}
    assert {address.section for address in gone} == {"jobDefinitions", "logGroups"}
    assert not made.problems and not made.plan.complete
    assert [problem.hint for problem in made.warnings] == ["allow batch:ListJobs; until then nothing is deleted"]
    items = {item.address: item for item in made.plan.resources}
    for address in gone:
        assert (items[address].verb, items[address].steps) == (Verb.NOOP, ())
        assert any("allow batch:ListJobs" in note for note in items[address].notes)
    assert made.plan.count(Verb.UPDATE) == whole.count(Verb.UPDATE)


def test_a_secret_whose_versions_may_not_be_listed_is_planned_with_a_note(sandbox: Any) -> None:
    history = History(sandbox, "vault")
    first, second = ({"secrets": {"s": {"value": Secret(value)}}} for value in ("one", "two"))
    third = {"secrets": {"s": {"value": Secret("three")}}}
    for stack in (first, second, third):  # of these AWS labels the last two
        history.converge(history.environment(stack))
    estate = Estate(history, history.environment(first))
    whole = estate.plan(estate.env)
    made = estate.plan(estate.env, ("secretsmanager", "ListSecretVersionIds"))

    assert [str(step.action) for step in whole.plan.steps][-1] == "secretsmanager:UpdateSecretVersionStage"
    assert [str(step.action) for step in made.plan.steps] == ["secretsmanager:PutSecretValue"]
    (note,) = made.plan.resources[0].notes
    assert note.endswith("allow secretsmanager:ListSecretVersionIds")


def test_many_of_a_kind_that_are_denied_cost_few_calls(sandbox: Any) -> None:
    history = History(sandbox, "many")
    env = history.environment({"logGroups": {f"/group/{n}": {} for n in range(200)}})
    estate = Estate(history, env)
    made = estate.plan(env, ("logs", "*"))

    assert len(made.problems) == 200
    assert len([call for call in sandbox.calls if call.service == "logs"]) < 20


# --- the command -----------------------------------------------------------------------------------------------------


GROUPS = {"/one": {}, "/two": {}}
QUIET: Mapping[str, Any] = {"environment": "quiet", "logGroups": GROUPS, "topics": {"t": {}}}


def declare(shell: Shell, **changed: Any) -> None:
    (shell.home / "environment.yaml").write_text(json.dumps({**QUIET, **changed}), encoding="utf-8")
    shell.account.calls.clear()


def deny(shell: Shell, *denied: str) -> None:
    shell.account.faults.clear()
    for service, operation in (one.split(":") for one in denied):
        shell.account.faults.add(service=service, operation=operation, deny=True, times=0)
    shell.account.calls.clear()


@pytest.fixture
def quiet(shell: Shell) -> Shell:
    declare(shell)
    shell.ok("apply", "-y")
    shell.account.calls.clear()
    return shell


def test_a_plan_without_what_cannot_be_read_is_shown_and_is_an_error(quiet: Shell) -> None:
    declare(quiet, logGroups={**GROUPS, "/three": {}}, topics={"t": {"tags": {"a": "b"}}})
    deny(quiet, "logs:DescribeLogGroups")
    plain, machine = quiet("plan"), quiet("plan", "--format", "json")

    assert (plain.code, machine.code, quiet.writes()) == (1, 1, [])
    assert "~ topics.t" in plain.out and "Plan: 0 to create, 1 to update" in plain.out
    assert plain.err.count("allow logs:DescribeLogGroups") >= 3
    document = machine.json
    valid_plan(document)
    assert (document["errored"], document["complete"]) == (True, False)
    assert [item["address"] for item in document["resource_changes"]] == ["topics.t"]
    errors = {one["address"] for one in document["problems"] if one["severity"] == "error"}
    assert errors == {'logGroups["/one"]', 'logGroups["/two"]', 'logGroups["/three"]'}

    applied = quiet("apply", "-y")
    assert applied.code == 1
    assert [call for call in quiet.writes() if not call.startswith("ssm:")] == []


def test_what_only_keeps_deletions_from_being_planned_is_a_warning(quiet: Shell) -> None:
    declare(quiet, logGroups={"/one": {"retentionInDays": 7}})
    assert quiet.ok("plan", "--format", "json").json["summary"]["delete"] == 1
    deny(quiet, "tagging:GetResources")

    plain, machine = quiet("plan", "--detailed-exitcode"), quiet("plan", "--format", "json")
    assert (plain.code, machine.code, quiet.writes()) == (2, 0, [])
    assert (
        "warning[unreadable]: cannot list the owned resources of " in plain.err
        and "allow tag:GetResources" in plain.err
    )
    assert machine.json["summary"] == {**dict.fromkeys(machine.json["summary"], 0), "update": 1, "noop": 1}
    assert [(one["severity"], one["code"]) for one in machine.json["problems"]] == [("warning", "unreadable")]

    assert quiet("apply", "-y").code == 0
    assert [call for call in quiet.writes() if not call.startswith("ssm:")] == ["logs:PutRetentionPolicy"]
    deny(quiet)
    assert quiet.ok("plan", "--format", "json").json["summary"]["delete"] == 1


def test_nothing_is_claimed_of_what_was_not_seen(quiet: Shell) -> None:
    deny(quiet, "tagging:GetResources")
    told = quiet.ok("plan", "--detailed-exitcode")

    assert told.out.splitlines()[-1] == "No changes. The account matches this part of the environment."
    deny(quiet)
    assert quiet.ok("plan").out.splitlines()[-1] == "No changes. The account matches the environment."


@pytest.mark.parametrize("denied", ["tagging:GetResources", "logs:DescribeLogGroups", "sns:*"])
def test_destroy_on_partial_sight_deletes_nothing(quiet: Shell, denied: str) -> None:
    deny(quiet, denied)
    shown = quiet("plan", "--destroy", "--format", "json")
    done = quiet("destroy", "-y")

    assert (shown.code, done.code) == (1, 1)
    assert shown.json["summary"]["delete"] == 0
    assert "allow " in done.err
    assert [call for call in quiet.writes() if not call.startswith("ssm:")] == []


def test_who_may_not_ask_who_they_are_is_told_so(quiet: Shell) -> None:
    deny(quiet, "sts:GetCallerIdentity")
    told = quiet("plan")

    assert told.code == 1
    assert "allow sts:GetCallerIdentity" in told.err
    assert [f"{call.service}:{call.operation}" for call in quiet.account.calls] == ["sts:GetCallerIdentity"]


def test_what_is_left_out_anyway_may_stay_unseen(quiet: Shell) -> None:
    declare(quiet, logGroups={**GROUPS, "/three": {}}, topics={"t": {"tags": {"a": "b"}}})
    deny(quiet, "logs:DescribeLogGroups")
    rest = [word for name in ("/one", "/two", "/three") for word in ("--exclude", f'logGroups["{name}"]')]

    assert quiet("plan", "--target", 'logGroups["/one"]').code == 1
    assert quiet("plan", *rest[:-2]).code == 1
    assert "allow logs:DescribeLogGroups" in quiet.ok("plan", *rest).err
    assert "~ topics.t" in quiet.ok("apply", "-y", "--target", "topics.t").out
    assert [call for call in quiet.writes() if not call.startswith("ssm:")] == ["sns:TagResource"]


def test_everything_denied(quiet: Shell) -> None:
    for service in ("batch", "ec2", "ecr", "events", "iam", "logs", "secretsmanager", "sns", "ssm", "tagging"):
        quiet.account.faults.add(service=service, operation="*", deny=True, times=0)
    plan, apply, destroy = quiet("plan"), quiet("apply", "-y", "--no-lock"), quiet("destroy", "-y", "--no-lock")

    assert (plan.code, apply.code, destroy.code) == (1, 1, 1)
    assert quiet.writes() == []
    for action in ("tag:GetResources", "logs:DescribeLogGroups", "sns:GetTopicAttributes"):
        assert f"allow {action}" in plan.err


@pytest.mark.parametrize("command", ["plan", "validate", "render"])
def test_no_command_that_only_looks_needs_a_write(quiet: Shell, command: str) -> None:
    """Every operation that is no read is denied, and none of them was asked for."""
    for service in ("batch", "ec2", "ecr", "events", "iam", "logs", "secretsmanager", "sns", "ssm", "tagging"):
        for first in "ABCDEFHIJKMNOPQRSTUVWXYZ":
            if first not in ("D", "B"):
                quiet.account.faults.add(service=service, operation=f"{first}*", deny=True, times=0)
        for rest in ("De[!s]*", "D[!e]*", "B[!a]*"):
            quiet.account.faults.add(service=service, operation=rest, deny=True, times=0)
    quiet.account.calls.clear()

    quiet.ok(command)
    assert bool(quiet.account.calls) is (command == "plan")
    assert quiet.writes() == []


def test_what_may_be_read_for_the_plan_alone_is_not_written_to(quiet: Shell) -> None:
    """The second look, before the first write, is denied: a permission that was taken away meanwhile."""
    declare(quiet, topics={"t": {"tags": {"a": "b"}}})
    quiet.account.faults.add(service="sns", operation="GetTopicAttributes", nth=2, times=0, deny=True)
    stopped = quiet("apply", "-y")

    assert stopped.code == 3
    assert "cannot read topics.t again" in stopped.told and "allow sns:GetTopicAttributes" in stopped.told
    assert [call for call in quiet.writes() if not call.startswith("ssm:")] == []
