"""Security groups: rules one by one, however they were written; ids only AWS knows."""

from __future__ import annotations

import pytest

from reconciler.kinds.ec2.security_group import rules
from reconciler.kinds.ec2.security_group.kind import IN_USE_PATIENCE, KIND
from reconciler.model import OWNER_TAG, Address, Call, Effect, Later, On, Sought, Wait
from tests.support.service_kinds import (
    SOMETHING,
    TAGS,
    changed,
    differs,
    found,
    indexed,
    read,
    want,
    withstands_expressions,
)

ID, VPC = "sg-0aaa", "vpc-0abc"
ME = Later(Address("securityGroups", "x"), "id")
FRESH = (On("InvalidGroup.NotFound"),)
DUPLICATE = (On("InvalidPermission.Duplicate"),)
NO_RULE = (On("InvalidSecurityGroupRuleId.NotFound"), On("InvalidPermission.NotFound"))
ALL_OUT = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
ALL_OUT_6 = {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}


def bundle(protocol, low=None, high=None, **sources):
    """A bundle as DescribeSecurityGroups shows it: every list there, empty or not."""
    empty = {"IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
    ports = {} if low is None else {"FromPort": low, "ToPort": low if high is None else high}
    return {"IpProtocol": protocol, **ports, **empty, **sources}


def described(ingress=(), egress=None, **more):
    return {
        "GroupId": ID,
        "GroupName": "x",
        "Description": "x",
        "VpcId": VPC,
        "OwnerId": "123456789012",
        "SecurityGroupArn": f"arn:aws:ec2:eu-west-1:123456789012:security-group/{ID}",
        "IpPermissions": list(ingress),
        "IpPermissionsEgress": [bundle("-1", IpRanges=[{"CidrIp": "0.0.0.0/0"}])] if egress is None else list(egress),
        "Tags": TAGS,
        **more,
    }


def groups(name, *values):
    filters = {"Filters": [{"Name": name, "Values": list(values)}]}
    return Call("ec2", "DescribeSecurityGroups", filters, all_pages=True)


def rules_of(*ids):
    filters = {"Filters": [{"Name": "group-id", "Values": list(ids)}]}
    return Call("ec2", "DescribeSecurityGroupRules", filters, all_pages=True)


DEFAULT_VPC = (
    Call("ec2", "DescribeVpcs", {"Filters": [{"Name": "is-default", "Values": ["true"]}]}, all_pages=True),
    {"Vpcs": [{"VpcId": VPC, "IsDefault": True}]},
)


def live(ingress=(), egress=None, rule_items=()):
    rounds = [[(groups("group-name", "x"), {"SecurityGroups": [described(ingress, egress)]}), DEFAULT_VPC]]
    (one,) = read(KIND, rounds, "x", spare=[(rules_of(ID), {"SecurityGroupRules": list(rule_items)})])
    return one


def allow(direction, *bundles, group=ID):
    return [
        Call(
            "ec2",
            f"AuthorizeSecurityGroup{direction}",
            {"GroupId": group, "IpPermissions": [one]},
            retry_on=FRESH,
            ok_if=DUPLICATE,
        )
        for one in bundles
    ]


def revoke(direction, group=ID, **given):
    return Call("ec2", f"RevokeSecurityGroup{direction}", {"GroupId": group, **given}, retry_on=FRESH, ok_if=NO_RULE)


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_live_group_is_in_yamls_shape_with_the_ids_of_its_rules():
    item = {
        "SecurityGroupRuleId": "sgr-1",
        "GroupId": ID,
        "IsEgress": False,
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "CidrIpv4": "10.0.0.0/8",
        "Tags": [],
    }

    one = live([bundle("tcp", 22, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "d"}])], rule_items=[item])

    assert one.attrs == {"name": "x", "id": ID, "arn": f"arn:aws:ec2:eu-west-1:123456789012:security-group/{ID}"}
    assert one.props["vpcId"] == VPC
    assert one.props["ingress"][0]["ipRanges"] == [{"cidrIp": "10.0.0.0/8", "description": "d"}]
    assert one.extra["ruleIds"] == {"ingress": {"tcp 22 10.0.0.0/8": "sgr-1"}, "egress": {}}
    assert one.owner == "e"


