"""Scheduling policies: reading, the exact calls of every change, drift field by field, and what a check finds."""

from __future__ import annotations

import pytest

from reconciler.kinds.batch.scheduling_policy import KIND
from reconciler.model import Call, Effect, On, Query, Reference, Refused, Sought, Template, Unreadable
from tests.support.batch_kinds import SCOPE, TAGS, arn, compared, paths, steps, want, words

BUSY = On(message="is being modified")
RELATED = On(message="found existing JobQueue relationship")
MISSING = On(message="does not exist")
ARN = arn("scheduling-policy/x")
SHARES = [{"shareIdentifier": "a", "weightFactor": 0.5}, {"shareIdentifier": "b*"}]
FAIR = {"fairsharePolicy": {"shareDecaySeconds": 60, "computeReservation": 1, "shareDistribution": SHARES}}
QUOTA = {"quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}}


def item(**members):
    return {"name": "x", "arn": ARN, "tags": {}} | members


def live(**members):
    _, (found,) = steps(KIND, Query(SCOPE, (Sought("x"),)), [{"schedulingPolicies": [item(**members)]}])
    return found


def fair(**members):
    return {"fairsharePolicy": members}


# --- reading ---------------------------------------------------------------------------------------------------------


def test_sought_ones_are_described_by_the_arn_they_would_have():
    names = [f"p{number:03}" for number in range(101)]
    none = {"schedulingPolicies": []}

    calls, lives = steps(KIND, Query(SCOPE, tuple(map(Sought, names))), [none, none])

    arns = [arn(f"scheduling-policy/{name}") for name in names]
    assert calls == [
        [
            Call("batch", "DescribeSchedulingPolicies", {"arns": arns[:100]}),
            Call("batch", "DescribeSchedulingPolicies", {"arns": arns[100:]}),
        ]
    ]
    assert lives == []


def test_owned_ones_are_listed_first_where_the_index_cannot_be_asked():
    listed = {"schedulingPolicies": [{"arn": ARN}, {"arn": arn("scheduling-policy/strange")}]}
    items = {"schedulingPolicies": [item(tags=TAGS, **FAIR), item(name="strange")]}

    calls, lives = steps(KIND, Query(SCOPE, owned=True, indexed=False), [listed], [items])

    assert calls[0] == [Call("batch", "ListSchedulingPolicies", {}, all_pages=True)]
    assert calls[1][0].params == {"arns": [arn("scheduling-policy/strange"), ARN]}
    assert [(found.physical, found.attrs, found.props, found.tags) for found in lives] == [
        ("x", {"name": "x", "arn": ARN}, FAIR, TAGS)
    ]


def test_a_refusal_is_not_an_absence():
    with pytest.raises(Unreadable):
        steps(KIND, Query(SCOPE, owned=True), [Refused("AccessDeniedException", "no")])


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [FAIR, QUOTA, {}])
def test_create(declared):
    assert KIND.create(want(KIND, {**declared, "name": "x", "arn": ARN})) == [
        Call("batch", "CreateSchedulingPolicy", {"name": "x", **declared, "tags": TAGS}, retry_on=(BUSY,))
    ]


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        (
            fair(shareDistribution=[{"shareIdentifier": "a"}]),
            fair(
                shareDecaySeconds=0,
                computeReservation=0,
                shareDistribution=[{"shareIdentifier": "a", "weightFactor": 1.0}],
            ),
        ),
        (fair(computeReservation=5), fair(shareDecaySeconds=0, computeReservation=5, shareDistribution=[])),
        ({}, fair(shareDecaySeconds=0, computeReservation=0, shareDistribution=[])),
        (QUOTA, QUOTA),
    ],
)
def test_an_update_is_always_complete(declared, sent):
    there = live(**FAIR)
    wanted = want(KIND, declared)

    assert KIND.update(there, wanted, compared(KIND, there, declared)) == [
        Call("batch", "UpdateSchedulingPolicy", {"arn": ARN, **sent}, retry_on=(BUSY,))
    ]


def test_delete():
    assert KIND.delete(live(), {}) == [
        Call("batch", "DeleteSchedulingPolicy", {"arn": ARN}, retry_on=(BUSY, RELATED), ok_if=(MISSING,))
    ]


