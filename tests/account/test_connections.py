"""Environments with the same credentials and Region share a session, its clients and the caller identity."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.account import client
from reconciler.account.client import RegionSession
from reconciler.account.connections import MOST_KEPT, Connections
from reconciler.account.shared_reads import MOST_KEPT as MOST_REPLIES
from reconciler.account.shared_reads import SharingClient
from reconciler.model import Call, Refused, Scope
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


HOME = RegionSession(None, "eu-west-1", None)  # type: ignore[arg-type]


class Answers:
    """What a client would send, counted."""

    def __init__(self, replies: list[Any]) -> None:
        self.replies, self.asked = replies, 0

    def __call__(self, _: Any) -> Any:
        self.asked += 1
        return self.replies[min(self.asked, len(self.replies)) - 1]


def test_lists_of_the_account_are_shared_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    sharing = SharingClient(SimpleNamespace(session=HOME, endpoint=None, source=None), lambda: now[0])
    sent = Answers([{"Roles": [1]}, {"Roles": [2]}, Refused("Throttling", "slow"), {"Roles": [3]}])
    monkeypatch.setattr(client.AwsClient, "call", lambda _, call: sent(call))
    roles = Call("iam", "ListRoles", {"MaxItems": 1000}, all_pages=True)
    assert sharing.call(roles) == sharing.call(roles) == {"Roles": [1]}
    now[0] = 61.0
    assert sharing.call(roles) == {"Roles": [2]}
    now[0] = 122.0
    assert isinstance(sharing.call(roles), Refused), "a refusal is that of one environment"
    assert sharing.call(roles) == {"Roles": [3]}
    assert sent.asked == 4
    for call in (Call("iam", "GetRole", {"RoleName": "a"}), Call("batch", "UpdateJobQueue", {}, all_pages=True)):
        sharing.call(call)
        sharing.call(call)
    assert sent.asked == 8
    for number in range(MOST_REPLIES + 5):
        sharing.call(Call("iam", "ListRoles", {"MaxItems": number}, all_pages=True))
    assert len(sharing._shared) == MOST_REPLIES


def test_another_region_has_lists_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sharing = SharingClient(SimpleNamespace(session=HOME, endpoint=None, source=None))
    monkeypatch.setattr(client.AwsClient, "call", lambda self, _: {"logGroups": [self.session.region_name]})
    groups = Call("logs", "DescribeLogGroups", all_pages=True)
    for region in ("eu-west-1", "us-east-1"):
        assert sharing.in_region(region).call(groups) == {"logGroups": [region]}
    assert sharing.call(groups) == {"logGroups": ["eu-west-1"]}


def test_an_error_of_one_is_that_of_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    sharing = SharingClient(SimpleNamespace(session=HOME, endpoint=None, source=None))

    def broken(_: Any, __: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(client.AwsClient, "call", broken)
    with pytest.raises(KeyboardInterrupt):
        sharing.call(Call("iam", "ListRoles", all_pages=True))
    assert sharing._shared == {}
