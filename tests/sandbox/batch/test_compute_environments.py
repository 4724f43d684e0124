"""Compute environments, rule by rule."""

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from reconciler.sandbox.batch import RoleFacts
from reconciler.sandbox.machines import machines
from tests.sandbox.batch_desk import ACCOUNT, FLEET, LINKED, POLICY, PROFILE, ROLE, Desk, ec2, fargate

LINKED_BFP = {"resources": {"allocationStrategy": "BEST_FIT_PROGRESSIVE"}}
EKS = {"eksClusterArn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/c", "kubernetesNamespace": "jobs"}
BUSY = "is being modified"


def create(desk: Desk, **changes):
    resources = {**ec2(), **changes.pop("resources", {})}
    given = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": resources, **changes}
    return desk.refused(desk.client.create_compute_environment, **{k: v for k, v in given.items() if v is not None})


def update(desk: Desk, **changes):
    return desk.client.update_compute_environment(computeEnvironment="ce", **changes)


def refuse_update(desk: Desk, **changes):
    return desk.refused(desk.client.update_compute_environment, computeEnvironment="ce", **changes)


# --- life cycle ------------------------------------------------------------------------------------------------------


def test_creating_takes_a_while_and_ends_valid(desk):
    """An environment is CREATING at first and VALID, with the healthy reason, after some seconds."""
    arn = desk.environment(settled=False)
    assert desk.see_environment()["status"] == "CREATING"
    desk.wait(14)
    assert desk.see_environment()["status"] == "CREATING"
    desk.wait(2)
    seen = desk.see_environment()

    assert (seen["status"], seen["statusReason"]) == ("VALID", "ComputeEnvironment Healthy")
    assert arn == f"arn:aws:batch:eu-west-1:{ACCOUNT}:compute-environment/ce"


def test_describe_fills_what_was_left_out(desk):
    """State, tags, role, uuid, cluster, orchestration, vCPUs and the image type are filled; the rest stays absent."""
    desk.environment()
    seen = desk.see_environment()
    resources = seen["computeResources"]

    assert seen["state"] == "ENABLED"
    assert seen["tags"] == {}
    assert seen["serviceRole"] == LINKED
    assert seen["containerOrchestrationType"] == "ECS"
    assert f"cluster/AWSBatch-ce-{seen['uuid']}" in seen["ecsClusterArn"]
    assert (resources["minvCpus"], resources["desiredvCpus"], resources["tags"]) == (0, 0, {})
    assert resources["ec2Configuration"] == [{"imageType": "ECS_AL2023"}]
    for absent in ("allocationStrategy", "bidPercentage", "ec2KeyPair", "imageId", "placementGroup", "launchTemplate"):
        assert absent not in resources
    assert "updatePolicy" not in seen


def test_a_recreated_environment_has_another_uuid(desk):
    """The uuid tells a re-created environment from the one of that name before."""
    desk.environment()
    before = desk.see_environment()["uuid"]
    desk.disable_environment()
    desk.client.delete_compute_environment(computeEnvironment="ce")
    desk.wait(200)
    desk.environment()

    assert before != desk.see_environment()["uuid"]


def test_unknown_names_are_missing_from_the_reply(desk):
    """Describing what is not there is no error."""
    assert desk.client.describe_compute_environments(computeEnvironments=["nope"])["computeEnvironments"] == []


def test_names_and_arns_are_taken_alike(desk):
    """Describe, update and delete take the name or the ARN."""
    arn = desk.environment()
    assert desk.see_environment(arn)["computeEnvironmentName"] == "ce"
    desk.client.update_compute_environment(computeEnvironment=arn, state="DISABLED")
    desk.wait()
    desk.client.delete_compute_environment(computeEnvironment=arn)

    assert desk.see_environment(arn)["status"] == "DELETING"


def test_a_name_is_taken_once(desk):
    """Creating an existing name is refused with `Object already exists`, even while it is being created."""
    desk.environment(settled=False)

    assert create(desk) == "Object already exists"


def test_duplicates_may_answer_as_a_conflict(desk):
    """The status of a duplicate is not established: 409 ConflictException is the other form."""
    desk.settings.duplicate = "ConflictException"
    desk.environment()
    with pytest.raises(ClientError) as caught:
        desk.environment()

    assert caught.value.response["Error"]["Code"] == "ConflictException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409


@pytest.mark.parametrize("phase", ["CREATING", "UPDATING", "DELETING"])
def test_no_update_and_no_delete_while_it_changes(desk, phase):
    """In transition, updates and deletions are refused with `is being modified`."""
    desk.environment(settled=phase != "CREATING")
    if phase == "UPDATING":
        update(desk, state="DISABLED")
    if phase == "DELETING":
        desk.disable_environment()
        desk.client.delete_compute_environment(computeEnvironment="ce")

    assert phase == desk.see_environment()["status"]
    assert BUSY in refuse_update(desk, state="DISABLED")
    assert desk.refused(desk.client.delete_compute_environment, computeEnvironment="ce") == (
        "Cannot delete, resource is being modified"
    )


def test_only_a_disabled_environment_is_deleted(desk):
    """Deleting an ENABLED environment is refused."""
    desk.environment()

    assert desk.refused(desk.client.delete_compute_environment, computeEnvironment="ce") == (
        "Cannot delete an enabled compute environment, set the state to DISABLED first."
    )


