"""What EC2 refuses in a declared launch template, or Batch ignores, as far as this can be decided offline.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RequestLaunchTemplateData.html
https://docs.aws.amazon.com/batch/latest/userguide/launch-templates.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.common.declared import as_int, as_text, at, entries, is_given, items, mapping, repeats
from reconciler.kinds.ec2.launch_template import user_data
from reconciler.kinds.ec2.launch_template.data_fields import DATA
from reconciler.model import Finding, Json, Path
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.secrets_in_text import secrets_in
from reconciler.model.stand_ins import known
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import tags

NAME = regex(r"[a-zA-Z0-9().\-/_]{3,128}")
IMAGE = regex(r"ami-[0-9a-f]+|resolve:ssm:\S+")
TAGGED = ("instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu")
MAX_DESCRIPTION = 255
# sizes in GiB and IOPS by volume type
SIZES = {
    "gp2": (1, 16384),
    "gp3": (1, 65536),
    "io1": (4, 16384),
    "io2": (4, 65536),
    "st1": (125, 16384),
    "sc1": (125, 16384),
    "standard": (1, 1024),
}
IOPS = {"gp3": (3000, 80000), "io1": (100, 64000), "io2": (100, 256000)}
THROUGHPUT = (125, 2000)
HOPS = (1, 64)
# members of which only one may be given, with the path of their parent
EXCLUSIVE = (
    ((), ("instanceType", "instanceRequirements")),
    (("iamInstanceProfile",), ("arn", "name")),
    (("placement",), ("groupName", "groupId")),
    (("placement",), ("hostId", "hostResourceGroupArn")),
    (("placement",), ("availabilityZone", "availabilityZoneId")),
    (("instanceRequirements",), ("allowedInstanceTypes", "excludedInstanceTypes")),
    (
        ("instanceRequirements",),
        ("spotMaxPricePercentageOverLowestPrice", "maxSpotPriceAsPercentageOfOptimalOnDemandPrice"),
    ),
    (
        ("capacityReservationSpecification", "capacityReservationTarget"),
        ("capacityReservationId", "capacityReservationResourceGroupArn"),
    ),
)


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about name, description and data; an expression is accepted wherever its value is unknown."""
    if not NAME.fullmatch(name):
        yield Finding((), f'"{name}" is not a valid launch template name', "3 to 128 letters, digits, ( ) . - / _")
    described = as_text(props.get("versionDescription"))
    if described is not None and len(described) > MAX_DESCRIPTION:
        message = f"the description has {len(described)} characters, and the maximum is {MAX_DESCRIPTION}"
        yield Finding(("versionDescription",), message, "shorten it")
    data = props.get(DATA)
    if not is_given(data):
        hint = "for example launchTemplateData: {blockDeviceMappings: ...}"
        yield Finding((), "launchTemplateData is missing", hint, code=codes.MISSING_FIELD)
    if not isinstance(data, Mapping):
        return
    for finding in _data(data):
        yield Finding((DATA, *finding.path), finding.message, finding.hint, finding.code, finding.warning)


def _data(data: Json) -> Iterator[Finding]:
    yield from _exclusive(data)
    image = as_text(data.get("imageId"))
    if image and not IMAGE.fullmatch(image):
        hint = "ami-0abc12, a look-up such as ${lookups.ami}, or resolve:ssm:/path/of/a/parameter"
        yield Finding(("imageId",), f'"{image}" is not the id of an image', hint)
    yield from _user_data(data.get("userData"))
    yield from _devices(data)
    yield from _interfaces(data)
    yield from _tags(data)
    yield from _options(data)


def _exclusive(data: Json) -> Iterator[Finding]:
    for path, members in EXCLUSIVE:
        holder = at(data, *path) if path else data
        given = [member for member in members if is_given(mapping(holder).get(member))]
        if len(given) > 1:
            yield Finding((*path, given[1]), f"{given[0]} and {given[1]} cannot be combined", "remove one of the two")


