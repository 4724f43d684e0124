"""Job queues and scheduling policies, rule by rule."""

import pytest

from tests.sandbox.batch_desk import ACCOUNT, Desk

FAIR = {"shareDecaySeconds": 600, "computeReservation": 1, "shareDistribution": [{"shareIdentifier": "a"}]}
ACTION = {
    "state": "RUNNABLE",
    "maxTimeSeconds": 600,
    "action": "CANCEL",
    "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
}
EKS = {"eksClusterArn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/c", "kubernetesNamespace": "jobs"}
ATTACH = "must be created and valid before attaching them to a job queue"


@pytest.fixture
def stack(desk: Desk) -> Desk:
    desk.environment()
    return desk


def order(*names):
    return [{"order": number, "computeEnvironment": name} for number, name in enumerate(names, 1)]


def refuse_create(desk: Desk, **changes):
    given = {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order("ce"), **changes}
    return desk.refused(desk.client.create_job_queue, **{k: v for k, v in given.items() if v is not None})


def refuse_update(desk: Desk, **changes):
    return desk.refused(desk.client.update_job_queue, jobQueue="q", **changes)


def policy(desk: Desk, name="fair", **content):
    content = content or {"fairsharePolicy": FAIR}
    return desk.client.create_scheduling_policy(name=name, **content)["arn"]


# --- life cycle ------------------------------------------------------------------------------------------------------


def test_creating_takes_a_while_and_ends_valid(stack):
    """A queue is CREATING at first and VALID, with the healthy reason, after some seconds."""
    arn = stack.queue(settled=False)
    assert stack.see_queue()["status"] == "CREATING"
    stack.wait(6)
    seen = stack.see_queue()

    assert (seen["status"], seen["statusReason"], seen["state"]) == ("VALID", "JobQueue Healthy", "ENABLED")
    assert arn == f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-queue/q"


def test_describe_fills_and_resolves(stack):
    """State, tags and the time-limit actions are filled; environments given by name come back as ARNs."""
    stack.queue()
    seen = stack.see_queue()

    assert (seen["state"], seen["tags"], seen["jobStateTimeLimitActions"]) == ("ENABLED", {}, [])
    arn = f"arn:aws:batch:eu-west-1:{ACCOUNT}:compute-environment/ce"
    assert seen["computeEnvironmentOrder"] == [{"order": 1, "computeEnvironment": arn}]
    assert "jobQueueType" not in seen
    assert "schedulingPolicyArn" not in seen


def test_a_type_may_be_derived(stack):
    """Newer replies may name the type of a queue that was created without one."""
    stack.settings.queue_type_derived = True
    stack.queue()

    assert stack.see_queue()["jobQueueType"] == "ECS"


def test_unlike_an_environment_a_queue_may_be_created_disabled(stack):
    """Creating a DISABLED queue is fine."""
    stack.queue(state="DISABLED")

    assert stack.see_queue()["state"] == "DISABLED"


def test_no_change_while_it_changes(stack):
    """In transition, updates and deletions are refused with `is being modified`."""
    stack.queue(settled=False)
    assert "is being modified" in refuse_update(stack, priority=2)
    assert stack.refused(stack.client.delete_job_queue, jobQueue="q") == "Cannot delete, resource is being modified"
    stack.wait(6)
    stack.client.update_job_queue(jobQueue="q", priority=2)
    assert stack.see_queue()["status"] == "UPDATING"

    assert "is being modified" in refuse_update(stack, priority=3)


def test_only_a_disabled_queue_is_deleted(stack):
    """Deleting an ENABLED queue is refused."""
    stack.queue()

    assert "set the state to DISABLED first" in stack.refused(stack.client.delete_job_queue, jobQueue="q")


def test_deleting_takes_a_while_then_lingers_then_is_gone(stack):
    """DELETING, DELETED for a while, missing; the name is taken until it is deleted."""
    stack.queue()
    stack.disable_queue()
    stack.client.delete_job_queue(jobQueue="q")
    seen = stack.see_queue()
    assert (seen["state"], seen["status"]) == ("DISABLED", "DELETING")
    assert refuse_create(stack) == "Object already exists"
    stack.wait(16)
    assert stack.see_queue()["status"] == "DELETED"
    assert refuse_update(stack, priority=2).endswith(":job-queue/q does not exist")
    stack.wait(61)

    assert stack.client.describe_job_queues(jobQueues=["q"])["jobQueues"] == []


def test_deleting_what_is_not_there_follows_the_switch(stack):
    """Deleting an unknown queue is either refused or a success."""
    assert "does not exist" in stack.refused(stack.client.delete_job_queue, jobQueue="q")
    stack.settings.unknown_delete = "ok"

    stack.client.delete_job_queue(jobQueue="q")