def test_deleting_takes_a_while_then_lingers_then_is_gone(desk):
    """DELETING, then DELETED for a while, then missing; a DELETED one cannot be updated."""
    desk.environment()
    desk.disable_environment()
    desk.client.delete_compute_environment(computeEnvironment="ce")
    assert desk.see_environment()["status"] == "DELETING"
    desk.wait(46)
    assert desk.see_environment()["status"] == "DELETED"
    assert refuse_update(desk, state="ENABLED").endswith(":compute-environment/ce does not exist")
    desk.wait(61)

    assert desk.client.describe_compute_environments(computeEnvironments=["ce"])["computeEnvironments"] == []


def test_a_deleted_environment_need_not_linger(desk):
    """How long DELETED is shown varies: it may be not at all."""
    desk.settings.deleted_lingers = 0
    desk.environment()
    desk.disable_environment()
    desk.client.delete_compute_environment(computeEnvironment="ce")
    desk.wait(46)

    assert desk.client.describe_compute_environments()["computeEnvironments"] == []


@pytest.mark.parametrize("held", [False, True])
def test_a_lingering_name_is_free_or_not(desk, held):
    """Whether a DELETED environment still holds its name is not established: the switch has both."""
    desk.settings.deleted_holds_name = held
    desk.environment()
    desk.disable_environment()
    desk.client.delete_compute_environment(computeEnvironment="ce")
    desk.wait(46)
    if held:
        assert create(desk) == "Object already exists"
    else:
        desk.environment()
        desk.wait(600)
        assert desk.see_environment()["status"] == "VALID"


def test_updating_what_is_not_there(desk):
    """An unknown environment is refused with `<arn> does not exist`."""
    assert refuse_update(desk, state="DISABLED") == (
        f"arn:aws:batch:eu-west-1:{ACCOUNT}:compute-environment/ce does not exist"
    )


def test_deleting_what_is_not_there_follows_the_switch(desk):
    """Deleting an unknown environment is either refused or a success."""
    assert "does not exist" in desk.refused(desk.client.delete_compute_environment, computeEnvironment="ce")
    desk.settings.unknown_delete = "ok"

    desk.client.delete_compute_environment(computeEnvironment="ce")


def test_time_passes_in_one_leap_as_in_small_steps(desk):
    """What follows from an event is timed from the event, however late somebody looks."""
    desk.environment(settled=False)
    desk.wait(15)
    desk.disable_environment()
    desk.client.delete_compute_environment(computeEnvironment="ce")
    desk.wait(45 + 61)

    assert desk.client.describe_compute_environments()["computeEnvironments"] == []


# --- queues and environments -----------------------------------------------------------------------------------------


def test_a_queue_holds_its_environment(desk):
    """An environment in a queue's order cannot be deleted."""
    desk.environment()
    desk.queue()
    desk.disable_environment()

    assert desk.refused(desk.client.delete_compute_environment, computeEnvironment="ce") == (
        "Cannot delete, found existing JobQueue relationship"
    )


def test_the_relationship_lingers_after_the_queue_let_go(desk):
    """For a while after a queue's order lost it, deleting the environment is still refused."""
    desk.environment()
    desk.environment("other")
    desk.queue("q", "ce", "other")
    desk.disable_environment()
    order = [{"order": 1, "computeEnvironment": "other"}]
    desk.client.update_job_queue(jobQueue="q", computeEnvironmentOrder=order)
    desk.wait(10)
    assert [item["order"] for item in desk.see_queue()["computeEnvironmentOrder"]] == [1]
    assert desk.see_queue()["status"] == "VALID"
    assert "found existing JobQueue relationship" in desk.refused(
        desk.client.delete_compute_environment, computeEnvironment="ce"
    )
    desk.wait(36)

    desk.client.delete_compute_environment(computeEnvironment="ce")


def test_the_relationship_lingers_after_the_queue_is_gone(desk):
    """For a while after its queue was deleted, deleting the environment is still refused."""
    desk.environment()
    desk.queue()
    desk.disable_environment()
    desk.disable_queue()
    desk.client.delete_job_queue(jobQueue="q")
    desk.wait(16)
    assert desk.see_queue()["status"] == "DELETED"
    assert "found existing JobQueue relationship" in desk.refused(
        desk.client.delete_compute_environment, computeEnvironment="ce"
    )
    desk.wait(45)

    desk.client.delete_compute_environment(computeEnvironment="ce")


# --- what is refused at creation -------------------------------------------------------------------------------------


def test_created_enabled_only(desk):
    """Creating in DISABLED state is refused."""
    message = create(desk, state="DISABLED")

    assert "Compute Environment must be created in ENABLED state." in message
    assert message.startswith("Error executing request, Exception : ")
    assert ", RequestId: " in message


@pytest.mark.parametrize("name", ["-ce", "_ce", "c e", "c.e", "x" * 129, "é"])
def test_names_have_a_pattern(desk, name):
    """A name starts with a letter or digit and has up to 128 of letters, digits, hyphens and underscores."""
    assert "name should match a valid pattern" in create(desk, computeEnvironmentName=name)


