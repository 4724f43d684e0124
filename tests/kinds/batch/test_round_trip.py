"""The three Batch kinds against the sandbox's service: what is created compares equal, what is changed arrives,
what is deleted is gone.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reconciler.kinds.batch.compute_environment import kind as compute_environment
from reconciler.kinds.batch.job_definition import kind as job_definition
from reconciler.kinds.batch.job_queue import kind as job_queue
from reconciler.model import Action, Call, Json, Kind, Live, Query, Refused, Sought, Wait
from reconciler.sandbox.batch import Batch, ProfileFacts, RoleFacts, Settings
from reconciler.sandbox.clock import Clock
from tests.sandbox.batch_desk import ACCOUNT, FLEET, POLICY, PROFILE, ROLE, START, FakeWorld, client_of
from tests.support.batch_kinds import SCOPE, arn, compared, paths, want

CE, JQ, JD = compute_environment.KIND, job_queue.KIND, job_definition.KIND


class Account:
    """The sandbox's Batch, and the least of an executor."""

    def __init__(self) -> None:
        world = FakeWorld()
        world.roles[ROLE] = RoleFacts(ROLE, trusts=frozenset({"batch.amazonaws.com"}), policies=frozenset({POLICY}))
        world.roles[FLEET] = RoleFacts(FLEET, trusts=frozenset({"spotfleet.amazonaws.com"}))
        world.profiles["nodes"] = ProfileFacts(PROFILE, role_arn=f"arn:aws:iam::{ACCOUNT}:role/nodes")
        self.clock = Clock(speed=0, start=START)
        self.client = client_of(
            Batch(
                account=ACCOUNT,
                region="eu-west-1",
                partition="aws",
                clock=self.clock,
                surroundings=world,
                settings=Settings(),
            )
        )

    def call(self, call: Call) -> Any:
        method = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", call.operation).lower()
        try:
            reply = getattr(self.client, method)(**call.params)
        except ClientError as error:
            found = error.response["Error"]
            return Refused(found["Code"], found["Message"])
        return {name: value for name, value in reply.items() if name != "ResponseMetadata"}

    def run(self, actions: Any) -> None:
        for action in actions:
            for _ in range(400):
                if self.done(action):
                    break
                self.clock.advance(10)
            else:
                raise AssertionError(f"still waiting: {action}")

    def done(self, action: Action) -> bool:
        reply = self.call(action.read if isinstance(action, Wait) else action)
        if isinstance(action, Call):
            if not isinstance(reply, Refused) or any(on.matches(reply) for on in action.ok_if):
                return True
            assert any(on.matches(reply) for on in action.retry_on), f"{action}: {reply}"
            return False
        found = reply[action.items]
        if not found:
            return action.gone
        assert not any(found[0].get(name) in bad for name, bad in action.fail.items()), found[0]
        return any(found[0].get(name) in good for name, good in action.until.items())

    def live(self, kind: Kind, name: str = "x") -> list[Live]:
        steps = kind.read(Query(SCOPE, (Sought(name),)))
        calls = next(steps)
        try:
            steps.send(tuple(self.call(call) for call in calls))
        except StopIteration as done:
            return list(done.value)
        raise AssertionError("the read asks again")

    def create(self, kind: Kind, declared: Json, name: str = "x") -> Live:
        self.run(kind.create(want(kind, declared, name)))
        return self.live(kind, name)[-1]


@pytest.fixture
def account():
    return Account()


EC2 = {
    "type": "EC2",
    "allocationStrategy": "BEST_FIT_PROGRESSIVE",
    "minvCpus": 0,
    "maxvCpus": 16,
    "instanceTypes": ["m5.xlarge", "c5"],
    "subnets": ["subnet-2", "subnet-1"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": PROFILE,
}
MANAGED = {"type": "MANAGED", "computeResources": EC2}
FARGATE = {
    "type": "MANAGED",
    "computeResources": {"type": "FARGATE", "maxvCpus": 16, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]},
}


def ec2(**members):
    merged = {name: value for name, value in {**EC2, **members}.items() if value is not None}
    return {**MANAGED, "computeResources": merged}


