"""Which actions, on which resources and with which condition keys, IAM checks for a request."""

import json

import boto3
import pytest

from reconciler.sandbox.iam import reference
from reconciler.sandbox.iam.existing import Existing
from reconciler.sandbox.iam.needs import Asked, needs
from reconciler.sandbox.iam.resources import ROWS
from tests.support.tables import DATA, cases

TABLE = cases(DATA / "iam" / "requests.yaml")
ACCOUNT = "123456789012"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
NOT_HERE = {
    "eks:DescribeCluster",
    "events:PutEvents",
    "iam:PassRole",
    "servicequotas:GetServiceQuota",
    "ssm:StartSession",
}


def whole(arn):
    service = arn.partition(":")[0]
    if arn == "*" or service == "arn":
        return arn
    return f"arn:aws:{service}:{'' if service == 'iam' else 'eu-west-1'}:{ACCOUNT}:{arn.partition(':')[2]}"


def test_the_needs_of_requests(sandbox):
    iam = sandbox.client("iam")
    for name, path in (("service", "/team/"), ("node", "/"), ("fleet", "/")):
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="nodes")
    iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="node")
    existing = Existing(sandbox.account, "eu-west-1")

    for case in TABLE:
        service, _, operation = case["request"].partition(":")
        found = needs(Asked(service, operation, case.get("params", {})), existing)

        told = [(need.action, need.resources[0]) for need in found]
        assert told == [(action, whole(arn)) for action, arn, *_ in case["needs"]], case["request"]
        for need, (_, _, *keys) in zip(found, case["needs"], strict=True):
            assert not need.kind or need.kind in reference.of(need.action)["types"], need
            for key, value in keys[0].items() if keys else ():
                assert need.keys.get(key) == (None if value is None else (value,)), (case["request"], key)


def test_every_action_with_resources_has_a_place_for_their_names():
    limited = {action for action, entry in reference.actions().items() if entry["scope"] != "*"}

    assert limited - set(ROWS) == NOT_HERE
    assert not set(ROWS) - limited


@pytest.mark.parametrize("service", sorted({action.partition(":")[0] for action in ROWS} - {"s3"}))
def test_names_are_where_the_service_has_them(service):
    model = boto3.Session(region_name="eu-west-1")._session.get_service_model(
        {"elasticfilesystem": "efs"}.get(service, service)
    )
    for action, rows in ROWS.items():
        if action.startswith(f"{service}:"):
            members = model.operation_model(action.partition(":")[2]).input_shape.members
            for path in [one for row in rows.split() for one in row.partition("=")[2].split("|")]:
                first = path.partition(".")[0].removesuffix("[]")
                assert path in ("*", "jobs[]", "GroupName") or first in members, (action, path)
