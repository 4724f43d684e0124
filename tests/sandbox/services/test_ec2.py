"""EC2 in the sandbox, rule by rule: security groups, launch templates, key pairs.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroup.html
"""

from __future__ import annotations

import pytest

from reconciler.sandbox.account import AccountSurroundings
from reconciler.sandbox.batch.surroundings import Launch

LINUX = [{"Name": "name", "Values": ["amzn2-ami-hvm-2.*"]}]  # some of the 1,300 images
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@here"


def permission(protocol="tcp", port=8443, cidr="10.0.0.0/8", **more):
    ports = {} if port is None else {"FromPort": port, "ToPort": port}
    ranges = {} if cidr is None else {"IpRanges": [{"CidrIp": cidr}]}
    return {"IpProtocol": protocol, **ports, **ranges, **more}


@pytest.fixture
def ec2(sandbox):
    return sandbox.client("ec2")


@pytest.fixture
def group(ec2):
    def make(name="g", **more):
        return ec2.create_security_group(GroupName=name, Description="d", **more)["GroupId"]

    return make


def shown(ec2, group_id):
    return ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]


def rules(ec2, group_id, *, egress=False):
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group_id]}])
    return [one for one in found["SecurityGroupRules"] if one["IsEgress"] is egress]


def test_there_is_a_default_network(ec2):
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpcs[0]["VpcId"]]}])["Subnets"]

    assert len(vpcs) == 1
    assert len(subnets) == 3
    assert {"available"} == {subnet["State"] for subnet in subnets}


def test_the_default_group_trusts_itself_until_told_otherwise(ec2):
    default = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]
    pair = default["IpPermissions"][0]["UserIdGroupPairs"][0]
    ec2.revoke_security_group_ingress(GroupId=default["GroupId"], IpPermissions=default["IpPermissions"])

    assert default["GroupId"] == pair["GroupId"]
    assert shown(ec2, default["GroupId"])["IpPermissions"] == []


@pytest.mark.parametrize("name", ["sg-mine", "default", "Default", "naïve", "tab\there"])
def test_bad_names_are_refused(ec2, refused, name):
    refused("InvalidParameterValue", "", ec2.create_security_group, GroupName=name, Description="d")


def test_names_are_unique_in_their_vpc_ignoring_case(ec2, group, refused):
    group("Mine")
    other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]

    refused("InvalidGroup.Duplicate", "already exists", ec2.create_security_group, GroupName="mine", Description="d")
    assert group("mine", VpcId=other)


def test_a_group_needs_a_vpc_that_is_there(ec2, refused):
    refused(
        "InvalidVpcID.NotFound",
        "",
        ec2.create_security_group,
        GroupName="g",
        Description="d",
        VpcId="vpc-0123456789abcdef0",
    )


def test_a_group_that_is_not_there(ec2, refused):
    refused("InvalidGroup.NotFound", "", ec2.delete_security_group, GroupId="sg-0123456789abcdef0")
    refused("InvalidGroupId.Malformed", "", ec2.delete_security_group, GroupId="sg-x")
    refused("InvalidGroup.NotFound", "", ec2.describe_security_groups, GroupIds=["sg-0123456789abcdef0"])


def test_the_default_group_cannot_be_deleted(ec2, refused):
    default = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]

    refused("CannotDelete", "cannot be deleted by a user", ec2.delete_security_group, GroupId=default["GroupId"])


def test_a_group_that_an_interface_holds_stays(ec2, group, refused):
    held = group()
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet, Groups=[held])["NetworkInterface"]["NetworkInterfaceId"]

    refused("DependencyViolation", "has a dependent object", ec2.delete_security_group, GroupId=held)
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    ec2.delete_security_group(GroupId=held)


def test_a_group_that_another_names_stays(ec2, group, refused):
    one, two = group("one"), group("two")
    named = permission(cidr=None, UserIdGroupPairs=[{"GroupId": one}])
    ec2.authorize_security_group_ingress(GroupId=two, IpPermissions=[named])

    refused("DependencyViolation", "has a dependent object", ec2.delete_security_group, GroupId=one)
    ec2.revoke_security_group_ingress(GroupId=two, IpPermissions=[named])
    ec2.delete_security_group(GroupId=one)


def test_a_group_that_names_itself_can_go(ec2, group):
    own = group()
    named = permission(cidr=None, UserIdGroupPairs=[{"GroupId": own}])
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=[named])

    ec2.delete_security_group(GroupId=own)


