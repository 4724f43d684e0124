"""The compute environments of all declared queues, and what they offer: read once for all job definitions.

Those that are not declared are read, all in one call.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final

from reconciler.kinds.batch import _instance_offers as instances
from reconciler.kinds.batch import _network as networks
from reconciler.kinds.batch._instance_offers import Offer
from reconciler.kinds.batch.compute_environment.preflight import types_of, zones_of_types
from reconciler.kinds.batch.job_definition.fitting import Place
from reconciler.kinds.common.declared import as_text, at, entries, items, mapping
from reconciler.kinds.common.replies import chunks
from reconciler.model import EMPTY, Address, Call, Declared, Json, Reads, Refused, Resource, Verb
from reconciler.model.preflight import Ground
from reconciler.model.records import dataclass

QUEUES: Final = "jobQueues"
ORDER, MEMBER = "computeEnvironmentOrder", "computeEnvironment"
ENVIRONMENTS: Final = "computeEnvironments"
# what jobs depend on: the rest of two environments may differ, and the same jobs run on them
_SHARED: Final = ("type", "maxvCpus", "instanceTypes", "subnets", "securityGroupIds")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """An environment: its properties (None if they are not known), its cluster if it is live, and what it offers.

    ``kind`` is equal for those on which the same jobs run.
    """

    name: str
    props: Json | None
    own: Resource | None
    cluster: str
    place: Place
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """A queue with one of its environments. ``enabled``: both are. ``about`` is what of them the plan moves."""

    queue: str
    site: Site
    enabled: bool
    about: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sites:
    """All pairs; each environment once; and of the enabled and the other pairs the first of each environment."""

    pairs: Sequence[Pair]
    each: Sequence[Site] = field(default=())
    first: Sequence[Pair] = field(default=())
    moving: Mapping[bool, Sequence[Address]] = field(default_factory=lambda: EMPTY)

    def about(self, enabled: Collection[bool]) -> tuple[Address, ...]:
        """What the plan moves of the pairs that are enabled, of the others, or of all."""
        return tuple(
            dict.fromkeys(address for state in sorted(enabled, reverse=True) for address in self.moving[state])
        )


def read(ground: Ground) -> Reads[Sites]:
    """The environments of all declared queues."""
    return (yield from ground.shared.read_once("sites", lambda: _read(ground)))


def _read(ground: Ground) -> Reads[Sites]:
    listed = list(_listed(ground.declared))
    others = sorted({name for _, _, name in listed if name})
    calls = tuple(
        Call("batch", "DescribeComputeEnvironments", {ENVIRONMENTS: list(some)}) for some in chunks(others, 100)
    )
    replies = (yield calls) if calls else ()
    known = {
        str(item[member]): item
        for reply in replies
        if not isinstance(reply, Refused)
        for item in reply.get(ENVIRONMENTS, ())
        for member in ("computeEnvironmentName", "computeEnvironmentArn")
    }
    named = {(own.address if own else name): own for _, own, name in listed}
    props = {key: ground.props(own) if own else known.get(str(key)) for key, own in named.items()}
    offered = yield from _offers_of(list(props.values()))
    zones = yield from _zones_of(list(props.values()), ground)
    sites = {key: _site(key, own, props[key], offered, zones, ground) for key, own in named.items()}
    pairs = [_pair(queue, sites[own.address if own else name], ground) for queue, own, name in listed]
    first = {(id(one.site), one.enabled): one for one in reversed(pairs)}
    return Sites(
        pairs=pairs,
        each=list(sites.values()),
        first=[one for one in pairs if first[id(one.site), one.enabled] is one],
        moving={state: _moved([one for one in pairs if one.enabled is state]) for state in (True, False)},
    )


def _moved(pairs: Sequence[Pair]) -> Sequence[Address]:
    return tuple(dict.fromkeys(address for one in pairs for address in one.about))


def _listed(declared: Declared) -> Iterator[tuple[Resource, Resource | None, str]]:
    """Queues with each declared environment, or with the name or ARN of another; empty where that is not known."""
    for queue in declared.section(QUEUES):
        for _, item in entries(queue.props.get(ORDER)):
            own = declared.resource(ENVIRONMENTS, item.get(MEMBER))
            yield queue, own, "" if own else as_text(item.get(MEMBER)) or ""


def _site(
    key: Address | str,
    own: Resource | None,
    props: Json | None,
    offered: Sequence[Offer] | Refused,
    zones: _Zones,
    ground: Ground,
) -> Site:
    live = ground.live(own) if own else None
    cluster = str(((live.extra if live else {}) if own else mapping(props)).get("ecsClusterArn") or "")
    name = own.address.name if own else str(key).rpartition("/")[2]
    resources = mapping(at(props, "computeResources"))
    template = at(own.props if own else props, "computeResources", "launchTemplate")
    shared = [resources.get(member) for member in _SHARED]
    facts = (mapping(props).get("type"), bool(mapping(props).get("eksConfiguration")), shared, template)
    return Site(
        name=name,
        props=props,
        own=own,
        cluster=cluster,
        place=_place(name, own, props, offered, zones),
        kind=repr((props is None, own is None, cluster, facts)),
    )


def _pair(queue: Resource, site: Site, ground: Ground) -> Pair:
    own = ((site.own, "computeResources"),) if site.own else ()
    enabled = "DISABLED" not in (queue.props.get("state"), (site.props or {}).get("state"))
    about = tuple(_moving(ground, (queue, ORDER), *own))
    return Pair(queue=queue.address.name, site=site, enabled=enabled, about=about)


def _moving(ground: Ground, *named: tuple[Resource, str]) -> Iterator[Address]:
    """Those resources that the plan creates, or of which it changes this property: other changes move no job."""
    for resource, member in named:
        plan = ground.plans.get(resource.address)
        if plan is not None and (plan.verb is not Verb.UPDATE or plan.diff.under(member)):
            yield resource.address


def _types(props: Json | None) -> list[str]:
    return [] if props is None else types_of(props)


def _offers_of(environments: Sequence[Json | None]) -> Reads[list[Offer] | Refused]:
    """What all these environments' types offer, in one question."""
    names = {name for props in environments for name in _types(props)}
    return (yield from instances.read(sorted(names))) if names else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zones:
    """The zones that offer each type, None where that is not known, and the zone of each subnet."""

    of_types: Mapping[str, frozenset[str]] | None
    of_subnets: Mapping[str, str]

    def of(self, props: Json) -> list[str]:
        """The zones of an environment; empty if one of them is not known."""
        named = networks.subnets_of(props)
        if self.of_types is None or len(named) < len(items(at(props, "computeResources", "subnets"))):
            return []
        found = [self.of_subnets.get(one) for one in named]
        return sorted({one for one in found if one}) if all(found) else []


