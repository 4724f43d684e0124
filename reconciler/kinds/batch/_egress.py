"""Whether hosts, tasks and nodes in the subnets of an environment reach what they need: by subnet, then by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reconciler.kinds.batch import _network as network
from reconciler.kinds.batch._network import Group, Network, Subnet, Way
from reconciler.model import Json
from reconciler.model.preflight import Fit, Ground
from reconciler.model.records import dataclass

_MOST: Final = 3  # subnets in one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Traveller:
    """Who needs a way out. ``noun`` names them; ``public``: whether they get a public address where a subnet gives
    none, None if that is not known; ``asks_subnet``: whether they get one where the subnet does; ``endpoints`` are
    those that they need where there is no other way; ``why`` is what to do where a public address is missing.
    """

    noun: str
    public: bool | None
    asks_subnet: bool
    endpoints: Sequence[str]
    why: str


def host(*, public: bool | None) -> Traveller:
    """An EC2 instance of an environment."""
    why = "use subnets that give public addresses, or a NAT gateway"
    return Traveller(noun="instances", public=public, asks_subnet=True, endpoints=network.OF_HOSTS, why=why)


def task(*, public: bool | None) -> Traveller:
    """A task on Fargate."""
    why = "set networkConfiguration: {assignPublicIp: ENABLED}, or use subnets with a NAT gateway"
    return Traveller(noun="tasks", public=public, asks_subnet=False, endpoints=network.OF_IMAGES, why=why)


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
        why = known.unread or "the subnets are not known yet"
        return Answer(verdict=Fit.unknown, message=why, denied=known.denied)
    blocked = _blocked_by_groups(network.groups_of(props), known, ground)
    if blocked is not None:
        return blocked
    if known.unread:
        return Answer(verdict=Fit.unknown, message=known.unread, denied=known.denied)
    ways = [(subnet, _way(subnet, traveller)) for subnet in subnets]
    shut = [(subnet, why, certain) for subnet, (open_, why, certain) in ways if open_ is False]
    if any(open_ is None for _, (open_, _, _) in ways):
        return Answer(verdict=Fit.unknown, message=next(why for _, (open_, why, _) in ways if open_ is None))
    if not shut:
        return Answer(verdict=Fit.fits, message=f"{traveller.noun} have a way out by {ways[0][1][1]}")
    where = ", ".join(subnet.id for subnet, _, _ in shut[:_MOST]) + (", ..." if len(shut) > _MOST else "")
    every = len(shut) == len(subnets)
    some = "" if every else "; those in the other subnets have one"
    message = f"{traveller.noun} in {where} have no way out: {shut[0][1]}{some}"
    return Answer(
        verdict=Fit.cannot,
        message=message,
        certain=every and all(certain for _, _, certain in shut),
        hint=traveller.why if shut[0][0].way is Way.internet else "add a NAT gateway, or the missing endpoints",
    )


def _way(subnet: Subnet, traveller: Traveller) -> tuple[bool | None, str, bool]:
    """Whether there is a way out of a subnet, which or why not, and whether that is certain."""
    if subnet.way is Way.onward:
        return True, "a gateway in another subnet", False
    missing = [one for one in traveller.endpoints if one not in subnet.endpoints]
    if subnet.way is Way.internet:
        if traveller.public or (traveller.asks_subnet and subnet.public):
            return True, "an internet gateway", False
        if not missing:
            return True, "endpoints", False
        if traveller.public is None:
            return None, f"whether {traveller.noun} get a public address is not known", False
        why = "the route to the internet needs a public address"
        return False, why, len(missing) == len(traveller.endpoints)
    if not missing:
        return True, "endpoints", False
    return False, f"no default route, and no endpoint for {', '.join(missing)}", False


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
