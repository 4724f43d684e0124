"""Preflight of a compute environment: the zones of its types, its network, its roles, and the account's quotas.

https://docs.aws.amazon.com/batch/latest/userguide/troubleshooting.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler.kinds.batch import _capacity_quotas as quotas
from reconciler.kinds.batch import _count_quotas as counts
from reconciler.kinds.batch import _egress as egress
from reconciler.kinds.batch import _instance_offers as instances
from reconciler.kinds.batch import _network as networks
from reconciler.kinds.batch import _role_preflight
from reconciler.kinds.batch._network import ENVIRONMENTS, Network
from reconciler.kinds.batch._role_preflight import Use
from reconciler.kinds.batch.compute_environment import effects, instance_role, launch_template
from reconciler.kinds.batch.compute_environment.launch_template import HERE
from reconciler.kinds.common.declared import as_int, as_text, at, items
from reconciler.model import Json, Path, Reads, Refused, Resource
from reconciler.model.preflight import Check, Fit, Ground

_JOIN: Final = (instance_role.JOIN, "ecs:DiscoverPollEndpoint", "ecs:Poll")
_ROLES: Final = (
    (("serviceRole",), "batch.amazonaws.com"),
    ((HERE, "spotIamFleetRole"), "spotfleet.amazonaws.com"),
)
# what AWS Batch cannot make an environment without, by the service role that it is given
_SERVES: Final = {
    effects.INSTANCES: ("ecs:CreateCluster", "autoscaling:CreateAutoScalingGroup"),
    effects.FARGATE: ("ecs:CreateCluster", "ecs:RunTask"),
}


def preflight(environment: Resource, ground: Ground) -> Reads[Sequence[Check]]:
    """Checks of its types in its zones, its subnets and groups, its roles and its quotas."""
    if not ground.concerns(environment.address):
        return ()
    props = ground.props(environment)
    known = yield from networks.read(ground)
    found = list(_check_vpc(props, known, ground))
    on_hosts = effects.family(props) == effects.INSTANCES
    if on_hosts:
        found += yield from _check_zones(props, known, ground)
        found += _check_group_of_hosts(environment, props, known, ground)
        found.append(_check_way_out(environment, props, known, ground))
        found += yield from _check_quotas(environment, props, ground)
    found += yield from counts.check(
        environment, ground, "DescribeComputeEnvironments", ENVIRONMENTS, "compute environments"
    )
    found += yield from _check_roles(environment, props, ground, joins=on_hosts and not props.get("eksConfiguration"))
    return found


def _result(check: str, verdict: Fit, message: str, member: str, **more: Any) -> Check:
    path: Path = (HERE, member)
    return Check(check=check, verdict=verdict, message=message, path=path, reported=True, **more)


# --- zones -----------------------------------------------------------------------------------------------------------


def types_of(props: Json) -> list[str]:
    """The instance types, families and groups that an environment on EC2 names."""
    if effects.family(props) != effects.INSTANCES:
        return []
    return [one for one in items(at(props, HERE, "instanceTypes")) if isinstance(one, str)]


def _check_zones(props: Json, known: Network, ground: Ground) -> Reads[list[Check]]:
    """Whether the zones of the subnets offer the types: one question for the types of all declared environments."""
    names = types_of(props)
    zones = sorted({known.subnets[one].zone for one in networks.subnets_of(props) if one in known.subnets})
    if not names or not zones:
        return []
    offered = yield from zones_of_types(ground)
    if isinstance(offered, Refused):
        denied = "ec2:DescribeInstanceTypeOfferings" if offered.denied else ""
        return [_result("zones", Fit.unknown, f"the zones of the types: {offered}", "instanceTypes", denied=denied)]
    missing = [name for name in names if not _offered(name, zones, offered)]
    where = ", ".join(zones)
    if not missing:
        return [_result("zones", Fit.fits, f"its instance types are offered in {where}", "instanceTypes")]
    present = [name for name in names if name not in missing]
    if present:
        message = f"{where} has {', '.join(present)}, but not {', '.join(missing)}"
        return [_result("zones", Fit.fits, message, "instanceTypes")]
    message = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not offered in {where}"
    hint = "use subnets in other zones, or other types"
    return [_result("zones", Fit.cannot, message, "instanceTypes", hint=hint, final=True)]


def zones_of_types(ground: Ground) -> Reads[Mapping[str, frozenset[str]] | Refused]:
    """The zones that offer the types of all declared environments, or why that could not be read."""
    return (yield from ground.shared.read_once("zones of types", lambda: _zones_of_types(ground)))


def _zones_of_types(ground: Ground) -> Reads[Mapping[str, frozenset[str]] | Refused]:
    every = {name for one in ground.declared.section(ENVIRONMENTS) for name in types_of(ground.props(one))}
    return (yield from instances.read_zones(sorted(every)))


def _offered(name: str, zones: Sequence[str], offered: Any) -> bool:
    return any(not where.isdisjoint(zones) for one, where in offered.items() if instances.belongs(one, name))


# --- network ---------------------------------------------------------------------------------------------------------


def _check_vpc(props: Json, known: Network, ground: Ground) -> Iterator[Check]:
    """Whether all subnets exist, and they and the groups are in one VPC."""
    named = networks.subnets_of(props)
    if not named:
        return
    if not known.subnets and known.unread:
        yield _result("network", Fit.unknown, known.unread, "subnets", denied=known.denied)
        return
    absent = [one for one in named if one not in known.subnets]
    if absent:
        message = f"there is no subnet {', '.join(absent)} in {ground.scope.region}"
        yield _result("network", Fit.cannot, message, "subnets", hint="name subnets that exist", final=True)
        return
    vpcs = sorted({known.subnets[one].vpc for one in named})
    if len(vpcs) > 1:
        message = f"its subnets are in several VPCs: {', '.join(vpcs)}"
        yield _result("network", Fit.cannot, message, "subnets", hint="name subnets of one VPC", final=True)
        return
    named_groups = networks.groups_of(props)
    groups = [(one, networks.group_of(one, known, ground)) for one in named_groups]
    gone = [one for one, group in groups if group is None and known.groups_read and _is_id(one)]
    if gone:
        message = f"there is no security group {', '.join(gone)} in {ground.scope.region}"
        hint = "name groups that exist"
        yield _result("network", Fit.cannot, message, "securityGroupIds", hint=hint, final=True)
        return
    strange = [group.id for _, group in groups if group and group.vpc.startswith("vpc-") and group.vpc != vpcs[0]]
    if strange:
        message = f"{', '.join(strange)} {'is' if len(strange) == 1 else 'are'} not in {vpcs[0]}, where its subnets are"
        hint = "name groups of the same VPC"
        yield _result("network", Fit.cannot, message, "securityGroupIds", hint=hint, final=True)
        return
    if not known.groups_read and any(group is None for _, group in groups):
        yield _result("network", Fit.unknown, known.unread, "securityGroupIds", denied=known.denied)
        return
    if not sum(known.subnets[one].free for one in named):
        message = "its subnets have no free addresses"
        yield _result("network", Fit.cannot, message, "subnets", certain=False, hint="add a subnet")
        return
    yield _result("network", Fit.fits, f"its subnets and groups are in {vpcs[0]}", "subnets")


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("sg-")


def _check_group_of_hosts(environment: Resource, props: Json, known: Network, ground: Ground) -> Iterator[Check]:
    """A cluster placement group is in one zone, and so must be the subnets. Other groups may span several."""
    group = at(environment.props, HERE, "placementGroup")
    own = ground.declared.resource("placementGroups", group) if group is not None else None
    if own is None or own.props.get("strategy", "cluster") != "cluster":
        return
    zones = sorted({known.subnets[one].zone for one in networks.subnets_of(props) if one in known.subnets})
    if len(zones) > 1:
        named = f"{own.address.name} is a cluster placement group, which is in one zone"
        message = f"{named}; its subnets are in {', '.join(zones)}"
        hint = "name subnets of one zone"
        yield _result("placementGroup", Fit.cannot, message, "subnets", certain=False, hint=hint)
    elif zones:
        message = f"the placement group {own.address.name} and its subnets are in {zones[0]}"
        yield _result("placementGroup", Fit.fits, message, "subnets")


def _check_way_out(environment: Resource, props: Json, known: Network, ground: Ground) -> Check:
    addresses = launch_template.addresses(at(environment.props, HERE, "launchTemplate"), ground.declared)
    traveller = egress.host(addresses, eks=bool(props.get("eksConfiguration")))
    answer = egress.find(props, traveller, known, ground)
    return _result(
        "egress",
        answer.verdict,
        answer.message,
        "subnets",
        certain=answer.certain,
        hint=answer.hint,
        denied=answer.denied,
    )


# --- quotas ----------------------------------------------------------------------------------------------------------


def _check_quotas(environment: Resource, props: Json, ground: Ground) -> Reads[list[Check]]:
    """Whether all declared environments together may ask for more vCPUs than the account may run."""
    wanted = ground.shared.once("vCPUs wanted", lambda: _wanted(ground))
    values = yield from ground.shared.read_once("quotas of vCPUs", lambda: quotas.read(wanted))
    found: list[Check] = []
    for kind in quotas.classes_of(props):
        code = quotas.code_of(kind, props)
        total = sum(most for _, most in wanted[code])
        found.append(_quota(environment, kind, code, values[code], total, wanted[code]))
    if any(one.verdict is Fit.fits for one in found):  # instances of another class start instead
        found = [one if one.certain else replace(one, reported=False) for one in found]
    return found


def _wanted(ground: Ground) -> Mapping[str, Sequence[tuple[Resource, int]]]:
    """The declared environments with their ``maxvCpus``, by the quotas that they are under."""
    wanted: dict[str, list[tuple[Resource, int]]] = {}
    for one in ground.declared.section(ENVIRONMENTS):
        its = ground.props(one)
        most = as_int(at(its, HERE, "maxvCpus"))
        for kind in quotas.classes_of(its) if effects.family(its) == effects.INSTANCES else ():
            wanted.setdefault(quotas.code_of(kind, its), []).append((one, most or 0))
    return wanted


def _quota(
    environment: Resource,
    kind: str,
    code: str,
    value: float | Refused,
    total: int,
    users: Sequence[tuple[Resource, int]],
) -> Check:
    spot = "Spot " if at(environment.props, HERE, "type") == "SPOT" else ""
    noun = f"the quota {code} ({kind} {spot}instances)"
    if isinstance(value, Refused):
        denied = "servicequotas:GetServiceQuota" if value.denied else ""
        return _result("quota", Fit.unknown, f"{noun} could not be read: {value}", "maxvCpus", denied=denied)
    hint = "request a higher quota in Service Quotas, or lower maxvCpus"
    if value <= 0:
        hint = "request a higher quota in Service Quotas, or use other instance types"
        return _result("quota", Fit.cannot, f"{noun} is 0: no such instance starts", "maxvCpus", hint=hint)
    together = (
        f"maxvCpus of {len(users)} environments together is {total}" if len(users) > 1 else f"maxvCpus is {total}"
    )
    if total > value:
        first = users[0][0].address == environment.address
        message = f"{together}, and {noun} is {value:g} vCPUs"
        return Check(
            check="quota",
            verdict=Fit.cannot,
            message=message,
            certain=False,
            reported=first,
            path=(HERE, "maxvCpus"),
            hint=hint,
        )
    return _result("quota", Fit.fits, f"{together}, and {noun} is {value:g}", "maxvCpus")


# --- roles -----------------------------------------------------------------------------------------------------------


def _check_roles(environment: Resource, props: Json, ground: Ground, *, joins: bool) -> Reads[list[Check]]:
    found: list[Check] = []
    on_eks = bool(props.get("eksConfiguration"))
    for path, service in _ROLES:
        known = at(props, *map(str, path))
        if known is not None:
            made = path == ("serviceRole",) and not on_eks and ground.live(environment) is None
            serves = _SERVES.get(effects.family(props), ()) if made else ()
            use = Use(
                path=path,
                declared=at(environment.props, *map(str, path)),
                known=known,
                service=service,
                needs=[(action, "*") for action in serves],
            )
            found += yield from _role_preflight.check(use, ground)
    known = at(props, HERE, "instanceRole")
    if known is not None:
        declared = at(environment.props, HERE, "instanceRole")
        profile = ground.declared.resource("instanceProfiles", declared) is not None or _is_profile(known)
        needs = [(action, "*") for action in _JOIN] if joins and profile else []
        use = Use(
            path=(HERE, "instanceRole"),
            declared=declared,
            known=known,
            service="ec2.amazonaws.com",
            needs=needs,
            profile=True,
        )
        found += yield from _role_preflight.check(use, ground)
    return found


def _is_profile(known: Any) -> bool:
    text = as_text(known)
    return text is not None and ":role/" not in text
