"""Environments with the same credentials and Region share a session, its clients and the caller identity."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.account import client
from reconciler.account.client import RegionSession
from reconciler.account.connections import MOST_KEPT, Connections
from reconciler.account.shared_reads import MOST_KEPT as MOST_REPLIES
from reconciler.account.shared_reads import MOST_REPEATED, SharingClient
from reconciler.model import OWNER_TAG, Call, Refused, Scope
from reconciler.model.problems import Problem, Problems
from reconciler.operations import session

HERE = "logGroups:\n  /{name}: {{}}\n"
THERE = "region: us-east-1\n" + HERE


MORE = [f"more-{number}" for number in range(24)]


@pytest.mark.parametrize("pause", [0.0, 0.02])
def test_a_fleet_asks_once_who_it_is(pause: float, shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it owns for many at once, however slowly they are read, and however fast compared."""
    whole = session.read

    def read(*args: Any, **kwargs: Any) -> Any:
        time.sleep(pause)
        return whole(*args, **kwargs)

    monkeypatch.setattr(session, "read", read)
    here = {"one": HERE, "two": HERE, "three": HERE, **dict.fromkeys(MORE, "")}
    for name, text in {**here, "away": THERE}.items():
        place = tmp_path / "environments" / name
        place.mkdir(parents=True)
        (place / "environment.yaml").write_text(f"environment: {name}\n{text.format(name=name)}")
    iam = shell.account.attach().client("iam")
    for number in range(5):
        iam.create_instance_profile(InstanceProfileName=f"of-others-{number}")
    before = len(shell.account.calls)
    found = shell("drift", "--all", "--format", "json")
    assert found.code == 2
    assert {one["environment"]: (one["status"], one["region"]) for one in found.json["environments"]} == {
        **dict.fromkeys(MORE, ("clean", "eu-west-1")),
        "one": ("drifted", "eu-west-1"),
        "two": ("drifted", "eu-west-1"),
        "three": ("drifted", "eu-west-1"),
        "away": ("drifted", "us-east-1"),
    }
    calls = [one.operation for one in shell.account.calls[before:]]
    assert calls.count("GetCallerIdentity") == 2
    assert calls.count("DescribeLogGroups") == 4
    assert calls.count("GetResources") < 10  # of 56 that each would ask
    assert calls.count("GetInstanceProfile") < 5 * 8  # of 140: those of each of both Regions, and of four at a time


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


def owned(*names: str, types: str = "ec2") -> Call:
    filters = [{"Key": OWNER_TAG, "Values": list(names)}]
    params = {"TagFilters": filters, "ResourceTypeFilters": [types]}
    return Call("resourcegroupstaggingapi", "GetResources", params, all_pages=True)


def found_of(*names: str) -> dict[str, Any]:
    tags = [[{"Key": "Name", "Value": "e3"}, {"Key": OWNER_TAG, "Value": name}] for name in names]
    return {"ResourceTagMappingList": [{"ResourceARN": f"arn:{tag[1]['Value']}", "Tags": tag} for tag in tags]}


def test_what_environments_own_is_asked_for_twenty_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now, sent, refusals = [0.0], [], []
    names = [f"e{number}" for number in range(50)]

    def answer(_: Any, call: Call) -> Any:
        sent.append(call.params["TagFilters"][0]["Values"])
        return refusals.pop() if refusals else found_of(*sent[-1])

    monkeypatch.setattr(client.AwsClient, "call", answer)
    alone = SharingClient(SimpleNamespace(session=HOME, endpoint=None, source=None), expected=["e0"])
    assert alone.call(owned("e0")) == found_of("e0")
    assert sent == [["e0"]]
    expected = names[:1]
    sharing = SharingClient(SimpleNamespace(session=HOME, endpoint=None, source=None), lambda: now[0], expected)
    sent.clear()
    expected += names[1:]
    assert sharing.kept(owned("e1")) is None
    for name in names:
        assert sharing.call(owned(name)) == found_of(name)
    assert sent == [names[:20], names[20:40], names[40:]]
    sharing.call(owned("e0"))  # what was taken is not kept
    sharing.call(owned("e7", types="ecr"))  # another call has its own
    assert sent[3:] == [["e0"], ["e7", *names[:7], *names[8:20]]]
    assert sharing.kept(owned("e8", types="ecr")) == found_of("e8")
    assert sharing.kept(owned("e8", types="ecr")) is None
    now[0] = 61.0
    assert sharing.kept(owned("e9", types="ecr")) is None
    assert sharing.call(owned("e9", types="ecr")) == found_of("e9")
    assert sent[5:] == [["e9", *names[20:39]]]

    refusals += [Refused("AccessDenied", "one is not allowed"), Refused("Throttling", "slow")]
    assert sharing.call(owned("e0", types="sns")) == Refused("AccessDenied", "one is not allowed")
    assert sharing.call(owned("e1", types="sns")) == found_of("e1")
    assert sent[6:] == [names[:20], ["e0"], ["e1", *names[20:39]]], "where several are refused, each asks for itself"

    monkeypatch.setattr(client.AwsClient, "call", lambda *_: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            sharing.call(owned("e0", types="logs"))


def test_what_several_have_read_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tags of a profile, which belongs to nobody here: each environment would ask for them."""
    now = [0.0]
    sharing = SharingClient(SimpleNamespace(session=HOME, endpoint=None, source=None), lambda: now[0])
    sent = Answers([{"n": number} for number in range(MOST_REPEATED * 3)])
    monkeypatch.setattr(client.AwsClient, "call", lambda _, call: sent(call))
    profile = Call("iam", "GetInstanceProfile", {"InstanceProfileName": "a"})
    assert [sharing.read(profile)["n"] for _ in range(4)] == [0, 1, 1, 1]
    assert sharing.kept(profile) == {"n": 1}
    now[0] = 61.0
    assert sharing.kept(profile) is None
    assert [sharing.read(profile)["n"] for _ in range(2)] == [2, 2]
    assert sharing.call(profile)["n"] == sharing.call(profile)["n"] - 1, "what polls gets no old replies"
    for number in range(MOST_REPEATED + 5):
        for _ in range(2):
            sharing.read(Call("iam", "GetRole", {"RoleName": str(number)}))
    assert len(sharing._repeated) == MOST_REPEATED
    monkeypatch.setattr("reconciler.account.shared_reads.MOST_SEEN", 3)
    sharing.read(Call("iam", "GetUser"))
    assert len(sharing._seen) < MOST_REPEATED + 7


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
