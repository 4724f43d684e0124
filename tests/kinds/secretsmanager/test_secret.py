"""Secrets: a value that is never read, known by the id of its version."""

from __future__ import annotations

import pytest

from reconciler.kinds.secretsmanager.secret import ADOPTED, KIND
from reconciler.model import (
    OWNER_TAG,
    Address,
    Call,
    Digest,
    JsonText,
    Later,
    On,
    Refused,
    Secret,
    Sought,
    Text,
    fingerprint,
)
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

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf"
ME = Later(Address("secrets", "x"), "arn")
FOREIGN = "12345678-1234-1234-1234-123456789012"
SAFE = "(sensitive)"


def version(value):
    return fingerprint(value, ARN)


def described(*versions, **more):
    """Versions in the order they were written; the last one is current."""
    stages = {item: ["AWSCURRENT" if item == versions[-1] else "AWSPREVIOUS"] for item in versions}
    shown = {"VersionIdsToStages": stages} if versions else {}
    return {
        "ARN": ARN,
        "Name": "x",
        "LastChangedDate": "2026-01-31",
        "CreatedDate": "2026-01-31",
        "Tags": TAGS,
        **shown,
        **more,
    }


def call(operation, retry_on=(), ok_if=(), patience=300.0, gives=None, **params):
    return Call(
        "secretsmanager", operation, params, retry_on=retry_on, ok_if=ok_if, patience=patience, captures=gives or {}
    )


DESCRIBE = call("DescribeSecret", SecretId="x")
VERSIONS = Call("secretsmanager", "ListSecretVersionIds", {"SecretId": ARN, "IncludeDeprecated": True}, all_pages=True)


def live(*versions, older=(), **more):
    listed = {"Versions": [{"VersionId": item} for item in (*older, *versions)]}
    spare = [(VERSIONS, listed)]
    (one,) = read(KIND, [[(DESCRIBE, described(*versions, **more))]], Sought("x", {"value": "other yet"}), spare=spare)
    return one


def put(value, arn=ARN, text=None):
    return call(
        "PutSecretValue",
        retry_on=(On("ResourceNotFoundException"),),
        patience=60.0,
        SecretId=arn,
        ClientRequestToken=Digest(Secret(value), arn),
        SecretString=Secret(value if text is None else text),
    )


def unowned(*versions, **more):
    return live(*versions, Tags=[], **more)


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_live_secret_holds_the_id_of_its_current_version_and_no_value():
    one = live("a" * 64, "b" * 64, older=["c" * 64], Description="d", KmsKeyId="k")

    assert one.props == {"description": "d", "kmsKeyId": "k", "value": "b" * 64}
    assert one.extra == {"versions": ["a" * 64, "b" * 64, "c" * 64], "rotated": False}
    assert one.attrs == {"name": "x", "arn": ARN}
    assert (one.deleting, one.owner) == (False, "e")


def test_a_secret_without_a_version_has_no_value():
    assert "value" not in live().props


def test_one_who_may_not_list_versions_still_sees_the_labelled_ones():
    rounds = [[(DESCRIBE, described("b" * 64))], [(VERSIONS, Refused("AccessDeniedException", "no"))]]

    assert read(KIND, rounds, Sought("x", {"value": "v"}))[0].extra["versions"] == ["b" * 64]


def test_versions_are_listed_only_where_the_value_is_another():
    mine, there = version("v"), [(VERSIONS, {"Versions": [{"VersionId": "c" * 64}]})]

    for props, more in (({}, []), ({"value": "v"}, []), ({"value": SOMETHING}, []), ({"value": "w"}, there)):
        (one,) = read(KIND, [[(DESCRIBE, described(mine))], more], Sought("x", props))
        assert one.extra["versions"] == sorted([mine, *("c" * 64 for _ in more)])


def test_a_secret_in_its_recovery_window_is_dying():
    assert live("b" * 64, DeletedDate="2026-02-28").deleting


def test_owned_ones_are_proposed_by_index_or_list_and_looked_at_one_by_one():
    """The list's filters match prefixes, it lags, and it may name what is gone."""
    filters = [{"Key": "tag-key", "Values": [OWNER_TAG]}, {"Key": "tag-value", "Values": ["e"]}]
    listing = Call(
        "secretsmanager", "ListSecrets", {"IncludePlannedDeletion": True, "Filters": filters}, all_pages=True
    )
    gone, other = f"{ARN[:-8]}gone-AbCdEf", f"{ARN[:-8]}other-AbCdEf"
    listed = [
        {"ARN": ARN, "Tags": TAGS},
        {"ARN": gone, "Tags": TAGS},
        {"ARN": other, "Tags": [{"Key": OWNER_TAG, "Value": "e2"}]},
    ]
    each = [
        (call("DescribeSecret", SecretId=ARN), described()),
        (call("DescribeSecret", SecretId=gone), Refused("ResourceNotFoundException", "no")),
    ]
    by_list, by_index = [(listing, {"SecretList": listed})], [indexed(ARN, gone)]

    assert [one.physical for one in read(KIND, [by_list, each], owned=True, indexed=False)] == ["x"]
    assert [one.physical for one in read(KIND, [by_index, each], owned=True)] == ["x"]


