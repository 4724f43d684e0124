"""Preflight of a job definition: whether some environment of some queue can run it, its image, its roles.

Every queue that is declared beside it counts: jobs may be submitted to any of them. So nothing is said of a queue that
does not fit as long as another one does.

https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from reconciler.kinds.batch import _capacity_quotas as quotas
from reconciler.kinds.batch import _egress as egress
from reconciler.kinds.batch import _instance_offers as instances
from reconciler.kinds.batch import _network as networks
from reconciler.kinds.batch._instance_offers import Offer
from reconciler.kinds.batch._network import Network
from reconciler.kinds.batch.compute_environment import effects, launch_template
from reconciler.kinds.batch.job_definition import (
    efa,
    fitting,
    image_preflight,
    log_preflight,
    needs,
    reach,
    role_preflight,
)
from reconciler.kinds.batch.job_definition.container_checks import EC2, FARGATE
from reconciler.kinds.batch.job_definition.fitting import Place, Ruling
from reconciler.kinds.batch.job_definition.needs import Needs
from reconciler.kinds.batch.job_definition.reach import Reach
from reconciler.kinds.common.declared import as_text, at, entries, items
from reconciler.kinds.common.replies import chunks
from reconciler.model import Address, Call, Declared, Json, Reads, Refused, Resource, Verb
from reconciler.model.preflight import Check, Fit, Ground

QUEUES: Final = "jobQueues"
ORDER, MEMBER = "computeEnvironmentOrder", "computeEnvironment"
ENVIRONMENTS: Final = "computeEnvironments"
_SHOWN: Final = 2  # reasons in one sentence
_NFS: Final = 2049


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A queue, and one of its environments: its name and properties (None if unknown), its cluster if it is live.
    ``enabled``: both are.
    """

    queue: Resource
    name: str
    props: Json | None
    own: Resource | None = None
    cluster: str = ""
    enabled: bool = True
    about: tuple[Address, ...] = ()


_Judged = tuple[_Pair, list[Ruling]]


def preflight(definition: Resource, ground: Ground) -> Reads[Sequence[Check]]:
    """Checks of its images, its roles, and each environment of each queue; then whether any can run it."""
    around = [one.address for section in (QUEUES, ENVIRONMENTS) for one in ground.declared.section(section)]
    if not ground.concerns(definition.address, *around):
        return ()
    needed = needs.of(ground.props(definition))
    found: list[Check] = []
    architectures: frozenset[str] | None = None
    if ground.concerns(definition.address):
        found, architectures = yield from image_preflight.check(needed, ground)
        found += yield from role_preflight.check(definition, needed, ground)
        found += yield from log_preflight.check(ground.props(definition), ground)
    pairs = yield from _pairs(ground)
    offered = yield from _offers_of(pairs)
    zones = yield from _zones_of(pairs, ground)
    judged: list[_Judged] = []
    for pair in pairs:
        place = _place(pair, offered, zones)
        rulings = fitting.rulings(needed, place, architectures) if pair.props is not None else [_NOT_KNOWN]
        if place.offers and pair.cluster and any(_open(one) for one in rulings):
            known = yield from _registered(pair.cluster)
            seen = [replace(one, registered=known.get(one.type)) for one in place.offers]
            rulings = fitting.rulings(needed, replace(place, offers=seen), architectures) if known else rulings
        if pair.props is not None and all(one.verdict is not Fit.cannot for one in rulings):
            rulings = [*rulings, *(yield from _around(definition, needed, pair, pair.props, ground))]
        judged.append((pair, rulings))
    found += [_check(pair, ruling) for pair, rulings in judged for ruling in rulings]
    if needed.platform == EC2:
        found += yield from _check_hosts(definition, judged, ground)
    return [*found, _placement(judged)]


def _check_hosts(definition: Resource, judged: Sequence[_Judged], ground: Ground) -> Reads[list[Check]]:
    """The roles of the instances that may run it, each once."""
    found: list[Check] = []
    seen: list[Any] = []
    for pair, rulings in judged:
        if pair.own is None or pair.props is None or any(one.verdict is Fit.cannot for one in rulings):
            continue
        role = at(pair.props, "computeResources", "instanceRole")
        if role not in seen and ground.concerns(definition.address, pair.own.address):
            seen.append(role)
            found += yield from role_preflight.check_hosts(definition, pair.own, pair.props, ground)
    return found


