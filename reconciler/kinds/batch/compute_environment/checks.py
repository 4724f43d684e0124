"""Checks of a declared compute environment: what AWS would refuse, and what is probably a mistake.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.batch.compute_environment import effects
from reconciler.kinds.batch.compute_environment import instance_types as types
from reconciler.kinds.batch.compute_environment.images import AMAZON_LINUX_2, successor, unsupported
from reconciler.kinds.common.declared import as_int, as_text, at, entries, is_given, items, mapping, repeats
from reconciler.kinds.common.normal_forms import bare
from reconciler.model import Finding, Json, Path
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import tags

NOT_ON_FARGATE = (
    "allocationStrategy",
    "instanceTypes",
    "minvCpus",
    "desiredvCpus",
    "instanceRole",
    "imageId",
    "ec2KeyPair",
    "tags",
    "placementGroup",
    "bidPercentage",
    "spotIamFleetRole",
    "launchTemplate",
    "ec2Configuration",
    "scalingPolicy",
)
NEEDED = {
    "maxvCpus": "the maximum number of vCPUs it may grow to",
    "minvCpus": "0 lets it shrink to no instances when idle",
    "subnets": 'a list of subnet ids, or "${lookups.NAME}" of a subnets look-up',
    "instanceRole": "the name of an instance profile",
    "instanceTypes": "for example [optimal], [c6i, m6i] or [g4dn.2xlarge]",
}
NEEDED_ON_FARGATE = ("maxvCpus", "subnets")
BUNDLES = ("optimal", "default_x86_64", "default_arm64")
IMAGE_TYPES = tuple(
    f"{cluster}_{system}{gpu}" for cluster in ("ECS", "EKS") for system in ("AL2", "AL2023") for gpu in ("", "_NVIDIA")
)
_SUBNET, _GROUP = regex(r"subnet-[0-9a-f]+"), regex(r"sg-[0-9a-f]+")
_OTHER_ID = regex(r"(vpc|subnet|ami|eni|igw|acl|rtb|lt|i)-[0-9a-f]{8,17}")
_ARM = regex(r"(a1|[a-z]+\d+g[a-z]*)(\.|$)")
_INSTANCE_TYPE = regex(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)?")
_NAMESPACE = regex(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_HERE = "computeResources"


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about the declared properties; an unknown value (an expression) is not judged."""
    yield from batch.check_name(name, "compute environment")
    kind = props.get("type")
    if kind is None:
        hint = "add type: MANAGED (Batch runs the instances), or type: UNMANAGED (you do)"
        yield Finding((), "type is missing", hint, code=codes.MISSING_FIELD)
    if kind == "UNMANAGED":
        yield from _check_unmanaged(props)
    elif kind == "MANAGED":
        yield from _check_managed(props)
    yield from _check_roles(props)
    yield from _check_eks(props)


def _check_unmanaged(props: Json) -> Iterator[Finding]:
    if not is_given(props.get("serviceRole")):
        hint = "use a role that trusts batch.amazonaws.com and has service-role/AWSBatchServiceRole"
        yield Finding((), "an UNMANAGED environment needs a serviceRole", hint, code=codes.MISSING_FIELD)
    elif effects.SERVICE_LINKED in (as_text(props["serviceRole"]) or ""):
        hint = "use a custom role that trusts batch.amazonaws.com"
        yield Finding(("serviceRole",), "an UNMANAGED environment cannot use the service-linked role", hint)
    for member in (_HERE, "eksConfiguration", "updatePolicy"):
        if is_given(props.get(member)):
            hint = f"leave {member} out, or use type: MANAGED"
            yield Finding((member,), f"{member} does not apply to an UNMANAGED environment", hint)