def test_a_queue_is_updated_by_name_or_arn_and_answers_with_its_name(stack):
    """The reply names the queue even when the ARN was given."""
    arn = stack.queue()
    reply = stack.client.update_job_queue(jobQueue=arn, priority=7)
    stack.wait(6)

    assert (reply["jobQueueName"], reply["jobQueueArn"]) == ("q", arn)
    assert (stack.see_queue()["priority"], stack.see_queue()["status"]) == (7, "VALID")


def test_a_name_is_taken_once(stack):
    """Creating an existing name is refused."""
    stack.queue()

    assert refuse_create(stack) == "Object already exists"


# --- the order of environments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["-q", "q.1", "x" * 129])
def test_names_have_a_pattern(stack, name):
    """A queue's name has the usual pattern."""
    assert "Job Queue name should match a valid pattern." in refuse_create(stack, jobQueueName=name)


@pytest.mark.parametrize("priority", [-1, 1001])
def test_priorities(stack, priority):
    """Priorities run from 0 to 1000."""
    assert "priority" in refuse_create(stack, priority=priority)
    stack.queue(priority=1000)

    assert "priority" in refuse_update(stack, priority=priority)


@pytest.mark.parametrize("given", [None, []])
def test_an_order_is_required(stack, given):
    """A container queue needs environments."""
    assert "computeEnvironmentOrder is required." in refuse_create(stack, computeEnvironmentOrder=given)


def test_at_most_three(stack):
    """A queue has up to three environments."""
    for name in "abc":
        stack.environment(name)
    text = refuse_create(stack, computeEnvironmentOrder=order("ce", "a", "b", "c"))

    assert "Only 3 environments are allowed in job queue request." in text


def test_no_duplicates(stack):
    """Neither numbers nor environments may repeat, by whatever name."""
    arn = stack.environment("other")
    same_number = [{"order": 1, "computeEnvironment": "ce"}, {"order": 1, "computeEnvironment": "other"}]
    assert "Duplicate ComputeEnvironment order values." in refuse_create(stack, computeEnvironmentOrder=same_number)

    assert "Duplicate ComputeEnvironments within order list." in refuse_create(
        stack, computeEnvironmentOrder=order("other", arn)
    )


@pytest.mark.parametrize("status", ["missing", "CREATING", "INVALID", "DELETED"])
def test_only_valid_environments_are_attached(desk, status):
    """An environment that is not VALID cannot be attached, on creation or update."""
    desk.environment()
    desk.queue("q", "ce")
    if status == "CREATING":
        desk.environment("new", settled=False)
    if status == "INVALID":
        desk.environment("new", resources={"instanceRole": "absent"})
    if status == "DELETED":
        desk.environment("new")
        desk.disable_environment("new")
        desk.client.delete_compute_environment(computeEnvironment="new")
        desk.wait(46)

    assert ATTACH in refuse_create(desk, jobQueueName="r", computeEnvironmentOrder=order("new"))
    assert ATTACH in refuse_update(desk, computeEnvironmentOrder=order("ce", "new"))


def test_what_is_attached_may_be_invalid(desk):
    """An environment the queue already has need not be VALID to stay."""
    desk.environment()
    desk.environment("other")
    desk.queue("q", "ce", "other")
    desk.world.profiles.clear()
    desk.client.update_compute_environment(computeEnvironment="ce", computeResources={"maxvCpus": 5})
    desk.wait()
    assert desk.see_environment()["status"] == "INVALID"
    desk.client.update_job_queue(jobQueue="q", computeEnvironmentOrder=order("ce"))

    assert len(desk.see_queue()["computeEnvironmentOrder"]) == 1


def test_fargate_and_instances_do_not_mix(stack):
    """A queue has either instances or Fargate; EC2 with SPOT, and FARGATE with FARGATE_SPOT, are fine."""
    stack.fargate()
    stack.client.create_compute_environment(
        computeEnvironmentName="fgs",
        type="MANAGED",
        computeResources={
            "type": "FARGATE_SPOT",
            "maxvCpus": 1,
            "subnets": ["subnet-1"],
            "securityGroupIds": ["sg-1"],
        },
    )
    stack.environment("spot", resources={"type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"})
    text = refuse_create(stack, computeEnvironmentOrder=order("ce", "fg"))
    assert "Fargate and EC2 compute environments can not be mixed." in text
    stack.queue("q", "ce", "spot")

    stack.queue("r", "fg", "fgs")


def test_architectures_and_orchestrations_do_not_mix(stack):
    """All of one architecture, all ECS or all EKS."""
    stack.environment("arm", resources={"instanceTypes": ["m7g"]})
    stack.environment("eks", eksConfiguration=EKS, resources={"allocationStrategy": "BEST_FIT_PROGRESSIVE"})
    assert "architectures" in refuse_create(stack, computeEnvironmentOrder=order("ce", "arm"))
    assert "EKS job queue type must have EKS" in refuse_create(stack, computeEnvironmentOrder=order("ce", "eks"))

    assert "EKS job queue type must have EKS" in refuse_create(stack, jobQueueType="EKS")


