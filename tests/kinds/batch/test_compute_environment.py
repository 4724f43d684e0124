"""Compute environments: reading, the exact calls of every change, what each change means, and what a check finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.kinds.batch._diagnosis.causes import of_environments
from reconciler.kinds.batch.compute_environment.kind import KIND
from reconciler.kinds.batch.compute_environment.waits import IAM_LAG
from reconciler.model import Call, Effect, On, Proof, Query, Reference, Repair, Sought, Template, Wait
from tests.support.batch_kinds import (
    PROFILE,
    ROLE,
    SCOPE,
    SLR,
    TAGS,
    answer,
    arn,
    compared,
    described,
    paths,
    want,
    words,
)
from tests.support.tables import DATA, cases, without_nulls

BUSY = On(message="is being modified")
RELATED = On(message="found existing JobQueue relationship")
MISSING = On(message="does not exist")
DESCRIBE = Call("batch", "DescribeComputeEnvironments", {"computeEnvironments": ["x"]})
ORDINARY = ROLE + "AWSBatchServiceRole"
POLICY = {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 30}

RESOURCES = {
    "type": "SPOT",
    "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED",
    "minvCpus": 2,
    "maxvCpus": 32,
    "desiredvCpus": 4,
    "instanceTypes": ["m5.xlarge", "m5.2xlarge", "m4.xlarge"],
    "subnets": ["subnet-1", "subnet-2"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": PROFILE + "ecsInstanceProfile",
    "tags": {"Name": "aws-batch-instances"},
    "ec2KeyPair": "batch-ssh-key",
    "bidPercentage": 0,
}
DECLARED = {"type": "MANAGED", "state": "ENABLED", "computeResources": RESOURCES}
SHOWN = {
    **RESOURCES,
    "desiredvCpus": 6,
    "instanceTypes": ["m4.xlarge", "m5.2xlarge", "m5.xlarge"],
    "ec2Configuration": [{"imageType": "ECS_AL2023"}],
}
FARGATE = {
    "type": "MANAGED",
    "computeResources": {"type": "FARGATE", "maxvCpus": 16, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]},
}
UNMANAGED = {"type": "UNMANAGED", "serviceRole": ORDINARY}
EKS = {
    "type": "MANAGED",
    "eksConfiguration": {"eksClusterArn": "arn:aws:eks:eu-west-1:123456789012:cluster/c", "kubernetesNamespace": "b"},
    "computeResources": {**RESOURCES, "type": "EC2", "allocationStrategy": "BEST_FIT_PROGRESSIVE"},
}


def resources(base=None, **members):
    """A declaration whose resources differ in these members; None leaves one out."""
    base = base or DECLARED
    merged = {name: value for name, value in {**base["computeResources"], **members}.items() if value is not None}
    return {**base, "computeResources": merged}


def item(shown=SHOWN, **members):
    """An environment as DescribeComputeEnvironments shows it."""
    found = {
        "computeEnvironmentName": "x",
        "computeEnvironmentArn": arn("compute-environment/x"),
        "ecsClusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/AWSBatch-x-1",
        "tags": {},
        "type": "MANAGED",
        "state": "ENABLED",
        "status": "VALID",
        "statusReason": "ComputeEnvironment Healthy",
        "computeResources": shown,
        "serviceRole": SLR,
        "uuid": "2131c132-5f30-393a-bf59-29b142ceec06",
        "containerOrchestrationType": "ECS",
    } | members
    return {name: value for name, value in found.items() if value is not None}


def live(shown=SHOWN, **members):
    return described(KIND, "computeEnvironments", item(shown, **members))


def valid(role=SLR, timeout=1800.0, soonest=2.0):
    again = Call(
        "batch", "UpdateComputeEnvironment", {"computeEnvironment": "x", "serviceRole": role}, retry_on=(BUSY,)
    )
    return Wait(
        "compute environment x VALID",
        DESCRIBE,
        "computeEnvironments",
        until={"status": frozenset({"VALID"})},
        fail={"status": frozenset({"INVALID", "DELETED"})},
        repair=Repair(on=IAM_LAG, call=again, times=6),
        soonest=soonest,
        timeout=timeout,
        causes=of_environments(),
    )


def update(**members):
    return Call("batch", "UpdateComputeEnvironment", {"computeEnvironment": "x", **members}, retry_on=(BUSY,))


def changed(**members):
    """What differs is sent once: when the answer is lost, an environment that is changing shows that it arrived."""
    return replace(update(**members), proof=Proof.MOVING)


def updated(found, declared):
    wanted = want(KIND, declared)
    return list(KIND.update(found, wanted, compared(KIND, found, declared)))


# --- reading ---------------------------------------------------------------------------------------------------------


def test_reads_by_name_or_in_one_sweep():
    by_name, _ = answer(KIND, Query(SCOPE, (Sought("x"),)), {"computeEnvironments": []})
    swept, lives = answer(
        KIND,
        Query(SCOPE, (Sought("x"),), owned=True),
        {
            "computeEnvironments": [
                item(),
                item(computeEnvironmentName="y"),
                item(computeEnvironmentName="z", tags=TAGS),
            ]
        },
    )

    assert by_name == [DESCRIBE]
    assert [Call("batch", "DescribeComputeEnvironments", {})] == swept
    assert [found.physical for found in lives] == ["x", "z"]


def test_what_is_read():
    found = live(status="INVALID", statusReason="CLIENT_ERROR - no", tags=TAGS)

    assert {"name": "x", "arn": arn("compute-environment/x")} == found.attrs
    assert {"type", "state", "computeResources", "serviceRole"} == set(found.props)
    assert (found.invalid, found.reason, found.tags) == (True, "CLIENT_ERROR - no", TAGS)
    assert found.extra["uuid"] == "2131c132-5f30-393a-bf59-29b142ceec06"


def test_a_deleted_one_that_is_still_listed_is_not_there():
    _, lives = answer(KIND, Query(SCOPE, (Sought("x"),)), {"computeEnvironments": [item(status="DELETED")]})

    assert lives == []


# --- creating and deleting -------------------------------------------------------------------------------------------


def test_create_sends_what_is_declared():
    params = {"computeEnvironmentName": "x", **DECLARED, "tags": TAGS}

    assert [
        Call("batch", "CreateComputeEnvironment", params, retry_on=(BUSY,)),
        valid(soonest=5.0),
    ] == KIND.create(want(KIND, DECLARED))


def test_disabled_and_with_a_policy_only_after_it_is_valid():
    declared = {**UNMANAGED, "state": "DISABLED", "updatePolicy": {"terminateJobsOnUpdate": True}}
    params = {"computeEnvironmentName": "x", **UNMANAGED, "tags": TAGS}

    assert [
        Call("batch", "CreateComputeEnvironment", params, retry_on=(BUSY,)),
        valid(ORDINARY, soonest=5.0),
        update(updatePolicy={"terminateJobsOnUpdate": True}, state="DISABLED"),
        valid(ORDINARY),
    ] == KIND.create(want(KIND, declared))


def test_a_policy_that_aws_ignores_is_not_sent():
    """Batch ignores an update policy on Fargate, where the CDK sets one all the same."""
    sent = KIND.create(want(KIND, {**FARGATE, "updatePolicy": {"terminateJobsOnUpdate": True}}))

    assert [action.operation for action in sent if isinstance(action, Call)] == ["CreateComputeEnvironment"]
    assert "updatePolicy" not in sent[0].params


def test_delete_disables_waits_and_is_patient_with_forgotten_queues():
    disabled = Wait(
        "compute environment x DISABLED",
        DESCRIBE,
        "computeEnvironments",
        until={"status": frozenset({"VALID", "INVALID", "DELETED"})},
        gone=True,
        soonest=5.0,
    )
    gone = Wait(
        "compute environment x deleted",
        DESCRIBE,
        "computeEnvironments",
        until={"status": frozenset({"DELETED"})},
        fail={"status": frozenset({"INVALID"})},
        gone=True,
        soonest=30.0,
        causes=of_environments(),
    )
    off = {"computeEnvironment": "x", "state": "DISABLED"}
    delete = Call(
        "batch", "DeleteComputeEnvironment", {"computeEnvironment": "x"}, retry_on=(BUSY, RELATED), ok_if=(MISSING,)
    )

    assert [
        Call("batch", "UpdateComputeEnvironment", off, retry_on=(BUSY,), ok_if=(MISSING,)),
        disabled,
        delete,
        gone,
    ] == KIND.delete(live(), {})
    assert [delete, gone] == KIND.delete(live(state="DISABLED"), {})
    assert [delete, replace(gone, grace=60.0)] == KIND.delete(live(state="DISABLED", status="INVALID"), {})
    assert [replace(gone, soonest=0.0)] == KIND.wait_until_gone(live(status="DELETING"))


def test_a_change_that_is_found_may_end_at_any_moment():
    role = {"serviceRole": SLR}
    assert [valid(soonest=0.0)] == KIND.wait_until_settled(live(status="UPDATING", **role))


def test_repair_names_the_role_again():
    broken = live(status="INVALID", statusReason="CLIENT_ERROR - Not authorized to perform sts:AssumeRole")

    assert [update(serviceRole=SLR), valid()] == KIND.repair(broken, want(KIND, DECLARED))
    assert [update(serviceRole=ORDINARY), valid(ORDINARY)] == KIND.repair(broken, want(KIND, UNMANAGED))


# --- what a change means, and what it sends --------------------------------------------------------------------------

SCALING, INFRASTRUCTURE, REPLACE, IN_PLACE = (
    Effect.SCALING,
    Effect.INFRASTRUCTURE,
    Effect.REPLACE,
    Effect.IN_PLACE,
)

# name: (what changes, effect with the service-linked role, what the update sends)
CHANGES = {
    "maxvCpus": (resources(maxvCpus=64), SCALING, {"maxvCpus": 64}),
    "minvCpus": (resources(minvCpus=0), SCALING, {"minvCpus": 0}),
    "minvCpus left out": (resources(minvCpus=None), SCALING, {"minvCpus": 0}),
    "instanceTypes": (resources(instanceTypes=["c6i"]), INFRASTRUCTURE, {"instanceTypes": ["c6i"]}),
    "subnets": (resources(subnets=["subnet-3"]), INFRASTRUCTURE, {"subnets": ["subnet-3"]}),
    "securityGroupIds": (resources(securityGroupIds=["sg-2"]), INFRASTRUCTURE, {"securityGroupIds": ["sg-2"]}),
    "securityGroupIds left out": (resources(securityGroupIds=None), INFRASTRUCTURE, {"securityGroupIds": []}),
    "instanceRole": (resources(instanceRole=PROFILE + "other"), INFRASTRUCTURE, {"instanceRole": PROFILE + "other"}),
    "ec2KeyPair left out": (resources(ec2KeyPair=None), INFRASTRUCTURE, {"ec2KeyPair": ""}),
    "imageId": (resources(imageId="ami-1"), INFRASTRUCTURE, {"imageId": "ami-1"}),
    "placementGroup": (resources(placementGroup="pg"), INFRASTRUCTURE, {"placementGroup": "pg"}),
    "bidPercentage": (resources(bidPercentage=60), INFRASTRUCTURE, {"bidPercentage": 60}),
    "tags": (resources(tags={"Name": "n"}), INFRASTRUCTURE, {"tags": {"Name": "n"}}),
    "tags left out": (resources(tags=None), INFRASTRUCTURE, {"tags": {}}),
    "type": (resources(type="EC2", allocationStrategy="BEST_FIT_PROGRESSIVE"), INFRASTRUCTURE, None),
    "launchTemplate": (
        resources(launchTemplate={"launchTemplateName": "lt"}),
        INFRASTRUCTURE,
        {"launchTemplate": {"launchTemplateName": "lt"}},
    ),
    "scalingPolicy": (
        resources(scalingPolicy={"minScaleDownDelayMinutes": 60}),
        SCALING,
        {"scalingPolicy": {"minScaleDownDelayMinutes": 60}},
    ),
    "ec2Configuration": (
        resources(ec2Configuration=[{"imageType": "ECS_AL2023", "imageIdOverride": "ami-1"}]),
        INFRASTRUCTURE,
        {"ec2Configuration": [{"imageType": "ECS_AL2023", "imageIdOverride": "ami-1"}]},
    ),
    "strategy to BEST_FIT": (resources(allocationStrategy="BEST_FIT"), REPLACE, None),
    "strategy left out": (resources(allocationStrategy=None), REPLACE, None),
    "spotIamFleetRole": (resources(spotIamFleetRole=ROLE + "fleet"), REPLACE, None),
    "ordinary role": ({**DECLARED, "serviceRole": ORDINARY}, REPLACE, None),
    "unmanaged": (UNMANAGED, REPLACE, None),
    "fargate": (FARGATE, REPLACE, None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes(name):
    declared, effect, sent = CHANGES[name]
    found = compared(KIND, live(), declared)

    assert found
    assert effect in {change.effect for change in found.changes}
    assert (effect is REPLACE) == found.replaces
    if sent is not None:
        # an infrastructure update ends at any time where there are no instances
        times = {"timeout": 1800.0, "soonest": 2.0} if effect is SCALING else {"timeout": 5400.0, "soonest": 0.0}
        assert [changed(computeResources=sent), valid(**times)] == updated(live(), declared)


@pytest.mark.parametrize("name", [name for name, (_, effect, _) in CHANGES.items() if effect is INFRASTRUCTURE])
def test_an_ordinary_role_or_best_fit_rules_out_infrastructure_updates(name):
    declared, _, _ = CHANGES[name]
    with_role = compared(KIND, live(serviceRole=ORDINARY), {**declared, "serviceRole": ORDINARY})
    simple = compared(KIND, live({**SHOWN, "allocationStrategy": "BEST_FIT"}), declared)

    assert with_role.replaces
    assert any("with a custom serviceRole" in change.because for change in with_role.changes)
    assert simple.replaces
    assert any("BEST_FIT" in change.because for change in simple.changes)


@pytest.mark.parametrize(
    ("declared", "before", "sent"),
    [
        ({**DECLARED, "state": "DISABLED"}, {}, {"state": "DISABLED"}),
        (DECLARED, {"state": "DISABLED"}, {"state": "ENABLED"}),
        (
            {**DECLARED, "updatePolicy": {"terminateJobsOnUpdate": True}},
            {},
            {"updatePolicy": {"terminateJobsOnUpdate": True, "jobExecutionTimeoutMinutes": 30}},
        ),
        (DECLARED, {"updatePolicy": {"jobExecutionTimeoutMinutes": 60}}, {"updatePolicy": POLICY}),
        (
            {**DECLARED, "ecsSettings": {"containerInsights": "ENHANCED"}},
            {},
            {"ecsSettings": {"containerInsights": "ENHANCED"}},
        ),
        (
            DECLARED,
            {"ecsSettings": {"containerInsights": "ENABLED"}},
            {"ecsSettings": {"containerInsights": "DISABLED"}},
        ),
    ],
)
def test_members_beside_the_resources(declared, before, sent):
    assert [changed(**sent), valid()] == updated(live(**before), declared)


def test_scaling_and_infrastructure_go_in_one_call_and_nothing_else():
    declared = resources(maxvCpus=64, instanceTypes=["c6i"])

    sent = {"maxvCpus": 64, "instanceTypes": ["c6i"]}
    assert [changed(computeResources=sent), valid(timeout=5400.0, soonest=0.0)] == updated(live(), declared)


def test_what_is_cleared_is_cleared_the_way_aws_wants_it():
    named = {**SHOWN, "launchTemplate": {"launchTemplateName": "lt", "version": "$Default"}}
    identified = {**SHOWN, "launchTemplate": {"launchTemplateId": "lt-1"}}
    overridden = {**SHOWN, "ec2Configuration": [{"imageType": "ECS_AL2023", "imageIdOverride": "ami-1"}]}
    delayed = {**SHOWN, "scalingPolicy": {"minScaleDownDelayMinutes": 60}, "bidPercentage": 60}

    sent = [updated(live(shown), DECLARED)[0].params["computeResources"] for shown in (named, identified)]
    others = [updated(live(shown), DECLARED)[0].params["computeResources"] for shown in (overridden, delayed)]

    assert sent == [{"launchTemplate": {"launchTemplateName": ""}}, {"launchTemplate": {"launchTemplateId": ""}}]
    assert others[0] == {"ec2Configuration": []}
    assert others[1] == {"bidPercentage": 0, "scalingPolicy": {"minScaleDownDelayMinutes": 0}}


def test_the_wish_for_the_newest_image_goes_with_an_infrastructure_update_only():
    wish = {"updateToLatestImageVersion": True}

    infrastructure = updated(live(), resources(imageId="ami-1", **wish))
    scaling = updated(live(), resources(maxvCpus=64, **wish))
    created = KIND.create(want(KIND, resources(**wish)))

    assert {"imageId": "ami-1", **wish} == infrastructure[0].params["computeResources"]
    assert scaling[0].params["computeResources"] == {"maxvCpus": 64}
    assert "updateToLatestImageVersion" not in created[0].params["computeResources"]
    assert not compared(KIND, live(), resources(**wish))


@pytest.mark.parametrize(
    ("declared", "effect"),
    [
        (resources(FARGATE, maxvCpus=32), SCALING),
        (resources(FARGATE, subnets=["subnet-2"]), SCALING),
        (resources(FARGATE, securityGroupIds=["sg-2"]), SCALING),
        (resources(FARGATE, type="FARGATE_SPOT"), REPLACE),
        (resources(DECLARED), REPLACE),
    ],
)
def test_changes_on_fargate(declared, effect):
    found = compared(KIND, live(FARGATE["computeResources"]), declared)

    assert effect in {change.effect for change in found.changes}
    assert (effect is REPLACE) == found.replaces


def test_eks_can_change_its_access_entry_alone():
    eks = EKS["eksConfiguration"]
    shown = {**eks, "accessEntry": {"desiredState": "ENABLED", "status": "ACTIVE"}}
    found = live(EKS["computeResources"], eksConfiguration=shown)

    assert [changed(eksConfiguration={"accessEntry": {"desiredState": "INHERIT_FROM_CLUSTER"}}), valid()] == updated(
        found, EKS
    )
    assert compared(KIND, found, {**EKS, "eksConfiguration": {**eks, "kubernetesNamespace": "other"}}).replaces


def test_managed_instances():
    template = {
        "ec2InstanceProfileArn": PROFILE + "p",
        "networkConfiguration": {"subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"]},
    }
    provider = {"infrastructureRoleArn": ROLE + "r", "instanceLaunchTemplate": template}
    declared = {
        "type": "MANAGED",
        "computeResources": {"type": "ECS_MANAGED_INSTANCES", "maxvCpus": 8, "managedInstancesProvider": provider},
    }
    network = {"subnets": ["subnet-2", "subnet-1"], "securityGroups": ["sg-1"]}
    filled = {
        **template,
        "networkConfiguration": network,
        "capacityOptionType": "ON_DEMAND",
        "monitoring": "BASIC",
        "fipsEnabled": False,
    }
    shown = {
        **declared["computeResources"],
        "managedInstancesProvider": {**provider, "propagateTags": "NONE", "instanceLaunchTemplate": filled},
    }
    found = live(shown)
    spot = {**template, "capacityOptionType": "SPOT"}
    detailed = {**template, "monitoring": "DETAILED"}

    def with_template(changed):
        return resources(declared, managedInstancesProvider={**provider, "instanceLaunchTemplate": changed})

    assert not compared(KIND, found, declared)
    assert compared(KIND, found, with_template(spot)).replaces
    sent = updated(found, with_template(detailed))[0].params["computeResources"]["managedInstancesProvider"]
    assert {**provider, "instanceLaunchTemplate": detailed} == sent


# --- comparing -------------------------------------------------------------------------------------------------------

COMPARING = cases(DATA / "comparing" / "compute_environments.yaml")
ALIKE, DRIFTED = COMPARING["alike"], COMPARING["drifted"]
WRONG = without_nulls(cases(DATA / "checking" / "compute_environments.yaml"))["wrong"]
LITTLE = resources(desiredvCpus=None, tags=None, ec2KeyPair=None, bidPercentage=None)


def differences(case):
    """A declaration and what AWS describes, of which a case says what is not as in most."""
    shown = without_nulls(item(**case["described"]))
    return compared(KIND, described(KIND, "computeEnvironments", shown), without_nulls(case["declared"]))


@pytest.mark.parametrize("name", ALIKE)
def test_no_phantom_differences(name):
    assert paths(differences(ALIKE[name])) == []


@pytest.mark.parametrize("name", DRIFTED)
def test_no_missed_differences(name):
    found = paths(differences(DRIFTED[name]))

    assert found
    assert all(DRIFTED[name]["differ"] in path for path in found), found


@pytest.mark.parametrize(
    ("declared", "shown", "expected"),
    [
        (resources(maxvCpus=64), {}, "not affected"),
        ({**DECLARED, "state": "DISABLED"}, {}, "no new jobs"),
        (resources(imageId="ami-1"), {}, "may continue for 30 minutes"),
        (resources(imageId="ami-1"), {"updatePolicy": {"jobExecutionTimeoutMinutes": 7}}, "may continue for 7 minutes"),
        (
            {**resources(imageId="ami-1"), "updatePolicy": {"terminateJobsOnUpdate": True}},
            {},
            "running jobs are terminated",
        ),
        (resources(spotIamFleetRole=ROLE + "f"), {}, "move to a new environment first"),
    ],
)
def test_disruption(declared, shown, expected):
    found = live(**shown)

    # a policy that is not declared is on its way back to its defaults; until then the live one counts
    policy = shown.get("updatePolicy")
    declared = {**declared, "updatePolicy": policy} if policy else declared
    assert expected in KIND.disruption(found, want(KIND, declared), compared(KIND, found, declared))


# --- checks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [LITTLE, DECLARED, FARGATE, UNMANAGED, EKS])
def test_good_environments_have_no_findings(declared):
    assert words(KIND, declared) == []


@pytest.mark.parametrize("name", WRONG)
def test_mistakes(name):
    found = words(KIND, WRONG[name]["declared"])

    assert any(WRONG[name]["said"] in line and " error: " in line for line in found), found


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (
            {**DECLARED, "serviceRole": "AWSBatchServiceRole"},
            "serviceRole: warning: serviceRole is a custom role: later changes",
        ),
        (
            resources(type="EC2", allocationStrategy="BEST_FIT_PROGRESSIVE", bidPercentage=50),
            "bidPercentage has no effect on type EC2",
        ),
        (resources(ec2Configuration=[{"imageType": "ECS_AL2"}]), "refuses in new environments"),
        ({**FARGATE, "updatePolicy": POLICY}, "updatePolicy is ignored by AWS on Fargate"),
    ],
)
def test_warnings(declared, expected):
    (line,) = words(KIND, declared)

    assert expected in line
    assert " warning: " in line


def test_expressions_and_nonsense_are_not_judged():
    some = Template((Reference("lookups", "${lookups.x}", attr="x"),))
    open_ended = resources(subnets=some, instanceTypes=[some], maxvCpus=some, imageId=some, bidPercentage=some)

    assert words(KIND, {**open_ended, "serviceRole": some}) == []
    assert words(KIND, {"type": "MANAGED", "computeResources": "x", "eksConfiguration": [1], "serviceRole": 5}) == []


@pytest.mark.parametrize(
    ("kind", "strategy", "counts"),
    [
        ("EC2", "BEST_FIT_PROGRESSIVE_ORDERED", True),
        ("SPOT", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED", True),
        ("EC2", "BEST_FIT_PROGRESSIVE", False),
        ("SPOT", "SPOT_CAPACITY_OPTIMIZED", False),
    ],
)
def test_the_order_of_instance_types_counts_where_the_strategy_goes_by_it(kind, strategy, counts):
    shown = {**SHOWN, "type": kind, "allocationStrategy": strategy, "instanceTypes": ["m5.large", "c5.large"]}
    same = resources(type=kind, allocationStrategy=strategy, instanceTypes=["m5.large", "c5.large"])
    turned = resources(type=kind, allocationStrategy=strategy, instanceTypes=["c5.large", "m5.large"])

    assert not compared(KIND, live(shown), same)
    assert [change.effect for change in compared(KIND, live(shown), turned).changes] == [INFRASTRUCTURE] * counts
    if counts:
        sent = {"instanceTypes": ["c5.large", "m5.large"]}
        assert changed(computeResources=sent) == updated(live(shown), turned)[0]
