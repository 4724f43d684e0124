"""What a queue of another environment, or of nobody, still names is left in service, and what it stands on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Address, Environment, Verb
from tests.support.histories import History
from tests.support.sandbox_account import Judge, ec2, estate, loaded, log, queue

CE = Address("computeEnvironments", "ce")
NOTE = "ce is kept: job queue theirs of the environment other names it; to delete it, change that queue to list another"


@pytest.fixture
def ours(sandbox: Any) -> History:
    return History(sandbox)


@pytest.fixture
def theirs(sandbox: Any) -> History:
    return History(sandbox, name="other")


def ours_with(path: Path, types: str | None, **lifecycle: Any) -> Environment:
    """Our estate: one environment of these types, or none at all."""
    return loaded(path / "ours", estate({"ce": ec2(types, lifecycle=lifecycle or None)} if types else {}, {}))


def theirs_with(path: Path, *names: str) -> Environment:
    """Another environment, with a queue that lists the environments of these names."""
    stack = {"environment": "other", "region": "eu-west-1", "jobQueues": {"theirs": queue(*names)}}
    return loaded(path / "theirs", stack)


@pytest.fixture
def shared(ours: History, theirs: History, tmp_path: Path) -> Path:
    """An account where their queue runs on our environment."""
    ours.converge(ours_with(tmp_path, "m5.large"))
    theirs.converge(theirs_with(tmp_path, "ce"))
    return tmp_path


def served(history: History) -> bool:
    """Whether the queue has had a VALID, enabled environment after every call."""
    judge = Judge()
    judge.hear(log(history.sandbox))
    assert judge.judged
    return not judge.found


def names(history: History) -> set[str]:
    found = history.sandbox.client("batch").describe_compute_environments()["computeEnvironments"]
    return {item["computeEnvironmentName"] for item in found if item["status"] != "DELETED"}


def test_one_that_is_replaced_stays_until_their_queue_has_moved(ours: History, theirs: History, shared: Path) -> None:
    changed = ours_with(shared, "c5.large")
    (entry,) = [item for item in ours.plan(changed).plan.resources if item.address == CE]
    new = entry.physical

    assert (entry.verb, entry.removed_objects) == (Verb.REPLACE, ())
    assert f"{NOTE}; replaced by {new}" in entry.notes
    ours.converge(changed)
    assert names(ours) == {"ce", new}

    theirs.converge(theirs_with(shared, new))
    ours.converge(changed)

    assert names(ours) == {new}
    assert served(ours)


def test_one_that_is_no_longer_declared_stays_with_all_it_stands_on(
    ours: History, theirs: History, shared: Path
) -> None:
    nothing = Environment(name="test")
    found = {str(item.address): item for item in ours.plan(nothing, destroy=True).plan.resources}

    assert NOTE in found["computeEnvironments.ce"].notes
    assert found["roles.svc"].notes == ("svc is kept: computeEnvironments.ce is kept and depends on it",)
    assert found["instanceProfiles.prof"].notes == ("prof is kept: computeEnvironments.ce is kept and depends on it",)
    assert found["roles.inst"].notes == ("inst is kept: instanceProfiles.prof is kept and depends on it",)
    assert found["roles.exec"].verb is Verb.DELETE
    assert ours.run(nothing, destroy=True).ok
    assert served(ours)

    theirs.destroy(theirs_with(shared, "ce"))
    ours.destroy(nothing)


def test_our_own_queue_that_is_left_out_of_the_plan_counts_as_well(ours: History, tmp_path: Path) -> None:
    def both(types: str) -> Environment:
        return loaded(tmp_path / "both", estate({"ce": ec2(types)}, {"own": queue("ce")}))

    ours.converge(both("m5.large"))
    assert ours.run(both("c5.large"), exclude=(Address("jobQueues", "own"),)).ok
    assert len(names(ours)) == 2
    assert served(ours)

    ours.converge(both("c5.large"))
    assert len(names(ours)) == 1
    assert served(ours)


def test_our_own_queue_that_goes_on_naming_it_is_refused_not_obeyed(ours: History, tmp_path: Path) -> None:
    stack = estate({"ce": ec2(), "b": ec2()}, {"own": queue("ce", "b")})
    ours.converge(loaded(tmp_path / "own", stack))
    del stack["computeEnvironments"]["ce"]

    assert "still-used" in [problem.code for problem in ours.plan(loaded(tmp_path / "own", stack)).problems]


def test_replacing_it_delete_first_is_refused(ours: History, shared: Path) -> None:
    (problem,) = ours.plan(ours_with(shared, "c5.large", replace="delete-first")).problems

    assert problem.code == "still-used"
    assert "job queue theirs of the environment other names it" in problem.message
    assert "delete-first" in problem.hint


def test_service_environments_and_policies_stay_as_well(ours: History, theirs: History, tmp_path: Path) -> None:
    service = {
        "serviceEnvironmentType": "SAGEMAKER_TRAINING",
        "capacityLimits": [{"maxCapacity": 1, "capacityUnit": "NUM_INSTANCES"}],
    }
    policy = {"quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}}
    head = {"environment": "test", "region": "eu-west-1"}
    ours.converge(
        loaded(tmp_path / "s", {**head, "serviceEnvironments": {"s": service}, "schedulingPolicies": {"p": policy}})
    )
    training = {
        "jobQueueType": "SAGEMAKER_TRAINING",
        "priority": 1,
        "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}],
        "schedulingPolicyArn": "p",
    }
    theirs.converge(loaded(tmp_path / "t", {**head, "environment": "other", "jobQueues": {"theirs": training}}))
    plan = ours.plan(Environment(name="test"), destroy=True).plan

    assert plan.steps == ()
    assert [item.notes[0].partition(";")[0] for item in plan.resources] == [
        "p is kept: job queue theirs of the environment other names it",
        "s is kept: job queue theirs of the environment other names it",
    ]
