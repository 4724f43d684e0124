"""Secrets Manager in the sandbox, rule by rule.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html
"""

from __future__ import annotations

import pytest

ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64


@pytest.fixture
def secrets(sandbox):
    return sandbox.client("secretsmanager")


@pytest.fixture
def put(secrets):
    secrets.create_secret(Name="s")
    return lambda token, value: secrets.put_secret_value(SecretId="s", ClientRequestToken=token, SecretString=value)


def value(secrets, **more):
    return secrets.get_secret_value(SecretId="s", **more)["SecretString"]


def stages(secrets):
    return secrets.describe_secret(SecretId="s").get("VersionIdsToStages", {})


def test_a_secret_may_have_no_value(secrets, refused):
    secrets.create_secret(Name="s")

    assert stages(secrets) == {}
    refused("ResourceNotFoundException", "", secrets.get_secret_value, SecretId="s")


def test_the_token_becomes_the_version(secrets, put):
    put(ONE, "a")
    put(TWO, "b")

    assert stages(secrets) == {ONE: ["AWSPREVIOUS"], TWO: ["AWSCURRENT"]}


def test_the_same_token_and_value_change_nothing(secrets, put):
    put(ONE, "a")
    put(TWO, "b")
    again = put(ONE, "a")

    assert again["VersionId"] == ONE
    assert value(secrets) == "b"


def test_the_same_token_with_another_value_is_refused(secrets, put, refused):
    put(ONE, "a")
    given = {"SecretId": "s", "ClientRequestToken": ONE, "SecretString": "b"}

    refused("ResourceExistsException", "", secrets.put_secret_value, **given)
    refused("ResourceExistsException", "", secrets.update_secret, **given)


def test_only_labelled_versions_are_shown(secrets, put):
    put(ONE, "a")
    put(TWO, "b")
    put(THREE, "c")

    assert stages(secrets) == {TWO: ["AWSPREVIOUS"], THREE: ["AWSCURRENT"]}
    listed = secrets.list_secrets()["SecretList"][0]
    assert listed["SecretVersionsToStages"] == {TWO: ["AWSPREVIOUS"], THREE: ["AWSCURRENT"]}


def test_moving_the_label_moves_the_value(secrets, put, refused):
    put(ONE, "a")
    put(TWO, "b")
    move = {"SecretId": "s", "VersionStage": "AWSCURRENT", "MoveToVersionId": ONE}

    refused("InvalidParameterException", "RemoveFromVersionId", secrets.update_secret_version_stage, **move)
    secrets.update_secret_version_stage(**move, RemoveFromVersionId=TWO)

    assert "a" == value(secrets) == value(secrets, VersionStage="AWSCURRENT")
    assert value(secrets, VersionStage="AWSPREVIOUS") == "b"
    assert stages(secrets) == {ONE: ["AWSCURRENT"], TWO: ["AWSPREVIOUS"]}


def test_a_value_after_a_moved_label(secrets, put):
    put(ONE, "a")
    put(TWO, "b")
    secrets.update_secret_version_stage(
        SecretId="s", VersionStage="AWSCURRENT", MoveToVersionId=ONE, RemoveFromVersionId=TWO
    )
    put(THREE, "c")

    assert stages(secrets) == {ONE: ["AWSPREVIOUS"], THREE: ["AWSCURRENT"]}


def test_update_merges_and_an_empty_description_clears(secrets):
    secrets.create_secret(Name="s", Description="old", Tags=[{"Key": "a", "Value": "b"}])
    secrets.update_secret(SecretId="s", KmsKeyId="alias/mine")
    kept = secrets.describe_secret(SecretId="s")
    secrets.update_secret(SecretId="s", Description="")
    cleared = secrets.describe_secret(SecretId="s")
    secrets.update_secret(SecretId="s", KmsKeyId="")
    default = secrets.describe_secret(SecretId="s")

    assert (kept["Description"], kept["KmsKeyId"]) == ("old", "alias/mine")
    assert "Description" not in cleared
    assert cleared["Tags"] == [{"Key": "a", "Value": "b"}]
    assert "KmsKeyId" not in default


def test_a_deleted_secret_keeps_its_name_for_its_window(sandbox, secrets, put, refused):
    put(ONE, "a")
    secrets.delete_secret(SecretId="s", RecoveryWindowInDays=7)

    refused("InvalidRequestException", "already scheduled for deletion", secrets.create_secret, Name="s")
    sandbox.advance(7 * 86400)
    secrets.create_secret(Name="s")

    assert stages(secrets) == {}


def test_a_deleted_secret_is_closed(secrets, put, refused):
    put(ONE, "a")
    secrets.delete_secret(SecretId="s")
    marked = ("InvalidRequestException", "marked for deletion")

    refused(*marked, secrets.get_secret_value, SecretId="s")
    refused(*marked, secrets.put_secret_value, SecretId="s", SecretString="b")
    refused(*marked, secrets.update_secret, SecretId="s", Description="b")
    refused(*marked, secrets.tag_resource, SecretId="s", Tags=[{"Key": "a", "Value": "b"}])
    assert "DeletedDate" in secrets.describe_secret(SecretId="s")
    assert secrets.list_secrets()["SecretList"] == []
    assert len(secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]) == 1


def test_a_deleted_secret_can_be_restored(secrets, put):
    put(ONE, "a")
    secrets.delete_secret(SecretId="s")
    secrets.restore_secret(SecretId="s")

    assert value(secrets) == "a"


def test_a_forced_deletion_has_no_window(sandbox, secrets, put, refused):
    secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    secrets.create_secret(Name="s")
    secrets.delete_secret(SecretId="s")
    secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    sandbox.change({"forced_delete": 10})

    refused("InvalidRequestException", "scheduled for deletion", secrets.create_secret, Name="s")
    sandbox.advance(10)
    secrets.create_secret(Name="s")


def test_the_window_has_bounds(secrets, put, refused):
    for days in (6, 31):
        refused(
            "InvalidParameterException",
            "between 7 and 30",
            secrets.delete_secret,
            SecretId="s",
            RecoveryWindowInDays=days,
        )


def test_a_taken_name_is_another_error(secrets, put, refused):
    refused("ResourceExistsException", "already exists", secrets.create_secret, Name="s")


def test_tags_are_read_back_and_aws_is_reserved(secrets, put, refused):
    secrets.tag_resource(SecretId="s", Tags=[{"Key": "a", "Value": "b"}])

    assert secrets.describe_secret(SecretId="s")["Tags"] == [{"Key": "a", "Value": "b"}]
    refused(
        "InvalidParameterException", "aws:", secrets.tag_resource, SecretId="s", Tags=[{"Key": "aws:a", "Value": ""}]
    )


def test_secrets_are_listed_in_pages(sandbox, secrets):
    for n in range(3):
        secrets.create_secret(Name=f"s{n}")
    sandbox.change({"page_size": 2})

    pages = list(secrets.get_paginator("list_secrets").paginate())

    assert [len(page["SecretList"]) for page in pages] == [2, 1]


def test_values_do_not_reach_the_log(sandbox, secrets, put):
    put(ONE, "hush")

    assert "hush" not in repr(sandbox.calls)
