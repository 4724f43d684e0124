"""From any stack to any stack, killed anywhere, with lag and refusals: one run more, and all is as declared.

Each history gets a fresh account and the inline executor, so that a failure repeats.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.histories import Door, History, Killed
from tests.support.long import LONG

EXAMPLES = int(os.environ.get("CONVERGENCE_EXAMPLES", "100" if LONG else "2"))


def maybe(value: Any) -> Any:
    return st.none() | value


roles = st.fixed_dictionaries(
    {
        "trust": st.just(["batch.amazonaws.com"]),
        "managedPolicies": st.just(["service-role/AWSBatchServiceRole"]),
        "description": st.sampled_from(["", "one", "two"]),
        "path": st.sampled_from(["/", "/", "/", "/hpc/"]),
    }
)
instance_roles = st.fixed_dictionaries(
    {
        "trust": st.just(["ec2.amazonaws.com"]),
        "managedPolicies": st.sampled_from(
            [
                ["service-role/AmazonEC2ContainerServiceforEC2Role"],
                ["service-role/AmazonEC2ContainerServiceforEC2Role", "pol"],
            ]
        ),
    }
)
policies = st.sampled_from(["s3:GetObject", "s3:PutObject"]).map(
    lambda action: {
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}],
        }
    }
)
groups = st.fixed_dictionaries(
    {
        "description": st.sampled_from(["one", "one", "two"]),
        "ingress": st.lists(
            st.sampled_from(
                [
                    {"protocol": "tcp", "port": 8443, "cidr": "10.0.0.0/8"},
                    {"protocol": "tcp", "port": 22, "cidr": "10.0.0.0/8"},
                ]
            ),
            max_size=2,
            unique_by=lambda rule: rule["port"],
        ),
    }
)
computes = st.fixed_dictionaries(
    {
        "serviceRole": maybe(st.just("svc")),
        "max": st.sampled_from([4, 8]),
        "types": st.sampled_from([["m5.large"], ["c5.large"]]),
        "strategy": st.sampled_from(["BEST_FIT_PROGRESSIVE", "BEST_FIT_PROGRESSIVE", "BEST_FIT"]),
        "state": st.sampled_from(["ENABLED", "ENABLED", "ENABLED", "DISABLED"]),
        "group": st.sampled_from(["default", "grp"]),
    }
)
queues = st.fixed_dictionaries(
    {
        "priority": st.integers(1, 3),
        "state": st.sampled_from(["ENABLED", "ENABLED", "DISABLED"]),
        "order": st.permutations(["a", "b"]),
    }
)
jobs = st.fixed_dictionaries({"image": st.sampled_from(["alpine", "busybox"]), "tag": st.sampled_from(["x", "y"])})


@st.composite
def stacks(draw: Any) -> dict[str, dict[str, Any]]:
    """A stack whose references all lead somewhere: what names what is left out is left out as well."""
    stack: dict[str, dict[str, Any]] = {
        "roles": {"svc": draw(roles), "inst": draw(instance_roles)},
        "policies": {"pol": draw(policies)},
        "instanceProfiles": {"prof": {"role": "inst"}},
        "securityGroups": {"grp": draw(groups)},
        "computeEnvironments": {},
        "jobQueues": {},
        "jobDefinitions": {},
        "logGroups": {"/x/keep": {}},
    }
    for name in draw(st.sets(st.sampled_from("ab"))):
        facts = draw(computes)
        resources = {
            "type": "EC2",
            "minvCpus": 0,
            "maxvCpus": facts["max"],
            "instanceTypes": facts["types"],
            "allocationStrategy": facts["strategy"],
            "subnets": [],
            "securityGroupIds": ["grp"] if facts["group"] == "grp" else ["DEFAULT"],
            "instanceRole": "prof",
        }
        compute = {"type": "MANAGED", "state": facts["state"], "computeResources": resources}
        stack["computeEnvironments"][name] = compute | ({"serviceRole": "svc"} if facts["serviceRole"] else {})
    there = stack["computeEnvironments"]
    for name in draw(st.sets(st.sampled_from("pq"))) if there else ():
        facts = draw(queues)
        order = [n for n in facts["order"] if n in there]
        stack["jobQueues"][name] = {
            "priority": facts["priority"],
            "state": facts["state"],
            "computeEnvironmentOrder": [{"order": i, "computeEnvironment": n} for i, n in enumerate(order)],
        }
    for name in draw(st.sets(st.sampled_from("jk"))):
        facts = draw(jobs)
        stack["jobDefinitions"][name] = {
            "type": "container",
            "containerProperties": {"image": facts["image"], "vcpus": 1, "memory": 64},
            "tags": {"t": facts["tag"]},
        }
    for name in draw(st.sets(st.sampled_from(["/x/l", "/x/m"]))):
        stack["logGroups"][name] = {"retentionInDays": draw(st.sampled_from([1, 7]))}
    if not stack["computeEnvironments"] and draw(st.booleans()):
        for section in ("roles", "policies", "instanceProfiles", "securityGroups"):
            stack[section] = {}
    return stack


def placed(stack: dict[str, dict[str, Any]], history: History) -> dict[str, dict[str, Any]]:
    """The stack with the account's own subnet and default group."""
    ec2 = history.sandbox.client("ec2")
    subnets = sorted(s["SubnetId"] for s in ec2.describe_subnets()["Subnets"])[:1]
    default = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][
        0
    ]["GroupId"]
    for compute in stack["computeEnvironments"].values():
        inner = compute["computeResources"]
        inner["subnets"] = subnets
        inner["securityGroupIds"] = [default if g == "DEFAULT" else g for g in inner["securityGroupIds"]]
    return stack


