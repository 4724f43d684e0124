"""Consumable resources, service environments, quota shares and service jobs, rule by rule."""

import pytest

from tests.sandbox.batch_desk import ACCOUNT, Desk

LIMITS = [{"maxCapacity": 2, "capacityUnit": "NUM_INSTANCES"}]
SHARE = {
    "quotaShareName": "s",
    "jobQueue": "sage",
    "capacityLimits": [{"maxCapacity": 1, "capacityUnit": "ml.m5.large"}],
    "resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW"},
    "preemptionConfiguration": {"inSharePreemption": "ENABLED"},
}
SERVICE_JOB = {
    "jobName": "train",
    "jobQueue": "sage",
    "serviceRequestPayload": '{"TrainingJobName": "x"}',
    "serviceJobType": "SAGEMAKER_TRAINING",
}


def service_environment(desk: Desk, name="se", **changes):
    given = {"serviceEnvironmentName": name, "serviceEnvironmentType": "SAGEMAKER_TRAINING", "capacityLimits": LIMITS}
    return desk.client.create_service_environment(**given, **changes)["serviceEnvironmentArn"]


def see_service(desk: Desk, name="se"):
    found = desk.client.describe_service_environments(serviceEnvironments=[name])["serviceEnvironments"]
    return found[0]


def queue_on(desk: Desk, *, quota=True, **changes):
    service_environment(desk)
    desk.wait(10)
    if quota:
        policy = {"idleResourceAssignmentStrategy": "FIFO"}
        changes["schedulingPolicyArn"] = desk.client.create_scheduling_policy(name="p", quotaSharePolicy=policy)["arn"]
    arn = desk.client.create_job_queue(
        jobQueueName="sage",
        priority=1,
        jobQueueType="SAGEMAKER_TRAINING",
        serviceEnvironmentOrder=[{"order": 1, "serviceEnvironment": "se"}],
        **changes,
    )["jobQueueArn"]
    desk.wait(10)
    return arn


# --- consumable resources --------------------------------------------------------------------------------------------


def consumable(desk: Desk, name="licence", **changes):
    return desk.client.create_consumable_resource(consumableResourceName=name, **changes)["consumableResourceArn"]


def test_consumables_are_there_at_once(desk):
    """REPLENISHABLE and empty unless said otherwise; described by name or ARN; a name is taken once."""
    arn = consumable(desk)
    by_name = desk.client.describe_consumable_resource(consumableResource="licence")
    by_arn = desk.client.describe_consumable_resource(consumableResource=arn)
    assert by_name["createdAt"] == by_arn["createdAt"] > 10**12
    kept = ("resourceType", "totalQuantity", "inUseQuantity", "availableQuantity", "tags")

    assert [by_name[one] for one in kept] == ["REPLENISHABLE", 0, 0, 0, {}]
    assert "already exists" in desk.refused(desk.client.create_consumable_resource, consumableResourceName="licence")


def test_consumables_are_listed_without_details(desk):
    """Summaries lack tags and what is available; the name filter ignores case and takes an asterisk."""
    consumable(desk, "Licence-a", tags={"t": "v"})
    consumable(desk, "other")
    filters = [{"name": "CONSUMABLE_RESOURCE_NAME", "values": ["licence*"]}]
    found = desk.client.list_consumable_resources(filters=filters)["consumableResources"]

    assert [one["consumableResourceName"] for one in found] == ["Licence-a"]
    assert {"tags", "availableQuantity", "createdAt"}.isdisjoint(found[0])


@pytest.mark.parametrize(("operation", "total"), [("SET", 4), ("ADD", 14), ("REMOVE", 6)])
def test_quantities_change(desk, operation, total):
    """SET, ADD and REMOVE; never below nothing; a client token counts once."""
    consumable(desk, totalQuantity=10)
    given = {"consumableResource": "licence", "operation": operation, "quantity": 4, "clientToken": "t"}
    for _ in range(2):
        assert desk.client.update_consumable_resource(**given)["totalQuantity"] == total

    assert "negative" in desk.refused(
        desk.client.update_consumable_resource, consumableResource="licence", operation="REMOVE", quantity=99
    )


def test_consumables_that_are_refused(desk):
    """Types, operations and filters are of a few words."""
    create, update = desk.client.create_consumable_resource, desk.client.update_consumable_resource
    assert "REPLENISHABLE" in desk.refused(create, consumableResourceName="x", resourceType="BOTTOMLESS")
    consumable(desk)
    assert "SET, ADD or REMOVE" in desk.refused(update, consumableResource="licence", operation="DOUBLE", quantity=1)
    filters = [{"name": "COLOUR", "values": ["red"]}]
    assert "Filter COLOUR" in desk.refused(desk.client.list_consumable_resources, filters=filters)

    assert "Filter COLOUR" in desk.refused(
        desk.client.list_jobs_by_consumable_resource, consumableResource="licence", filters=filters
    )