def test_instances_of_a_compute_environment_hold_their_groups(sandbox, ec2, group, refused):
    held = group()
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    world = AccountSurroundings(sandbox.account, "eu-west-1")
    wanted = Launch("compute-0", "AWSBatch-compute-0-asg-1", "m5.large", subnet, (held,))
    instances = [world.launch(wanted) for _ in range(2)]
    holders = ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [held]}])["NetworkInterfaces"]

    assert {one["Attachment"]["InstanceId"] for one in holders} == set(instances)
    refused("DependencyViolation", "", ec2.delete_security_group, GroupId=held)
    for instance in instances:
        world.end(instance, 0, reclaimed=False)
    ec2.delete_security_group(GroupId=held)


def test_a_new_group_lets_everything_out(ec2, group):
    egress = rules(ec2, group(), egress=True)

    assert [(one["IpProtocol"], one["CidrIpv4"], one["FromPort"], one["ToPort"]) for one in egress] == [
        ("-1", "0.0.0.0/0", -1, -1)
    ]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (permission(cidr="100.68.0.18/18"), ("tcp", 8443, 8443, "100.68.0.0/18")),
        (permission("6"), ("tcp", 8443, 8443, "10.0.0.0/8")),
        (permission("17"), ("udp", 8443, 8443, "10.0.0.0/8")),
        (permission("TCP"), ("tcp", 8443, 8443, "10.0.0.0/8")),
        (permission("icmp", None), ("icmp", -1, -1, "10.0.0.0/8")),
        (permission("-1", None), ("-1", -1, -1, "10.0.0.0/8")),
        (permission("-1", 80), ("-1", -1, -1, "10.0.0.0/8")),
    ],
)
def test_rules_are_stored_in_canonical_form(ec2, group, sent, stored):
    own = group()
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=[sent])

    rule = rules(ec2, own)[0]

    assert stored == (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["CidrIpv4"])


def test_ipv6_is_canonical_too(ec2, group):
    own = group()
    sent = permission(cidr=None, Ipv6Ranges=[{"CidrIpv6": "2001:DB8:0::1/32", "Description": "six"}])
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=[sent])

    ranges = shown(ec2, own)["IpPermissions"][0]["Ipv6Ranges"]

    assert ranges == [{"CidrIpv6": "2001:db8::/32", "Description": "six"}]


def test_all_protocols_show_no_ports(ec2, group):
    own = group()
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=[permission("-1", 80)])

    shown_permission = shown(ec2, own)["IpPermissions"][0]

    assert "FromPort" not in shown_permission
    assert "ToPort" not in shown_permission


def test_permissions_with_the_same_ports_come_merged(ec2, group):
    own = group()
    sent = [permission(cidr="10.0.0.0/8"), permission(cidr="172.16.0.0/12")]
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=sent)

    merged = shown(ec2, own)["IpPermissions"]

    assert len(merged) == 1
    assert {"10.0.0.0/8", "172.16.0.0/12"} == {one["CidrIp"] for one in merged[0]["IpRanges"]}


def test_authorizing_is_all_or_nothing(ec2, group, refused):
    own = group()
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=[permission()])

    refused(
        "InvalidPermission.Duplicate",
        "already exists",
        ec2.authorize_security_group_ingress,
        GroupId=own,
        IpPermissions=[permission(port=22), permission(cidr="10.1.2.3/8")],
    )
    assert len(rules(ec2, own)) == 1


def test_the_flat_parameters_of_the_command_line_work(ec2, group):
    own = group()
    ec2.authorize_security_group_ingress(GroupId=own, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.0.0.1/8")

    assert rules(ec2, own)[0]["CidrIpv4"] == "10.0.0.0/8"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (permission(cidr="10.0.0.0/33"), "InvalidParameterValue"),
        (permission(cidr="10.0.0.1"), "InvalidParameterValue"),
        (permission(port=None), "InvalidParameterValue"),
        (permission(port=70000), "InvalidParameterValue"),
        (permission("sctpp"), "InvalidParameterValue"),
        (permission(cidr=None, UserIdGroupPairs=[{"GroupId": "sg-0123456789abcdef0"}]), "InvalidGroup.NotFound"),
    ],
)
def test_rules_that_make_no_sense_are_refused(ec2, group, refused, sent, code):
    refused(code, "", ec2.authorize_security_group_ingress, GroupId=group(), IpPermissions=[sent])