KEYS = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHL5mLT5UQjPPCbyYPbgkkOHyoh7xEsyVMt1S9RPDWXe a",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICQhSMv3YxO+yHEubNeW7C/sLiSRbwNwVch7mj6mmeVn b",
]
RULE = {"protocol": "tcp", "port": 22}
around = st.fixed_dictionaries(
    {
        "secrets": st.dictionaries(
            st.sampled_from(["s/one", "s-two"]),
            st.fixed_dictionaries(
                {"description": st.sampled_from(["", "d"])},
                optional={"value": st.sampled_from(["first value", "second value", {"k": "third value"}])},
            ),
        ),
        "topics": st.dictionaries(
            st.sampled_from(["t", "u"]),
            st.fixed_dictionaries(
                {"attributes": st.sampled_from([{}, {"DisplayName": "x"}, {"HTTPSuccessFeedbackSampleRate": "5"}])},
                optional={
                    "dataProtectionPolicy": st.sampled_from([{"Name": "a"}, {"Name": "b"}]),
                    "subscriptions": st.lists(
                        st.sampled_from(["a@example.com", "b@example.com"]).map(
                            lambda mail: {"protocol": "email", "endpoint": mail}
                        ),
                        max_size=2,
                        unique_by=lambda entry: entry["endpoint"],
                    ),
                },
            ),
        ),
        "keyPairs": st.dictionaries(st.just("k"), st.fixed_dictionaries({"publicKey": st.sampled_from(KEYS)})),
        "repositories": st.dictionaries(
            st.sampled_from(["rr", "rr/s"]),
            st.fixed_dictionaries({"imageTagMutability": st.sampled_from(["MUTABLE", "IMMUTABLE"])}),
        ),
        "securityGroups": st.dictionaries(
            st.sampled_from(["g", "h"]),
            st.fixed_dictionaries(
                {
                    "description": st.sampled_from(["one", "one", "two"]),
                    "ingress": st.lists(st.sampled_from(["g", "h", "10.0.0.0/8"]), max_size=3, unique=True),
                },
                optional={"egress": st.just([])},
            ),
        ),
        "logGroups": st.just({"/x/keep": {}}),
    }
)


QUOTA = {"idleResourceAssignmentStrategy": "FIFO"}
FAIR = [{}, {"shareDecaySeconds": 60}, {"shareDistribution": [{"shareIdentifier": "a", "weightFactor": 0.1}]}]
capacity = st.sampled_from(["ml.m5.large", "ml.g5.xlarge"]).map(lambda unit: [{"capacityUnit": unit, "maxCapacity": 2}])
states = st.sampled_from(["ENABLED", "ENABLED", "DISABLED"])
sharing = st.fixed_dictionaries(
    {
        "securityGroups": st.just({}),
        "logGroups": st.just({"/x/keep": {}}),
        "schedulingPolicies": st.fixed_dictionaries(
            {"quota": st.just({"quotaSharePolicy": QUOTA})},
            optional={
                "fair": st.sampled_from(
                    [*({"fairsharePolicy": policy} for policy in FAIR), {"quotaSharePolicy": QUOTA}]
                )
            },
        ),
        "serviceEnvironments": st.fixed_dictionaries(
            {
                name: st.fixed_dictionaries(
                    {
                        "serviceEnvironmentType": st.just("SAGEMAKER_TRAINING"),
                        "capacityLimits": capacity,
                        "state": states,
                    }
                )
                for name in "ef"
            }
        ),
        "jobQueues": st.dictionaries(
            st.sampled_from("pq"),
            st.fixed_dictionaries(
                {
                    "priority": st.integers(1, 2),
                    "jobQueueType": st.just("SAGEMAKER_TRAINING"),
                    "schedulingPolicyArn": st.just("quota"),
                    "serviceEnvironmentOrder": st.sampled_from("ef").map(
                        lambda name: [{"order": 1, "serviceEnvironment": name}]
                    ),
                }
            ),
        ),
        "quotaShares": st.dictionaries(
            st.sampled_from(["p/a", "p/b", "q/a"]),
            st.fixed_dictionaries(
                {
                    "capacityLimits": capacity,
                    "resourceSharingConfiguration": st.sampled_from(["RESERVE", "LEND_AND_BORROW"]).map(
                        lambda strategy: {"strategy": strategy}
                    ),
                    "preemptionConfiguration": st.just({"inSharePreemption": "ENABLED"}),
                    "state": states,
                }
            ),
        ),
        "consumableResources": st.dictionaries(
            st.sampled_from(["m", "n"]),
            st.fixed_dictionaries(
                {
                    "totalQuantity": st.integers(0, 2),
                    "resourceType": st.sampled_from(["REPLENISHABLE", "NON_REPLENISHABLE"]),
                }
            ),
        ),
    }
).map(
    lambda stack: {
        **stack,
        "quotaShares": {
            name: share for name, share in stack["quotaShares"].items() if name.partition("/")[0] in stack["jobQueues"]
        },
    }
)


