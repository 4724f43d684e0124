"""Killed anywhere: one more run ends the work, with nothing twice, nothing left over and no lock in the way.

In one process every write is tried, the lock's among them (a run that dies between two writes leaves what the first of
them left); real processes are killed by SIGKILL from outside, at reads and writes alike.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.account.lock import Lock, new_claim
from reconciler.model import OWNER_PREFIX, Call, Environment, Reply
from reconciler.operations import pipeline
from tests.support import sandbox_account
from tests.support.histories import Door, History, Killed
from tests.support.http_proxy import ROOT, SECRETS, Arrived, Perform, Proxy, everything, hung_up
from tests.support.long import LONG, some

ENVIRONMENTS = sorted(path.parent.name for path in (ROOT / "environments").glob("*/environment.yaml"))


def moments(name: str, destroy: bool) -> range:
    """At which writes a run is killed."""
    if LONG:
        return range(400)
    place = ENVIRONMENTS.index(name)
    return range(7 + place if destroy else 3 + place, 400, 37)


def read(name: str) -> Environment:
    return pipeline.read_environment(ROOT / "environments" / name, SECRETS, strict=True)[0]


def run(history: History, env: Environment, door: Door, **options: Any) -> None:
    """As the command does it: under the lock. Who is killed gives nothing back."""
    assert history.scope
    claim = new_claim(uuid.uuid4().hex, {}, "me", "here", "machine", "1@1")
    lock = Lock(door, history.scope, claim, alive=lambda held: held.run == claim.run, pause=0.0)
    lock.take()
    outcome = history.run(env, door, **options)
    assert outcome.ok, history.failures()
    lock.release()


def killed(history: History, env: Environment, at: int, **options: Any) -> bool:
    """Whether the run came to its write number ``at``, at which it dies."""
    try:
        run(history, env, Door(history.aws, dies_at=at, after=True), **options)
    except Killed:
        return True
    return False


def counted(found: list[tuple[str, str]]) -> Counter[str]:
    """How much there is of everything, revisions and versions by their numbers: what has ids gets new ones."""
    return Counter(
        f"{call} {name}" if call in ("describe_job_definitions", "list_rules") else call for call, name in found
    )


def fresh(sandbox: Any, name: str) -> History:
    sandbox.reset()
    return History(sandbox, name)


@pytest.mark.parametrize("name", some(ENVIRONMENTS, 12, first=2))
def test_an_apply_killed_at_any_write_is_ended_by_the_next(name: str, sandbox: Any) -> None:
    env, history = read(name), History(sandbox, name)
    run(history, env, Door(history.aws))
    whole = counted(everything(sandbox.client))
    for at in moments(name, destroy=False):
        history = fresh(sandbox, name)
        died = killed(history, env, at)
        run(history, env, Door(history.aws))
        history.expect_nothing(env)
        assert counted(everything(sandbox.client)) == whole, at
        if not died:
            break


@pytest.mark.parametrize("name", some(ENVIRONMENTS, 12, first=1))
def test_a_destroy_killed_at_any_write_is_ended_by_the_next(name: str, sandbox: Any) -> None:
    env = read(name)
    history = fresh(sandbox, name)
    before = everything(sandbox.client)
    for at in moments(name, destroy=True):
        run(history, env, Door(history.aws))
        died = killed(history, env, at, destroy=True)
        run(history, env, Door(history.aws), destroy=True)
        history.expect_empty(env)
        assert [one for one in everything(sandbox.client) if one[0] != "list_secrets"] == before, at
        if not died:
            break


class Nobodys(Door):
    """Creates what is as declared, belongs to no environment, and has a tag or two that nobody declares."""

    def call(self, call: Call) -> Reply:
        return super().call(replace(call, params=disowned(call.params)))


def disowned(value: Any) -> Any:
    """``value`` with other tags in the place of those that say whose it is."""
    if isinstance(value, dict):
        renamed = {name.replace(OWNER_PREFIX, "old/"): disowned(item) for name, item in value.items()}
        return {**renamed, **({"Key": renamed["Key"].replace(OWNER_PREFIX, "old/")} if "Key" in renamed else {})}
    return [disowned(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("name", some(["dcv-desktop", "job-alerts"], 2, first=1))
def test_an_adoption_killed_at_any_write_is_ended_by_the_next(name: str, sandbox: Any) -> None:
    env = read(name)
    for at in moments(name, destroy=False):
        history = fresh(sandbox, name)
        outcome = history.run(env, Nobodys(history.aws))
        assert outcome.ok, history.failures()
        before = everything(sandbox.client)
        assert history.plan(env).problems  # it exists, and nobody has said that it may be taken over
        died = killed(history, env, at, adopt=True)
        run(history, env, Door(history.aws), adopt=True)
        history.expect_nothing(env)
        assert everything(sandbox.client) == before, at
        if not died:
            break


# --- real processes --------------------------------------------------------------------------------------------------


def there() -> list[tuple[str, str]]:
    return everything(boto3.client)  # type: ignore[call-overload]


def dies(when: Callable[[Arrived], bool], held: Proxy, *, after: bool) -> Callable[[Arrived, Perform], Any]:
    """SIGKILL at the first call that ``when`` is true of, before it is performed or after."""
    over: list[str] = []

    def happens(call: Arrived, perform: Perform) -> Any:
        if over or not when(call):
            return perform()
        over.append(str(call))
        if after:
            perform()
        held.signal()
        return hung_up(call)

    return happens


def nth(number: int, *, reads: bool) -> Callable[[Arrived], bool]:
    seen: list[int] = []

    def when(call: Arrived) -> bool:
        if call.reads == reads and call.service not in ("ssm", "sts"):
            seen.append(call.n)
        return len(seen) == number

    return when


def called(operation: str) -> Callable[[Arrived], bool]:
    return lambda call: call.operation == operation


def killed_then_run(proxy: Proxy, when: Callable[[Arrived], bool], *arguments: str, after: bool) -> None:
    proxy.happens = dies(when, proxy, after=after)
    proxy.run(*arguments, expect=-9)
    proxy.happens = lambda _, perform: perform()
    proxy.type(*arguments)


APPLY = [
    ("the lock is taken", called("PutParameter"), True),
    ("a write is made", nth(6, reads=False), True),
    ("the lock is given back", called("DeleteParameter"), False),
]
if LONG:
    APPLY.append(("the account is read", nth(7, reads=True), False))
    APPLY += [(f"write {number}", nth(number, reads=False), bool(number % 2)) for number in range(1, 16)]


@pytest.mark.parametrize(
    ("when", "after"),
    [pytest.param(*one[1:], id=one[0], marks=[pytest.mark.long] if number else []) for number, one in enumerate(APPLY)],
)
def test_sigkill_while(proxy: Proxy, when: Callable[[Arrived], bool], after: bool) -> None:
    killed_then_run(proxy, when, "apply", "job-alerts", "--auto-approve", after=after)

    assert not [name for call, name in there() if call == "describe_parameters"]
    proxy.type("plan", "job-alerts", "--detailed-exitcode")
    names = Counter(call for call, _ in there())
    assert names["describe_job_queues"] == names["describe_compute_environments"] == names["list_topics"] == 1
    assert not [name for _, name in there() if name.endswith(":2")]


@pytest.mark.long  # any write of it, in this process: test_a_destroy_killed_at_any_write_is_ended_by_the_next
def test_sigkill_while_destroying(proxy: Proxy) -> None:
    before = there()
    proxy.type("apply", "job-alerts", "--auto-approve")

    killed_then_run(proxy, nth(9, reads=False), "destroy", "job-alerts", "--auto-approve", after=True)

    assert there() == before


@pytest.mark.long  # any write of it, in this process: tests/stories/test_replacement.py, test_live_queues.py
def test_sigkill_while_replacing(proxy: Proxy, tmp_path: Path) -> None:
    target = tmp_path / "environment.yaml"

    def declare(kind: str) -> None:
        target.write_text(
            json.dumps(sandbox_account.estate({"c": sandbox_account.fargate(kind)}, {"q": sandbox_account.queue("c")})),
            encoding="utf-8",
        )

    declare("FARGATE")
    proxy.type("apply", str(target), "--auto-approve")
    declare("FARGATE_SPOT")

    killed_then_run(proxy, called("UpdateJobQueue"), "apply", str(target), "--auto-approve", after=True)

    proxy.type("plan", str(target), "--detailed-exitcode")
    assert len([name for call, name in there() if call == "describe_compute_environments"]) == 1
