"""A compute environment replaced under live queues: no queue is ever without a VALID, enabled environment."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model import Address, Environment, Lifecycle, Replace, Resource, StepState
from tests.support.histories import Door, History, Killed
from tests.support.long import across, some

JOB = {"type": "container", "containerProperties": {"image": "alpine", "vcpus": 1, "memory": 64}}


class Watched(Door):
    """Looks at every queue after every call: it must have a VALID, enabled environment throughout."""

    history: History

    def call(self, call: Any) -> Any:
        reply = super().call(call)
        batch = self.history.sandbox.client("batch")
        for queue in batch.describe_job_queues()["jobQueues"]:
            if queue["status"] in ("DELETING", "DELETED") or queue["state"] == "DISABLED":
                continue
            names = [entry["computeEnvironment"] for entry in queue["computeEnvironmentOrder"]]
            environments = batch.describe_compute_environments(computeEnvironments=names)["computeEnvironments"]
            serving = [e for e in environments if e["status"] == "VALID" and e["state"] == "ENABLED"]
            assert serving, f"{queue['jobQueueName']} has nothing to run on after {call}"
        return reply


@pytest.fixture
def history(sandbox: Any) -> History:
    return History(sandbox)


def stack(history: History, *, types: list[str], order: tuple[str, ...] = ("ce",), **lifecycle: Any) -> Any:
    ec2 = history.sandbox.client("ec2")
    subnets = sorted(s["SubnetId"] for s in ec2.describe_subnets()["Subnets"])[:1]
    group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]
    trusted = {"trust": ["batch.amazonaws.com"], "managedPolicies": ["service-role/AWSBatchServiceRole"]}
    instance = {"trust": ["ec2.amazonaws.com"], "managedPolicies": ["service-role/AmazonEC2ContainerServiceforEC2Role"]}

    def environment(kinds_of: list[str]) -> dict[str, Any]:
        return {
            "type": "MANAGED",
            "serviceRole": "svc",  # an ordinary role: no infrastructure update in place
            "computeResources": {
                "type": "EC2",
                "minvCpus": 0,
                "maxvCpus": 16,
                "instanceTypes": kinds_of,
                "allocationStrategy": "BEST_FIT_PROGRESSIVE",
                "subnets": subnets,
                "securityGroupIds": [group["GroupId"]],
                "instanceRole": "prof",
            },
        }

    computes = {name: environment(types if name == "ce" else ["m4.large"]) for name in order}
    computes["ce"]["lifecycle"] = Lifecycle(**lifecycle)
    listed = [{"order": i, "computeEnvironment": name} for i, name in enumerate(order)]
    return history.environment(
        {
            "roles": {"svc": trusted, "inst": instance},
            "instanceProfiles": {"prof": {"role": "inst"}},
            "computeEnvironments": computes,
            "jobQueues": {
                "q": {"priority": 1, "computeEnvironmentOrder": listed},
                "p": {"priority": 2, "computeEnvironmentOrder": listed},
            },
            "jobDefinitions": {"job": JOB},
        }
    )


def watched(history: History, **facts: Any) -> Watched:
    door = Watched(history.aws, **facts)
    door.history = history
    return door


def submit(history: History) -> str:
    found: str = history.sandbox.client("batch").submit_job(jobName="j", jobQueue="q", jobDefinition="job")["jobId"]
    return found


def job_status(history: History, job: str) -> str:
    found: str = history.sandbox.client("batch").describe_jobs(jobs=[job])["jobs"][0]["status"]
    return found


@pytest.mark.parametrize("order", some([("ce",), ("ce", "b"), ("b", "ce", "c")], 3, first=2))
def test_several_queues_move_over_at_the_same_rank_without_a_gap(history: History, order: tuple[str, ...]) -> None:
    history.converge(stack(history, types=["m5.large"], order=order))
    changed = stack(history, types=["c5.large"], order=order)
    outcome = history.run(changed, watched(history), allow_deletions=9)

    assert outcome.ok, history.failures()
    history.expect_nothing(changed)
    queue = history.sandbox.client("batch").describe_job_queues(jobQueues=["q"])["jobQueues"][0]
    ranks = {
        e["computeEnvironment"].rsplit("/", 1)[-1].split("-")[0]: e["order"] for e in queue["computeEnvironmentOrder"]
    }
    assert ranks == {name: i for i, name in enumerate(order)}
    names = [
        e["computeEnvironmentName"]
        for e in history.sandbox.client("batch").describe_compute_environments()["computeEnvironments"]
        if e["status"] == "VALID"
    ]
    assert "ce" not in names and len(names) == len(order)


def test_jobs_on_the_old_one_are_waited_for(history: History) -> None:
    history.sandbox.change({"outcomes": {"j": [{"exitCode": 0, "seconds": 3000}]}})
    history.converge(stack(history, types=["m5.large"]))
    job = submit(history)
    history.sandbox.advance(150)
    assert job_status(history, job) == "RUNNING"

    changed = stack(history, types=["c5.large"])
    assert history.run(changed, watched(history), allow_deletions=9).ok, history.failures()
    assert job_status(history, job) == "SUCCEEDED"
    waited = [
        e.took for e in history.events if e.state is StepState.DONE and "jobs on" in getattr(e.step.action, "title", "")
    ]
    assert waited and waited[0] > 2000
    history.expect_nothing(changed)


def test_a_drain_that_takes_too_long_fails_and_is_finished_by_the_next_run(history: History) -> None:
    history.sandbox.change({"outcomes": {"j": [{"exitCode": 0, "seconds": 30_000}]}})
    history.converge(stack(history, types=["m5.large"]))
    job = submit(history)
    history.sandbox.advance(150)

    changed = stack(history, types=["c5.large"], drain="wait", drain_timeout_minutes=10)
    outcome = history.run(changed, watched(history), allow_deletions=9)
    assert outcome.failed and job_status(history, job) == "RUNNING"
    history.sandbox.advance(40_000)
    history.converge(changed, allow_deletions=9)
    assert job_status(history, job) == "SUCCEEDED"


def test_or_it_goes_on_and_ends_the_jobs_where_that_was_asked(history: History) -> None:
    history.sandbox.change({"outcomes": {"j": [{"exitCode": 0, "seconds": 30_000}]}})
    history.converge(stack(history, types=["m5.large"]))
    job = submit(history)
    history.sandbox.advance(150)

    changed = stack(history, types=["c5.large"], drain="terminate", drain_timeout_minutes=10)
    assert history.run(changed, watched(history), allow_deletions=9).ok, history.failures()
    assert job_status(history, job) != "SUCCEEDED"
    history.expect_nothing(changed)


@pytest.mark.parametrize(("dies_at", "after"), across(range(9), [False, True], 8))
def test_killed_anywhere_the_next_run_finishes(history: History, dies_at: int, after: bool) -> None:
    history.converge(stack(history, types=["m5.large"]))
    changed = stack(history, types=["c5.large"])
    with contextlib.suppress(Killed):
        history.run(changed, watched(history, dies_at=dies_at, after=after), allow_deletions=9)
    assert history.run(changed, watched(history), allow_deletions=9).ok, history.failures()
    history.expect_nothing(changed)
    history.destroy(changed)


def test_one_that_comes_up_invalid_leaves_the_old_one_in_service(history: History) -> None:
    history.converge(stack(history, types=["m5.large"]))
    iam = history.sandbox.client("iam")
    changed = stack(history, types=["c5.large"])
    planned = history.plan(changed, allow_deletions=9)
    assert planned.plan.steps
    iam.detach_role_policy(RoleName="svc", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole")
    door = watched(history)
    from reconciler.applying.executor import Executor
    from tests.support.histories import Ticking

    outcome = Executor(door, Ticking(history.sandbox), history.events.append, parallelism=0, jitter=lambda: 0.0).run(
        planned.plan
    )
    assert outcome.failed
    queue = history.sandbox.client("batch").describe_job_queues(jobQueues=["q"])["jobQueues"][0]
    assert [e["computeEnvironment"].rsplit("/", 1)[-1] for e in queue["computeEnvironmentOrder"]] == ["ce"]
    history.converge(changed, allow_deletions=9)


def test_given_two_and_one_to_drop_it_is_one_apply(history: History) -> None:
    history.converge(stack(history, types=["m5.large"], order=("ce", "b")))
    fewer = stack(history, types=["m5.large"], order=("ce",))
    assert history.run(fewer, watched(history), allow_deletions=9).ok, history.failures()
    history.expect_nothing(fewer)


@pytest.mark.parametrize("mode", [Replace.DELETE_FIRST, Replace.CREATE_FIRST])
def test_a_queue_is_replaced_only_if_its_lifecycle_says_so(history: History, mode: Replace) -> None:
    there = stack(history, types=["m5.large"])
    history.converge(there)
    address, policy = Address("jobQueues", "q"), Address("schedulingPolicies", "fair")
    queue = there.resources[address]
    fair = replace(queue, props={**queue.props, "schedulingPolicyArn": "fair"})
    added = {policy: Resource(address=policy, props={"fairsharePolicy": {"shareDecaySeconds": 60}})}
    wished = replace(there, resources={**there.resources, **added, address: fair})
    refused = history.plan(wished)
    said = replace(fair, lifecycle=Lifecycle(replace=mode))
    history.converge(replace(wished, resources={**wished.resources, address: said}), allow_deletions=9)
    queues = history.sandbox.client("batch").describe_job_queues()["jobQueues"]

    assert [(p.code, "delete-first" in p.hint) for p in refused.problems] == [("cannot-replace", True)]
    left = [queue for queue in queues if queue["status"] == "VALID"]
    assert sorted(bool(queue.get("schedulingPolicyArn")) for queue in left) == [False, True]


def pasted(history: History, env: Environment, environment: str = "ce", role: str = "svc") -> Environment:
    """The same as people paste it from describe output: environments, roles and profiles by their ARNs."""
    assert history.scope
    arn, batch = history.scope.arn, f"compute-environment/{environment}"
    resources = dict(env.resources)
    for address, resource in env.resources.items():
        props = dict(resource.props)
        if address.section == "computeEnvironments":
            profile = arn("iam", "instance-profile/prof", region="")
            props["serviceRole"] = arn("iam", f"role/{role}", region="")
            props["computeResources"] = {**props["computeResources"], "instanceRole": profile}
        elif address.section == "jobQueues":
            props["computeEnvironmentOrder"] = [{"order": 0, "computeEnvironment": arn("batch", batch)}]
        resources[address] = replace(resource, props=props)
    return replace(env, resources=resources)


def test_named_by_arn_all_follow_what_is_replaced(history: History) -> None:
    """The queues move to the new environment, and that uses the new role; what describe shows then is no change."""
    history.converge(pasted(history, stack(history, types=["m5.large"])))
    changed = stack(history, types=["c5.large"])
    role = Address("roles", "svc")
    moved = replace(changed.resources[role], props={**changed.resources[role].props, "path": "/team/"})
    changed = replace(changed, resources={**changed.resources, role: moved})
    outcome = history.run(pasted(history, changed), watched(history), allow_deletions=9)

    assert outcome.ok, history.failures()
    batch, iam = history.sandbox.client("batch"), history.sandbox.client("iam")
    (now,) = (e for e in batch.describe_compute_environments()["computeEnvironments"] if e["status"] == "VALID")
    roles = [one["RoleName"] for one in iam.list_roles(PathPrefix="/team/")["Roles"]]
    assert now["serviceRole"].rsplit("/", 1)[-1] in roles
    assert now["computeEnvironmentName"] != "ce"
    for told in (
        changed,
        pasted(history, changed),
        pasted(history, changed, now["computeEnvironmentName"], now["serviceRole"].partition(":role/")[2]),
    ):
        history.expect_nothing(told)
