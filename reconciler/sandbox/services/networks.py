"""Networks in EC2, and where instance types are offered.

Moto's default VPC has no internet gateway, moto compares the values of this filter without wildcards, and it lacks the
tasks that network interfaces are attached to.

https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypeOfferings.html
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from reconciler.sandbox import machines
from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

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
    filters = {one["Name"]: one["Values"] for one in call.params.get("Filters") or []}
    where = call.params.get("LocationType", "region")
    if where not in ("region", "availability-zone") or not filters.keys() <= {"instance-type", "location"}:
        return None
    zones = [one.name for one in call.backend.describe_availability_zones()]
    listed = [
        {"InstanceType": name, "LocationType": where, "Location": place}
        for name, offered in machines.offered(call.region, zones).items()
        if any(fnmatchcase(name, value) for value in filters.get("instance-type", ("*",)))
        for place in (sorted(offered) if where == "availability-zone" else [call.region])
        if place in filters.get("location", (place,))
    ]
    return {"InstanceTypeOfferings": listed}


@RULES.after("DescribeNetworkInterfaces")
def interfaces_of_tasks_are_in_use(call: ServiceCall, result: Json) -> None:
    """ECS has attached them, and is their owner; those of multi-node jobs and Fargate alike."""
    ours = _of_tasks(call)
    for one in result.get("NetworkInterfaces", ()):
        if one["NetworkInterfaceId"] in ours:
            one.update(Status="in-use", RequesterManaged=True)


@RULES.before("DeleteNetworkInterface")
def interfaces_of_tasks_are_not_deleted(call: ServiceCall) -> None:
    """As long as the task does."""
    wanted = call.params["NetworkInterfaceId"]
    if wanted in _of_tasks(call):
        raise Refusal("InvalidParameterValue", f"Network interface '{wanted}' is currently in use.")


def _of_tasks(call: ServiceCall) -> set[str]:
    tasks = call.account.batch_fleet(call.region).tasks.values()
    return {task.interface.id for task in tasks if task.interface is not None and task.stopped is None}
