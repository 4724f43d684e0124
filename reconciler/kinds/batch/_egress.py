"""Whether hosts, tasks and nodes in the subnets of an environment reach what they need: by subnet, then by group."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler.kinds.batch import _network as network
from reconciler.kinds.batch._network import Group, Network, Subnet, Way
from reconciler.model import Json
from reconciler.model.preflight import Fit, Ground
from reconciler.model.records import dataclass

_MOST: Final = 3  # subnets in one sentence
_ADDRESSES: Final = "use subnets that give public addresses, or a NAT gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Whether a launch template gives instances public addresses, None if that is not known; ``as_subnet``: whether
    they get one where the subnet gives some.
    """

    given: bool | None = False
    as_subnet: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Traveller:
    """Who needs a way out. ``noun`` names them; ``public``: whether they get a public address where a subnet gives
    none, None if that is not known; ``asks_subnet``: whether they get one where the subnet does; ``endpoints`` are
    those that they need where there is no other way, ``internet`` what no endpoint leads to; ``why`` is what to do
    where a public address is missing.
    """

    noun: str
    public: bool | None
    asks_subnet: bool
    endpoints: Sequence[str]
    why: str
    internet: Sequence[str] = ()


def host(addresses: Addresses, *, eks: bool = False) -> Traveller:
    """An EC2 instance of an environment."""
    return Traveller(
        noun="instances",
        public=addresses.given,
        asks_subnet=addresses.as_subnet,
        endpoints=network.OF_NODES if eks else network.OF_HOSTS,
        why=_ADDRESSES,
    )


def job_on_host(addresses: Addresses, *, endpoints: Sequence[str], internet: Sequence[str]) -> Traveller:
    """A job on an EC2 instance: its image, secrets and log go the way of the instance."""
    return replace(host(addresses), noun="jobs", endpoints=endpoints, internet=internet)


def task(*, public: bool | None, endpoints: Sequence[str], internet: Sequence[str]) -> Traveller:
    """A task on Fargate."""
    why = "set networkConfiguration: {assignPublicIp: ENABLED}, or use subnets with a NAT gateway"
    return Traveller(noun="tasks", public=public, asks_subnet=False, endpoints=endpoints, internet=internet, why=why)