ENVIRONMENTS = {
    "plain": MANAGED,
    "ordinary role": {**MANAGED, "serviceRole": ROLE},
    "profile by name": ec2(instanceRole="nodes"),
    "best fit": ec2(allocationStrategy=None),
    "spot": ec2(type="SPOT", allocationStrategy="SPOT_CAPACITY_OPTIMIZED", bidPercentage=0, tags={"Name": "n"}),
    "spot, best fit": ec2(type="SPOT", allocationStrategy=None, spotIamFleetRole=FLEET, bidPercentage=60),
    "template": ec2(launchTemplate={"launchTemplateName": "nodes"}, ec2KeyPair="k", placementGroup="p"),
    "image": ec2(ec2Configuration=[{"imageType": "ECS_AL2023", "imageIdOverride": "ami-1"}], imageId="ami-2"),
    "fargate": FARGATE,
    "disabled": {**MANAGED, "state": "DISABLED", "updatePolicy": {"terminateJobsOnUpdate": True}},
    "unmanaged": {"type": "UNMANAGED", "serviceRole": ROLE, "unmanagedvCpus": 4},
    "wanted size": ec2(minvCpus=2, desiredvCpus=4),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_created_environment_compares_equal_and_can_be_deleted(account, name):
    declared = ENVIRONMENTS[name]

    live = account.create(CE, declared)

    assert paths(compared(CE, live, declared)) == []
    account.run(CE.delete(live, declared))
    assert account.live(CE) == []


UPDATES = {
    "scaling": ec2(maxvCpus=32, minvCpus=2),
    "state": {**MANAGED, "state": "DISABLED"},
    "types": ec2(instanceTypes=["c6i"], maxvCpus=64),
    "network": ec2(subnets=["subnet-3"], securityGroupIds=["sg-2", "sg-3"]),
    "template": ec2(launchTemplate={"launchTemplateName": "nodes", "version": "$Latest"}),
    "image": ec2(ec2Configuration=[{"imageType": "ECS_AL2023", "imageIdOverride": "ami-1"}], imageId="ami-2"),
    "to spot": ec2(type="SPOT", allocationStrategy="SPOT_CAPACITY_OPTIMIZED", bidPercentage=50),
    "tags and key": ec2(tags={"a": "b"}, ec2KeyPair="k", placementGroup="p"),
    "policy": {**MANAGED, "updatePolicy": {"jobExecutionTimeoutMinutes": 60}},
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_arrives_and_can_be_taken_back(account, name):
    live = account.create(CE, MANAGED)

    for declared in (UPDATES[name], MANAGED):
        found = compared(CE, live, declared)
        assert found
        assert not found.replaces
        account.run(CE.update(live, want(CE, declared), found))
        (live,) = account.live(CE)
        assert paths(compared(CE, live, declared)) == []


def test_an_environment_goes_although_its_queue_is_only_just_forgotten(account):
    environment = account.create(CE, MANAGED, "e")
    queue = account.create(JQ, {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "e"}]})

    account.run(JQ.delete(queue, {}))
    account.run(CE.delete(environment, {}))

    assert account.live(CE, "e") == []


def queue(*names, **members):
    order = [
        {"order": number * 10, "computeEnvironment": arn(f"compute-environment/{n}")} for number, n in enumerate(names)
    ]
    return {"priority": 1, "computeEnvironmentOrder": order, **members}


LIMIT = {
    "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "state": "RUNNABLE",
    "maxTimeSeconds": 600,
    "action": "CANCEL",
}


@pytest.mark.parametrize(
    "changed",
    [
        queue("b", "a"),
        queue("b"),
        queue("a", priority=7),
        queue("a", state="DISABLED"),
        queue("a", jobStateTimeLimitActions=[LIMIT]),
    ],
)
def test_a_queue_is_created_changed_changed_back_and_deleted(account, changed):
    for name in ("a", "b"):
        account.create(CE, MANAGED, name)
    live = account.create(JQ, queue("a"))
    assert paths(compared(JQ, live, queue("a"))) == []

    for declared in (changed, queue("a")):
        account.run(JQ.update(live, want(JQ, declared), compared(JQ, live, declared)))
        (live,) = account.live(JQ)
        assert paths(compared(JQ, live, declared)) == []

    account.run(JQ.delete(live, {}))
    assert account.live(JQ) == []


