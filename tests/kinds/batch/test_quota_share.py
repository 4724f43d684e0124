"""Quota shares: reading, the exact calls of every change, drift field by field, and what a check finds."""

from __future__ import annotations

import pytest

from reconciler.kinds.batch.quota_share import KIND
from reconciler.model import Call, Effect, On, Query, Reference, Refused, Sought, Template, Unreadable, Wait
from tests.support.batch_kinds import SCOPE, TAGS, arn, compared, paths, steps, want, words

BUSY = On(message="is being modified")
MISSING = On(message="does not exist")
NAME = "q/s"
QUEUE, ARN = arn("job-queue/q"), arn("job-queue/q/quota-share/s")
DESCRIBE = Call("batch", "DescribeQuotaShare", {"quotaShareArn": ARN})
LIST = Call("batch", "ListQuotaShares", {"jobQueue": "q"}, all_pages=True)
LIMITS = [{"capacityUnit": "ml.m5.large", "maxCapacity": 4}]
DECLARED = {
    "capacityLimits": LIMITS,
    "resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW"},
    "preemptionConfiguration": {"inSharePreemption": "ENABLED"},
}
MANAGED = {
    "jobQueueName": "q",
    "jobQueueArn": QUEUE,
    "schedulingPolicyArn": arn("scheduling-policy/p"),
    "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "se"}],
}
VALID = Wait(
    "quota share q/s VALID",
    DESCRIBE,
    "",
    until={"status": frozenset({"VALID"})},
    fail={"status": frozenset({"INVALID"})},
    timeout=600.0,
)
GONE = Wait(
    "quota share q/s deleted", DESCRIBE, "", until={"status": frozenset({"DELETED"})}, gone=True, absent=(MISSING,)
)
DISABLED = Wait(
    "quota share q/s DISABLED",
    DESCRIBE,
    "",
    until={"status": frozenset({"VALID", "INVALID", "DELETED"})},
    gone=True,
    absent=(MISSING,),
)


def item(share="s", **members):
    return {
        "quotaShareName": share,
        "quotaShareArn": f"{QUEUE}/quota-share/{share}",
        "jobQueueArn": QUEUE,
        **DECLARED,
        "resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW", "borrowLimit": -1},
        "state": "ENABLED",
        "status": "VALID",
        "tags": {},
    } | members


def queues(*items):
    return {"jobQueues": list(items)}


def listed(*shares):
    return {"quotaShares": [item(share) for share in shares]}


def live(**members):
    _, (found,) = steps(KIND, Query(SCOPE, (Sought(NAME),)), [queues(MANAGED)], [listed("s")], [item(**members)])
    return found


def update(**members):
    return Call("batch", "UpdateQuotaShare", {"quotaShareArn": ARN, **members}, retry_on=(BUSY,))


def sharing(strategy, **members):
    return {**DECLARED, "resourceSharingConfiguration": {"strategy": strategy, **members}}


# --- reading ---------------------------------------------------------------------------------------------------------


def test_owned_ones_are_found_on_every_queue_that_can_have_any():
    fifo = {"jobQueueName": "fifo", "serviceEnvironmentOrder": MANAGED["serviceEnvironmentOrder"]}
    container = {"jobQueueName": "c", "schedulingPolicyArn": MANAGED["schedulingPolicyArn"]}

    calls, lives = steps(
        KIND,
        Query(SCOPE, owned=True, declared=frozenset({"jobQueues"})),
        [queues(fifo, container, MANAGED)],
        [listed("strange", "s")],
        [item(tags=TAGS), item("strange")],
    )

    assert calls[:2] == [[Call("batch", "DescribeJobQueues", {})], [LIST]]
    assert calls[2][0] == DESCRIBE
    assert [found.physical for found in lives] == [NAME]