def test_of_several_groups_of_one_name_the_one_in_the_wanted_vpc_is_meant():
    elsewhere = described(GroupId="sg-0bbb", VpcId="vpc-0def", Tags=[])
    reply = {"SecurityGroups": [elsewhere, described()]}

    def ids(vpcs, sought):
        first = [(groups("group-name", "x"), reply), *([DEFAULT_VPC] if vpcs else [])]
        return [one.attrs["id"] for one in read(KIND, [first], sought)]

    assert ids(False, Sought("x", {"vpcId": "vpc-0def"})) == ["sg-0bbb"]
    assert ids(True, Sought("x", {"ingress": []})) == [ID]
    assert ids(True, Sought("x")) == [ID]
    assert ids(False, Sought("x", {"vpcId": SOMETHING})) == [ID, "sg-0bbb"]


def test_a_name_that_is_only_referred_to_may_be_in_any_vpc():
    elsewhere = described(GroupId="sg-0bbb", VpcId="vpc-0def", Tags=[])
    rounds = [[(groups("group-name", "x"), {"SecurityGroups": [elsewhere]}), DEFAULT_VPC]]

    assert [one.attrs["id"] for one in read(KIND, rounds, "x")] == ["sg-0bbb"]
    assert read(KIND, [rounds[0]], Sought("x", {"ingress": []})) == []


def test_what_is_owned_is_found_by_its_tag_whatever_its_name_and_vpc():
    mine = described(GroupName="x-1a2b3c", VpcId="vpc-0def")
    rounds = [
        [(groups(f"tag:{OWNER_TAG}", "e"), {"SecurityGroups": [mine]})],
        [(rules_of(ID), {"SecurityGroupRules": []})],
    ]
    proposed = indexed(f"arn:aws:ec2:eu-west-1:123456789012:security-group/{ID}")

    assert [one.physical for one in read(KIND, [[proposed], *rounds], owned=True)] == ["x-1a2b3c"]
    assert [one.physical for one in read(KIND, rounds, owned=True, indexed=False)] == ["x-1a2b3c"]
    assert read(KIND, [[indexed()]], owned=True) == []


def test_the_ids_of_rules_are_asked_for_only_where_some_have_to_go():
    ssh, web = (bundle("tcp", port, IpRanges=[{"CidrIp": "10.0.0.0/8"}]) for port in (22, 443))
    first = [(groups("group-name", "x"), {"SecurityGroups": [described([ssh, web])]}), DEFAULT_VPC]
    ids = [(rules_of(ID), {"SecurityGroupRules": []})]
    some = [{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "ipRanges": [{"cidrIp": "10.0.0.0/8"}]}]
    all_of_them = [*some, {**some[0], "fromPort": 443, "toPort": 443}]

    assert read(KIND, [first], Sought("x", {"ingress": all_of_them}))
    assert read(KIND, [first, ids], Sought("x", {"ingress": some}))


# --- comparing -------------------------------------------------------------------------------------------------------

LIVE_RULES = [
    bundle("-1", UserIdGroupPairs=[{"GroupId": ID, "UserId": "123456789012"}]),
    bundle("icmp", -1, IpRanges=[{"CidrIp": "0.0.0.0/0"}]),
    bundle(
        "tcp",
        8443,
        IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "office"}, {"CidrIp": "100.68.0.0/18"}],
        Ipv6Ranges=[{"CidrIpv6": "2001:db8::/32"}],
        PrefixListIds=[{"PrefixListId": "pl-1"}],
    ),
    bundle(
        "udp", 53, 54, UserIdGroupPairs=[{"GroupId": "sg-0fff", "UserId": "999999999999", "PeeringStatus": "active"}]
    ),
    bundle("50", IpRanges=[{"CidrIp": "10.0.0.0/8"}]),
]


