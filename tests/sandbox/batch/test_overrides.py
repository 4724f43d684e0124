"""What SubmitJob changes of tasks, pods and nodes, and how arrays end whose parent does.

https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html and API_CancelJob.html
"""

from __future__ import annotations

import pytest

from tests.sandbox.batch_desk import ACCOUNT, container
from tests.support.long import together

FEW = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1024"}]
MORE = [{"type": "VCPU", "value": "4"}]
FARGATE = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]


@pytest.fixture
def stack(desk):
    """An environment and its queue, for EC2 and for EKS, and definitions of each form."""
    desk.environment()
    eks = {"eksClusterArn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/c", "kubernetesNamespace": "jobs"}
    desk.environment("eks", eksConfiguration=eks, resources={"allocationStrategy": "BEST_FIT_PROGRESSIVE"})
    desk.queue()
    desk.queue("eq", "eks")
    parts = [{"name": one, **container(resourceRequirements=FEW)} for one in ("main", "side")]
    pod = {"name": "main", "image": "busybox", "resources": {"limits": {"cpu": "1", "memory": "512Mi"}}}
    ranges = [{"targetNodes": "0:", "container": container(command=["old"])}]
    register = desk.client.register_job_definition
    desk.register("job")
    register(jobDefinitionName="task", type="container", ecsProperties={"taskProperties": [{"containers": parts}]})
    register(jobDefinitionName="pod", type="container", eksProperties={"podProperties": {"containers": [pod]}})
    nodes = {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": ranges}
    register(jobDefinitionName="nodes", type="multinode", nodeProperties=nodes)
    return desk


def submit(desk, definition="job", **more):
    queue = "eq" if definition == "pod" else "q"
    given = {"jobName": definition, "jobQueue": queue, "jobDefinition": definition, **more}
    return desk.client.submit_job(**given)["jobId"]


def test_containers_of_a_task_are_changed_by_name(stack):
    """The others stay as they are; a name that the definition does not have is refused."""
    named = {"name": "side", "command": ["x"], "environment": [{"name": "A", "value": "1"}]}
    wanted = {"taskProperties": [{"containers": [{**named, "resourceRequirements": MORE}]}]}
    seen = stack.see_job(submit(stack, "task", ecsPropertiesOverride=wanted))
    main, side = seen["ecsProperties"]["taskProperties"][0]["containers"]
    assert (side["command"], side["environment"]) == (["x"], [{"name": "A", "value": "1"}])
    assert {one["type"]: one["value"] for one in side["resourceRequirements"]} == {"VCPU": "4", "MEMORY": "1024"}
    assert "x" not in main["command"]

    unknown = {"taskProperties": [{"containers": [{"name": "none"}]}]}
    given = {"jobName": "j", "jobQueue": "q", "jobDefinition": "task"}
    assert "none" in stack.refused(stack.client.submit_job, **given, ecsPropertiesOverride=unknown)
    assert "containerOverrides" in stack.refused(stack.client.submit_job, **given, containerOverrides={"command": []})


def test_containers_of_a_pod_are_changed(stack):
    """The only one needs no name; requests beside limits, and labels, are added."""
    changed = {"args": ["y"], "env": [{"name": "A", "value": "1"}], "resources": {"requests": {"cpu": "0.5"}}}
    wanted = {"podProperties": {"containers": [changed], "metadata": {"labels": {"a": "b"}}}}
    pod = stack.see_job(submit(stack, "pod", eksPropertiesOverride=wanted))["eksProperties"]["podProperties"]
    (one,) = pod["containers"]
    assert (one["args"], one["env"], one["image"]) == (["y"], [{"name": "A", "value": "1"}], "busybox")
    assert one["resources"]["limits"]["cpu"] == "1"
    assert (one["resources"]["requests"]["cpu"], pod["metadata"]["labels"]) == ("0.5", {"a": "b"})


def test_ranges_of_nodes_are_changed(stack):
    """Part of a declared range, too; each node needs what its range says."""
    changed = {"command": ["new"], "resourceRequirements": MORE}
    wanted = {"nodePropertyOverrides": [{"targetNodes": "1:2", "containerOverrides": changed}]}
    job = submit(stack, "nodes", nodeOverrides=wanted)
    commands = [stack.see_job(f"{job}#{index}")["container"]["command"] for index in range(4)]
    assert commands == [["old"], ["new"], ["new"], ["old"]]
    stack.wait(30)
    assert stack.see_job(job)["status"] == "RUNNABLE"
    types = sorted(one.type for one in stack.world.running.values())
    assert types == ["c6i.large", "c6i.large", "c6i.xlarge", "c6i.xlarge"]


def amounts(**values):
    return {"resourceRequirements": [{"type": kind, "value": value} for kind, value in values.items()]}


def nodes(**values):
    return {"nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "0:", **values}]}}


REFUSED = [
    ("job", {"containerOverrides": amounts(VCPU="many")}, "Please provide a numeric value"),
    ("job", {"containerOverrides": amounts(VCPU="0.5")}, "Please provide a numeric value"),
    ("job", {"containerOverrides": amounts(VCPU="0")}, "vCPU must be at least 1"),
    ("job", {"containerOverrides": amounts(MEMORY="1")}, "Memory must be at least 4"),
    ("job", {"containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}}, "start with AWS_BATCH"),
    ("job", {"dependsOn": [{"type": "SEQUENTIAL"}]}, "array jobs only"),
    (
        "far",
        {"containerOverrides": amounts(VCPU="3")},
        "Fargate resource requirements (3.00 vCPU, 2048 MiB) not valid.",
    ),
    ("far", {"containerOverrides": amounts(GPU="1")}, "GPU is not applicable for Fargate."),
    ("far", {"containerOverrides": {"vcpus": 1}}, "vcpus is not applicable for Fargate."),
    (
        "task",
        {"ecsPropertiesOverride": {"taskProperties": [{"containers": [{"name": "main", **amounts(MEMORY="1")}]}]}},
        "at least 4",
    ),
    (
        "pod",
        {"eksPropertiesOverride": {"podProperties": {"containers": [{"resources": {"limits": {"cpu": "0.1"}}}]}}},
        "0.25",
    ),
    ("nodes", nodes(containerOverrides=amounts(VCPU="0")), "vCPU must be at least 1"),
    ("nodes", nodes(targetNodes="2:9"), "2:9 is not a valid range"),
    ("nodes", {"nodeOverrides": {"numNodes": 0}}, "numNodes 0 does not fit"),
    ("nodes", {"arrayProperties": {"size": 2}}, "not applicable for multi-node jobs"),
    ("fixed", {"nodeOverrides": {"numNodes": 3}}, "numNodes 3 does not fit"),
]
"""What a definition could not have, no override makes; of nodes there are others only in an open range."""


def test_what_overrides_cannot_make(stack):
    """A refusal, not a job that never starts (github.com/Netflix/metaflow/issues/749)."""
    register = stack.client.register_job_definition
    here = container(executionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/x", resourceRequirements=FARGATE)
    register(jobDefinitionName="far", type="container", containerProperties=here, platformCapabilities=["FARGATE"])
    ranges = [{"targetNodes": "0:1", "container": container()}]
    properties = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges}
    register(jobDefinitionName="fixed", type="multinode", nodeProperties=properties)

    def refused(definition, given, text):
        asked = {"jobName": "j", "jobQueue": "q", "jobDefinition": definition, **given}
        assert text in stack.refused(stack.client.submit_job, **asked)

    together(refused, REFUSED)
    first = {size: submit(stack, arrayProperties={"size": size}) for size in (2, 3)}
    alone = submit(stack)
    for other in (first[3], alone):
        given = {"arrayProperties": {"size": 2}, "dependsOn": [{"jobId": other, "type": "N_TO_N"}]}
        refused("job", given, "an array of the same size, 2")
    submit(stack, arrayProperties={"size": 2}, dependsOn=[{"jobId": first[2], "type": "N_TO_N"}])
    long = submit(stack, containerOverrides={"environment": [{"name": "A", "value": "x" * 8200}]})
    stack.wait(5)
    seen = stack.see_job(long)
    assert (seen["status"], seen["attempts"]) == ("FAILED", [])
    assert seen["statusReason"] == "Container Overrides length must be at most 8192"


def test_an_array_ends_with_its_parent(stack):
    """A failed dependency of the parent ends the children; one that is terminated has the caller's reason."""
    stack.settings.outcomes = {"job": ["exit:1"]}
    first = submit(stack)
    array = submit(stack, arrayProperties={"size": 2}, dependsOn=[{"jobId": first}])
    stack.wait(600)
    for job in (array, f"{array}:0", f"{array}:1"):
        seen = stack.see_job(job)
        assert (seen["status"], seen["statusReason"]) == ("FAILED", "Dependent Job failed")
    array = submit(stack, arrayProperties={"size": 2})
    stack.wait(5)
    stack.client.terminate_job(jobId=array, reason="enough")
    seen = stack.see_job(array)
    assert (seen["status"], seen["statusReason"], seen["isTerminated"]) == ("FAILED", "enough", True)


def test_what_is_pending_is_cancelled_when_the_others_have_ended(stack):
    """Those that it waits for, and the children of an array that run."""
    stack.settings.outcomes = {"job": ["exit:0@300"]}
    array = submit(stack, arrayProperties={"size": 2})
    waits = submit(stack, dependsOn=[{"jobId": array}])
    stack.wait(120)
    for job in (array, waits):
        stack.client.cancel_job(jobId=job, reason="no")
        assert (stack.see_job(job)["status"], stack.see_job(job)["isCancelled"]) == ("PENDING", True)
    stack.wait(600)
    assert [stack.see_job(f"{array}:{n}")["status"] for n in (0, 1)] == ["SUCCEEDED", "SUCCEEDED"]
    for job in (array, waits):
        assert (stack.see_job(job)["status"], stack.see_job(job)["statusReason"]) == ("FAILED", "no")


def test_attempts_of_pods_stand_apart(stack):
    """They are `eksAttempts`, and `attempts` stays empty, as its members are those of containers."""
    job = submit(stack, "pod")
    stack.wait(600)
    seen = stack.see_job(job)
    assert (seen["attempts"], len(seen["eksAttempts"])) == ([], 1)
