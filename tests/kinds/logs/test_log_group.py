"""Log groups: retention, the ARN for tags, classes, protection."""

from __future__ import annotations

import pytest

from reconciler.kinds.logs.log_group import KIND
from reconciler.model import OWNER_TAG, Call, Effect, Live, On, Refused, Sought, Unreadable
from tests.support.service_kinds import (
    OWNED,
    SCOPE,
    changed,
    differs,
    found,
    indexed,
    read,
    want,
    withstands_expressions,
)

ARN = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/batch/custom"
NAME = "/aws/batch/custom"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
DESCRIBED = {
    "logGroupName": NAME,
    "creationTime": 1700000000000,
    "metricFilterCount": 0,
    "arn": f"{ARN}:*",
    "logGroupArn": ARN,
    "storedBytes": 123,
    "logGroupClass": "STANDARD",
    "deletionProtectionEnabled": False,
    "bearerTokenAuthenticationEnabled": False,
}
BUSY = (On("OperationAbortedException"),)


def call(operation, ok_if=(), **params):
    return Call("logs", operation, params, retry_on=BUSY, ok_if=ok_if)


def listing(name):
    return Call("logs", "DescribeLogGroups", {"logGroupNamePrefix": name}, all_pages=True)


def tags(arn=ARN):
    return Call("logs", "ListTagsForResource", {"resourceArn": arn})


def named(*names):
    return Call("logs", "DescribeLogGroups", {"logGroupIdentifiers": list(names)})


def listed_by(*filters):
    return Call("logs", "ListLogGroups", {"logGroupTags": list(filters), "limit": 1000}, all_pages=True)


def live(**props):
    return Live(
        physical=NAME, attrs={"name": NAME, "arn": ARN}, props={"logGroupClass": "STANDARD", **props}, tags=OWNED
    )


def test_read_picks_the_exact_name_out_of_a_listing_by_prefix_where_a_list_of_names_is_refused():
    other = {**DESCRIBED, "logGroupName": NAME + "/more"}
    refused = Refused("ResourceNotFoundException", "no")
    expected = Live(
        physical=NAME,
        attrs={"name": NAME, "arn": ARN},
        props={"logGroupClass": "STANDARD", "deletionProtectionEnabled": False},
        tags={"a": "b"},
    )
    tagged = [(tags(), {"tags": {"a": "b"}})]

    assert read(KIND, [[(named(NAME), {"logGroups": [DESCRIBED]})], tagged], NAME) == [expected]
    assert read(
        KIND, [[(named(NAME), refused)], [(listing(NAME), {"logGroups": [other, DESCRIBED]})], tagged], NAME
    ) == [expected]


def test_fifty_names_are_asked_for_at_once():
    names = [f"/g/{i:02}" for i in range(60)]
    rounds = [[(named(*names[:50]), {"logGroups": []}), (named(*names[50:]), {"logGroups": []})]]

    assert read(KIND, rounds, *names) == []


def test_read_confirms_what_the_tagging_index_proposes():
    """The index also names what is gone, what has other tags by now, and things of other kinds."""
    gone, other = "/aws/batch/gone", "/aws/batch/other"
    arns = [ARN, ARN.replace("custom", "gone"), ARN.replace("custom", "other"), "arn:aws:sns:eu-west-1:123456789012:t"]
    listed = [{**DESCRIBED, "logGroupName": name} for name in (NAME, other)]
    rest = [
        [(named(NAME, gone, other), {"logGroups": listed})],
        [(tags(), {"tags": OWNED}), (tags(ARN.replace("custom", "other")), {"tags": {"a": "b"}})],
    ]
    tagged = listed_by({"key": OWNER_TAG, "values": ["e"]})
    by_tag = [(tagged, {"logGroups": [{"logGroupName": name} for name in (NAME, gone, other)]})]

    assert [item.physical for item in read(KIND, [[indexed(*arns)], *rest], owned=True)] == [NAME]
    assert [item.physical for item in read(KIND, [by_tag, *rest], owned=True, indexed=False)] == [NAME]


def test_the_index_may_name_a_group_with_everything_in_it():
    """Programs that read the index are tested with ``arn:aws:logs:...:log-group:NAME:*``."""
    said = [{"Key": name, "Value": value} for name, value in OWNED.items()]
    there = [(named(NAME), {"logGroups": [DESCRIBED]})]

    (one,) = read(KIND, [[indexed(f"{ARN}:*", tags=said)], there, [(tags(), {"tags": OWNED})]], owned=True)
    (same,) = read(KIND, [[indexed(f"{ARN}:*", tags=said)], there], Sought(NAME, {}, OWNED), owned=True)

    assert one.physical == same.physical == NAME


def test_the_index_is_believed_where_it_says_what_is_expected():
    wanted = {**OWNED, "team": "hpc"}
    there = [(named(NAME), {"logGroups": [DESCRIBED]})]
    said = [{"Key": name, "Value": value} for name, value in {**wanted, "aws:x": "y"}.items()]
    now = [(tags(), {"tags": {**OWNED, "team": "other"}})]

    (same,) = read(KIND, [[indexed(ARN, tags=said)], there], Sought(NAME, {}, wanted), owned=True)
    (late,) = read(KIND, [[indexed(ARN)], there, now], Sought(NAME, {}, wanted), owned=True)
    (unknown,) = read(KIND, [[indexed(ARN, tags=said)], there, now], Sought(NAME), owned=True)

    assert {**wanted, "aws:x": "y"} == same.tags
    assert late.tags == unknown.tags == {**OWNED, "team": "other"}


