"""Many environments at once: within limits for each account, and whatever happens to one of them."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.account.client import Endpoint, connect
from reconciler.model import Environment, ResourcePlan, Verb
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import RAIL
from reconciler.model.problems import Problem, Problems
from reconciler.operations.drift import fleet
from reconciler.operations.session import Loaded, Location
from reconciler.render.drift_view import Status
from reconciler.render.mask import Mask
from tests.support.builders import live


def test_environments_of_one_account_wait_for_each_other_alone() -> None:
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    together, done, lock = 0, [], threading.Lock()

    def job(account: str, number: int) -> None:
        nonlocal together
        with lock:
            running[account] += 1
            most[account] = max(most[account], running[account])
            together = max(together, running.total())
        time.sleep(0.002)
        with lock:
            running[account] -= 1
            done.append(number)

    with ThreadPoolExecutor(16) as pool:
        lanes = fleet._Lanes(pool, 2, threading.Event())
        for number in range(200):
            account = "busy" if number < 100 else str(number % 5)
            lanes.submit(account, partial(job, account, number))
        lanes.join()
    assert sorted(done) == list(range(200))
    assert set(most.values()) <= {1, 2} and together > 2


@pytest.mark.parametrize(
    ("sizes", "loaded"),
    [
        ([5] * 30, [*range(20, 30), 30]),  # by then those that one call asks for are known
        ([600, 1, 700], [1, 3, 3]),  # a large one is not kept waiting
        ([200, 300, 1, 1], [3, 4]),
        ([1], [1]),
        ([], []),
    ],
)
def test_how_many_are_loaded_before_the_next_is_compared(sizes: list[int], loaded: list[int]) -> None:
    asked: list[int] = []
    done = object()

    def environments() -> Iterator[Any]:
        for size in sizes:
            asked.append(size)
            yield SimpleNamespace(resources=range(size)), done

    found = [(len(asked), env) for env, _ in fleet._read_ahead(environments())]
    assert [len(env.resources) for _, env in found] == sizes
    assert [count for count, _ in found][: len(loaded)] == loaded


def test_a_job_that_raises_ends_the_run() -> None:
    with ThreadPoolExecutor(2) as pool:
        lanes = fleet._Lanes(pool, 1, threading.Event())

        def broken() -> None:
            raise BrokenPipeError

        for _ in range(fleet.BACKLOG * 2):
            lanes.submit("a", broken)
        with pytest.raises(BrokenPipeError):
            lanes.join()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Problems([Problem(code=codes.UNREADABLE, message="no")], exit_code=RAIL), RAIL),
        (FileNotFoundError(2, "No such file", "x.yaml"), 1),
        (ZeroDivisionError("a secret: hummingbird-77"), 1),
    ],
)
def test_nothing_in_one_environment_ends_the_others(
    error: Exception, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(location: Location, *_: Any, **__: Any) -> Loaded:
        if location.target.name == "broken":
            raise error
        env = Environment(name=location.target.name, account="1" * 12)
        return Loaded(location, env, (), Mask())

    def connect(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(fleet.session, "read", read)
    monkeypatch.setattr(fleet.session, "connect", connect)
    environ = {"MY_PASSWORD": "hummingbird-77"}
    locations = [Location(tmp_path / name, f"{name}/") for name in ("broken", "other")]
    seen: list[str] = []
    found = fleet.check_all(
        locations, fleet.Settings(environ=environ, given={}, cwd=tmp_path), lambda one: seen.append(one.name)
    )
    assert [(one.name, one.status, one.exit_code) for one in found] == [
        ("broken", Status.ERROR, code),
        ("other", Status.ERROR, code),
    ]
    assert sorted(seen) == ["broken", "other"] and "hummingbird" not in str(found)


def test_what_an_environment_leaves_behind_is_shared_or_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of services, which take 20 MB, and cycles, which the command line does not collect."""
    endpoint = Endpoint("http://127.0.0.1:1", "eu-west-1", "x", "x")
    role = {"roleArn": "arn:aws:iam::123456789012:role/x"}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    found = [connect(region="eu-west-1", endpoint=one, role=each) for one in (endpoint, None) for each in (role, None)]
    models = {id(one.client("logs").meta.service_model._service_description) for one in found}
    assert len(models) == 1

    before = gc.get_threshold()
    with fleet.collecting():
        assert 0 < gc.get_threshold()[0] <= 100_000 and gc.get_freeze_count()
    assert gc.get_threshold() == before and not gc.get_freeze_count()


MOVING: list[tuple[dict[str, Any], bool]] = [
    ({"verb": Verb.UPDATE, "kept_object": live("x")}, False),
    ({"verb": Verb.UPDATE, "kept_object": live("x", settled=False)}, True),
    ({"verb": Verb.REPLACE, "kept_object": live("x", deleting=True)}, True),
    ({"verb": Verb.DELETE, "removed_objects": (live("x", settled=False),)}, True),
    ({"verb": Verb.DELETE, "removed_objects": (live("x"),)}, False),
    ({"verb": Verb.NOOP, "kept_object": live("x", settled=False)}, False),
    ({"verb": Verb.CREATE}, False),
]


@pytest.mark.parametrize(("facts", "moving"), MOVING)
def test_what_aws_is_still_changing(facts: dict[str, Any], moving: bool) -> None:
    item = ResourcePlan(address="a.b", physical="b", before=None, after=None, **facts)  # type: ignore[arg-type]
    assert fleet._is_moving(item) is moving
