"""Job definitions: reading, the exact calls of every change, and what declared and described pairs compare like.

Described forms follow the public examples of the AWS CLI and what terraform's tests record of the service.
"""

from __future__ import annotations

import pytest

from reconciler.kinds.batch.job_definition.kind import KIND
from reconciler.model import OWNER_TAG, Call, Effect, Later, On, Query, Sought
from tests.support.batch_kinds import SCOPE, TAGS, answer, arn, compared, described, paths, want
from tests.support.tables import DATA, cases

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

    prefix = arn("job-definition/x")
    assert {"name": "x", "arn": f"{prefix}:3", "arnPrefix": prefix, "revision": "3"} == found.attrs
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

TABLES = cases(DATA / "comparing" / "job_definitions.yaml")


def pair(case):
    """What is declared and what is described, of which a case says what is not in every one."""
    shown = dict(case["described"])
    return job(**case["declared"]), item(shown.pop("containerProperties", None), **shown)


# containerProperties: name: (declared, described)
CONTAINERS = {name: (case["declared"], case["described"]) for name, case in TABLES["containers"].items()}
# whole definitions: name: (declared, described)
WHOLE = {name: pair(case) for name, case in TABLES["definitions"].items()}
# name: (declared, described, where they differ)
APART = {name: (*pair(case), case["differ"]) for name, case in TABLES["apart"].items()}


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


@pytest.mark.parametrize("name", WHOLE)
def test_definitions_alike(name):
    declared, shown = WHOLE[name]

    assert paths(compared(KIND, described(KIND, "jobDefinitions", shown), declared)) == []


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