def test_sought_ones_are_asked_for_by_the_arn_they_would_have():
    gone = Refused("ClientException", "There is no such share.")

    calls, lives = steps(KIND, Query(SCOPE, (Sought(NAME),)), [queues()], [gone])

    assert calls == [[Call("batch", "DescribeJobQueues", {"jobQueues": ["q"]})], [DESCRIBE]]
    assert lives == []


def test_what_is_read():
    found = live(tags=TAGS)

    assert (found.physical, found.attrs, found.logical) == (NAME, {"name": NAME, "arn": ARN}, NAME)
    assert found.props["jobQueue"] == QUEUE
    assert set(found.props) == {"jobQueue", "state", *DECLARED}
    assert found.tags == TAGS


def test_a_queue_without_quota_management_has_no_shares():
    refused = Refused("ClientException", "The job queue does not have a quota share scheduling policy.")

    assert (
        steps(KIND, Query(SCOPE, owned=True, declared=frozenset({"jobQueues"})), [queues(MANAGED)], [refused], [])[1]
        == []
    )


@pytest.mark.parametrize(
    "replies",
    [
        [[Refused("AccessDeniedException", "no")]],
        [[queues(MANAGED)], [Refused("AccessDeniedException", "no")]],
        [[queues(MANAGED)], [listed("s")], [Refused("ClientException", "odd")]],
    ],
)
def test_other_refusals_are_no_absence(replies):
    with pytest.raises(Unreadable):
        steps(KIND, Query(SCOPE, owned=True, declared=frozenset({"jobQueues"})), *replies)


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
    pasted = {**DECLARED, "quotaShareName": "s", "quotaShareArn": ARN, "jobQueueArn": QUEUE, "status": "VALID"}
    params = {"quotaShareName": "s", "jobQueue": "q", **DECLARED, "tags": TAGS}

    assert KIND.create(want(KIND, pasted, NAME)) == [
        Call("batch", "CreateQuotaShare", params, retry_on=(BUSY,)),
        VALID,
    ]


def test_the_queue_is_a_reference_by_name_or_as_it_was_declared():
    assert KIND.expanded(NAME, {})["jobQueue"] == "q"
    assert KIND.expanded(NAME, {"jobQueue": QUEUE})["jobQueue"] == QUEUE
    assert KIND.refs["jobQueue"].section == "jobQueues"


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        ({**DECLARED, "state": "DISABLED"}, {"state": "DISABLED"}),
        ({**DECLARED, "capacityLimits": []}, {"capacityLimits": []}),
        (sharing("RESERVE"), {"resourceSharingConfiguration": {"strategy": "RESERVE"}}),
        (
            sharing("LEND_AND_BORROW", borrowLimit=50),
            {"resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW", "borrowLimit": 50}},
        ),
        (
            {**DECLARED, "preemptionConfiguration": {"inSharePreemption": "DISABLED"}},
            {"preemptionConfiguration": {"inSharePreemption": "DISABLED"}},
        ),
    ],
)
def test_update(declared, sent):
    found = live()

    assert KIND.update(found, want(KIND, declared, NAME), difference(found, declared)) == [update(**sent), VALID]


def difference(found, declared):
    return compared(KIND, found, declared, NAME)


def test_a_limit_that_is_left_out_is_taken_away():
    found = live(resourceSharingConfiguration={"strategy": "LEND_AND_BORROW", "borrowLimit": 9})

    (call, _) = KIND.update(found, want(KIND, DECLARED, NAME), difference(found, DECLARED))

    assert call.params["resourceSharingConfiguration"] == {"strategy": "LEND_AND_BORROW", "borrowLimit": -1}


def test_repair_sends_it_again():
    (call, wait) = KIND.repair(live(status="INVALID"), want(KIND, DECLARED, NAME))

    assert call == update(**DECLARED, state="ENABLED")
    assert wait == VALID


