"""An account made of recorded replies: answers what a kind's reads ask from what AWS is on record to have answered.

A pair is what a person declared and what AWS replied once it was there (``tests/data/pairs/*.yaml``). What a declaration
only names (a role, an instance profile, a group) is taken to exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from reconciler.account.reader import Reader
from reconciler.account.refresh import observe
from reconciler.checks import environment as check
from reconciler.config import loader, references
from reconciler.kinds import discover
from reconciler.model import Call, Environment, Json, Options, Refused, ResourcePlan, Scope, Sought
from reconciler.model.problems import Problem
from reconciler.planning import planner
from reconciler.schema import registry
from tests.support.tables import cases

HERE = Path(__file__).parents[1] / "data" / "pairs"
ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):[a-z0-9-]+:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):")
NOT_FOUND = {
    "GetRole": "NoSuchEntity",
    "GetPolicy": "NoSuchEntity",
    "GetInstanceProfile": "NoSuchEntity",
    "DescribeRepositories": "RepositoryNotFoundException",
    "GetLifecyclePolicy": "LifecyclePolicyNotFoundException",
    "GetRepositoryPolicy": "RepositoryPolicyNotFoundException",
    "DescribeSecret": "ResourceNotFoundException",
    "GetTopicAttributes": "NotFound",
    "GetDataProtectionPolicy": "NotFound",
    "DescribeConsumableResource": "ClientException",
    "DescribeQuotaShare": "ClientException",
    "DescribeRule": "ResourceNotFoundException",
    "GetSchedule": "ResourceNotFoundException",
    "GetScheduleGroup": "ResourceNotFoundException",
}
IN_BULK = frozenset({"GetAccountAuthorizationDetails"})
MINE = {
    "roles": "GetRole",
    "policies": "GetPolicy",
    "instanceProfiles": "GetInstanceProfile",
    "securityGroups": "DescribeSecurityGroups",
    "keyPairs": "DescribeKeyPairs",
    "secrets": "DescribeSecret",
    "computeEnvironments": "DescribeComputeEnvironments",
    "serviceEnvironments": "DescribeServiceEnvironments",
    "launchTemplates": "DescribeLaunchTemplates",
    "placementGroups": "DescribePlacementGroups",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """``declared`` under ``section`` and ``name``; ``replies`` by operation; ``source`` is where AWS said so."""

    file: str
    section: str
    name: str
    title: str
    source: str
    declared: Any
    replies: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    exists: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.section}-{self.title.replace(' ', '-')}"

    @property
    def scope(self) -> Scope:
        found = [match.groupdict() for match in ARN.finditer(str(self.replies))]
        account = next((item["account"] for item in found if item["account"]), "123456789012")
        region = next((item["region"] for item in found if item["region"]), "us-east-1")
        partition = next((item["partition"] for item in found), "aws")
        return Scope(account=account, region=region, partition=partition, environment="pairs")


@cache
def pairs() -> tuple[Pair, ...]:
    """Every pair on record."""
    found: list[Pair] = []
    for path in sorted(HERE.glob("*.yaml")):
        for item in cases(path):
            shared = {name: value for name, value in item.items() if name != "spellings"}
            found += [Pair(file=path.name, **{**shared, **spelling}) for spelling in item["spellings"]]
    return tuple(found)


class Recorded:
    """Where calls go: to the recorded replies."""

    def __init__(self, pair: Pair, replies: Mapping[str, Any]) -> None:
        self.pair, self.replies = pair, replies

    def call(self, call: Call) -> Any:
        if call.operation in self.replies and not self._elsewhere(call):
            return self._recorded(call)
        if found := _named(call, self.pair, self.replies):
            return found
        if call.operation in IN_BULK:
            return Refused("AccessDenied", "things are on record one by one")
        if call.operation in NOT_FOUND:
            return Refused(NOT_FOUND[call.operation], "not in the recorded account")
        return {}

    def _elsewhere(self, call: Call) -> bool:
        """Whether it asks about something that is only named: a role that a compute environment mentions."""
        return call.operation in MINE.values() and MINE.get(self.pair.section) != call.operation

    def _recorded(self, call: Call) -> Any:
        found = self.replies[call.operation]
        if not isinstance(found, Sequence):
            return found
        for each in found:
            if all(call.params.get(name) == value for name, value in each["to"].items()):
                return each["reply"]
        return Refused(NOT_FOUND.get(call.operation, "NoSuchEntity"), "not in the recorded account")


def _named(call: Call, pair: Pair, replies: Mapping[str, Any]) -> Any:
    """What is told of a thing that is only named; None for the pair's own kind."""
    tell = TELLING.get(call.operation)
    return tell(pair, call.params, replies) if tell and MINE.get(pair.section) != call.operation else None


def _role(pair: Pair, params: Json, _: Json) -> Json:
    name = params["RoleName"]
    path = pair.exists.get(name, "/")
    return {"Role": {"RoleName": name, "Path": path, "Arn": pair.scope.arn("iam", f"role{path}{name}", region="")}}


def _profile(pair: Pair, params: Json, _: Json) -> Json:
    name = params["InstanceProfileName"]
    arn = pair.scope.arn("iam", f"instance-profile/{name}", region="")
    return {"InstanceProfile": {"InstanceProfileName": name, "Path": "/", "Arn": arn}}