def _around(definition: Resource, needed: Needs, pair: _Pair, props: Json, ground: Ground) -> Reads[list[Ruling]]:
    """What is around a job that fits: its way out where it has a network interface of its own, and the quota."""
    found: list[Ruling] = []
    if needed.platform in (EC2, FARGATE):
        known = yield from networks.read(ground)
        reached = reach.of(ground.props(definition), ground)
        found += [
            _way_out(needed, one, props, known, ground) for one in _travellers(needed, reached, pair, known, ground)
        ]
        found += _check_file_systems(reached, props, known, ground)
    if pair.own is not None and any(one.efa for one in needed.hosts):
        known = yield from networks.read(ground)
        found += efa.check(pair.own, next(one.path for one in needed.hosts if one.efa), known, ground)
    if needed.platform == EC2:
        found += yield from _within_quota(needed, props)
    return found


def _check_file_systems(reached: Reach, props: Json, known: Network, ground: Ground) -> Iterator[Ruling]:
    """Whether the security groups let jobs mount their volumes of Amazon EFS."""
    groups = egress.blocked(props, _NFS, known, ground) if reached.file_systems else ""
    if groups:
        yield Ruling(
            check="egress",
            verdict=Fit.cannot,
            message=f"the security groups let no TCP to port {_NFS} of Amazon EFS out ({groups})",
            path=reached.file_systems,
            certain=False,
            hint=f"add an egress rule for TCP {_NFS}",
            decides=False,
        )


def _travellers(
    needed: Needs, reached: Reach, pair: _Pair, known: Network, ground: Ground
) -> Iterator[egress.Traveller]:
    """Who needs a way out for a job. What instances need to join the cluster is the environment's own check."""
    wanted = {"endpoints": reached.endpoints, "internet": reached.internet}
    if needed.platform == FARGATE:
        yield egress.task(public=needed.public_address, **wanted)
        return
    if needed.multinode:
        yield egress.node()
    props = pair.props or {}
    template = at(pair.own.props if pair.own else props, "computeResources", "launchTemplate")
    addresses = launch_template.addresses(template, ground.declared)
    if egress.find(props, egress.host(addresses), known, ground).verdict is Fit.fits:
        yield egress.job_on_host(addresses, **wanted)


def _way_out(needed: Needs, traveller: egress.Traveller, props: Json, known: Network, ground: Ground) -> Ruling:
    answer = egress.find(props, traveller, known, ground)
    path = needed.hosts[0].path if needed.hosts else ()
    return Ruling(
        check="egress",
        verdict=answer.verdict,
        message=answer.message,
        path=path,
        certain=answer.certain and needed.platform == FARGATE,
        hint=answer.hint,
        denied=answer.denied,
        decides=needed.platform == FARGATE,
        final=False,
    )


def _within_quota(needed: Needs, props: Json) -> Reads[list[Ruling]]:
    """Whether the account may run one job: not if the quotas of all classes of the environment's types are below it."""
    amounts = [one.vcpus * one.nodes for one in needed.hosts if one.vcpus is not None and one.nodes is not None]
    classes = quotas.classes_of(props)
    if not amounts or not classes or not quotas.all_known(props) or len(amounts) < len(needed.hosts):
        return []
    codes = [quotas.code_of(kind, props) for kind in classes]
    values = yield from quotas.read(codes)
    known = [one for one in values.values() if not isinstance(one, Refused)]
    if len(known) < len(codes) or max(known) >= sum(amounts):
        return []  # the environment's own check says what is unknown
    path = needed.hosts[0].paths.get(needs.VCPU, ())
    message = f"{sum(amounts):f} vCPUs, and the account may run {max(known):g} ({', '.join(codes)})"
    hint = "request a higher quota in Service Quotas"
    return [Ruling(check="quota", verdict=Fit.cannot, message=message, path=path, hint=hint, final=False)]


