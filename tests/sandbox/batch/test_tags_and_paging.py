"""Tags, pages, names and the order of replies, rule by rule."""

import pytest

from tests.sandbox.batch_desk import ACCOUNT, Desk, container, ec2

TAGS = {"team": "hpc"}


def definitions(desk: Desk, count: int) -> None:
    for number in range(count):
        desk.register(f"jd-{number:03}")


# --- tags ------------------------------------------------------------------------------------------------------------


def tagged(desk: Desk) -> dict[str, str]:
    """One resource of every kind that takes tags, by kind."""
    client = desk.client
    desk.environment(tags=TAGS)
    quota = client.create_scheduling_policy(
        name="quota", quotaSharePolicy={"idleResourceAssignmentStrategy": "FIFO"}, tags=TAGS
    )["arn"]
    service = client.create_service_environment(
        serviceEnvironmentName="se",
        serviceEnvironmentType="SAGEMAKER_TRAINING",
        capacityLimits=[{"maxCapacity": 1, "capacityUnit": "NUM_INSTANCES"}],
        tags=TAGS,
    )["serviceEnvironmentArn"]
    desk.wait(60)
    client.create_job_queue(
        jobQueueName="sage",
        priority=1,
        jobQueueType="SAGEMAKER_TRAINING",
        schedulingPolicyArn=quota,
        serviceEnvironmentOrder=[{"order": 1, "serviceEnvironment": "se"}],
        tags=TAGS,
    )
    desk.wait(60)
    queue = desk.queue(tags=TAGS)
    desk.register(tags=TAGS)
    share = client.create_quota_share(
        quotaShareName="s",
        jobQueue="sage",
        capacityLimits=[{"maxCapacity": 1, "capacityUnit": "ml.m5.large"}],
        resourceSharingConfiguration={"strategy": "RESERVE"},
        preemptionConfiguration={"inSharePreemption": "DISABLED"},
        tags=TAGS,
    )["quotaShareArn"]
    job = client.submit_service_job(
        jobName="j",
        jobQueue="sage",
        serviceRequestPayload="{}",
        serviceJobType="SAGEMAKER_TRAINING",
        quotaShareName="s",
        tags=TAGS,
    )["jobArn"]
    return {
        "environment": desk.see_environment()["computeEnvironmentArn"],
        "queue": queue,
        "definition": client.describe_job_definitions()["jobDefinitions"][0]["jobDefinitionArn"],
        "policy": quota,
        "service environment": service,
        "quota share": share,
        "consumable": client.create_consumable_resource(consumableResourceName="c", tags=TAGS)["consumableResourceArn"],
        "job": client.submit_job(jobName="j", jobQueue="q", jobDefinition="jd", tags=TAGS)["jobArn"],
        "service job": job,
    }


@pytest.mark.parametrize(
    "kind",
    [
        "environment",
        "queue",
        "definition",
        "policy",
        "service environment",
        "quota share",
        "consumable",
        "job",
        "service job",
    ],
)
def test_every_kind_is_tagged_at_creation_and_later(desk, kind):
    """Tags are given on creation, merged by TagResource, taken away by UntagResource, shown by ListTagsForResource."""
    arn = tagged(desk)[kind]
    client = desk.client
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == TAGS
    client.tag_resource(resourceArn=arn, tags={"team": "sim", "a/b": "c d+e&f"})
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "sim", "a/b": "c d+e&f"}
    client.untag_resource(resourceArn=arn, tagKeys=["team", "unknown"])
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"a/b": "c d+e&f"}
    client.untag_resource(resourceArn=arn, tagKeys=["a/b"])

    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {}


def test_what_can_be_found_by_tags(desk):
    """Everything that carries tags, for the tagging service beside this one."""
    arns = tagged(desk)

    assert desk.batch.tagged() == dict.fromkeys(arns.values(), TAGS) | {
        f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-queue/sage": TAGS
    }


def test_describe_shows_tags(desk):
    """Describe replies carry the tags, after a change as well."""
    arn = desk.environment(tags=TAGS)
    desk.client.tag_resource(resourceArn=arn, tags={"b": ""})

    assert desk.see_environment()["tags"] == {"team": "hpc", "b": ""}


def test_tags_belong_to_one_revision(desk):
    """Tagging a revision makes no new one, and touches no other."""
    first, second = (desk.register()["jobDefinitionArn"] for _ in range(2))
    desk.client.tag_resource(resourceArn=first, tags=TAGS)

    assert desk.see_definition(first)["tags"] == TAGS
    assert desk.see_definition(second)["tags"] == {}


