"""Job definitions: reading, the exact calls of every change, and what declared and described pairs compare like.

Described forms follow the public examples of the AWS CLI and what terraform's tests record of the service.
"""

from __future__ import annotations

import pytest

from reconciler.kinds.batch.job_definition.kind import KIND
from reconciler.model import OWNER_TAG, Call, Effect, Later, On, Query, Sought
from tests.support.batch_kinds import ROLE, SCOPE, TAGS, answer, arn, compared, described, paths, want

IMAGE = "public.ecr.aws/docker/library/busybox:latest"
EMPTY_LISTS = {
    "command": [],
    "volumes": [],
    "environment": [],
    "mountPoints": [],
    "ulimits": [],
    "resourceRequirements": [],
    "secrets": [],
}
VCPU, MEMORY = {"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "256"}
BASE = {"image": IMAGE, "resourceRequirements": [VCPU, MEMORY]}
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf"


def job(container=None, **members):
    """A declaration: a container job, or with ``container=None`` what the members say."""
    return {"type": "container", **({"containerProperties": container} if container else {}), **members}


def item(container=None, revision=3, **members):
    """A revision as DescribeJobDefinitions shows it."""
    shown = {"containerProperties": {**EMPTY_LISTS, **container}} if container else {}
    return {
        "jobDefinitionName": "x",
        "jobDefinitionArn": arn(f"job-definition/x:{revision}"),
        "revision": revision,
        "status": "ACTIVE",
        "type": "container",
        "parameters": {},
        "tags": {},
        "containerOrchestrationType": "ECS",
        **shown,
    } | members


def live(container=None, **members):
    return described(KIND, "jobDefinitions", item(container, **members))


# --- reading and writing ---------------------------------------------------------------------------------------------


def test_reads_the_active_revisions_of_each_name():
    calls, lives = answer(
        KIND,
        Query(SCOPE, (Sought("x"), Sought("y"))),
        {"jobDefinitions": [item(BASE, revision=10), item(BASE, revision=9, tags=TAGS)]},
        {"jobDefinitions": []},
    )

    assert [
        Call("batch", "DescribeJobDefinitions", {"jobDefinitionName": name, "status": "ACTIVE"}, all_pages=True)
        for name in ("x", "y")
    ] == calls
    assert [found.physical for found in lives] == ["x:9", "x:10"]


def test_one_sweep_answers_everything():
    calls, lives = answer(
        KIND,
        Query(SCOPE, (Sought("x"),), owned=True),
        {
            "jobDefinitions": [
                item(BASE),
                item(BASE, jobDefinitionName="mine", tags=TAGS),
                item(BASE, jobDefinitionName="other", tags={OWNER_TAG: "f"}),
                item(BASE, revision=2, status="INACTIVE"),
            ]
        },
    )

    assert [Call("batch", "DescribeJobDefinitions", {"status": "ACTIVE"})] == calls
    assert [found.physical for found in lives] == ["mine:3", "x:3"]


def test_what_is_read():
    found = live(BASE, tags=TAGS)

    assert {"name": "x", "arn": arn("job-definition/x:3"), "revision": "3"} == found.attrs
    assert (found.physical, found.revision, found.status, found.tags) == ("x:3", 3, "ACTIVE", TAGS)
    assert {"type", "parameters", "containerProperties"} == set(found.props)


def test_create_and_update_register_the_whole_declaration():
    declared = job(BASE, timeout={"attemptDurationSeconds": 60})
    register = Call(
        "batch",
        "RegisterJobDefinition",
        {"jobDefinitionName": "x", **declared, "tags": TAGS},
        captures={"arn": "jobDefinitionArn", "revision": "revision"},
    )
    found = live(BASE)

    assert [register] == KIND.create(want(KIND, declared))
    assert [register] == KIND.update(found, want(KIND, declared), compared(KIND, found, declared))


def test_delete_deregisters_one_revision():
    (call,) = KIND.delete(live(BASE), {})

    assert ("DeregisterJobDefinition", {"jobDefinition": arn("job-definition/x:3")}) == (call.operation, call.params)
    assert On(message="does not exist") in call.ok_if


def test_tags_belong_to_the_revision():
    resource = arn("job-definition/x:3")

    assert [{"resourceArn": resource, "tags": {"a": "1"}}, {"resourceArn": resource, "tagKeys": ["b"]}] == [
        call.params for call in KIND.tag(live(BASE), {"a": "1"}, ["b"])
    ]


def test_only_a_registration_tells_arn_and_revision():
    attrs = want(KIND, job(BASE)).attrs

    assert attrs["name"] == "x"
    assert isinstance(attrs["arn"], Later)
    assert isinstance(attrs["revision"], Later)


def test_every_difference_is_a_new_revision():
    found = compared(KIND, live(BASE), job({**BASE, "user": "nobody"}, type="container"))

    assert {Effect.NEW_REVISION} == {change.effect for change in found.changes}
    assert "not affected (they keep revision 3" in KIND.disruption(live(BASE), want(KIND, job(BASE)), found)


# --- comparing -------------------------------------------------------------------------------------------------------

ARTICLE = {"image": "alpine:latest", "vcpus": 2, "memory": 256, "command": ["sleep", "600"]}
RETRY = {"attempts": 5, "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "RETRY"}]}
LOWER = {"attempts": 5, "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "retry"}]}
FARGATE = {
    "image": IMAGE,
    "executionRoleArn": ROLE + "execution",
    "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
}
ON_FARGATE = {"platformCapabilities": ["FARGATE"]}
LATEST = {"fargatePlatformConfiguration": {"platformVersion": "LATEST"}}


def requirements(**amounts):
    return [{"type": kind, "value": value} for kind, value in amounts.items()]


def with_(**members):
    return {**BASE, **members}


def variables(**values):
    return [{"name": name, "value": value} for name, value in values.items()]


# containerProperties: name: (declared, described)
CONTAINERS = {
    "the article's, in the older form": (ARTICLE, ARTICLE),
    "older form declared, newer described": (
        ARTICLE,
        {
            "image": "alpine:latest",
            "command": ["sleep", "600"],
            "resourceRequirements": requirements(MEMORY="256", VCPU="2"),
        },
    ),
    "newer form declared, older described": (BASE, {"image": IMAGE, "vcpus": 2, "memory": 256}),
    "one of the two in the older form": (
        {"image": IMAGE, "vcpus": 2, "resourceRequirements": [MEMORY]},
        {"image": IMAGE, "memory": 256, "resourceRequirements": [VCPU]},
    ),
    "older members described as nought": (BASE, {**BASE, "vcpus": 0, "memory": 0}),
    "requirements in another order": (BASE, {"image": IMAGE, "resourceRequirements": [MEMORY, VCPU]}),
    "amounts written otherwise": (
        {"image": IMAGE, "resourceRequirements": requirements(VCPU="2.0", MEMORY="0256")},
        BASE,
    ),
    "false declared": (with_(privileged=False, readonlyRootFilesystem=False, enableExecuteCommand=False), BASE),
    "false echoed": (BASE, with_(privileged=False, readonlyRootFilesystem=False, enableExecuteCommand=False)),
    "variables in another order": (
        with_(environment=variables(A="1", B="2", C="3")),
        with_(environment=variables(C="3", A="1", B="2")),
    ),
    "an empty variable is dropped": (
        with_(environment=variables(A="1", EMPTY="")),
        with_(environment=variables(A="1")),
    ),
    "only an empty variable": (with_(environment=variables(EMPTY="")), BASE),
    "a variable without a value": (with_(environment=[{"name": "A"}]), BASE),
    "empty lists declared": ({**EMPTY_LISTS, **BASE}, BASE),
    "volume and mount": (
        with_(
            volumes=[{"name": "tmp", "host": {"sourcePath": "/tmp"}}],
            mountPoints=[{"containerPath": "/tmp", "sourceVolume": "tmp"}],
        ),
        with_(
            volumes=[{"name": "tmp", "host": {"sourcePath": "/tmp"}}],
            mountPoints=[{"containerPath": "/tmp", "sourceVolume": "tmp", "readOnly": False}],
        ),
    ),
    "volumes in another order": (
        with_(volumes=[{"name": "a"}, {"name": "b", "host": {}}]),
        with_(volumes=[{"name": "b"}, {"name": "a", "host": {}}]),
    ),
    "EFS with the defaults spelt out": (
        with_(volumes=[{"name": "e", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]),
        with_(
            volumes=[
                {
                    "name": "e",
                    "efsVolumeConfiguration": {
                        "fileSystemId": "fs-1",
                        "rootDirectory": "/",
                        "transitEncryption": "DISABLED",
                        "authorizationConfig": {"iam": "DISABLED"},
                    },
                }
            ]
        ),
    ),
    "ulimits in another order": (
        with_(
            ulimits=[
                {"name": "nofile", "softLimit": 1024, "hardLimit": 1024},
                {"name": "core", "softLimit": 0, "hardLimit": 0},
            ]
        ),
        with_(
            ulimits=[
                {"name": "core", "hardLimit": 0, "softLimit": 0},
                {"name": "nofile", "hardLimit": 1024, "softLimit": 1024},
            ]
        ),
    ),
    "secrets in another order": (
        with_(
            executionRoleArn=ROLE + "e",
            secrets=[{"name": "A", "valueFrom": SECRET}, {"name": "B", "valueFrom": "/param"}],
        ),
        with_(
            executionRoleArn=ROLE + "e",
            secrets=[{"name": "B", "valueFrom": "/param"}, {"name": "A", "valueFrom": SECRET}],
        ),
    ),
    "log configuration filled in": (
        with_(logConfiguration={"logDriver": "awslogs"}),
        with_(logConfiguration={"logDriver": "awslogs", "options": {}, "secretOptions": []}),
    ),
    "log options": (
        with_(
            logConfiguration={
                "logDriver": "awslogs",
                "options": {"awslogs-group": "/aws/batch/custom/env-queue", "awslogs-create-group": "true"},
            }
        ),
        with_(
            logConfiguration={
                "logDriver": "awslogs",
                "options": {"awslogs-create-group": "true", "awslogs-group": "/aws/batch/custom/env-queue"},
                "secretOptions": [],
            }
        ),
    ),
    "linux parameters filled in": (
        with_(linuxParameters={"initProcessEnabled": True}),
        with_(linuxParameters={"devices": [], "initProcessEnabled": True, "tmpfs": []}),
    ),
    "devices and tmpfs filled in": (
        with_(
            linuxParameters={
                "devices": [{"hostPath": "/tmp", "containerPath": "/test"}],
                "tmpfs": [{"containerPath": "/tmp", "size": 4096}],
            }
        ),
        with_(
            linuxParameters={
                "devices": [{"hostPath": "/tmp", "containerPath": "/test", "permissions": []}],
                "initProcessEnabled": False,
                "tmpfs": [{"containerPath": "/tmp", "size": 4096, "mountOptions": []}],
            }
        ),
    ),
    "permissions in another order": (
        with_(linuxParameters={"devices": [{"hostPath": "/dev/fuse", "permissions": ["READ", "WRITE"]}]}),
        with_(linuxParameters={"devices": [{"hostPath": "/dev/fuse", "permissions": ["WRITE", "READ"]}]}),
    ),
    "linux parameters that say nothing": (BASE, with_(linuxParameters={"devices": [], "tmpfs": []})),
    "role by name in the reply": (with_(jobRoleArn=ROLE + "path/job"), with_(jobRoleArn="job")),
    "empty user": (BASE, with_(user="")),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_alike(name):
    declared, shown = CONTAINERS[name]

    assert paths(compared(KIND, live(shown), job(declared))) == []


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_alike_on_the_nodes_of_a_job(name):
    declared, shown = CONTAINERS[name]
    filled = {"targetNodes": "0:", "container": {**EMPTY_LISTS, **shown}, "instanceTypes": []}
    nodes = {"numNodes": 2, "mainNode": 0}
    wanted = {
        "type": "multinode",
        "nodeProperties": {**nodes, "nodeRangeProperties": [{"targetNodes": "0:", "container": declared}]},
    }

    assert (
        paths(compared(KIND, live(type="multinode", nodeProperties={**nodes, "nodeRangeProperties": [filled]}), wanted))
        == []
    )


def task(*containers, **members):
    return {"taskProperties": [{"containers": list(containers), **members}]}


def pod(*containers, **members):
    return {"podProperties": {"containers": list(containers), **members}}


A, B = {"name": "a", "image": IMAGE}, {"name": "b", "image": IMAGE}
FILLED = {"dependsOn": [], "environment": [], "mountPoints": [], "secrets": [], "ulimits": [], "essential": True}
POD = {"command": [], "args": [], "env": [], "volumeMounts": []}
PODS = {"volumes": [], "initContainers": [], "imagePullSecrets": [], "hostNetwork": True}

# whole definitions: name: (declared, described)
WHOLE = {
    "nothing but a container": (job(BASE), item(BASE)),
    "actions in lower case": (job(BASE, retryStrategy=RETRY), item(BASE, retryStrategy=LOWER)),
    "no rules filled in": (
        job(BASE, retryStrategy={"attempts": 3}),
        item(BASE, retryStrategy={"attempts": 3, "evaluateOnExit": []}),
    ),
    "one attempt is the default": (job(BASE, retryStrategy={"attempts": 1}), item(BASE)),
    "empty conditions": (
        job(
            BASE,
            retryStrategy={
                "attempts": 2,
                "evaluateOnExit": [{"onExitCode": "", "onStatusReason": "", "onReason": "*", "action": "RETRY"}],
            },
        ),
        item(BASE, retryStrategy={"attempts": 2, "evaluateOnExit": [{"onReason": "*", "action": "retry"}]}),
    ),
    "EC2 declared": (job(BASE, platformCapabilities=["EC2"]), item(BASE)),
    "EC2 described": (job(BASE), item(BASE, platformCapabilities=["EC2"])),
    "no capabilities": (job(BASE), item(BASE, platformCapabilities=[])),
    "tags not propagated, declared": (job(BASE, propagateTags=False), item(BASE)),
    "tags not propagated, echoed": (job(BASE), item(BASE, propagateTags=False)),
    "no priority": (job(BASE), item(BASE, schedulingPriority=0)),
    "nulls": (
        job(BASE),
        item(BASE, timeout=None, retryStrategy=None, nodeProperties=None, propagateTags=None, eksProperties=None),
    ),
    "empty parameters and resources": (
        job(BASE, parameters={}),
        item(BASE, parameters={}, consumableResourceProperties={}),
    ),
    "parameters": (job(BASE, parameters={"a": "1", "b": ""}), item(BASE, parameters={"b": "", "a": "1"})),
    "consumable resources by name and ARN": (
        job(
            BASE,
            consumableResourceProperties={
                "consumableResourceList": [
                    {"consumableResource": "licence", "quantity": 1},
                    {"consumableResource": "other", "quantity": 2},
                ]
            },
        ),
        item(
            BASE,
            consumableResourceProperties={
                "consumableResourceList": [
                    {"consumableResource": arn("consumable-resource/other"), "quantity": 2},
                    {"consumableResource": arn("consumable-resource/licence"), "quantity": 1},
                ]
            },
        ),
    ),
    "fargate, platform filled in": (job(FARGATE, **ON_FARGATE), item({**FARGATE, **LATEST}, **ON_FARGATE)),
    "fargate, defaults declared": (
        job(
            {
                **FARGATE,
                **LATEST,
                "networkConfiguration": {"assignPublicIp": "DISABLED"},
                "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"},
            },
            **ON_FARGATE,
        ),
        item(FARGATE, **ON_FARGATE),
    ),
    "fargate, network with a member nobody knows": (
        job({**FARGATE, "networkConfiguration": {"assignPublicIp": "ENABLED"}}, **ON_FARGATE),
        item(
            {
                **FARGATE,
                **LATEST,
                "networkConfiguration": {"assignPublicIp": "ENABLED", "interfaceConfigurations": []},
            },
            **ON_FARGATE,
        ),
    ),
    "fargate, amounts with a point": (
        job({**FARGATE, "resourceRequirements": requirements(VCPU="1", MEMORY="2048")}, **ON_FARGATE),
        item({**FARGATE, "resourceRequirements": requirements(MEMORY="2048", VCPU="1.0"), **LATEST}, **ON_FARGATE),
    ),
    "output of a describe, pasted": (item(BASE, retryStrategy=LOWER), item(BASE, retryStrategy=LOWER)),
    "tasks: containers in another order": (
        job(ecsProperties=task(A, B)),
        item(ecsProperties=task({**B, **FILLED}, {**A, **FILLED}, platformVersion="LATEST", volumes=[])),
    ),
    "tasks: everything": (
        job(
            ecsProperties=task(
                {
                    **A,
                    "command": ["sleep", "60"],
                    "dependsOn": [{"containerName": "b", "condition": "COMPLETE"}],
                    "environment": variables(B="2", A="1"),
                    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}},
                    "privileged": False,
                    "resourceRequirements": requirements(VCPU="1", MEMORY="2048"),
                    "secrets": [{"name": "S", "valueFrom": SECRET}],
                },
                {**B, "essential": False},
                executionRoleArn=ROLE + "e",
            )
        ),
        item(
            ecsProperties=task(
                {
                    **FILLED,
                    **A,
                    "command": ["sleep", "60"],
                    "dependsOn": [{"condition": "COMPLETE", "containerName": "b"}],
                    "environment": variables(A="1", B="2"),
                    "logConfiguration": {
                        "logDriver": "awslogs",
                        "options": {"awslogs-group": "g"},
                        "secretOptions": [],
                    },
                    "privileged": False,
                    "readonlyRootFilesystem": False,
                    "resourceRequirements": requirements(MEMORY="2048", VCPU="1.0"),
                    "secrets": [{"name": "S", "valueFrom": SECRET}],
                },
                {**FILLED, **B, "essential": False},
                executionRoleArn=ROLE + "e",
                platformVersion="LATEST",
                volumes=[],
                enableExecuteCommand=False,
            )
        ),
    ),
    "pods: filled in": (
        job(eksProperties=pod(A)),
        item(eksProperties=pod({**A, **POD}, **PODS), containerOrchestrationType="EKS"),
    ),
    "pods: a container without a name": (
        job(eksProperties=pod({"image": IMAGE})),
        item(eksProperties=pod({"image": IMAGE, "name": "Default", **POD}, **PODS)),
    ),
    "pods: containers and variables in another order": (
        job(eksProperties=pod({**A, "env": variables(X="1", Y="2")}, B)),
        item(
            eksProperties=pod(
                {**B, **POD}, {**POD, **A, "env": variables(Y="2", X="1")}, dnsPolicy="ClusterFirst", **PODS
            )
        ),
    ),
    "pods: amounts and volumes": (
        job(
            eksProperties=pod(
                {
                    **A,
                    "resources": {"limits": {"cpu": "1", "memory": "1024Mi"}},
                    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                },
                volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "s", "secret": {"secretName": "s"}}],
            )
        ),
        item(
            eksProperties=pod(
                {
                    **POD,
                    **A,
                    "resources": {"limits": {"memory": "1024Mi", "cpu": "1.0"}, "requests": {}},
                    "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": False}],
                },
                hostNetwork=True,
                volumes=[
                    {"name": "s", "secret": {"secretName": "s", "optional": False}},
                    {"name": "v", "emptyDir": {"medium": "", "sizeLimit": "1Gi"}},
                ],
            )
        ),
    ),
    "nodes: ranges in another order": (
        {
            "type": "multinode",
            "nodeProperties": {
                "numNodes": 3,
                "mainNode": 0,
                "nodeRangeProperties": [
                    {"targetNodes": "0:0", "container": ARTICLE},
                    {"targetNodes": "1:", "container": BASE},
                ],
            },
        },
        item(
            type="multinode",
            nodeProperties={
                "numNodes": 3,
                "mainNode": 0,
                "nodeRangeProperties": [
                    {"targetNodes": "1:", "container": {**EMPTY_LISTS, **BASE}, "instanceTypes": []},
                    {"targetNodes": "0:0", "container": {**EMPTY_LISTS, **ARTICLE}, "instanceTypes": []},
                ],
            },
        ),
    ),
    "nodes: two ranges of the same nodes": (
        {
            "type": "multinode",
            "nodeProperties": {
                "numNodes": 2,
                "mainNode": 1,
                "nodeRangeProperties": [
                    {"targetNodes": "0:", "container": {"image": "busybox", "memory": 512, "command": []}},
                    {"targetNodes": "0:", "container": {"image": "nginx", "memory": 128}},
                ],
            },
        },
        item(
            type="multinode",
            nodeProperties={
                "numNodes": 2,
                "mainNode": 1,
                "nodeRangeProperties": [
                    {"targetNodes": "0:", "container": {"image": "busybox", "memory": 512}},
                    {"targetNodes": "0:", "container": {"image": "nginx", "memory": 128, "mountPoints": []}},
                ],
            },
        ),
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_definitions_alike(name):
    declared, shown = WHOLE[name]

    assert paths(compared(KIND, described(KIND, "jobDefinitions", shown), declared)) == []


# name: (declared, described, where they differ)
APART = {
    "image": (job(with_(image="other")), item(BASE), ["containerProperties.image"]),
    "command in another order": (
        job(with_(command=["a", "b"])),
        item(with_(command=["b", "a"])),
        ["containerProperties.command"],
    ),
    "a variable": (
        job(with_(environment=variables(A="1"))),
        item(with_(environment=variables(A="2"))),
        ["containerProperties.environment.A.value"],
    ),
    "a variable emptied": (
        job(with_(environment=variables(A=""))),
        item(with_(environment=variables(A="2"))),
        ["containerProperties.environment.A.value"],
    ),
    "older form, other amounts": (
        job(ARTICLE),
        item({**ARTICLE, "vcpus": 4}),
        ["containerProperties.vcpus"],
    ),
    "older form against newer, other amounts": (
        job({**ARTICLE, "command": []}),
        item({"image": "alpine:latest", "resourceRequirements": requirements(VCPU="4", MEMORY="256")}),
        ["containerProperties.resourceRequirements.VCPU.value"],
    ),
    "a GPU": (
        job(with_(resourceRequirements=[*BASE["resourceRequirements"], {"type": "GPU", "value": "1"}])),
        item(BASE),
        ["containerProperties.resourceRequirements.GPU.value"],
    ),
    "privileged": (job(BASE), item(with_(privileged=True)), ["containerProperties.privileged"]),
    "log driver taken away": (
        job(BASE),
        item(with_(logConfiguration={"logDriver": "awslogs", "options": {}, "secretOptions": []})),
        ["containerProperties.logConfiguration.logDriver"],
    ),
    "log group": (
        job(with_(logConfiguration={"logDriver": "awslogs", "options": {"awslogs-group": "a"}})),
        item(with_(logConfiguration={"logDriver": "awslogs", "options": {"awslogs-group": "b"}})),
        ["containerProperties.logConfiguration.options.awslogs-group"],
    ),
    "role": (
        job(with_(jobRoleArn=ROLE + "a")),
        item(with_(jobRoleArn=ROLE + "b")),
        ["containerProperties.jobRoleArn"],
    ),
    "role of another account": (
        job(with_(jobRoleArn=ROLE + "a")),
        item(with_(jobRoleArn="arn:aws:iam::999999999999:role/a")),
        ["containerProperties.jobRoleArn"],
    ),
    "attempts": (
        job(BASE, retryStrategy={"attempts": 2}),
        item(BASE, retryStrategy={"attempts": 3, "evaluateOnExit": []}),
        ["retryStrategy.attempts"],
    ),
    "rules in another order": (
        job(
            BASE,
            retryStrategy={
                "attempts": 2,
                "evaluateOnExit": [{"onExitCode": "1", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}],
            },
        ),
        item(
            BASE,
            retryStrategy={
                "attempts": 2,
                "evaluateOnExit": [{"onReason": "*", "action": "exit"}, {"onExitCode": "1", "action": "retry"}],
            },
        ),
        [
            "retryStrategy.evaluateOnExit.0.action",
            "retryStrategy.evaluateOnExit.0.onExitCode",
            "retryStrategy.evaluateOnExit.0.onReason",
            "retryStrategy.evaluateOnExit.1.action",
            "retryStrategy.evaluateOnExit.1.onExitCode",
            "retryStrategy.evaluateOnExit.1.onReason",
        ],
    ),
    "retries taken away": (job(BASE), item(BASE, retryStrategy={"attempts": 3}), ["retryStrategy.attempts"]),
    "action": (
        job(BASE, retryStrategy={"attempts": 5, "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "EXIT"}]}),
        item(BASE, retryStrategy=LOWER),
        ["retryStrategy.evaluateOnExit.0.action"],
    ),
    "timeout": (
        job(BASE, timeout={"attemptDurationSeconds": 60}),
        item(BASE, timeout={"attemptDurationSeconds": 61}),
        ["timeout.attemptDurationSeconds"],
    ),
    "timeout taken away": (
        job(BASE),
        item(BASE, timeout={"attemptDurationSeconds": 61}),
        ["timeout.attemptDurationSeconds"],
    ),
    "parameter": (job(BASE, parameters={"a": "1"}), item(BASE), ["parameters.a"]),
    "platform": (job(FARGATE, **ON_FARGATE), item(FARGATE), ["platformCapabilities"]),
    "platform version": (
        job({**FARGATE, "fargatePlatformConfiguration": {"platformVersion": "1.4.0"}}, **ON_FARGATE),
        item({**FARGATE, **LATEST}, **ON_FARGATE),
        ["containerProperties.fargatePlatformConfiguration.platformVersion"],
    ),
    "public address": (
        job(FARGATE, **ON_FARGATE),
        item({**FARGATE, "networkConfiguration": {"assignPublicIp": "ENABLED"}}, **ON_FARGATE),
        ["containerProperties.networkConfiguration.assignPublicIp"],
    ),
    "tags propagated": (job(BASE), item(BASE, propagateTags=True), ["propagateTags"]),
    "a task's container": (
        job(ecsProperties=task(A, {**B, "essential": False})),
        item(ecsProperties=task({**B, **FILLED}, {**A, **FILLED})),
        ["ecsProperties.taskProperties.0.containers.b.essential"],
    ),
    "a pod on its own network": (
        job(eksProperties=pod(A, hostNetwork=False)),
        item(eksProperties=pod({**A, **POD}, **PODS)),
        ["eksProperties.podProperties.hostNetwork"],
    ),
    "init containers in another order": (
        job(eksProperties=pod(A, initContainers=[A, B])),
        item(eksProperties=pod(A, initContainers=[B, A], hostNetwork=True)),
        ["eksProperties.podProperties.initContainers.0.name", "eksProperties.podProperties.initContainers.1.name"],
    ),
    "number of nodes": (
        {"type": "multinode", "nodeProperties": {"numNodes": 3, "mainNode": 0, "nodeRangeProperties": []}},
        item(type="multinode", nodeProperties={"numNodes": 2, "mainNode": 0, "nodeRangeProperties": []}),
        ["nodeProperties.numNodes"],
    ),
    "consumable quantity": (
        job(
            BASE, consumableResourceProperties={"consumableResourceList": [{"consumableResource": "a", "quantity": 1}]}
        ),
        item(
            BASE, consumableResourceProperties={"consumableResourceList": [{"consumableResource": "a", "quantity": 2}]}
        ),
        ["consumableResourceProperties.consumableResourceList.a.quantity"],
    ),
}


@pytest.mark.parametrize("name", APART)
def test_no_missed_differences(name):
    declared, shown, expected = APART[name]

    assert expected == paths(compared(KIND, described(KIND, "jobDefinitions", shown), declared))


@pytest.mark.parametrize(
    ("number", "others", "told"),
    [
        (1, None, ""),
        (5, {}, ""),
        (5, {4: TAGS}, ""),
        (5, {6: {OWNER_TAG: "other"}}, ""),
        (5, {4: {OWNER_TAG: "other"}}, "x:4 was registered since the plan and belongs to other"),
        (5, {4: {}}, "x:4 was registered since the plan and belongs to no environment"),
    ],
)
def test_a_revision_after_that_of_another_owner_is_deregistered(number, others, told):
    """The first revision of a name needs no read; who has a later number is not first."""
    captured = {"arn": arn(f"job-definition/x:{number}"), "revision": str(number)}
    items = [item(revision=other, tags=tags) for other, tags in {number: TAGS, **(others or {})}.items()]
    reads, asked = KIND.rival(want(KIND, job()), captured), []
    try:
        asked += next(reads)
        reads.send(({"jobDefinitions": items},))
    except StopIteration as ended:
        text, undo = ended.value

    assert [one.params["jobDefinitionName"] for one in asked] == ["x"] * (others is not None)
    assert text.startswith(told) and bool(text) is bool(told)
    assert [one.params["jobDefinition"] for one in undo] == [captured["arn"]] * bool(told)