def _check_managed(props: Json) -> Iterator[Finding]:
    if is_given(props.get("unmanagedvCpus")):
        hint = "set computeResources.maxvCpus instead"
        yield Finding(("unmanagedvCpus",), "unmanagedvCpus does not apply to a MANAGED environment", hint)
    resources = props.get(_HERE)
    if not is_given(resources):
        hint = "add at least type, maxvCpus, subnets and securityGroupIds"
        yield Finding((), "a MANAGED environment needs computeResources", hint, code=codes.MISSING_FIELD)
        return
    if not isinstance(resources, dict):
        return
    if resources.get("type") is None:
        hint = "one of EC2, SPOT, FARGATE, FARGATE_SPOT"
        yield Finding((_HERE,), "computeResources.type is missing", hint, code=codes.MISSING_FIELD)
    family = effects.family(props)
    if family == effects.INSTANCES:
        yield from _check_instances(props, resources)
    elif family == effects.FARGATE:
        yield from _check_fargate(props, resources)
    yield from _check_provider(family, resources)
    yield from _check_vcpus(resources)
    yield from _check_network(resources)


def _check_provider(family: str, resources: Json) -> Iterator[Finding]:
    if family == effects.MANAGED_INSTANCES and not is_given(resources.get("managedInstancesProvider")):
        hint = "add infrastructureRoleArn and instanceLaunchTemplate to it"
        yield Finding((_HERE,), "ECS_MANAGED_INSTANCES needs managedInstancesProvider", hint, code=codes.MISSING_FIELD)
    if family in (effects.INSTANCES, effects.FARGATE):
        for member in ("managedInstancesProvider", "capacityTags"):
            if is_given(resources.get(member)):
                why = f"{member} is for computeResources.type ECS_MANAGED_INSTANCES"
                yield Finding((_HERE, member), why, "leave it out", code=codes.NOT_APPLICABLE)


def _missing(resources: Json, *members: str) -> Iterator[Finding]:
    for member in members:
        if not is_given(resources.get(member)):
            path: Path = (_HERE, member) if member in resources else (_HERE,)
            yield Finding(path, f"computeResources.{member} is missing", NEEDED[member], code=codes.MISSING_FIELD)


def _check_instances(props: Json, resources: Json) -> Iterator[Finding]:
    yield from _missing(resources, *NEEDED)
    if not is_given(resources.get("securityGroupIds")) and not is_given(resources.get("launchTemplate")):
        hint = "a list of names of declared security groups or of ids, or a launch template that has them"
        yield Finding((_HERE,), "computeResources.securityGroupIds is missing", hint, code=codes.MISSING_FIELD)
    yield from _check_strategy(props, resources)
    yield from _check_instance_types(resources)
    yield from _check_images(props, resources)
    yield from _check_support(resources)
    yield from _check_template(props, resources)
    image = as_text(resources.get("imageId"))
    if image and not image.startswith("ami-"):
        hint = "give an id like ami-0123456789abcdef0, or an ssmParameter or image look-up"
        yield Finding((_HERE, "imageId"), f'"{image}" is not the id of an image', hint)
    minutes = as_int(at(resources, "scalingPolicy", "minScaleDownDelayMinutes"))
    path: Path
    if minutes and not 20 <= minutes <= 10080:
        path = (_HERE, "scalingPolicy", "minScaleDownDelayMinutes")
        yield Finding(path, f"{minutes} minutes are out of range", "from 20 to 10080, or 0 for no delay")
    timeout = as_int(at(props, "updatePolicy", "jobExecutionTimeoutMinutes"))
    if timeout is not None and not 1 <= timeout <= 7200:
        path = ("updatePolicy", "jobExecutionTimeoutMinutes")
        yield Finding(path, f"{timeout} minutes are out of range", "it must be from 1 to 7200")