def node() -> Traveller:
    """A node of a multi-node job: its network interface never has a public address. Its host pulls the image, so it
    starts nevertheless; what its program asks of the internet fails.
    """
    why = "use private subnets with a NAT gateway, unless the program needs nothing from outside"
    return Traveller(noun="nodes", public=False, asks_subnet=False, endpoints=("s3",), why=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Whether there is a way out."""

    verdict: Fit
    message: str
    certain: bool = False
    hint: str = ""
    denied: str = ""


def find(props: Json, traveller: Traveller, known: Network, ground: Ground) -> Answer:
    """Whether ``traveller`` has a way out of the subnets of an environment, and its groups let them."""
    named = network.subnets_of(props)
    subnets = [known.subnets[one] for one in named if one in known.subnets]
    if not subnets:
        why = known.unread or (
            "there are no such subnets" if known.asked.issuperset(named) and named else "the subnets are not known"
        )
        return Answer(verdict=Fit.unknown, message=why, denied=known.denied)
    blocked = _blocked_by_groups(network.groups_of(props), known, ground)
    if blocked is not None:
        return blocked
    if known.unread:
        return Answer(verdict=Fit.unknown, message=known.unread, denied=known.denied)
    sources = network.groups_of(props)
    ways = [_way(subnet, traveller, _closed(subnet, sources, known, ground)) for subnet in subnets]
    shut = [one for one in ways if one.open is False]
    unsure = next((one for one in ways if one.open is None), None)
    if unsure is not None:
        return Answer(verdict=Fit.unknown, message=unsure.why)
    if not shut:
        return Answer(verdict=Fit.fits, message=f"{traveller.noun} have a way out by {ways[0].why}")
    where = ", ".join(one.subnet.id for one in shut[:_MOST]) + (", ..." if len(shut) > _MOST else "")
    every = len(shut) == len(subnets)
    some = "" if every else "; those in the other subnets have one"
    return Answer(
        verdict=Fit.cannot,
        message=f"{traveller.noun} in {where} have no way out: {shut[0].why}{some}",
        certain=every and all(one.certain for one in shut),
        hint=shut[0].hint,
    )


def _closed(subnet: Subnet, sources: Sequence[Any], known: Network, ground: Ground) -> set[str]:
    """The services whose endpoints have security groups that let nothing in from the subnet or from ``sources``."""
    groups = {name: [network.group_of(one, known, ground) for one in ids] for name, ids in subnet.endpoints.items()}
    return {
        name
        for name, its in groups.items()
        if its and all(one is not None and not network.lets_in(one, subnet, sources) for one in its)
    }


def _way_out_of(subnet: Subnet, traveller: Traveller, missing: Sequence[str]) -> str:
    if subnet.way is Way.internet:
        return traveller.why
    if not traveller.internet and all(one in subnet.endpoints for one in missing):
        return "let TCP 443 in from the subnet in the security groups of the endpoints"
    if traveller.internet:
        return "add a NAT gateway, or push the image to Amazon ECR"
    return "add a NAT gateway, or the missing endpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Whether a subnet has a way out, None if that is not known; which, or why not; and whether that is certain."""

    subnet: Subnet
    open: bool | None
    why: str
    certain: bool = False
    hint: str = ""


def _way(subnet: Subnet, traveller: Traveller, closed: Collection[str]) -> _Found:
    missing = [one for one in traveller.endpoints if one not in subnet.endpoints or one in closed]
    outside = [*missing, *traveller.internet]
    if subnet.way is Way.onward:
        return _Found(subnet=subnet, open=True, why="a gateway in another subnet")
    addressed = traveller.public or (traveller.asks_subnet and subnet.public)
    if subnet.way is Way.internet and addressed:
        return _Found(subnet=subnet, open=True, why="an internet gateway")
    if not outside:
        return _Found(subnet=subnet, open=True, why="endpoints")
    doubt = _doubt(subnet, traveller)
    if doubt:
        return _Found(subnet=subnet, open=None, why=doubt)
    hint = _way_out_of(subnet, traveller, missing)
    if subnet.way is Way.internet:
        why = "the route to the internet needs a public address"
        none = not any(one in subnet.endpoints for one in traveller.endpoints)
        return _Found(subnet=subnet, open=False, why=why, certain=none, hint=hint)
    absent, shut = _split(missing, subnet)
    wanted = [f"no endpoint for {absent}"] if absent else []
    wanted += [f"the security groups of the endpoint for {shut} do not let port {network.HTTPS} in"] if shut else []
    wanted += [f"{', '.join(traveller.internet)} is on the internet"] if traveller.internet else []
    return _Found(subnet=subnet, open=False, why=f"no default route, and {', and '.join(wanted)}", hint=hint)


def _split(missing: Sequence[str], subnet: Subnet) -> tuple[str, str]:
    """The services without an endpoint, and those whose endpoint is closed."""
    absent = ", ".join(one for one in missing if one not in subnet.endpoints)
    return absent, ", ".join(one for one in missing if one in subnet.endpoints)


def _doubt(subnet: Subnet, traveller: Traveller) -> str:
    """Why it is not known whether what is missing is reached another way; empty if it is not."""
    if subnet.way is Way.internet and traveller.public is None:
        return f"whether {traveller.noun} get a public address is not known"
    if subnet.shared:
        return f"another account shares {subnet.id}: its endpoints are not known"
    if subnet.way is Way.internet:
        return f"{subnet.id} has a way out by IPv6: whether that is enough is not known" if subnet.dual else ""
    if subnet.way is Way.elsewhere:
        return f"{subnet.id} has a route to another network, and no default route: what is reached there is not known"
    return ""


def blocked(props: Json, port: int, known: Network, ground: Ground) -> str:
    """The security groups of an environment, if none of them lets TCP to a port out; empty if one may."""
    groups = [network.group_of(one, known, ground) for one in network.groups_of(props)]
    if not groups or any(one is None or network.lets_out(one, port) is not False for one in groups):
        return ""
    return ", ".join(one.id for one in groups if one is not None)


def _blocked_by_groups(values: Sequence[Any], known: Network, ground: Ground) -> Answer | None:
    groups = [network.group_of(one, known, ground) for one in values]
    if not groups or any(one is None for one in groups):
        return None
    found: list[Group] = [one for one in groups if one is not None]
    if any(network.lets_out(one) is not False for one in found):
        return None
    names = ", ".join(one.id for one in found)
    nothing = all(one.out == () for one in found)
    what = "nothing" if nothing else f"no TCP to port {network.HTTPS}"
    return Answer(
        verdict=Fit.cannot,
        message=f"the security groups let {what} out ({names})",
        certain=nothing,
        hint=f"add an egress rule for TCP {network.HTTPS}",
    )
