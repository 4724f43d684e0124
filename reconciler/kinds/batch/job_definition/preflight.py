"""Preflight of a job definition: whether some environment of some queue can run it, its image, its roles.

Every queue that is declared beside it counts: jobs may be submitted to any of them. So nothing is said of a queue that
does not fit as long as another one does.

https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler.kinds.batch import _capacity_quotas as quotas
from reconciler.kinds.batch import _egress as egress
from reconciler.kinds.batch import _network as networks
from reconciler.kinds.batch._network import Network
from reconciler.kinds.batch.compute_environment import launch_template
from reconciler.kinds.batch.job_definition import (
    efa,
    fitting,
    image_facts,
    image_preflight,
    log_preflight,
    needs,
    reach,
    role_preflight,
    sites,
)
from reconciler.kinds.batch.job_definition.container_checks import EC2, FARGATE
from reconciler.kinds.batch.job_definition.fitting import Ruling
from reconciler.kinds.batch.job_definition.needs import Needs
from reconciler.kinds.batch.job_definition.reach import Reach
from reconciler.kinds.batch.job_definition.sites import ENVIRONMENTS, QUEUES, Pair, Site, Sites
from reconciler.kinds.common.declared import at, items
from reconciler.model import Call, Json, Reads, Refused, Resource
from reconciler.model.preflight import Check, Checks, Fit, Ground, Placed
from reconciler.model.records import dataclass

_SHOWN: Final = 2  # reasons in one sentence
_NFS: Final = 2049


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Outcome:
    """What all environments say about a job, by their kind: the same for all definitions that need the same.

    ``hosts`` are the environments whose instances may run it, each of their roles once.
    """

    rulings: Mapping[str, Sequence[Ruling]]
    placed: Placed
    answer: Check
    hosts: Sequence[Site]


def preflight(definition: Resource, ground: Ground) -> Reads[Checks]:
    """Checks of its images, its roles, and each environment of each queue; then whether any can run it."""
    changed = ground.concerns(definition.address)
    if not changed and not ground.shared.once("around", lambda: _moves(ground)):
        return Checks()
    props = ground.props(definition)
    needed = image_facts.needed_by(definition, ground)
    found: list[Check] = []
    architectures: frozenset[str] | None = None
    if changed:
        found, architectures = yield from image_preflight.check(needed, ground)
        found += yield from role_preflight.check(definition, needed, ground)
        found += yield from log_preflight.check(props, ground)
    around = yield from sites.read(ground)
    reached = reach.of(props, ground)
    key = ("outcome", needed.key, architectures, reached)
    outcome = yield from ground.shared.read_once(key, lambda: _judge(needed, architectures, reached, around, ground))
    after = yield from _after(definition, needed, outcome, key, ground)
    return Checks(own=found, placed=outcome.placed, after=after)


def _moves(ground: Ground) -> bool:
    """Whether the plan changes a queue or an environment."""
    around = [one.address for section in (QUEUES, ENVIRONMENTS) for one in ground.declared.section(section)]
    return ground.concerns(*around)


def _judge(
    needed: Needs, architectures: frozenset[str] | None, reached: Reach, around: Sites, ground: Ground
) -> Reads[_Outcome]:
    rulings: dict[str, Sequence[Ruling]] = {}
    for site in around.each:
        if site.kind not in rulings:
            rulings[site.kind] = yield from _rule(needed, architectures, reached, site, ground)
    hosts: list[Site] = []
    roles: list[Any] = []
    for site in around.each if needed.platform == EC2 else ():
        role = at(site.props, "computeResources", "instanceRole")
        refused = any(one.verdict is Fit.cannot for one in rulings[site.kind])
        if site.own and site.props is not None and not refused and role not in roles:
            roles.append(role)
            hosts.append(site)
    pairs = ground.shared.once("pairs", lambda: [(one.queue, one.site.name, one.site.kind) for one in around.pairs])
    return _Outcome(
        rulings=rulings,
        placed=Placed(pairs=pairs, checks={kind: tuple(map(_check, each)) for kind, each in rulings.items()}),
        answer=_placement(around, rulings),
        hosts=hosts,
    )


def _rule(
    needed: Needs, architectures: frozenset[str] | None, reached: Reach, site: Site, ground: Ground
) -> Reads[Sequence[Ruling]]:
    """What an environment says about a job."""
    if site.props is None:
        return [_NOT_KNOWN]
    place = site.place
    rulings = fitting.rulings(needed, place, architectures)
    if place.offers and site.cluster and any(_open(one) for one in rulings):
        known = yield from ground.shared.read_once(("cluster", site.cluster), lambda: _registered(site.cluster))
        seen = [replace(one, registered=known.get(one.type)) for one in place.offers]
        rulings = fitting.rulings(needed, replace(place, offers=seen), architectures) if known else rulings
    if all(one.verdict is not Fit.cannot for one in rulings):
        rulings = [*rulings, *(yield from _around(needed, reached, site, site.props, ground))]
    return rulings


def _after(
    definition: Resource, needed: Needs, outcome: _Outcome, key: tuple[Any, ...], ground: Ground
) -> Reads[Sequence[Check]]:
    """What the roles of the instances that may run it allow, and whether it can run at all."""
    if needed.platform != EC2:
        return (outcome.answer,)
    changed = ground.concerns(definition.address)
    hosts = [one for one in outcome.hosts if changed or (one.own and ground.concerns(one.own.address))]
    wanted = role_preflight.of_hosts(definition, hosts, ground)
    return (
        yield from ground.shared.read_once(
            ("after", *key, changed, wanted), lambda: _check_hosts(definition, hosts, outcome, ground)
        )
    )


def _check_hosts(
    definition: Resource, hosts: Sequence[Site], outcome: _Outcome, ground: Ground
) -> Reads[Sequence[Check]]:
    found: list[Check] = []
    for site in hosts:
        if site.own is not None and site.props is not None:
            found += yield from role_preflight.check_hosts(definition, site.own, site.props, ground)
    return (*found, outcome.answer)


def _around(needed: Needs, reached: Reach, site: Site, props: Json, ground: Ground) -> Reads[list[Ruling]]:
    """What is around a job that fits: its way out where it has a network interface of its own, and the quota."""
    found: list[Ruling] = []
    if needed.platform in (EC2, FARGATE):
        known = yield from networks.read(ground)
        found += [
            _way_out(needed, one, props, known, ground) for one in _travellers(needed, reached, site, known, ground)
        ]
        found += _check_file_systems(reached, props, known, ground)
    if site.own is not None and any(one.efa for one in needed.hosts):
        known = yield from networks.read(ground)
        found += efa.check(site.own, next(one.path for one in needed.hosts if one.efa), known, ground)
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
    needed: Needs, reached: Reach, site: Site, known: Network, ground: Ground
) -> Iterator[egress.Traveller]:
    """Who needs a way out for a job. What instances need to join the cluster is the environment's own check."""
    wanted = {"endpoints": reached.endpoints, "internet": reached.internet}
    if needed.platform == FARGATE:
        yield egress.task(public=needed.public_address, **wanted)
        return
    if needed.multinode:
        yield egress.node()
    props = site.props or {}
    template = at(site.own.props if site.own else props, "computeResources", "launchTemplate")
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


