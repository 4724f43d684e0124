"""What people declared against what AWS replied: nothing differs that is the same, nothing that differs goes unseen.

The pairs stand in ``tests/data/pairs``; each names where AWS said so. The account is ``tests/support/recorded_account.py``, the ways to move
away from what is declared are ``tests/support/drift.py``.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator

import pytest

from reconciler.kinds import discover
from reconciler.model import Verb
from reconciler.schema import registry
from tests.support.drift import Spot, lists, look, names, other, put, shown_under, shuffled, spots
from tests.support.long import LONG, some, together
from tests.support.recorded_account import differences, environment, pairs, planned

# Lists of the things themselves: one more or less is another matter.
WHOLE = names(
    "computeEnvironments jobQueues jobDefinitions SecurityGroups KeyPairs repositories logGroups schedulingPolicies"
    " serviceEnvironments LaunchTemplates LaunchTemplateVersions PlacementGroups"
)
every_fifth_pair = pytest.mark.parametrize("pair", some(pairs(), 5), ids=str)
SECTIONS = sorted({pair.section for pair in pairs()})


def test_there_are_enough_of_them_and_each_says_where_it_is_from():
    assert len(pairs()) >= 250
    assert {pair.section for pair in pairs()} == set(registry.sections()) - {"serviceLinkedRoles"}
    assert [str(pair) for pair in pairs() if not pair.source] == []


@pytest.mark.parametrize("section", SECTIONS)
def test_nothing_differs_in_any_order_but_a_tag_of_somebody_else(section, tmp_path):
    together(lambda pair: nothing_differs(pair, tmp_path), [pair for pair in pairs() if pair.section == section])


def nothing_differs(pair, tmp_path):
    env, problems = environment(pair, tmp_path)
    assert [str(problem) for problem in problems if not problem.warning] == []

    (found,), problems = planned(pair, env, pair.replies)

    assert problems == []
    assert differences(found) == []
    assert [step.action.operation for step in found.steps if "Tag" not in step.action.operation] == []
    the_order_of_an_answer_means_nothing(pair, env)
    if not discover()[pair.section].container:
        a_tag_of_somebody_else_is_seen(pair, env)


def the_order_of_an_answer_means_nothing(pair, env):
    for seed in range(8 if LONG else 2):
        (found,), problems = planned(pair, env, shuffled(pair.replies, random.Random(seed)))

        assert problems == []
        assert differences(found) == []


def seen(pair, env, replies):
    """Where the plan shows a difference; what stands in the way of a plan counts as well."""
    found, problems = planned(pair, env, replies)
    if found and found[0].verb is Verb.CREATE:
        return [("gone",)]
    return [*(tuple(problem.path.split(".")) for problem in problems), *(differences(found[0]) if found else ())]


@every_fifth_pair
def test_every_change_is_seen_where_it_is(pair, tmp_path):
    env, _ = environment(pair, tmp_path)
    unseen = []
    for spot in spots(pair):
        value = look(pair.replies, spot)
        paths = seen(pair, env, put(pair.replies, spot, other(value, str(spot[-1]))))
        if {path[0] for path in paths} - {"gone"} != {shown_under(pair, spot)} and paths != [("gone",)]:
            unseen.append((spot, value, paths))

    assert unseen == []


def resized(pair) -> Iterator[tuple[Spot, list]]:
    """Every list with one item less, and with one more that is like its last."""
    for spot in lists(pair):
        items = look(pair.replies, spot)
        if spot[-1] in WHOLE:
            continue
        for index in range(len(items)):
            yield spot, [*items[:index], *items[index + 1 :]]
        last = copy.deepcopy(items[-1])
        if isinstance(last, dict):
            last = {name: other(value, name) if isinstance(value, str | int) else value for name, value in last.items()}
        else:
            last = other(last)
        yield spot, [*items, last]


# What is added or missing in a list and yet no difference, and why.
NO_DIFFERENCE = {
    ("platformCapabilities", "[]"): "none means EC2",
    ("Roles", "2"): "an instance profile holds one role",
    ("Subscriptions", "PendingConfirmation"): "what waits for its recipient can be neither changed nor removed",
    ("Ipv6Ranges", "[]"): "EC2 gives a group in a VPC with IPv6 a second rule that lets everything out",
}


def excused(spot: Spot, items: list) -> bool:
    for name, mark in NO_DIFFERENCE:
        if spot[-1] == name and mark in (
            str(items),
            str(len(items)),
            *(["PendingConfirmation"] * ("Pending" in str(items))),
        ):
            return name != "Ipv6Ranges" or "IpPermissionsEgress" in spot
    return False


@every_fifth_pair
def test_one_item_more_or_less_is_seen(pair, tmp_path):
    env, _ = environment(pair, tmp_path)

    unseen = [
        (spot, items)
        for spot, items in resized(pair)
        if not seen(pair, env, put(pair.replies, spot, items)) and not excused(spot, items)
    ]

    assert unseen == []


def a_tag_of_somebody_else_is_seen(pair, env):
    replies = copy.deepcopy(pair.replies)
    _tag(replies)

    assert ("tags", "Extra") in seen(pair, env, replies)


EC2 = names("DescribeSecurityGroups DescribeKeyPairs DescribeLaunchTemplates DescribePlacementGroups")
BATCH = names(
    "DescribeComputeEnvironments DescribeJobQueues DescribeJobDefinitions DescribeSchedulingPolicies"
    " DescribeServiceEnvironments"
)


def _tag(replies) -> None:
    """``Extra: x`` put on the thing, wherever its kind keeps tags."""
    for operation, reply in replies.items():
        if operation == "ListTagsForResource":
            name = "tags" if "tags" in reply else "Tags"
            _put_tag(reply, name)
        elif operation in ("GetRole", "GetInstanceProfile"):
            _put_tag(reply[operation.removeprefix("Get")], "Tags")
        elif operation == "GetPolicy":
            _put_tag(reply[0]["reply"]["Policy"], "Tags")
        elif operation == "DescribeSecret":
            _put_tag(reply, "Tags")
        elif operation in EC2:
            _put_tag(reply[operation.removeprefix("Describe")][0], "Tags")
        elif operation in ("DescribeConsumableResource", "DescribeQuotaShare"):
            reply["tags"] = {**reply.get("tags", {}), "Extra": "x"}
        elif operation in BATCH:
            items = next(iter(reply.values()))
            items[0]["tags"] = {**items[0].get("tags", {}), "Extra": "x"}


def _put_tag(holder, name: str) -> None:
    found = holder.get(name)
    if isinstance(found, dict):
        holder[name] = {**found, "Extra": "x"}
    else:
        holder[name] = [*(found or ()), {"Key": "Extra", "Value": "x"}]
