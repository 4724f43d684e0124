"""Service environments: reading, the exact calls of every change, drift field by field, and what a check finds."""

from __future__ import annotations

import pytest

from reconciler.kinds.batch.service_environment import KIND
from reconciler.model import Call, Effect, On, Query, Reference, Sought, Template, Wait
from tests.support.batch_kinds import SCOPE, TAGS, answer, arn, compared, described, paths, want, words

BUSY = On(message="is being modified")
RELATED = On(message="found existing JobQueue relationship")
MISSING = On(message="does not exist")
DESCRIBE = Call("batch", "DescribeServiceEnvironments", {"serviceEnvironments": ["x"]})
LIMITS = [{"capacityUnit": "NUM_INSTANCES", "maxCapacity": 4}]
DECLARED = {"serviceEnvironmentType": "SAGEMAKER_TRAINING", "capacityLimits": LIMITS}
VALID = Wait(
    "service environment x VALID",
    DESCRIBE,
    "serviceEnvironments",
    until={"status": frozenset({"VALID"})},
    fail={"status": frozenset({"INVALID", "DELETED"})},
    timeout=600.0,
)
GONE = Wait(
    "service environment x deleted",
    DESCRIBE,
    "serviceEnvironments",
    until={"status": frozenset({"DELETED"})},
    gone=True,
)
DISABLED = Wait(
    "service environment x DISABLED",
    DESCRIBE,
    "serviceEnvironments",
    until={"status": frozenset({"VALID", "INVALID", "DELETED"})},
    gone=True,
)


def item(**members):
    return {
        "serviceEnvironmentName": "x",
        "serviceEnvironmentArn": arn("service-environment/x"),
        "serviceEnvironmentType": "SAGEMAKER_TRAINING",
        "state": "ENABLED",
        "status": "VALID",
        "capacityLimits": LIMITS,
        "tags": {},
    } | members


def live(**members):
    return described(KIND, "serviceEnvironments", item(**members))


def update(**members):
    return Call("batch", "UpdateServiceEnvironment", {"serviceEnvironment": "x", **members}, retry_on=(BUSY,))


def typed(*units):
    return [{"capacityUnit": unit, "maxCapacity": 1} for unit in units]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_one_sweep_answers_owned_and_sought():
    items = [
        item(serviceEnvironmentName="mine", tags=TAGS),
        item(serviceEnvironmentName="strange"),
        item(),
        item(serviceEnvironmentName="was", status="DELETED", tags=TAGS),
    ]

    calls, lives = answer(KIND, Query(SCOPE, (Sought("x"),), owned=True, indexed=False), {"serviceEnvironments": items})

    assert calls == [Call("batch", "DescribeServiceEnvironments", {})]
    assert [found.physical for found in lives] == ["mine", "x"]


def test_what_is_read():
    found = live(tags=TAGS)

    assert found.attrs == {"name": "x", "arn": arn("service-environment/x")}
    assert found.props == {**DECLARED, "state": "ENABLED"}
    assert found.tags == TAGS


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        ("VALID", (True, False, False)),
        ("INVALID", (True, False, True)),
        ("CREATING", (False, False, False)),
        ("UPDATING", (False, False, False)),
        ("DELETING", (False, True, False)),
    ],
)
def test_states(status, facts):
    found = live(status=status)

    assert (found.settled, found.deleting, found.invalid) == facts
    assert KIND.wait_until_settled(found) == [VALID]


# --- writing ---------------------------------------------------------------------------------------------------------


def test_create():
    pasted = {**DECLARED, "serviceEnvironmentName": "x", "serviceEnvironmentArn": "a", "status": "VALID"}
    params = {"serviceEnvironmentName": "x", **DECLARED, "tags": TAGS}

    assert KIND.create(want(KIND, pasted)) == [
        Call("batch", "CreateServiceEnvironment", params, retry_on=(BUSY,)),
        VALID,
    ]