@pytest.mark.parametrize("name", ["a", "ab", "a-", "a_", "9", "x" * 128])
def test_short_names_are_fine(desk, name):
    """One character is enough, and the last may be a hyphen or underscore."""
    desk.environment(name)

    assert desk.see_environment(name)["status"] == "VALID"


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("minvCpus", "Resource minvCpus is required."),
        ("instanceTypes", "Resource instanceTypes are required."),
        ("instanceRole", "Instance role is required."),
        ("securityGroupIds", "Security group ids are required."),
        ("subnets", "ubnets are required."),
    ],
)
def test_ec2_needs(desk, member, text):
    """An environment on instances needs minvCpus, instance types, a role, subnets and security groups."""
    resources = {key: value for key, value in ec2().items() if key != member}
    given = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": resources}

    assert text in desk.refused(desk.client.create_compute_environment, **given)


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ({"instanceTypes": []}, "Resource instanceTypes are required."),
        ({"instanceTypes": ["t2.enormous"]}, "Instance type can only be one of ["),
        ({"instanceTypes": ["t3"]}, "Instance type can only be one of ["),
        ({"instanceTypes": ["t4g.small"]}, "Instance type can only be one of ["),
        ({"instanceTypes": ["q9"]}, "Instance type can only be one of ["),
        ({"instanceTypes": ["m6g.large", "m5.large"]}, "arm-based instance type cannot be used with other"),
        ({"instanceTypes": ["default_arm64", "optimal"]}, "arm-based instance type cannot be used with other"),
        ({"desiredvCpus": 17}, "desiredvCpus should be between minvCpus and maxvCpus."),
        ({"minvCpus": 4, "desiredvCpus": 0}, "desiredvCpus should be between minvCpus and maxvCpus."),
        ({"minvCpus": 17}, "minvCpus must be less than or equal to maxvCpus."),
        ({"type": "SPOT"}, "compute resource spotIamFleetRole is required."),
        ({"type": "SPOT", "allocationStrategy": "BEST_FIT"}, "compute resource spotIamFleetRole is required."),
        ({"allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"}, "requires compute resource type"),
        ({"type": "SPOT", "allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED"}, "requires compute resource type EC2"),
        (
            {"allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED", "instanceTypes": ["optimal"]},
            "are not allowed for BEST_FIT_PROGRESSIVE_ORDERED allocation strategy",
        ),
        ({"bidPercentage": 101}, "Bid percentage must be between 0 to 100."),
        ({"subnets": [f"subnet-{n}" for n in range(17)]}, "16 subnets"),
        ({"launchTemplate": {}}, "One of LaunchTemplateId and LaunchTemplateName or LaunchTemplate.overrides"),
        (
            {"launchTemplate": {"launchTemplateId": "lt-1", "launchTemplateName": "nodes"}},
            "One of LaunchTemplateId and LaunchTemplateName",
        ),
        (
            {"launchTemplate": {"launchTemplateId": "lt-1", "version": "newest"}},
            "must be either empty or a number or $Default or $Latest",
        ),
        ({"ec2Configuration": [{"imageType": "ECS_AL2023"}] * 3}, "maximum of 2 ec2Configuration"),
        ({"scalingPolicy": {"minScaleDownDelayMinutes": 19}}, "minScaleDownDelayMinutes"),
        ({"minvCpus": -1}, "minvCpus must not be negative"),
        ({"maxvCpus": 0}, "maxvCpus must be at least 1"),
        ({"subnets": ["default"]}, "ids that start with subnet-"),
        ({"securityGroupIds": ["default"]}, "ids that start with sg-"),
        ({"ec2Configuration": [{"imageType": "EKS_AL2023"}]}, "Image type EKS_AL2023 is not applicable"),
        (
            {"ec2Configuration": [{"imageType": "ECS_AL2023", "imageKubernetesVersion": "1.30"}]},
            "only applicable for EKS",
        ),
        ({"type": "ECS_MANAGED_INSTANCES"}, "managedInstancesProvider is required."),
    ],
)
def test_ec2_refuses(desk, resources, text):
    """Resources of instances that cannot work are refused with the service's words."""
    assert text in create(desk, resources=resources)


def override(*targets, **names):
    return {"targetInstanceTypes": list(targets), **(names or {"launchTemplateId": "lt-1"})}


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ([override("m5.large")] * 11, "maximum of 10 launch template overrides"),
        ([override("m5.large"), override("m5.large")], "unique among the overrides"),
        ([override("m5.large", version="1")], "provided in an override"),
        ([override("m5.large", launchTemplateId="lt-1", launchTemplateName="nodes")], "provided in an override"),
        ([override("c5.large")], "subset of the instanceTypes"),
        ([override("optimal")], "subset of the instanceTypes"),
        ([override("m5")], "subset of the instanceTypes"),
        ([override("g5"), override("g5.xlarge")], "unique among the overrides"),
        ([override()], "subset of the instanceTypes"),
        ([override("m5.large", launchTemplateId="lt-1", version="x")], "must be either empty or a number"),
    ],
)
def test_template_overrides(desk, overrides, text):
    """Up to ten, each with one template and its own part of the instance types."""
    resources = {
        "instanceTypes": ["m5.large", "g5", "optimal"],
        "launchTemplate": {"launchTemplateId": "lt-1", "overrides": overrides},
    }

    assert text in create(desk, resources=resources)


