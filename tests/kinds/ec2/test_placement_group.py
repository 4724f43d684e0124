"""Placement groups: found by name and owner, replaced for everything but tags, deleted once nothing is in them."""

from __future__ import annotations

import pytest

from reconciler.kinds.ec2.placement_group import KIND
from reconciler.model import Call, Effect, On
from tests.support.histories import History
from tests.support.service_kinds import (
    OWNED,
    TAGS,
    changed,
    differs,
    found,
    indexed,
    read,
    want,
    withstands_expressions,
)

ARN = "arn:aws:ec2:eu-west-1:123456789012:placement-group/p"
LINUX = [{"Name": "name", "Values": ["amzn2-ami-hvm-2.*"]}]  # some of the 1,300 images


def described(name, values):
    return Call("ec2", "DescribePlacementGroups", {"Filters": [{"Name": name, "Values": values}]})


BY_NAME, BY_OWNER = described("group-name", ["p"]), described("tag:reconciler/environment", ["e"])


def item(**more):
    plain = {"GroupName": "p", "GroupId": "pg-1", "GroupArn": ARN, "State": "available", "Strategy": "cluster"}
    return {**plain, "Tags": TAGS, **more}


def live(**more):
    (one,) = read(KIND, [[(BY_NAME, {"PlacementGroups": [item(**more)]})]], "p")
    return one


def test_read():
    both = [(BY_NAME, {"PlacementGroups": [item()]}), (BY_OWNER, {"PlacementGroups": [item(), item(GroupName="q")]})]
    one, other = read(KIND, [both, [indexed(ARN, f"{ARN[:-1]}q")]], "p", owned=True)
    assert read(KIND, [both], "p", owned=True, indexed=False) == [one, other]
    assert read(KIND, [both[:1], [indexed(ARN)]], "p", owned=True) == [one]

    assert (one.physical, other.physical) == ("p", "q")
    assert one.attrs == {"name": "p", "id": "pg-1", "arn": ARN}
    assert (one.props, one.tags) == ({"strategy": "cluster"}, OWNED)
    assert one.settled and not one.deleting
    assert read(KIND, [], owned=False) == []


def test_states():
    assert not live(State="pending").settled
    assert live(State="deleting").deleting
    assert read(KIND, [[(BY_NAME, {"PlacementGroups": [item(State="deleted")]})]], "p") == []
    (wait,) = KIND.wait_until_settled(live(State="pending"))
    assert (wait.title, wait.until) == ("placement group p available", {"State": frozenset({"available"})})
    (wait,) = KIND.wait_until_gone(live(State="deleting"))
    assert wait.gone and wait.read == BY_NAME


@pytest.mark.parametrize(
    ("shown", "declared"),
    [
        ({}, {}),
        ({}, {"strategy": "cluster"}),
        ({"Strategy": "partition", "PartitionCount": 2}, {"strategy": "partition"}),
        ({"Strategy": "partition", "PartitionCount": 3}, {"strategy": "partition", "partitionCount": 3}),
        ({"Strategy": "spread", "SpreadLevel": "rack"}, {"strategy": "spread"}),
        ({}, {"groupName": "p", "groupId": "pg-1", "groupArn": ARN, "state": "available", "strategy": "cluster"}),
    ],
)
def test_the_same(shown, declared):
    assert differs(KIND, live(**shown), want(KIND, "p", **declared)) == {}


@pytest.mark.parametrize(
    ("shown", "declared", "path"),
    [
        ({}, {"strategy": "spread"}, "strategy"),
        ({"Strategy": "spread"}, {}, "strategy"),
        (
            {"Strategy": "partition", "PartitionCount": 2},
            {"strategy": "partition", "partitionCount": 3},
            "partitionCount",
        ),
        ({"Strategy": "spread", "SpreadLevel": "host"}, {"strategy": "spread"}, "spreadLevel"),
    ],
)
def test_every_difference_is_another_group(shown, declared, path):
    there, wanted = live(**shown), want(KIND, "p", **declared)

    assert list(differs(KIND, there, wanted)) == [path]
    assert KIND.fields[path].effect is Effect.REPLACE
    assert changed(KIND, there, wanted) == []


