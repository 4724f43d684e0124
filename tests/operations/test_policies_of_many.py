"""Policies for several environments and for many names: merged, compact, in near-linear time, as YAML."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.kinds import discover
from reconciler.model import Address, Environment, Lifecycle, Resource
from reconciler.operations.permissions import actions, as_yaml, build, merging, policy
from reconciler.operations.permissions.compaction import compacted
from reconciler.operations.permissions.merging import Statement, matches, without_covered
from reconciler.operations.permissions.modes import MODES, Purpose
from reconciler.operations.permissions.needs import Need
from reconciler.operations.permissions.places import parsed

ACCOUNT, REGION = "123456789012", "eu-west-1"
SENT, OWN = "aws:RequestTag/reconciler/environment", "aws:ResourceTag/reconciler/environment"


def environment(name: str, *resources: Resource, **settings: Any) -> Environment:
    return Environment(name=name, resources={one.address: one for one in resources}, **settings)


def many(section: str, names: list[str], **more: Any) -> list[Resource]:
    return [Resource(address=Address(section, name), props={}, **more) for name in names]


def of(env: Environment, purpose: Purpose = Purpose.apply) -> build.Policies:
    return build.for_environment(env, ACCOUNT, REGION, purpose)


# --- covering and merging --------------------------------------------------------------------------------------------

_TAIL = st.text("ab/:*?", max_size=4)
_RESOURCE = st.one_of(
    st.just("*"), st.builds("arn:aws:sns:{}:{}:{}".format, st.sampled_from("r*"), st.sampled_from("1*"), _TAIL)
)
_KEYS = st.sampled_from([(), (("k", ("1",)),), (("k", ("1",)), ("l", ("2",)))])
_NEEDS = st.lists(st.builds(Need, st.sampled_from(["sns:Publish", "sns:Subscribe"]), _RESOURCE, _KEYS), max_size=12)


@given(_NEEDS)
def test_what_another_need_allows_is_left_out_and_nothing_else(some: list[Need]) -> None:
    needs = sorted(set(some))

    def covers(other: Need, need: Need) -> bool:
        less = {*other.conditions} <= {*need.conditions}
        return other != need and other.action == need.action and less and matches(need.resource, other.resource)

    expected = [need for need in needs if not any(covers(other, need) for other in needs)]
    assert without_covered(needs) == expected


@pytest.mark.parametrize(
    ("text", "pattern", "within"),
    [
        ("abc", "abc", True),
        ("abc", "a*", True),
        ("abc", "*c", True),
        ("abc", "a*c", True),
        ("ac", "a*c", True),
        ("aba", "ab*ba", False),
        ("abc", "a?c", True),
        ("a[c]", "a[c]", True),
        ("abc", "a[b]c*", False),
        ("a*", "a*", True),
        ("abc", "ab", False),
        ("axbxc", "a*b*c", True),
    ],
)
def test_patterns(text: str, pattern: str, within: bool) -> None:
    assert matches(text, pattern) is within


def test_the_time_for_twice_as_many_names_is_twice_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    less = merging._less

    def counted(other: Need, need: Need) -> bool:
        nonlocal compared
        compared += 1
        return less(other, need)

    monkeypatch.setattr(merging, "_less", counted)
    found = []
    for number in (100, 200):
        compared = 0
        env = environment("e", *many("topics", [f"n-{one:04}" for one in range(number)]))
        build.for_environment(env, None, None, Purpose.apply)  # ARNs have * in place of the account
        found.append(compared)

    assert found[1] < 2.2 * found[0]


# --- several environments --------------------------------------------------------------------------------------------


def test_a_role_for_several_environments_may_do_to_each_what_it_may_do_to_all() -> None:
    one = environment("one", *many("topics", ["news"]))
    other = environment("other", *many("topics", ["alarms"]), role={"roleArn": "arn:aws:iam::210987654321:role/r"})
    third = environment("third", *many("topics", ["events"]))
    scopes = [(env, build.scope_of(env, ACCOUNT, REGION)) for env in (one, other, third)]
    found = build.for_environments(scopes, Purpose.apply).needs.found
    by_action: dict[str, set[Need]] = {}
    for need in found:
        by_action.setdefault(need.action, set()).add(need)

    owners = ("one", "other", "third")
    assert {need.conditions for need in by_action["sns:CreateTopic"]} == {((SENT, owners),)}
    assert {need.resource.rpartition(":")[2] for need in by_action["sns:CreateTopic"]} >= {"news", "events"}
    assert not any("alarms" in need.resource for need in found), "that is for the role which is assumed"
    assert {need.resource for need in by_action["sts:AssumeRole"]} == {"arn:aws:iam::210987654321:role/r"}
    locks = {need.resource.rpartition("/")[2] for need in by_action["ssm:PutParameter"]}
    assert locks == {"one", "third"}


def test_what_a_drift_check_writes_and_sends_is_in_its_policy() -> None:
    env = environment("e", *many("topics", ["news"]))
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:notices"
    places = parsed(["s3://estate/drift/", "s3://other"], [f"sns:{topic}", "webhook:https://example.com/x"])
    found = build.for_environments([(env, build.scope_of(env, ACCOUNT, REGION))], Purpose.drift, places=places)
    pairs = {(need.action, need.resource) for need in found.needs.found}

    assert pairs >= {
        ("s3:ListBucket", "arn:aws:s3:::estate"),
        ("s3:PutObject", "arn:aws:s3:::estate/drift/*"),
        ("s3:GetObject", "arn:aws:s3:::other/*"),
        ("sns:Publish", topic),
        ("cloudtrail:LookupEvents", "*"),
    }
    assert MODES.keys() == {*Purpose}


def test_a_snapshot_lists_the_names_of_every_kind_and_writes_nothing() -> None:
    env = environment("e", *many("topics", ["news"]))
    found = {need.action for need in of(env, Purpose.snapshot).needs.found}

    assert {one.call.action for kind in discover().values() for one in kind.complete_lists} <= found
    assert not {one for one in found if not one.partition(":")[2].startswith(("Describe", "Get", "List"))}
    assert not {need.action for need in of(env, Purpose.plan).needs.found} >= found


# --- too many names --------------------------------------------------------------------------------------------------


def compact(*resources: Resource, limit: int = 3) -> dict[str, set[tuple[str, tuple[str, ...]]]]:
    """Resources and the keys of conditions by action, of the compact policy."""
    found: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
    for need in compacted(of(environment("e", *resources)).needs, limit).found:
        what = need.resource.partition(f":{ACCOUNT}:")[2] or need.resource
        found.setdefault(need.action, set()).add((what, tuple(key for key, _ in need.conditions)))
    return found


NAMES = ["batch-a", "batch-b", "batch-c", "batch-d"]


def test_where_the_tag_is_as_narrow_it_stands_in_place_of_the_names() -> None:
    found = compact(*many("jobQueues", NAMES))

    assert {one for one in found["batch:CreateJobQueue"] if one[1]} == {("job-queue/*", (SENT,))}
    assert found["batch:UpdateJobQueue"] == found["batch:DeleteJobQueue"] == {("job-queue/*", (OWN,))}


def test_what_could_change_the_objects_of_others_keeps_the_beginning_of_the_names() -> None:
    found = compact(*many("jobDefinitions", NAMES), *many("eventRules", NAMES))

    assert found["batch:RegisterJobDefinition"] == {("job-definition/batch-*", (SENT,))}
    assert found["events:PutRule"] == {("rule/batch-*", (SENT,)), ("rule/*", (OWN,))}
    assert {what for what, _ in found["events:ListTagsForResource"]} == {"rule/batch-*", "rule/*", "rule/*/*"}


def test_names_without_a_common_beginning_stay_where_nothing_else_is_narrow() -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
    found = compact(*many("jobDefinitions", words))

    assert len(found["batch:RegisterJobDefinition"]) == 2 * len(words)
    assert found["batch:DeregisterJobDefinition"] == {("job-definition/*:*", (OWN,))}


def test_what_limits_permissions_is_never_widened_and_what_is_adopted_stays() -> None:
    adopted = many("jobQueues", ["old"], lifecycle=Lifecycle(adopt=True))
    found = compact(*many("roles", NAMES), *many("jobQueues", NAMES), *adopted)

    assert {what for what, _ in found["iam:CreateRole"]} == {f"role/{one}" for n in NAMES for one in (n, f"{n}-*")}
    assert found["batch:UpdateJobQueue"] == {("job-queue/*", (OWN,)), ("job-queue/old", ()), ("job-queue/old-*", ())}


def test_thousands_of_names_fit_the_policies_of_a_role_and_that_is_said() -> None:
    found = of(environment("e", *many("jobDefinitions", [f"report-{one:04}" for one in range(400)])))

    assert len(found.parts) <= policy.ATTACHED
    assert any("jobDefinitions have too many names" in note for note in found.notes)
    assert all(policy.size(part) <= policy.MANAGED for part in found.parts)


def test_no_compact_need_has_a_condition_that_its_action_does_not_know() -> None:
    resources = [*many("jobQueues", NAMES), *many("topics", NAMES), *many("logGroups", NAMES), *many("secrets", NAMES)]
    for need in compacted(of(environment("e", *resources)).needs, 1).found:
        for key, _ in need.conditions:
            types = [one for one in actions.types(need.action) if actions.whole(one, need.resource) == need.resource]
            assert all(actions.supports(need.action, one, key.partition("/")[0]) for one in types), need


# --- as YAML ---------------------------------------------------------------------------------------------------------


def test_the_yaml_means_the_same_policies() -> None:
    conditions = ((SENT, ("one", "yes")), ("iam:PolicyARN", ("arn:${partition}:iam::aws:policy/x",)))
    parts = [
        [Statement(frozenset({"sns:Publish"}), frozenset({"*"}))],
        [Statement(frozenset({"sns:A", "sns:B"}), frozenset({"arn:${partition}:sns:x", "y: z # no"}), conditions)],
    ]
    text = as_yaml.text(parts, "reconcile-apply", "reconcile permissions", ["what is wide"])

    read = YAML(typ="safe", pure=True).load(text)["policies"]
    assert [*read] == ["reconcile-apply-1", "reconcile-apply-2"]
    assert [one["policyDocument"] for one in read.values()] == [policy.document(part) for part in parts]
    assert "#   reconcile permissions\n#\n# What is wide.\n" in text
