"""What a first apply and a destroy ask of AWS: how many calls, in what company, and in what order they arrive.

Calls are counted where they arrive, in the sandbox. The estate is the one of the benchmarks: N job definitions, N/10
queues, N/20 compute environments, roles, profiles and log groups, and a handful of everything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks import estate
from reconciler.applying.executor import Executor
from reconciler.model import Call, Environment, Reply
from reconciler.operations import pipeline
from tests.support.histories import Door, History, Ticking
from tests.support.shell import Shell

LASTING = (
    *("environment_create", "environment_scaling", "environment_delete", "queue_create", "queue_update"),
    *("queue_delete", "deleted_lingers", "relationship_lag", "iam_delay"),
)
AT_ONCE = dict.fromkeys(LASTING, 0)
READS = ("Describe", "Get", "List")
POLLS = ("batch:DescribeComputeEnvironments", "batch:DescribeJobQueues")
LOCK = ("ssm:PutParameter", "ssm:GetParameterHistory", "ssm:DeleteParameter")
LOCK_READS = 1
# what is allowed in all: https://docs.aws.amazon.com has no cheaper way to create these than one call for each
MOST = {20: 80, 60: 145}

PLANNED = Counter(
    (
        *POLLS,
        "batch:DescribeConsumableResource",
        "batch:DescribeJobDefinitions",
        "batch:DescribeSchedulingPolicies",
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribePlacementGroups",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ecr:DescribeRepositories",
        "events:ListRules",
        "iam:GetAccountAuthorizationDetails",
        "iam:GetPolicy",
        "iam:ListInstanceProfiles",
        "iam:ListRoles",
        "logs:DescribeLogGroups",
        "secretsmanager:DescribeSecret",
        "sns:GetTopicAttributes",
        "sts:GetCallerIdentity",
        "tagging:GetResources",
    )
)
"""What planning asks of an empty account."""


PREFLIGHT = Counter(
    {
        **dict.fromkeys(("ec2:DescribeInstanceTypes", "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeSubnets"), 1),
        **dict.fromkeys(("ec2:DescribeRouteTables", "ec2:DescribeVpcEndpoints", "servicequotas:GetServiceQuota"), 1),
        **dict.fromkeys(("ecr:DescribeRepositories", "ecr:DescribePullThroughCacheRules"), 1),
    }
)
"""What is asked about all environments together, and about all images, whose repositories are not there."""

SECOND = Counter({"events:ListRules": 1, "events:ListTagsForResource": 2})
"""PutRule overwrites what another environment has just created, and says nothing: so it is looked for before, and after."""


def written(n: int) -> Counter[str]:
    """One call for everything that AWS has a call for, and no more: tags, policies and settings go with the creation
    where it takes them.
    """
    groups, queues = estate.groups(n), estate.queues(n)
    once = (
        *("batch:CreateConsumableResource", "batch:CreateSchedulingPolicy", "ec2:CreatePlacementGroup"),
        *("ec2:CreateLaunchTemplate", "ec2:CreateSecurityGroup", "ec2:AuthorizeSecurityGroupIngress"),
        *("ecr:CreateRepository", "iam:CreatePolicy", "secretsmanager:CreateSecret", "sns:CreateTopic"),
    )
    counted = {
        "batch:RegisterJobDefinition": n,
        "batch:CreateJobQueue": queues,
        "batch:CreateComputeEnvironment": groups,
        "batch:UpdateComputeEnvironment": groups,  # its creation takes no updatePolicy
        "iam:CreateRole": groups + 2,
        "iam:AttachRolePolicy": groups + 2,
        "iam:PutRolePolicy": groups + 1,
        "iam:CreateInstanceProfile": groups,
        "iam:AddRoleToInstanceProfile": groups,
        "logs:CreateLogGroup": groups,
        "logs:PutRetentionPolicy": groups,
        "events:PutRule": 2,
        "events:PutTargets": 2,
    }
    return Counter(once) + Counter(counted)


def made(account: Any) -> list[str]:
    return [f"{one.service}:{one.operation}" for one in account.calls]


def is_read(call: str) -> bool:
    return call.partition(":")[2].startswith(READS)


@pytest.fixture
def history(sandbox: Any) -> Iterator[History]:
    sandbox.change({**AT_ONCE, "environments_most": 1000, "queues_most": 1000})
    sandbox.calls.clear()
    yield History(sandbox, "estate")
    sandbox.defaults()


@pytest.fixture
def shell(shell: Shell) -> Shell:
    shell.account.change(AT_ONCE)
    return shell


@pytest.fixture
def declared(tmp_path: Any) -> Callable[[int], Environment]:
    return lambda n: pipeline.read_environment(estate.write(tmp_path / "estate", n), {}, strict=True)[0]


# --- how many --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [20, 60])
def test_a_first_apply_costs_what_is_created_and_little_more(history, declared, n):
    outcome = history.run(declared(n))

    found = Counter(made(history.sandbox))
    polls = {call: found.pop(call) - 1 for call in POLLS}
    assert outcome.ok
    assert found == written(n) + PLANNED + SECOND - Counter(POLLS)
    # the environments when they are created and when they have their policy, and the queues; one that more waits for
    # than for the others may come earlier
    more = 1 if n > 20 else 0
    assert polls == {"batch:DescribeComputeEnvironments": 2 + more, "batch:DescribeJobQueues": 1 + more}
    assert found.total() + sum(polls.values()) + len(POLLS) + len(LOCK) <= MOST[n]


@pytest.mark.parametrize("n", [20, 120])
def test_a_destroy_costs_its_writes_and_little_more_than_two_plans(history, declared, n):
    """At most 1.1 times the reads of two plans without changes; those of the lock are not in this count."""
    env = declared(n)
    history.run(env)
    history.sandbox.calls.clear()
    history.plan(env)
    plan = Counter(made(history.sandbox))
    history.sandbox.calls.clear()
    outcome = history.run(env, destroy=True)

    found = Counter(made(history.sandbox))
    reads = Counter({call: count for call, count in found.items() if is_read(call)})
    groups, queues = estate.groups(n), estate.queues(n)
    assert outcome.ok
    assert reads.total() + LOCK_READS <= 2.2 * plan.total(), reads
    assert found - reads == Counter(
        {
            "batch:DeregisterJobDefinition": n,
            **dict.fromkeys(("batch:UpdateJobQueue", "batch:DeleteJobQueue"), queues),
            **dict.fromkeys(("batch:UpdateComputeEnvironment", "batch:DeleteComputeEnvironment"), groups),
            **dict.fromkeys(("iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"), groups),
            **dict.fromkeys(("iam:DetachRolePolicy", "iam:DeleteRole"), groups + 2),
            "iam:DeleteRolePolicy": groups + 1,
            "logs:DeleteLogGroup": groups,
            **dict.fromkeys(("events:RemoveTargets", "events:DeleteRule"), 2),
            **dict.fromkeys(("batch:DeleteConsumableResource", "batch:DeleteSchedulingPolicy"), 1),
            **dict.fromkeys(("ec2:DeletePlacementGroup", "ec2:DeleteLaunchTemplate", "ec2:DeleteSecurityGroup"), 1),
            **dict.fromkeys(("ecr:DeleteRepository", "iam:DeletePolicy", "secretsmanager:DeleteSecret"), 1),
            "sns:DeleteTopic": 1,
        }
    )


DESTROYED = Counter(
    {
        "batch:DescribeJobDefinitions": 2,
        "batch:DescribeSchedulingPolicies": 2,
        "ec2:DescribePlacementGroups": 3,
        "iam:GetAccountAuthorizationDetails": 2,
        "iam:ListRoles": 1,
        "iam:GetInstanceProfile": 2,
        "iam:GetPolicy": 2,
        "ec2:DescribeLaunchTemplates": 2,
        "ec2:DescribeLaunchTemplateVersions": 2,
        "logs:DescribeLogGroups": 1,
        "ecr:DescribeRepositories": 1,
        "ecr:GetLifecyclePolicy": 1,
        "events:ListTargetsByRule": 2,
        "sns:GetTopicAttributes": 1,
        **dict.fromkeys(("ecr:ListTagsForResource", "logs:ListTagsForResource", "sns:ListTagsForResource"), 1),
        "events:ListTagsForResource": 2,
    }
)
"""Of what a destroy reads: once to plan, and once before it writes, however many there are; of instance profiles each,
and of what has its tags in a call of their own, these alone. Placement groups are also looked for by who uses them, and
so are versions of launch templates.
"""


def test_the_command_adds_the_lock_alone(shell, tmp_path):
    target = str(estate.write(tmp_path / "estate", 20))
    shell.ok("apply", target, "--auto-approve")

    found = Counter(made(shell.account))
    polls = [found.pop(call) for call in POLLS]
    assert found == written(20) + PLANNED + SECOND + PREFLIGHT - Counter(POLLS) + Counter(LOCK)
    assert all(count <= 5 for count in polls)  # how many depends on when what comes back

    shell.account.calls.clear()
    shell.ok("destroy", target, "--auto-approve")

    found = Counter(made(shell.account))
    assert {call: found[call] for call in DESTROYED} == DESTROYED
    assert found["batch:ListJobs"] == found["iam:GetRole"] == 0
    assert all(found[call] <= 9 for call in POLLS)


@pytest.mark.parametrize("n", [20, 60])
def test_what_is_created_is_not_looked_at_again(history, declared, n):
    history.run(declared(n))

    calls = made(history.sandbox)
    first = next(at for at, call in enumerate(calls) if not is_read(call))
    assert {call for call in calls[first:] if is_read(call)} == {*POLLS, *SECOND}


def test_a_plan_that_is_older_costs_a_look_at_each_sort_and_not_at_each_thing(history, declared):
    """Where AWS would let a creation write over what somebody else has created since, all are looked up together."""
    planned = history.plan(declared(60))
    history.sandbox.calls.clear()
    witness = pipeline.recheck(planned, history.aws, lambda: False)
    outcome = Executor(
        history.aws, Ticking(history.sandbox), lambda _: None, parallelism=0, jitter=lambda: 0.0, recheck=witness
    ).run(planned.plan)

    again = Counter(call for call in made(history.sandbox) if is_read(call) and call not in POLLS)
    assert outcome.ok
    assert again["batch:DescribeJobDefinitions"] == 1
    assert again.total() <= 10, again


# --- in company ------------------------------------------------------------------------------------------------------


def test_what_is_waited_for_at_the_same_time_is_polled_by_one_call(history, declared):
    history.sandbox.change({"environment_create": 15, "environment_scaling": 10, "queue_create": 5})
    outcome = history.run(declared(60))

    assert outcome.ok
    for noun, prefix, count in (("ComputeEnvironment", "compute", 3), ("JobQueue", "queue", 6)):
        calls = list(history.sandbox.calls)
        last = max(at for at, one in enumerate(calls) if one.operation == f"Create{noun}")
        polls = [one.params for one in calls[last:] if one.operation == f"Describe{noun}s"]
        everyone = [f"estate-{prefix}-{number:04}" for number in range(count)]
        assert polls and all(sorted(*asked.values()) == everyone for asked in polls), polls
        assert len(polls) < 50


USUAL = {"queue_update": 5, "queue_delete": 15, "environment_scaling": 10, "environment_delete": 45}
"""Seconds that one thing takes after the other while an estate is destroyed."""


@pytest.mark.parametrize(
    ("times", "late", "polls"), [(0.1, 9, 20), (0.2, 8, 22), (0.3, 9, 24), (0.5, 6, 30), (1, 3, 56), (4, 5, 130)]
)
def test_the_end_of_a_wait_is_noticed_soon_and_with_few_polls(history, declared, times, late, polls):
    """Where AWS takes a multiple of its usual times: it is noticed ``late`` seconds later than it ends, at most."""
    env = declared(60)
    history.run(env)
    history.sandbox.change({name: seconds * times for name, seconds in USUAL.items()})
    began = history.sandbox.clock.now()
    history.sandbox.calls.clear()
    outcome = history.run(env, destroy=True)

    taken, found = history.sandbox.clock.now() - began, Counter(made(history.sandbox))
    assert outcome.ok
    assert 0 <= taken - times * sum(USUAL.values()) <= late
    assert sum(found[call] for call in POLLS) <= polls


SLOW = 1200.0  # seconds


# --- in what order ---------------------------------------------------------------------------------------------------


@dataclass
class Slowly(Door):
    """One compute environment takes twenty minutes to become VALID, the others as long as ever."""

    sandbox: Any = None
    slow: str = ""

    def call(self, call: Call) -> Reply:
        named = call.params.get("computeEnvironmentName") or call.params.get("computeEnvironment")
        before = self.sandbox.batch_settings.environment_create
        self.sandbox.change({"environment_create": SLOW if named == self.slow else before})
        try:
            return super().call(call)
        finally:
            self.sandbox.change({"environment_create": before})


def test_who_does_not_need_what_is_slow_does_not_wait_for_it(history, declared):
    """Three environments; each queue names two of them, so that a third of the queues goes without the slow one."""
    history.sandbox.change({"environment_create": 15, "environment_scaling": 10, "queue_create": 5})
    slow = "estate-compute-0000"
    outcome = history.run(declared(60), Slowly(history.aws, sandbox=history.sandbox, slow=slow))

    writes = [one for one in history.sandbox.calls if not one.operation.startswith(READS)]
    valid = next(one.at for one in writes if one.operation == "CreateComputeEnvironment" and slow in str(one.params))
    late = [one for one in writes if one.at >= valid + SLOW]
    queues = {one.params["jobQueueName"] for one in late if one.operation == "CreateJobQueue"}
    rest = [(one.operation, one.params) for one in late if one.operation != "CreateJobQueue"]
    assert outcome.ok
    assert queues == {f"estate-queue-{number:04}" for number in (0, 2, 3, 5)}
    assert [name for name, _ in rest] == ["UpdateComputeEnvironment", "PutRule", "PutTargets"]
    assert rest[0][1]["computeEnvironment"] == slow
    assert rest[1][1]["Name"] == "estate-nightly"  # it submits to a queue of the slow one
    assert max(one.at for one in writes if one.at < valid + SLOW) < valid + 60


def test_the_longest_chain_is_not_behind_what_nothing_waits_for(history, declared):
    """One call at a time: the environments are on their way before the first job definition is registered."""
    history.sandbox.change({"environment_create": 15})
    history.run(declared(60))

    writes = [call for call in made(history.sandbox) if not is_read(call)]
    last = max(at for at, call in enumerate(writes) if call == "batch:CreateComputeEnvironment")
    assert "batch:RegisterJobDefinition" not in writes[:last]
