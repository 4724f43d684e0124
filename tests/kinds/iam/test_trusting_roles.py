"""Documents whose principal is a role declared here, the role itself included: in the sandbox, which refuses unknown ones.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Environment, StepState
from reconciler.operations import pipeline
from tests.support.histories import Door, History, Killed
from tests.support.tables import cases

CASES = cases(Path(__file__).parents[2] / "data" / "trusting_roles.yaml")
CIRCLE = "each other by expression"
REFUSALS = ("MalformedPolicyDocument", "InvalidParameter", "InvalidParameterException")


def read(declared: Any, folder: Path) -> Environment:
    (folder / "environment.yaml").write_text(json.dumps({"environment": "test", **declared}), encoding="utf-8")
    return pipeline.read_environment(folder, {}, strict=True)[0]


@pytest.fixture
def history(sandbox: Any) -> History:
    sandbox.reset()
    sandbox.change({"iam_delay": 0})
    return History(sandbox)


@pytest.mark.parametrize("name", CASES)
def test_it_is_created_in_one_run_and_deleted(name: str, history: History, tmp_path: Path) -> None:
    env = read(CASES[name], tmp_path)

    history.converge(env)

    refused = [event for event in history.events if event.state is StepState.AGAIN]
    assert not [f"{event.step.action}: {event.detail}" for event in refused]
    history.destroy(env)


@pytest.mark.parametrize("writes", range(4))
def test_a_killed_creation_of_a_circle_is_ended_by_the_next_run(writes: int, history: History, tmp_path: Path) -> None:
    env = read(CASES[CIRCLE], tmp_path)

    with suppress(Killed):
        history.run(env, Door(history.aws, dies_at=writes, after=True))

    history.converge(env)


def test_a_circle_is_created_while_iam_is_late(history: History, tmp_path: Path) -> None:
    history.sandbox.change({"iam_delay": 20, "iam_refuses_fresh": True})

    history.converge(read(CASES[CIRCLE], tmp_path))


@pytest.mark.parametrize("name", ["itself among others", CIRCLE])
def test_its_replacement_trusts_itself_in_the_same_run(name: str, history: History, tmp_path: Path) -> None:
    """The new role has another name, and so another ARN."""
    history.converge(read(CASES[name], tmp_path))
    roles = {**CASES[name]["roles"], "a": {**CASES[name]["roles"]["a"], "path": "/batch/"}}

    history.converge(read({"roles": roles}, tmp_path), allow_deletions=9)

    found = history.sandbox.client("iam").list_roles()["Roles"]
    assert "AROA" not in json.dumps([role["AssumeRolePolicyDocument"] for role in found])