def test_an_override_may_be_for_sizes_of_a_listed_family(desk):
    """With m5 and g5 listed, m5.large and m5.2xlarge can have a template of their own."""
    sizes = [override("m5.large", "m5.2xlarge")]
    desk.environment(
        resources={"instanceTypes": ["m5", "g5"], "launchTemplate": {"launchTemplateId": "lt-1", "overrides": sizes}}
    )

    assert desk.see_environment()["computeResources"]["launchTemplate"]["overrides"] == sizes


def test_managed_needs_resources(desk):
    """A MANAGED environment without compute resources is refused, and EKS on Fargate."""
    refused = desk.client.create_compute_environment
    text = desk.refused(refused, computeEnvironmentName="ce", type="MANAGED")
    assert "computeResources is required" in text
    given = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": fargate(), "eksConfiguration": EKS}

    assert "not applicable for Fargate" in desk.refused(refused, **given)


@pytest.mark.parametrize(
    "resources",
    [
        {"instanceTypes": ["default_x86_64"]},
        {"instanceTypes": ["default_arm64", "m7g.large", "a1"]},
        {"instanceTypes": ["m5", "c5.large", "p3.2xlarge", "g4dn"]},
        {"type": "SPOT", "spotIamFleetRole": FLEET},
        {"type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED", "bidPercentage": 60},
        {"launchTemplate": {"launchTemplateName": "nodes", "version": "$Latest"}, "securityGroupIds": []},
        {"scalingPolicy": {"minScaleDownDelayMinutes": 20}},
        {"instanceRole": PROFILE},
    ],
)
def test_ec2_accepts(desk, resources):
    """What AWS takes turns VALID."""
    desk.environment(resources=resources)

    assert desk.see_environment()["status"] == "VALID"


def test_launch_template_is_given_back_as_stored(desk):
    """The version is not resolved; the overrides are shown as an empty list."""
    desk.environment(resources={"launchTemplate": {"launchTemplateId": "lt-1", "version": "$Latest"}})

    assert desk.see_environment()["computeResources"]["launchTemplate"] == {
        "launchTemplateId": "lt-1",
        "version": "$Latest",
        "overrides": [],
    }


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("allocationStrategy", "BEST_FIT_PROGRESSIVE"),
        ("instanceTypes", ["m5"]),
        ("minvCpus", 0),
        ("desiredvCpus", 0),
        ("instanceRole", "nodes"),
        ("imageId", "ami-1"),
        ("ec2KeyPair", "key"),
        ("tags", {"a": "b"}),
        ("placementGroup", "pg"),
        ("bidPercentage", 50),
        ("spotIamFleetRole", FLEET),
        ("launchTemplate", {"launchTemplateId": "lt-1"}),
        ("ec2Configuration", [{"imageType": "ECS_AL2023"}]),
        ("scalingPolicy", {"minScaleDownDelayMinutes": 20}),
    ],
)
def test_not_applicable_for_fargate(desk, member, value):
    """What belongs to instances is refused on Fargate."""
    given = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": fargate(**{member: value})}

    assert f"{member} is not applicable for Fargate." in desk.refused(desk.client.create_compute_environment, **given)


def test_fargate_has_at_most_five_groups(desk):
    """A sixth security group is refused, and so is none at all; a subnet is needed too."""
    bare = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": fargate(subnets=[])}
    assert "Subnets are required." in desk.refused(desk.client.create_compute_environment, **bare)
    for groups, text in (([f"sg-{n}" for n in range(6)], "maximum of 5 security groups."), ([], "are required.")):
        resources = fargate(securityGroupIds=groups)
        given = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": resources}
        assert text in desk.refused(desk.client.create_compute_environment, **given)


@pytest.mark.parametrize("fills", [False, True])
def test_fargate_is_described_without_instances(desk, fills):
    """Only what was given comes back, or empty members beside it."""
    desk.settings.fargate_fills = fills
    desk.fargate()
    empties = {"instanceTypes": [], "tags": {}} if fills else {}

    assert desk.see_environment("fg")["computeResources"] == {**fargate(), **empties}


def test_unmanaged_needs_an_ordinary_role_and_nothing_else(desk):
    """UNMANAGED needs a service role that is not the linked one, and takes no compute resources."""
    base = {"computeEnvironmentName": "un", "type": "UNMANAGED"}
    refused = desk.client.create_compute_environment
    assert "ServiceRole is required." in desk.refused(refused, **base)
    assert "Service Linked Role cannot be used with UNMANAGED" in desk.refused(refused, **base, serviceRole=LINKED)
    assert "not applicable" in desk.refused(refused, **base, serviceRole=ROLE, computeResources=ec2())
    assert "not applicable for managed" in create(desk, unmanagedvCpus=4)
    desk.client.create_compute_environment(**base, serviceRole=ROLE, unmanagedvCpus=4)
    desk.wait()
    seen = desk.see_environment("un")

    assert (seen["status"], seen["unmanagedvCpus"]) == ("VALID", 4)
    assert "computeResources" not in seen


@pytest.mark.parametrize(
    ("namespace", "text"),
    [
        ("default", "cannot be the default Kubernetes namespace"),
        ("kube-system", "reserved Kubernetes system namespace"),
        ("Jobs", "valid pattern"),
        ("x" * 64, "valid pattern"),
    ],
)
def test_eks_namespaces(desk, namespace, text):
    """Some namespaces are refused."""
    assert text in create(desk, eksConfiguration={**EKS, "kubernetesNamespace": namespace})


