"""Whether what a property names fits the place it is named at, judged without AWS.

Names and expressions that lead somewhere may still lead to the wrong thing: the ARN of a role where an instance profile
belongs, a resource of another account or Region, a role that does not trust the service it is passed to, a look-up of
VPCs where subnets belong. AWS says so late and darkly, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.config import references
from reconciler.config.loader import LoadedEnvironment
from reconciler.kinds.batch import _quotas as quotas
from reconciler.kinds.batch.compute_environment import launch_template
from reconciler.kinds.batch.job_queue import relations
from reconciler.kinds.events import _topic_delivery as deliveries
from reconciler.model import Address, Kind, Path, Pos, Ref, Reference, Resource, Scope, Template
from reconciler.model.paths import dotted, values_at
from reconciler.model.problems import Problem

# What is passed, attached or listed must be of the environment's own account, and of its Region where it has one.
# Secrets and log groups may well be elsewhere.
_AT_HOME = (
    "roles",
    "instanceProfiles",
    "policies",
    "computeEnvironments",
    "jobQueues",
    "jobDefinitions",
    "schedulingPolicies",
    "serviceEnvironments",
)
# https://docs.aws.amazon.com/batch/latest/userguide/quota-management.html
_MOST_SHARES = 20
_ALL_INSTANCES = "NUM_INSTANCES"
_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-isob-", "aws-iso-b"), ("us-iso-", "aws-iso"))
_NAME = "NAME"

# The look-ups whose values a member takes; an SSM parameter may hold anything.
_TAKES = {
    "vpcId": "vpc",
    "subnets": "subnets",
    "subnetIds": "subnets",
    "securityGroupIds": "securityGroup",
    "groupId": "securityGroup",
    "imageId": "image",
    "imageIdOverride": "image",
}
_LISTS = ("subnets", "subnetIds", "securityGroupIds")
_NOUNS = {"vpc": "a VPC", "subnets": "subnets", "securityGroup": "a security group", "image": "an image"}
_MANY = "subnets"

Found = tuple[Path, str, str, bool]  # path, message, hint, is it only a warning


def problems(
    loaded: LoadedEnvironment, kinds: Mapping[str, Kind], resources: Mapping[Address, Resource]
) -> Iterator[Problem]:
    """What is named at a place where it does not belong."""
    fits = TargetChecker(loaded, kinds, resources)
    for resource in resources.values():
        for path, message, hint, warning in fits.of(resource):
            yield _problem(resource.at(path), str(resource.address), path, message, hint, warning=warning)
    for lookup in loaded.lookups.values():
        for path, message, hint, warning in fits.lookups(references.templated(lookup.args)):
            yield _problem(lookup.pos, f"lookups.{lookup.name}", path, message, hint, warning=warning)


def _problem(pos: Pos, address: str, path: Path, message: str, hint: str, *, warning: bool) -> Problem:
    return Problem(
        code="misfit" if warning else "invalid-value",
        message=message,
        hint=hint,
        warning=warning,
        address=address,
        path=dotted(path),
        pos=pos,
    )


@dataclass(frozen=True, slots=True)
class TargetChecker:
    loaded: LoadedEnvironment
    kinds: Mapping[str, Kind]
    resources: Mapping[Address, Resource]

    def of(self, resource: Resource) -> Iterator[Found]:
        kind = self.kinds[resource.address.section]
        for path, ref, value in references.reference_sites(resource, kind):
            if isinstance(value, Template):
                yield from self.expression(path, value, ref)
            elif isinstance(value, str) and value.startswith("arn:"):
                yield from self.arn(path, value, ref)
            elif value == "" and not ref.optional and not re.match(ref.literal, ""):
                noun = self.kinds[ref.section].name if ref.section in self.kinds else "name"
                yield path, f"{_member(path)} is empty", f"name {_a(noun)}, or leave it out", False
        for pattern, service in kind.passes_roles.items():
            for path, value in values_at(resource.props, pattern):
                yield from self.trust(path, value, service)
        yield from self.itself(resource, kind)
        if self.loaded.lookups:
            yield from self.lookups(references.within(resource))
        yield from self.images(resource.props)
        yield from self.environment(resource)
        yield from self.shared_out(resource)
        yield from self.delivered(resource)
        yield from self.namesakes(resource, kind)

    def environment(self, resource: Resource) -> Iterator[Found]:
        """What a compute environment or a queue stands on, or stands beside."""
        cluster = _at(resource.props, "eksConfiguration", "eksClusterArn")
        if isinstance(cluster, str) and cluster.startswith("arn:") and cluster.count(":") == 5:
            hint = "name a cluster that is where the environment is"
            yield from self.at_home(("eksConfiguration", "eksClusterArn"), cluster.split(":"), hint)
        yield from quotas.beyond(resource, self.resources)
        if resource.address.section == relations.ENVIRONMENTS:
            yield from launch_template.misfits(resource, self.resources)
        elif resource.address.section == relations.QUEUES:
            yield from relations.misfits(resource, relations.listed_by(resource, self.resources))

    # --- references ---------------------------------------------------------------------------------------------------

    def expression(self, path: Path, value: Template, ref: Ref) -> Iterator[Found]:
        part = value.whole
        if part is None or part.address is None or ref.optional or ref.also:
            return
        section = part.address.section
        if section not in self.kinds or ref.section not in self.kinds:
            return
        if section != ref.section and part.attr in ("arn", "id"):
            wanted, other = _a(self.kinds[ref.section].name), _a(self.kinds[section].name)
            namesake = Address(ref.section, part.address.name)
            hint = f"name one of {ref.section}"
            if namesake.name in self.loaded.sections.get(ref.section, {}):
                hint = f"did you mean ${{{namesake}.{ref.attr}}}?"
            yield path, f"{_member(path)} takes {wanted}, and {part.text} is {other}", hint, False
        elif section == ref.section and ref.attr == "id" and part.attr != "id":
            hint = f"write ${{{part.address}.id}}, or just {part.address.name}"
            yield path, f"{_member(path)} takes an id, and {part.text} is none", hint, False

    def namesakes(self, resource: Resource, kind: Kind) -> Iterator[Found]:
        """A plain name of several things, where any of them may be meant."""
        for path, ref, name in references.plain_names(resource, kind):
            meant = [
                Address(section, name) for section in ref.sections if name in self.loaded.sections.get(section, {})
            ]
            if len(meant) > 1:
                nouns = " and ".join(_a(self.kinds[one.section].name) for one in meant)
                hint = f"for the other write ${{{meant[1]}.{ref.attr}}}, or rename one"
                yield path, f'"{name}" is {nouns}; here it means the {self.kinds[meant[0].section].name}', hint, True

    def arn(self, path: Path, value: str, ref: Ref) -> Iterator[Found]:
        expected = self.form(ref.section)
        parts = value.split(":", 5)
        if not expected or ref.section == "secrets" or ref.optional or ref.also:
            return
        wanted = _a(self.kinds[ref.section].name)
        account = parts[4] if len(parts) == 6 else ""
        aws = ref.section == "policies" and account == "aws"
        if len(parts) < 6 or not (aws or re.fullmatch(r"\d{12}", account)) or parts[5] == expected[1]:
            region = "" if expected[0] == "iam" else "REGION"
            hint = f"it looks like arn:aws:{expected[0]}:{region}:123456789012:{expected[1]}{_NAME}"
            yield path, f'"{value}" is not the ARN of {wanted}', hint, False
        elif parts[2] != expected[0] or not parts[5].startswith(expected[1]):
            other = self.named(parts[2], parts[5])
            shown = f"and this is the ARN of {other}" if other else f'and "{value}" is the ARN of something else'
            yield path, f"{_member(path)} takes {wanted}, {shown}", f"give the name or ARN of {wanted}", False
        elif ref.section in _AT_HOME:
            yield from self.at_home(path, parts)

    def at_home(
        self, path: Path, parts: list[str], hint: str = "write the name alone, and the rest is filled in"
    ) -> Iterator[Found]:
        home, region = self.loaded.account, self.loaded.region
        if home and parts[4] not in (home, "aws"):
            yield path, f"this is of account {parts[4]}, and the environment is for {home}", hint, False
        if region and parts[3] and parts[3] != region:
            yield path, f"this is in {parts[3]}, and the environment is in {region}", hint, False
        partition = next((name for start, name in _PARTITIONS if (region or "").startswith(start)), "aws")
        if region and parts[1] != partition:
            yield path, f"this is of the partition {parts[1]}, and {region} is in {partition}", hint, False

    def form(self, section: str) -> tuple[str, str] | None:
        """The service and the beginning of the last part of a section's ARNs."""
        kind = self.kinds.get(section)
        scope = Scope("123456789012", "us-east-1", "aws", self.loaded.name)
        arn = kind.attrs(scope, _NAME, {}).get("arn") if kind else None
        if not arn or _NAME not in arn:
            return None
        parts = arn.split(":", 5)
        return parts[2], parts[5].partition(_NAME)[0]

    def named(self, service: str, rest: str) -> str:
        for section in self.kinds:
            form = self.form(section)
            if form and form[1] and form[0] == service and rest.startswith(form[1]):
                return _a(self.kinds[section].name)
        return ""

    def itself(self, resource: Resource, kind: Kind) -> Iterator[Found]:
        """What AWS says about a resource only once it is there cannot go into its creation."""
        if not kind.assigned_by_aws:
            return
        late = {path for name, ref in kind.refs.items() if ref.late for path, _ in values_at(resource.props, name)}
        for path, part in references.references(references.expressions(resource)):
            if part.address == resource.address and part.attr in kind.assigned_by_aws and path not in late:
                message = f"{part.text} is known only when the resource is there, and stands inside the same resource"
                yield path, message, "leave it out here", False

    # --- trust --------------------------------------------------------------------------------------------------------

    def trust(self, path: Path, value: Any, service: str) -> Iterator[Found]:
        """A profile's role is judged at the profile."""
        name = value if isinstance(value, str) else None
        part = value.whole if isinstance(value, Template) else None
        if part is not None and part.address is not None and part.address.section == "roles":
            name = part.address.name
        role = self.resources.get(Address("roles", name or ""))
        if role is None or path[-1] in ("instanceRole", "ec2InstanceProfileArn"):
            return
        trusted = _trusted(role.props.get("assumeRolePolicyDocument"))
        if trusted is not None and service not in trusted:
            now = f"it trusts {', '.join(sorted(trusted))}" if trusted else "it trusts no service"
            message = f"the role {role.address.name} does not trust {service}, which is to use it here"
            yield path, message, f"{now}; add {service} to its trust", True

    # --- look-ups, images, queues -------------------------------------------------------------------------------------

    def lookups(self, written: Iterable[tuple[Path, Template]]) -> Iterator[Found]:
        for path, value in written:
            for part in value.parts:
                lookup = self.loaded.lookups.get(part.attr) if isinstance(part, Reference) else None
                if lookup is None or not isinstance(part, Reference) or part.root != "lookups":
                    continue
                member, takes = _member(path), _TAKES.get(_member(path))
                if not value.whole:
                    if lookup.kind == _MANY:
                        hint = "use it alone, as the whole value"
                        yield path, f"{part.text} is a list of subnets, and stands inside a text", hint, False
                elif takes and lookup.kind not in (takes, "ssmParameter"):
                    right = [name for name, one in sorted(self.loaded.lookups.items()) if one.kind == takes]
                    hint = f"did you mean ${{lookups.{right[0]}}}?" if right else f"look up {_NOUNS[takes]} there"
                    message = f"{member} takes {_NOUNS[takes]}, and {part.text} looks up {_NOUNS[lookup.kind]}"
                    yield path, message, hint, False
                elif path[-1] in _LISTS and lookup.kind != _MANY:
                    yield path, f"{member} is a list, and {part.text} is one value", f'write ["{part.text}"]', False

    def images(self, props: Any) -> Iterator[Found]:
        declared = self.loaded.sections.get("repositories", {})
        for path, value in _members(props, "image"):
            part = value.parts[0] if isinstance(value, Template) else None
            if isinstance(part, Reference) and part.address is not None and part.address.section == "repositories":
                if part.attr != "uri":
                    hint = f"write ${{{part.address}.uri}}, and a tag after it if you like"
                    yield path, f"an image is named by the uri of its repository, not by its {part.attr}", hint, False
            elif isinstance(value, str) and value.partition(":")[0].partition("@")[0] in declared:
                name, colon, tag = value.partition(":")
                message = f'"{value}" is pulled from Docker Hub, not from the repository {name} declared here'
                hint = f"for that write ${{{Address('repositories', name)}.uri}}{colon}{tag}"
                yield path, message, hint, True

    def shared_out(self, resource: Resource) -> Iterator[Found]:
        """Quota shares, and the policies for them, are for SageMaker training queues."""
        props = resource.props
        if resource.address.section == "jobQueues":
            policy = self.declared("schedulingPolicies", props.get("schedulingPolicyArn"))
            if policy and policy.props.get("quotaSharePolicy") and props.get("computeEnvironmentOrder"):
                message = f"{policy.address.name} is a quota-share policy, and this queue takes container jobs"
                yield ("schedulingPolicyArn",), message, "name a fair-share policy, or none", False
        queue = self.declared("jobQueues", props.get("jobQueue")) if resource.address.section == "quotaShares" else None
        if queue is None:
            return
        policy = self.declared("schedulingPolicies", queue.props.get("schedulingPolicyArn"))
        if queue.props.get("computeEnvironmentOrder"):
            message = f"{queue.address.name} takes container jobs, and quota shares are for SageMaker training"
            yield (), message, "share it by a scheduling policy with fairsharePolicy", False
        elif not queue.props.get("schedulingPolicyArn") or (policy and not policy.props.get("quotaSharePolicy")):
            hint = f"give {queue.address} a scheduling policy with quotaSharePolicy"
            yield (), f"{queue.address.name} is not shared out by quota", hint, False
        there = [other for other in self.resources if other.section == "quotaShares"]
        there = [other for other in there if other.name.partition("/")[0] == queue.address.name]
        if len(there) > _MOST_SHARES and resource.address == there[_MOST_SHARES]:
            message = f"{queue.address.name} has {len(there)} quota shares; {_MOST_SHARES} at most"
            yield (), message, "put some together", False
        yield from self.counted(resource, queue)

    def counted(self, share: Resource, queue: Resource) -> Iterator[Found]:
        """A share is of what its queue's environment has: one of something else never runs a job.

        https://docs.aws.amazon.com/batch/latest/APIReference/API_CapacityLimit.html
        """
        named = [name for _, name in values_at(queue.props, "serviceEnvironmentOrder[].serviceEnvironment")]
        environment = self.declared("serviceEnvironments", named[0]) if len(named) == 1 else None
        units = _units(environment.props) if environment else []
        if environment is None or not units or any(isinstance(unit, Template) for _, unit in units):
            return
        there = list(dict.fromkeys(unit for _, unit in units))
        for index, unit in _units(share.props):
            if isinstance(unit, str) and unit not in there:
                message = f"this is a share of {unit}, and {environment.address} has only {', '.join(there)}"
                hint = f"add a limit for {unit} to {environment.address}, or share out {there[0]}"
                if there == [_ALL_INSTANCES]:
                    hint = f"count {environment.address} by instance types, too: capacityUnit: {unit}"
                yield ("capacityLimits", index, "capacityUnit"), message, hint, False

    def delivered(self, resource: Resource) -> Iterator[Found]:
        """Whether what a rule sends to a topic arrives there."""
        pattern = "targets[].arn"
        for path, value in values_at(resource.props, pattern) if resource.address.section == "eventRules" else ():
            topic = self.declared("topics", value)
            if topic is not None and not self.declared("jobQueues", value):
                for message, hint in deliveries.hindrances(topic):
                    yield path, message, hint, True

    def declared(self, section: str, value: Any) -> Resource | None:
        """The resource declared here that a name, or an expression for its ARN, means."""
        part = value.whole if isinstance(value, Template) else None
        address = Address(section, value) if isinstance(value, str) else part.address if part else None
        return self.resources.get(address) if address and address.section == section else None


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _trusted(document: Any) -> frozenset[str] | None:
    """The services that a trust policy names; None where it does not show, or trusts everybody."""
    statements = document.get("Statement") if isinstance(document, Mapping) else None
    found: set[str] = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        if not isinstance(statement, Mapping) or references.templated(statement):
            return None
        principal = statement.get("Principal")
        if principal == "*" or "NotPrincipal" in statement:
            return None
        if statement.get("Effect") == "Allow" and isinstance(principal, Mapping):
            services = principal.get("Service", [])
            listed = services if isinstance(services, list) else [services]
            found |= {item for item in listed if isinstance(item, str)}
    return frozenset(found)


def _units(props: Mapping[str, Any]) -> list[tuple[int, Any]]:
    """What the limits of a service environment or a quota share count, each with its position."""
    limits = props.get("capacityLimits")
    listed = [(i, one) for i, one in enumerate(limits) if isinstance(one, Mapping)] if isinstance(limits, list) else []
    return [(index, one.get("capacityUnit") or _ALL_INSTANCES) for index, one in listed]


def _members(value: Any, name: str) -> list[tuple[Path, Any]]:
    """Every member of this name, at any depth."""
    found: list[tuple[Path, Any]] = []
    _gather(value, name, (), found)
    return found


def _gather(value: Any, name: str, path: Path, found: list[tuple[Path, Any]]) -> None:
    if isinstance(value, dict | Mapping):
        for key, item in value.items():
            if key == name:
                found.append(((*path, key), item))
            elif type(item) is not str:
                _gather(item, name, (*path, key), found)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if type(item) is not str:
                _gather(item, name, (*path, index), found)


def _member(path: Path) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _a(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeioAEIO' else 'a'} {noun}"