TRUST = {"trust": ["events.amazonaws.com", "scheduler.amazonaws.com"]}
PATTERNS = [{"source": ["aws.batch"], "detail": {"status": ["FAILED", "SUCCEEDED"]}}, {"source": ["mine"]}]
launching = st.fixed_dictionaries(
    {
        "logGroups": st.just({"/x/keep": {}}),
        "securityGroups": st.just({"g": {}, "h": {}}),
        "topics": st.just({"t": {}}),
        "roles": st.just({"ev": TRUST}),
        "placementGroups": st.dictionaries(
            st.sampled_from(["pg", "pp"]),
            st.sampled_from([{}, {}, {"strategy": "spread"}, {"strategy": "partition", "partitionCount": 3}]),
        ),
        "launchTemplates": st.dictionaries(
            st.sampled_from(["one", "two"]),
            st.fixed_dictionaries(
                {
                    "launchTemplateData": st.fixed_dictionaries(
                        {"imageId": st.sampled_from(["ami-1", "ami-2"])},
                        optional={
                            "userData": st.sampled_from(["#!/bin/sh\n", "IyEvYmluL3NoCg=="]),
                            "securityGroupIds": st.sampled_from([["g"], ["g", "h"]]),
                            "tagSpecifications": st.just([{"resourceType": "instance", "tags": {"a": "b", "c": "d"}}]),
                            "placement": st.sampled_from(["pg", "pp"]).map(lambda name: {"groupName": name}),
                        },
                    )
                },
                optional={"versionDescription": st.sampled_from(["", "x"])},
            ),
        ),
        "eventRules": st.dictionaries(
            st.sampled_from(["r", "s"]),
            st.fixed_dictionaries(
                {
                    "eventPattern": st.sampled_from(PATTERNS),
                    "state": states,
                    "targets": st.lists(
                        st.sampled_from(
                            [
                                {"id": "a", "arn": "t"},
                                {"id": "b", "arn": "t", "input": {"x": [1]}},
                                {"id": "c", "arn": "/x/keep", "roleArn": "ev"},
                            ]
                        ),
                        max_size=3,
                        unique_by=lambda target: target["id"],
                    ),
                },
                optional={"scheduleExpression": st.just("rate(1 hour)")},
            ),
        ),
        "scheduleGroups": st.just({"sg": {}}),
        "schedules": st.dictionaries(
            st.sampled_from(["hourly", "daily"]),
            st.fixed_dictionaries(
                {
                    "groupName": st.just("sg"),
                    "scheduleExpression": st.sampled_from(["rate(1 hour)", "cron(0 2 * * ? *)"]),
                    "target": st.sampled_from(
                        [{"arn": "t", "roleArn": "ev"}, {"arn": "t", "roleArn": "ev", "input": "x"}]
                    ),
                },
                optional={"state": states, "scheduleExpressionTimezone": st.just("Europe/Paris")},
            ),
        ),
    }
)