def test_deleting_consumables(desk):
    """At once; unknown ones follow the switch."""
    consumable(desk)
    desk.client.delete_consumable_resource(consumableResource="licence")
    text = desk.refused(desk.client.delete_consumable_resource, consumableResource="licence")
    assert "does not exist" in text
    assert "does not exist" in desk.refused(desk.client.describe_consumable_resource, consumableResource="licence")
    desk.settings.unknown_delete = "ok"

    desk.client.delete_consumable_resource(consumableResource="licence")


@pytest.mark.parametrize(("kind", "left"), [("REPLENISHABLE", 1), ("NON_REPLENISHABLE", 0)])
def test_jobs_take_from_consumables(desk, kind, left):
    """One at a time while there is one; what cannot be replenished is gone afterwards."""
    desk.settings.instances_launch = 0
    desk.environment()
    desk.queue()
    needs = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 1}]}
    desk.register(consumableResourceProperties=needs)
    jobs = [desk.client.submit_job(jobName=f"j{n}", jobQueue="q", jobDefinition="jd")["jobId"] for n in range(2)]
    desk.wait(600)
    assert {desk.see_job(job)["status"] for job in jobs} == {"RUNNABLE"}
    consumable(desk, totalQuantity=1, resourceType=kind)
    desk.wait(30)
    assert sorted(desk.see_job(job)["status"] for job in jobs) == ["RUNNABLE", "RUNNING"]
    assert desk.client.describe_consumable_resource(consumableResource="licence")["inUseQuantity"] == 1
    listed = desk.client.list_jobs_by_consumable_resource(consumableResource="licence")["jobs"]
    assert {one["quantity"] for one in listed} == {1}
    desk.wait(600)
    expected = {"SUCCEEDED"} if kind == "REPLENISHABLE" else {"SUCCEEDED", "RUNNABLE"}
    seen = desk.client.describe_consumable_resource(consumableResource="licence")

    assert {desk.see_job(job)["status"] for job in jobs} == expected
    assert (seen["totalQuantity"], seen["inUseQuantity"]) == (left, 0)


# --- service environments --------------------------------------------------------------------------------------------


def test_the_life_of_a_service_environment(desk):
    """CREATING, VALID, UPDATING, DELETING, DELETED, gone; its replies have no statusReason."""
    arn = service_environment(desk)
    assert see_service(desk)["status"] == "CREATING"
    update = desk.client.update_service_environment
    assert "is being modified" in desk.refused(update, serviceEnvironment="se", state="DISABLED")
    desk.wait(6)
    assert (see_service(desk)["status"], see_service(desk)["state"]) == ("VALID", "ENABLED")
    assert "statusReason" not in see_service(desk)
    delete = desk.client.delete_service_environment
    assert "DISABLED first" in desk.refused(delete, serviceEnvironment="se")
    update(serviceEnvironment=arn, state="DISABLED")
    assert see_service(desk)["status"] == "UPDATING"
    desk.wait(6)
    delete(serviceEnvironment="se")
    assert see_service(desk)["status"] == "DELETING"
    desk.wait(6)
    assert see_service(desk)["status"] == "DELETED"
    desk.wait(61)
    assert desk.client.describe_service_environments(serviceEnvironments=["se"])["serviceEnvironments"] == []

    assert "does not exist" in desk.refused(delete, serviceEnvironment="se")


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ([], "between 1 and 5"),
        ([{"maxCapacity": 1, "capacityUnit": f"ml.{n}"} for n in range(6)], "between 1 and 5"),
        ([*LIMITS, {"maxCapacity": 1, "capacityUnit": "ml.m5.large"}], "not both"),
        ([{"maxCapacity": 0, "capacityUnit": "NUM_INSTANCES"}], "at least 1"),
    ],
)
def test_capacity_limits(desk, limits, text):
    """One to five, of instances in all or by type, of at least one."""
    given = {"serviceEnvironmentName": "se", "serviceEnvironmentType": "SAGEMAKER_TRAINING", "capacityLimits": limits}

    assert text in desk.refused(desk.client.create_service_environment, **given)