def test_revoking_what_is_not_there_is_forgiven_in_the_default_vpc_only(ec2, group, refused):
    other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    reply = ec2.revoke_security_group_ingress(GroupId=group("here"), IpPermissions=[permission()])

    assert [one["IpProtocol"] for one in reply["UnknownIpPermissions"]] == ["tcp"]
    refused(
        "InvalidPermission.NotFound",
        "",
        ec2.revoke_security_group_ingress,
        GroupId=group("there", VpcId=other),
        IpPermissions=[permission()],
    )


def test_a_description_that_is_left_out_is_removed(ec2, group):
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UpdateSecurityGroupRuleDescriptionsIngress.html"""
    own = group()

    def descriptions() -> set[str | None]:
        (one,) = shown(ec2, own)["IpPermissions"]
        return {peer.get("Description") for peer in (*one["IpRanges"], *one["UserIdGroupPairs"])}

    described = [{"CidrIp": "10.0.0.0/8", "Description": "a"}, {"CidrIp": "10.1.0.0/16", "Description": "b"}]
    peer = [{"GroupId": own, "Description": "c"}]
    sent = permission(cidr=None, IpRanges=described, UserIdGroupPairs=peer)
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=[sent])
    assert descriptions() == {"a", "b", "c"}
    again = [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "10.1.0.0/16", "Description": "d"}]
    sent = permission(cidr=None, IpRanges=again, UserIdGroupPairs=[{"GroupId": own}])
    ec2.update_security_group_rule_descriptions_ingress(GroupId=own, IpPermissions=[sent])

    assert descriptions() == {None, "d"}


def test_revoking_by_rule_id(ec2, group, refused):
    own = group()
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=[permission()])
    rule = rules(ec2, own)[0]["SecurityGroupRuleId"]
    ec2.revoke_security_group_ingress(GroupId=own, SecurityGroupRuleIds=[rule])

    assert rules(ec2, own) == []
    refused(
        "InvalidSecurityGroupRuleId.NotFound",
        "",
        ec2.revoke_security_group_ingress,
        GroupId=own,
        SecurityGroupRuleIds=[rule],
    )


def test_unknown_filters_are_refused(ec2, refused):
    wrong = [{"Name": "grup-name", "Values": ["x"]}]

    refused("InvalidParameterValue", "grup-name", ec2.describe_security_groups, Filters=wrong)


def test_templates_and_versions_are_given_whole_where_moto_would_cut_them_short(ec2):
    for number in range(20):
        ec2.create_launch_template(LaunchTemplateName=f"many-{number}", LaunchTemplateData={"ImageId": "ami-1"})
        ec2.create_launch_template_version(LaunchTemplateName="many-0", LaunchTemplateData={"ImageId": "ami-2"})

    names = {"Name": "launch-template-name", "Values": [f"many-{number}" for number in range(20)]}
    assert len(ec2.describe_launch_templates(Filters=[names])["LaunchTemplates"]) == 20
    versions = ec2.describe_launch_template_versions(LaunchTemplateName="many-0")["LaunchTemplateVersions"]
    assert len(versions) == 21


def test_lists_come_in_pages(sandbox, ec2, group):
    for n in range(4):
        group(f"g{n}")
        ec2.create_launch_template(LaunchTemplateName=f"template-{n}", LaunchTemplateData={"ImageId": "ami-1"})
    sandbox.change({"page_size": 2})

    listed = [
        one for page in ec2.get_paginator("describe_security_groups").paginate() for one in page["SecurityGroups"]
    ]
    templates = ec2.get_paginator("describe_launch_templates").paginate()

    assert len({one["GroupId"] for one in listed}) == 5
    assert len([one for page in templates for one in page["LaunchTemplates"]]) == 4
    assert len(ec2.describe_subnets(MaxResults=5)["Subnets"]) == 2


def test_tags_of_a_template_stay_out_of_its_data(ec2):
    data = {"ImageId": "ami-1", "UserData": "aGVsbG8="}
    ec2.create_launch_template(
        LaunchTemplateName="template",
        LaunchTemplateData=data,
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "b"}]}],
    )

    version = ec2.describe_launch_template_versions(LaunchTemplateName="template")["LaunchTemplateVersions"][0]
    template = ec2.describe_launch_templates()["LaunchTemplates"][0]

    assert data == version["LaunchTemplateData"]
    assert template["Tags"] == [{"Key": "a", "Value": "b"}]


def test_a_source_version_is_merged_under_the_new_data(ec2):
    ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData={"ImageId": "ami-1", "KeyName": "k"})
    ec2.create_launch_template_version(
        LaunchTemplateName="template", SourceVersion="1", LaunchTemplateData={"ImageId": "ami-2"}
    )

    found = ec2.describe_launch_template_versions(LaunchTemplateName="template", Versions=["2"])

    assert found["LaunchTemplateVersions"][0]["LaunchTemplateData"] == {"ImageId": "ami-2", "KeyName": "k"}


def test_template_versions_are_deleted_but_never_the_default(ec2):
    ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData={"ImageId": "ami-1"})
    ec2.create_launch_template_version(LaunchTemplateName="template", LaunchTemplateData={"ImageId": "ami-2"})

    reply = ec2.delete_launch_template_versions(LaunchTemplateName="template", Versions=["1", "2", "7"])

    assert [one["VersionNumber"] for one in reply["SuccessfullyDeletedLaunchTemplateVersions"]] == [2]
    assert [one["VersionNumber"] for one in reply["UnsuccessfullyDeletedLaunchTemplateVersions"]] == [1, 7]


def test_numbers_of_versions_are_never_given_out_again(ec2, refused):
    named = {"LaunchTemplateName": "template"}
    made = ec2.create_launch_template(**named, LaunchTemplateData={"ImageId": "ami-1"})["LaunchTemplate"]
    for n in (2, 3):
        ec2.create_launch_template_version(**named, LaunchTemplateData={"ImageId": f"ami-{n}"})
    ec2.modify_launch_template(**named, DefaultVersion="2")
    ec2.delete_launch_template_versions(**named, Versions=["1", "3"])

    shown = ec2.describe_launch_templates(LaunchTemplateNames=["template"])["LaunchTemplates"][0]
    versions = ec2.describe_launch_template_versions(**named)["LaunchTemplateVersions"]
    latest = ec2.describe_launch_template_versions(**named, Versions=["$Latest"])["LaunchTemplateVersions"]
    new = ec2.create_launch_template_version(**named, LaunchTemplateData={"ImageId": "ami-4"})["LaunchTemplateVersion"]

    assert (shown["LatestVersionNumber"], shown["DefaultVersionNumber"]) == (2, 2)
    assert [one["VersionNumber"] for one in versions] == [one["VersionNumber"] for one in latest] == [2]
    assert versions[0]["LaunchTemplateData"] == {"ImageId": "ami-2"}
    assert new["VersionNumber"] == 4
    gone = "InvalidLaunchTemplateId.VersionNotFound"
    refused(gone, made["LaunchTemplateId"], ec2.describe_launch_template_versions, **named, Versions=["1"])
    refused(gone, made["LaunchTemplateId"], ec2.modify_launch_template, **named, DefaultVersion="3")


def test_too_many_versions_at_once(ec2, refused):
    ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData={"ImageId": "ami-1"})
    many = [str(n) for n in range(201)]
    call = ec2.delete_launch_template_versions

    refused("InvalidParameterValue", "200", call, LaunchTemplateName="template", Versions=many)


def test_a_template_is_found_by_its_tags_which_change(ec2):
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "b"}]}]
    data = {"ImageId": "ami-1"}
    made = ec2.create_launch_template(LaunchTemplateName="one", LaunchTemplateData=data, TagSpecifications=tags)
    ec2.create_launch_template(LaunchTemplateName="two", LaunchTemplateData=data)
    ids = [made["LaunchTemplate"]["LaunchTemplateId"]]
    ec2.create_tags(Resources=ids, Tags=[{"Key": "c", "Value": "d"}])
    ec2.delete_tags(Resources=ids, Tags=[{"Key": "a"}])

    found = ec2.describe_launch_templates(Filters=[{"Name": "tag:c", "Values": ["d"]}])["LaunchTemplates"]
    by_name = ec2.describe_launch_templates(Filters=[{"Name": "launch-template-name", "Values": ["two", "none"]}])

    assert [(one["LaunchTemplateName"], one["Tags"]) for one in found] == [("one", [{"Key": "c", "Value": "d"}])]
    assert [one["LaunchTemplateName"] for one in by_name["LaunchTemplates"]] == ["two"]
    assert ec2.describe_launch_templates(Filters=[{"Name": "tag:a", "Values": ["b"]}])["LaunchTemplates"] == []


@pytest.mark.parametrize(
    ("data", "code"), [("#!/bin/bash", "InvalidUserData.Malformed"), ("YWFh" * 5462, "InvalidParameterValue")]
)
def test_user_data_is_base64_and_small(ec2, refused, data, code):
    wrong = {"LaunchTemplateName": "template", "LaunchTemplateData": {"UserData": data}}

    refused(code, "", ec2.create_launch_template, **wrong)


def test_templates_that_are_not_there(ec2, refused):
    named = "InvalidLaunchTemplateName.NotFoundException"
    by_id = "lt-0123456789abcdef0"

    refused(named, "", ec2.delete_launch_template, LaunchTemplateName="none")
    refused(named, "", ec2.describe_launch_templates, LaunchTemplateNames=["none"])
    refused("InvalidLaunchTemplateId.NotFound", "", ec2.describe_launch_templates, LaunchTemplateIds=[by_id])
    refused("InvalidLaunchTemplateId.NotFound", "", ec2.delete_launch_template, LaunchTemplateId=by_id)


def test_keys_are_imported_and_compared_by_their_text(ec2, refused):
    ec2.import_key_pair(KeyName="k", PublicKeyMaterial=KEY.encode())

    listed = ec2.describe_key_pairs(KeyNames=["k"], IncludePublicKey=True)["KeyPairs"][0]

    assert KEY.split()[1] in listed["PublicKey"]
    assert listed["KeyPairId"].startswith("key-")
    refused("InvalidKeyPair.Duplicate", "", ec2.import_key_pair, KeyName="k", PublicKeyMaterial=KEY.encode())
    refused("InvalidKey.Format", "", ec2.import_key_pair, KeyName="j", PublicKeyMaterial=b"nonsense")
    refused("InvalidKeyPair.NotFound", "", ec2.describe_key_pairs, KeyNames=["j"])
    ec2.delete_key_pair(KeyName="j")


def test_a_key_has_one_fingerprint_whoever_is_asked(ec2):
    made = ec2.import_key_pair(KeyName="k", PublicKeyMaterial=KEY.encode())
    generated = ec2.create_key_pair(KeyName="g", KeyType="ed25519")

    listed = {one["KeyName"]: one["KeyFingerprint"] for one in ec2.describe_key_pairs()["KeyPairs"]}

    assert listed == {"k": made["KeyFingerprint"], "g": generated["KeyFingerprint"]}


@pytest.mark.parametrize("name", ["a b", "ab", "a_b!", "a" * 129])
def test_names_of_templates_have_certain_characters(ec2, refused, name):
    refused(
        "InvalidLaunchTemplateName.MalformedException",
        "",
        ec2.create_launch_template,
        LaunchTemplateName=name,
        LaunchTemplateData={"InstanceType": "m5.large"},
    )


def test_an_instance_needs_a_profile_that_is_there(ec2, refused):
    refused(
        "InvalidParameterValue",
        "Invalid IAM Instance Profile name",
        ec2.run_instances,
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        IamInstanceProfile={"Name": "none"},
    )


def test_the_newest_image_can_be_told(ec2):
    named = [{"Name": "name", "Values": ["amzn2-ami-ecs-gpu-*"]}]
    images = ec2.describe_images(Owners=["amazon"], Filters=named)["Images"]

    newest = max(images, key=lambda image: image["CreationDate"])

    assert newest["CreationDate"][:10].replace("-", "") in newest["Name"]
    assert newest["Name"] == max((image["Name"] for image in images), key=lambda name: name.split(".")[2][:8])


def test_reserved_tags_are_refused(ec2, group, refused):
    refused("InvalidParameterValue", "aws:", ec2.create_tags, Resources=[group()], Tags=[{"Key": "aws:x", "Value": ""}])


def test_instances_of_a_compute_environment_hold_their_placement_group(sandbox, ec2, refused):
    ec2.create_placement_group(GroupName="p", Strategy="cluster")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    world = AccountSurroundings(sandbox.account, "eu-west-1")
    instance = world.launch(Launch("compute-0", "AWSBatch-compute-0-asg-1", "m5.large", subnet, placement="p"))

    refused("InvalidPlacementGroup.InUse", "is in use", ec2.delete_placement_group, GroupName="p")
    world.end(instance, 0, reclaimed=False)
    ec2.delete_placement_group(GroupName="p")


def test_placement_groups(ec2, refused):
    tags = [{"ResourceType": "placement-group", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = ec2.create_placement_group(GroupName="p", Strategy="partition", TagSpecifications=tags)["PlacementGroup"]
    ec2.create_tags(Resources=[made["GroupId"]], Tags=[{"Key": "c", "Value": "d"}])
    ec2.delete_tags(Resources=[made["GroupId"]], Tags=[{"Key": "a"}])

    group = ec2.describe_placement_groups(GroupNames=["p"])["PlacementGroups"][0]

    assert (group["State"], group["Strategy"], group["PartitionCount"]) == ("available", "partition", 2)
    assert group["Tags"] == [{"Key": "c", "Value": "d"}]
    by_tag = ec2.describe_placement_groups(Filters=[{"Name": "tag:c", "Values": ["d"]}])
    assert [one["GroupName"] for one in by_tag["PlacementGroups"]] == ["p"]
    refused("InvalidPlacementGroup.Duplicate", "", ec2.create_placement_group, GroupName="p")
    ec2.delete_placement_group(GroupName="p")
    refused("InvalidPlacementGroup.Unknown", "", ec2.describe_placement_groups, GroupNames=["p"])
    refused("InvalidPlacementGroup.Unknown", "", ec2.delete_placement_group, GroupName="p")


def test_a_placement_group_with_instances_stays(ec2, refused):
    ec2.create_placement_group(GroupName="p", Strategy="cluster")
    image = ec2.describe_images(Filters=LINUX)["Images"][0]["ImageId"]
    run = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, Placement={"GroupName": "p"})
    refused("InvalidPlacementGroup.InUse", "in use", ec2.delete_placement_group, GroupName="p")
    ec2.terminate_instances(InstanceIds=[run["Instances"][0]["InstanceId"]])
    ec2.delete_placement_group(GroupName="p")

    assert ec2.describe_placement_groups()["PlacementGroups"] == []


@pytest.mark.parametrize("member", [{"PartitionCount": 3}, {"SpreadLevel": "rack"}])
def test_placement_groups_take_what_suits_their_strategy(ec2, refused, member):
    call = ec2.create_placement_group

    refused("InvalidParameterCombination", next(iter(member)), call, GroupName="p", Strategy="cluster", **member)


def an_image(ec2):
    """One of those that moto has; to be told all of them takes a second."""
    return ec2.describe_images(Filters=[{"Name": "name", "Values": ["amzn-ami-hvm-*"]}])["Images"][0]["ImageId"]


def test_instances_show_their_cores_and_threads(ec2):
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CpuOptions.html: vCPUs are cores times threads."""
    image = an_image(ec2)
    for kind in ("m5.large", "c7g.large"):
        ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType=kind)
    found = [one for each in ec2.describe_instances()["Reservations"] for one in each["Instances"]]

    assert {one["InstanceType"]: one["CpuOptions"] for one in found} == {
        "m5.large": {"CoreCount": 1, "ThreadsPerCore": 2},
        "c7g.large": {"CoreCount": 2, "ThreadsPerCore": 1},
    }