def test_fifty_tags(desk):
    """A fifty-first tag is refused, on creation and later."""
    many = {f"k{number}": "v" for number in range(51)}
    refused = desk.refused(
        desk.client.create_compute_environment,
        computeEnvironmentName="ce",
        type="MANAGED",
        computeResources=ec2(),
        tags=many,
    )
    assert "50" in refused
    many.pop("k50")
    arn = desk.environment(tags=many)
    assert "50" in desk.refused(desk.client.tag_resource, resourceArn=arn, tags={"one more": ""})

    desk.client.tag_resource(resourceArn=arn, tags={"k0": "changed"})


@pytest.mark.parametrize("tags", [{"aws:x": "v"}, {"AWS:x": "v"}, {"k": "aws:v"}, {"k" * 129: "v"}, {"k": "v" * 257}])
def test_tags_that_are_refused(desk, tags):
    """Keys and values have lengths and may not start with `aws:` in any case."""
    arn = desk.environment()
    desk.refused(desk.client.tag_resource, resourceArn=arn, tags=tags)
    desk.refused(desk.client.create_scheduling_policy, name="p", tags=tags)

    assert desk.see_environment()["tags"] == {}


def test_system_tags_cannot_be_removed(desk):
    """Keys that start with `aws:` are not for callers."""
    arn = desk.environment()

    assert "aws:" in desk.refused(
        desk.client.untag_resource, resourceArn=arn, tagKeys=["aws:cloudformation:stack-name"]
    )


def test_empty_tags_are_refused(desk):
    """Without tags the member is left out."""
    desk.refused(desk.client.create_scheduling_policy, name="p", tags={})

    assert desk.client.list_scheduling_policies()["schedulingPolicies"] == []


def test_unknown_arns(desk):
    """Tagging what is not there is refused."""
    arn = f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-queue/none"
    assert "does not exist" in desk.refused(desk.client.tag_resource, resourceArn=arn, tags=TAGS)
    assert "does not exist" in desk.refused(desk.client.untag_resource, resourceArn=arn, tagKeys=["a"])

    assert "does not exist" in desk.refused(desk.client.list_tags_for_resource, resourceArn=arn)


def test_a_recreated_resource_has_no_old_tags(desk):
    """Tags go with the resource."""
    arn = desk.environment(tags=TAGS)
    desk.disable_environment()
    desk.client.delete_compute_environment(computeEnvironment="ce")
    desk.wait(50)
    assert "does not exist" in desk.refused(desk.client.list_tags_for_resource, resourceArn=arn)
    desk.environment()

    assert desk.see_environment()["tags"] == {}


def test_instance_tags_are_another_set(desk):
    """`computeResources.tags` are for the instances and not in ListTagsForResource."""
    arn = desk.environment(resources={"tags": {"Name": "node"}})

    assert desk.client.list_tags_for_resource(resourceArn=arn)["tags"] == {}
    assert desk.see_environment()["computeResources"]["tags"] == {"Name": "node"}


# --- pages -----------------------------------------------------------------------------------------------------------


def test_pages_of_a_hundred_unless_asked(desk):
    """A page has up to a hundred, and a token when there is more."""
    definitions(desk, 101)
    first = desk.client.describe_job_definitions()
    second = desk.client.describe_job_definitions(nextToken=first["nextToken"])

    assert (len(first["jobDefinitions"]), len(second["jobDefinitions"])) == (100, 1)
    assert "nextToken" not in second


@pytest.mark.parametrize("size", [0, 101, -1])
def test_page_sizes(desk, size):
    """maxResults is from 1 to 100."""
    for call in (
        desk.client.describe_compute_environments,
        desk.client.describe_job_queues,
        desk.client.describe_job_definitions,
        desk.client.describe_service_environments,
        desk.client.list_scheduling_policies,
        desk.client.list_consumable_resources,
    ):
        assert "between 1 and 100" in desk.refused(call, maxResults=size)


@pytest.mark.parametrize("shuffle", [None, 7])
def test_paginators_see_everything_once(desk, shuffle):
    """Pages neither skip nor repeat, whatever the order, even when something is deleted in between."""
    definitions(desk, 12)
    desk.settings.shuffle = shuffle
    pages = desk.client.get_paginator("describe_job_definitions").paginate(PaginationConfig={"PageSize": 5})
    names: list[str] = []
    for page in pages:
        found = [one["jobDefinitionName"] for one in page["jobDefinitions"]]
        desk.batch._store.definitions.drop(desk.batch._store.definitions.find(f"{found[0]}:1"))
        names += found

    assert sorted(names) == [f"jd-{number:03}" for number in range(12)]