def test_a_queue_holds_its_service_environment(desk):
    """Detach before deleting."""
    queue_on(desk)
    desk.client.update_service_environment(serviceEnvironment="se", state="DISABLED")
    desk.wait(10)

    assert "relationship" in desk.refused(desk.client.delete_service_environment, serviceEnvironment="se")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"serviceEnvironmentOrder": None}, "Job queues of type SAGEMAKER_TRAINING must have serviceEnvironmentOrder."),
        (
            {"jobQueueType": "ECS"},
            "The jobQueueType provided is ECS, which is incompatible with the provided serviceEnvironmentOrder.",
        ),
        (
            {"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "x"}]},
            "Only one of computeEnvironmentOrder and serviceEnvironmentOrder",
        ),
        (
            {"serviceEnvironmentOrder": [{"order": n, "serviceEnvironment": "se"} for n in (1, 2)]},
            "Job queue can only have 1 service environment.",
        ),
        (
            {"serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "none"}]},
            "created and valid before attaching",
        ),
        (
            {
                "jobStateTimeLimitActions": [
                    {"reason": "x", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
                ]
            },
            "Invalid job action. Valid job actions: [TERMINATE]",
        ),
    ],
)
def test_sagemaker_queues(desk, changes, text):
    """One service environment and no compute environment, and jobs that are terminated."""
    service_environment(desk)
    desk.wait(10)
    given = {
        "jobQueueName": "sage",
        "priority": 1,
        "jobQueueType": "SAGEMAKER_TRAINING",
        "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "se"}],
        **changes,
    }

    assert text in desk.refused(
        desk.client.create_job_queue, **{key: value for key, value in given.items() if value is not None}
    )


def test_a_sagemaker_queue_is_described_with_an_empty_order(desk):
    """computeEnvironmentOrder is required in replies."""
    queue_on(desk)
    seen = desk.see_queue("sage")

    assert seen["computeEnvironmentOrder"] == []
    assert seen["serviceEnvironmentOrder"] == [
        {"order": 1, "serviceEnvironment": f"arn:aws:batch:eu-west-1:{ACCOUNT}:service-environment/se"}
    ]


# --- quota shares ----------------------------------------------------------------------------------------------------


def test_the_life_of_a_quota_share(desk):
    """Under its queue; CREATING, VALID, UPDATING, DELETING, gone; DISABLED first; borrowing is unlimited at first."""
    queue = queue_on(desk)
    arn = desk.client.create_quota_share(**SHARE)["quotaShareArn"]
    assert arn == f"{queue}/quota-share/s"
    assert desk.client.describe_quota_share(quotaShareArn=arn)["status"] == "CREATING"
    desk.wait(6)
    seen = desk.client.describe_quota_share(quotaShareArn=arn)
    assert (seen["status"], seen["state"], seen["jobQueueArn"]) == ("VALID", "ENABLED", queue)
    assert seen["resourceSharingConfiguration"] == {"strategy": "LEND_AND_BORROW", "borrowLimit": -1}
    assert [one["quotaShareName"] for one in desk.client.list_quota_shares(jobQueue="sage")["quotaShares"]] == ["s"]
    assert "already exists" in desk.refused(desk.client.create_quota_share, **SHARE)
    assert "DISABLED first" in desk.refused(desk.client.delete_quota_share, quotaShareArn=arn)
    desk.client.update_quota_share(quotaShareArn=arn, state="DISABLED")
    assert "is being modified" in desk.refused(desk.client.delete_quota_share, quotaShareArn=arn)
    desk.wait(6)
    desk.client.delete_quota_share(quotaShareArn=arn)
    desk.wait(6)

    assert "does not exist" in desk.refused(desk.client.describe_quota_share, quotaShareArn=arn)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"capacityLimits": []}, "at least one"),
        ({"capacityLimits": [{"maxCapacity": 0, "capacityUnit": "u"}]}, "at least 1"),
        ({"resourceSharingConfiguration": {"strategy": "LEND", "borrowLimit": 5}}, "borrowLimit"),
        ({"resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW", "borrowLimit": -2}}, "borrowLimit"),
        ({"jobQueue": "none"}, "does not exist"),
    ],
)
def test_quota_share_limits(desk, changes, text):
    """Capacities of at least one; a borrow limit only where there is borrowing."""
    queue_on(desk)

    assert text in desk.refused(desk.client.create_quota_share, **{**SHARE, **changes})


def test_quota_shares_need_a_managed_queue(desk):
    """The queue is VALID and has a quota-share policy."""
    queue_on(desk, quota=False)
    assert "quota share scheduling policy" in desk.refused(desk.client.create_quota_share, **SHARE)
    desk.client.update_job_queue(jobQueue="sage", priority=2)

    assert "VALID" in desk.refused(desk.client.create_quota_share, **SHARE)