# --- comparing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "declared"),
    [
        (FAIR, FAIR),
        (fair(shareDecaySeconds=0, computeReservation=0, shareDistribution=[]), {}),
        ({}, fair(shareDecaySeconds=0)),
        (
            fair(shareDistribution=[{"shareIdentifier": "a", "weightFactor": 1.0}]),
            fair(shareDistribution=[{"shareIdentifier": "a"}]),
        ),
        (
            fair(shareDistribution=[{"shareIdentifier": "a", "weightFactor": 0.10000000149011612}]),
            fair(shareDistribution=[{"shareIdentifier": "a", "weightFactor": 0.1}]),
        ),
        (
            fair(shareDistribution=[{"shareIdentifier": "a", "weightFactor": 999.9998779296875}]),
            fair(shareDistribution=[{"shareIdentifier": "a", "weightFactor": 999.9999}]),
        ),
        (fair(shareDistribution=SHARES[::-1]), fair(shareDistribution=SHARES)),
        (QUOTA, QUOTA),
    ],
)
def test_the_same(there, declared):
    assert paths(compared(KIND, live(**there), declared)) == []


@pytest.mark.parametrize(
    ("there", "declared", "path"),
    [
        (fair(shareDecaySeconds=1), {}, "fairsharePolicy.shareDecaySeconds"),
        (fair(computeReservation=1), fair(computeReservation=2), "fairsharePolicy.computeReservation"),
        (
            fair(shareDistribution=SHARES),
            fair(shareDistribution=[{**SHARES[0], "weightFactor": 0.5001}, SHARES[1]]),
            "fairsharePolicy.shareDistribution.a.weightFactor",
        ),
        (
            fair(shareDistribution=SHARES),
            fair(shareDistribution=SHARES[:1]),
            "fairsharePolicy.shareDistribution.b*.weightFactor",
        ),
    ],
)
def test_what_differs_within_a_kind_is_changed_in_place(there, declared, path):
    found = compared(KIND, live(**there), declared)

    assert paths(found) == [path]
    assert {change.effect for change in found.changes} == {Effect.IN_PLACE}


@pytest.mark.parametrize(("there", "declared"), [(FAIR, QUOTA), (QUOTA, FAIR), (QUOTA, {}), ({}, QUOTA)])
def test_the_kind_of_a_policy_is_for_life(there, declared):
    found = compared(KIND, live(**there), declared)

    assert found.replaces
    assert {change.because for change in found.changes} == {"a policy cannot change between fair-share and quota-share"}
    assert "queues move" in KIND.disruption(live(**there), want(KIND, declared), found)


# --- checks ----------------------------------------------------------------------------------------------------------


def shares(*names):
    return fair(shareDistribution=[{"shareIdentifier": name} for name in names])


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({**FAIR, **QUOTA}, "quotaSharePolicy: error: fairsharePolicy cannot be combined with quotaSharePolicy"),
        (shares("a", "a"), '1.shareIdentifier: error: two weights for the share "a"'),
        (shares("team*", "team1"), '1.shareIdentifier: error: "team1" overlaps "team*", and AWS allows no overlap'),
        (shares("team1*", "team*"), '0.shareIdentifier: error: "team1*" overlaps "team*", and AWS allows no overlap'),
        (shares("*"), '0.shareIdentifier: error: "*" is not a share identifier'),
        (shares(""), '0.shareIdentifier: error: "" is not a share identifier'),
        (shares("a*b"), "an asterisk is allowed only at the end"),
        (shares("a" * 256), "has 256 characters; 255 at most"),
        (shares("team-a"), "0.shareIdentifier: warning:"),
        (shares(*(f"s{n}" for n in range(501))), "shareDistribution.500: error: 501 share identifiers; 500 at most"),
    ],
)
def test_what_would_be_refused(declared, said):
    (line,) = words(KIND, declared)

    assert said in line


@pytest.mark.parametrize("declared", [FAIR, QUOTA, {}, shares("a*", "b"), fair(shareDistribution=None)])
def test_what_passes(declared):
    assert words(KIND, declared) == []


def test_expressions_are_not_judged():
    some = Template((Reference("lookups", "${lookups.x}", attr="x"),))

    assert words(KIND, {"fairsharePolicy": some}) == []
    assert words(KIND, fair(shareDistribution=some)) == []
    assert words(KIND, shares(some, "a")) == []


def test_a_name_that_aws_would_not_take():
    assert [line.split(" (")[0] for line in words(KIND, {}, "a.b")] == [
        ': error: "a.b" cannot name a scheduling policy: "." is not allowed in it'
    ]