def test_the_type_has_to_fit(stack):
    """A stated type that the environments do not make is refused."""
    assert "The jobQueueType provided is ECS_FARGATE, which is incompatible" in refuse_create(
        stack, jobQueueType="ECS_FARGATE"
    )
    stack.queue(jobQueueType="ECS")

    assert stack.see_queue()["jobQueueType"] == "ECS"


def test_an_update_replaces_the_whole_order(stack):
    """The list sent is the list."""
    stack.environment("other")
    stack.queue("q", "ce")
    stack.client.update_job_queue(jobQueue="q", computeEnvironmentOrder=order("other"))
    names = [item["computeEnvironment"].rsplit("/")[-1] for item in stack.see_queue()["computeEnvironmentOrder"]]

    assert names == ["other"]


# --- time limits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"action": "TERMINATE"}, "Invalid job action. Valid job actions: [CANCEL]"),
        ({"maxTimeSeconds": 599}, "maxTimeSeconds"),
        ({"maxTimeSeconds": 86401}, "maxTimeSeconds"),
        ({"state": "STARTING"}, "RUNNABLE"),
    ],
)
def test_time_limit_actions(stack, changes, text):
    """Container queues CANCEL jobs that are RUNNABLE for 10 minutes to a day."""
    assert text in refuse_create(stack, jobStateTimeLimitActions=[{**ACTION, **changes}])


def test_time_limit_actions_are_unique_and_clearable(stack):
    """Duplicates are refused; an empty list clears; the action's case does not matter."""
    text = refuse_create(stack, jobStateTimeLimitActions=[ACTION, ACTION])
    assert "Duplicate job state limit actions are not allowed." in text
    stack.queue(jobStateTimeLimitActions=[{**ACTION, "action": "cancel"}])
    assert stack.see_queue()["jobStateTimeLimitActions"] == [ACTION]
    stack.client.update_job_queue(jobQueue="q", jobStateTimeLimitActions=[])

    assert stack.see_queue()["jobStateTimeLimitActions"] == []


# --- scheduling policies of queues -----------------------------------------------------------------------------------


def test_a_policy_is_named_by_its_arn_and_must_exist(stack):
    """A name is refused, and so is an ARN that is not there."""
    arn = policy(stack)
    assert "Only scheduling policy Arn can be allowed." in refuse_create(stack, schedulingPolicyArn="fair")
    missing = arn.replace("fair", "none")
    assert f"SchedulingPolicy {missing} not found." in refuse_create(stack, schedulingPolicyArn=missing)
    stack.queue(schedulingPolicyArn=arn)

    assert stack.see_queue()["schedulingPolicyArn"] == arn


def test_quota_policies_are_for_sagemaker(stack):
    """A quota-share policy is refused on a container queue."""
    arn = policy(stack, "quota", quotaSharePolicy={"idleResourceAssignmentStrategy": "FIFO"})

    assert "Quota Management feature is only supported for SageMaker Training job queues." in refuse_create(
        stack, schedulingPolicyArn=arn
    )


def test_first_in_first_out_is_for_life_and_so_is_fair_share(stack):
    """A policy can be exchanged for another; it cannot be added later, nor removed."""
    first, second = policy(stack, "one"), policy(stack, "two")
    stack.queue("fifo")
    text = stack.refused(stack.client.update_job_queue, jobQueue="fifo", schedulingPolicyArn=first)
    assert "cannot be added" in text
    stack.queue(schedulingPolicyArn=first)
    assert "replaced but not removed" in refuse_update(stack, schedulingPolicyArn="")
    stack.client.update_job_queue(jobQueue="q", schedulingPolicyArn=second)
    stack.wait(6)
    stack.client.update_job_queue(jobQueue="q", priority=3)

    assert stack.see_queue()["schedulingPolicyArn"] == second


# --- scheduling policies ---------------------------------------------------------------------------------------------


def test_policies_are_there_at_once_and_listed_by_arn(desk):
    """No status; listing gives ARNs, describing takes ARNs and skips unknown ones."""
    arn = policy(desk)
    listed = desk.client.list_scheduling_policies()["schedulingPolicies"]
    assert listed == [{"arn": arn}]
    seen = desk.client.describe_scheduling_policies(arns=[arn, arn.replace("fair", "none")])["schedulingPolicies"]

    assert seen == [{"name": "fair", "arn": arn, "fairsharePolicy": FAIR, "tags": {}}]