def test_twenty_quota_shares(desk):
    """A queue has up to twenty."""
    queue_on(desk)
    for number in range(20):
        desk.client.create_quota_share(**{**SHARE, "quotaShareName": f"s{number}"})

    assert "limit of 20" in desk.refused(desk.client.create_quota_share, **SHARE)


# --- service jobs ----------------------------------------------------------------------------------------------------


def test_the_life_of_a_service_job(desk):
    """Attempts end with a status reason; the strategy's rules look at it."""
    queue_on(desk, quota=False)
    desk.settings.outcomes = {"train": [{"exitCode": 1, "statusReason": "Capacity: no"}, {"exitCode": 0}]}
    strategy = {"attempts": 3, "evaluateOnExit": [{"action": "RETRY", "onStatusReason": "Capacity: no"}]}
    desk.world.events = []
    job = desk.client.submit_service_job(**SERVICE_JOB, retryStrategy=strategy)["jobId"]
    desk.wait(40)
    listed = desk.client.list_service_jobs(jobQueue="sage")["jobSummaryList"]
    assert [one["jobId"] for one in listed] == [job]
    desk.wait(600)
    seen = desk.client.describe_service_job(jobId=job)

    assert (seen["status"], len(seen["attempts"])) == ("SUCCEEDED", 2)
    assert {kind for kind, _, _ in desk.world.events} == {"Batch Service Job State Change"}
    states = [detail["status"] for _, _, detail in desk.world.events]
    assert states == ["RUNNABLE", "SCHEDULED", "RUNNING", "RUNNABLE", "SCHEDULED", "RUNNING", states[-1]]
    assert states[-1] == desk.client.describe_service_job(jobId=job)["status"]
    assert not {"tags", "serviceRequestPayload"} & desk.world.events[-1][2].keys()


def test_service_jobs_are_terminated_and_reprioritised(desk):
    """One by one or many; a priority can change."""
    queue_on(desk, quota=False)
    jobs = [desk.client.submit_service_job(**SERVICE_JOB)["jobId"] for _ in range(2)]
    desk.client.update_service_job(jobId=jobs[0], schedulingPriority=5)
    assert desk.client.describe_service_job(jobId=jobs[0])["schedulingPriority"] == 5
    desk.client.terminate_service_job(jobId=jobs[0], reason="r")
    reply = desk.client.terminate_service_jobs(jobs=[jobs[1], "unknown"], reason="r")

    assert reply["successful"] == [jobs[1]]
    assert [one["job"] for one in reply["errors"]] == ["unknown"]
    assert {desk.client.describe_service_job(jobId=job)["status"] for job in jobs} == {"FAILED"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"quotaShareName": None}, "quotaShareName is required"),
        ({"quotaShareName": "none"}, "not able to accept"),
        ({"serviceRequestPayload": "{"}, "JSON"),
        ({"serviceRequestPayload": "x" * 10241}, "10 KiB"),
        ({"schedulingPriority": 10000}, "between 0 and 9999"),
        ({"jobQueue": "none"}, "not found"),
        ({"shareIdentifier": "a"}, "must not be specified"),
    ],
)
def test_service_jobs_that_are_refused(desk, changes, text):
    """On a quota-managed queue the share is required; the payload is JSON of limited size."""
    queue_on(desk)
    desk.client.create_quota_share(**SHARE)
    given = {**SERVICE_JOB, "quotaShareName": "s", **changes}
    given = {key: value for key, value in given.items() if value is not None}

    assert text in desk.refused(desk.client.submit_service_job, **given)


def test_a_client_token_counts_once(desk):
    """A second request with the same token is refused."""
    queue_on(desk, quota=False)
    desk.client.submit_service_job(**SERVICE_JOB, clientToken="t")

    assert "clientToken" in desk.refused(desk.client.submit_service_job, **SERVICE_JOB, clientToken="t")


def test_queues_take_their_own_sort_of_job(desk):
    """No container jobs on a SageMaker queue, no service jobs elsewhere."""
    queue_on(desk, quota=False)
    desk.environment()
    desk.queue()
    desk.register()
    assert "SAGEMAKER_TRAINING" in desk.refused(
        desk.client.submit_job, jobName="j", jobQueue="sage", jobDefinition="jd"
    )

    assert "SAGEMAKER_TRAINING" in desk.refused(desk.client.submit_service_job, **{**SERVICE_JOB, "jobQueue": "q"})


