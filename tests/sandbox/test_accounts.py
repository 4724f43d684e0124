"""Several accounts at one endpoint, by access key; and roles that may be assumed although IAM does not have them."""

import pytest
from botocore.exceptions import ClientError

MAIN, OTHER = "123456789012", "111122223333"
ROLE = f"arn:aws:iam::{OTHER}:role/deploy"
TRUST = '{"Version": "2012-10-17", "Statement": []}'


@pytest.fixture
def client(sandbox):
    def make(service, key, token=None):
        keys = {"aws_access_key_id": key, "aws_secret_access_key": "x", "aws_session_token": token}
        return sandbox.session.client(service, region_name="eu-west-1", **keys)

    return make


def test_a_key_of_twelve_digits_is_an_account(sandbox, client):
    for key, account in (("test", MAIN), (MAIN, MAIN), (OTHER, OTHER)):
        assert client("sts", key).get_caller_identity()["Account"] == account
    client("batch", OTHER).create_scheduling_policy(name="theirs")
    client("iam", OTHER).create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)

    for key, found in ((MAIN, []), (OTHER, [f"arn:aws:batch:eu-west-1:{OTHER}:scheduling-policy/theirs"])):
        listed = client("batch", key).list_scheduling_policies()["schedulingPolicies"]
        assert [policy["arn"] for policy in listed] == found
        assert [role["RoleName"] for role in client("iam", key).list_roles()["Roles"]] == ["theirs"] * len(found)
    assert sandbox.accounts == (MAIN, OTHER)
    assert [record.n for record in sandbox.calls] == list(range(1, 10)), "one log, and one clock"

    sandbox.reset()
    assert client("batch", OTHER).list_scheduling_policies()["schedulingPolicies"] == []
    assert client("iam", OTHER).list_roles()["Roles"] == []


def test_an_announced_role_is_assumed_from_its_account_alone(sandbox, client):
    def assume(key):
        return client("sts", key).assume_role(RoleArn=ROLE, RoleSessionName="me", ExternalId="any")["Credentials"]

    with pytest.raises(ClientError, match="AccessDenied"):
        assume(OTHER)
    sandbox.let_assume(ROLE)
    with pytest.raises(ClientError, match="AccessDenied"):
        assume("test")
    got = assume(OTHER)
    keys = (got["AccessKeyId"], got["SessionToken"])

    assert client("sts", *keys).get_caller_identity()["Arn"] == f"arn:aws:sts::{OTHER}:assumed-role/deploy/me"
    client("batch", *keys).create_scheduling_policy(name="p")
    assert len(client("batch", OTHER).list_scheduling_policies()["schedulingPolicies"]) == 1
    assert client("iam", OTHER).list_roles()["Roles"] == []
    with pytest.raises(ValueError, match="not the ARN of a role"):
        sandbox.let_assume("deploy")


def test_settings_and_faults_are_those_of_all_accounts(sandbox, client):
    client("sts", OTHER).get_caller_identity()
    sandbox.change({"shuffle": 7})
    sandbox.faults.add(service="batch", operation="ListSchedulingPolicies", status=400, code="ClientException")

    with pytest.raises(ClientError, match="ClientException"):
        client("batch", OTHER).list_scheduling_policies()
    assert sandbox.of(OTHER).shuffle == 7
    sandbox.defaults()
    assert sandbox.of(OTHER).shuffle is None