def _user_data(value: Any) -> Iterator[Finding]:
    script, path = as_text(value), ("userData",)
    if not script:
        return
    yield from _secrets(script, path)
    size = user_data.size(script)
    if size > user_data.MAX_SIZE:
        hint = "fetch the rest from S3 when the instance starts, or give it compressed: gzip, then base64"
        yield Finding(
            path, f"the user data has {size} bytes, and the maximum is {user_data.MAX_SIZE}", hint, codes.OUT_OF_RANGE
        )
    elif not user_data.is_multipart(script):
        hint = 'begin with MIME-Version: 1.0 and Content-Type: multipart/mixed; boundary="//", one part for each script'
        message = "AWS Batch uses user data only in the MIME multi-part format, and adds its own parts"
        yield Finding(path, message, hint, warning=True)


def _secrets(script: str, path: Path) -> Iterator[Finding]:
    text = str(user_data.decode(script))
    for secret in sorted(secrets_in(text), key=text.index)[:1]:
        line = text.count("\n", 0, text.index(secret)) + 1
        why = f"line {line} of the user data has what looks like a secret, in plain text"
        hint = "let the instance read it from Secrets Manager, or from Parameter Store, when it starts"
        yield Finding(path, why, hint, code=codes.CLEAR_TEXT_SECRET, warning=True)


# --- storage ---------------------------------------------------------------------------------------------------------


def _devices(data: Json) -> Iterator[Finding]:
    named: list[tuple[Path, Any]] = []
    for index, device in entries(data.get("blockDeviceMappings")):
        path: Path = ("blockDeviceMappings", index)
        named.append(((*path, "deviceName"), device.get("deviceName")))
        if not is_given(device.get("deviceName")):
            hint = "deviceName: /dev/xvda is the root device of Amazon Linux"
            yield Finding(path, "deviceName is missing", hint, code=codes.MISSING_FIELD)
        given = [
            member for member in ("ebs", "virtualName", "noDevice") if member in device and device[member] is not None
        ]
        if len(given) > 1:
            yield Finding((*path, given[1]), f"{given[0]} and {given[1]} cannot be combined", "remove one of the two")
        if isinstance(device.get("ebs"), Mapping):
            yield from _volume(device["ebs"], (*path, "ebs"))
    for path, name in repeats(named):
        yield Finding(path, f"duplicate device {name}", "remove one of them", code=codes.DUPLICATE)


def _volume(volume: Json, path: Path) -> Iterator[Finding]:
    kind = as_text(volume.get("volumeType"))
    size, iops, throughput = (as_int(volume.get(member)) for member in ("volumeSize", "iops", "throughput"))
    if not kind:
        # EC2 uses gp2 by default; the limits then depend on the image's own mapping
        yield from _between((*path, "throughput"), throughput, THROUGHPUT, "MiB/s of throughput")
        return
    if kind in SIZES:
        yield from _between((*path, "volumeSize"), size, SIZES[kind], f"GiB for a volume of type {kind}")
    if kind in IOPS:
        yield from _between((*path, "iops"), iops, IOPS[kind], f"IOPS for a volume of type {kind}")
    elif kind in SIZES and is_given(volume.get("iops")):
        yield Finding((*path, "iops"), f"a volume of type {kind} cannot have iops", f"only {', '.join(IOPS)} can")
    if kind in ("io1", "io2") and not is_given(volume.get("iops")):
        yield Finding(path, f"a volume of type {kind} needs iops", "iops: 3000", code=codes.MISSING_FIELD)
    if kind == "gp3":
        yield from _between((*path, "throughput"), throughput, THROUGHPUT, "MiB/s of throughput")
    elif kind in SIZES and is_given(volume.get("throughput")):
        yield Finding((*path, "throughput"), f"a volume of type {kind} cannot have throughput", "only gp3 can")
    if is_given(volume.get("kmsKeyId")) and volume.get("encrypted") in (None, False):
        yield Finding((*path, "kmsKeyId"), "a KMS key is only valid with encrypted: true", "add encrypted: true")
    if is_given(volume.get("volumeInitializationRate")) and not is_given(volume.get("snapshotId")):
        hint = "remove it, or add a snapshotId"
        yield Finding((*path, "volumeInitializationRate"), "only volumes created from a snapshot are initialised", hint)


def _between(path: Path, value: int | None, bounds: tuple[int, int], what: str) -> Iterator[Finding]:
    minimum, maximum = bounds
    if value is not None and not minimum <= value <= maximum:
        yield Finding(path, f"{value} {what} is out of range", f"{minimum} to {maximum}", code=codes.OUT_OF_RANGE)