@pytest.mark.parametrize(
    "ingress",
    [
        [
            {"protocol": "all", "port": 22, "group": ID},
            {"protocol": 1, "cidr": "0.0.0.0/0"},
            {"protocol": "TCP", "port": "8443", "cidr": "10.20.0.0/8", "description": "office"},
            {"protocol": "tcp", "port": 8443, "cidr": ["100.68.0.18/18", "2001:DB8:0::1/32"]},
            {"protocol": "tcp", "fromPort": 8443, "toPort": 8443, "prefixListIds": [{"prefixListId": "pl-1"}]},
            {
                "ipProtocol": "17",
                "fromPort": 53,
                "toPort": "54",
                "userIdGroupPairs": [{"groupId": "sg-0fff", "userId": "999999999999"}],
            },
            {"protocol": 50, "cidr": "10.0.0.0/8"},
        ],
        [
            {
                "ipProtocol": "6",
                "fromPort": 8443,
                "toPort": 8443,
                "ipRanges": [{"cidrIp": "100.68.0.0/18"}, {"cidrIp": "10.0.0.0/8", "description": "office"}],
                "prefixListIds": [{"prefixListId": "pl-1"}],
                "ipv6Ranges": [{"cidrIpv6": "2001:db8::/32", "description": ""}],
            },
            {"ipProtocol": -1, "userIdGroupPairs": [{"groupId": ID, "userId": "123456789012", "groupName": "x"}]},
            {"ipProtocol": "50", "ipRanges": [{"cidrIp": "10.0.0.0/8"}]},
            {"ipProtocol": "icmp", "fromPort": -1, "toPort": -1, "ipRanges": [{"cidrIp": "0.0.0.0/0"}]},
            {
                "protocol": "udp",
                "port": "53-54",
                "userIdGroupPairs": [{"groupId": "sg-0fff", "userId": "999999999999"}],
            },
        ],
    ],
    ids=["short", "bundles"],
)
def test_rules_are_the_same_however_they_are_written_and_bundled(ingress):
    assert differs(KIND, live(LIVE_RULES), want(KIND, ingress=ingress)) == {}


def test_what_was_described_can_be_pasted():
    pasted = live(LIVE_RULES).props

    assert differs(KIND, live(LIVE_RULES), want(KIND, **pasted)) == {}


def test_a_group_that_names_itself_is_known_by_its_id_as_soon_as_it_is_there():
    ingress = [{"ipProtocol": "-1", "userIdGroupPairs": [{"groupId": ME}]}]

    assert differs(KIND, live([LIVE_RULES[0]]), want(KIND, ingress=ingress)) == {}


def test_egress_left_out_is_awss_own_rule_with_or_without_ipv6():
    both = [bundle("-1", IpRanges=[{"CidrIp": "0.0.0.0/0"}], Ipv6Ranges=[{"CidrIpv6": "::/0"}])]

    assert differs(KIND, live(), want(KIND)) == {}
    assert differs(KIND, live(egress=both), want(KIND)) == {}
    assert differs(KIND, live(egress=[]), want(KIND)) == {
        "egress.0.ipProtocol": ("missing", "-1"),
        "egress.0.ipRanges.0.cidrIp": ("missing", "0.0.0.0/0"),
    }


def test_declared_egress_is_all_there_may_be():
    both = [bundle("-1", IpRanges=[{"CidrIp": "0.0.0.0/0"}], Ipv6Ranges=[{"CidrIpv6": "::/0"}])]
    rule = {"protocol": -1, "cidr": "0.0.0.0/0"}

    assert differs(KIND, live(egress=[]), want(KIND, egress=[])) == {}
    assert differs(KIND, live(), want(KIND, egress=[])).keys() == {"egress.0.ipProtocol", "egress.0.ipRanges.0.cidrIp"}
    assert differs(KIND, live(), want(KIND, egress=[rule])) == {}
    assert differs(KIND, live(egress=both), want(KIND, egress=[rule])).keys() == {
        "egress.1.ipProtocol",
        "egress.1.ipv6Ranges.0.cidrIpv6",
    }


def test_name_vpc_and_description_are_for_ever_and_only_count_where_they_are_declared():
    assert differs(KIND, live(), want(KIND)) == {}
    assert differs(KIND, live(), want(KIND, description="y", vpcId="vpc-0def")) == {
        "description": ("x", "y"),
        "vpcId": (VPC, "vpc-0def"),
    }
    assert {KIND.fields[name].effect for name in ("description", "vpcId")} == {Effect.REPLACE}


