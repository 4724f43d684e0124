"""What a check of a job definition finds: every mistake with its place, its words and the way out."""

from __future__ import annotations

import pytest

from reconciler.kinds.batch.job_definition.kind import KIND
from reconciler.model import Reference, Template
from tests.support.batch_kinds import ROLE, words

IMAGE = "public.ecr.aws/docker/library/busybox:latest"
VCPU, MEMORY = {"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "256"}
BASE = {"image": IMAGE, "resourceRequirements": [VCPU, MEMORY]}
TIMEOUT = {"timeout": {"attemptDurationSeconds": 60}}


def job(**members):
    return {"type": "container", "containerProperties": BASE, **TIMEOUT, **members}


def container(**members):
    """A job whose container has these members; None leaves one out."""
    merged = {name: value for name, value in {**BASE, **members}.items() if value is not None}
    return job(containerProperties=merged)


def fargate(**members):
    small = [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]
    found = container(**{"resourceRequirements": small, "executionRoleArn": ROLE + "e", **members})
    return {**found, "platformCapabilities": ["FARGATE"]}


def sized(vcpu, memory):
    return fargate(resourceRequirements=[{"type": "VCPU", "value": vcpu}, {"type": "MEMORY", "value": memory}])


def tasks(*containers, **members):
    return {
        "type": "container",
        "ecsProperties": {"taskProperties": [{"containers": list(containers), **members}]},
        **TIMEOUT,
    }


def pods(*containers, **members):
    return {
        "type": "container",
        "eksProperties": {"podProperties": {"containers": list(containers), **members}},
        **TIMEOUT,
    }


def nodes(*ranges, number=2, main=0):
    properties = {"numNodes": number, "mainNode": main, "nodeRangeProperties": list(ranges)}
    return {"type": "multinode", "nodeProperties": properties, **TIMEOUT}


def on(target, **members):
    return {"targetNodes": target, "container": {**BASE, **members}}


def one(name, **members):
    return {**BASE, "name": name, **members}


@pytest.mark.parametrize(
    "declared",
    [
        job(),
        job(containerProperties={"image": IMAGE, "vcpus": 1, "memory": 128}),
        fargate(),
        sized("1", "3072"),
        sized("16", "122880"),
        fargate(
            logConfiguration={
                "logDriver": "splunk",
                "options": {"splunk-url": "https://u"},
                "secretOptions": [{"name": "splunk-token", "valueFrom": "s"}],
            }
        ),
        tasks(one("a", dependsOn=[{"containerName": "b", "condition": "SUCCESS"}]), one("b", essential=False)),
        pods({"image": IMAGE, "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi", "nvidia.com/gpu": "1"}}}),
        nodes(on("0:0"), on("1:")),
        nodes(on("0:10"), on("4:5"), number=11),
        container(environment=[{"name": "SECRET_ARN", "value": "x"}, {"name": "MODE", "value": "fast"}]),
        container(volumes=[{"name": "v"}], mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}]),
    ],
)
def test_good_definitions_have_no_findings(declared):
    assert words(KIND, declared) == []