# --- network ---------------------------------------------------------------------------------------------------------


def _interfaces(data: Json) -> Iterator[Finding]:
    interfaces = list(entries(data.get("networkInterfaces")))
    if not interfaces:
        return
    for member in ("securityGroupIds", "securityGroups"):
        if is_given(data.get(member)):
            message = f"{member} cannot be combined with networkInterfaces"
            yield Finding((member,), message, "move them to networkInterfaces[].groups")
    indexes: list[tuple[Path, Any]] = []
    for index, interface in interfaces:
        path: Path = ("networkInterfaces", index)
        device, card = interface.get("deviceIndex"), interface.get("networkCardIndex") or 0
        if device is None:
            yield Finding(path, "deviceIndex is missing", "deviceIndex: 0 for the first", code=codes.MISSING_FIELD)
        elif as_int(device) is not None and as_int(card) is not None:
            indexes.append(((*path, "deviceIndex"), f"{device} of network card {card}"))
        primary = any(item.get("primary") is True for _, item in entries(interface.get("privateIpAddresses")))
        if primary and is_given(interface.get("privateIpAddress")):
            message = "privateIpAddress names the primary address, and so does an item of privateIpAddresses"
            yield Finding((*path, "privateIpAddress"), message, "remove it")
        if is_given(interface.get("ipv6AddressCount")) and is_given(interface.get("ipv6Addresses")):
            message = "ipv6AddressCount and ipv6Addresses cannot be combined"
            yield Finding((*path, "ipv6Addresses"), message, "remove one of the two")
    for path, which in repeats(indexes):
        yield Finding(path, f"duplicate device index {which}", "every interface needs its own", code=codes.DUPLICATE)


# --- the rest --------------------------------------------------------------------------------------------------------


def _tags(data: Json) -> Iterator[Finding]:
    named: list[tuple[Path, Any]] = []
    for index, item in entries(data.get("tagSpecifications")):
        path: Path = ("tagSpecifications", index)
        kind = as_text(item.get("resourceType"))
        named.append(((*path, "resourceType"), kind))
        if kind and kind not in TAGGED:
            hint = (
                f"one of {', '.join(TAGGED[:-1])}; declare the template's own tags in tags, next to launchTemplateData"
            )
            yield Finding((*path, "resourceType"), f'a launch template cannot tag "{kind}"', hint)
        if not isinstance(item.get("tags"), Mapping) and known(item.get("tags")):
            hint = "tags: {Name: batch}"
            yield Finding((*path, "tags"), "tags must be a mapping of names to values", hint, code=codes.WRONG_TYPE)
        yield from tags.findings(item.get("tags"), (*path, "tags"))
    for path, kind in repeats(named):
        yield Finding(path, f"duplicate tags for {kind}", "put all its tags in one item", code=codes.DUPLICATE)


def _options(data: Json) -> Iterator[Finding]:
    hops = as_int(at(data, "metadataOptions", "httpPutResponseHopLimit"))
    yield from _between(("metadataOptions", "httpPutResponseHopLimit"), hops, HOPS, "hops")
    credit = as_text(at(data, "creditSpecification", "cpuCredits"))
    if credit and credit not in ("standard", "unlimited"):
        hint = "standard or unlimited"
        yield Finding(("creditSpecification", "cpuCredits"), f'"{credit}" is not a credit option', hint)
    cpu = mapping(data.get("cpuOptions"))
    for one, other in (("coreCount", "threadsPerCore"), ("threadsPerCore", "coreCount")):
        if is_given(cpu.get(one)) and not is_given(cpu.get(other)):
            yield Finding(("cpuOptions", one), f"{one} is only valid with {other}", f"add {other}")
    requirements = mapping(data.get("instanceRequirements"))
    for member in ("vCpuCount", "memoryMiB"):
        if requirements and not is_given(requirements.get(member)):
            hint = f"{member}: {{min: 1}}"
            yield Finding(
                ("instanceRequirements",), f"instanceRequirements need {member}", hint, code=codes.MISSING_FIELD
            )
    for index, _ in enumerate(items(data.get("elasticInferenceAccelerators"))):
        path = ("elasticInferenceAccelerators", index)
        yield Finding(path, "Amazon Elastic Inference is no longer available", "remove it", warning=True)