def _check_strategy(props: Json, resources: Json) -> Iterator[Finding]:
    kind, strategy = resources.get("type"), resources.get("allocationStrategy")
    spot = isinstance(strategy, str) and strategy.startswith("SPOT_")
    if kind == "EC2" and spot:
        hint = "use BEST_FIT_PROGRESSIVE, or computeResources.type: SPOT"
        path = (_HERE, "allocationStrategy")
        yield Finding(path, f"{strategy} needs type SPOT; this environment has type EC2", hint)
    if kind == "SPOT" and strategy == "BEST_FIT_PROGRESSIVE_ORDERED":
        hint = "use SPOT_CAPACITY_OPTIMIZED_PRIORITIZED, or computeResources.type: EC2"
        path = (_HERE, "allocationStrategy")
        yield Finding(path, f"{strategy} needs type EC2; this environment has type SPOT", hint)
    best_fit = strategy in (None, "BEST_FIT")
    if is_given(props.get("eksConfiguration")):
        if best_fit:
            why = "an EKS environment needs an allocationStrategy other than BEST_FIT"
            yield Finding((_HERE,), why, "use BEST_FIT_PROGRESSIVE, or a SPOT_ strategy on SPOT")
    elif kind == "SPOT" and best_fit and not is_given(resources.get("spotIamFleetRole")):
        hint = "better: allocationStrategy: SPOT_PRICE_CAPACITY_OPTIMIZED, which needs no such role"
        why = f"spotIamFleetRole is missing: the strategy {strategy or 'BEST_FIT (the default)'} needs it on SPOT"
        yield Finding((_HERE,), why, hint, code=codes.MISSING_FIELD)
    bid = as_int(resources.get("bidPercentage"))
    if bid is not None and not 0 <= bid <= 100:
        path = (_HERE, "bidPercentage")
        yield Finding(path, f"bidPercentage {bid} is out of range", "it must be from 0 to 100; left out it is 100")
    elif bid and kind == "EC2":
        why = "bidPercentage has no effect on type EC2"
        yield Finding((_HERE, "bidPercentage"), why, "leave it out", warning=True)
    if kind == "EC2" and is_given(resources.get("spotIamFleetRole")):
        why = "spotIamFleetRole has no effect on type EC2"
        yield Finding((_HERE, "spotIamFleetRole"), why, "leave it out", warning=True)


def _check_instance_types(resources: Json) -> Iterator[Finding]:
    listed = items(resources.get("instanceTypes"))
    plain = [(index, value) for index, value in enumerate(listed) if isinstance(value, str)]
    for index, value in plain:
        if value not in BUNDLES:
            or_one = f", or one of {', '.join(BUNDLES)}"
            yield from _check_instance_type(value, (_HERE, "instanceTypes", index), or_one)
    if resources.get("allocationStrategy") in effects.ORDERED:
        for index, value in plain:
            if value in BUNDLES:
                why = f"{resources['allocationStrategy']} uses the order of instance types, and {value} has none"
                hint = "list families or sizes, the best first"
                yield Finding((_HERE, "instanceTypes", index), why, hint)
    arm = [value for _, value in plain if value == "default_arm64" or _ARM.match(value)]
    others = [(index, value) for index, value in plain if value not in arm]
    if arm and others:
        why = f"Arm and x86 instance types cannot be mixed: {arm[0]} is Arm, {others[0][1]} is not"
        yield Finding((_HERE, "instanceTypes", others[0][0]), why, "create two compute environments")


def _check_instance_type(value: str, path: Path, others: str = "") -> Iterator[Finding]:
    if _INSTANCE_TYPE.fullmatch(value):
        yield from types.findings(value, path)
    else:
        hint = f"a family (c6i), a size of one (c6i.large){others}; all in lower case"
        yield Finding(path, f'"{value}" is not an instance type', hint)


def _check_images(props: Json, resources: Json) -> Iterator[Finding]:
    path = (_HERE, "ec2Configuration")
    listed = items(resources.get("ec2Configuration"))
    if len(listed) > 2:
        yield Finding((*path, 2), "ec2Configuration takes at most two entries", "remove some")
    for index, item in entries(listed):
        image = as_text(item.get("imageType"))
        cluster, other = ("EKS", "ECS") if is_given(props.get("eksConfiguration")) else ("ECS", "EKS")
        if image and image.startswith(f"{other}_"):
            hint = f"use {image.replace(other, cluster, 1)}"
            why = f'the image type "{image}" is for {other}, but this environment runs on {cluster}'
            yield Finding((*path, index, "imageType"), why, hint)
        elif image and image not in IMAGE_TYPES and not is_given(item.get("imageIdOverride")):
            near = difflib.get_close_matches(image, IMAGE_TYPES, n=1, cutoff=0.6)
            hint = f'did you mean "{near[0]}"?' if near else f"one of {', '.join(IMAGE_TYPES)}"
            why = f'unknown image type "{image}"'
            yield Finding((*path, index, "imageType"), why, hint, warning=True)
        if "imageType" not in item:
            hint = "for example ECS_AL2023, or ECS_AL2023_NVIDIA for GPUs"
            yield Finding((*path, index), "imageType is missing", hint, code=codes.MISSING_FIELD)
        if (
            image in AMAZON_LINUX_2
            and not is_given(item.get("imageIdOverride"))
            and not is_given(resources.get("imageId"))
        ):
            blocked = ", and refuses in new environments" if image.startswith("ECS") else ""
            hint = f"use {successor(image)}, or set an image with imageIdOverride"
            why = f"{unsupported(image)}{blocked}"
            yield Finding((*path, index, "imageType"), why, hint, code=codes.END_OF_SUPPORT, warning=True)
        if is_given(item.get("imageKubernetesVersion")) and not is_given(props.get("eksConfiguration")):
            why = "imageKubernetesVersion is for EKS environments"
            yield Finding((*path, index, "imageKubernetesVersion"), why, "leave it out")


