"""Rules of security groups, one by one.

EC2 accepts and returns rules in bundles (``IpPermissions``: one protocol and port range, any number of sources), merges
bundles, and rewrites values: host bits of a CIDR are zeroed, protocol numbers become names, ports of "all protocols"
are dropped. So both sides are split into single rules in EC2's spelling. A description is not part of a rule's
identity.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.kinds.common.declared import items, mapping
from reconciler.model import Json, Later, Path
from reconciler.model.records import dataclass

NAMES = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1", "any": "-1"}
WITH_PORTS = ("tcp", "udp")
WITH_TYPES = ("icmp", "icmpv6")
EVERYONE = {"0.0.0.0/0": "ipv4", "::/0": "ipv6"}

# the member of a bundle that lists the sources of each family, and the member that identifies one
SOURCES = {
    "ipv4": ("ipRanges", "cidrIp"),
    "ipv6": ("ipv6Ranges", "cidrIpv6"),
    "prefix": ("prefixListIds", "prefixListId"),
    "group": ("userIdGroupPairs", "groupId"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. ``low`` and ``high`` are ports, an ICMP type and code, or None if the protocol has neither; ``user`` is
    the account of a source group in another account.
    """

    protocol: str
    low: Any = None
    high: Any = None
    family: str = "ipv4"
    source: Any = ""
    user: str = ""
    description: str = ""

    def __str__(self) -> str:
        """Its identity, in the usual notation: ``tcp 8000-8100 10.0.0.0/8``."""
        what = "all" if self.protocol == "-1" else self.protocol
        ports = () if self.low is None else (f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}",)
        # every stand-in prints as "(known after apply)", so use the address of its group
        source = str(self.source.address) if isinstance(self.source, Later) else str(self.source)
        return " ".join((what, *ports, f"{self.user}/{source}" if self.user else source))

    def permission(self) -> dict[str, Any]:
        """The rule as a bundle of one, in YAML's spelling."""
        bundle, member = SOURCES[self.family]
        source = {member: self.source}
        if self.user:
            source["userId"] = self.user
        if self.description:
            source["description"] = self.description
        ports = {} if self.low is None else {"fromPort": self.low, "toPort": self.high}
        return {"ipProtocol": self.protocol, **ports, bundle: [source]}

    def is_change_of(self, other: Rule) -> bool:
        """Whether one is shown as a change of the other: the same traffic, or the same source."""
        traffic = (self.protocol, self.low, self.high) == (other.protocol, other.low, other.high)
        return traffic or (self.family, self.source) == (other.family, other.source)


def rules(bundles: Any, *, account: str = "", own: Mapping[Any, str] | None = None) -> dict[str, Rule]:
    """The single rules of ``bundles``, by identity, in EC2's spelling.

    ``account`` is left out of a source group that names it; ``own`` maps stand-ins to the ids that are known already.
    """
    found: dict[str, Rule] = {}
    for _, rule in _split(bundles, account, own or {}):
        found.setdefault(str(rule), rule)
    return found


def rules_with_paths(bundles: Any) -> Iterator[tuple[Path, Rule]]:
    """The single rules with the path of each source, duplicates included."""
    return _split(bundles, "", {})


def _split(bundles: Any, account: str, own: Mapping[Any, str]) -> Iterator[tuple[Path, Rule]]:
    for index, bundle in enumerate(items(bundles)):
        bundle = mapping(bundle)  # noqa: PLW2901
        name = protocol(bundle.get("ipProtocol", ""))
        low, high = ports(name, bundle.get("fromPort"), bundle.get("toPort"))
        for family, (member, key) in SOURCES.items():
            for place, source in enumerate(map(mapping, items(bundle.get(member)))):
                value = source.get(key)
                value = own.get(value, value) if isinstance(value, Later) else cidr(value)
                user = source.get("userId") or ""
                rule = Rule(
                    protocol=name,
                    low=low,
                    high=high,
                    family=family,
                    source=value,
                    user="" if user == account else user,
                    description=source.get("description") or "",
                )
                yield (index, member, place, key), rule


def from_api(item: Json, account: str = "") -> Rule:
    """One item of DescribeSecurityGroupRules, in YAML's spelling, as a rule."""
    group = mapping(item.get("referencedGroupInfo"))
    sources = {
        "ipv4": item.get("cidrIpv4"),
        "ipv6": item.get("cidrIpv6"),
        "prefix": item.get("prefixListId"),
        "group": group.get("groupId"),
    }
    family, source = next(((family, value) for family, value in sources.items() if value), ("ipv4", ""))
    name = protocol(item.get("ipProtocol", ""))
    low, high = ports(name, item.get("fromPort"), item.get("toPort"))
    user = str(group.get("userId") or "")
    return Rule(
        protocol=name,
        low=low,
        high=high,
        family=family,
        source=cidr(source),
        user="" if user == account else user,
        description=item.get("description") or "",
    )


def protocol(value: Any) -> str:
    """EC2's name of a protocol: the numbers of four common ones become names, "all" is ``-1``."""
    name = str(value).strip().lower()
    return NAMES.get(name, name)