def test_policies_have_one_kind_for_life(desk):
    """Either kind, not both; an update stays within it and replaces the whole policy."""
    quota = {"idleResourceAssignmentStrategy": "FIFO"}
    assert "either fairsharePolicy or quotaSharePolicy" in desk.refused(
        desk.client.create_scheduling_policy, name="x", fairsharePolicy=FAIR, quotaSharePolicy=quota
    )
    arn = policy(desk)
    assert "kind" in desk.refused(desk.client.update_scheduling_policy, arn=arn, quotaSharePolicy=quota)
    desk.client.update_scheduling_policy(arn=arn, fairsharePolicy={"computeReservation": 5})
    seen = desk.client.describe_scheduling_policies(arns=[arn])["schedulingPolicies"][0]

    assert seen["fairsharePolicy"] == {"computeReservation": 5}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"shareDecaySeconds": 604801}, "shareDecaySeconds"),
        ({"computeReservation": 100}, "computeReservation"),
        ({"shareDistribution": [{"shareIdentifier": "a", "weightFactor": 1000.0}]}, "weightFactor"),
        ({"shareDistribution": [{"shareIdentifier": "x" * 256}]}, "ShareIdentifier name should match"),
        ({"shareDistribution": [{"shareIdentifier": "a*b"}]}, "ShareIdentifier name should match"),
        ({"shareDistribution": [{"shareIdentifier": "a.b"}]}, "ShareIdentifier name should match"),
        ({"shareDistribution": [{"shareIdentifier": "a*"}, {"shareIdentifier": "ab"}]}, "overlap"),
        ({"shareDistribution": [{"shareIdentifier": "a*"}, {"shareIdentifier": "ab*"}]}, "overlap"),
        ({"shareDistribution": [{"shareIdentifier": "a"}, {"shareIdentifier": "a"}]}, "overlap"),
        ({"shareDistribution": [{"shareIdentifier": f"s{n}"} for n in range(501)]}, "500"),
    ],
)
def test_fair_share_limits(desk, content, text):
    """Weights, decay, reservation and identifiers have limits, and prefixes may not overlap."""
    assert text in desk.refused(desk.client.create_scheduling_policy, name="x", fairsharePolicy=content)


def test_a_policy_in_use_stays(stack):
    """Deleting a policy that a queue uses is refused; a duplicate and an unknown one as well."""
    arn = policy(stack)
    assert "already exists" in stack.refused(stack.client.create_scheduling_policy, name="fair")
    stack.queue(schedulingPolicyArn=arn)
    assert stack.refused(stack.client.delete_scheduling_policy, arn=arn)
    stack.disable_queue()
    stack.client.delete_job_queue(jobQueue="q")
    stack.wait(20)
    stack.client.delete_scheduling_policy(arn=arn)
    assert "does not exist" in stack.refused(stack.client.delete_scheduling_policy, arn=arn)
    assert "does not exist" in stack.refused(stack.client.update_scheduling_policy, arn=arn)
    stack.settings.unknown_delete = "ok"

    stack.client.delete_scheduling_policy(arn=arn)


def test_prefixes_overlap_whichever_comes_first(desk):
    """An identifier before the prefix that covers it is refused as one after it."""
    shares = [{"shareIdentifier": "ab"}, {"shareIdentifier": "a*"}]

    assert "overlap" in desk.refused(
        desk.client.create_scheduling_policy, name="x", fairsharePolicy={"shareDistribution": shares}
    )


def test_a_policy_is_updated_by_arn_only(desk):
    """A name is no ARN."""
    assert "Only scheduling policy Arn" in desk.refused(desk.client.delete_scheduling_policy, arn="fair")


def test_fifty_queues(stack):
    """A Region holds fifty."""
    for number in range(50):
        stack.client.create_job_queue(jobQueueName=f"q{number}", priority=1, computeEnvironmentOrder=order("ce"))

    assert "limit of 50" in refuse_create(stack)


def test_orders_cannot_be_emptied(stack):
    """An update keeps at least one environment, and compute environments at that."""
    stack.queue()
    assert "computeEnvironmentOrder is required." in refuse_update(stack, computeEnvironmentOrder=[])

    assert "only applicable for job queues of type SAGEMAKER_TRAINING" in refuse_update(
        stack, serviceEnvironmentOrder=[{"order": 1, "serviceEnvironment": "se"}]
    )


def test_managed_instances_stay_among_themselves(stack):
    """Environments of managed instances do not share a queue with others."""
    template = {
        "ec2InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/nodes",
        "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]},
    }
    provider = {"infrastructureRoleArn": "arn:aws:iam::123456789012:role/r", "instanceLaunchTemplate": template}
    resources = {"type": "ECS_MANAGED_INSTANCES", "maxvCpus": 4, "managedInstancesProvider": provider}
    stack.client.create_compute_environment(computeEnvironmentName="mi", type="MANAGED", computeResources=resources)
    stack.wait(60)

    assert "can not be mixed" in refuse_create(stack, computeEnvironmentOrder=order("ce", "mi"))
