"""Preflight: whether environments can run job definitions, by a table of pairs; and what is read about the rest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.account import downloads
from reconciler.account.preflight import problems
from reconciler.kinds.batch import _count_quotas as counts
from reconciler.kinds.batch import _instance_offers as instances
from reconciler.kinds.batch._instance_offers import Offer
from reconciler.kinds.batch._network import Group, Network
from reconciler.kinds.batch.job_definition import (
    efa,
    fitting,
    image_preflight,
    needs,
)
from reconciler.kinds.batch.job_definition.fitting import Place, Ruling
from reconciler.model import (
    Address,
    Call,
    Declared,
    Environment,
    Plan,
    Refused,
    Resource,
    ResourcePlan,
    Scope,
    Step,
    Verb,
)
from reconciler.model.preflight import Check, Checked, Checks, Fit, Ground
from tests.support.reads import drive
from tests.support.tables import cases

HERE = Scope("123456789012", "eu-west-1", "aws", "e")
TABLE: Mapping[str, Any] = cases(Path(__file__).parents[2] / "data" / "preflight" / "pairs.yaml")


def container(one: Mapping[str, Any]) -> dict[str, Any]:
    listed = {"VCPU": one["vcpu"], "MEMORY": one["memory"], "GPU": one.get("gpu", 0)}
    wanted = [
        {"type": kind, "value": None if value is None else str(value)} for kind, value in listed.items() if value != 0
    ]
    device = {"linuxParameters": {"devices": [{"hostPath": "/dev/infiniband/uverbs0"}]}} if one.get("efa") else {}
    return {"image": "i", "resourceRequirements": wanted, **device}


def definition(one: Mapping[str, Any]) -> dict[str, Any]:
    platform = one.get("platform", "EC2")
    if "containers" in one:
        return {"ecsProperties": {"taskProperties": [{"containers": [container(each) for each in one["containers"]]}]}}
    if platform == "EKS":
        asked = {"cpu": f"{one['vcpu'] * 1000}m", "memory": f"{one['memory']}Mi"}
        return {"eksProperties": {"podProperties": {"containers": [{"image": "i", "resources": {"limits": asked}}]}}}
    payload = container(one)
    if "cpu" in one:
        payload["runtimePlatform"] = {"cpuArchitecture": one["cpu"]}
    if "nodes" in one:
        payload |= {"instanceType": one["instanceType"]} if "instanceType" in one else {}
        ranges = [{"targetNodes": "0:", "container": payload}]
        return {"nodeProperties": {"numNodes": one["nodes"], "mainNode": 0, "nodeRangeProperties": ranges}}
    if platform == "MANAGED_INSTANCES":
        task = {"ecsProperties": {"taskProperties": [{"containers": [payload]}]}}
        return {"platformCapabilities": [platform], **task}
    return {"platformCapabilities": [platform], "containerProperties": payload}


def offers(name: str, names: list[str]) -> list[Offer]:
    seen = TABLE["registered"].get(name, {})
    return [
        Offer(
            type=each,
            vcpus=facts[0],
            memory=facts[1],
            gpus=None if facts[2] == "part" else facts[2],
            architectures=frozenset({facts[3]}),
            efa=facts[4:] == ["efa"],
            registered=seen.get(each),
        )
        for each, facts in TABLE["types"].items()
        if any(instances.belongs(each, one) for one in names)
    ]


def place(name: str) -> Place:
    facts = dict(TABLE["environments"][name])
    if facts.get("unmanaged"):
        return Place(name=name, props={"type": "UNMANAGED"})
    eks = {"eksConfiguration": {"kubernetesNamespace": "n"}} if facts.pop("eks", False) else {}
    unread = facts.pop("unread", False)
    props = {"type": "MANAGED", "computeResources": facts, **eks}
    names = facts.get("instanceTypes")
    listed = None if unread or not names else offers(name, names)
    return Place(name=name, props=props, offers=listed, unread="AccessDenied" if unread else "")


def verdict(found: list[Ruling]) -> tuple[str, set[str]]:
    refusals = [one for one in found if one.verdict is Fit.cannot]
    if refusals:
        sure = any(one.certain for one in refusals)
        return "cannot" if sure else "cannot likely", {one.check for one in refusals}
    unknown = {one.check for one in found if one.verdict is Fit.unknown}
    return ("unknown", unknown) if unknown else ("fits", {""})


@pytest.mark.parametrize(("job", "environment", "expected", "check", "line"), TABLE["pairs"])
def test_pairs(job: Mapping[str, Any], environment: str, expected: str, check: str, line: str) -> None:
    images = frozenset(job["image"]) if "image" in job else None
    found = fitting.rulings(needs.of(definition(job)), place(environment), images)
    told, checks = verdict(found)
    assert (told, check in checks) == (expected, True), (line, [(one.check, one.message) for one in found])
    assert all(one.path for one in found if one.verdict is Fit.cannot)


# --- EFA: what the launch template gives the hosts ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "cards", "ingress", "expected"),
    [
        (None, [], [], "cannot True"),
        ("strange", [], [], "unknown True"),
        ("mpi", [{"groups": ["own"]}], [], "cannot True"),
        ("mpi", [{"interfaceType": "efa", "groups": ["own"]}], [], "cannot False"),
        ("mpi", [{"interfaceType": "efa", "groups": ["own"]}], [{"ipProtocol": "-1", "cidr": "10.0.0.0/8"}], "cannot False"),
        ("mpi", [{"interfaceType": "efa", "groups": ["own"]}], [{"ipProtocol": "-1", "userIdGroupPairs": [{"groupId": "own"}]}], "cannot False"),
        ("both", [{"interfaceType": "efa", "groups": ["own"]}], [{"ipProtocol": "-1", "userIdGroupPairs": [{"groupId": "own"}]}], "fits True"),
        ("mpi", [{"interfaceType": "efa-only", "groups": ["sg-1"]}], [], "unknown True"),
        ("mpi", [{"interfaceType": "efa-only", "groups": ["sg-2"]}], [], "cannot False"),
        ("mpi", [{"interfaceType": "efa-only", "groups": ["sg-2", "sg-3"]}], [], "fits True"),
    ],
)  # fmt: skip
def test_efa_needs_an_interface_in_a_group_open_to_itself(
    template: str | None, cards: list[Any], ingress: list[Any], expected: str
) -> None:
    """In and out: a rule for every address does not stand in for one that names the group itself."""
    itself = ingress if template == "both" else []
    template = "mpi" if template == "both" else template
    resources = {"launchTemplate": {"launchTemplateName": template}} if template else {}
    made = [
        Resource(address=Address("computeEnvironments", "ce"), props={"computeResources": resources}),
        Resource(address=Address("launchTemplates", "mpi"), props={"launchTemplateData": {"networkInterfaces": cards}}),
        Resource(address=Address("securityGroups", "own"), props={"ingress": ingress, "egress": itself}),
    ]
    ground = Ground(scope=HERE, declared=Declared({one.address: one for one in made}))
    live = {
        name: Group(id=name, vpc="vpc-1", out=None, open_to_itself=both)
        for name, both in {"sg-2": (True, False), "sg-3": (True, True)}.items()
    }
    (found,) = efa.check(made[0], ("nodeProperties",), Network(groups=live), ground)
    assert f"{found.verdict} {found.certain}" == expected


# --- images: replies in, checks out ----------------------------------------------------------------------------------

LIST = "application/vnd.oci.image.index.v1+json"
SINGLE = "application/vnd.oci.image.manifest.v1+json"
URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/tools:1"


def image(uri: str, replies: Mapping[str, Any], *, full: bool = False) -> tuple[str, frozenset[str] | None, list[str]]:
    """The verdict about an image, its architectures, and what was asked; without the word on an unknown architecture."""
    needed = needs.of(definition({"vcpu": 1, "memory": 1, "image": []}) | {"containerProperties": {"image": uri}})
    ground = Ground(scope=HERE, declared=Declared({}), full=full)
    ((check, *doubts), architectures), asked = drive(image_preflight.check(needed, ground), replies)
    there = check.verdict is Fit.fits
    assert [(one.check, one.verdict) for one in doubts] == [("architecture", "unknown")] * (there and not architectures)
    assert all(one.hint or full or one.denied for one in doubts)
    return f"{check.verdict} {check.certain}", architectures, asked


def manifest(content: Any) -> dict[str, Any]:
    return {"images": [{"imageManifest": json.dumps(content)}]}


def test_images_and_their_architectures() -> None:
    there = {"imageDetails": [{"imageManifestMediaType": LIST}]}
    platforms = [{"platform": {"architecture": one, "os": "linux"}} for one in ("amd64", "arm64", "unknown")]
    both = {"DescribeImages": there, "BatchGetImage": manifest({"manifests": platforms})}
    assert image(URI, both) == ("fits True", frozenset({"x86_64", "arm64"}), ["DescribeImages", "BatchGetImage"])

    one = {
        "DescribeImages": {"imageDetails": [{"imageManifestMediaType": SINGLE}]},
        "BatchGetImage": manifest({"config": {"digest": "sha256:1"}}),
        "GetDownloadUrlForLayer": {"downloadUrl": "https://bucket.example/x"},
        "Get": {"text": '{"architecture": "arm64"}'},
    }
    assert image(URI, one) == ("fits True", None, ["DescribeImages"])
    assert image(URI, one, full=True)[:2] == ("fits True", frozenset({"arm64"}))
    assert image(URI, one, full=True)[2] == [*one]
    assert image(URI, one | {"Get": Refused("NotDownloaded", "")}, full=True)[:2] == ("fits True", None)
    denied = Refused("AccessDeniedException", "no")
    assert image(URI, both | {"BatchGetImage": denied})[:2] == ("fits True", None)

    absent = Refused("ImageNotFoundException", "no")
    rules = {"pullThroughCacheRules": [{"ecrRepositoryPrefix": "team"}]}
    cached = {"DescribeImages": absent, "DescribePullThroughCacheRules": rules}
    assert image(URI, cached)[0] == "unknown True"
    assert image(URI, cached | {"DescribePullThroughCacheRules": {"pullThroughCacheRules": []}})[0] == "cannot True"
    assert image(URI, cached | {"DescribePullThroughCacheRules": Refused("AccessDenied", "")})[0] == "cannot False"
    archived = {"DescribeImages": {"imageDetails": [{"imageStatus": "ARCHIVED"}]}}
    assert image(URI, archived)[0] == "cannot True"
    assert image(URI, {"DescribeImages": Refused("AccessDeniedException", "no")})[0] == "unknown True"
    for other in ("alpine", "public.ecr.aws/docker/library/alpine:3", URI.replace("eu-west-1", "us-east-1")):
        assert image(other, {}) == ("unknown True", None, [])


# --- what people are told --------------------------------------------------------------------------------------------


def test_equal_warnings_are_one_and_ignored_ones_none() -> None:
    names = ("a", "b", "c", "d", "e", "f")
    made = {one: Resource(address=Address("jobDefinitions", one), props={}) for one in names}
    role = Check(check="trust", verdict=Fit.cannot, message="the role", hint="add it", reported=True)
    size = dataclasses.replace(role, check="placement", message="too large", certain=False, alone=True)
    quiet = dataclasses.replace(role, message="not told", reported=False)
    found = [Checked(address=one.address, checks=Checks(own=(role, size, quiet))) for one in made.values()]
    env = Environment(name="e", resources={one.address: one for one in made.values()})
    plan = Plan(scope=HERE, resources=())
    told = [(one.code, one.address.split(".")[1], one.message) for one in problems(env, plan, found)]
    also = "jobDefinitions.b, jobDefinitions.c, jobDefinitions.d and 2 more"
    assert told[0] == ("cannot-run", "a", f"the role (also {also})")
    assert told[1:] == [("may-not-run", one, "too large") for one in names]
    ignored = {"": frozenset({"may-not-run"}), "jobDefinitions.a": frozenset({"cannot-run"})}
    told = [(one.code, one.address) for one in problems(dataclasses.replace(env, ignored=ignored), plan, found)]
    assert told == [("cannot-run", "jobDefinitions.b")]
    stops = dataclasses.replace(role, final=True)
    step = Step(id="s", address=made["a"].address, action=Call("batch", "RegisterJobDefinition"))
    created = ResourcePlan(address=step.address, verb=Verb.CREATE, physical="a", before=None, after=None, steps=(step,))
    plan = dataclasses.replace(plan, resources=(created,))
    (error,) = problems(
        dataclasses.replace(env, ignored=ignored),
        plan,
        [Checked(address=made["a"].address, checks=Checks(after=(stops,)))],
    )
    assert (error.warning, error.hint) == (False, "add it, or pass --preflight=off")


def test_downloads_are_of_https_only() -> None:
    for url in ("http://example.com/x", "file:///etc/passwd", "ftp://example.com/x"):
        assert isinstance(downloads.download(url), Refused)


def test_the_count_of_queues() -> None:
    """The first queue that a plan creates says whether the account has room for all of them."""
    made = [Resource(address=Address("jobQueues", name), props={}) for name in ("a", "b")]
    plans = {
        one.address: ResourcePlan(address=one.address, verb=Verb.CREATE, physical="", before=None, after=None)
        for one in made
    }
    ground = Ground(scope=HERE, declared=Declared({one.address: one for one in made}), plans=plans)
    for present, expected in ((48, "fits False"), (49, "cannot False")):
        reads = counts.check(made[0], ground, "DescribeJobQueues", "jobQueues", "job queues")
        next(reads)
        with pytest.raises(StopIteration) as end:
            reads.send(({"jobQueues": [{"status": "VALID"}] * present},))
        (check,) = end.value.value
        assert f"{check.verdict} {check.certain}" == expected
    with pytest.raises(StopIteration) as end:
        next(counts.check(made[1], ground, "DescribeJobQueues", "jobQueues", "job queues"))
    assert end.value.value == []