BASE = {"image": "alpine", "vcpus": 1, "memory": 128}
SIZE = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
ROOMY = {"image": "alpine", "resourceRequirements": SIZE}


def job(container, **members):
    return {"type": "container", "containerProperties": container, **members}


DEFINITIONS = {
    "older form": job(BASE),
    "requirements": job(ROOMY, propagateTags=False, platformCapabilities=["EC2"]),
    "everything of a container": job(
        {
            **ROOMY,
            "command": ["sh", "-c", "true"],
            "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}, {"name": "E", "value": ""}],
            "executionRoleArn": ROLE,
            "jobRoleArn": ROLE,
            "secrets": [{"name": "S", "valueFrom": "/parameter"}],
            "volumes": [{"name": "v", "host": {"sourcePath": "/tmp"}}],
            "mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}],
            "ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
            "linuxParameters": {"devices": [{"hostPath": "/dev/x"}], "tmpfs": [{"containerPath": "/t", "size": 1}]},
            "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}},
            "privileged": False,
            "readonlyRootFilesystem": True,
            "user": "nobody",
        },
        parameters={"a": "b"},
        retryStrategy={"attempts": 5, "evaluateOnExit": [{"onReason": "*", "action": "EXIT"}]},
        timeout={"attemptDurationSeconds": 60},
        schedulingPriority=0,
    ),
    "fargate": job(
        {**ROOMY, "executionRoleArn": ROLE, "networkConfiguration": {"assignPublicIp": "ENABLED"}},
        platformCapabilities=["FARGATE"],
    ),
    "retries alone": job(BASE, retryStrategy={"attempts": 3}),
    "tasks": {
        "type": "container",
        "ecsProperties": {
            "taskProperties": [
                {"containers": [{"name": "b", **ROOMY}, {"name": "a", "essential": False, **ROOMY}], "volumes": []}
            ]
        },
    },
    "pods": {
        "type": "container",
        "eksProperties": {
            "podProperties": {
                "containers": [
                    {"image": "alpine", "resources": {"limits": {"cpu": "1", "memory": "1024Mi"}}, "env": []}
                ]
            }
        },
    },
    "nodes": {
        "type": "multinode",
        "nodeProperties": {
            "numNodes": 2,
            "mainNode": 0,
            "nodeRangeProperties": [
                {"targetNodes": "0:0", "container": BASE},
                {"targetNodes": "1:", "container": ROOMY},
            ],
        },
    },
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_registered_definition_compares_equal_and_can_be_deregistered(account, name):
    declared = DEFINITIONS[name]

    live = account.create(JD, declared)

    assert paths(compared(JD, live, declared)) == []
    assert live.physical == "x:1"
    account.run(JD.delete(live, declared))
    assert account.live(JD) == []


def test_a_change_is_the_next_revision(account):
    live = account.create(JD, job(BASE))
    changed = job({**BASE, "memory": 256})

    account.run(JD.update(live, want(JD, changed), compared(JD, live, changed)))

    revisions = account.live(JD)
    assert [found.revision for found in revisions] == [1, 2]
    assert paths(compared(JD, revisions[-1], changed)) == []
    assert paths(compared(JD, revisions[0], changed)) == ["containerProperties.memory"]


@pytest.mark.parametrize("kind", [CE, JQ, JD])
def test_tags_are_set_and_removed(account, kind):
    account.create(CE, MANAGED, "a")
    declared = {CE: MANAGED, JQ: queue("a"), JD: job(BASE)}[kind]
    live = account.create(kind, declared)

    account.run(kind.tag(live, {"a": "1"}, ["reconciler/environment"]))

    assert account.live(kind)[-1].tags == {"a": "1"}