def placing(stack: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The stack without placement in groups that are not there."""
    templates = {}
    for name, template in stack["launchTemplates"].items():
        data = dict(template["launchTemplateData"])
        if data.get("placement", {}).get("groupName") not in stack["placementGroups"]:
            data.pop("placement", None)
        templates[name] = {**template, "launchTemplateData": data}
    return {**stack, "launchTemplates": templates}


def told(stack: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The stack with its groups' rules written out, and only to groups that are there."""
    groups = {
        name: {
            **group,
            "ingress": [
                {**RULE, "cidr": source} if "/" in source else {**RULE, "group": source}
                for source in group.get("ingress", ())
                if "/" in source or source in stack["securityGroups"]
            ],
        }
        for name, group in stack["securityGroups"].items()
    }
    return {**stack, "securityGroups": groups}


def story(
    sandbox: Any, first: Any, second: Any, dies_at: int | None, after: bool, lag: float, back: bool, unseen: float = 8
) -> None:
    """``lag``: how late AWS Batch sees that nothing refers to a thing; ``unseen``: how late services see a new role."""
    history = History(sandbox)
    sandbox.change({"relationship_lag": lag, "iam_delay": unseen, "shuffle": 7})
    prepared = placed if "computeEnvironments" in first else lambda stack, _: told(stack)
    one = history.environment(prepared(first, history))
    two = history.environment(prepared(second, history))
    limit = {"allow_deletions": 100}
    history.converge(one, **limit)
    door = Door(history.aws, dies_at=dies_at, after=after)
    with suppress(Killed):
        history.run(two, door, **limit)
    final = one if back else two
    history.converge(final, **limit)
    assert history.plan(final).plan == history.plan(final).plan
    history.destroy(final)


CONVERGING = settings(
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
        *([Phase.shrink] if LONG else []),
    ],
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=not LONG,
)


@pytest.fixture(scope="module")
def sandboxes(_attached: Any) -> Any:
    """The account itself: it is emptied for every history, not for every test."""
    return _attached


@given(
    first=stacks(),
    second=stacks(),
    dies_at=maybe(st.integers(0, 25)),
    after=st.booleans(),
    lag=st.sampled_from([0, 45, 120]),
    back=st.booleans(),
    unseen=st.sampled_from([8, 0, 25]),
)
@CONVERGING
def test_any_stack_to_any_stack(
    sandboxes: Any, first: Any, second: Any, dies_at: int | None, after: bool, lag: float, back: bool, unseen: float
) -> None:
    sandboxes.sandbox.reset()
    sandboxes.sandbox.defaults()
    story(sandboxes, first, second, dies_at, after, lag, back, unseen)


@given(
    first=around,
    second=around,
    dies_at=maybe(st.integers(0, 12)),
    after=st.booleans(),
    back=st.booleans(),
)
@CONVERGING
def test_what_stands_around_batch(
    sandboxes: Any, first: Any, second: Any, dies_at: int | None, after: bool, back: bool
) -> None:
    sandboxes.sandbox.reset()
    sandboxes.sandbox.defaults()
    story(sandboxes, first, second, dies_at, after, 0, back)


@given(
    first=sharing,
    second=sharing,
    dies_at=maybe(st.integers(0, 15)),
    after=st.booleans(),
    lag=st.sampled_from([0, 45]),
    back=st.booleans(),
)
@CONVERGING
def test_what_shares_the_capacity_of_queues(
    sandboxes: Any, first: Any, second: Any, dies_at: int | None, after: bool, lag: float, back: bool
) -> None:
    sandboxes.sandbox.reset()
    sandboxes.sandbox.defaults()
    story(sandboxes, first, second, dies_at, after, lag, back)


@given(
    first=launching.map(placing),
    second=launching.map(placing),
    dies_at=maybe(st.integers(0, 12)),
    after=st.booleans(),
    back=st.booleans(),
)
@CONVERGING
def test_what_launches_and_what_listens(
    sandboxes: Any, first: Any, second: Any, dies_at: int | None, after: bool, back: bool
) -> None:
    sandboxes.sandbox.reset()
    sandboxes.sandbox.defaults()
    story(sandboxes, first, second, dies_at, after, 0, back)


ROLE_USED = {
    "roles": {"svc": {"trust": ["batch.amazonaws.com"], "managedPolicies": ["service-role/AWSBatchServiceRole"]}},
    "computeEnvironments": {"a": {"type": "UNMANAGED", "state": "DISABLED", "serviceRole": "svc"}},
    "jobQueues": {"q": {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "a"}]}},
}


@pytest.mark.parametrize(("pause", "found"), [(0, "CREATING"), (16, "INVALID")])
def test_an_environment_declared_disabled_is_usable_before_its_queue(sandboxes: Any, pause: float, found: str) -> None:
    """Batch does not see its role yet, and the run is killed: the environment becomes INVALID while nobody looks."""
    sandboxes.sandbox.reset()
    sandboxes.sandbox.defaults()
    history = History(sandboxes)
    sandboxes.change({"iam_delay": 30})
    env = history.environment(ROLE_USED)
    with suppress(Killed):
        history.run(env, Door(history.aws, dies_at=2, after=True))
    sandboxes.clock.advance(pause)
    (left,) = sandboxes.client("batch").describe_compute_environments()["computeEnvironments"]
    assert left["status"] == found
    started = sandboxes.clock.now()
    history.converge(env)
    assert sandboxes.clock.now() - started < 250


def test_the_empty_stack_stays_empty(sandbox: Any) -> None:
    history = History(sandbox)
    env = history.environment({})
    history.expect_nothing(env)