@pytest.mark.parametrize(
    ("there", "declared", "sent"),
    [
        ({}, {**DECLARED, "state": "DISABLED"}, {"state": "DISABLED"}),
        ({"state": "DISABLED"}, DECLARED, {"state": "ENABLED"}),
        (
            {},
            {**DECLARED, "capacityLimits": typed("ml.a", "ml.b")},
            {"capacityLimits": typed("ml.a", "ml.b")},
        ),
    ],
)
def test_update(there, declared, sent):
    found = live(**there)

    assert KIND.update(found, want(KIND, declared), compared(KIND, found, declared)) == [update(**sent), VALID]


def test_repair_sends_it_again():
    assert KIND.repair(live(status="INVALID"), want(KIND, DECLARED)) == [
        update(capacityLimits=LIMITS, state="ENABLED"),
        VALID,
    ]


def test_delete():
    off = Call(
        "batch",
        "UpdateServiceEnvironment",
        {"serviceEnvironment": "x", "state": "DISABLED"},
        retry_on=(BUSY,),
        ok_if=(MISSING,),
    )
    call = Call(
        "batch", "DeleteServiceEnvironment", {"serviceEnvironment": "x"}, retry_on=(BUSY, RELATED), ok_if=(MISSING,)
    )

    assert KIND.delete(live(), {}) == [off, DISABLED, call, GONE]
    assert KIND.delete(live(state="DISABLED"), {}) == [call, GONE]


# --- comparing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "declared"),
    [
        ({}, DECLARED),
        ({}, {**DECLARED, "state": "ENABLED"}),
        ({}, {**DECLARED, "capacityLimits": [{"maxCapacity": 4}]}),
        ({"capacityLimits": typed("ml.b", "ml.a")}, {**DECLARED, "capacityLimits": typed("ml.a", "ml.b")}),
    ],
)
def test_the_same(there, declared):
    assert paths(compared(KIND, live(**there), declared)) == []


@pytest.mark.parametrize(
    ("there", "path", "effect", "said"),
    [
        ({"state": "DISABLED"}, "state", Effect.IN_PLACE, "not affected"),
        (
            {"capacityLimits": [{"capacityUnit": "NUM_INSTANCES", "maxCapacity": 5}]},
            "capacityLimits.NUM_INSTANCES.maxCapacity",
            Effect.IN_PLACE,
            "not affected",
        ),
        ({"serviceEnvironmentType": "OTHER"}, "serviceEnvironmentType", Effect.REPLACE, "the queues move"),
    ],
)
def test_what_differs(there, path, effect, said):
    found = live(**there)
    diff = compared(KIND, found, DECLARED)

    assert [(paths(diff), change.effect) for change in diff.changes] == [([path], effect)]
    assert KIND.disruption(found, want(KIND, DECLARED), diff).startswith(said)


def test_disabling_is_told():
    declared = {**DECLARED, "state": "DISABLED"}

    assert "no new service jobs" in KIND.disruption(live(), want(KIND, declared), compared(KIND, live(), declared))


# --- checks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ([], "capacityLimits: error: capacityLimits is empty"),
        (typed(*(f"ml.{n}" for n in range(6))), "capacityLimits.5: error: capacityLimits has 6 entries; 5 at most"),
        (typed("ml.a", "ml.a"), "capacityLimits.1.capacityUnit: error: two limits for ml.a"),
        ([{"maxCapacity": 1}, *LIMITS], "capacityLimits.1.capacityUnit: error: two limits for NUM_INSTANCES"),
        ([*LIMITS, *typed("ml.a")], "capacityLimits.1: error: NUM_INSTANCES cannot be combined with instance types"),
        (typed("m5.large"), "capacityLimits.0.capacityUnit: error:"),
    ],
)
def test_limits_that_would_be_refused(limits, said):
    (line,) = words(KIND, {**DECLARED, "capacityLimits": limits})

    assert said in line


def test_what_passes():
    some = Template((Reference("lookups", "${lookups.x}", attr="x"),))

    assert words(KIND, DECLARED) == []
    assert words(KIND, {**DECLARED, "capacityLimits": typed("ml.a", "ml.b")}) == []
    assert words(KIND, {**DECLARED, "capacityLimits": some}) == []
    assert words(KIND, {**DECLARED, "capacityLimits": [some, {"capacityUnit": some, "maxCapacity": some}]}) == []


def test_names():
    assert "cannot name a service environment" in words(KIND, DECLARED, "a/b")[0]
