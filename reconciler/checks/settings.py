"""Checks of an environment's settings beyond the schema: Regions that do not exist, accounts that do not match,
look-ups that cannot find anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from reconciler.checks import ignored_rules
from reconciler.config.loader import LoadedEnvironment
from reconciler.model import Lookup, Path, Pos
from reconciler.model import problem_codes as codes
from reconciler.model.lookups import given_filters
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, did_you_mean

# Only for misspellings: AWS adds Regions. https://docs.aws.amazon.com/global-infrastructure/latest/regions/
REGIONS = (
    *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1"),
    *("ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5"),
    *("ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1"),
    *("eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("eusc-de-east-1", "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1"),
    *("us-east-2", "us-gov-east-1", "us-gov-west-1", "us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-west-1"),
    "us-west-2",
)
_IDS = {
    "vpcId": regex(r"vpc-[0-9a-f]+"),
    "subnetIds": regex(r"subnet-[0-9a-f]+"),
    "groupId": regex(r"sg-[0-9a-f]+"),
    "imageId": regex(r"ami-[0-9a-f]+"),
    "fileSystemId": regex(r"fs-[0-9a-f]+"),
}
# What names a key: https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
_KEY = regex(r"arn:.+|alias/.+|(mrk-)?[0-9a-f]{8}-?[0-9a-f-]{4,}")
_IMAGE_PARAMETER = r"/aws/service/ecs/optimized-ami/.+/recommended"
_REGISTRY = regex(r"(?:[^/]+\.[^/]+/)?(?P<name>[^:@]+?)(?::(?P<tag>[^:@]+))?(?:@.+)?")

# Names of parameters and images that resolve to Amazon Linux 2, with the day on which AWS ends its support.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-optimized_AMI.html
# https://docs.aws.amazon.com/eks/latest/userguide/eks-ami-deprecation-faqs.html
_AMAZON_LINUX_2 = (
    (regex(r"/aws/service/ecs/optimized-ami/amazon-linux-2/"), "30 June 2026"),
    (regex(r"(/aws/service/ami-amazon-linux-latest/)?amzn2-"), "30 June 2026"),
    (regex(r"/aws/service/eks/optimized-ami/[^/]+/amazon-linux-2(-gpu|-arm64)?/"), "26 November 2025"),
    (regex(r"amazon-eks-(gpu-|arm64-)?node-\d"), "26 November 2025"),
)


def problems(loaded: LoadedEnvironment) -> Iterator[Problem]:
    """The problems of settings that the schema allows."""
    yield from _region(loaded)
    yield from _role(loaded)
    yield from _ignored(loaded)
    for finding in ignored_rules.misuses(loaded.ignore_rules, (ignored_rules.RULES,)):
        yield _problem(finding.code, finding.message, finding.hint, _at(loaded, *finding.path), finding.path)
    for lookup in loaded.lookups.values():
        yield from _lookup(lookup)


def _problem(
    code: codes.ProblemCode, message: str, hint: str, pos: Pos | None, path: Path, *, warning: bool = False
) -> Problem:
    dotted = ".".join(map(str, path))
    return Problem(code=code, message=message, hint=hint, pos=pos, path=dotted, warning=warning)


def _region(loaded: LoadedEnvironment) -> Iterator[Problem]:
    if loaded.region and loaded.region not in REGIONS and (near := did_you_mean(loaded.region, REGIONS)):
        message = f'unknown Region "{loaded.region}"'
        yield _problem(codes.INVALID_VALUE, message, near, _at(loaded, "region"), ("region",), warning=True)


def _role(loaded: LoadedEnvironment) -> Iterator[Problem]:
    role = loaded.settings.get("roleArn")
    owner = role.split(":")[4] if isinstance(role, str) and role.count(":") >= 5 else ""
    if owner and loaded.account and owner != loaded.account:
        message = f"the role belongs to account {owner}, but the environment is for {loaded.account}"
        hint = "an assumed role acts in its own account; correct roleArn or account"
        yield _problem(codes.INVALID_VALUE, message, hint, _at(loaded, "roleArn"), ("roleArn",))
    for name in ("externalId", "sessionName"):
        if name in loaded.settings and role is None:
            message = f"{name} is only valid with roleArn, which is missing"
            yield _problem(codes.MISSING_FIELD, message, "add roleArn, or remove this", _at(loaded, name), (name,))


def _ignored(loaded: LoadedEnvironment) -> Iterator[Problem]:
    for tag in loaded.tags:
        pattern = next((one for one in loaded.ignore_tags if fnmatchcase(tag, one)), None)
        if pattern is not None:
            message = f'the tag "{tag}" is set on every resource, and ignored by "{pattern}" in ignoreTags'
            hint = "remove one of the two: ignored tags are never compared"
            yield _problem(codes.IGNORED_TAG, message, hint, _at(loaded, "tags", tag), ("tags", tag), warning=True)


def _at(loaded: LoadedEnvironment, *path: str | int) -> Pos | None:
    return loaded.settings_pos.get(path)


def _old_image(lookup: Lookup) -> Iterator[Problem]:
    """A warning for a look-up of images whose support ends or has ended."""
    args = lookup.args
    named = args.get("name") if isinstance(args, Mapping) else args
    for name in named if isinstance(named, list) else [named]:
        day = next((day for form, day in _AMAZON_LINUX_2 if isinstance(name, str) and form.match(name)), None)
        if day:
            message = f"{name} resolves to Amazon Linux 2 images, which AWS supports only until {day}"
            hint = "look up an Amazon Linux 2023 image"
            yield _problem(codes.END_OF_SUPPORT, message, hint, lookup.pos, ("lookups", lookup.name), warning=True)


def _lookup(lookup: Lookup) -> Iterator[Problem]:
    address: Path = ("lookups", lookup.name)
    if lookup.kind in ("ssmParameter", "image"):
        yield from _old_image(lookup)
    if isinstance(lookup.args, Mapping):
        for member, form in _IDS.items():
            yield from _ids(lookup, member, form, lookup.args.get(member))
        yield from _filters(lookup)
        if lookup.kind == "repositoryImage":
            yield from _repository(lookup)
    elif isinstance(lookup.args, str):
        for message, hint in _name(lookup.kind, lookup.args):
            yield _problem(codes.INVALID_VALUE, message, hint, lookup.pos, (*address, lookup.kind))
        if lookup.kind == "ssmParameter" and re.fullmatch(_IMAGE_PARAMETER, lookup.args):
            message = f"the value of {lookup.args} is a JSON text about an image, not its id"
            hint = f"for the id write {lookup.args}/image_id"
            yield _problem(codes.MISFIT, message, hint, lookup.pos, (*address, lookup.kind), warning=True)


def _name(kind: str, name: str) -> Iterator[tuple[str, str]]:
    """Message and hint for a name that nothing of this kind can have."""
    check = _NAME_CHECKS.get(kind)
    return check(name) if check else iter(())


def _parameter_name(name: str) -> Iterator[tuple[str, str]]:
    if "/" in name and not name.startswith(("/", "arn:")):
        message = f'"{name}" is not the name of an SSM parameter: a name with a slash in it must begin with one'
        yield message, f"did you mean /{name}?"


def _key_name(name: str) -> Iterator[tuple[str, str]]:
    if not _KEY.fullmatch(name):
        yield f'"{name}" is not an alias, an id or an ARN of a KMS key', f"did you mean alias/{name.strip('/')}?"


def _role_name(name: str) -> Iterator[tuple[str, str]]:
    if not re.fullmatch(r"[\w+=,.@-]{1,64}", name, re.ASCII):
        last = re.split("[/:]", name.rstrip("/:"))[-1]
        yield f'"{name}" is not the name of a role', f"the name is the last part: did you mean {last}?"


_NAME_CHECKS = {"ssmParameter": _parameter_name, "kmsKey": _key_name, "role": _role_name}


def _repository(lookup: Lookup) -> Iterator[Problem]:
    """A repository that is written with its registry or tag, as ``docker pull`` takes them."""
    name = lookup.args.get("repository")
    parts = _REGISTRY.fullmatch(name) if isinstance(name, str) else None
    if parts and parts["name"] != name:
        message = f'"{name}" is not the name of a repository: it has the registry, tag or digest with it'
        tag = f', tag: "{parts["tag"]}"' if parts["tag"] else ""
        path: Path = ("lookups", lookup.name, lookup.kind, "repository")
        yield _problem(codes.INVALID_VALUE, message, f"write repository: {parts['name']}{tag}", lookup.pos, path)


def _filters(lookup: Lookup) -> Iterator[Problem]:
    """Filters that stand twice, and those of EFS, which has none but tags: they are applied here."""
    path: Path = ("lookups", lookup.name, lookup.kind, "filters")
    names = [name for name, _ in given_filters(lookup.args.get("filters"))]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        hint = "write it once, with all its Values, of which one must match"
        yield _problem(codes.INVALID_VALUE, f'duplicate filter "{name}"', hint, lookup.pos, path)
    for name in names if lookup.kind == "fileSystem" else ():
        if name != "tag-key" and not name.startswith("tag:"):
            hint = f"did you mean tag:{name}? A file system is filtered by tag:KEY and tag-key only"
            yield _problem(codes.INVALID_VALUE, f'there is no filter "{name}"', hint, lookup.pos, path)


def _ids(lookup: Lookup, member: str, form: re.Pattern[str], given: Any) -> Iterator[Problem]:
    for value in given if isinstance(given, list) else [given]:
        if isinstance(value, str) and not form.fullmatch(value):
            message = f'"{value}" is not an id for {member}'
            hint = f"an id looks like {form.pattern.split('-', maxsplit=1)[0]}-0123456789abcdef0"
            if member == "vpcId":
                hint += "; or look it up: ${lookups.NAME} of {vpc: {default: true}}"
            path: Path = ("lookups", lookup.name, lookup.kind, member)
            yield _problem(codes.INVALID_VALUE, message, hint, lookup.pos, path)