def test_eks_refuses_best_fit(desk):
    """BEST_FIT is not for EKS; an EKS environment says so in its orchestration type and image."""
    assert "BEST_FIT" in create(desk, eksConfiguration=EKS, resources={"allocationStrategy": "BEST_FIT"})
    desk.environment(eksConfiguration=EKS, **LINKED_BFP)
    seen = desk.see_environment()

    assert seen["containerOrchestrationType"] == "EKS"
    assert seen["computeResources"]["ec2Configuration"] == [{"imageType": "EKS_AL2023"}]


def test_amazon_linux_2_may_be_at_its_end(desk):
    """Batch-provided Amazon Linux 2 images of ECS are refused when the switch says so; own images, and EKS, are not."""
    desk.settings.amazon_linux_2 = "refused"
    assert "is end-of-life" in create(desk, resources={"ec2Configuration": [{"imageType": "ECS_AL2"}]})

    desk.environment(resources={"ec2Configuration": [{"imageType": "ECS_AL2", "imageIdOverride": "ami-1"}]})
    on_eks = {**ec2(), "allocationStrategy": "BEST_FIT_PROGRESSIVE", "ec2Configuration": [{"imageType": "EKS_AL2"}]}
    desk.client.create_compute_environment(
        computeEnvironmentName="eks", type="MANAGED", computeResources=on_eks, eksConfiguration=EKS
    )


def test_fifty_environments(desk):
    """A Region holds fifty."""
    for number in range(50):
        desk.client.create_compute_environment(
            computeEnvironmentName=f"ce{number}", type="MANAGED", computeResources=ec2()
        )

    assert "limit of 50" in create(desk)


# --- roles, profiles, networks ---------------------------------------------------------------------------------------


def invalid(desk: Desk, **changes) -> str:
    desk.environment(**changes)
    seen = desk.see_environment()
    assert seen["status"] == "INVALID"
    return seen["statusReason"]


def test_the_linked_role_is_made_when_no_role_is_given(desk):
    """Without a serviceRole the service-linked role is created and used."""
    assert LINKED not in desk.world.roles
    desk.environment()

    assert LINKED in desk.world.roles


def test_a_bare_role_name_stands_under_the_root_path(desk):
    """The full ARN is described even when a name was given."""
    desk.environment(serviceRole="batch-service")

    assert desk.see_environment()["serviceRole"] == ROLE


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (None, "CLIENT_ERROR - Not authorized to perform sts:AssumeRole"),
        (RoleFacts(ROLE, exists=False), "CLIENT_ERROR - Not authorized to perform sts:AssumeRole"),
        (
            RoleFacts(ROLE, trusts=frozenset({"ec2.amazonaws.com"}), policies=frozenset({POLICY})),
            "User: batch.amazonaws.com is not authorized to perform: sts:AssumeRole on resource",
        ),
        (
            RoleFacts(ROLE, trusts=frozenset({"batch.amazonaws.com"}), policies=frozenset({POLICY}), usable=False),
            "User: batch.amazonaws.com is not authorized to perform: sts:AssumeRole on resource",
        ),
        (
            RoleFacts(ROLE, trusts=frozenset({"batch.amazonaws.com"})),
            "is not authorized to perform: ecs:DescribeClusters",
        ),
    ],
)
def test_a_bad_service_role_is_accepted_and_turns_the_environment_invalid(desk, facts, text):
    """Missing, untrusting, powerless or not yet usable: the call succeeds, the environment turns INVALID."""
    if facts is None:
        del desk.world.roles[ROLE]
    else:
        desk.world.roles[ROLE] = facts

    assert text in invalid(desk, serviceRole=ROLE)


def test_sending_the_role_again_repairs(desk):
    """UpdateComputeEnvironment validates again: an INVALID environment becomes VALID once the role is usable."""
    usable = desk.world.roles[ROLE]
    desk.world.roles[ROLE] = replace(usable, usable=False)
    invalid(desk, serviceRole=ROLE)
    update(desk, serviceRole=ROLE)
    desk.wait(60)
    assert desk.see_environment()["status"] == "INVALID"
    desk.world.roles[ROLE] = usable
    desk.wait(600)
    assert desk.see_environment()["status"] == "INVALID"
    update(desk, serviceRole=ROLE)
    desk.wait(60)

    assert desk.see_environment()["status"] == "VALID"


def test_the_role_is_used_when_the_settings_say(desk):
    """A role that becomes usable before Batch first uses it does no harm."""
    usable = desk.world.roles[ROLE]
    desk.settings.role_check = 10
    desk.world.roles[ROLE] = replace(usable, usable=False)
    desk.environment(serviceRole=ROLE, settled=False)
    desk.wait(8)
    desk.world.roles[ROLE] = usable
    desk.wait(60)

    assert desk.see_environment()["status"] == "VALID"


def test_an_own_policy_will_do(desk):
    """What the account's own policies allow is not judged."""
    desk.world.roles[ROLE] = replace(desk.world.roles[ROLE], policies=frozenset({"inline"}))
    desk.environment(serviceRole=ROLE)

    assert desk.see_environment()["status"] == "VALID"