# --- comparing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["text", {"user": "u", "password": "p"}])
def test_a_value_we_wrote_is_known_by_its_version(value):
    assert differs(KIND, live(version(value)), want(KIND, value=value)) == {}
    assert differs(KIND, live(version("other")), want(KIND, value=value)) == {"value": (SAFE, SAFE)}
    assert differs(KIND, live(), want(KIND, value=value)) == {"value": ("missing", SAFE)}


def test_what_aws_fills_in_is_no_difference():
    assert differs(KIND, live(), want(KIND)) == {}
    assert differs(KIND, live(FOREIGN), want(KIND)) == {}
    assert differs(KIND, live(KmsKeyId="arn:aws:kms:r:1:key/1"), want(KIND, kmsKeyId="1")) == {}
    assert differs(KIND, live(), want(KIND, kmsKeyId="alias/aws/secretsmanager")) == {}
    assert differs(KIND, live(), want(KIND, recoveryWindowInDays=7)) == {}


def test_a_value_that_is_not_declared_or_rotated_or_ignored_is_not_ours():
    assert differs(KIND, live(FOREIGN), want(KIND, description="")) == {}
    assert differs(KIND, live(FOREIGN, RotationEnabled=True), want(KIND, value="v")) == {}
    assert differs(KIND, live(RotationEnabled=True), want(KIND, value="v")).keys() == {"value"}
    assert differs(KIND, live(FOREIGN), want(KIND, value=FOREIGN, ignore=["value"])) == {}


def test_a_version_of_another_is_left_when_the_secret_is_taken_over_and_until_either_changes():
    there, wanted = unowned(FOREIGN), want(KIND, value="v")
    noted = KIND.adoption_tags(there, wanted)
    tags = [*TAGS, *({"Key": name, "Value": value} for name, value in noted.items())]

    assert differs(KIND, there, wanted) == {}
    assert noted == {ADOPTED: f"{FOREIGN}/{version('v')[:16]}"}
    assert differs(KIND, live(FOREIGN, Tags=tags), wanted) == {}
    assert differs(KIND, live(FOREIGN, Tags=tags), want(KIND, value="w")).keys() == {"value"}
    assert differs(KIND, live(FOREIGN.replace("1", "2"), Tags=tags), wanted).keys() == {"value"}


def test_nothing_is_noted_where_nothing_is_left_alone():
    assert KIND.adoption_tags(unowned(), want(KIND, value="v")) == {}
    assert KIND.adoption_tags(unowned(version("v")), want(KIND, value="v")) == {}
    assert KIND.adoption_tags(unowned(FOREIGN), want(KIND)) == {}


def test_a_version_of_another_in_a_secret_of_ours_was_written_from_outside():
    assert differs(KIND, live(FOREIGN), want(KIND, value="v")) == {"value": (SAFE, SAFE)}


def test_a_value_that_only_aws_can_complete_counts_as_different():
    value = {"arn": Text(("x", Later(Address("securityGroups", "a"), "id")))}

    assert differs(KIND, live(version("v")), want(KIND, value=value)) == {"value": (SAFE, SAFE)}


def test_people_are_told_when_a_value_is_not_compared():
    wanted = want(KIND, value="v")

    assert "rotated" in KIND.notes(live(FOREIGN, RotationEnabled=True), wanted)[0]
    assert "is kept until" in KIND.notes(unowned(FOREIGN), wanted)[0]
    assert "written again" in KIND.notes(live(FOREIGN), wanted)[0]
    assert list(KIND.notes(live(version("v")), wanted)) == []
    compared = [live(version("v")), live(FOREIGN), unowned(version("w")), unowned()]
    assert (
        [*KIND.not_compared(unowned(FOREIGN), wanted)]
        == [*KIND.not_compared(live(FOREIGN, RotationEnabled=True), wanted)]
        == ["value"]
    )
    assert [list(KIND.not_compared(one, wanted)) for one in compared] == [[], [], [], []]
    assert list(KIND.not_compared(unowned(FOREIGN), want(KIND))) == []


def test_a_secret_of_another_service_is_left_to_it():
    assert live(version("v"), OwningService="rds").managed_by == "rds"


# --- writing ---------------------------------------------------------------------------------------------------------


