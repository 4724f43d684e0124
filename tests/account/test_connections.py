"""Environments with the same credentials and Region share a session, its clients and the caller identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.account import client
from reconciler.account.connections import MOST_KEPT, Connections
from reconciler.model import Scope
from reconciler.model.problems import Problem, Problems

HERE = "logGroups:\n  /{name}: {{}}\n"
THERE = "region: us-east-1\n" + HERE


def test_a_fleet_asks_once_who_it_is(shell: Any, tmp_path: Path) -> None:
    for name, text in {"one": HERE, "two": HERE, "three": HERE, "away": THERE}.items():
        place = tmp_path / "environments" / name
        place.mkdir(parents=True)
        (place / "environment.yaml").write_text(f"environment: {name}\n{text.format(name=name)}")
    before = len(shell.account.calls)
    found = shell("drift", "--all", "--format", "json")
    assert found.code == 2
    assert {one["environment"]: (one["status"], one["region"]) for one in found.json["environments"]} == {
        "one": ("drifted", "eu-west-1"),
        "two": ("drifted", "eu-west-1"),
        "three": ("drifted", "eu-west-1"),
        "away": ("drifted", "us-east-1"),
    }
    calls = [one.operation for one in shell.account.calls[before:]]
    assert calls.count("GetCallerIdentity") == 2
    assert calls.count("DescribeLogGroups") == 4


def test_what_failed_is_tried_again(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of one environment is not that of the next."""
    del shell
    shared, asked = Connections(), []
    whole = client.identity

    def identity(aws: Any, environment: str) -> Any:
        asked.append(environment)
        if len(asked) == 1:
            raise Problems([Problem(code="aws", message="the network is down")])
        return whole(aws, environment)

    monkeypatch.setattr(client, "identity", identity)
    with pytest.raises(Problems):
        shared.connect("one", region="eu-west-1")
    first, scope = shared.connect("two", region="eu-west-1")
    second, other = shared.connect("three", region="eu-west-1")
    third, _ = shared.connect("three", region="eu-west-1", profile=None, role={})
    assert asked == ["one", "two"]
    assert first is second is third
    assert (scope.environment, other.environment) == ("two", "three")
    assert shared.connect("four", region="us-east-1")[0] is not first


def test_those_of_many_accounts_are_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet of hundreds of accounts keeps the clients of those that were used last."""
    made: list[str] = []
    monkeypatch.setattr(client, "connect", lambda **facts: made.append(facts["profile"]))
    monkeypatch.setattr(client, "identity", lambda _, name: Scope("1", "eu-west-1", "aws", name))
    shared = Connections()
    for number in range(MOST_KEPT):
        shared.connect("one", region=None, profile=str(number))
    shared.connect("again", region=None, profile="0")
    assert len(made) == MOST_KEPT

    shared.connect("more", region=None, profile="more")
    shared.connect("again", region=None, profile="0")
    assert made[MOST_KEPT:] == ["more"]
    shared.connect("again", region=None, profile="1")
    assert made[MOST_KEPT:] == ["more", "1"]
