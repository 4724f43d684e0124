"""What reads do not show yet, where the sandbox is told to be late.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html#troubleshoot_general_eventual-consistency
https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
"""

from __future__ import annotations

import json
from typing import Any

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
TAGS = [{"Key": "team", "Value": "hpc"}]


def test_a_new_role_is_not_found_for_a_while_though_its_name_is_taken(sandbox: Any, refused: Any) -> None:
    sandbox.change({"read_lag": 10})
    iam = sandbox.client("iam")
    iam.create_role(RoleName="new", AssumeRolePolicyDocument=TRUST)

    refused("NoSuchEntity", "new", iam.get_role, RoleName="new")
    refused("EntityAlreadyExists", "new", iam.create_role, RoleName="new", AssumeRolePolicyDocument=TRUST)
    assert not iam.list_roles()["Roles"]

    sandbox.advance(11)
    assert iam.get_role(RoleName="new")["Role"]["RoleName"] == "new"
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["new"]


def test_a_new_group_is_neither_shown_nor_found_by_its_id(sandbox: Any, refused: Any) -> None:
    ec2 = sandbox.client("ec2")
    there = len(ec2.describe_security_groups()["SecurityGroups"])
    sandbox.change({"read_lag": 10})
    made = ec2.create_security_group(GroupName="new", Description="d")["GroupId"]
    rule = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]

    assert len(ec2.describe_security_groups()["SecurityGroups"]) == there
    refused("InvalidGroup.NotFound", made, ec2.authorize_security_group_ingress, GroupId=made, IpPermissions=rule)

    sandbox.advance(11)
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=rule)
    assert len(ec2.describe_security_groups()["SecurityGroups"]) == there + 1


def test_tags_are_shown_as_they_were(sandbox: Any) -> None:
    batch = sandbox.client("batch")
    policy = {"fairsharePolicy": {"shareDecaySeconds": 60}}
    arn = batch.create_scheduling_policy(name="p", **policy, tags={"a": "1"})["arn"]
    sandbox.change({"tag_lag": 10})
    sandbox.advance(11)

    def shown() -> dict[str, str]:
        found: dict[str, str] = batch.describe_scheduling_policies(arns=[arn])["schedulingPolicies"][0]["tags"]
        return found

    assert shown() == {"a": "1"}
    batch.tag_resource(resourceArn=arn, tags={"a": "2", "b": "3"})
    assert shown() == {"a": "1"}
    sandbox.advance(11)
    assert shown() == {"a": "2", "b": "3"}


def test_a_new_thing_has_no_tags_yet_and_what_it_launches_with_is_no_tag_of_its_own(sandbox: Any) -> None:
    sandbox.change({"tag_lag": 10})
    ec2, iam = sandbox.client("ec2"), sandbox.client("iam")
    data = {"TagSpecifications": [{"ResourceType": "instance", "Tags": TAGS}]}
    own = [{"ResourceType": "launch-template", "Tags": TAGS}]
    ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData=data, TagSpecifications=own)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=TAGS)

    def tags() -> list[Any]:
        template = ec2.describe_launch_templates(LaunchTemplateNames=["template"])["LaunchTemplates"][0]
        return [template.get("Tags") or [], iam.get_role(RoleName="r")["Role"].get("Tags") or []]

    assert tags() == [[], []]
    version = ec2.describe_launch_template_versions(LaunchTemplateName="template")["LaunchTemplateVersions"][0]
    assert version["LaunchTemplateData"]["TagSpecifications"][0]["Tags"] == TAGS
    sandbox.advance(11)
    assert tags() == [TAGS, TAGS]


def test_at_once_is_what_the_sandbox_comes_with(sandbox: Any) -> None:
    shown = sandbox.settings_json()

    assert (shown["read_lag"], shown["tag_lag"]) == (0, 0)