# https://docs.aws.amazon.com/batch/latest/APIReference/API_Ec2Configuration.html
_WITHOUT_IMAGE = {"ECS_AL2023": ("a1",), "ECS_AL2023_NVIDIA": ("p3", "g3")}


def _check_support(resources: Json) -> Iterator[Finding]:
    """Warnings about instance families that an image type does not support: such instances never join the cluster."""
    if is_given(resources.get("imageId")):
        return
    listed = [(index, as_text(value) or "") for index, value in enumerate(items(resources.get("instanceTypes")))]
    for _, item in entries(resources.get("ec2Configuration")):
        families = _WITHOUT_IMAGE.get(as_text(item.get("imageType")) or "", ())
        for index, value in listed if not is_given(item.get("imageIdOverride")) else ():
            if value.partition(".")[0] in families:
                why = f"{item['imageType']} does not support {value}"
                hint = "choose another family, or set an image with imageIdOverride"
                yield Finding((_HERE, "instanceTypes", index), why, hint, warning=True)


def _check_template(props: Json, resources: Json) -> Iterator[Finding]:
    template = resources.get("launchTemplate")
    if not is_given(template) or not isinstance(template, dict):
        return
    path = (_HERE, "launchTemplate")
    yield from _check_choice(template, path, needed=not is_given(template.get("overrides")))
    overrides = items(template.get("overrides"))
    if len(overrides) > 10:
        yield Finding((*path, "overrides", 10), f"{len(overrides)} overrides; 10 at most", "remove some")
    listed = [value for value in items(resources.get("instanceTypes")) if isinstance(value, str)]
    sure = len(listed) == len(items(resources.get("instanceTypes"))) and not set(listed) & set(BUNDLES)
    targets: list[tuple[Path, Any]] = []
    for index, item in entries(overrides):
        here: Path = (*path, "overrides", index)
        yield from _check_choice(item, here, needed=True)
        if not is_given(item.get("targetInstanceTypes")):
            hint = "the instance types this template is for"
            yield Finding(here, "targetInstanceTypes is missing", hint, code=codes.MISSING_FIELD)
        for number, value in enumerate(items(item.get("targetInstanceTypes"))):
            place: Path = (*here, "targetInstanceTypes", number)
            targets.append((place, value))
            if value in BUNDLES:
                yield Finding(place, f'"{value}" cannot be a target', "name families or sizes")
            elif isinstance(value, str):
                wrong = list(_check_instance_type(value, place))
                yield from wrong
                if sure and not wrong and not {value, value.split(".")[0]} & set(listed):
                    yield Finding(place, f'"{value}" is not among instanceTypes', "add it there, or remove it here")
    yield from _check_targets(targets)
    if is_given(template.get("userdataType")) and not is_given(props.get("eksConfiguration")):
        yield Finding((*path, "userdataType"), "userdataType is for EKS environments", "leave it out")


def _check_targets(targets: list[tuple[Path, Any]]) -> Iterator[Finding]:
    """Findings about overlapping targets of overrides: an instance type has one template."""
    for place, value in repeats(targets):
        yield Finding(place, f'"{value}" is the target of two overrides', "keep one")
    families = {value for _, value in targets if isinstance(value, str) and "." not in value}
    for place, value in targets:
        family, dot, _ = (value if isinstance(value, str) else "").partition(".")
        if dot and family in families:
            yield Finding(
                place, f'"{value}" belongs to the family {family}, which is also a target', "keep one of the two"
            )