def test_delete():
    params = {"quotaShareArn": ARN, "state": "DISABLED"}
    off = Call("batch", "UpdateQuotaShare", params, retry_on=(BUSY,), ok_if=(MISSING,))
    call = Call("batch", "DeleteQuotaShare", {"quotaShareArn": ARN}, retry_on=(BUSY,), ok_if=(MISSING,))

    assert KIND.delete(live(), {}) == [off, DISABLED, call, GONE]
    assert KIND.delete(live(state="DISABLED"), {}) == [call, GONE]


# --- comparing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "declared"),
    [
        ({}, DECLARED),
        ({}, {**DECLARED, "state": "ENABLED", "jobQueue": QUEUE}),
        ({}, sharing("LEND_AND_BORROW", borrowLimit=-1)),
        ({"resourceSharingConfiguration": {"strategy": "LEND", "borrowLimit": -1}}, sharing("LEND")),
    ],
)
def test_the_same(there, declared):
    assert paths(difference(live(**there), declared)) == []


@pytest.mark.parametrize(
    ("there", "path", "effect", "said"),
    [
        ({"state": "DISABLED"}, "state", Effect.IN_PLACE, "not affected"),
        (
            {"capacityLimits": [{"capacityUnit": "ml.m5.large", "maxCapacity": 5}]},
            "capacityLimits.ml.m5.large.maxCapacity",
            Effect.IN_PLACE,
            "waiting jobs are scheduled by the new shares",
        ),
        (
            {"resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW", "borrowLimit": 1}},
            "resourceSharingConfiguration.borrowLimit",
            Effect.IN_PLACE,
            "waiting jobs are scheduled by the new shares",
        ),
        (
            {"preemptionConfiguration": {"inSharePreemption": "DISABLED"}},
            "preemptionConfiguration.inSharePreemption",
            Effect.IN_PLACE,
            "not affected",
        ),
    ],
)
def test_what_differs(there, path, effect, said):
    found = live(**there)
    diff = difference(found, DECLARED)

    assert [(paths(diff), change.effect) for change in diff.changes] == [([path], effect)]
    assert KIND.disruption(found, want(KIND, DECLARED, NAME), diff).startswith(said)


def test_disabling_is_told():
    declared = {**DECLARED, "state": "DISABLED"}

    assert "no new jobs" in KIND.disruption(live(), want(KIND, declared, NAME), difference(live(), declared))


def test_another_queue_is_another_share():
    diff = difference(live(), {**DECLARED, "jobQueue": arn("job-queue/r")})

    assert (paths(diff), diff.replaces) == (["jobQueue"], True)


# --- checks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({**DECLARED, "jobQueue": "r"}, 'jobQueue: error: jobQueue is "r", but the name has "q"'),
        ({**DECLARED, "jobQueue": arn("job-queue/r")}, 'jobQueue: error: jobQueue is "r"'),
        ({**DECLARED, "capacityLimits": []}, "capacityLimits: error: capacityLimits is empty"),
        ({**DECLARED, "capacityLimits": LIMITS * 2}, "two limits for ml.m5.large"),
        (
            sharing("LEND", borrowLimit=5),
            "borrowLimit: error: borrowLimit is only valid with the strategy LEND_AND_BORROW, not LEND",
        ),
    ],
)
def test_what_would_be_refused(declared, said):
    (line,) = words(KIND, declared, NAME)

    assert said in line


@pytest.mark.parametrize("name", ["s", "q/", "/s", "q/s/t", "q.r/s", "q/s t"])
def test_a_share_is_named_by_its_queue_and_itself(name):
    (line,) = words(KIND, DECLARED, name)

    assert ": error:" in line


def test_what_passes():
    some = Template((Reference("lookups", "${lookups.x}", attr="x"),))

    assert words(KIND, DECLARED, NAME) == []
    assert words(KIND, {**DECLARED, "jobQueue": QUEUE, "quotaShareName": "s"}, NAME) == []
    assert words(KIND, {**DECLARED, "jobQueue": some, "resourceSharingConfiguration": some}, NAME) == []
    assert words(KIND, sharing(some, borrowLimit=some), NAME) == []