@pytest.mark.parametrize(
    ("declared", "paths"),
    [
        ({"protocol": "tcp", "port": 23, "cidr": "10.0.0.0/8"}, {"fromPort", "toPort"}),
        ({"protocol": "udp", "port": 22, "cidr": "10.0.0.0/8"}, {"ipProtocol"}),
        ({"protocol": "tcp", "port": 22, "cidr": "11.0.0.0/8"}, {"ipRanges.0.cidrIp"}),
        ({"protocol": "tcp", "port": 22, "cidr": "10.0.0.0/8", "description": "d"}, {"ipRanges.0.description"}),
        ({"protocol": "tcp", "port": 22, "group": "sg-0f"}, {"ipRanges.0.cidrIp", "userIdGroupPairs.0.groupId"}),
    ],
)
def test_a_changed_rule_shows_what_changed_in_it(declared, paths):
    one = live(
        [bundle("tcp", 22, IpRanges=[{"CidrIp": "10.0.0.0/8"}]), bundle("tcp", 80, IpRanges=[{"CidrIp": "1.2.3.4/32"}])]
    )
    kept = {"protocol": "tcp", "port": 80, "cidr": "1.2.3.4/32"}

    found_paths = differs(KIND, one, want(KIND, ingress=[declared, kept])).keys()

    assert {path.split(".", 2)[2] for path in found_paths} == paths


# --- writing ---------------------------------------------------------------------------------------------------------


def test_create_with_defaults_needs_one_call():
    assert KIND.create(want(KIND)) == [
        Call(
            "ec2",
            "CreateSecurityGroup",
            {
                "GroupName": "x",
                "Description": "x",
                "TagSpecifications": [{"ResourceType": "security-group", "Tags": TAGS}],
            },
            captures={"id": "GroupId", "arn": "SecurityGroupArn"},
        )
    ]


def test_create_waits_for_the_rule_that_goes_and_adds_one_rule_per_call():
    wanted = want(
        KIND,
        description="d",
        vpcId=VPC,
        ingress=[
            {"protocol": "tcp", "port": 22, "cidr": ["10.0.0.0/8", "::1/128"], "description": "ssh"},
            {"protocol": -1, "group": ME},
        ],
        egress=[{"protocol": "tcp", "port": 443, "cidr": "0.0.0.0/0"}],
    )

    made, appeared, *rest = KIND.create(wanted)

    assert made.params["Description"] == "d"
    assert made.params["VpcId"] == VPC
    assert isinstance(appeared, Wait)
    assert appeared.read.params == {"Filters": [{"Name": "group-id", "Values": [ME]}]}
    https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    assert rest == [
        *allow("Egress", https, group=ME),
        revoke("Egress", ME, IpPermissions=[ALL_OUT]),
        revoke("Egress", ME, IpPermissions=[ALL_OUT_6]),
        *allow(
            "Ingress",
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": ME}]},
            {**ssh, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "ssh"}]},
            {**ssh, "Ipv6Ranges": [{"CidrIpv6": "::1/128", "Description": "ssh"}]},
            group=ME,
        ),
    ]


def test_create_keeps_awss_rule_where_it_is_declared_and_describes_it():
    rule = {"protocol": "all", "cidr": "0.0.0.0/0", "description": "out"}

    _, _, described_, revoked = KIND.create(want(KIND, egress=[rule]))

    assert described_ == Call(
        "ec2",
        "UpdateSecurityGroupRuleDescriptionsEgress",
        {
            "GroupId": ME,
            "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "out"}]}],
        },
        retry_on=FRESH,
    )
    assert revoked == revoke("Egress", ME, IpPermissions=[ALL_OUT_6])


def test_update_adds_first_then_describes_then_takes_away_by_id():
    item = {
        "SecurityGroupRuleId": "sgr-1",
        "GroupId": ID,
        "IsEgress": False,
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "CidrIpv4": "10.0.0.0/8",
    }
    one = live(
        [
            bundle("tcp", 22, IpRanges=[{"CidrIp": "10.0.0.0/8"}]),
            bundle("tcp", 23, IpRanges=[{"CidrIp": "10.0.0.0/8"}]),
            bundle("tcp", 80, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "old"}]),
        ],
        rule_items=[item],
    )
    ingress = [
        {"protocol": "tcp", "port": 80, "cidr": "10.0.0.0/8", "description": "new"},
        {"protocol": "tcp", "port": 443, "cidr": "10.0.0.0/8"},
        {"protocol": -1, "group": ME},
    ]

    def tcp(port, **more):
        return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/8", **more}]}

    assert changed(KIND, one, want(KIND, ingress=ingress, egress=[])) == [
        *allow("Ingress", {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": ID}]}, tcp(443)),
        Call(
            "ec2",
            "UpdateSecurityGroupRuleDescriptionsIngress",
            {"GroupId": ID, "IpPermissions": [tcp(80, Description="new")]},
            retry_on=FRESH,
        ),
        revoke("Ingress", SecurityGroupRuleIds=["sgr-1"]),
        revoke("Ingress", IpPermissions=[tcp(23)]),
        revoke("Egress", IpPermissions=[ALL_OUT]),
    ]


def test_a_description_is_taken_away_by_saying_none():
    one = live([bundle("tcp", 80, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "old"}])])

    (call,) = changed(KIND, one, want(KIND, ingress=[{"protocol": "tcp", "port": 80, "cidr": "10.0.0.0/8"}]))

    assert call.operation == "UpdateSecurityGroupRuleDescriptionsIngress"
    assert call.params["IpPermissions"][0]["IpRanges"] == [{"CidrIp": "10.0.0.0/8"}]