def _check_choice(template: Json, path: Path, *, needed: bool) -> Iterator[Finding]:
    names = [name for name in ("launchTemplateId", "launchTemplateName") if is_given(template.get(name))]
    if len(names) == 2:
        yield Finding(path, "launchTemplateId cannot be combined with launchTemplateName", "keep one")
    elif not names and needed:
        why = "launchTemplateName or launchTemplateId is missing"
        yield Finding(path, why, "add one of them", code=codes.MISSING_FIELD)
    value = as_text(template.get("launchTemplateName"))
    if value and re.fullmatch(r"lt-[0-9a-f]+", value):
        why = f'"{value}" looks like the id of a launch template'
        yield Finding((*path, "launchTemplateName"), why, f"write launchTemplateId: {value}")
    version = as_text(template.get("version"))
    if version and not re.fullmatch(r"\d+|\$Default|\$Latest", version):
        hint = 'it must be a number in quotes ("3"), $Default or $Latest'
        yield Finding((*path, "version"), f'"{version}" is not a version of a launch template', hint)


def _check_fargate(props: Json, resources: Json) -> Iterator[Finding]:
    yield from _missing(resources, *NEEDED_ON_FARGATE)
    kind = resources.get("type")
    for member in NOT_ON_FARGATE:
        if resources.get(member) not in (None, [], {}):
            hint = f"leave {member} out; a {kind} environment takes maxvCpus, subnets and securityGroupIds"
            yield Finding((_HERE, member), f"{member} does not apply to {kind}", hint, code=codes.NOT_APPLICABLE)
    if is_given(props.get("updatePolicy")):
        why = "updatePolicy is ignored by AWS on Fargate"
        yield Finding(("updatePolicy",), why, "leave it out", code=codes.NOT_APPLICABLE, warning=True)
    groups, subnets = items(resources.get("securityGroupIds")), items(resources.get("subnets"))
    if not is_given(resources.get("securityGroupIds")):
        hint = "Fargate takes one to five: names of declared security groups, or ids"
        yield Finding((_HERE,), "computeResources.securityGroupIds is missing", hint, code=codes.MISSING_FIELD)
    if len(groups) > 5:
        yield Finding(
            (_HERE, "securityGroupIds", 5), f"{len(groups)} security groups; Fargate takes at most 5", "remove some"
        )
    if len(subnets) > 16:
        yield Finding((_HERE, "subnets", 16), f"{len(subnets)} subnets; Fargate takes at most 16", "remove some")
    if is_given(props.get("eksConfiguration")):
        hint = "use computeResources.type: EC2 or SPOT"
        yield Finding(("eksConfiguration",), "Batch on EKS does not run on Fargate", hint)


def _check_vcpus(resources: Json) -> Iterator[Finding]:
    most, least = as_int(resources.get("maxvCpus")), as_int(resources.get("minvCpus"))
    wanted = as_int(resources.get("desiredvCpus"))
    if most is not None and least is not None and least > most:
        yield Finding((_HERE, "minvCpus"), f"minvCpus {least} is above maxvCpus {most}", "raise maxvCpus or lower this")
    elif wanted is not None and (wanted < (least or 0) or (most is not None and wanted > most)):
        why = f"desiredvCpus {wanted} is not between minvCpus {least or 0} and maxvCpus {most}"
        yield Finding((_HERE, "desiredvCpus"), why, "leave it out: AWS Batch changes it as needed")
    if most == 0:
        why = "with maxvCpus 0 no job ever runs here"
        yield Finding((_HERE, "maxvCpus"), why, "raise it; to pause the environment, state: DISABLED", warning=True)
    for member, number in (("maxvCpus", most), ("minvCpus", least)):
        if number is not None and number < 0:
            yield Finding((_HERE, member), f"{member} {number} is negative", "use 0 or more")