@pytest.mark.parametrize("profile", ["absent", f"arn:aws:iam::{ACCOUNT}:role/ecsInstanceRole"])
def test_a_missing_profile_turns_the_environment_invalid(desk, profile):
    """The instance role is the name or ARN of an instance profile; anything else does not exist."""
    assert "does not exist" in invalid(desk, resources={"instanceRole": profile})


def test_a_profile_that_is_not_usable_yet(desk):
    """A profile that has just been created does not exist for EC2."""
    desk.world.profiles["nodes"] = replace(desk.world.profiles["nodes"], usable=False)

    assert "Instance profile" in invalid(desk)


def test_a_profile_without_a_role(desk):
    """EC2 cannot use a profile that holds no role."""
    desk.world.profiles["nodes"] = replace(desk.world.profiles["nodes"], role_arn=None)

    assert "Invalid IamInstanceProfile" in invalid(desk)


def test_a_wrong_fleet_role(desk):
    """The fleet role of a BEST_FIT Spot environment must be one."""
    assert "SpotFleetRequestConfig.IamFleetRole is invalid" in invalid(
        desk, resources={"type": "SPOT", "spotIamFleetRole": ROLE}
    )


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ({"subnets": ["subnet-77"]}, "The subnet ID 'subnet-77' does not exist"),
        ({"securityGroupIds": ["sg-77"]}, "The security group 'sg-77' does not exist"),
        ({"launchTemplate": {"launchTemplateName": "gone"}}, "launch template, gone, does not exist"),
    ],
)
def test_missing_network_objects(desk, resources, text):
    """What the request names and EC2 does not have shows after creation."""
    assert text in invalid(desk, resources=resources)


def test_groups_and_subnets_share_a_network(desk):
    """A security group of another VPC turns the environment INVALID."""
    desk.world.groups["sg-1"] = "vpc-2"

    assert "belong to different networks" in invalid(desk)


def test_profile_echo_follows_the_switch(desk):
    """Whether a profile's name comes back as a name or an ARN is not established."""
    desk.environment()
    assert desk.see_environment()["computeResources"]["instanceRole"] == "nodes"
    desk.settings.instance_role_echo = "arn"

    assert desk.see_environment()["computeResources"]["instanceRole"] == PROFILE


def test_deleting_without_its_role_ends_invalid_and_can_be_rescued(desk):
    """A service role that went first leaves DELETING and then INVALID; with the role back it can be deleted."""
    desk.environment(serviceRole=ROLE)
    desk.disable_environment()
    role = desk.world.roles.pop(ROLE)
    desk.client.delete_compute_environment(computeEnvironment="ce")
    assert desk.see_environment()["status"] == "DELETING"
    desk.wait(60)
    assert desk.see_environment()["status"] == "INVALID"
    assert "sts:AssumeRole" in desk.see_environment()["statusReason"]
    desk.world.roles[ROLE] = role
    desk.client.delete_compute_environment(computeEnvironment="ce")
    desk.wait(60)

    assert desk.see_environment()["status"] == "DELETED"


def test_an_invalid_environment_can_be_disabled_and_deleted(desk):
    """INVALID is a settled status: updates and deletions are taken."""
    invalid(desk, resources={"instanceRole": "absent"})
    desk.disable_environment()
    assert (desk.see_environment()["state"], desk.see_environment()["status"]) == ("DISABLED", "INVALID")
    desk.client.delete_compute_environment(computeEnvironment="ce")
    desk.wait(60)

    assert desk.see_environment()["status"] == "DELETED"


# --- updates ---------------------------------------------------------------------------------------------------------


def test_an_update_is_a_patch(desk):
    """Members left out stay; UPDATING for some seconds, then VALID."""
    desk.environment()
    update(desk, computeResources={"maxvCpus": 32})
    assert desk.see_environment()["status"] == "UPDATING"
    desk.wait(11)
    seen = desk.see_environment()

    assert seen["status"] == "VALID"
    assert seen["computeResources"]["maxvCpus"] == 32
    assert seen["computeResources"]["subnets"] == ["subnet-1", "subnet-2"]


def test_a_state_needs_no_resources(desk):
    """State alone can be sent; empty resources are refused."""
    desk.environment()
    assert "At least one compute-resources attribute must be specified" in refuse_update(desk, computeResources={})
    update(desk, state="DISABLED")

    assert desk.see_environment()["state"] == "DISABLED"


def test_scaling_updates_work_with_any_role_and_strategy(desk):
    """vCPUs and the delay of scaling down change in place with an ordinary role and BEST_FIT."""
    desk.environment(serviceRole=ROLE)
    delay = {"minScaleDownDelayMinutes": 20}
    update(desk, computeResources={"minvCpus": 1, "maxvCpus": 8, "desiredvCpus": 2, "scalingPolicy": delay})
    desk.wait(11)
    resources = desk.see_environment()["computeResources"]

    assert (resources["minvCpus"], resources["maxvCpus"], resources["desiredvCpus"]) == (1, 8, 2)
    assert resources["scalingPolicy"] == delay


INFRASTRUCTURE = {
    "instanceTypes": ["m5"],
    "instanceRole": "nodes",
    "imageId": "ami-2",
    "ec2KeyPair": "key",
    "tags": {"Name": "n"},
    "placementGroup": "pg",
    "bidPercentage": 50,
    "launchTemplate": {"launchTemplateId": "lt-1"},
    "ec2Configuration": [{"imageType": "ECS_AL2023"}],
    "subnets": ["subnet-3"],
    "securityGroupIds": ["sg-2"],
    "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED",
    "type": "SPOT",
    "updateToLatestImageVersion": True,
}


