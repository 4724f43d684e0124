"""Consumable resources: reading, the exact calls of every change, drift field by field, and what a check finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.kinds.batch.consumable_resource import KIND
from reconciler.model import Call, Effect, On, Query, Reference, Refused, Sought, Template, Unreadable
from tests.support.batch_kinds import SCOPE, TAGS, arn, compared, paths, steps, want, words

BUSY = On(message="is being modified")
MISSING = On(message="does not exist")
ARN = arn("consumable-resource/x")
SET_LAST = "reconciler/totalQuantity"
LIST = Call("batch", "ListConsumableResources", {}, all_pages=True)
USED_UP = {"resourceType": "NON_REPLENISHABLE", "totalQuantity": 100}


def describe(name="x"):
    return Call("batch", "DescribeConsumableResource", {"consumableResource": name})


def item(name="x", **members):
    return {
        "consumableResourceName": name,
        "consumableResourceArn": arn(f"consumable-resource/{name}"),
        "totalQuantity": 5,
        "inUseQuantity": 2,
        "availableQuantity": 3,
        "resourceType": "REPLENISHABLE",
        "createdAt": 1735689600000,
        "tags": {},
    } | members


def listed(*names):
    return {"consumableResources": [{"consumableResourceName": name} for name in names]}


def live(**members):
    _, (found,) = steps(KIND, Query(SCOPE, (Sought("x"),)), [item(**members)])
    return found


def update(quantity):
    params = {"consumableResource": "x", "operation": "SET", "quantity": quantity}
    return Call("batch", "UpdateConsumableResource", params, retry_on=(BUSY,))


def noted(total):
    return Call("batch", "TagResource", {"resourceArn": ARN, "tags": {SET_LAST: total}}, retry_on=(BUSY,))


# --- reading ---------------------------------------------------------------------------------------------------------


def test_owned_ones_are_found_by_describing_all_where_the_index_cannot_be_asked():
    items = [item("mine", tags=TAGS), item("strange"), item()]

    calls, lives = steps(
        KIND,
        Query(SCOPE, (Sought("x"),), owned=True, indexed=False),
        [listed("strange", "mine"), items[2]],
        items[:2],
    )

    assert calls == [[LIST, describe()], [describe("mine"), describe("strange")]]
    assert [found.physical for found in lives] == ["mine", "x"]


def test_only_sought_ones_are_described_where_none_are_owned():
    calls, _ = steps(KIND, Query(SCOPE, (Sought("x"),)), [item()])

    assert calls == [[describe()]]


def test_what_is_read():
    found = live(tags=TAGS)

    assert found.attrs == {"name": "x", "arn": ARN}
    assert found.props == {"totalQuantity": 5, "resourceType": "REPLENISHABLE"}
    assert found.tags == TAGS


@pytest.mark.parametrize(
    ("names", "message"), [(["x"], f"{ARN} does not exist"), ([], "does not exist"), ([], "There is no such resource.")]
)
def test_what_is_not_there(names, message):
    gone = Refused("ClientException", message)

    assert steps(KIND, Query(SCOPE, (Sought("x"),)), [gone], [listed(*names)])[1] == []


@pytest.mark.parametrize(
    ("names", "refused"),
    [(["x"], Refused("ClientException", "something else")), ([], Refused("AccessDeniedException", "no"))],
)
def test_other_refusals_are_no_absence(names, refused):
    with pytest.raises(Unreadable):
        steps(KIND, Query(SCOPE, (Sought("x"),)), [refused], [listed(*names)])


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "sent", "tags"),
    [
        ({"totalQuantity": 5}, {"totalQuantity": 5}, {}),
        ({}, {}, {}),
        (USED_UP, USED_UP, {SET_LAST: "100"}),
        ({"resourceType": "NON_REPLENISHABLE"}, {"resourceType": "NON_REPLENISHABLE"}, {SET_LAST: "0"}),
        (item(), {"totalQuantity": 5, "resourceType": "REPLENISHABLE", "tags": {}}, {}),
    ],
)
def test_create(declared, sent, tags):
    (call,) = KIND.create(want(KIND, declared))

    assert call.operation == "CreateConsumableResource"
    assert call.params == {"consumableResourceName": "x", **sent, "tags": {**TAGS, **tags}}


def test_a_total_is_set():
    there, declared = live(), {"totalQuantity": 9}

    assert KIND.update(there, want(KIND, declared), compared(KIND, there, declared)) == [update(9)]


def test_a_total_that_jobs_use_up_is_noted_as_well():
    there = live(resourceType="NON_REPLENISHABLE", totalQuantity=40, tags={SET_LAST: "100"})
    declared = {**USED_UP, "totalQuantity": 150}

    assert KIND.update(there, want(KIND, declared), compared(KIND, there, declared)) == [update(150), noted("150")]


def test_delete():
    assert KIND.delete(live(), {}) == [
        Call("batch", "DeleteConsumableResource", {"consumableResource": "x"}, retry_on=(BUSY,), ok_if=(MISSING,))
    ]


# --- comparing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "declared"),
    [
        ({}, {"totalQuantity": 5}),
        ({}, {"totalQuantity": 5, "resourceType": "REPLENISHABLE"}),
        ({"inUseQuantity": 5, "availableQuantity": 0}, {"totalQuantity": 5}),
        ({}, {}),
        ({"resourceType": "NON_REPLENISHABLE", "totalQuantity": 3, "tags": {SET_LAST: "100"}}, USED_UP),
        ({"resourceType": "NON_REPLENISHABLE", "totalQuantity": 3}, USED_UP),
        ({"resourceType": "NON_REPLENISHABLE", "totalQuantity": 3}, {"resourceType": "NON_REPLENISHABLE"}),
    ],
)
def test_the_same(there, declared):
    assert paths(compared(KIND, live(**there), declared)) == []


@pytest.mark.parametrize(
    ("there", "declared", "path", "effect"),
    [
        ({}, {"totalQuantity": 6}, "totalQuantity", Effect.IN_PLACE),
        ({}, {"totalQuantity": 0}, "totalQuantity", Effect.IN_PLACE),
        ({"resourceType": "NON_REPLENISHABLE"}, {"totalQuantity": 5}, "resourceType", Effect.REPLACE),
        ({"totalQuantity": 100}, USED_UP, "resourceType", Effect.REPLACE),
        (
            {"resourceType": "NON_REPLENISHABLE", "totalQuantity": 3, "tags": {SET_LAST: "50"}},
            USED_UP,
            "totalQuantity",
            Effect.IN_PLACE,
        ),
    ],
)
def test_what_differs(there, declared, path, effect):
    found = compared(KIND, live(**there), declared)

    assert [(paths(found), change.effect) for change in found.changes] == [([path], effect)]


def test_what_is_left_of_it_is_told():
    there = live(resourceType="NON_REPLENISHABLE", totalQuantity=3, tags={SET_LAST: "100"})

    (note,) = KIND.notes(there, want(KIND, USED_UP))

    assert note.startswith("3 remaining: what jobs use up")
    assert list(KIND.notes(live(), want(KIND, {"totalQuantity": 9}))) == []
    assert list(KIND.notes(replace(there, tags={SET_LAST: "50"}), want(KIND, USED_UP))) == []
    assert KIND.adoption_tags(there, want(KIND, USED_UP)) == {SET_LAST: "100"}
    assert KIND.adoption_tags(live(), want(KIND, {"totalQuantity": 9})) == {}


@pytest.mark.parametrize(
    ("there", "declared", "said"),
    [
        ({}, {"totalQuantity": 1}, "jobs that need more than the new quantity wait"),
        ({}, {"totalQuantity": 9}, "not affected"),
        ({}, USED_UP, "deleted and created again under the same name"),
    ],
)
def test_what_jobs_notice(there, declared, said):
    found = live(**there)

    assert KIND.disruption(found, want(KIND, declared), compared(KIND, found, declared)).startswith(said)


# --- checks ----------------------------------------------------------------------------------------------------------


def test_checks():
    some = Template((Reference("lookups", "${lookups.x}", attr="x"),))

    assert words(KIND, {"totalQuantity": 1}) == words(KIND, {"totalQuantity": 0}) == []
    assert words(KIND, {"totalQuantity": some, "resourceType": some}) == []
    assert "warning: totalQuantity is missing" in words(KIND, {})[0]
    assert "cannot name a consumable resource" in words(KIND, {"totalQuantity": 1}, "-x")[0]
