"""Job definitions, rule by rule."""

import pytest

from tests.sandbox.batch_desk import ACCOUNT, Desk, container

EXECUTION = f"arn:aws:iam::{ACCOUNT}:role/execution"
FARGATE = {"platformCapabilities": ["FARGATE"]}


def amounts(vcpus="1", memory="2048", **more):
    pairs = {"VCPU": vcpus, "MEMORY": memory, **more}
    return [{"type": kind, "value": value} for kind, value in pairs.items() if value is not None]


def refuse(desk: Desk, **changes):
    given = {"jobDefinitionName": "jd", "type": "container", "containerProperties": container(), **changes}
    return desk.refused(desk.client.register_job_definition, **{k: v for k, v in given.items() if v is not None})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([{"type": "VCPU", "value": "x"}, {"type": "MEMORY", "value": "2048"}], "Please provide a numeric value."),
        ([{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2G"}], "Please provide a numeric value."),
    ],
)
def test_fargate_amounts_are_numbers(desk, given, text):
    """On Fargate as well."""
    assert text in refuse_container(desk, fargate=True, resourceRequirements=given)


def refuse_container(desk: Desk, *, fargate=False, **changes):
    if fargate:
        changes = {"executionRoleArn": EXECUTION, **changes}
    return refuse(desk, containerProperties=container(**changes), **(FARGATE if fargate else {}))


def seen(desk: Desk, **changes):
    return desk.see_definition(desk.register(**changes)["jobDefinitionArn"])


def seen_container(desk: Desk, *, fargate=False, **changes):
    if fargate:
        changes = {"executionRoleArn": EXECUTION, **changes}
    return seen(desk, containerProperties=container(**changes), **(FARGATE if fargate else {}))["containerProperties"]


# --- revisions -------------------------------------------------------------------------------------------------------


def test_every_registration_is_a_revision(desk):
    """1, 2, 3 …, even if nothing differs."""
    assert [desk.register()["revision"] for _ in range(3)] == [1, 2, 3]


def test_revisions_stand_alone(desk):
    """Nothing is inherited from the revision before."""
    desk.register(
        parameters={"a": "b"},
        retryStrategy={"attempts": 2},
        tags={"t": "1"},
        propagateTags=True,
        **FARGATE,
        containerProperties=container(executionRoleArn=EXECUTION),
    )
    second = seen(desk)

    assert second["parameters"] == {}
    assert second["tags"] == {}
    assert {"retryStrategy", "propagateTags", "platformCapabilities"}.isdisjoint(second)


def test_deregistered_revisions_are_inactive_for_180_days(desk):
    """They are described without a status filter, and gone after 180 days; numbers are not used again."""
    arn = desk.register()["jobDefinitionArn"]
    desk.client.deregister_job_definition(jobDefinition=arn)
    assert desk.see_definition(arn)["status"] == "INACTIVE"
    listed = desk.client.describe_job_definitions(jobDefinitionName="jd")["jobDefinitions"]
    assert [one["status"] for one in listed] == ["INACTIVE"]
    assert desk.client.describe_job_definitions(jobDefinitionName="jd", status="ACTIVE")["jobDefinitions"] == []
    assert desk.register()["revision"] == 2
    desk.wait(181 * 86400)
    listed = desk.client.describe_job_definitions(jobDefinitionName="jd")["jobDefinitions"]

    assert [one["revision"] for one in listed] == [2]


def test_deregistering_takes_the_revision(desk):
    """NAME:REV and the ARN are fine, the bare name is refused; unknown or twice follows the switch."""
    arn = desk.register()["jobDefinitionArn"]
    assert "revision" in desk.refused(desk.client.deregister_job_definition, jobDefinition="jd")
    desk.client.deregister_job_definition(jobDefinition="jd:1")
    assert "does not exist" in desk.refused(desk.client.deregister_job_definition, jobDefinition=arn)
    desk.settings.unknown_delete = "ok"

    desk.client.deregister_job_definition(jobDefinition=arn)


def test_describing_by_name_and_revision(desk):
    """NAME:REV and ARNs name revisions; a bare name is not established and follows the switch."""
    desk.register()
    desk.register()
    describe = desk.client.describe_job_definitions
    assert [one["revision"] for one in describe(jobDefinitions=["jd:2"])["jobDefinitions"]] == [2]
    assert describe(jobDefinitions=["jd"])["jobDefinitions"] == []
    desk.settings.bare_definition_name = "all revisions"

    assert [one["revision"] for one in describe(jobDefinitions=["jd"])["jobDefinitions"]] == [1, 2]


def test_names_exclude_filters(desk):
    """jobDefinitions cannot be combined with jobDefinitionName, status or paging."""
    describe = desk.client.describe_job_definitions
    assert "cannot both be set" in desk.refused(describe, jobDefinitions=["jd:1"], maxResults=1)
    assert "cannot be combined" in desk.refused(describe, jobDefinitions=["jd:1"], status="ACTIVE")

    assert "cannot be combined" in desk.refused(describe, jobDefinitions=["jd:1"], jobDefinitionName="jd")


# --- what is described -----------------------------------------------------------------------------------------------


def test_top_level_fills(desk):
    """Parameters, tags, orchestration and status are filled; the rest stays absent."""
    first = seen(desk)

    assert first == {
        "jobDefinitionName": "jd",
        "jobDefinitionArn": f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-definition/jd:1",
        "revision": 1,
        "status": "ACTIVE",
        "type": "container",
        "parameters": {},
        "tags": {},
        "containerOrchestrationType": "ECS",
        "containerProperties": {
            "image": "busybox",
            "command": [],
            "volumes": [],
            "environment": [],
            "mountPoints": [],
            "ulimits": [],
            "resourceRequirements": amounts(),
            "secrets": [],
        },
    }


def test_empty_environment_values_vanish_and_order_is_not_kept(desk):
    """Entries without a value are dropped; the order is the service's own."""
    given = [{"name": "Z", "value": "1"}, {"name": "EMPTY", "value": ""}, {"name": "A", "value": "2"}]

    assert seen_container(desk, environment=given)["environment"] == [
        {"name": "A", "value": "2"},
        {"name": "Z", "value": "1"},
    ]


def test_nested_fills(desk):
    """Log configuration and Linux parameters gain their empty lists."""
    found = seen_container(
        desk,
        logConfiguration={"logDriver": "awslogs"},
        linuxParameters={"devices": [{"hostPath": "/dev/x"}], "tmpfs": [{"containerPath": "/t", "size": 1}]},
    )
    bare = seen_container(desk, linuxParameters={"initProcessEnabled": True})

    assert found["logConfiguration"] == {"logDriver": "awslogs", "options": {}, "secretOptions": []}
    assert found["linuxParameters"]["devices"] == [{"hostPath": "/dev/x", "permissions": []}]
    assert found["linuxParameters"]["tmpfs"] == [{"containerPath": "/t", "size": 1, "mountOptions": []}]
    assert bare["linuxParameters"] == {"initProcessEnabled": True, "devices": [], "tmpfs": []}


def test_fargate_fills_the_platform_version(desk):
    """Fargate is described with version LATEST, instances without."""
    assert seen_container(desk, fargate=True)["fargatePlatformConfiguration"] == {"platformVersion": "LATEST"}

    assert "fargatePlatformConfiguration" not in seen_container(desk)


def test_what_was_sent_as_false_is_echoed(desk):
    """false is not absent for booleans that were sent."""
    found = seen(desk, propagateTags=False, containerProperties=container(privileged=False))

    assert found["propagateTags"] is False
    assert found["containerProperties"]["privileged"] is False


def test_legacy_amounts_are_not_converted(desk):
    """vcpus and memory come back as they went in."""
    given = {"image": "busybox", "vcpus": 2, "memory": 512}
    found = seen(desk, containerProperties=given)["containerProperties"]

    assert (found["vcpus"], found["memory"], found["resourceRequirements"]) == (2, 512, [])


def test_retry_strategy_fills_and_lowers(desk):
    """evaluateOnExit is filled, actions come back in lower case, the entries' order is kept."""
    assert seen(desk, retryStrategy={"attempts": 3})["retryStrategy"] == {"attempts": 3, "evaluateOnExit": []}
    entries = [{"action": "RETRY", "onStatusReason": "Host EC2*"}, {"action": "exit", "onReason": "*"}]
    found = seen(desk, retryStrategy={"attempts": 3, "evaluateOnExit": entries})["retryStrategy"]

    assert found["evaluateOnExit"] == [
        {"action": "retry", "onStatusReason": "Host EC2*"},
        {"action": "exit", "onReason": "*"},
    ]


# --- top level -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        ({}, "RetryAttempts must be provided with retry strategy."),
        ({"evaluateOnExit": []}, "RetryAttempts must be provided with retry strategy."),
        ({"attempts": 0}, "RetryAttempts must be between 1 and 10."),
        ({"attempts": 99}, "RetryAttempts must be between 1 and 10."),
        ({"attempts": 1, "evaluateOnExit": [{"action": "RETRY"}]}, "should contain at least one of"),
        ({"attempts": 1, "evaluateOnExit": [{"action": "AGAIN", "onReason": "*"}]}, "AGAIN"),
        ({"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onReason": "*"}] * 6}, "maximum of 5"),
        ({"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onReason": "x" * 513}]}, "exceed 512 characters"),
        ({"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onStatusReason": "Host EC2 (i"}]}, "restricted"),
        ({"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onStatusReason": "a*b"}]}, "restricted"),
        ({"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onReason": "a-b"}]}, "restricted"),
        ({"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onExitCode": "-1"}]}, "restricted"),
        ({"attempts": 1, "evaluateOnExit": [{"action": "EXIT", "onExitCode": "one"}]}, "restricted"),
    ],
)
def test_retry_strategies(desk, strategy, text):
    """Attempts are required and limited; entries have conditions, few characters and one wildcard at the end."""
    assert text in refuse(desk, retryStrategy=strategy)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60"),
        ({"schedulingPriority": 10000}, "Scheduling priority must be between 0 and 9999."),
        ({"jobDefinitionName": "-x"}, "Job Definition name should match a valid pattern."),
        ({"type": "multinode"}, "not applicable for job definitions of type multinode"),
        ({"containerProperties": None}, "Exactly one of"),
        ({"eksProperties": {"podProperties": {"containers": [{"image": "x"}]}}}, "Exactly one of"),
        ({"platformCapabilities": ["EC2", "FARGATE"]}, "Only one platform capability"),
        ({"parameters": {"a": "x" * 25000}}, "24 KiB"),
        (
            {
                "consumableResourceProperties": {
                    "consumableResourceList": [{"consumableResource": "a", "quantity": 1}] * 2
                }
            },
            "Duplicate consumable",
        ),
    ],
)
def test_top_level(desk, changes, text):
    """The definition's own members are checked."""
    assert text in refuse(desk, **changes)


