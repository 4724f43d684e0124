"""IAM in the sandbox, rule by rule.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import json

import pytest

from reconciler.sandbox.account import AccountSurroundings

BATCH = "arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole"
ACCOUNT = "123456789012"


def trust(*services, aws=None):
    principal = {"Service": list(services)} if services else {"AWS": aws}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def document(action="s3:*", pad=0):
    statement = {"Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::" + "x" * pad}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


@pytest.fixture
def iam(sandbox):
    return sandbox.client("iam")


@pytest.fixture
def role(iam):
    def make(name="r", **more):
        given = {"AssumeRolePolicyDocument": trust("batch.amazonaws.com"), **more}
        return iam.create_role(RoleName=name, **given)["Role"]

    return make


def test_role_names_are_unique_ignoring_case(iam, role, refused):
    role("Worker")

    refused(
        "EntityAlreadyExists",
        "Role with name worker already exists.",
        iam.create_role,
        RoleName="worker",
        AssumeRolePolicyDocument=trust("ec2.amazonaws.com"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "invalid Json"),
        ("{}", "Syntax errors in policy"),
        (json.dumps({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole"}}), "must contain a principal"),
        (
            json.dumps(
                {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", "Resource": "*"}}
            ),
            "prohibited field Resource",
        ),
        (trust(aws=f"arn:aws:iam::{ACCOUNT}:role/nobody"), 'Invalid principal in policy: "AWS"'),
    ],
)
def test_a_trust_policy_is_checked_on_create_and_update(iam, role, refused, text, message):
    refused("MalformedPolicyDocument", message, iam.create_role, RoleName="x", AssumeRolePolicyDocument=text)
    role("y")
    refused("MalformedPolicyDocument", message, iam.update_assume_role_policy, RoleName="y", PolicyDocument=text)


def test_a_trust_policy_of_another_account_or_of_the_root_is_taken_as_it_is(role):
    role("a", AssumeRolePolicyDocument=trust(aws="arn:aws:iam::999999999999:role/unknown"))
    role("b", AssumeRolePolicyDocument=trust(aws=f"arn:aws:iam::{ACCOUNT}:root"))


def test_a_deleted_principal_is_shown_by_its_id_for_good(iam, role):
    friend = role("friend")
    role("holder", AssumeRolePolicyDocument=trust(aws=friend["Arn"]))
    before = iam.get_role(RoleName="holder")["Role"]["AssumeRolePolicyDocument"]

    iam.delete_role(RoleName="friend")
    role("friend")
    after = iam.get_role(RoleName="holder")["Role"]["AssumeRolePolicyDocument"]
    listed = next(one for one in iam.list_roles()["Roles"] if one["RoleName"] == "holder")
    iam.update_assume_role_policy(RoleName="holder", PolicyDocument=trust(aws=friend["Arn"]))
    written = iam.get_role(RoleName="holder")["Role"]["AssumeRolePolicyDocument"]

    assert friend["Arn"] == before["Statement"][0]["Principal"]["AWS"]
    assert friend["RoleId"] == after["Statement"][0]["Principal"]["AWS"]
    assert after == listed["AssumeRolePolicyDocument"]
    assert friend["Arn"] == written["Statement"][0]["Principal"]["AWS"]


def test_update_role_keeps_what_is_left_out(iam, role):
    role(Description="old", MaxSessionDuration=7200)

    iam.update_role(RoleName="r", Description="new")
    first = iam.get_role(RoleName="r")["Role"]
    iam.update_role(RoleName="r", MaxSessionDuration=3600)
    second = iam.get_role(RoleName="r")["Role"]
    iam.update_role(RoleName="r", Description="")
    third = iam.get_role(RoleName="r")["Role"]

    assert (first["Description"], first["MaxSessionDuration"]) == ("new", 7200)
    assert (second["Description"], second["MaxSessionDuration"]) == ("new", 3600)
    assert not third.get("Description")


def test_attaching_twice_is_fine_and_an_eleventh_policy_is_not(iam, role, refused):
    role()
    arns = [iam.create_policy(PolicyName=f"p{n}", PolicyDocument=document())["Policy"]["Arn"] for n in range(11)]
    for arn in arns[:10]:
        iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    iam.attach_role_policy(RoleName="r", PolicyArn=arns[0])

    refused("LimitExceeded", "PoliciesPerRole: 10", iam.attach_role_policy, RoleName="r", PolicyArn=arns[10])
    assert iam.get_policy(PolicyArn=arns[0])["Policy"]["AttachmentCount"] == 1


def test_detaching_what_is_not_attached_is_no_such_entity(iam, role, refused):
    role()

    refused("NoSuchEntity", "", iam.detach_role_policy, RoleName="r", PolicyArn=BATCH)


def test_an_unknown_policy_cannot_be_attached_or_be_a_boundary(iam, role, refused):
    role()
    arn = f"arn:aws:iam::{ACCOUNT}:policy/none"

    refused("NoSuchEntity", "not attachable", iam.attach_role_policy, RoleName="r", PolicyArn=arn)
    refused("NoSuchEntity", "not attachable", iam.put_role_permissions_boundary, RoleName="r", PermissionsBoundary=arn)


def test_what_belongs_to_service_linked_roles_stays_with_them(iam, role, refused):
    role()
    policy = "arn:aws:iam::aws:policy/aws-service-role/BatchServiceRolePolicy"
    iam.create_service_linked_role(AWSServiceName="batch.amazonaws.com")
    iam.create_instance_profile(InstanceProfileName="p")
    slr = {"InstanceProfileName": "p", "RoleName": "AWSServiceRoleForBatch"}

    refused("PolicyNotAttachable", "Customer Role", iam.attach_role_policy, RoleName="r", PolicyArn=policy)
    refused("UnmodifiableEntity", "protected role", iam.add_role_to_instance_profile, **slr)


def test_inline_policies_have_a_common_limit(iam, role, refused):
    role()
    iam.put_role_policy(RoleName="r", PolicyName="a", PolicyDocument=document(pad=6000))
    iam.put_role_policy(RoleName="r", PolicyName="a", PolicyDocument=document(pad=6000))

    refused(
        "LimitExceeded",
        "Maximum policy size of 10240 bytes exceeded for role r",
        iam.put_role_policy,
        RoleName="r",
        PolicyName="b",
        PolicyDocument=document(pad=6000),
    )


def test_a_role_in_use_cannot_be_deleted(iam, role, refused):
    role()
    iam.create_instance_profile(InstanceProfileName="p")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    refused("DeleteConflict", "remove roles from instance profile first", iam.delete_role, RoleName="r")
    iam.remove_role_from_instance_profile(InstanceProfileName="p", RoleName="r")
    iam.attach_role_policy(RoleName="r", PolicyArn=BATCH)
    refused("DeleteConflict", "detach all policies first", iam.delete_role, RoleName="r")
    iam.detach_role_policy(RoleName="r", PolicyArn=BATCH)
    iam.put_role_policy(RoleName="r", PolicyName="a", PolicyDocument=document())
    refused("DeleteConflict", "delete policies first", iam.delete_role, RoleName="r")
    iam.delete_role_policy(RoleName="r", PolicyName="a")
    iam.delete_role(RoleName="r")

    refused("NoSuchEntity", "The role with name r cannot be found.", iam.get_role, RoleName="r")


def test_policy_names_are_unique_ignoring_case_and_path(iam, refused):
    iam.create_policy(PolicyName="Own", Path="/a/", PolicyDocument=document())

    refused(
        "EntityAlreadyExists",
        "A policy called own already exists.",
        iam.create_policy,
        PolicyName="own",
        Path="/b/",
        PolicyDocument=document(),
    )


def test_a_managed_policy_has_a_size_limit(iam, refused):
    refused(
        "LimitExceeded",
        "PolicySize: 6144",
        iam.create_policy,
        PolicyName="big",
        PolicyDocument=document(pad=6144),
    )


def test_a_policy_that_is_not_json_is_malformed(iam, role, refused):
    role()

    refused("MalformedPolicyDocument", "", iam.create_policy, PolicyName="p", PolicyDocument="nope")
    refused("MalformedPolicyDocument", "", iam.put_role_policy, RoleName="r", PolicyName="p", PolicyDocument="nope")


def test_a_policy_in_use_or_with_versions_cannot_be_deleted(iam, role, refused):
    role()
    arn = iam.create_policy(PolicyName="p", PolicyDocument=document())["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    refused("DeleteConflict", "Cannot delete a policy attached to entities.", iam.delete_policy, PolicyArn=arn)
    iam.detach_role_policy(RoleName="r", PolicyArn=arn)
    iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=arn)
    refused("DeleteConflict", "Cannot delete a policy attached to entities.", iam.delete_policy, PolicyArn=arn)
    iam.delete_role_permissions_boundary(RoleName="r")
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("ec2:*"), SetAsDefault=True)
    refused("DeleteConflict", "more than one version", iam.delete_policy, PolicyArn=arn)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)

    refused("NoSuchEntity", "was not found", iam.delete_policy, PolicyArn=arn)


def test_a_policy_has_five_versions_and_keeps_counting(iam, refused):
    arn = iam.create_policy(PolicyName="p", PolicyDocument=document())["Policy"]["Arn"]
    for n in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(f"a:{n}"), SetAsDefault=True)
    refused("LimitExceeded", "5 versions", iam.create_policy_version, PolicyArn=arn, PolicyDocument=document())
    refused("DeleteConflict", "default version", iam.delete_policy_version, PolicyArn=arn, VersionId="v5")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")

    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document())

    assert made["PolicyVersion"]["VersionId"] == "v6"


def test_what_aws_manages_is_there_and_cannot_be_changed(iam, refused):
    assert iam.get_policy(PolicyArn=BATCH)["Policy"]["PolicyName"] == "AWSBatchServiceRole"
    refused("AccessDenied", "", iam.delete_policy, PolicyArn=BATCH)


@pytest.mark.parametrize(
    "name",
    [
        "service-role/AmazonEC2ContainerServiceforEC2Role",
        "service-role/AmazonECSTaskExecutionRolePolicy",
        "service-role/AmazonEC2SpotFleetTaggingRole",
        "service-role/AWSBatchServiceEventTargetRole",
        "AmazonEC2ContainerRegistryFullAccess",
        "SecretsManagerReadWrite",
        "AmazonSNSFullAccess",
        "aws-service-role/BatchServiceRolePolicy",
    ],
)
def test_the_policies_that_stacks_name_exist(iam, name):
    assert iam.get_policy(PolicyArn=f"arn:aws:iam::aws:policy/{name}")


def test_profile_names_are_unique_ignoring_case(iam, refused):
    iam.create_instance_profile(InstanceProfileName="Profile")

    refused("EntityAlreadyExists", "already exists", iam.create_instance_profile, InstanceProfileName="profile")


def test_a_profile_holds_one_role(iam, role, refused):
    role("a")
    role("b")
    iam.create_instance_profile(InstanceProfileName="p")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="a")

    refused(
        "LimitExceeded",
        "InstanceSessionsPerInstanceProfile: 1",
        iam.add_role_to_instance_profile,
        InstanceProfileName="p",
        RoleName="b",
    )
    refused("NoSuchEntity", "", iam.remove_role_from_instance_profile, InstanceProfileName="p", RoleName="b")
    refused("DeleteConflict", "", iam.delete_instance_profile, InstanceProfileName="p")


def test_a_role_that_is_not_there_joins_no_profile(iam, refused):
    iam.create_instance_profile(InstanceProfileName="p")

    refused(
        "NoSuchEntity",
        "The role with name none cannot be found.",
        iam.add_role_to_instance_profile,
        InstanceProfileName="p",
        RoleName="none",
    )
    refused("NoSuchEntity", "Instance Profile q cannot be found.", iam.get_instance_profile, InstanceProfileName="q")


def test_profile_tags_are_listed(iam):
    iam.create_instance_profile(InstanceProfileName="p", Tags=[{"Key": "b", "Value": "1"}])
    iam.tag_instance_profile(InstanceProfileName="p", Tags=[{"Key": "a", "Value": "2"}])

    tags = iam.list_instance_profile_tags(InstanceProfileName="p")["Tags"]

    assert tags == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "1"}]


def test_service_linked_roles_have_their_names_and_are_made_once(iam, refused):
    made = iam.create_service_linked_role(AWSServiceName="batch.amazonaws.com")["Role"]

    assert made["RoleName"] == "AWSServiceRoleForBatch"
    assert f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch" == made["Arn"]
    assert made["Arn"] == iam.get_role(RoleName="AWSServiceRoleForBatch")["Role"]["Arn"]
    refused(
        "InvalidInput",
        "has been taken in this account, please try a different suffix",
        iam.create_service_linked_role,
        AWSServiceName="batch.amazonaws.com",
    )


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("ecs.amazonaws.com", "AWSServiceRoleForECS"),
        ("spot.amazonaws.com", "AWSServiceRoleForEC2Spot"),
        ("spotfleet.amazonaws.com", "AWSServiceRoleForEC2SpotFleet"),
    ],
)
def test_other_services_roles(iam, service, name):
    assert name == iam.create_service_linked_role(AWSServiceName=service)["Role"]["RoleName"]


def test_a_service_linked_role_cannot_be_changed(iam, refused):
    iam.create_service_linked_role(AWSServiceName="batch.amazonaws.com")
    name = "AWSServiceRoleForBatch"

    refused("UnmodifiableEntity", "protected role", iam.delete_role, RoleName=name)
    refused("UnmodifiableEntity", "protected role", iam.attach_role_policy, RoleName=name, PolicyArn=BATCH)


def test_tag_keys_ignore_case_and_aws_is_reserved(iam, role, refused):
    role(Tags=[{"Key": "Team", "Value": "a"}])
    iam.tag_role(RoleName="r", Tags=[{"Key": "team", "Value": "b"}])

    assert iam.get_role(RoleName="r")["Role"]["Tags"] == [{"Key": "team", "Value": "b"}]
    refused("InvalidInput", "aws:", iam.tag_role, RoleName="r", Tags=[{"Key": "aws:x", "Value": "b"}])
    twice = [{"Key": "x", "Value": "1"}, {"Key": "X", "Value": "2"}]
    refused("InvalidInput", "Duplicate tag keys", iam.tag_role, RoleName="r", Tags=twice)


def test_fifty_tags_are_the_limit(iam, role, refused):
    role(Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])

    iam.tag_role(RoleName="r", Tags=[{"Key": "k0", "Value": "again"}])
    refused("LimitExceeded", "", iam.tag_role, RoleName="r", Tags=[{"Key": "more", "Value": ""}])


def test_lists_come_in_pages(sandbox, iam, role):
    for n in range(5):
        role(f"r{n}")
        iam.create_instance_profile(InstanceProfileName=f"p{n}")
        iam.put_role_policy(RoleName="r0", PolicyName=f"i{n}", PolicyDocument=document())
        iam.create_policy(PolicyName=f"m{n}", PolicyDocument=document())
    sandbox.change({"page_size": 2})

    first = iam.list_instance_profiles()
    details = iam.get_paginator("get_account_authorization_details").paginate(Filter=["Role", "LocalManagedPolicy"])
    pages = list(details)

    assert (len(first["InstanceProfiles"]), first["IsTruncated"]) == (2, True)
    for operation, key in (("list_instance_profiles", "InstanceProfiles"), ("list_roles", "Roles")):
        listed = [one for page in iam.get_paginator(operation).paginate() for one in page[key]]
        assert len(listed) == 5
    inline = iam.get_paginator("list_role_policies").paginate(RoleName="r0")
    assert {f"i{n}" for n in range(5)} == {name for page in inline for name in page["PolicyNames"]}
    assert all(len(page["RoleDetailList"]) + len(page["Policies"]) <= 2 for page in pages)
    assert {f"r{n}" for n in range(5)} == {one["RoleName"] for page in pages for one in page["RoleDetailList"]}
    assert {f"m{n}" for n in range(5)} == {one["PolicyName"] for page in pages for one in page["Policies"]}


def test_a_made_up_marker_is_refused(iam, refused):
    refused("ValidationError", "Invalid Marker", iam.list_instance_profiles, Marker="nonsense")


def test_a_new_role_is_there_but_not_usable_yet(sandbox, role):
    arn = role()["Arn"]
    world = AccountSurroundings(sandbox.account, "eu-west-1")

    early = world.role(arn)
    sandbox.advance(8)
    late = world.role(arn)

    assert early is not None
    assert late is not None
    assert (early.usable, late.usable) == (False, True)
    assert frozenset({"batch.amazonaws.com"}) == late.trusts


def test_an_attachment_and_a_profile_take_a_moment_too(sandbox, iam, role):
    arn = role()["Arn"]
    profile = iam.create_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Arn"]
    world = AccountSurroundings(sandbox.account, "eu-west-1")
    sandbox.advance(60)
    iam.attach_role_policy(RoleName="r", PolicyArn=BATCH)
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")

    early = world.role(arn), world.instance_profile(profile), world.instance_profile("p")
    sandbox.advance(8)
    late = world.role(arn), world.instance_profile(profile)

    assert [one.usable for one in early] == [False, False, False]
    assert [one.usable for one in late] == [True, True]
    assert frozenset({BATCH}) == late[0].policies
    assert arn == late[1].role_arn


def test_iam_itself_may_refuse_what_is_new(sandbox, iam, role, refused):
    sandbox.change({"iam_refuses_fresh": True})
    arn = role()["Arn"]
    iam.create_instance_profile(InstanceProfileName="p")
    joined = {"InstanceProfileName": "p", "RoleName": "r"}

    refused("NoSuchEntity", "The role with name r cannot be found.", iam.add_role_to_instance_profile, **joined)
    refused(
        "MalformedPolicyDocument",
        "Invalid principal in policy",
        iam.create_role,
        RoleName="q",
        AssumeRolePolicyDocument=trust(aws=arn),
    )
    sandbox.advance(8)
    iam.add_role_to_instance_profile(**joined)
    role("q", AssumeRolePolicyDocument=trust(aws=arn))


def test_a_role_that_is_known_stays_known_when_it_is_changed(sandbox, iam, role):
    sandbox.change({"iam_refuses_fresh": True})
    arn = role()["Arn"]
    sandbox.advance(8)

    for _ in range(2):
        iam.update_assume_role_policy(RoleName="r", PolicyDocument=trust(aws=arn))


def test_only_a_role_that_is_there_and_trusts_the_account_is_assumed(sandbox, role, refused):
    sts = sandbox.client("sts")
    assume = {"RoleSessionName": "session"}
    role("service")
    arn = role("ours", AssumeRolePolicyDocument=trust(aws=f"arn:aws:iam::{ACCOUNT}:root"))["Arn"]

    for name in ("none", "service"):
        missing = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        refused("AccessDenied", "is not authorized to perform", sts.assume_role, RoleArn=missing, **assume)
    assert ":assumed-role/ours/session" in sts.assume_role(RoleArn=arn, **assume)["AssumedRoleUser"]["Arn"]
