"""What a check of a job definition finds: every mistake with its place, its words and the way out."""

from __future__ import annotations

import pytest

from reconciler.kinds.batch.job_definition.kind import KIND
from reconciler.model import Reference, Template
from tests.support.batch_kinds import ROLE, words
from tests.support.long import together
from tests.support.tables import DATA, cases, with_long_texts, without_nulls

IMAGE = "public.ecr.aws/docker/library/busybox:latest"
VCPU, MEMORY = {"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "256"}
BASE = {"image": IMAGE, "resourceRequirements": [VCPU, MEMORY]}
TIMEOUT = {"timeout": {"attemptDurationSeconds": 60}}
TABLES = with_long_texts(without_nulls(cases(DATA / "checking" / "job_definitions.yaml")))
WRONG, RETRIES, WARNINGS = (TABLES[name] for name in ("wrong", "retries", "warnings"))


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


@pytest.mark.parametrize("name", WRONG)
def test_mistakes(name):
    found = words(KIND, WRONG[name]["declared"])

    assert any(WRONG[name]["said"] in line and " error: " in line for line in found), found


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


@pytest.mark.parametrize("name", RETRIES)
def test_mistakes_in_strategies(name):
    found = words(KIND, RETRIES[name]["declared"])

    assert any(RETRIES[name]["said"] in line and " error: " in line for line in found), found


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings(name):
    (line,) = words(KIND, WARNINGS[name]["declared"])

    assert WARNINGS[name]["said"] in line
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


@pytest.mark.parametrize(
    "member",
    ["type", "parameters", "retryStrategy", "timeout", "platformCapabilities", "schedulingPriority", "containerProperties", "ecsProperties", "eksProperties", "nodeProperties", "consumableResourceProperties"],
)  # fmt: skip
def test_nonsense_is_survived_at_the_top(member):
    for nonsense in (None, 1, "x", [], {}, [1], {"a": 1}, [[]], [{"a": []}], True, 1.5):
        declared = {"type": "container", **TIMEOUT, member: nonsense}

        assert isinstance(words(KIND, declared), list), nonsense


CONTAINER_MEMBERS = ["image", "vcpus", "memory", "command", "jobRoleArn", "executionRoleArn", "volumes", "environment", "mountPoints", "privileged", "ulimits", "user", "instanceType", "resourceRequirements", "linuxParameters", "logConfiguration", "secrets", "networkConfiguration", "ephemeralStorage"]  # fmt: skip


@pytest.mark.parametrize("member", CONTAINER_MEMBERS)
def test_nonsense_is_survived_in_containers(member):
    odd_types = [{"name": {}, "type": [], "sourceVolume": []}]
    together(lambda value: survived(member, value), [None, 1, "x", [], {}, [1], {"a": 1}, [{"name": []}], odd_types])


def survived(member, nonsense):
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