def test_a_sagemaker_queue_changes_its_service_environment_only(desk):
    """The order is replaced by another of one, never by compute environments or nothing."""
    queue_on(desk)
    service_environment(desk, "other")
    desk.wait(10)
    update = desk.client.update_job_queue
    order = [{"order": 1, "computeEnvironment": "ce"}]
    assert "not applicable" in desk.refused(update, jobQueue="sage", computeEnvironmentOrder=order)
    assert "must have serviceEnvironmentOrder" in desk.refused(update, jobQueue="sage", serviceEnvironmentOrder=[])
    update(jobQueue="sage", serviceEnvironmentOrder=[{"order": 1, "serviceEnvironment": "other"}])

    assert desk.see_queue("sage")["serviceEnvironmentOrder"][0]["serviceEnvironment"].endswith("/other")


def test_a_queue_takes_its_quota_shares_with_it(desk):
    """A share lives under its queue."""
    queue_on(desk)
    arn = desk.client.create_quota_share(**SHARE)["quotaShareArn"]
    desk.disable_queue("sage")
    desk.client.delete_job_queue(jobQueue="sage")
    desk.wait(20)

    assert "does not exist" in desk.refused(desk.client.describe_quota_share, quotaShareArn=arn)


def test_quota_shares_are_named_by_arn(desk):
    """Unknown ones follow the switch on deletion; capacity units do not repeat; no change while changing."""
    queue = queue_on(desk)
    delete, update = desk.client.delete_quota_share, desk.client.update_quota_share
    assert "valid pattern" in desk.refused(update, quotaShareArn="s", state="DISABLED")
    assert "does not exist" in desk.refused(delete, quotaShareArn=f"{queue}/quota-share/s")
    desk.settings.unknown_delete = "ok"
    delete(quotaShareArn=f"{queue}/quota-share/s")
    limits = SHARE["capacityLimits"] * 2
    text = desk.refused(desk.client.create_quota_share, **{**SHARE, "capacityLimits": limits})
    assert "Duplicate capacityUnit" in text
    arn = desk.client.create_quota_share(**SHARE)["quotaShareArn"]

    assert "is being modified" in desk.refused(update, quotaShareArn=arn, state="DISABLED")


def test_service_environments_change_and_count(desk):
    """Capacities are replaced, without repeats; fifty in a Region; unknown deletions follow the switch."""
    service_environment(desk)
    delete = desk.client.delete_service_environment
    assert "Cannot delete, resource is being modified" in desk.refused(delete, serviceEnvironment="se")
    desk.wait(10)
    limits = [{"maxCapacity": 9, "capacityUnit": "ml.m5.large"}]
    update = desk.client.update_service_environment
    assert "Duplicate" in desk.refused(update, serviceEnvironment="se", capacityLimits=limits * 2)
    update(serviceEnvironment="se", capacityLimits=limits)
    assert see_service(desk)["capacityLimits"] == limits
    desk.settings.unknown_delete = "ok"
    delete(serviceEnvironment="unknown")
    for number in range(49):
        service_environment(desk, f"se{number}")
    given = {"serviceEnvironmentType": "SAGEMAKER_TRAINING", "capacityLimits": LIMITS}

    assert "limit of 50" in desk.refused(
        desk.client.create_service_environment, serviceEnvironmentName="one-more", **given
    )


def test_service_jobs_stopped_on_the_way(desk):
    """A terminated job keeps its running attempt, and nothing of what was about to happen to it happens."""
    queue_on(desk, quota=False)
    running = desk.client.submit_service_job(**SERVICE_JOB)["jobId"]
    desk.wait(30)
    waiting, scheduled = (desk.client.submit_service_job(**SERVICE_JOB)["jobId"] for _ in range(2))
    desk.client.terminate_service_job(jobId=waiting, reason="r")
    desk.wait(6)
    for job in (running, scheduled):
        desk.client.terminate_service_job(jobId=job, reason="r")
    desk.wait(600)
    seen = [desk.client.describe_service_job(jobId=job) for job in (running, waiting, scheduled)]

    assert [one["status"] for one in seen] == ["FAILED"] * 3
    assert [len(one["attempts"]) for one in seen] == [1, 0, 0]


def test_service_job_lists(desk):
    """A queue is needed, and has to exist; names have a pattern; no quota share without a quota policy."""
    queue_on(desk, quota=False)
    listing, submit = desk.client.list_service_jobs, desk.client.submit_service_job
    assert "jobQueue is required." in desk.refused(listing)
    assert "JobQueue none not found." in desk.refused(listing, jobQueue="none")
    assert "valid pattern" in desk.refused(submit, **{**SERVICE_JOB, "jobName": "a.b"})

    assert "must not be specified" in desk.refused(submit, **SERVICE_JOB, quotaShareName="s")
