"""KMS keys by another name: the same key is no difference, another one is, and KMS is only asked where it has to be.

https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
"""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kinds.common.kms_keys import same_key
from reconciler.model import Verb
from tests.support.histories import History

ALIAS = "arn:aws:kms:eu-west-1:123456789012:alias/"
PATHS = {
    "logGroups": ("/g", "kmsKeyId"),
    "secrets": ("s", "kmsKeyId"),
    "repositories": ("repo", "encryptionConfiguration.kmsKey"),
    "topics": ("t", "attributes.KmsMasterKeyId"),
}
DECLARED = {
    "logGroups": lambda key: {"kmsKeyId": key},
    "secrets": lambda key: {"kmsKeyId": key},
    "repositories": lambda key: {"encryptionConfiguration": {"encryptionType": "KMS", **({"kmsKey": key} if key else {})}},
    "topics": lambda key: {"attributes": {"KmsMasterKeyId": key}},
}  # fmt: skip
RESOLVED = ["logGroups", "secrets", "repositories"]


@pytest.fixture
def history(sandbox: Any) -> History:
    return History(sandbox, "keys")


@pytest.fixture
def names(sandbox: Any) -> dict[str, str]:
    """Two keys, each with an alias."""
    kms = sandbox.client("kms")
    found = {}
    for one in ("one", "two"):
        found[one] = kms.create_key()["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName=f"alias/{one}", TargetKeyId=found[one])
        found[f"alias of {one}"] = f"{ALIAS}{one}"
    return found


def planned(history: History, section: str, key: str | None) -> tuple[Any, int]:
    """What the plan does with the resource, and how often KMS was asked."""
    env = history.environment({section: {PATHS[section][0]: DECLARED[section](key)}})
    history.sandbox.calls.clear()
    made = history.plan(env)
    assert not made.problems
    (item,) = made.plan.resources
    return item, sum(call.service == "kms" for call in history.sandbox.calls)


def applied(history: History, section: str, key: str | None) -> None:
    history.converge(history.environment({section: {PATHS[section][0]: DECLARED[section](key)}}))


@pytest.mark.parametrize("section", RESOLVED)
def test_an_alias_and_its_key_are_the_same_and_another_alias_is_not(history, names, section):
    applied(history, section, names["one"])

    same, asked = planned(history, section, names["alias of one"])
    assert (same.verb, asked) == (Verb.NOOP, 1)
    other, asked = planned(history, section, names["alias of two"])
    assert other.verb is not Verb.NOOP
    assert [".".join(map(str, change.path)) for change in other.changes] == [PATHS[section][1]]
    assert asked == 1
    applied(history, section, names["alias of two"])
    back, _ = planned(history, section, names["two"])
    assert back.verb is Verb.NOOP
    back, _ = planned(history, section, names["one"])
    assert back.verb is not Verb.NOOP
    applied(history, section, names["one"])


@pytest.mark.parametrize("section", PATHS)
def test_names_of_one_form_are_compared_without_kms(history, names, section):
    applied(history, section, names["one"])

    same, asked = planned(history, section, names["one"])
    assert (same.verb, asked) == (Verb.NOOP, 0)
    other, asked = planned(history, section, names["two"])
    assert (other.verb is Verb.NOOP, asked) == (False, 0)


@pytest.mark.parametrize("section", RESOLVED)
def test_where_kms_may_not_be_asked_an_alias_is_no_difference_and_the_plan_says_so(history, names, section):
    applied(history, section, names["one"])
    history.sandbox.faults.add(operation="DescribeKey", code="AccessDeniedException", times=0)

    item, _ = planned(history, section, names["alias of two"])

    assert item.verb is Verb.NOOP
    assert any("kms:DescribeKey" in note for note in item.notes)


@pytest.mark.parametrize("section", RESOLVED)
def test_an_alias_that_does_not_exist_is_no_name_of_the_key(history, names, section):
    applied(history, section, names["one"])

    item, _ = planned(history, section, f"{ALIAS}none")

    assert item.verb is not Verb.NOOP


def test_sns_keeps_the_name_that_it_was_given(history, names):
    """https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html"""
    applied(history, "topics", names["one"])
    for name, verb in (
        (names["one"].rpartition("/")[2], Verb.NOOP),
        ("alias/one", Verb.UPDATE),
        (names["alias of one"], Verb.NOOP),
        (names["one"], Verb.UPDATE),
    ):
        item, asked = planned(history, "topics", name)
        assert (item.verb, asked) == (verb, 0)
        applied(history, "topics", name)


def test_a_repository_that_declares_no_key_uses_the_one_of_aws(history, names):
    """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_EncryptionConfiguration.html"""
    applied(history, "repositories", None)
    applied(history, "repositories", "alias/aws/ecr")

    item, _ = planned(history, "repositories", names["one"])
    assert item.verb is Verb.REPLACE
    applied(history, "repositories", names["one"])
    item, asked = planned(history, "repositories", None)
    assert (item.verb, asked) == (Verb.REPLACE, 1)


@pytest.mark.parametrize(
    ("declared", "live", "same"),
    [
        ("alias/a", "arn:aws:kms:r:1:key/1", True),
        ("alias/a", "2", False),
        ("arn:aws:kms:r:1:key/2", "alias/a", False),
        ("alias/unknown", "2", True),
        ("alias/none", "2", False),
        ("alias/a", "alias/b", False),
        ("alias/a", "arn:aws:kms:r:1:alias/a", True),
        ("1", "arn:aws:kms:r:1:key/1", True),
        (None, "1", False),
        (None, None, True),
    ],
)
def test_two_names_of_a_key(declared, live, same):
    keys = {"alias/a": "arn:aws:kms:r:1:key/1", "alias/unknown": None, "alias/none": ""}

    assert same_key(declared, live, keys) is same