def test_delete_lets_go_of_other_groups_first_and_waits_for_interfaces():
    item = {
        "SecurityGroupRuleId": "sgr-7",
        "GroupId": ID,
        "IsEgress": False,
        "IpProtocol": "-1",
        "ReferencedGroupInfo": {"GroupId": "sg-0bbb", "UserId": "123456789012"},
    }
    pairs = [{"GroupId": ID, "UserId": "123456789012"}, {"GroupId": "sg-0bbb", "UserId": "123456789012"}]
    one = live(
        [bundle("-1", UserIdGroupPairs=pairs)],
        [bundle("tcp", 1, UserIdGroupPairs=[{"GroupId": "sg-0ccc", "UserId": "123456789012"}])],
        rule_items=[item],
    )
    gone = Call(
        "ec2",
        "DeleteSecurityGroup",
        {"GroupId": ID},
        retry_on=(On("DependencyViolation"), On("InvalidGroup.InUse")),
        ok_if=FRESH,
        patience=IN_USE_PATIENCE,
    )
    ok_if = (*NO_RULE, *FRESH)
    outward = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": "sg-0ccc"}]}

    assert KIND.delete(one, {}) == [
        Call("ec2", "RevokeSecurityGroupIngress", {"GroupId": ID, "SecurityGroupRuleIds": ["sgr-7"]}, ok_if=ok_if),
        Call("ec2", "RevokeSecurityGroupEgress", {"GroupId": ID, "IpPermissions": [outward]}, ok_if=ok_if),
        gone,
    ]
    assert KIND.delete(live(), {}) == [gone]


def test_tags_go_by_id():
    assert KIND.tag(live(), {"a": "b"}, ["c"]) == [
        Call("ec2", "DeleteTags", {"Resources": [ID], "Tags": [{"Key": "c"}]}),
        Call("ec2", "CreateTags", {"Resources": [ID], "Tags": [{"Key": "a", "Value": "b"}]}, retry_on=FRESH),
    ]


# --- declarations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("short", "plain"),
    [
        (
            {"protocol": "tcp", "port": 8443, "cidr": "10.0.0.0/8"},
            {"ipProtocol": "tcp", "fromPort": 8443, "toPort": 8443, "ipRanges": [{"cidrIp": "10.0.0.0/8"}]},
        ),
        (
            {"protocol": "tcp", "port": "8000-8100", "group": ["a", "sg-1"], "description": "d"},
            {
                "ipProtocol": "tcp",
                "fromPort": 8000,
                "toPort": 8100,
                "userIdGroupPairs": [{"description": "d", "groupId": "a"}, {"description": "d", "groupId": "sg-1"}],
            },
        ),
        (
            {"protocol": "icmp", "port": 8, "cidr": SOMETHING},
            {"ipProtocol": "icmp", "fromPort": 8, "toPort": -1, "ipRanges": [{"cidrIp": SOMETHING}]},
        ),
        (
            {"ipProtocol": 6, "fromPort": 1, "toPort": 2, "userIdGroupPairs": [{"groupName": "a", "vpcId": "vpc-1"}]},
            {"ipProtocol": "tcp", "fromPort": 1, "toPort": 2, "userIdGroupPairs": [{"groupId": "a"}]},
        ),
        (SOMETHING, SOMETHING),
    ],
)
def test_the_short_form_stands_for_a_bundle(short, plain):
    assert KIND.expand({"ingress": [short], "egress": SOMETHING}) == {"ingress": [plain], "egress": SOMETHING}


