"""How service environments are right now: one call for up to a hundred of them."""

from __future__ import annotations

from typing import Final

from reconciler.kinds.batch._status import Asking, by_name
from reconciler.model import Json, Reads
from reconciler.model.status import Asked, Capacity, Part, StatusReader


def read(asked: Asked) -> Reads[Part]:
    """The environments in the order in which they are declared."""
    asking = Asking()
    found = yield from asking.described("DescribeServiceEnvironments", "serviceEnvironments", asked.names)
    if found is None:
        return Part(unread=asking.unread)
    known = by_name(found, "serviceEnvironmentName")
    capacities = (_capacity(known[name]) if name in known else Capacity(name=name, live=False) for name in asked.names)
    return Part(capacities=tuple(capacities), unread=asking.unread)


def _capacity(one: Json) -> Capacity:
    limits = one.get("capacityLimits") or ()
    return Capacity(
        name=str(one["serviceEnvironmentName"]),
        type=str(one.get("serviceEnvironmentType") or ""),
        state=str(one.get("state") or ""),
        status=str(one.get("status") or ""),
        limits=tuple(f"{each.get('maxCapacity')} {each.get('capacityUnit')}" for each in limits),
    )


READER: Final = StatusReader(read=read, permissions=("batch:DescribeServiceEnvironments",))
