"""What EC2 tells of networks and of where instance types are offered.

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
    """Its main route table sends everything else to an internet gateway, unless someone has removed that."""
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
    if not any("*" in value for value in filters.get("instance-type", ())):
        return None
    where = call.params.get("LocationType", "region")
    return {
        "InstanceTypeOfferings": [
            {"InstanceType": one["InstanceType"], "LocationType": where, "Location": one["Location"]}
            for one in INSTANCE_TYPE_OFFERINGS[where].get(call.region, ())
            if any(fnmatchcase(one["InstanceType"], value) for value in filters["instance-type"])
            and ("location" not in filters or one["Location"] in filters["location"])
        ]
    }