def ports(name: str, low: Any, high: Any) -> tuple[Any, Any]:
    """The two port members as a protocol uses them; (None, None) if it does not."""
    if name in WITH_PORTS:
        return number(low), number(high)
    if name in WITH_TYPES:
        return (-1 if low is None else number(low)), (-1 if high is None else number(high))
    return None, None


def number(value: Any) -> Any:
    """A whole number written as text, as a number; anything else unchanged."""
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 10 else value


def cidr(value: Any) -> Any:
    """A CIDR as EC2 stores it, host bits zeroed; anything else unchanged."""
    if not isinstance(value, str) or "/" not in value:
        return value
    try:
        return str(ipaddress.ip_network(value.strip(), strict=False))
    except ValueError:
        return value


# --- the short form --------------------------------------------------------------------------------------------------

SHORT = ("protocol", "port", "cidr", "group", "description")


def from_yaml(item: Any) -> Any:
    """A rule in the short form, ``{protocol: tcp, port: 8443, cidr: 10.0.0.0/8}``, as a bundle.

    ``port`` may be a range (``8000-8100``), ``cidr`` and ``group`` lists; ``description`` applies to every source that
    has none. A bundle is returned unchanged, except that a source group may be given by name in place of its id.
    """
    if not isinstance(item, Mapping):
        return item
    bundle: dict[str, Any] = {name: value for name, value in item.items() if name not in SHORT}
    named = item.get("ipProtocol", item.get("protocol"))
    if named is not None:
        bundle["ipProtocol"] = protocol(named) if isinstance(named, str | int) else named
    if item.get("port") is not None:
        bundle["fromPort"], bundle["toPort"] = _range(item["port"], bundle.get("ipProtocol"))
    if "cidr" in item:
        ranges = [("ipv6" if isinstance(one, str) and ":" in one else "ipv4", one) for one in _some(item["cidr"])]
        _add(bundle, ranges)
    if "group" in item:
        _add(bundle, [("group", one) for one in _some(item["group"])])
    if "userIdGroupPairs" in bundle:
        bundle["userIdGroupPairs"] = [_by_id(pair) for pair in items(bundle["userIdGroupPairs"])]
    return _described(bundle, item.get("description"))


def to_yaml(bundle: Json, account: str) -> Json:
    """A bundle of EC2's in the short form, where that can say all of it; else without empty members, and without
    ``account`` in the groups that are its own.
    """
    kept = {name: item for name, item in bundle.items() if item not in (None, [], {})}
    ranges = [member for member in ("ipRanges", "ipv6Ranges") if member in kept]
    name, low, high = kept.get("ipProtocol"), kept.get("fromPort"), kept.get("toPort")
    sources = [mapping(one) for member in ranges for one in items(kept[member])]
    said = {str(one.get("description") or "") for one in sources}
    plain = kept.keys() <= {"ipProtocol", "fromPort", "toPort", *ranges} and len(said) == 1
    if not plain or name not in ("tcp", "udp", "-1") or (low is None) != (name == "-1"):
        pairs = [_by_id(pair, account) for pair in items(kept.get("userIdGroupPairs"))]
        return {**kept, "userIdGroupPairs": pairs} if pairs else kept
    cidrs = [one.get("cidrIp") or one.get("cidrIpv6") for one in sources]
    port = {} if name == "-1" else {"port": low if low == high else f"{low}-{high}"}
    description = {"description": text} if (text := said.pop()) else {}
    return {"protocol": name, **port, "cidr": cidrs[0] if len(cidrs) == 1 else cidrs, **description}


def _range(port: Any, name: Any) -> tuple[Any, Any]:
    if name in WITH_TYPES:
        return number(port), -1
    if isinstance(port, str) and "-" in port.strip().removeprefix("-"):
        low, _, high = port.strip().partition("-")
        return number(low), number(high)
    return number(port), number(port)


def _some(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _add(bundle: dict[str, Any], sources: Iterable[tuple[str, Any]]) -> None:
    for family, value in sources:
        member, key = SOURCES[family]
        bundle[member] = [*items(bundle.get(member)), {key: value}]


def _by_id(pair: Any, account: str = "") -> Any:
    """A source group by one member: its id, or its name in that place; without members that only AWS sets, and without
    ``account``, which is the group's own.
    """
    if not isinstance(pair, Mapping):
        return pair
    kept = {name: value for name, value in pair.items() if name in ("groupId", "userId", "description")}
    if account and kept.get("userId") == account:
        del kept["userId"]
    if "groupId" not in kept and pair.get("groupName"):
        kept["groupId"] = pair["groupName"]
    return kept


def _described(bundle: dict[str, Any], description: Any) -> dict[str, Any]:
    if not description:
        return bundle
    for member, _ in SOURCES.values():
        if isinstance(bundle.get(member), list):
            bundle[member] = [
                {"description": description, **source} if isinstance(source, Mapping) else source
                for source in bundle[member]
            ]
    return bundle
