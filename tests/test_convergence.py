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

from tests.histories import Door, History, Killed

EXAMPLES = int(os.environ.get("CONVERGENCE_EXAMPLES", "60"))


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


def story(sandbox: Any, first: Any, second: Any, dies_at: int | None, after: bool, lag: float, back: bool) -> None:
    history = History(sandbox)
    sandbox.change({"relationship_lag": lag, "shuffle": 7})
    one = history.environment(placed(first, history))
    two = history.environment(placed(second, history))
    limit = {"allow_deletions": 100}
    history.converge(one, **limit)
    door = Door(history.aws, dies_at=dies_at, after=after)
    with suppress(Killed):
        history.run(two, door, **limit)
    final = one if back else two
    history.converge(final, **limit)
    assert history.plan(final).plan == history.plan(final).plan
    history.destroy(final)


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
)
@settings(
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
        *([Phase.shrink] if "CONVERGENCE_SHRINK" in os.environ else []),
    ],
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="CONVERGENCE_EXAMPLES" not in os.environ,
)
def test_any_stack_to_any_stack(
    sandboxes: Any, first: Any, second: Any, dies_at: int | None, after: bool, lag: float, back: bool
) -> None:
    sandboxes.sandbox.reset()
    sandboxes.sandbox.defaults()
    story(sandboxes, first, second, dies_at, after, lag, back)


def test_the_empty_stack_stays_empty(sandbox: Any) -> None:
    history = History(sandbox)
    env = history.environment({})
    history.expect_nothing(env)


pytestmark = pytest.mark.slow