def ingress(**rule):
    return found(KIND, ingress=[{"protocol": "tcp", "port": 22, "cidr": "10.0.0.0/8"} | rule])


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"protocol": "tpc"}, "ingress.0.ipProtocol"),
        ({"protocol": 256}, "ingress.0.ipProtocol"),
        ({"protocol": None}, "ingress.0"),
        ({"port": None}, "ingress.0"),
        ({"port": 70000}, "ingress.0.fromPort"),
        ({"port": "ssh"}, "ingress.0.fromPort"),
        ({"port": "23-22"}, "ingress.0.fromPort"),
        ({"port": None, "fromPort": 22}, "ingress.0"),
        ({"protocol": "icmp", "port": 256}, "ingress.0.fromPort"),
        ({"protocol": -1}, "ingress.0.fromPort*"),
        ({"cidr": []}, "ingress.0"),
        ({"cidr": "10.0.0.0"}, "ingress.0.ipRanges.0.cidrIp"),
        ({"cidr": "10.0.0.0/33"}, "ingress.0.ipRanges.0.cidrIp"),
        ({"cidr": "everyone"}, "ingress.0.ipRanges.0.cidrIp"),
        ({"cidr": "10.1.0.0/8"}, "ingress.0.ipRanges.0.cidrIp*"),
        ({"cidr": ["10.0.0.0/8", "10.0.0.0/8"]}, "ingress.0.ipRanges.1.cidrIp"),
        ({"cidr": "0.0.0.0/0"}, "ingress.0.ipRanges.0.cidrIp*"),
        ({"cidr": "::/0"}, "ingress.0.ipv6Ranges.0.cidrIpv6*"),
        ({"ipRanges": [{"cidrIp": "::/1"}]}, "ingress.0.ipRanges.0.cidrIp"),
        ({"ipRanges": [{"description": "x"}]}, "ingress.0.ipRanges.0"),
        ({"description": "caf\u00e9"}, "ingress.0.ipRanges.0.description"),
        ({"prefixListIds": [{"prefixListId": "x"}]}, "ingress.0.prefixListIds.0.prefixListId"),
        ({"userIdGroupPairs": [{"groupId": "sg-1", "userId": "12"}]}, "ingress.0.userIdGroupPairs.0.userId"),
    ],
)
def test_check_finds_what_ec2_would_refuse_and_what_is_open_to_all(rule, path):
    assert list(ingress(**rule)) == [path]


@pytest.mark.parametrize(
    "rule", [{}, {"protocol": "icmp", "port": None, "cidr": "0.0.0.0/0"}, {"protocol": 50, "port": None}]
)
def test_check_has_nothing_to_say_about_a_good_rule(rule):
    assert ingress(**rule) == {}


@pytest.mark.parametrize(
    ("name", "props", "path"),
    [
        ("sg-x", {}, ""),
        ("default", {}, ""),
        ("caf\u00e9", {}, ""),
        ("x", {"description": ""}, "description"),
        ("x", {"description": "na\u00efve"}, "description"),
        ("x", {"vpcId": "default"}, "vpcId"),
    ],
)
def test_check_of_the_group_itself(name, props, path):
    assert list(found(KIND, name, **props)) == [path]


def test_check_withstands_expressions():
    rule = {"protocol": "tcp", "port": "1-2", "cidr": ["10.0.0.0/8"], "group": "a", "description": "d"}
    plain = {
        "ipProtocol": "udp",
        "fromPort": 1,
        "toPort": 2,
        "ipRanges": [{"cidrIp": "10.0.0.0/8", "description": "d"}],
        "userIdGroupPairs": [{"groupId": "sg-1", "userId": "123456789012"}],
    }

    withstands_expressions(KIND, description="d", vpcId=VPC, ingress=[rule, plain], egress=[plain])


def test_two_groups_not_made_yet_are_two_sources():
    one, other = Later(Address("securityGroups", "a"), "id"), Later(Address("securityGroups", "b"), "id")
    bundles = [{"ipProtocol": "-1", "userIdGroupPairs": [{"groupId": one}, {"groupId": other}]}]

    assert list(rules.rules(bundles)) == ["all securityGroups.a", "all securityGroups.b"]