_NOT_KNOWN: Final = Ruling(check="platform", verdict=Fit.unknown, message="the compute environment is not known")


def _open(ruling: Ruling) -> bool:
    return ruling.check == "memory" and ruling.verdict is Fit.unknown


def _check(pair: _Pair, ruling: Ruling) -> Check:
    return Check(
        check=ruling.check,
        verdict=ruling.verdict,
        message=ruling.message,
        certain=ruling.certain,
        reported=not ruling.decides,
        path=ruling.path,
        hint=ruling.hint,
        queue=pair.queue.address.name,
        environment=pair.name,
        about=pair.about,
        denied=ruling.denied,
    )


# --- the answer ------------------------------------------------------------------------------------------------------


def _placement(judged: Sequence[_Judged]) -> Check:
    """Whether any environment can run it: it cannot only where none of any queue can."""
    if not judged:
        message = "no queue with a compute environment is declared here"
        return Check(check="placement", verdict=Fit.unknown, message=message)
    enabled = [one for one in judged if one[0].enabled]
    answer = _answer(enabled or judged)
    if answer.verdict is not Fit.cannot or len(enabled) in (0, len(judged)):
        return answer
    other = _answer([one for one in judged if not one[0].enabled])
    if other.verdict is not Fit.fits:
        return other if other.verdict is Fit.unknown else _answer(judged)
    message = f"{answer.message}; {other.message}, and is DISABLED"
    return replace(answer, message=message, hint=f"set state: ENABLED, or {answer.hint}", final=False)


def _answer(judged: Sequence[_Judged]) -> Check:
    refusals = [
        (pair, [one for one in rulings if one.decides and one.verdict is Fit.cannot]) for pair, rulings in judged
    ]
    for pair, rulings in judged:
        if all(one.verdict is Fit.fits for one in rulings if one.decides):
            message = f"{pair.name} of {pair.queue.address.name} can run it"
            return Check(check="placement", verdict=Fit.fits, message=message, certain=False)
    if not all(refused for _, refused in refusals):
        return Check(check="placement", verdict=Fit.unknown, message="whether any can run it is not known")
    same = [one for one in refusals if all(ruling.check != "platform" for ruling in one[1])] or refusals
    reasons = dict.fromkeys(f"{refused[0].message} ({pair.name})" for pair, refused in same)
    shown = "; ".join(list(reasons)[:_SHOWN])
    more = len(reasons) - _SHOWN
    first = same[0][1][0]
    return Check(
        check="placement",
        verdict=Fit.cannot,
        message=f"no compute environment can run it: {shown}{f'; and {more} more' if more > 0 else ''}",
        certain=all(any(one.certain for one in refused) for _, refused in refusals),
        reported=True,
        final=all(any(one.certain and one.final for one in refused) for _, refused in same),
        alone=True,
        path=first.path,
        hint=first.hint,
        about=tuple(dict.fromkeys(address for pair, _ in judged for address in pair.about)),
    )


# --- queues and their environments -----------------------------------------------------------------------------------


def _pairs(ground: Ground) -> Reads[list[_Pair]]:
    """Each declared queue with each of its environments; those that are not declared are read, all in one call."""
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
    return [_pair(queue, own, name, known, ground) for queue, own, name in listed]


def _listed(declared: Declared) -> Iterator[tuple[Resource, Resource | None, str]]:
    """Queues with each declared environment, or with the name or ARN of another; empty where that is not known."""
    for queue in declared.section(QUEUES):
        for _, item in entries(queue.props.get(ORDER)):
            own = declared.resource(ENVIRONMENTS, item.get(MEMBER))
            yield queue, own, "" if own else as_text(item.get(MEMBER)) or ""


