"""Scheduling policies, consumable resources, service environments and quota shares through their whole lives: created,
nothing more to do, every property changed in place, replaced where they must be, taken down in an order AWS accepts.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from reconciler.model import Address, Verb
from tests.support.histories import Door, History, Killed
from tests.support.long import across, some_rows

SAGE = {
    "schedulingPolicies": {"quota": {"quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}}},
    "serviceEnvironments": {
        "se": {
            "serviceEnvironmentType": "SAGEMAKER_TRAINING",
            "capacityLimits": [{"capacityUnit": "ml.m5.large", "maxCapacity": 8}],
        }
    },
    "jobQueues": {
        "training": {
            "priority": 1,
            "jobQueueType": "SAGEMAKER_TRAINING",
            "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "se"}],
            "schedulingPolicyArn": "quota",
        }
    },
    "quotaShares": {
        "training/a": {
            "capacityLimits": [{"capacityUnit": "ml.m5.large", "maxCapacity": 4}],
            "resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW"},
            "preemptionConfiguration": {"inSharePreemption": "ENABLED"},
        }
    },
}
FAIR = {
    "schedulingPolicies": {
        "fair": {
            "fairsharePolicy": {
                "shareDecaySeconds": 3600,
                "computeReservation": 10,
                "shareDistribution": [{"shareIdentifier": "b", "weightFactor": 0.1}, {"shareIdentifier": "a*"}],
            },
            "tags": {"t": "1"},
        }
    },
    "consumableResources": {"licence": {"totalQuantity": 5}},
    "jobDefinitions": {
        "one": {
            "type": "container",
            "containerProperties": {"image": "alpine", "vcpus": 1, "memory": 64},
            "consumableResourceProperties": {
                "consumableResourceList": [{"consumableResource": "licence", "quantity": 1}]
            },
        },
        "many": {
            "type": "multinode",
            "nodeProperties": {
                "numNodes": 2,
                "mainNode": 0,
                "nodeRangeProperties": [
                    {
                        "targetNodes": "0:",
                        "container": {"image": "alpine", "vcpus": 1, "memory": 64},
                        "consumableResourceProperties": {
                            "consumableResourceList": [{"consumableResource": "licence", "quantity": 2}]
                        },
                    }
                ],
            },
        },
    },
}


def changed(stack: dict[str, Any], section: str, name: str, **members: Any) -> dict[str, Any]:
    """The stack with members of one resource set, or left out where they are None."""
    other = copy.deepcopy(stack)
    merged = {**other[section][name], **members}
    other[section][name] = {member: value for member, value in merged.items() if value is not None}
    return other


def moved(history: History, stack: dict[str, Any], **options: Any) -> list[str]:
    """The writes that brought the account to the stack, waits for it to be so."""
    env = history.environment(stack)
    door = Door(history.aws)
    outcome = history.run(env, door, **options)
    assert outcome.ok, history.failures()
    history.expect_nothing(env)
    return [write.removeprefix("batch:") for write in door.writes]


@pytest.fixture
def history(sandbox: Any) -> History:
    return History(sandbox)


@pytest.mark.parametrize("lag", [0, 60])
@pytest.mark.parametrize("stack", [SAGE, FAIR], ids=["sagemaker", "fair share"])
def test_built_in_order_and_taken_down_in_order(sandbox, history, stack, lag):
    sandbox.change({"relationship_lag": lag, "shuffle": 3})
    made = moved(history, stack)

    history.destroy(history.environment(stack))

    if stack is SAGE:
        assert made.index("CreateJobQueue") > max(
            made.index("CreateSchedulingPolicy"), made.index("CreateServiceEnvironment")
        )
        assert made.index("CreateQuotaShare") > made.index("CreateJobQueue")


@pytest.mark.parametrize("unknown", ["ok", "does not exist"])
def test_what_is_no_longer_declared_goes_users_first(sandbox, history, unknown):
    sandbox.change({"unknown_delete": unknown})
    moved(history, {**SAGE, "logGroups": {"/keep": {}}})

    gone = moved(history, {"logGroups": {"/keep": {}}}, allow_deletions=10)

    kept = [write for write in gone if write.startswith("Delete")]
    assert kept[:2] == ["DeleteQuotaShare", "DeleteJobQueue"]
    assert set(kept[2:]) == {"DeleteSchedulingPolicy", "DeleteServiceEnvironment"}


LIMITS = [{"capacityUnit": "ml.m5.large", "maxCapacity": 2}, {"capacityUnit": "ml.g5.xlarge", "maxCapacity": 1}]
UPDATES = [
    ("schedulingPolicies", "fair", {"fairsharePolicy": {"shareDecaySeconds": 60}}, "UpdateSchedulingPolicy"),
    (
        "schedulingPolicies",
        "fair",
        {"fairsharePolicy": {"shareDistribution": [{"shareIdentifier": "b", "weightFactor": 0.2}]}},
        "UpdateSchedulingPolicy",
    ),
    ("schedulingPolicies", "fair", {"fairsharePolicy": None}, "UpdateSchedulingPolicy"),
    ("schedulingPolicies", "fair", {"tags": {"t": "2"}}, "TagResource"),
    ("schedulingPolicies", "fair", {"tags": None}, "UntagResource"),
    ("consumableResources", "licence", {"totalQuantity": 9}, "UpdateConsumableResource"),
    ("consumableResources", "licence", {"totalQuantity": 0}, "UpdateConsumableResource"),
    ("consumableResources", "licence", {"tags": {"t": "2"}}, "TagResource"),
    ("serviceEnvironments", "se", {"capacityLimits": LIMITS}, "UpdateServiceEnvironment"),
    ("serviceEnvironments", "se", {"capacityLimits": [{"maxCapacity": 3}]}, "UpdateServiceEnvironment"),
    ("serviceEnvironments", "se", {"state": "DISABLED"}, "UpdateServiceEnvironment"),
    ("serviceEnvironments", "se", {"tags": {"t": "2"}}, "TagResource"),
    ("quotaShares", "training/a", {"capacityLimits": LIMITS}, "UpdateQuotaShare"),
    ("quotaShares", "training/a", {"state": "DISABLED"}, "UpdateQuotaShare"),
    (
        "quotaShares",
        "training/a",
        {"resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW", "borrowLimit": 50}},
        "UpdateQuotaShare",
    ),
    ("quotaShares", "training/a", {"resourceSharingConfiguration": {"strategy": "RESERVE"}}, "UpdateQuotaShare"),
    ("quotaShares", "training/a", {"preemptionConfiguration": {"inSharePreemption": "DISABLED"}}, "UpdateQuotaShare"),
    ("quotaShares", "training/a", {"tags": {"t": "2"}}, "TagResource"),
]


@pytest.mark.parametrize(("section", "name", "members", "call"), some_rows(UPDATES, 3))
def test_every_property_changes_in_place_and_back(history, section, name, members, call):
    stack = next(one for one in (SAGE, FAIR) if name in one.get(section, {}))
    other = changed(stack, section, name, **members)
    moved(history, stack)

    assert moved(history, other) == [call]
    moved(history, stack)


def test_a_policy_of_the_other_kind_takes_its_place_under_another_name(history):
    moved(history, FAIR)
    other = {**FAIR, "schedulingPolicies": {"fair": SAGE["schedulingPolicies"]["quota"]}}

    planned = history.plan(history.environment(other)).plan

    (found,) = [one for one in planned.resources if one.verb is Verb.REPLACE]
    assert (str(found.address), found.create_first) == ("schedulingPolicies.fair", True)
    assert moved(history, other) == ["CreateSchedulingPolicy", "DeleteSchedulingPolicy"]


@pytest.mark.parametrize(("section", "name"), [("schedulingPolicies", "quota"), ("serviceEnvironments", "se")])
def test_the_queue_moves_to_what_takes_the_place_of_another(history, section, name):
    moved(history, SAGE)

    made = moved(history, SAGE, replace=frozenset({Address(section, name)}))

    noun = {"schedulingPolicies": "SchedulingPolicy", "serviceEnvironments": "ServiceEnvironment"}[section]
    order = [made.index(f"Create{noun}"), made.index("UpdateJobQueue"), made.index(f"Delete{noun}")]
    assert order == sorted(order)
    history.destroy(history.environment(SAGE))


def test_a_consumable_of_another_type_is_deleted_first_and_keeps_its_name(history):
    moved(history, FAIR)
    other = changed(FAIR, "consumableResources", "licence", resourceType="NON_REPLENISHABLE")

    assert moved(history, other, allow_deletions=1) == ["DeleteConsumableResource", "CreateConsumableResource"]


def test_what_jobs_use_up_is_no_drift_until_the_declared_number_changes(sandbox, history):
    stack = changed(FAIR, "consumableResources", "licence", resourceType="NON_REPLENISHABLE", totalQuantity=100)
    moved(history, stack)
    batch = sandbox.client("batch")
    batch.update_consumable_resource(consumableResource="licence", operation="REMOVE", quantity=40)

    env = history.environment(stack)
    history.expect_nothing(env)
    (told,) = [one.notes for one in history.plan(env).plan.resources if one.address.name == "licence"]
    assert "60 remaining" in told[0]
    more = changed(stack, "consumableResources", "licence", totalQuantity=200)
    assert moved(history, more) == ["UpdateConsumableResource", "TagResource"]
    assert batch.describe_consumable_resource(consumableResource="licence")["totalQuantity"] == 200


def test_a_total_that_somebody_changed_is_set_again_each_time(sandbox, history):
    moved(history, FAIR)
    for _ in range(2):
        sandbox.client("batch").update_consumable_resource(
            consumableResource="licence", operation="SET", quantity=1, clientToken="x"
        )
        sandbox.advance(9 * 3600)
        assert moved(history, FAIR) == ["UpdateConsumableResource"]


def test_what_exists_is_taken_over(sandbox, history):
    batch = sandbox.client("batch")
    batch.create_consumable_resource(
        consumableResourceName="licence", resourceType="NON_REPLENISHABLE", totalQuantity=3
    )
    batch.create_scheduling_policy(name="fair", fairsharePolicy={"shareDecaySeconds": 1})
    stack = changed(FAIR, "consumableResources", "licence", resourceType="NON_REPLENISHABLE", totalQuantity=100)

    moved(history, stack, adopt=True)

    assert batch.describe_consumable_resource(consumableResource="licence")["totalQuantity"] == 3
    more = changed(stack, "consumableResources", "licence", totalQuantity=50)
    assert moved(history, more) == ["UpdateConsumableResource", "TagResource"]


def test_a_share_of_a_queue_that_is_declared_elsewhere(history):
    here = {"quotaShares": SAGE["quotaShares"]}
    missing = history.plan(history.environment(here)).problems
    assert [problem.code for problem in missing] == ["unknown-reference"]

    moved(history, {**SAGE, "quotaShares": {}})
    neighbour = History(history.sandbox, name="neighbour")
    moved(neighbour, here)
    neighbour.destroy(neighbour.environment(here))


@pytest.mark.parametrize(("dies_at", "after"), across(range(10), [False, True], 9))
def test_killed_anywhere_the_next_run_ends_it(history, dies_at, after):
    stack = {section: {**SAGE.get(section, {}), **FAIR.get(section, {})} for section in {*SAGE, *FAIR}}
    env = history.environment(stack)
    with pytest.raises(Killed):
        history.run(env, Door(history.aws, dies_at=min(dies_at, 7), after=after))
    history.converge(env)
    with pytest.raises(Killed):
        history.run(env, Door(history.aws, dies_at=dies_at, after=after), destroy=True)
    history.destroy(env)
