"""What lists leave out, keys by alias, and data protection policies in the sandbox, rule by rule.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html
https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
https://docs.aws.amazon.com/sns/latest/api/API_PutDataProtectionPolicy.html
"""

from __future__ import annotations

import json

import pytest

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]})  # fmt: skip
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
TAGS = [{"Key": "a", "Value": "b"}]


@pytest.fixture
def iam(sandbox):
    client = sandbox.client("iam")
    client.create_policy(PolicyName="p", PolicyDocument=DOCUMENT, Description="d", Tags=TAGS)
    boundary = "arn:aws:iam::123456789012:policy/p"
    client.create_role(
        RoleName="r", AssumeRolePolicyDocument=TRUST, Description="d", PermissionsBoundary=boundary, Tags=TAGS
    )
    client.create_instance_profile(InstanceProfileName="ip", Tags=TAGS)
    client.add_role_to_instance_profile(InstanceProfileName="ip", RoleName="r")
    return client


def test_a_policy_is_described_by_itself_alone(iam):
    arn = "arn:aws:iam::123456789012:policy/p"
    listed = iam.list_policies(Scope="Local")["Policies"][0]
    details = iam.get_account_authorization_details(Filter=["LocalManagedPolicy"])["Policies"][0]

    assert iam.get_policy(PolicyArn=arn)["Policy"]["Description"] == "d"
    assert {"Description", "Tags"} & (listed.keys() | details.keys()) == set()
    assert "Document" not in iam.list_policy_versions(PolicyArn=arn)["Versions"][0]


def test_a_role_shows_its_boundary_and_tags_in_details_and_its_description_in_lists(iam):
    listed = next(role for role in iam.list_roles()["Roles"] if role["RoleName"] == "r")
    (details,) = iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]

    assert (listed["Description"], details["Tags"]) == ("d", TAGS)
    assert {"PermissionsBoundary", "Tags"} & listed.keys() == set()
    assert {"Description", "MaxSessionDuration"} & details.keys() == set()


def test_a_profile_shows_its_tags_by_itself_alone(iam):
    profile = iam.get_instance_profile(InstanceProfileName="ip")["InstanceProfile"]
    (details,) = iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]

    assert profile["Tags"] == TAGS
    assert {"Description", "MaxSessionDuration", "Tags"} & profile["Roles"][0].keys() == set()
    assert "Tags" not in details["InstanceProfileList"][0]
    for listed in (iam.list_instance_profiles(), iam.list_instance_profiles_for_role(RoleName="r")):
        assert "Tags" not in listed["InstanceProfiles"][0]


def test_a_repository_keeps_the_key_of_an_alias(sandbox, refused):
    ecr, kms = sandbox.client("ecr"), sandbox.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key)

    def made(name, **encryption):
        given = {"encryptionType": "KMS", **encryption}
        made = ecr.create_repository(repositoryName=name, encryptionConfiguration=given)["repository"]
        return made["encryptionConfiguration"]["kmsKey"]

    assert made("one", kmsKey="alias/mine") == made("two", kmsKey=key) == key
    assert made("three") == made("four") == kms.describe_key(KeyId="alias/aws/ecr")["KeyMetadata"]["Arn"]
    none = {"encryptionType": "KMS", "kmsKey": "alias/none"}
    refused("KmsException", "alias/none", ecr.create_repository, repositoryName="five", encryptionConfiguration=none)


def test_a_topic_has_a_data_protection_policy_until_it_is_emptied(sandbox, refused):
    sns = sandbox.client("sns")
    arn = sns.create_topic(Name="t", DataProtectionPolicy='{"Name": "g"}')["TopicArn"]
    fifo = sns.create_topic(Name="f.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]

    def shown():
        return sns.get_data_protection_policy(ResourceArn=arn)["DataProtectionPolicy"]

    assert shown() == '{"Name": "g"}'
    sns.put_data_protection_policy(ResourceArn=arn, DataProtectionPolicy="")
    assert shown() == ""
    put = sns.put_data_protection_policy
    refused("InvalidParameter", "", put, ResourceArn=arn, DataProtectionPolicy="nope")
    refused("InvalidParameter", "FIFO", put, ResourceArn=fifo, DataProtectionPolicy="{}")
    refused("NotFound", "", put, ResourceArn=f"{arn}x", DataProtectionPolicy="{}")


def test_every_attribute_of_a_topic_is_kept(sandbox):
    sns = sandbox.client("sns")
    given = {"HTTPSuccessFeedbackSampleRate": "5", "MaximumMessageSize": "1024", "KmsMasterKeyId": "alias/a"}
    arn = sns.create_topic(Name="t", Attributes=given)["TopicArn"]

    assert sns.create_topic(Name="t", Attributes=given)["TopicArn"] == arn
    shown = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert {name: shown[name] for name in given} == given