def _zones_of(environments: Sequence[Json | None], ground: Ground) -> Reads[_Zones]:
    """As the environments themselves ask: so that it is asked once."""
    if not any(map(_types, environments)):
        return _Zones(of_types=None, of_subnets={})
    known = yield from networks.read(ground)
    offered = yield from zones_of_types(ground)
    of_types = None if isinstance(offered, Refused) else offered
    return _Zones(of_types=of_types, of_subnets={name: subnet.zone for name, subnet in known.subnets.items()})


def _place(
    name: str, own: Resource | None, known: Json | None, offered: Sequence[Offer] | Refused, zones: _Zones
) -> Place:
    names, props = _types(known), known or {}
    if isinstance(offered, Refused):
        denied = "ec2:DescribeInstanceTypes" if offered.denied else ""
        return Place(name=name, props=props, unread=f"EC2's instance types: {offered}", denied=denied)
    if not names:
        return Place(name=name, props=props)
    mine = [one for one in offered if any(instances.belongs(one.type, each) for each in names)]
    here = zones.of(props) if own is not None else []
    if not here:
        return Place(name=name, props=props, offers=mine)
    of_types = zones.of_types or {}
    mine = [one for one in mine if not of_types.get(one.type, frozenset()).isdisjoint(here)]
    return Place(name=name, props=props, offers=mine, where=", ".join(here))
