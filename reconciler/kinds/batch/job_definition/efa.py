"""Whether the hosts of an environment have an EFA interface, in a security group that is open to itself.

https://docs.aws.amazon.com/batch/latest/userguide/efa.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.kinds.batch import _network as networks
from reconciler.kinds.batch._network import Network
from reconciler.kinds.batch.compute_environment.launch_template import declared_data
from reconciler.kinds.batch.job_definition.fitting import Ruling
from reconciler.kinds.common.declared import at, entries, items, mapping
from reconciler.model import Path, Resource
from reconciler.model.preflight import Fit, Ground

_EFA: Final = ("efa", "efa-only")


def check(environment: Resource, path: Path, known: Network, ground: Ground) -> Iterator[Ruling]:
    """What the launch template of an environment gives its hosts; ``path`` is the place that requests EFA."""
    template = at(environment.props, "computeResources", "launchTemplate")
    if template is None:
        message = "the environment has no launch template, and so its instances have no EFA interface"
        hint = "add a launch template with networkInterfaces: [{interfaceType: efa}]"
        yield Ruling(check="efa", verdict=Fit.cannot, message=message, path=path, hint=hint)
        return
    data = declared_data(template, ground.declared) if isinstance(template, Mapping) else None
    if data is None:
        yield Ruling(check="efa", verdict=Fit.unknown, message="the launch template is not declared", path=path)
        return
    cards = [card for _, card in entries(data.get("networkInterfaces")) if card.get("interfaceType") in _EFA]
    if not cards:
        message, hint = "the launch template has no EFA interface", "add interfaceType: efa to its networkInterfaces"
        yield Ruling(check="efa", verdict=Fit.cannot, message=message, path=path, hint=hint)
        return
    groups = [one for card in cards for one in items(card.get("groups"))]
    groups = groups or networks.groups_of(environment.props)
    opened = [_open_to_itself(one, known, ground) for one in groups]
    if (True, True) in opened:
        yield Ruling(check="efa", verdict=Fit.fits, message="the instances have an EFA interface", path=path)
    elif None in opened or not opened:
        yield Ruling(check="efa", verdict=Fit.unknown, message="the security group of EFA is not known", path=path)
    else:
        shut = "in from itself" if all(one is not None and not one[0] for one in opened) else "out to itself"
        message = f"no security group of the EFA interface lets everything {shut}"
        hint = "add ingress and egress rules for all protocols that name the group itself: EFA needs both"
        yield Ruling(
            check="efa",
            verdict=Fit.cannot,
            message=message,
            path=path,
            hint=hint,
            certain=False,
            decides=False,  # it starts, and its nodes do not reach each other
        )


def _open_to_itself(value: Any, known: Network, ground: Ground) -> tuple[bool, bool] | None:
    """Whether a group lets everything in from itself, and out to itself; None if that is not known."""
    own = ground.declared.resource(networks.GROUPS, value)
    if own is not None:
        return _names_itself(own, "ingress", ground), _names_itself(own, "egress", ground)
    found = known.groups.get(value) if isinstance(value, str) else None
    return None if found is None else found.open_to_itself


def _names_itself(group: Resource, member: str, ground: Ground) -> bool:
    rules = [rule for _, rule in entries(group.props.get(member)) if str(rule.get("ipProtocol")) == "-1"]
    pairs = [mapping(pair) for rule in rules for pair in items(rule.get("userIdGroupPairs"))]
    return any(ground.declared.resource(networks.GROUPS, pair.get("groupId")) is group for pair in pairs)
