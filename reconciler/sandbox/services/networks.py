"""Networks in EC2, and where instance types are offered.

Moto's default VPC has no internet gateway, and moto compares the values of this filter without wildcards.

https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypeOfferings.html
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json

RULES = Rules("ec2")


@RULES.before("DescribeRouteTables", "DescribeInternetGateways")
def the_default_vpc_has_an_internet_gateway(call: ServiceCall) -> None:
    """Its main route table sends everything else to an internet gateway, until that is removed."""
    if call.regional.get("default internet gateway"):
        return
    call.regional["default internet gateway"] = True
    backend = call.backend
    for vpc in backend.describe_vpcs(filters={"isDefault": "true"}):
        gateway = backend.create_internet_gateway()
        backend.attach_internet_gateway(gateway.id, vpc.id)
        main = {"vpc-id": [vpc.id], "association.main": ["true"]}
        for table in backend.describe_route_tables(filters=main):
            backend.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)
    call.touch()


@RULES.before("DescribeInstanceTypeOfferings")
def offerings_take_wildcards(call: ServiceCall) -> Json | None:
    """A filter by instance type may have wildcards, as filters of EC2 may."""
    from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS  # noqa: PLC0415  (slow to load)

    filters = {one["Name"]: one["Values"] for one in call.params.get("Filters") or []}
    if not filters.keys() <= {"instance-type", "location"}:
        return None
    where = call.params.get("LocationType", "region")
    listed = INSTANCE_TYPE_OFFERINGS[where].get(call.region) or _everywhere(call, where)
    return {
        "InstanceTypeOfferings": [
            {"InstanceType": one["InstanceType"], "LocationType": where, "Location": one["Location"]}
            for one in listed
            if any(fnmatchcase(one["InstanceType"], value) for value in filters.get("instance-type", ("*",)))
            and ("location" not in filters or one["Location"] in filters["location"])
        ]
    }


def _everywhere(call: ServiceCall, where: str) -> list[Json]:
    """Moto knows the offerings of the standard partition only: in other Regions every zone has every type."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES  # noqa: PLC0415  (slow to load)

    zones = [one.name for one in call.backend.describe_availability_zones()]
    places = {"region": [call.region], "availability-zone": zones}.get(where, [])
    return [{"InstanceType": name, "Location": place} for name in INSTANCE_TYPES for place in places]