def test_calls():
    made, wait = KIND.create(want(KIND, "p", strategy="partition", partitionCount=3))
    tags = [{"ResourceType": "placement-group", "Tags": TAGS}]
    params = {"GroupName": "p", "Strategy": "partition", "PartitionCount": 3, "TagSpecifications": tags}

    gives = {"id": "PlacementGroup.GroupId", "state": "PlacementGroup.State"}

    assert made == Call("ec2", "CreatePlacementGroup", params, captures=gives)
    assert wait.known == {"State": "state"}  # most are available when the call returns
    assert wait.title == "placement group p available"
    gone, wait = KIND.delete(live(), {})
    assert gone.retry_on == (On("InvalidPlacementGroup.InUse"),) and gone.patience >= 600
    assert gone.ok_if == (On("InvalidPlacementGroup.Unknown"),)
    assert wait.gone
    untag, tag = KIND.tag(live(), {"a": "b"}, ["c"])
    assert untag == Call("ec2", "DeleteTags", {"Resources": ["pg-1"], "Tags": [{"Key": "c"}]})
    assert tag.params == {"Resources": ["pg-1"], "Tags": [{"Key": "a", "Value": "b"}]}


@pytest.mark.parametrize(
    ("name", "props", "path"),
    [
        (" p", {}, ""),
        ("p" * 256, {}, ""),
        ("p", {"partitionCount": 2}, "partitionCount"),
        ("p", {"strategy": "spread", "partitionCount": 2}, "partitionCount"),
        ("p", {"strategy": "partition", "partitionCount": 8}, "partitionCount"),
        ("p", {"strategy": "cluster", "spreadLevel": "rack"}, "spreadLevel"),
    ],
)
def test_check_finds_what_ec2_would_refuse(name, props, path):
    assert list(found(KIND, name, **props)) == [path]


def test_check_withstands_expressions():
    withstands_expressions(KIND, strategy="partition", partitionCount=3)
    withstands_expressions(KIND, strategy="spread", spreadLevel="rack")


def test_a_group_lives_and_dies_in_the_sandbox(sandbox):
    history = History(sandbox)
    ec2 = sandbox.client("ec2")

    def shown():
        return {one["GroupName"]: one for one in ec2.describe_placement_groups()["PlacementGroups"]}

    history.converge(history.environment({"placementGroups": {"p": {"tags": {"a": "b"}}}}))
    first = shown()["p"]
    history.converge(history.environment({"placementGroups": {"p": {"tags": {"c": "d"}}}}))
    assert shown()["p"]["GroupId"] == first["GroupId"]
    assert {tag["Key"] for tag in shown()["p"]["Tags"]} == {"c", "reconciler/environment"}

    other = history.environment({"placementGroups": {"p": {"strategy": "spread"}}})
    assert [r.reason for r in history.plan(other).plan.resources] == ["strategy differs"]
    history.converge(other)
    ((name, group),) = shown().items()
    assert name.startswith("p-") and group["Strategy"] == "spread"
    history.destroy(other)
    assert shown() == {}


def test_a_group_is_deleted_once_its_instances_are_gone(sandbox):
    history = History(sandbox)
    ec2 = sandbox.client("ec2")
    there = history.environment({"placementGroups": {"p": {}}})
    history.converge(there)
    image = ec2.describe_images(Filters=LINUX)["Images"][0]["ImageId"]
    run = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, Placement={"GroupName": "p"})

    outcome = history.run(there, destroy=True)
    assert outcome.failed and "InvalidPlacementGroup.InUse" in history.failures()[0]
    ec2.terminate_instances(InstanceIds=[run["Instances"][0]["InstanceId"]])
    history.destroy(there)
