"""How CloudTrail records our own calls: by these two marks `drift --who` says that it was ourselves."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from reconciler import __version__
from reconciler.account.client import AwsClient, Endpoint, connect
from reconciler.model import Call

ROLE = "arn:aws:iam::123456789012:role/ops"
TRUST = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})


def connected(url: str, **role: str) -> AwsClient:
    endpoint = Endpoint(url, "eu-west-1", "test", "test")
    return connect(region="eu-west-1", role={"roleArn": ROLE, **role}, endpoint=endpoint)


@pytest.mark.parametrize(("settings", "session"), [({}, "reconcile"), ({"sessionName": "nightly"}, "nightly")])
def test_user_agent_and_session_name(served: Any, sandbox_url: str, settings: dict[str, str], session: str) -> None:
    boto3.client("iam").create_role(RoleName="ops", AssumeRolePolicyDocument=POLICY)
    everything = "arn:aws:iam::aws:policy/AdministratorAccess"
    boto3.client("iam").attach_role_policy(RoleName="ops", PolicyArn=everything)
    client = connected(sandbox_url, **settings)
    client.call(Call("batch", "CreateSchedulingPolicy", {"name": "p"}))
    client.in_region("us-east-1").call(Call("batch", "CreateSchedulingPolicy", {"name": "q"}))
    served.clock.advance(600)
    by_name = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateSchedulingPolicy"}]}
    for region, name in (("eu-west-1", "p"), ("us-east-1", "q")):
        reply = client.in_region(region).call(Call("cloudtrail", "LookupEvents", by_name))
        (event,) = [json.loads(one["CloudTrailEvent"]) for one in reply["Events"]]

        assert event["requestParameters"] == {"name": name}
        assert event["userIdentity"]["arn"] == f"arn:aws:sts::123456789012:assumed-role/ops/{session}"
        assert event["userAgent"].endswith(f" batch-reconcile/{__version__}")
    assert client.requests["cloudtrail:LookupEvents"] == 2
    assert client.session.region_name == "eu-west-1"