def _check_network(resources: Json) -> Iterator[Finding]:
    for index, value in enumerate(items(resources.get("subnets"))):
        if isinstance(value, str) and not _SUBNET.fullmatch(value):
            hint = 'give ids, or look them up: subnets: "${lookups.subnets}"'
            yield Finding((_HERE, "subnets", index), f'"{value}" is not the id of a subnet', hint)
    for index, value in enumerate(items(resources.get("securityGroupIds"))):
        if isinstance(value, str) and (
            _OTHER_ID.fullmatch(value) or (value.startswith("sg-") and not _GROUP.fullmatch(value))
        ):
            hint = "give the name of a declared security group, or an id like sg-0123456789abcdef0"
            yield Finding((_HERE, "securityGroupIds", index), f'"{value}" is not the id of a security group', hint)
    for member in ("subnets", "securityGroupIds", "instanceTypes"):
        value = as_text(resources.get(member))
        if value:
            yield Finding((_HERE, member), f"{member} is a list", f"write [{value}]", code=codes.WRONG_TYPE)
        places: list[tuple[Path, Any]] = [
            ((_HERE, member, n), one) for n, one in enumerate(items(resources.get(member)))
        ]
        for place, repeated in repeats(places):
            yield Finding(place, f'duplicate entry "{repeated}"', "remove one", code=codes.DUPLICATE, warning=True)
    yield from tags.findings(resources.get("tags"), (_HERE, "tags"))


def _check_roles(props: Json) -> Iterator[Finding]:
    profile = as_text(at(props, _HERE, "instanceRole")) or ""
    if ":role/" in profile:
        hint = f"give the instance profile that contains the role, often of the same name: {bare(profile)}"
        why = "instanceRole takes an instance profile, and this is the ARN of a role"
        yield Finding((_HERE, "instanceRole"), why, hint)
    fleet = as_text(at(props, _HERE, "spotIamFleetRole")) or ""
    service = as_text(props.get("serviceRole")) or ""
    for path, value in ((("serviceRole",), service), ((_HERE, "spotIamFleetRole"), fleet)):
        if ":instance-profile/" in value:
            why = f"{path[-1]} takes a role, and this is the ARN of an instance profile"
            yield Finding(path, why, "give the name or ARN of a role")
    custom = service and effects.SERVICE_LINKED not in service and service != "AWSServiceRoleForBatch"
    if custom and effects.family(props) == effects.INSTANCES and ":instance-profile/" not in service:
        why = (
            "serviceRole is a custom role: later changes of instance types, subnets, security groups or image"
            " will replace this compute environment"
        )
        hint = "leave serviceRole out to use AWSServiceRoleForBatch, which allows updates in place"
        yield Finding(("serviceRole",), why, hint, code=codes.NO_UPDATES_IN_PLACE, warning=True)


def _check_eks(props: Json) -> Iterator[Finding]:
    eks = mapping(props.get("eksConfiguration"))
    if not eks:
        return
    for member in ("eksClusterArn", "kubernetesNamespace"):
        if not is_given(eks.get(member)):
            hint = "eksConfiguration: {eksClusterArn: ..., kubernetesNamespace: ...}"
            yield Finding(
                ("eksConfiguration",), f"eksConfiguration.{member} is missing", hint, code=codes.MISSING_FIELD
            )
    cluster, namespace = as_text(eks.get("eksClusterArn")), as_text(eks.get("kubernetesNamespace"))
    if cluster and ":cluster/" not in cluster:
        hint = "it looks like arn:aws:eks:REGION:ACCOUNT:cluster/NAME"
        yield Finding(("eksConfiguration", "eksClusterArn"), f'"{cluster}" is not the ARN of an EKS cluster', hint)
    path = ("eksConfiguration", "kubernetesNamespace")
    if namespace and (len(namespace) > 63 or not _NAMESPACE.fullmatch(namespace)):
        hint = "at most 63 lower-case letters, digits and -, not at the ends"
        yield Finding(path, f'"{namespace}" is not a Kubernetes namespace', hint)
    elif namespace == "default" or (namespace or "").startswith("kube-"):
        yield Finding(path, f'the namespace "{namespace}" is reserved', "create a separate namespace for AWS Batch")
