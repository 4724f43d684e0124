"""Job queues: reading, the exact calls of every change, drift field by field, and what a check finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.kinds.batch.job_queue.kind import KIND
from reconciler.model import OWNER_TAG, Call, Effect, On, Query, Reference, Refused, Sought, Template, Unreadable, Wait
from tests.support.batch_kinds import SCOPE, TAGS, answer, arn, compared, described, paths, want, words

BUSY = On(message="is being modified")
ATTACH = On(message="valid before attaching")
MISSING = On(message="does not exist")
DESCRIBE = Call("batch", "DescribeJobQueues", {"jobQueues": ["x"]})
CE1, CE2 = arn("compute-environment/one"), arn("compute-environment/two")
POLICY, OTHER_POLICY = arn("scheduling-policy/p"), arn("scheduling-policy/q")
DECLARED = {"priority": 1, "computeEnvironmentOrder": [{"order": 0, "computeEnvironment": CE1}]}
LIMIT = {"reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "state": "RUNNABLE", "maxTimeSeconds": 600}
VALID = Wait(
    "job queue x VALID",
    DESCRIBE,
    "jobQueues",
    until={"status": frozenset({"VALID"})},
    fail={"status": frozenset({"INVALID", "DELETED"})},
    soonest=2.0,
    timeout=600.0,
)
GONE = Wait(
    "job queue x deleted", DESCRIBE, "jobQueues", until={"status": frozenset({"DELETED"})}, gone=True, soonest=5.0
)
SETTLED = Wait(
    "job queue x DISABLED",
    DESCRIBE,
    "jobQueues",
    until={"status": frozenset({"VALID", "INVALID", "DELETED"})},
    gone=True,
    soonest=2.0,
)


def item(**members):
    """A queue as DescribeJobQueues shows it."""
    return {
        "jobQueueName": "x",
        "jobQueueArn": arn("job-queue/x"),
        "state": "ENABLED",
        "status": "VALID",
        "statusReason": "JobQueue Healthy",
        "priority": 1,
        "computeEnvironmentOrder": [{"order": 0, "computeEnvironment": CE1}],
        "tags": {},
        "jobStateTimeLimitActions": [],
    } | members


def live(**members):
    return described(KIND, "jobQueues", item(**members))


def update(**members):
    return Call("batch", "UpdateJobQueue", {"jobQueue": "x", **members}, retry_on=(BUSY, ATTACH))


def updated(declared, **members):
    found, wanted = live(**members), want(KIND, declared)
    return list(KIND.update(found, wanted, compared(KIND, found, declared)))


# --- reading ---------------------------------------------------------------------------------------------------------


def test_reads_sought_names_in_hundreds_without_paging():
    names = [f"q{number:03}" for number in range(150)]

    calls, lives = answer(
        KIND, Query(SCOPE, tuple(Sought(name) for name in names)), {"jobQueues": []}, {"jobQueues": []}
    )

    assert [
        Call("batch", "DescribeJobQueues", {"jobQueues": names[:100]}),
        Call("batch", "DescribeJobQueues", {"jobQueues": names[100:]}),
    ] == calls
    assert lives == []


def test_one_sweep_answers_owned_and_sought():
    items = [
        item(jobQueueName="mine", tags=TAGS),
        item(jobQueueName="sought"),
        item(jobQueueName="strange", tags={OWNER_TAG: "other"}),
    ]

    calls, lives = answer(KIND, Query(SCOPE, (Sought("sought"),), owned=True), {"jobQueues": items})

    assert [Call("batch", "DescribeJobQueues", {})] == calls
    assert [found.physical for found in lives] == ["mine", "sought"]


def test_what_is_read_has_no_identity_among_its_properties():
    found = live(tags=TAGS)

    assert {"name": "x", "arn": arn("job-queue/x")} == found.attrs
    assert {"state", "priority", "computeEnvironmentOrder", "jobStateTimeLimitActions"} == set(found.props)
    assert (found.tags, found.status, found.reason, found.settled) == (TAGS, "VALID", "JobQueue Healthy", True)


@pytest.mark.parametrize(
    ("status", "settled", "dying", "broken"),
    [
        ("VALID", True, False, False),
        ("INVALID", True, False, True),
        ("CREATING", False, False, False),
        ("UPDATING", False, False, False),
        ("DELETING", False, True, False),
    ],
)
def test_states(status, settled, dying, broken):
    found = live(status=status)

    assert (settled, dying, broken) == (found.settled, found.deleting, found.invalid)


def test_a_deleted_queue_that_is_still_listed_is_not_there():
    _, lives = answer(KIND, Query(SCOPE, (Sought("x"),)), {"jobQueues": [item(status="DELETED")]})

    assert lives == []


def test_a_refused_read_is_not_an_empty_one():
    with pytest.raises(Unreadable):
        answer(KIND, Query(SCOPE, (Sought("x"),)), Refused("AccessDeniedException", "no"))


# --- writing ---------------------------------------------------------------------------------------------------------


def test_create():
    params = {"jobQueueName": "x", **DECLARED, "tags": TAGS}

    assert [Call("batch", "CreateJobQueue", params, retry_on=(BUSY, ATTACH)), VALID] == KIND.create(
        want(KIND, {"jobQueueName": "x", **DECLARED})
    )


@pytest.mark.parametrize(
    ("change", "before", "sent"),
    [
        ({"priority": 5}, {}, {"priority": 5}),
        ({"state": "DISABLED"}, {}, {"state": "DISABLED"}),
        ({}, {"state": "DISABLED"}, {"state": "ENABLED"}),
        ({}, {"jobStateTimeLimitActions": [{**LIMIT, "action": "CANCEL"}]}, {"jobStateTimeLimitActions": []}),
        (
            {"jobStateTimeLimitActions": [{**LIMIT, "action": "CANCEL"}]},
            {},
            {"jobStateTimeLimitActions": [{**LIMIT, "action": "CANCEL"}]},
        ),
        ({"schedulingPolicyArn": OTHER_POLICY}, {"schedulingPolicyArn": POLICY}, {"schedulingPolicyArn": OTHER_POLICY}),
    ],
)
def test_update_sends_the_changed_members(change, before, sent):
    assert [update(**sent), VALID] == updated({**DECLARED, **change}, **before)


def test_update_replaces_the_whole_order_with_the_users_numbers():
    order = [{"order": 10, "computeEnvironment": CE2}, {"order": 20, "computeEnvironment": CE1}]

    assert [update(computeEnvironmentOrder=order), VALID] == updated({**DECLARED, "computeEnvironmentOrder": order})


def test_delete_disables_first():
    assert [
        Call("batch", "UpdateJobQueue", {"jobQueue": "x", "state": "DISABLED"}, retry_on=(BUSY,), ok_if=(MISSING,)),
        SETTLED,
        Call("batch", "DeleteJobQueue", {"jobQueue": "x"}, retry_on=(BUSY,), ok_if=(MISSING,)),
        GONE,
    ] == KIND.delete(live(), {})


def test_delete_of_a_disabled_queue_goes_straight_on():
    assert [
        getattr(action, "operation", None) or action.read.operation
        for action in KIND.delete(live(state="DISABLED"), {})
    ] == ["DeleteJobQueue", "DescribeJobQueues"]


def test_tags_are_set_and_removed_by_arn():
    resource = arn("job-queue/x")

    assert [
        Call("batch", "TagResource", {"resourceArn": resource, "tags": {"a": "1"}}, retry_on=(BUSY,)),
        Call("batch", "UntagResource", {"resourceArn": resource, "tagKeys": ["b"]}, retry_on=(BUSY,)),
    ] == KIND.tag(live(), {"a": "1"}, ["b"])
    assert KIND.tag(live(), {}, []) == []


def test_waits_for_what_is_under_way_and_may_end_at_any_moment():
    assert KIND.wait_until_settled(live(status="UPDATING")) == [replace(VALID, soonest=0.0)]
    assert KIND.wait_until_gone(live(status="DELETING")) == [replace(GONE, soonest=0.0)]


def test_repair_sends_what_it_is_made_of():
    members = {"state": "ENABLED", **DECLARED}

    assert [update(**members), VALID] == KIND.repair(live(status="INVALID"), want(KIND, DECLARED))


# --- comparing -------------------------------------------------------------------------------------------------------


ALIKE = {
    "as described": (DECLARED, {}),
    "environment by name in the reply": (
        DECLARED,
        {"computeEnvironmentOrder": [{"order": 0, "computeEnvironment": "one"}]},
    ),
    "other numbers, same ranking": (DECLARED, {"computeEnvironmentOrder": [{"order": 7, "computeEnvironment": CE1}]}),
    "the list in another order": (
        {
            **DECLARED,
            "computeEnvironmentOrder": [
                {"order": 2, "computeEnvironment": CE2},
                {"order": 1, "computeEnvironment": CE1},
            ],
        },
        {
            "computeEnvironmentOrder": [
                {"order": 1, "computeEnvironment": CE1},
                {"order": 5, "computeEnvironment": CE2},
            ]
        },
    ),
    "a type the service derives": (DECLARED, {"jobQueueType": "ECS"}),
    "the same type declared": ({**DECLARED, "jobQueueType": "ECS"}, {"jobQueueType": "ECS"}),
    "no list of actions in an old reply": (DECLARED, {"jobStateTimeLimitActions": None}),
    "an action in lower case": (
        {**DECLARED, "jobStateTimeLimitActions": [{**LIMIT, "action": "cancel"}]},
        {"jobStateTimeLimitActions": [{**LIMIT, "action": "CANCEL"}]},
    ),
    "empty service environments": (DECLARED, {"serviceEnvironmentOrder": []}),
    "a training queue": (
        {
            "priority": 1,
            "jobQueueType": "SAGEMAKER_TRAINING",
            "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}],
        },
        {
            "computeEnvironmentOrder": [],
            "jobQueueType": "SAGEMAKER_TRAINING",
            "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": arn("service-environment/s")}],
        },
    ),
    "output of a describe, pasted": (item(), {}),
}


@pytest.mark.parametrize("name", ALIKE)
def test_no_phantom_differences(name):
    declared, members = ALIKE[name]

    assert paths(compared(KIND, live(**members), declared)) == []


@pytest.mark.parametrize(
    ("change", "before", "expected"),
    [
        ({"priority": 2}, {}, ["priority"]),
        ({}, {"state": "DISABLED"}, ["state"]),
        (
            {"computeEnvironmentOrder": [{"order": 0, "computeEnvironment": CE2}]},
            {},
            ["computeEnvironmentOrder.1.computeEnvironment"],
        ),
        (
            {},
            {
                "computeEnvironmentOrder": [
                    {"order": 0, "computeEnvironment": CE1},
                    {"order": 1, "computeEnvironment": CE2},
                ]
            },
            ["computeEnvironmentOrder.2.computeEnvironment"],
        ),
        (
            {"jobStateTimeLimitActions": [{**LIMIT, "maxTimeSeconds": 900, "action": "CANCEL"}]},
            {"jobStateTimeLimitActions": [{**LIMIT, "action": "CANCEL"}]},
            ["jobStateTimeLimitActions.MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT.maxTimeSeconds"],
        ),
        ({"jobQueueType": "EKS"}, {"jobQueueType": "ECS"}, ["jobQueueType"]),
    ],
)
def test_differences(change, before, expected):
    assert expected == paths(compared(KIND, live(**before), {**DECLARED, **change}))


@pytest.mark.parametrize(
    ("change", "before", "effect"),
    [
        ({"schedulingPolicyArn": POLICY}, {}, Effect.REPLACE),
        ({}, {"schedulingPolicyArn": POLICY}, Effect.REPLACE),
        ({"schedulingPolicyArn": OTHER_POLICY}, {"schedulingPolicyArn": POLICY}, Effect.IN_PLACE),
        ({"jobQueueType": "EKS"}, {"jobQueueType": "ECS"}, Effect.REPLACE),
        ({"priority": 3}, {}, Effect.IN_PLACE),
    ],
)
def test_effects(change, before, effect):
    found = compared(KIND, live(**before), {**DECLARED, **change})

    assert [effect] == [change.effect for change in found.changes]
    assert (effect is Effect.REPLACE) == bool(found.changes[0].because)


def test_disruption_tells_a_closed_queue_from_a_moved_one():
    closed, moved = {**DECLARED, "state": "DISABLED"}, {**DECLARED, "computeEnvironmentOrder": []}

    said = [
        KIND.disruption(live(), want(KIND, wanted), compared(KIND, live(), wanted))
        for wanted in (closed, moved, {**DECLARED, "priority": 9})
    ]

    assert "no new jobs" in said[0]
    assert "waiting jobs" in said[1]
    assert said[2] == "not affected"


# --- checks ----------------------------------------------------------------------------------------------------------


def test_a_good_queue_has_no_findings():
    assert words(KIND, {**DECLARED, "jobStateTimeLimitActions": [{**LIMIT, "action": "CANCEL"}]}) == []


def order(*entries):
    return {**DECLARED, "computeEnvironmentOrder": list(entries)}


def at(number, name):
    return {"order": number, "computeEnvironment": name}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"computeEnvironmentOrder": DECLARED["computeEnvironmentOrder"]}, ": error: priority is missing"),
        ({**DECLARED, "priority": 1001}, "priority: error: priority 1001 is out of range"),
        ({"priority": 1}, ": error: computeEnvironmentOrder is missing or empty"),
        (order(), "computeEnvironmentOrder: error: computeEnvironmentOrder is missing or empty"),
        (
            order(*[at(n, f"ce{n}") for n in range(4)]),
            "computeEnvironmentOrder.3: warning: computeEnvironmentOrder has 4",
        ),
        (
            order(at(1, "a"), at(1, "b")),
            "computeEnvironmentOrder.1.order: error: duplicate order 1 in computeEnvironmentOrder",
        ),
        (
            order(at(1, "one"), at(2, CE1)),
            'computeEnvironmentOrder.1.computeEnvironment: error: duplicate "one" in computeEnvironmentOrder',
        ),
        (order("one"), "computeEnvironmentOrder.0: error: an entry of computeEnvironmentOrder is a mapping"),
        (order({"order": 1}), "computeEnvironmentOrder.0: error: computeEnvironment is missing"),
        ({**DECLARED, "jobQueueType": "SAGEMAKER_TRAINING"}, "needs serviceEnvironmentOrder"),
        ({**DECLARED, "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]}, "not both"),
        (
            {**DECLARED, "jobStateTimeLimitActions": [{**LIMIT, "action": "TERMINATE"}]},
            'jobStateTimeLimitActions.0.action: error: "TERMINATE" is not an action',
        ),
        (
            {**DECLARED, "jobStateTimeLimitActions": [{**LIMIT, "action": "CANCEL", "maxTimeSeconds": 60}]},
            "jobStateTimeLimitActions.0.maxTimeSeconds: error: maxTimeSeconds 60 is out of range",
        ),
        (
            {**DECLARED, "jobStateTimeLimitActions": [{**LIMIT, "action": "CANCEL"}] * 2},
            "jobStateTimeLimitActions.1.reason: error: two actions for the reason",
        ),
    ],
)
def test_mistakes(declared, expected):
    assert any(expected in line for line in words(KIND, declared)), words(KIND, declared)


@pytest.mark.parametrize("name", ["a b", "-x", "q" * 129, "queue/1"])
def test_bad_names(name):
    assert any("cannot name a job queue" in line for line in words(KIND, DECLARED, name))


def test_expressions_and_nonsense_are_not_judged():
    some = Template((Reference("lookups", "${lookups.x}", attr="x"),))

    assert words(KIND, {"priority": some, "computeEnvironmentOrder": some, "schedulingPolicyArn": some}) == []
    assert (
        words(KIND, {"priority": [], "computeEnvironmentOrder": {"a": 1}, "jobStateTimeLimitActions": "x"}) is not None
    )