def _pair(queue: Resource, own: Resource | None, name: str, known: Mapping[str, Json], ground: Ground) -> _Pair:
    if own is None:
        item = known.get(name)
        shown, cluster = name.rpartition("/")[2], str((item or {}).get("ecsClusterArn") or "")
        about = tuple(_moving(ground, (queue, ORDER)))
        return _Pair(queue=queue, name=shown, props=item, cluster=cluster, about=about, enabled=_enabled(queue, item))
    live = ground.live(own)
    cluster = str(live.extra.get("ecsClusterArn") or "") if live else ""
    about = tuple(_moving(ground, (queue, ORDER), (own, "computeResources")))
    name, props = own.address.name, ground.props(own)
    enabled = _enabled(queue, props)
    return _Pair(queue=queue, name=name, props=props, own=own, cluster=cluster, about=about, enabled=enabled)


def _enabled(queue: Resource, environment: Json | None) -> bool:
    return "DISABLED" not in (queue.props.get("state"), (environment or {}).get("state"))


def _moving(ground: Ground, *named: tuple[Resource, str]) -> Iterator[Address]:
    """Those resources that the plan creates, or of which it changes this property: other changes move no job."""
    for resource, member in named:
        plan = ground.plans.get(resource.address)
        if plan is not None and (plan.verb is not Verb.UPDATE or plan.diff.under(member)):
            yield resource.address


def _types(props: Json | None) -> list[str]:
    """The instance types, families and groups that an environment names; empty on Fargate."""
    if props is None or effects.family(props) != effects.INSTANCES:
        return []
    return [one for one in items(at(props, "computeResources", "instanceTypes")) if isinstance(one, str)]


def _offers_of(pairs: Sequence[_Pair]) -> Reads[list[Offer] | Refused]:
    """What all these environments' types offer: one question, equal for every definition, so that it is asked once."""
    names = {name for pair in pairs for name in _types(pair.props)}
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


def _zones_of(pairs: Sequence[_Pair], ground: Ground) -> Reads[_Zones]:
    """As the environments themselves ask: so that it is asked once."""
    if not any(_types(pair.props) for pair in pairs):
        return _Zones(of_types=None, of_subnets={})
    known = yield from networks.read(ground)
    declared = ground.declared.section(ENVIRONMENTS)
    offered = yield from instances.read_zones(sorted({name for one in declared for name in _types(ground.props(one))}))
    of_types = None if isinstance(offered, Refused) else offered
    return _Zones(of_types=of_types, of_subnets={name: subnet.zone for name, subnet in known.subnets.items()})


def _place(pair: _Pair, offered: list[Offer] | Refused, zones: _Zones) -> Place:
    names, props = _types(pair.props), pair.props or {}
    if isinstance(offered, Refused):
        denied = "ec2:DescribeInstanceTypes" if offered.denied else ""
        return Place(name=pair.name, props=props, unread=f"EC2's instance types: {offered}", denied=denied)
    if not names:
        return Place(name=pair.name, props=props)
    mine = [one for one in offered if any(instances.belongs(one.type, name) for name in names)]
    here = zones.of(props) if pair.own is not None else []
    if not here:
        return Place(name=pair.name, props=props, offers=mine)
    of_types = zones.of_types or {}
    mine = [one for one in mine if not of_types.get(one.type, frozenset()).isdisjoint(here)]
    return Place(name=pair.name, props=props, offers=mine, where=", ".join(here))


def _registered(cluster: str) -> Reads[Mapping[str, int]]:
    """The memory in MiB that instances of a cluster have registered, by type; the least where it differs."""
    (listed,) = yield (Call("ecs", "ListContainerInstances", {"cluster": cluster, "status": "ACTIVE"}),)
    arns = [] if isinstance(listed, Refused) else items(listed.get("containerInstanceArns"))
    if not arns:
        return {}
    params = {"cluster": cluster, "containerInstances": arns[:100]}
    (reply,) = yield (Call("ecs", "DescribeContainerInstances", params),)
    found: dict[str, int] = {}
    for item in [] if isinstance(reply, Refused) else items(reply.get("containerInstances")):
        attributes: dict[str, Any] = {str(one["name"]): one.get("value") for one in items(item.get("attributes"))}
        memory: Json = next((one for one in items(item.get("registeredResources")) if one.get("name") == "MEMORY"), {})
        name, amount = attributes.get("ecs.instance-type"), memory.get("integerValue")
        if name and isinstance(amount, int):
            found[str(name)] = min(amount, found.get(str(name), amount))
    return found
