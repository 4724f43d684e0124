"""What a plan says of the jobs on what goes, and the names of what takes the place of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.render.mask import Mask
from tests.support.sandbox_account import History, ec2, estate, loaded, queue
from tests.support.shown import as_text

BOTH = estate({"a": ec2(), "b": ec2()}, {"q": queue("a"), "r": queue("b")}, consumableResources={"seats": {}})


@pytest.fixture
def history(sandbox: Any) -> History:
    return History(sandbox)


def told(history: History, env: Any, **options: Any) -> dict[str, str]:
    return {str(item.address): item.disruption for item in history.plan(env, **options).plan.resources}


def test_what_is_no_longer_declared_is_said_to_end_jobs_or_to_wait_for_them(history: History, tmp_path: Path) -> None:
    history.converge(loaded(tmp_path, BOTH))
    less = estate({"a": ec2()}, {"q": queue("a")})
    del less["jobDefinitions"]["job-ec2"]
    env = loaded(tmp_path, less)
    found = told(history, env, allow_deletions=99)

    assert found["jobQueues.r"] == "every waiting and running job in the queue is cancelled or terminated"
    assert "apply waits up to 120 minutes for those still running" in found["computeEnvironments.b"]
    assert "no new jobs can be submitted with it" in found["jobDefinitions.job-ec2"]
    assert "jobs that need it wait" in found["consumableResources.seats"]
    shown = as_text(history.plan(env, allow_deletions=99).plan, Mask())
    assert "running jobs: every waiting and running job in the queue is cancelled" in shown


def test_destroy_waits_for_no_job_and_says_so(history: History, tmp_path: Path) -> None:
    env = loaded(tmp_path, BOTH)
    history.converge(env)

    assert (
        told(history, env, destroy=True)["computeEnvironments.a"]
        == "jobs still running on it are terminated when it is deleted"
    )


def test_a_group_called_sg_is_replaced_under_a_name_that_ec2_takes(history: History, tmp_path: Path) -> None:
    """EC2 takes no name that begins with sg-, so the derived one has another mark."""

    def grouped(description: str) -> Any:
        group = {"description": description, "vpcId": "${lookups.vpc}"}
        return estate({"a": ec2(securityGroupIds=["sg"])}, {"q": queue("a")}, securityGroups={"sg": group})

    history.converge(loaded(tmp_path, grouped("before")))
    history.converge(loaded(tmp_path, grouped("after")))
    groups = history.sandbox.client("ec2").describe_security_groups()["SecurityGroups"]

    (name,) = [one["GroupName"] for one in groups if one["Description"] == "after"]
    assert name.startswith("sg_")
