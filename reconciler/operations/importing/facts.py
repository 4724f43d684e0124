"""Look-ups in the place of ids of what is not imported: networks, their groups, and images.

A look-up is written only where it gives exactly what is live now: the default VPC or one with a name, all subnets of a
VPC or those with a tag, a group by its name, the image of a public parameter. Everything else is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Final

from reconciler.account.reader import Reader
from reconciler.model import Call, Json, Kind, Path, Refused
from reconciler.model.lookups import LOOKUP_KINDS
from reconciler.model.paths import values_at
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass

_ARCHITECTURES: Final = ("", "/arm64", "/gpu", "/inf", "/neuron")
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/retrieve-ecs-optimized_AMI.html
PARAMETERS: Final = tuple(
    f"/aws/service/ecs/optimized-ami/{system}{kind}/recommended/image_id"
    for system, kinds in (("amazon-linux-2023", _ARCHITECTURES), ("amazon-linux-2", (*_ARCHITECTURES, "/kernel-5.10")))
    for kind in kinds
)
_WILDCARD: Final = regex(r"[*?\\]|\$\{")
_PLAIN: Final = regex(r"[^A-Za-z0-9]+")
NEWEST: Final = "the image that AWS recommends; a plan changes it when AWS recommends another"
#: The IAM actions of what finds them.
PARAMETERS_READ: Final = "ssm:GetParameters"
LOOK_UPS: Final = (
    *("ec2:DescribeVpcs", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups"),
    *("elasticfilesystem:DescribeFileSystems", "kms:ListAliases"),
)
_MOST_PARAMETERS: Final = 10  # in a call of GetParameters


@dataclass(slots=True)
class Facts:
    """The look-ups that imported resources use, with their values.

    ``known`` are look-ups that the environment has: one that says the same is used instead of another.
    """

    reader: Reader
    kinds: Mapping[str, Kind]
    known: Mapping[str, Any] = field(default_factory=dict)
    lookups: dict[str, Json] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    _lists: dict[str, Sequence[Json]] = field(default_factory=dict)

    def found(self, section: str, props: Json, known: Collection[Path]) -> Iterator[tuple[Path, str, str]]:
        """(path, expression, comment) for values of ``props``; either may be empty.

        ``known`` are the paths of values that need no look-up.
        """
        for pattern, name in self.kinds[section].lookups.items():
            many = LOOKUP_KINDS[name].many
            for path, value in values_at(props, pattern.removesuffix("[]") if many else pattern):
                if any(one[: len(path)] == path for one in known):
                    continue
                if many and isinstance(value, list) and value and all(isinstance(one, str) for one in value):
                    found = self.subnets(value)
                    yield path, found, "" if found else "no look-up finds exactly these: neither a VPC nor a tag"
                elif not many and isinstance(value, str) and (found := self._one(name, value)):
                    yield path, found, NEWEST if name == "image" else ""

    def _one(self, name: str, value: str) -> str:
        if name == "vpc":
            return self.vpc(value)
        if name == "securityGroup":
            return self.group(value)
        if name == "fileSystem":
            return self.file_system(value)
        if name == "kmsKey":
            return self.key(value)
        return self.image(value) if name == "image" and value.startswith("ami-") else ""

    # --- each kind of look-up ----------------------------------------------------------------------------------------

    def vpc(self, vpc_id: str) -> str:
        """The look-up of a VPC; empty if only its id says which it is."""
        every = self._list("DescribeVpcs", "Vpcs")
        one = next((vpc for vpc in every if vpc["VpcId"] == vpc_id), None)
        if one is None:
            return ""
        if one.get("IsDefault"):
            return self._add("vpc", {"vpc": {"default": True}}, vpc_id)
        name = _tags(one).get("Name")
        alone = name and sum(_tags(vpc).get("Name") == name for vpc in every) == 1
        return self._add(f"vpc-{name}", {"vpc": {"tags": {"Name": name}}}, vpc_id) if alone else ""

    def subnets(self, ids: Sequence[str]) -> str:
        """The look-up of these subnets; empty if there is none that finds exactly them."""
        every = self._list("DescribeSubnets", "Subnets")
        listed = [one for one in every if one.get("State", "available") == "available"]
        mine = [one for one in listed if one["SubnetId"] in ids]
        vpcs = {one["VpcId"] for one in mine}
        if len(mine) != len(set(ids)) or len(vpcs) != 1:
            return ""
        vpc_id = vpcs.pop()
        beside = [one for one in listed if one["VpcId"] == vpc_id]
        where = self.vpc(vpc_id) or vpc_id
        start = "subnets" if where == "${lookups.vpc}" else f"{where.removeprefix('${lookups.').rstrip('}')}-subnets"
        if len(beside) == len(mine):
            return self._add(start, {"subnets": {"vpcId": where}}, sorted(ids))
        for name, text in sorted(_tags(mine[0]).items()):
            if {one["SubnetId"] for one in beside if _tags(one).get(name) == text} == set(ids):
                args = {"vpcId": where, "tags": {name: text}}
                return self._add(f"{text}-subnets", {"subnets": args}, sorted(ids))
        if {one["SubnetId"] for one in beside if one.get("DefaultForAz")} == set(ids):
            return self._add(f"default-{start}", {"subnets": {"vpcId": where, "defaultForAz": True}}, sorted(ids))
        return ""

    def group(self, group_id: str) -> str:
        """The look-up of a security group that is not imported, by its name and its VPC."""
        if not group_id.startswith("sg-"):
            return ""
        every = self._list("DescribeSecurityGroups", "SecurityGroups")
        one = next((group for group in every if group["GroupId"] == group_id), None)
        if one is None or not one.get("VpcId"):
            return ""
        where = self.vpc(one["VpcId"]) or one["VpcId"]
        name = str(one["GroupName"])
        below = "" if where == "${lookups.vpc}" else f"{where.removeprefix('${lookups.').rstrip('}')}-"
        return self._add(f"{below}{name}-group", {"securityGroup": {"groupName": name, "vpcId": where}}, group_id)

    def file_system(self, file_system_id: str) -> str:
        """The look-up of a file system whose name no other has."""
        every = self._list("DescribeFileSystems", "FileSystems", "efs")
        one = next((item for item in every if item.get("FileSystemId") == file_system_id), None)
        name = _tags(one).get("Name") if one else None
        alone = name and sum(_tags(item).get("Name") == name for item in every) == 1
        return self._add(f"{name}-files", {"fileSystem": {"tags": {"Name": name}}}, file_system_id) if alone else ""

    def key(self, arn: str) -> str:
        """The look-up of a key that has an alias of the account's own."""
        if ":key/" not in arn:
            return ""
        (reply,) = self.reader.ask([Call("kms", "ListAliases", {"KeyId": arn}, all_pages=True)])
        aliases = () if isinstance(reply, Refused) else reply.get("Aliases", ())
        named = sorted(str(one["AliasName"]) for one in aliases if not str(one["AliasName"]).startswith("alias/aws/"))
        return self._add(f"{named[0].rpartition('/')[2]}-key", {"kmsKey": named[0]}, arn) if named else ""

    def named(self, kind: str, name: str, arn: str) -> str:
        """The look-up of what is found by its name."""
        return self._add(name, {kind: name}, arn)

    def image(self, image_id: str) -> str:
        """The look-up of an image, if it is the one that AWS recommends now."""
        if "parameters" not in self._lists:
            runs = [PARAMETERS[at : at + _MOST_PARAMETERS] for at in range(0, len(PARAMETERS), _MOST_PARAMETERS)]
            replies = self.reader.ask([Call("ssm", "GetParameters", {"Names": list(some)}) for some in runs])
            self._lists["parameters"] = [
                one for reply in replies if not isinstance(reply, Refused) for one in reply.get("Parameters", ())
            ]
        for one in self._lists["parameters"]:
            if one.get("Value") == image_id:
                parts = str(one["Name"]).split("/")[5:-2]
                return self._add("-".join((*parts, "ami")), {"ssmParameter": one["Name"]}, image_id)
        return ""

    # --- what they are made of ---------------------------------------------------------------------------------------

    def _list(self, operation: str, items: str, service: str = "ec2") -> Sequence[Json]:
        """All there is of something; nothing where that is refused: then ids are kept."""
        if operation not in self._lists:
            (reply,) = self.reader.ask([Call(service, operation, {}, all_pages=True)])
            self._lists[operation] = () if isinstance(reply, Refused) else reply.get(items, ())
        return self._lists[operation]

    def _add(self, name: str, lookup: Json, value: Any) -> str:
        for other, same in (*self.known.items(), *self.lookups.items()):
            if same == lookup:
                self.values[other] = value
                if other in self.known:
                    self.lookups.setdefault(other, lookup)
                return f"${{lookups.{other}}}"
        plain = _PLAIN.sub("-", name).strip("-").lower() or "found"
        plain = plain if plain[0].isalpha() else f"found-{plain}"
        taken = {*self.known, *self.lookups}
        free = next(one for one in (plain, *(f"{plain}-{number}" for number in range(2, 10_000))) if one not in taken)
        self.lookups[free], self.values[free] = lookup, value
        return f"${{lookups.{free}}}"


def _tags(item: Json) -> dict[str, str]:
    """The tags that a filter can have: those of AWS are another tool's, and wildcards would match others."""
    pairs = ((str(tag["Key"]), str(tag.get("Value", ""))) for tag in item.get("Tags", ()))
    return {
        name: text for name, text in pairs if not (name.lower().startswith("aws:") or _WILDCARD.search(name + text))
    }
