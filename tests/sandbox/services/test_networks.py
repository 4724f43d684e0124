"""Networks, offerings and quotas in the sandbox, as AWS shows them to a reader.

https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html
https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
"""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError


def test_the_default_vpc_reaches_the_internet(sandbox):
    ec2 = sandbox.client("ec2")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    own = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    found = {table["VpcId"]: table["Routes"] for table in ec2.describe_route_tables()["RouteTables"]}
    routes = {route["DestinationCidrBlock"]: route["GatewayId"] for route in found[vpc["VpcId"]]}
    assert routes["0.0.0.0/0"].startswith("igw-")
    assert [route["GatewayId"] for route in found[own]] == ["local"]
    assert len(ec2.describe_route_tables()["RouteTables"]) == 2
    (gateway,) = ec2.describe_internet_gateways()["InternetGateways"]
    assert gateway["InternetGatewayId"] == routes["0.0.0.0/0"]


def test_offerings_are_found_by_pattern(sandbox):
    def offered(*values, region=None, location="availability-zone"):
        ec2 = sandbox.client("ec2", region)
        filters = [{"Name": "instance-type", "Values": list(values)}]
        listed = ec2.describe_instance_type_offerings(LocationType=location, Filters=filters)["InstanceTypeOfferings"]
        return {(one["InstanceType"], one["Location"]) for one in listed}

    assert ("g4dn.xlarge", "eu-west-1a") in offered("g4dn.*")
    assert {name for name, _ in offered("m5.large")} == {"m5.large"}
    assert offered("m9z.*") == set()
    assert offered("m5.large", location="region") == {("m5.large", "eu-west-1")}
    assert {place for _, place in offered("m5.large", region="cn-north-1")} >= {"cn-north-1a", "cn-north-1b"}


def test_quotas_are_those_that_limit_instances(sandbox):
    quotas = sandbox.client("service-quotas")

    def value(code):
        return quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"]

    before = sandbox.batch_settings.vcpu_quotas
    sandbox.batch_settings.vcpu_quotas = {"g*": 0, "m5.*": 8}
    assert [value(code) for code in ("L-DB2E81BA", "L-3819A6DF", "L-1216C47A")] == [0, 0, 8]
    assert value("L-417A185B") >= 1000
    sandbox.batch_settings.vcpu_quotas = before
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        value("L-00000000")
    assert quotas.list_service_quotas(ServiceCode="batch")["Quotas"] == []
    assert sandbox.client("ecr").describe_pull_through_cache_rules()["pullThroughCacheRules"] == []