def test_read_says_what_it_was_refused():
    with pytest.raises(Unreadable):
        read(KIND, [[(named(NAME), Refused("AccessDeniedException", "no"))]], NAME)


def test_what_aws_fills_in_is_no_difference():
    assert differs(KIND, live(deletionProtectionEnabled=False), want(KIND, NAME)) == {}
    assert (
        differs(KIND, live(retentionInDays=30, kmsKeyId=KEY), want(KIND, NAME, retentionInDays=30, kmsKeyId=KEY)) == {}
    )


def test_the_retention_of_a_delivery_group_is_the_services_own():
    assert (
        differs(KIND, live(logGroupClass="DELIVERY", retentionInDays=2), want(KIND, NAME, logGroupClass="DELIVERY"))
        == {}
    )


@pytest.mark.parametrize(
    ("there", "declared", "calls"),
    [
        ({}, {"retentionInDays": 30}, [call("PutRetentionPolicy", logGroupName=NAME, retentionInDays=30)]),
        ({"retentionInDays": 7}, {}, [call("DeleteRetentionPolicy", logGroupName=NAME)]),
        ({}, {"kmsKeyId": KEY}, [call("AssociateKmsKey", logGroupName=NAME, kmsKeyId=KEY)]),
        ({"kmsKeyId": KEY}, {}, [call("DisassociateKmsKey", logGroupName=NAME)]),
        (
            {"deletionProtectionEnabled": True},
            {},
            [call("PutLogGroupDeletionProtection", logGroupIdentifier=NAME, deletionProtectionEnabled=False)],
        ),
    ],
)
def test_each_property_is_brought_about_by_its_own_call(there, declared, calls):
    assert differs(KIND, live(**there), want(KIND, NAME, **declared)).keys() == {*there, *declared}
    assert changed(KIND, live(**there), want(KIND, NAME, **declared)) == calls


def test_another_class_is_another_group():
    wanted = want(KIND, NAME, logGroupClass="INFREQUENT_ACCESS")

    assert differs(KIND, live(), wanted) == {"logGroupClass": ("STANDARD", "INFREQUENT_ACCESS")}
    assert KIND.fields["logGroupClass"].effect is Effect.REPLACE


def test_create_sends_tags_and_sets_the_retention_afterwards():
    wanted = want(KIND, NAME, retentionInDays=30, logGroupClass="STANDARD")

    assert KIND.create(wanted) == [
        call("CreateLogGroup", logGroupName=NAME, logGroupClass="STANDARD", tags=OWNED),
        call("PutRetentionPolicy", logGroupName=NAME, retentionInDays=30),
    ]
    assert KIND.create(want(KIND, NAME)) == [call("CreateLogGroup", logGroupName=NAME, tags=OWNED)]


def test_tags_go_to_the_arn_without_a_star():
    assert KIND.tag(live(), {"a": "b"}, ["c"]) == [
        call("UntagResource", resourceArn=ARN, tagKeys=["c"]),
        call("TagResource", resourceArn=ARN, tags={"a": "b"}),
    ]
    assert KIND.tag(live(), {}, []) == []


def test_deletion_protection_is_lifted_only_where_the_declaration_does_not_ask_for_it():
    gone = call("DeleteLogGroup", ok_if=(On("ResourceNotFoundException"),), logGroupName=NAME)
    lifted = call("PutLogGroupDeletionProtection", logGroupIdentifier=NAME, deletionProtectionEnabled=False)
    protected = live(deletionProtectionEnabled=True)

    assert KIND.delete(live(), {}) == [gone]
    assert KIND.delete(protected, {}) == [gone]
    assert KIND.delete(protected, {"deletionProtectionEnabled": True}) == [gone]
    assert KIND.delete(protected, {"logGroupClass": "STANDARD"}) == [lifted, gone]


@pytest.mark.parametrize(
    ("name", "props", "path"),
    [
        ("a b", {}, ""),
        ("aws/x", {}, ""),
        (NAME, {"retentionInDays": 15}, "retentionInDays"),
        (NAME, {"logGroupClass": "DELIVERY", "retentionInDays": 1}, "retentionInDays"),
        (NAME, {"kmsKeyId": "alias/x"}, "kmsKeyId"),
    ],
)
def test_check_finds_what_aws_would_refuse(name, props, path):
    assert list(found(KIND, name, **props)) == [path]


def test_check_names_the_nearest_retention():
    (finding,) = KIND.check(NAME, {"retentionInDays": 15})

    assert finding.hint.startswith("the nearest is 14")


def test_check_withstands_expressions():
    withstands_expressions(KIND, retentionInDays=30, kmsKeyId=KEY, logGroupClass="STANDARD")


def test_attributes_are_computed():
    assert KIND.attrs(SCOPE, NAME, {}) == {"name": NAME, "arn": ARN}