def test_tokens_are_the_services_own(desk):
    """A made-up token is refused."""
    assert "nextToken" in desk.refused(desk.client.describe_job_queues, nextToken="eA==")
    assert "nextToken" in desk.refused(desk.client.describe_job_queues, nextToken="x")
    assert "nextToken" in desk.refused(desk.client.describe_job_queues, nextToken="é")


@pytest.mark.parametrize(
    ("operation", "member", "text"),
    [
        (
            "describe_compute_environments",
            "computeEnvironments",
            "ComputeEnvironments and MaxResults cannot both be set",
        ),
        ("describe_job_queues", "jobQueues", "JobQueues and MaxResults cannot both be set"),
        ("describe_job_definitions", "jobDefinitions", "JobDefinitions and MaxResults cannot both be set"),
        ("describe_service_environments", "serviceEnvironments", "cannot both be set"),
    ],
)
def test_names_and_pages_exclude_each_other(desk, operation, member, text):
    """Names and maxResults together are refused, and so are more than a hundred names."""
    call = getattr(desk.client, operation)
    assert text in desk.refused(call, **{member: ["a:1"], "maxResults": 5})

    assert "100" in desk.refused(call, **{member: [f"a:{number}" for number in range(1, 102)]})


def test_a_hundred_names_at_most_elsewhere(desk):
    """Jobs and scheduling policies are described a hundred at a time too."""
    text = desk.refused(desk.client.describe_jobs, jobs=[f"j{number}" for number in range(101)])
    assert "Maximum number of jobs supported is 100" in text
    arns = [f"arn:aws:batch:eu-west-1:{ACCOUNT}:scheduling-policy/p{number}" for number in range(101)]

    assert "100" in desk.refused(desk.client.describe_scheduling_policies, arns=arns)


def test_a_name_given_twice_is_described_once(desk):
    """By name and by name again."""
    desk.environment()
    found = desk.client.describe_compute_environments(computeEnvironments=["ce", "ce"])["computeEnvironments"]

    assert len(found) == 1


# --- order -----------------------------------------------------------------------------------------------------------


def test_shuffling_moves_only_what_has_no_order(desk):
    """Sets come in another order each time; commands, rules and the order's numbers do not change."""
    subnets = [f"subnet-{number}" for number in range(8)]
    environment = [{"name": f"N{number}", "value": "v"} for number in range(8)]
    command = [str(number) for number in range(8)]
    entries = [{"action": "EXIT", "onExitCode": str(number)} for number in range(5)]
    desk.environment(resources={"subnets": subnets})
    given = {"attempts": 1, "evaluateOnExit": entries}
    arn = desk.register(containerProperties=container(environment=environment, command=command), retryStrategy=given)[
        "jobDefinitionArn"
    ]
    desk.settings.shuffle = "seed"
    orders = {tuple(desk.see_environment()["computeResources"]["subnets"]) for _ in range(5)}
    names = {
        tuple(one["name"] for one in desk.see_definition(arn)["containerProperties"]["environment"]) for _ in range(5)
    }
    seen = desk.see_definition(arn)

    assert len(orders) > 1
    assert len(names) > 1
    assert all(sorted(order) == sorted(subnets) for order in orders)
    assert seen["containerProperties"]["command"] == command
    assert [one["onExitCode"] for one in seen["retryStrategy"]["evaluateOnExit"]] == list("01234")


def test_shuffling_moves_the_resources_themselves(desk):
    """The resources of a list come in another order than they were made in."""
    definitions(desk, 20)
    desk.settings.shuffle = 1
    names = [one["jobDefinitionName"] for one in desk.client.describe_job_definitions()["jobDefinitions"]]

    assert names != sorted(names)
    assert len(set(names)) == 20


def test_ordered_strategies_keep_their_instance_types(desk):
    """Where the order of instance types is their priority, it is kept."""
    types = ["m5.large", "c5.large", "r5.large", "m4.large", "c4.large"]
    desk.environment(resources={"instanceTypes": types, "allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED"})
    desk.settings.shuffle = 3

    assert all(desk.see_environment()["computeResources"]["instanceTypes"] == types for _ in range(5))


def test_replies_are_not_the_store(desk):
    """What a caller does to a reply changes nothing."""
    desk.environment(tags=TAGS)
    _, reply = desk.batch.handle("POST", "/v1/describecomputeenvironments", {}, b"{}")
    reply["computeEnvironments"][0]["tags"]["x"] = "y"
    reply["computeEnvironments"][0]["computeResources"]["subnets"].clear()

    assert desk.see_environment()["tags"] == TAGS
    assert desk.see_environment()["computeResources"]["subnets"] == ["subnet-1", "subnet-2"]