@pytest.mark.parametrize("member", INFRASTRUCTURE)
def test_infrastructure_updates_need_the_linked_role(desk, member):
    """With an ordinary service role what needs new instances is refused."""
    desk.environment(serviceRole=ROLE, **LINKED_BFP)

    assert "Batch Service Linked Role" in refuse_update(desk, computeResources={member: INFRASTRUCTURE[member]})


@pytest.mark.parametrize("member", INFRASTRUCTURE)
@pytest.mark.parametrize("strategy", [{}, {"allocationStrategy": "BEST_FIT"}])
def test_infrastructure_updates_need_another_strategy_than_best_fit(desk, member, strategy):
    """BEST_FIT, stated or not, refuses what needs new instances."""
    desk.environment(resources=strategy)

    assert "allocation strategy" in refuse_update(desk, computeResources={member: INFRASTRUCTURE[member]})


@pytest.mark.parametrize("member", INFRASTRUCTURE)
def test_infrastructure_updates_take_their_time(desk, member):
    """With the linked role and a progressive strategy they work, and take minutes."""
    desk.environment(**LINKED_BFP)
    patch = {member: INFRASTRUCTURE[member]}
    if member == "allocationStrategy":
        patch["type"] = "SPOT"
    update(desk, computeResources=patch)
    desk.wait(300)
    assert desk.see_environment()["status"] == "UPDATING"
    desk.wait(301)
    seen = desk.see_environment()

    assert seen["status"] == "VALID"
    if member not in ("updateToLatestImageVersion", "launchTemplate"):
        assert seen["computeResources"][member] == INFRASTRUCTURE[member]
    assert "updateToLatestImageVersion" not in seen["computeResources"]


def test_empty_values_remove(desk):
    """An empty string takes image, key pair, placement group and template away, an empty list the image types."""
    resources = {
        "allocationStrategy": "BEST_FIT_PROGRESSIVE",
        "imageId": "ami-1",
        "ec2KeyPair": "key",
        "placementGroup": "pg",
        "launchTemplate": {"launchTemplateId": "lt-1"},
        "ec2Configuration": [{"imageType": "ECS_AL2023_NVIDIA"}],
        "bidPercentage": 50,
    }
    desk.environment(resources=resources)
    update(
        desk,
        computeResources={
            "imageId": "",
            "ec2KeyPair": "",
            "placementGroup": "",
            "launchTemplate": {"launchTemplateId": ""},
            "ec2Configuration": [],
            "bidPercentage": 0,
        },
    )
    desk.wait()
    seen = desk.see_environment()["computeResources"]

    assert {"imageId", "ec2KeyPair", "placementGroup", "launchTemplate", "bidPercentage"}.isdisjoint(seen)
    assert seen["ec2Configuration"] == [{"imageType": "ECS_AL2023"}]


def test_leaving_out_template_overrides_removes_them(desk):
    """The launch template's overrides are the exception to patching."""
    override = {"launchTemplateId": "lt-1", "targetInstanceTypes": ["m5.large"]}
    template = {"launchTemplateId": "lt-1", "overrides": [override]}
    desk.environment(
        resources={
            "allocationStrategy": "BEST_FIT_PROGRESSIVE",
            "instanceTypes": ["m5.large"],
            "launchTemplate": template,
        }
    )
    assert desk.see_environment()["computeResources"]["launchTemplate"]["overrides"] == [override]
    update(desk, computeResources={"launchTemplate": {"launchTemplateId": "lt-1"}})

    assert desk.see_environment()["computeResources"]["launchTemplate"]["overrides"] == []


def test_the_service_role_changes_within_its_kind(desk):
    """Ordinary to ordinary is a scaling update; between ordinary and linked is refused."""
    other = f"arn:aws:iam::{ACCOUNT}:role/other"
    desk.world.roles[other] = replace(desk.world.roles[ROLE], arn=other)
    desk.environment(serviceRole=ROLE)
    assert "Service role cannot be changed" in refuse_update(desk, serviceRole=LINKED)
    update(desk, serviceRole=other)
    desk.wait(11)
    seen = desk.see_environment()

    assert (seen["status"], seen["serviceRole"]) == ("VALID", other)


@pytest.mark.parametrize(("before", "after"), [("EC2", "FARGATE"), ("FARGATE", "EC2"), ("FARGATE", "FARGATE_SPOT")])
def test_types_that_an_update_does_not_exchange(desk, before, after):
    """Between instances and Fargate there is no way in place."""
    if before == "EC2":
        desk.environment(**LINKED_BFP)
    else:
        desk.fargate("ce")

    assert "cannot be changed" in refuse_update(desk, computeResources={"type": after})


def test_fargate_types_may_be_exchanged(desk):
    """Whether FARGATE becomes FARGATE_SPOT in place is not established: the switch allows it."""
    desk.settings.fargate_type_in_place = True
    desk.fargate("ce")
    update(desk, computeResources={"type": "FARGATE_SPOT"})

    assert desk.see_environment()["computeResources"]["type"] == "FARGATE_SPOT"