def test_five_consumables(desk):
    """A job needs up to five consumable resources."""
    needed = [{"consumableResource": f"r{number}", "quantity": 1} for number in range(6)]

    assert "maximum of 5 consumable" in refuse(desk, consumableResourceProperties={"consumableResourceList": needed})


def test_consumables_echo_follows_the_switch(desk):
    """Whether a consumable resource comes back as name or ARN is not established."""
    given = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 1}]}
    assert seen(desk, consumableResourceProperties=given)["consumableResourceProperties"] == given
    desk.settings.consumable_resource_echo = "arn"
    found = seen(desk, consumableResourceProperties=given)["consumableResourceProperties"]["consumableResourceList"]

    assert found[0]["consumableResource"].endswith(":consumable-resource/licence")


# --- containers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"resourceRequirements": amounts(vcpus=None)}, "vCPU is required."),
        ({"resourceRequirements": amounts(memory=None)}, "Memory is required."),
        ({"resourceRequirements": amounts("0")}, "vCPU must be at least 1, got 0."),
        ({"resourceRequirements": amounts("1.0")}, "Value 1.0 for type VCPU in resourceRequirement is not valid."),
        ({"resourceRequirements": amounts(memory="2G")}, "Value 2G for type MEMORY in resourceRequirement is not"),
        ({"resourceRequirements": amounts(memory="3")}, "Memory must be at least 4"),
        ({"resourceRequirements": amounts(GPU="one")}, "Please provide a numeric value."),
        ({"resourceRequirements": amounts() + amounts()}, "Cannot provide duplicates in resourceRequirements."),
        ({"vcpus": 1}, "Cannot use both ECS containerProperties vcpus and resourceRequirement VCPU."),
        ({"memory": 1}, "Cannot use both ECS containerProperties memory and resourceRequirement MEMORY."),
        ({"image": ""}, "Image is required."),
        ({"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}, "AWS_BATCH"),
        ({"networkConfiguration": {"assignPublicIp": "ENABLED"}}, "networkConfiguration not applicable for EC2."),
        ({"fargatePlatformConfiguration": {}}, "fargatePlatformConfiguration not applicable for EC2."),
        ({"runtimePlatform": {"cpuArchitecture": "ARM64"}}, "runtimePlatform not applicable for EC2."),
        ({"ephemeralStorage": {"sizeInGiB": 30}}, "ephemeralStorage not applicable for EC2."),
        ({"secrets": [{"name": "A", "valueFrom": "x"}]}, "executionRoleArn cannot be empty when using secrets"),
        (
            {"logConfiguration": {"logDriver": "splunk", "secretOptions": [{"name": "a", "valueFrom": "b"}]}},
            "executionRoleArn cannot be empty when using secrets or secretOptions",
        ),
        (
            {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-grupp": "x"}}},
            "Log driver awslogs disallows options: awslogs-grupp",
        ),
        (
            {"logConfiguration": {"logDriver": "awsfirelens"}},
            "awsfirelens requires a container with a firelensConfiguration",
        ),
        ({"linuxParameters": {"swappiness": 101, "maxSwap": 1}}, "swappiness must be between 0 and 100"),
        ({"linuxParameters": {"swappiness": 10}}, "swappiness can only be used together with maxSwap"),
        ({"linuxParameters": {"maxSwap": -1}}, "maxSwap"),
        ({"mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]}, "Unknown volume 'v'"),
        (
            {"volumes": [{"name": "v", "host": {}, "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]},
            "Only one type of volume",
        ),
    ],
)
def test_containers_on_instances(desk, changes, text):
    """What a container on EC2 may not have is refused with the service's words."""
    assert text in refuse_container(desk, **changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"resourceRequirements": amounts("1", "1024")},
            "Fargate resource requirements (1.00 vCPU, 1024 MiB) not valid.",
        ),
        ({"resourceRequirements": amounts("3", "8192")}, "Fargate resource requirements (3.00 vCPU"),
        ({"resourceRequirements": amounts("8", "17408")}, "Fargate resource requirements (8.00 vCPU"),
        ({"resourceRequirements": amounts(GPU="1")}, "GPU is not applicable for Fargate."),
        ({"resourceRequirements": [], "vcpus": 1}, "vcpus is not applicable for Fargate. Use resource requirements"),
        ({"executionRoleArn": ""}, "executionRoleArn is required for Fargate."),
        ({"logConfiguration": {"logDriver": "syslog"}}, "Log driver for Fargate is not valid: syslog"),
        (
            {"logConfiguration": {"logDriver": "awsfirelens"}},
            "awsfirelens requires a container with a firelensConfiguration",
        ),
        ({"ulimits": [{"name": "n", "hardLimit": 1, "softLimit": 1}]}, "ulimits is not applicable for Fargate."),
        ({"linuxParameters": {"maxSwap": 1}}, "linuxParameter.maxSwap is not allowed for Fargate."),
        ({"linuxParameters": {"sharedMemorySize": 1}}, "linuxParameter.sharedMemorySize is not allowed for Fargate."),
        ({"volumes": [{"name": "v", "host": {"sourcePath": "/x"}}]}, "host.sourcePath should not be set"),
        ({"privileged": True}, "privileged is not applicable for Fargate."),
        ({"instanceType": "m5.large"}, "instanceType is not applicable for Fargate."),
        ({"ephemeralStorage": {"sizeInGiB": 20}}, "between 21 and 200"),
    ],
)
def test_containers_on_fargate(desk, changes, text):
    """What a container on Fargate may not have is refused with the service's words."""
    assert text in refuse_container(desk, fargate=True, **changes)


@pytest.mark.parametrize(
    ("vcpus", "memory"),
    [("0.25", "512"), ("0.5", "4096"), ("1", "2048"), ("4", "30720"), ("16", "122880"), ("1.0", "3072")],
)
def test_fargate_pairs(desk, vcpus, memory):
    """The pairs of vCPUs and memory that Fargate has; values come back as text, as given."""
    found = seen_container(desk, fargate=True, resourceRequirements=amounts(vcpus, memory))

    assert found["resourceRequirements"] == amounts(vcpus, memory)


# --- tasks -----------------------------------------------------------------------------------------------------------


def task(*containers, **changes):
    return {
        "ecsProperties": {"taskProperties": [{"containers": list(containers), **changes}]},
        "containerProperties": None,
    }


def part(name, **changes):
    return {"name": name, "image": "busybox", "resourceRequirements": amounts(), **changes}


def test_tasks_are_filled(desk):
    """Containers of a task are essential unless said otherwise, and gain the usual lists."""
    given = task(part("a", environment=[{"name": "B", "value": "1"}, {"name": "A", "value": ""}]))
    arn = desk.client.register_job_definition(
        jobDefinitionName="jd", type="container", ecsProperties=given["ecsProperties"]
    )["jobDefinitionArn"]
    found = desk.see_definition(arn)["ecsProperties"]["taskProperties"][0]

    assert found["volumes"] == []
    assert found["containers"][0]["essential"] is True
    assert found["containers"][0]["environment"] == [{"name": "B", "value": "1"}]
    assert found["containers"][0]["mountPoints"] == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (task(), "between 1 and 10 containers"),
        (task(part("a"), part("a")), "unique"),
        (task(part("a", essential=False)), "At least one container must be set as essential"),
        (
            task(part("a", dependsOn=[{"containerName": "b", "condition": "DONE"}]), part("b")),
            "START, COMPLETE or SUCCESS",
        ),
        (
            task(
                part("a", dependsOn=[{"containerName": "b", "condition": "START"}]),
                part("b", dependsOn=[{"containerName": "a", "condition": "START"}]),
            ),
            "cycles",
        ),
        (
            task(part("a", dependsOn=[{"containerName": "c", "condition": "START"}]), part("b")),
            "must name a container",
        ),
        (task(part("a", dependsOn=[{"containerName": "a", "condition": "START"}])), "single-container job"),
        (
            task(
                part("a"),
                volumes=[{"name": "v", "s3filesVolumeConfiguration": {"fileSystemArn": "x"}}],
            ),
            "taskRoleArn is required",
        ),
        (task(part("a", resourceRequirements=[{"type": "VCPU", "value": "1"}])), "Memory is required."),
        (task(part("a", resourceRequirements=[{"type": "MEMORY", "value": "64"}])), "vCPU is required."),
        (task(part("a"), ipcMode="all"), "ipcMode"),
        (task(part("a"), pidMode="none"), "pidMode"),
        (task(part("a", secrets=[{"name": "s", "valueFrom": "x"}])), "executionRoleArn cannot be empty"),
        (
            {"ecsProperties": {"taskProperties": []}, "containerProperties": None},
            "exactly one taskProperties",
        ),
    ],
)
def test_tasks(desk, given, text):
    """One task of one to ten containers with unique names, an essential one, and no circles."""
    assert text in refuse(desk, **given)


# --- pods ------------------------------------------------------------------------------------------------------------


ENOUGH = {"limits": {"cpu": "1", "memory": "512Mi"}}


def pod(*, pod_changes=None, **changes):
    containers = [{"image": "busybox", "resources": ENOUGH, **changes}]
    return {
        "eksProperties": {"podProperties": {"containers": containers, **(pod_changes or {})}},
        "containerProperties": None,
    }


def test_pods_are_filled(desk):
    """hostNetwork and empty lists are filled, policies stay absent."""
    arn = desk.client.register_job_definition(
        jobDefinitionName="jd", type="container", eksProperties=pod()["eksProperties"]
    )["jobDefinitionArn"]
    found = desk.see_definition(arn)

    assert found["containerOrchestrationType"] == "EKS"
    assert found["eksProperties"]["podProperties"] == {
        "hostNetwork": True,
        "initContainers": [],
        "imagePullSecrets": [],
        "volumes": [],
        "containers": [
            {"image": "busybox", "resources": ENOUGH, "args": [], "command": [], "env": [], "volumeMounts": []}
        ],
    }


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (pod(resources={"limits": {"cpu": "0.3"}}), "multiple of 0.25"),
        (pod(resources={"limits": {"memory": "1Gi"}}), "Mi"),
        (pod(resources={"limits": {"memory": "1Mi"}, "requests": {"memory": "2Mi"}}), "equal in limits and requests"),
        (pod(resources={"limits": {"nvidia.com/gpu": "0.5"}}), "whole number"),
        (pod(imagePullPolicy="Sometimes"), "imagePullPolicy"),
        (pod(resources={"limits": {"cpu": "one"}}), "multiple of 0.25"),
        (pod(pod_changes={"containers": []}), "at least one container"),
        (pod(pod_changes={"containers": [{"image": "a", "name": "x"}] * 2}), "unique"),
        (pod(pod_changes={"dnsPolicy": "Mine"}), "dnsPolicy"),
        (pod(resources={}), "cpu and memory resources must be provided."),
        (pod(resources={"limits": {"cpu": "1"}}), "cpu and memory resources must be provided."),
        (pod(resources={"limits": {**ENOUGH["limits"], "storage": "1"}}), "storage is not a supported type"),
        (pod(resources={**ENOUGH, "requests": {"cpu": "2"}}), "cpu request must be <= to cpu limit"),
        (pod(pod_changes={"metadata": {"labels": {"k8s.io/a": "b"}}}), "reserved namespaces"),
        (pod(pod_changes={"metadata": {"labels": {"a": "b" * 64}}}), "cannot be longer than 63 characters"),
        (pod(pod_changes={"metadata": {"annotations": {"a": "b" * 256}}}), "cannot be longer than 255 characters"),
        (pod(pod_changes={"metadata": {"namespace": "default"}}), "cannot be the default Kubernetes namespace"),
        (pod(pod_changes={"metadata": {"namespace": "kube-x"}}), "reserved Kubernetes system namespace"),
        (pod(volumeMounts=[{"name": "v", "mountPath": "/v"}]), "Unknown volume"),
        ({**pod(), "platformCapabilities": ["EC2"]}, "platformCapabilities is not applicable for EKS."),
        ({**pod(), "propagateTags": True}, "propagateTags is not applicable for EKS."),
    ],
)
def test_pods(desk, given, text):
    """Amounts, policies and what is not for EKS are checked."""
    assert text in refuse(desk, **given)