def test_interfaces_have_the_names_of_their_instance(ec2):
    """https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-instances.html, its first example."""
    image = ec2.describe_images(Filters=LINUX)["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)
    (one,) = ec2.describe_instances()["Reservations"][0]["Instances"]
    (interface,) = one["NetworkInterfaces"]
    (listed,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface["NetworkInterfaceId"]])[
        "NetworkInterfaces"
    ]

    assert one["PublicDnsName"].startswith("ec2-")
    assert one["PrivateDnsName"].endswith(".eu-west-1.compute.internal")
    for each in (interface, interface["PrivateIpAddresses"][0], listed):
        assert each["Association"] == {
            "IpOwnerId": "amazon",
            "PublicDnsName": one["PublicDnsName"],
            "PublicIp": one["PublicIpAddress"],
        }
    assert {interface["PrivateDnsName"], listed["PrivateDnsName"]} == {one["PrivateDnsName"]}


def test_instances_are_launched_by_the_sandboxs_clock(sandbox, ec2):
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html: the time when it was launched."""
    image = an_image(ec2)
    (first,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    sandbox.advance(3600)
    (second,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    found = [one for each in ec2.describe_instances()["Reservations"] for one in each["Instances"]]

    assert 3600 <= (second["LaunchTime"] - first["LaunchTime"]).total_seconds() < 3700
    assert {one["InstanceId"]: one["LaunchTime"] for one in found} == {
        one["InstanceId"]: one["LaunchTime"] for one in (first, second)
    }