def _policy(_: Pair, params: Json, replies: Json) -> Json | None:
    attached = replies.get("ListAttachedRolePolicies", {}).get("AttachedPolicies", ())
    known = {item["PolicyArn"]: item["PolicyName"] for item in attached}
    arn = params["PolicyArn"]
    return {"Policy": {"PolicyName": known[arn], "Arn": arn}} if arn in known else None


def _group(pair: Pair, params: Json, _: Json) -> Json:
    name = params["Filters"][0]["Values"][0]
    return {"SecurityGroups": [{"GroupName": name, "GroupId": pair.exists[name]}]} if name in pair.exists else {}


def _key(_: Pair, params: Json, __: Json) -> Json:
    wanted = params["Filters"][0]
    names = wanted["Values"] if wanted["Name"] == "key-name" else ()
    return {"KeyPairs": [{"KeyName": name, "KeyPairId": "key-1"} for name in names]}


def _secret(pair: Pair, params: Json, _: Json) -> Json:
    name = params["SecretId"]
    return {"Name": name, "ARN": pair.exists.get(name, pair.scope.arn("secretsmanager", f"secret:{name}-AbCdEf"))}


def _of_batch(noun: str, resource: str) -> Callable[[Pair, Json, Json], Json]:
    def tell(pair: Pair, params: Json, _: Json) -> Json:
        names = params.get(f"{noun}s", ())
        items = [{f"{noun}Name": name, f"{noun}Arn": pair.scope.arn("batch", f"{resource}/{name}")} for name in names]
        return {f"{noun}s": items}

    return tell


def _template(pair: Pair, params: Json, __: Json) -> Json:
    names = params.get("Filters", [{"Name": ""}])[0]
    if names["Name"] != "launch-template-name":
        return {}
    item = {"DefaultVersionNumber": 1, "LatestVersionNumber": 1}
    ids = {name: pair.exists.get(name, "lt-1") for name in names["Values"]}
    return {"LaunchTemplates": [{**item, "LaunchTemplateName": name, "LaunchTemplateId": ids[name]} for name in ids]}


def _template_versions(_: Pair, params: Json, __: Json) -> Json:
    version = {"VersionNumber": 1, "DefaultVersion": True, "LaunchTemplateData": {}, "LaunchTemplateName": "x"}
    return {"LaunchTemplateVersions": [{**version, "LaunchTemplateId": params["LaunchTemplateId"]}]}


def _placement(_: Pair, params: Json, __: Json) -> Json:
    names = params.get("Filters", [{"Name": ""}])[0]
    if names["Name"] != "group-name":
        return {}
    return {
        "PlacementGroups": [{"GroupName": name, "GroupId": "pg-1", "State": "available"} for name in names["Values"]]
    }


def _vpcs(_: Pair, __: Json, replies: Json) -> Json:
    groups = replies.get("DescribeSecurityGroups", {}).get("SecurityGroups", ())
    return {"Vpcs": [{"VpcId": item["VpcId"], "IsDefault": True} for item in groups if "VpcId" in item]}


TELLING: Mapping[str, Callable[[Pair, Json, Json], Json | None]] = {
    "GetRole": _role,
    "GetInstanceProfile": _profile,
    "GetPolicy": _policy,
    "DescribeSecurityGroups": _group,
    "DescribeKeyPairs": _key,
    "DescribeSecret": _secret,
    "DescribeComputeEnvironments": _of_batch("computeEnvironment", "compute-environment"),
    "DescribeJobQueues": _of_batch("jobQueue", "job-queue"),
    "DescribeServiceEnvironments": _of_batch("serviceEnvironment", "service-environment"),
    "DescribeLaunchTemplates": _template,
    "DescribeLaunchTemplateVersions": _template_versions,
    "DescribePlacementGroups": _placement,
    "DescribeVpcs": _vpcs,
}


def environment(pair: Pair, folder: Path) -> tuple[Environment, tuple[Problem, ...]]:
    """The declaration, loaded from a file as a person's would be, checked and expanded."""
    target = folder / "environment.yaml"
    document = {"environment": "pairs", **pair.settings, pair.section: {pair.name: pair.declared}}
    target.write_text(json.dumps(document), encoding="utf-8")
    return check.environment(loader.load(target, environ={}), discover())


def planned(pair: Pair, env: Environment, replies: Mapping[str, Any]) -> tuple[list[ResourcePlan], list[Problem]]:
    """The plan for the declaration against an account that gives these replies, everything there being taken over."""
    kinds = discover()
    reader = Reader(Recorded(pair, replies), parallelism=0)
    world = references.ResolutionContext(scope=pair.scope, declared=lambda _: None, lookups={})
    sought: dict[str, tuple[Sought, ...]] = {}
    for address, resource in env.resources.items():
        found = Sought(address.name, references.fill(resource.props, world))
        sought[address.section] = (*sought.get(address.section, ()), found)
    elsewhere = references.names_to_find(env.resources, kinds)
    mine = {section: kinds[section] for section in kinds if section == pair.section}
    mine |= {section: kinds[section] for section, _ in elsewhere}
    seen = observe(reader, mine, pair.scope, sought, elsewhere)
    assert not seen.unreadable, seen.unreadable
    made, problems = planner.make(env, kinds, pair.scope, seen, options=Options(adopt=True), members=registry.members)
    return [found for found in made.resources if found.address.name == pair.name], problems


def differences(found: ResourcePlan) -> list[tuple[str, ...]]:
    """The paths that differ, the ownership tags aside."""
    paths = [tuple(map(str, change.path)) for change in found.changes]
    return [path for path in paths if not (path[0] == "tags" and path[1].startswith("reconciler/"))]
