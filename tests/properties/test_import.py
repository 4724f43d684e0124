"""Any account that was declared here, and then forgotten, is imported so that nothing is to be changed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from reconciler.account.everything import Everything
from reconciler.account.reader import Reader
from reconciler.kinds import discover
from reconciler.operations import pipeline
from reconciler.operations.importing import importer
from reconciler.operations.importing.attempt import Request
from reconciler.operations.importing.select import Wanted
from tests.account.test_everything import STACK
from tests.properties import test_convergence as declared
from tests.support.histories import History
from tests.support.imported import forget
from tests.support.long import LONG

EXAMPLES = int(os.environ.get("IMPORT_EXAMPLES", "60" if LONG else "1"))
MANY = settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if LONG else [])],
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=not LONG,
)


@pytest.fixture(scope="module")
def sandboxes(_attached: Any) -> Any:
    return _attached


def story(sandbox: Any, stack: Any) -> None:
    sandbox.sandbox.reset()
    sandbox.sandbox.defaults()
    history = History(sandbox)
    prepared = stack
    if stack.keys() != STACK.keys():
        prepared = declared.placed(stack, history) if "computeEnvironments" in stack else declared.told(stack)
    history.converge(history.environment(prepared))
    forget(history.aws)
    assert history.scope
    with tempfile.TemporaryDirectory() as made:
        target = Path(made) / "new"
        request = Request(wanted=Wanted(names=("*",)), target=target, scope=history.scope)
        everything = Everything(Reader(history.aws, parallelism=0), discover(), history.scope)
        result = importer.run(request, everything, {})
        assert result.imported.warnings == () and result.imported.left_out == (), result.imported
        target.mkdir()
        for name, text in result.written.files.items():
            (target / name).write_text(text, encoding="utf-8")
        env, _ = pipeline.read_environment(target, {}, strict=True)
    names = {(address.section, one.name) for address, one in env.resources.items()}
    kept = {(section, name) for section, named in prepared.items() for name in named if section != "serviceLinkedRoles"}
    assert kept <= names, kept - names
    planned = history.plan(env, adopt=True)
    told = [
        (str(one.address), change.path, change.before, change.after)
        for one in planned.plan.resources
        for change in one.changes
        if not str(change.path[-1]).startswith("reconciler/")
    ]
    assert told == []
    history.converge(env, adopt=True)


def test_one_of_each_kind(sandboxes: Any) -> None:
    story(sandboxes, {**STACK, "securityGroups": {"g": {}}})


@pytest.mark.long
@given(stack=declared.stacks())
@MANY
def test_any_stack(sandboxes: Any, stack: Any) -> None:
    story(sandboxes, stack)


@pytest.mark.long
@given(stack=declared.around)
@MANY
def test_what_stands_around_batch(sandboxes: Any, stack: Any) -> None:
    story(sandboxes, stack)


def counting_what_there_is(stack: Any) -> Any:
    """The stack with shares that count what their queue's service environment has: others are not declarable."""
    shares = {}
    for name, share in stack["quotaShares"].items():
        (order,) = stack["jobQueues"][name.partition("/")[0]]["serviceEnvironmentOrder"]
        limits = stack["serviceEnvironments"][order["serviceEnvironment"]]["capacityLimits"]
        shares[name] = {**share, "capacityLimits": limits}
    return {**stack, "quotaShares": shares}


@pytest.mark.long
@given(stack=declared.sharing.map(counting_what_there_is))
@MANY
def test_what_shares_the_capacity_of_queues(sandboxes: Any, stack: Any) -> None:
    story(sandboxes, stack)


@pytest.mark.long
@given(stack=declared.launching.map(declared.placing))
@MANY
def test_what_launches_and_what_listens(sandboxes: Any, stack: Any) -> None:
    story(sandboxes, stack)