def test_fargate_networks_are_scaling_updates(desk):
    """Subnets and groups of Fargate change in seconds and with any role; an empty list changes nothing."""
    desk.fargate("ce", serviceRole=ROLE)
    update(desk, computeResources={"subnets": ["subnet-2"], "securityGroupIds": []})
    desk.wait(11)
    seen = desk.see_environment()

    assert seen["status"] == "VALID"
    assert seen["computeResources"]["subnets"] == ["subnet-2"]
    assert seen["computeResources"]["securityGroupIds"] == ["sg-1"]
    assert "minvCpus is not applicable for Fargate." in refuse_update(desk, computeResources={"minvCpus": 1})
    assert "imageId is not applicable for Fargate." in refuse_update(desk, computeResources={"imageId": "ami-1"})


def test_desired_vcpus_only_rise(desk):
    """A desiredvCpus below the current one is refused, and so is one outside the limits."""
    desk.environment(resources={"desiredvCpus": 4})
    assert "Manually scaling down compute environment is not supported" in refuse_update(
        desk, computeResources={"desiredvCpus": 2}
    )
    assert "between minvCpus and maxvCpus" in refuse_update(desk, computeResources={"desiredvCpus": 17})
    update(desk, computeResources={"desiredvCpus": 8})

    assert desk.see_environment()["computeResources"]["desiredvCpus"] == 8


def test_limits_move_without_desired_vcpus(desk):
    """minvCpus above, or maxvCpus below, the current desiredvCpus is taken; the service follows."""
    desk.environment(resources={"desiredvCpus": 4})
    update(desk, computeResources={"minvCpus": 6})
    desk.wait(60)
    assert desk.see_environment()["computeResources"]["desiredvCpus"] == 6
    update(desk, computeResources={"minvCpus": 0, "maxvCpus": 2})
    desk.wait(60)

    assert desk.see_environment()["computeResources"]["desiredvCpus"] <= 2


def test_eks_refuses_desired_vcpus_on_update(desk):
    """An EKS environment moves its own desiredvCpus only."""
    desk.environment(eksConfiguration=EKS, **LINKED_BFP)

    assert "desiredvCpus" in refuse_update(desk, computeResources={"desiredvCpus": 1})


def test_instance_types_cannot_be_emptied(desk):
    """An update may take subnets and groups away, instance types not; unmanagedvCpus is not for MANAGED."""
    desk.environment(**LINKED_BFP)
    given = {"instanceTypes": [], "securityGroupIds": []}
    assert "Resource instanceTypes are required." in refuse_update(desk, computeResources=given)

    assert "unmanagedvCpus is not applicable" in refuse_update(desk, unmanagedvCpus=1)


def test_update_policy_is_absent_until_set(desk):
    """It is no member of create; what an update leaves out of it has the service's default."""
    desk.environment()
    assert "updatePolicy" not in desk.see_environment()
    update(desk, updatePolicy={"terminateJobsOnUpdate": True})

    assert desk.see_environment()["updatePolicy"] == {"terminateJobsOnUpdate": True, "jobExecutionTimeoutMinutes": 30}


def test_unmanaged_updates(desk):
    """unmanagedvCpus belongs to UNMANAGED, compute resources to MANAGED."""
    desk.client.create_compute_environment(computeEnvironmentName="ce", type="UNMANAGED", serviceRole=ROLE)
    desk.wait()
    assert "not applicable" in refuse_update(desk, computeResources={"maxvCpus": 1})
    update(desk, unmanagedvCpus=3)

    assert desk.see_environment()["unmanagedvCpus"] == 3


# --- instances -------------------------------------------------------------------------------------------------------


def vcpus(desk) -> int:
    """The vCPUs of the instances that run."""
    return sum(one.vcpus for launch in desk.world.running.values() for one in machines((launch.type,)))


def test_min_vcpus_launch_instances_once_valid(desk):
    """An environment with minvCpus runs instances some time after it is VALID, and none once it is gone."""
    desk.environment(resources={"minvCpus": 8}, settled=False)
    desk.wait(16)
    assert desk.see_environment()["status"] == "VALID"
    assert vcpus(desk) == 0
    desk.wait(60)
    assert desk.see_environment()["computeResources"]["desiredvCpus"] == 8
    assert vcpus(desk) == 8
    desk.disable_environment()
    assert vcpus(desk) == 8
    desk.client.delete_compute_environment(computeEnvironment="ce")
    desk.wait(60)
    desk.batch.settle()

    assert vcpus(desk) == 0


def test_disabled_and_scaled_down_it_lets_go(desk):
    """A DISABLED environment keeps minvCpus running, until they are lowered."""
    desk.environment(resources={"minvCpus": 4})
    desk.wait(120)
    desk.disable_environment()
    update(desk, computeResources={"minvCpus": 0})
    desk.wait(600)
    desk.batch.settle()

    assert vcpus(desk) == 0


def test_an_invalid_environment_launches_nothing(desk):
    """Without a usable role there are no instances."""
    desk.environment(serviceRole=f"arn:aws:iam::{ACCOUNT}:role/nope", resources={"minvCpus": 4})
    desk.wait(600)
    desk.batch.settle()

    assert vcpus(desk) == 0


def test_the_service_moves_desired_vcpus_itself(desk):
    """desiredvCpus is the service's own, within the limits."""
    desk.environment()
    desk.batch.scale("ce", 99)

    assert desk.see_environment()["computeResources"]["desiredvCpus"] == 16