def test_a_secret_is_created_empty_and_its_value_put_when_the_arn_is_known():
    lingering = (
        On("InvalidRequestException", "was deleted"),
        On("InvalidRequestException", "scheduled for deletion"),
    )
    value = {"user": "u", "arn": Text(("x", ME))}

    assert KIND.create(want(KIND, description="d", value=value)) == [
        call(
            "CreateSecret",
            retry_on=lingering,
            patience=120.0,
            gives={"arn": "ARN"},
            Name="x",
            Description="d",
            Tags=TAGS,
        ),
        put(value, ME, JsonText(value)),
    ]
    assert len(KIND.create(want(KIND))) == 1


def test_no_call_shows_the_value():
    for action in KIND.create(want(KIND, value={"user": "s3cret"})):
        assert "s3cret" not in repr(action)


def test_update_changes_settings_by_one_call_and_clears_what_is_left_out():
    there = live(version("v"), Description="old", KmsKeyId="k")

    assert changed(KIND, there, want(KIND, value="v")) == [
        call("UpdateSecret", SecretId=ARN, Description="", KmsKeyId="")
    ]
    assert changed(KIND, live(version("v")), want(KIND, value="w", description="d")) == [
        call("UpdateSecret", SecretId=ARN, Description="d"),
        put("w"),
    ]


def test_going_back_to_an_earlier_value_moves_the_label():
    moved = call(
        "UpdateSecretVersionStage",
        ok_if=(On("InvalidParameterException", "currently attached to version"),),
        SecretId=ARN,
        VersionStage="AWSCURRENT",
        MoveToVersionId=Digest(Secret("old"), ARN),
        RemoveFromVersionId=Secret(version("new")),
    )

    assert changed(KIND, live(version("old"), version("new")), want(KIND, value="old")) == [put("old"), moved]
    assert changed(KIND, live(version("new"), older=[version("old")]), want(KIND, value="old")) == [put("old"), moved]
    assert changed(KIND, live(version("new")), want(KIND, value="old")) == [put("old")]


def test_a_deleted_secret_is_restored_and_brought_up_to_date():
    there = live(version("v"), DeletedDate="2026-02-28", Description="old")
    restored = call("RestoreSecret", SecretId=ARN)

    assert list(KIND.restore(there, want(KIND, description="old", value="v"))) == [restored]
    assert list(KIND.restore(there, want(KIND, value="w"))) == [
        restored,
        call("UpdateSecret", SecretId=ARN, Description=""),
        put("w"),
    ]


def test_deleting_leaves_time_to_recover_unless_told_not_to():
    scheduled = (On("InvalidRequestException", f"{text} for deletion") for text in ("scheduled", "marked"))
    gone = (On("ResourceNotFoundException"), *scheduled)

    assert KIND.delete(live(), {}) == [call("DeleteSecret", ok_if=gone, SecretId=ARN, RecoveryWindowInDays=30)]
    assert KIND.delete(live(), {"recoveryWindowInDays": 7}) == [
        call("DeleteSecret", ok_if=gone, SecretId=ARN, RecoveryWindowInDays=7)
    ]
    assert KIND.delete(live(), {"forceDeleteWithoutRecovery": True}) == [
        call("DeleteSecret", ok_if=gone, SecretId=ARN, ForceDeleteWithoutRecovery=True)
    ]


def test_tags_go_by_arn():
    assert KIND.tag(live(), {"a": "b"}, ["c"]) == [
        call("UntagResource", SecretId=ARN, TagKeys=["c"]),
        call("TagResource", SecretId=ARN, Tags=[{"Key": "a", "Value": "b"}]),
    ]


@pytest.mark.parametrize(
    ("name", "props", "path"),
    [
        ("a b", {}, ""),
        ("db-secret", {}, "*"),
        ("x", {"value": ["a"]}, "value"),
        ("x", {"value": 12}, "value"),
        ("x", {"value": ""}, "value"),
        ("x", {"value": {}}, "value"),
        ("x", {"value": "a" * 65537}, "value"),
        ("x", {"description": "a" * 2049}, "description"),
        ("x", {"recoveryWindowInDays": 6}, "recoveryWindowInDays"),
        ("x", {"recoveryWindowInDays": 7, "forceDeleteWithoutRecovery": True}, "forceDeleteWithoutRecovery"),
    ],
)
def test_check_finds_what_aws_would_refuse(name, props, path):
    assert list(found(KIND, name, **props)) == [path]


def test_check_withstands_expressions():
    withstands_expressions(KIND, description="d", kmsKeyId="k", value={"a": "b"}, recoveryWindowInDays=7)
    withstands_expressions(KIND, value="v", forceDeleteWithoutRecovery=True)


def test_no_message_shows_the_value():
    for value in (["s3cret"], "s3cret" * 20000):
        assert "s3cret" not in "".join(found(KIND, value=value).values())
