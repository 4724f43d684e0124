"""A queue's environments go together, and what they are is what the queue is for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Verb
from tests.support.sandbox_account import History, ec2, estate, fargate, loaded, queue

OF_INSTANCES = estate({"a": ec2()}, {"q": queue("a")})
ON_FARGATE = estate({"a": fargate()}, {"q": queue("a")})


@pytest.fixture
def history(sandbox: Any) -> History:
    sandbox.change({"queue_type_derived": True})
    return History(sandbox)


def test_a_queue_known_to_be_of_one_type_is_not_planned_to_become_another(history: History, tmp_path: Path) -> None:
    history.converge(loaded(tmp_path, OF_INSTANCES))
    (problem,) = history.plan(loaded(tmp_path, ON_FARGATE)).problems

    assert (problem.code, problem.address, problem.path) == ("cannot-update", "jobQueues.q", "computeEnvironmentOrder")
    assert "has type ECS, which cannot be changed to ECS_FARGATE" in problem.message
    assert "jobQueueType: ECS_FARGATE" in problem.hint and "lifecycle.replace" in problem.hint
    assert problem.pos.file == "environment.yaml" and problem.pos.line > 1


def test_the_way_out_is_a_queue_of_another_name(history: History, tmp_path: Path) -> None:
    history.converge(loaded(tmp_path, OF_INSTANCES))
    beside = estate({"a": ec2(), "f": fargate()}, {"q": queue("a"), "on-fargate": queue("f")})
    history.converge(loaded(tmp_path, beside))
    env = loaded(tmp_path, estate({"f": fargate()}, {"on-fargate": queue("f")}))
    assert history.run(env, allow_deletions=99).ok

    history.expect_nothing(env)


def test_or_the_queue_is_replaced(history: History, tmp_path: Path) -> None:
    history.converge(loaded(tmp_path, OF_INSTANCES))
    replaced = queue("f", jobQueueType="ECS_FARGATE", lifecycle={"replace": "delete-first"})
    env = loaded(tmp_path, estate({"f": fargate()}, {"q": replaced}))
    verbs = {str(one.address): one.verb for one in history.plan(env).plan.resources}
    assert verbs["jobQueues.q"] is Verb.REPLACE
    assert history.run(env, allow_deletions=99).ok

    history.expect_nothing(env)


def test_within_one_type_nothing_stands_in_the_way(history: History, tmp_path: Path) -> None:
    history.converge(loaded(tmp_path, OF_INSTANCES))
    other = ec2()
    other["computeResources"] |= {"type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"}
    env = loaded(tmp_path, estate({"a": other}, {"q": queue("a")}))
    assert not history.plan(env).problems
    history.converge(env)

    history.expect_nothing(env)