# --- nodes -----------------------------------------------------------------------------------------------------------


def nodes(*ranges, number=2, main=0, **range_changes):
    listed = [{"targetNodes": one, "container": container(), **range_changes} for one in ranges]
    return {
        "type": "multinode",
        "containerProperties": None,
        "nodeProperties": {"numNodes": number, "mainNode": main, "nodeRangeProperties": listed},
    }


def test_nodes_are_filled(desk):
    """Each range gains instanceTypes and its container the usual lists."""
    given = nodes("0:1")
    arn = desk.client.register_job_definition(
        jobDefinitionName="jd", type="multinode", nodeProperties=given["nodeProperties"]
    )["jobDefinitionArn"]
    found = desk.see_definition(arn)["nodeProperties"]["nodeRangeProperties"][0]

    assert found["instanceTypes"] == []
    assert found["container"]["ulimits"] == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (nodes("0:", number=1001), "numNodes"),
        (nodes("0:", main=2), "mainNode"),
        (nodes("0"), "cover all nodes"),
        (nodes("1:"), "cover all nodes"),
        (nodes("0:5"), "not a valid range"),
        (nodes("x"), "not a valid range"),
        (nodes(*["0:"] * 6), "between 1 and 5"),
        (nodes("0:", instanceTypes=["m5.large"]), "Using instanceTypes with nodeRangeProperty is only allowed for"),
        (nodes("0:", ecsProperties=task(part("a"))["ecsProperties"]), "exactly one of container"),
        ({**nodes("0:"), **FARGATE}, "nodeProperties is not applicable for Fargate."),
    ],
)
def test_nodes(desk, given, text):
    """The ranges cover all nodes, each with one payload; no Fargate."""
    assert text in refuse(desk, **given)


@pytest.mark.parametrize("ranges", [("0:",), (":1",), ("0", "1"), ("0", "1:"), (":",)])
def test_ranges_that_cover(desk, ranges):
    """Either end of a range may be left open."""
    given = nodes(*ranges)
    desk.client.register_job_definition(
        jobDefinitionName="jd", type="multinode", nodeProperties=given["nodeProperties"]
    )