def _check(ruling: Ruling) -> Check:
    return Check(
        check=ruling.check,
        verdict=ruling.verdict,
        message=ruling.message,
        certain=ruling.certain,
        reported=not ruling.decides,
        path=ruling.path,
        hint=ruling.hint,
        denied=ruling.denied,
    )


# --- the answer ------------------------------------------------------------------------------------------------------


def _placement(around: Sites, rulings: Mapping[str, Sequence[Ruling]]) -> Check:
    """Whether any environment can run it: it cannot only where none of any queue can."""
    judged = around.first
    if not judged:
        message = "no queue with a compute environment is declared here"
        return Check(check="placement", verdict=Fit.unknown, message=message)
    enabled = [one for one in judged if one.enabled]
    answer = _answer(enabled or judged, rulings, around)
    if answer.verdict is not Fit.cannot or len(enabled) in (0, len(judged)):
        return answer
    other = _answer([one for one in judged if not one.enabled], rulings, around)
    if other.verdict is not Fit.fits:
        return other if other.verdict is Fit.unknown else _answer(judged, rulings, around)
    message = f"{answer.message}; {other.message}, and is DISABLED"
    return replace(answer, message=message, hint=f"set state: ENABLED, or {answer.hint}", final=False)


def _answer(judged: Sequence[Pair], rulings: Mapping[str, Sequence[Ruling]], around: Sites) -> Check:
    for pair in judged:
        if all(one.verdict is Fit.fits for one in rulings[pair.site.kind] if one.decides):
            message = f"{pair.site.name} of {pair.queue} can run it"
            return Check(check="placement", verdict=Fit.fits, message=message, certain=False)
    refusals = [
        (pair, [one for one in rulings[pair.site.kind] if one.decides and one.verdict is Fit.cannot]) for pair in judged
    ]
    if not all(refused for _, refused in refusals):
        return Check(check="placement", verdict=Fit.unknown, message="whether any can run it is not known")
    same = [one for one in refusals if all(ruling.check != "platform" for ruling in one[1])] or refusals
    reasons = dict.fromkeys(f"{refused[0].message} ({pair.site.name})" for pair, refused in same)
    shown = "; ".join(list(reasons)[:_SHOWN])
    more = len(reasons) - _SHOWN
    first = same[0][1][0]
    states = {one.enabled for one in judged}
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
        about=around.about(states),
    )


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