WRONG = {
    "no type": ({"containerProperties": BASE}, ": error: type is missing (add type: container)"),
    "nothing to run": ({"type": "container"}, "the job definition has no container"),
    "two things to run": (job(eksProperties={"podProperties": {"containers": [{"image": "i"}]}}), "has one of"),
    "multinode without nodes": (job(type="multinode"), "type: error: a multinode job needs nodeProperties"),
    "nodes without multinode": ({**nodes(on("0:")), "type": "container"}, "nodeProperties need type: multinode"),
    "bad timeout": (job(timeout={"attemptDurationSeconds": 30}), "timeout.attemptDurationSeconds: error: 30 seconds"),
    "empty timeout": (job(timeout={}), "timeout: error: timeout needs attemptDurationSeconds"),
    "priority": (job(schedulingPriority=10000), "schedulingPriority 10000 is out of range"),
    "capability text": (job(platformCapabilities="FARGATE"), "platformCapabilities is a list (write [FARGATE])"),
    "two capabilities": (job(platformCapabilities=["EC2", "FARGATE"]), "has one platform capability"),
    "parameter number": (job(parameters={"n": 1}), 'parameters.n: error: parameters are text, and n is 1 (put it in quotes: n: "1"'),
    "parameters list": (job(parameters=["a"]), "parameters is a mapping"),
    "no image": (container(image=None), "containerProperties: error: image is missing"),
    "command text": (container(command="sleep 5"), "command is a list of words"),
    "environment mapping": (
        container(environment={"A": "1"}),
        'containerProperties.environment: error: environment is a list of name and value, not a mapping (write each as an item: - {name: A, value: "1"})',
    ),
    "environment number": (container(environment=[{"name": "A", "value": 1}]), 'environment.0.value: error: the value of A is 1, and must be text (put it in quotes: "1")'),
    "environment boolean": (container(environment=[{"name": "A", "value": True}]), 'the value of A is true, and must be text (put it in quotes: "true")'),
    "reserved name": (container(environment=[{"name": "AWS_BATCH_X", "value": "1"}]), '"AWS_BATCH_X" cannot be set'),
    "name twice": (container(environment=[{"name": "A", "value": "1"}] * 2), 'duplicate "A"'),
    "secrets mapping": (container(executionRoleArn="r", secrets={"A": "b"}), "secrets is a list of name and valueFrom"),
    "secrets without role": (container(secrets=[{"name": "A", "valueFrom": "s"}]), "secrets needs executionRoleArn"),
    "secret options without role": (
        container(logConfiguration={"logDriver": "splunk", "options": {"splunk-url": "https://u"}, "secretOptions": [{"name": "splunk-token", "valueFrom": "s"}]}),
        "containerProperties.logConfiguration.secretOptions: error: secretOptions needs executionRoleArn",
    ),
    "no cpu": (container(resourceRequirements=[MEMORY]), "error: vCPU is missing"),
    "no memory": (container(resourceRequirements=[VCPU]), "error: memory is missing"),
    "both forms": (container(vcpus=1), "vcpus cannot be combined with a resourceRequirement VCPU"),
    "requirement twice": (container(resourceRequirements=[VCPU, VCPU, MEMORY]), "duplicate VCPU"),
    "requirements mapping": (container(resourceRequirements={"VCPU": "1"}), "resourceRequirements is a list"),
    "amount number": (container(resourceRequirements=[{"type": "VCPU", "value": 1}, MEMORY]), "the value of VCPU is a number, and must be text"),
    "amount with a unit": (container(resourceRequirements=[VCPU, {"type": "MEMORY", "value": "1Gi"}]), '"1Gi" is not a number'),
    "fraction on EC2": (container(resourceRequirements=[{"type": "VCPU", "value": "0.5"}, MEMORY]), "VCPU 0.5 is too little"),
    "point on EC2": (container(resourceRequirements=[{"type": "VCPU", "value": "1.0"}, MEMORY]), "VCPU must be a whole number"),
    "too little memory": (container(resourceRequirements=[VCPU, {"type": "MEMORY", "value": "2"}]), "MEMORY 2 is too little"),
    "older memory": (container(resourceRequirements=[VCPU], memory=1), "memory 1 is too little"),
    "fargate pair": (
        sized("1", "1024"),
        'Fargate has no size of 1 vCPU with 1024 MiB (1 vCPU takes 2048 to 8192 in steps of 1024; the smallest that is large enough is VCPU "1", MEMORY "2048")',
    ),
    "fargate cpu": (sized("3", "4096"), 'Fargate has no size of 3 vCPU (it has 0.25, 0.5, 1, 2, 4, 8, 16; the smallest that is large enough is VCPU "4", MEMORY "8192")'),
    "fargate small": (sized("0.25", "4096"), '0.25 vCPU takes 512, 1024, 2048; the smallest that is large enough is VCPU "0.5", MEMORY "4096"'),
    "fargate without role": (fargate(executionRoleArn=None), "Fargate needs executionRoleArn"),
    "fargate older form": (fargate(resourceRequirements=None, vcpus=1, memory=2048), "vcpus does not apply to Fargate"),
    "fargate driver": (fargate(logConfiguration={"logDriver": "json-file"}), 'the log driver "json-file" does not work on Fargate (use awslogs or splunk)'),
    "fargate privileged": (fargate(privileged=True), "privileged containers cannot run on Fargate"),
    "fargate ulimits": (fargate(ulimits=[{"name": "core", "softLimit": 0, "hardLimit": 0}]), "ulimits does not apply to Fargate"),
    "fargate devices": (fargate(linuxParameters={"devices": [{"hostPath": "/dev/x"}]}), "devices does not apply to Fargate"),
    "fargate host path": (fargate(volumes=[{"name": "v", "host": {"sourcePath": "/tmp"}}]), "Fargate has no host"),
    "fargate GPU": (fargate(resourceRequirements=[VCPU, {"type": "MEMORY", "value": "4096"}, {"type": "GPU", "value": "1"}]), "Fargate has no GPUs"),
    "fargate nodes": ({**nodes(on("0:")), "platformCapabilities": ["FARGATE"]}, "multi-node jobs do not run on FARGATE"),
    "network on EC2": (container(networkConfiguration={"assignPublicIp": "ENABLED"}), "networkConfiguration does not apply to EC2 (add platformCapabilities: [FARGATE]"),
    "storage": (fargate(ephemeralStorage={"sizeInGiB": 20}), "sizeInGiB 20 is out of range"),
    "profile for a role": (container(jobRoleArn="arn:aws:iam::123456789012:instance-profile/p"), "jobRoleArn takes a role"),
    "unknown volume": (container(volumes=[{"name": "a"}], mountPoints=[{"sourceVolume": "b"}]), 'there is no volume "b" (the volumes are a;'),
    "volume twice": (container(volumes=[{"name": "a"}, {"name": "a"}]), 'two volumes are named "a"'),
    "volume of two kinds": (container(volumes=[{"name": "a", "host": {}, "efsVolumeConfiguration": {"fileSystemId": "f"}}]), "a volume has one type, and this has"),
    "EFS without encryption": (
        container(volumes=[{"name": "a", "efsVolumeConfiguration": {"fileSystemId": "f", "authorizationConfig": {"accessPointId": "p"}}}]),
        "needs encryption in transit",
    ),
    "swappiness": (container(linuxParameters={"swappiness": 10}), "swappiness has no effect without maxSwap"),
    "option misspelt": (
        container(logConfiguration={"logDriver": "awslogs", "options": {"awslog-group": "g"}}),
        'options.awslog-group: error: the driver awslogs has no option "awslog-group" (did you mean "awslogs-group"?)',
    ),
    "option boolean": (
        container(logConfiguration={"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-create-group": True}}),
        'awslogs-create-group is true (put it in quotes: awslogs-create-group: "true")',
    ),
    "consumables": (
        job(consumableResourceProperties={"consumableResourceList": [{"consumableResource": f"r{n}", "quantity": 1} for n in range(6)]}),
        "6 consumable resources; 5 at most",
    ),
    "two tasks": ({"type": "container", "ecsProperties": {"taskProperties": [{"containers": [one("a")]}] * 2}, **TIMEOUT}, "exactly one task"),
    "task without containers": (tasks(), "containers is missing"),
    "task names": (tasks(one("a"), one("a")), 'two containers are named "a"'),
    "task without name": (tasks(one("a"), BASE), "ecsProperties.taskProperties.0.containers.1: error: name is missing"),
    "no essential": (tasks(one("a", essential=False)), "no container is essential"),
    "unknown dependency": (tasks(one("a", dependsOn=[{"containerName": "z", "condition": "START"}])), 'there is no container "z"'),
    "waiting for the essential": (tasks(one("a", dependsOn=[{"containerName": "b", "condition": "COMPLETE"}]), one("b")), "set essential: false on b"),
    "circle": (
        tasks(one("a", dependsOn=[{"containerName": "b", "condition": "START"}]), one("b", dependsOn=[{"containerName": "a", "condition": "START"}])),
        "depends on itself",
    ),
    "pod without containers": (pods(), "eksProperties.podProperties: error: containers is missing"),
    "pod environment": (pods({"image": "i", "environment": [{"name": "A"}]}), "environment is named env on EKS"),
    "pod cpu": (pods({"image": "i", "resources": {"limits": {"cpu": "0.3"}}}), '"0.3" is not an amount of cpu'),
    "pod memory": (pods({"image": "i", "resources": {"limits": {"memory": "1Gi"}}}), '"1Gi" is not an amount of memory'),
    "pod memory differs": (
        pods({"image": "i", "resources": {"limits": {"memory": "2048Mi"}, "requests": {"memory": "1024Mi"}}}),
        "memory differs: 2048Mi in limits, 1024Mi in requests",
    ),
    "pod capability": ({**pods({"image": "i"}), "platformCapabilities": ["EC2"]}, "platformCapabilities does not apply to jobs on EKS"),
    "pod volume": (pods({"image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}), 'there is no volume "v"'),
    "main node": (nodes(on("0:"), main=2), "mainNode: error: there is no node 2 (the nodes are 0 to 1)"),
    "nodes uncovered": (nodes(on("0:0"), number=4), "no range covers node 1 and 2 more"),
    "nodes beyond": (nodes(on("0:4")), '"0:4" is not within the 2 nodes'),
    "not a range": (nodes(on("all")), '"all" is not a range of nodes'),
    "no range": (nodes({"container": BASE}), "targetNodes is missing"),
    "nothing on a node": (nodes({"targetNodes": "0:"}), "this has none"),
    "instance types of a container": (nodes({**on("0:"), "instanceTypes": ["c5.large"]}), "instanceTypes of a node range is for ecsProperties only"),
    "instance types differ": (nodes(on("0:0", instanceType="a"), on("1:", instanceType="b")), "all nodes must have the same instance type"),
    "mistake on a node": (nodes(on("0:", command="x")), "nodeProperties.nodeRangeProperties.0.container.command: error: command is a list"),
    "another name": (job(jobDefinitionName="y"), 'is "y", but the resource is named "x"'),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_mistakes(name):
    declared, expected = WRONG[name]
    found = words(KIND, declared)

    assert any(expected in line and " error: " in line for line in found), found


# --- retry strategies ------------------------------------------------------------------------------------------------

ELSE_EXIT = {"onReason": "*", "action": "EXIT"}


def retry(*rules, attempts=3):
    strategy = {"attempts": attempts, "evaluateOnExit": list(rules)}
    return job(retryStrategy={name: value for name, value in strategy.items() if value is not None})


def rule(action="RETRY", **conditions):
    return {**conditions, "action": action}


@pytest.mark.parametrize(
    "declared",
    [
        retry(rule(onStatusReason="Host EC2*"), ELSE_EXIT),
        retry(rule("EXIT", onReason="CannotPullContainerError:*"), attempts=10),
        retry(rule("exit", onExitCode="3"), rule("retry", onExitCode="1*"), ELSE_EXIT),
        retry(rule(onReason="*")),
        retry(attempts=10),
        retry(rule(onReason="CannotPullContainerError:*", onStatusReason="Task failed to start"), rule(onExitCode="*"), ELSE_EXIT),
    ],
)  # fmt: skip
def test_good_strategies_have_no_findings(declared):
    assert words(KIND, declared) == []


RETRIES = {
    "attempts missing": (retry(ELSE_EXIT, attempts=None), "retryStrategy: error: retryStrategy needs attempts"),
    "empty": (job(retryStrategy={}), "retryStrategy: error: retryStrategy needs attempts"),
    "too many attempts": (retry(attempts=11), "retryStrategy.attempts: error: attempts 11 is out of range"),
    "no attempts": (retry(attempts=0), "attempts 0 is out of range"),
    "six rules": (retry(*[rule(onExitCode=str(n)) for n in range(1, 6)], ELSE_EXIT), "evaluateOnExit has 6 entries; 5 at most"),
    "rules as mapping": (job(retryStrategy={"attempts": 2, "evaluateOnExit": ELSE_EXIT}), "evaluateOnExit is a list of rules"),
    "no condition": (retry({"action": "RETRY"}, ELSE_EXIT), "evaluateOnExit.0: error: the rule has no condition"),
    "no action": (retry({"onReason": "*"}), "evaluateOnExit.0: error: action is missing"),
    "action misspelt": (retry(rule("RETY", onReason="*")), 'action: error: "RETY" is not an action (did you mean "RETRY"?)'),
    "bracket": (
        retry(rule(onStatusReason="Host EC2 (instance*"), ELSE_EXIT),
        '"(" cannot be written in onStatusReason (letters, digits, ., : and spaces are allowed, and one * at the very end; end it before that: "Host EC2*")',
    ),
    "star at the start": (retry(rule(onReason="*Error"), ELSE_EXIT), '"*" cannot be written in onReason'),
    "hyphen": (retry(rule(onReason="out-of-memory*"), ELSE_EXIT), '"-" cannot be written in onReason'),
    "exit code words": (retry(rule(onExitCode="1-5"), ELSE_EXIT), '"-" cannot be written in onExitCode (digits only'),
    "exit code number": (retry(rule(onExitCode=137), ELSE_EXIT), 'onExitCode is text (put it in quotes: "137")'),
    "too long": (retry(rule(onReason="a" * 513), ELSE_EXIT), "onReason has 513 characters; 512 at most"),
}  # fmt: skip


@pytest.mark.parametrize("name", RETRIES)
def test_mistakes_in_strategies(name):
    declared, expected = RETRIES[name]
    found = words(KIND, declared)

    assert any(expected in line and " error: " in line for line in found), found


WARNINGS = {
    "after a catch-all": (retry(ELSE_EXIT, rule(onExitCode="1")), "evaluateOnExit.1: warning: this rule is never reached: entry 0"),
    "after a wider one": (retry(rule(onExitCode="1*"), rule("EXIT", onExitCode="137"), ELSE_EXIT), "evaluateOnExit.1: warning: this rule is never reached"),
    "no catch-all": (retry(rule(onExitCode="1"), attempts=10), "evaluateOnExit: warning: a failure that no rule matches is retried too, up to 10 attempts"),
    "one attempt": (retry(rule(onExitCode="1"), ELSE_EXIT, attempts=1), "retryStrategy.attempts: warning: attempts: 1 allows no second run"),
    "wrong field": (retry(rule(onReason="Task failed to start"), ELSE_EXIT), 'onReason: warning: "Task failed to start" is matched by onStatusReason'),
    "other wrong field": (retry(rule(onStatusReason="CannotPullContainerError*"), ELSE_EXIT), "is matched by onReason, not by onStatusReason"),
    "case": (retry(rule(onStatusReason="host ec2*"), ELSE_EXIT), 'Batch writes "Host EC2"'),
    "no star": (retry(rule(onStatusReason="Host EC2"), ELSE_EXIT), 'end it with a star: "Host EC2*"'),
    "success": (retry(rule(onExitCode="0"), ELSE_EXIT), "exit code 0 is success: no rule is evaluated"),
    "timed out": (retry(rule(onStatusReason="Job attempt duration exceeded timeout"), ELSE_EXIT), "a timeout ends the job: no rule is evaluated"),
    "no timeout": ({"type": "container", "containerProperties": BASE}, ": warning: no timeout"),
    "privileged": (container(privileged=True), "privileged: warning: a privileged container"),
    "clear-text password": (container(environment=[{"name": "DB_PASSWORD", "value": "hunter2"}]), "environment.0.value: warning: DB_PASSWORD looks like a secret"),
    "access key": (container(environment=[{"name": "K", "value": "AKIAABCDEFGHIJKLMNOP"}]), "K looks like a secret"),
    "splunk token": (
        container(logConfiguration={"logDriver": "splunk", "options": {"splunk-url": "https://u", "splunk-token": "XXX"}}),
        "options.splunk-token: warning: the Splunk token is in plain text here",
    ),
    "instance type": (container(instanceType="c5.large"), "instanceType is for the nodes"),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings(name):
    declared, expected = WARNINGS[name]
    (line,) = words(KIND, declared)

    assert expected in line
    assert " warning: " in line


# --- what cannot be judged -------------------------------------------------------------------------------------------


def test_expressions_are_not_judged():
    some = Template((Reference("lookups", "${lookups.x}", attr="x"),))
    amounts = [{"type": "VCPU", "value": some}, {"type": "MEMORY", "value": some}]

    assert words(
        KIND,
        container(image=some, command=some, environment=[{"name": "PASSWORD", "value": some}], volumes=some, mountPoints=[{"sourceVolume": "v", "containerPath": some}], resourceRequirements=amounts)
        | {"parameters": {"a": some}, "schedulingPriority": some, "retryStrategy": {"attempts": some, "evaluateOnExit": some}},
    ) == []  # fmt: skip


@pytest.mark.parametrize("nonsense", [None, 1, "x", [], {}, [1], {"a": 1}, [[]], [{"a": []}], True, 1.5])
@pytest.mark.parametrize(
    "member",
    ["type", "parameters", "retryStrategy", "timeout", "platformCapabilities", "schedulingPriority", "containerProperties", "ecsProperties", "eksProperties", "nodeProperties", "consumableResourceProperties"],
)  # fmt: skip
def test_nonsense_is_survived_at_the_top(member, nonsense):
    declared = {"type": "container", **TIMEOUT, member: nonsense}

    assert isinstance(words(KIND, declared), list)


CONTAINER_MEMBERS = ["image", "vcpus", "memory", "command", "jobRoleArn", "executionRoleArn", "volumes", "environment", "mountPoints", "privileged", "ulimits", "user", "instanceType", "resourceRequirements", "linuxParameters", "logConfiguration", "secrets", "networkConfiguration", "ephemeralStorage"]  # fmt: skip


@pytest.mark.parametrize(
    "nonsense", [None, 1, "x", [], {}, [1], {"a": 1}, [{"name": []}], [{"name": {}, "type": [], "sourceVolume": []}]]
)
@pytest.mark.parametrize("member", CONTAINER_MEMBERS)
def test_nonsense_is_survived_in_containers(member, nonsense):
    odd = {**BASE, member: nonsense}
    shapes = [
        job(containerProperties=odd),
        {**job(containerProperties=odd), "platformCapabilities": ["FARGATE"]},
        tasks({"name": "a", **odd}),
        pods({"name": "a", **odd}),
        nodes({"targetNodes": "0:", "container": odd}),
    ]

    assert [list] * len(shapes) == [type(words(KIND, declared)) for declared in shapes]


def test_a_definition_of_more_than_24_kib_is_refused():
    large = {"image": "busybox", "command": ["x" * 25_000], "resourceRequirements": [VCPU, MEMORY]}
    found = [line for line in words(KIND, {"type": "container", "containerProperties": large}) if "24 KiB" in line]

    assert len(found) == 1 and " error: " in found[0]
    assert not [line for line in words(KIND, {"type": "container", "containerProperties": BASE}) if "KiB" in line]


@pytest.mark.parametrize(
    ("amounts", "said"),
    [
        ([("0.5", "512"), ("0.5", "1536")], None),
        ([("1", "2048"), (None, None)], None),
        ([("1", "2048"), ("0.25", "512")], "the containers together request 1.25 vCPU with 2560 MiB"),
        ([("1", "2048"), ("1", "1000")], "the containers together request 2 vCPU with 3048 MiB"),
    ],
)
def test_the_containers_of_a_task_on_fargate_are_one_size_together(amounts, said):
    parts = [
        {
            "name": f"c{number}",
            "image": IMAGE,
            "resourceRequirements": [
                {"type": kind, "value": value} for kind, value in zip(("VCPU", "MEMORY"), asked, strict=True) if value
            ],
        }
        for number, asked in enumerate(amounts)
    ]
    task = {"executionRoleArn": ROLE + "exec", "containers": parts}
    declared = {"type": "container", "platformCapabilities": ["FARGATE"], "ecsProperties": {"taskProperties": [task]}}
    found = [line for line in words(KIND, {**declared, **TIMEOUT}) if "together" in line]

    assert [said in line and " error: " in line for line in found] == ([True] if said else [])
