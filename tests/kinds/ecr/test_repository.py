"""ECR repositories: documents by meaning, encryption for ever, images that stand in the way."""

from __future__ import annotations

import json

import pytest

from reconciler.kinds.ecr.repository import FIRST_PAGE, KIND
from reconciler.model import Call, Effect, JsonText, Live, On, Refused, Scope
from tests.support.service_kinds import (
    INDEX,
    OWNED,
    SCOPE,
    TAGS,
    changed,
    differs,
    found,
    read,
    want,
    withstands_expressions,
)

ARN = "arn:aws:ecr:eu-west-1:123456789012:repository/dcv"
URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/dcv"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd"
SELECTION = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10}
EXPIRE = {"rules": [{"rulePriority": 1, "selection": SELECTION, "action": {"type": "expire"}}]}
PULL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "210987654321"}, "Action": ["ecr:BatchGetImage"]}],
}
DESCRIBED = {
    "repositoryArn": ARN,
    "registryId": "123456789012",
    "repositoryName": "dcv",
    "repositoryUri": URI,
    "createdAt": "2026-01-31T12:00:00Z",
    "imageTagMutability": "MUTABLE",
    "imageScanningConfiguration": {"scanOnPush": False},
    "encryptionConfiguration": {"encryptionType": "AES256"},
}
PLAIN = {
    "imageTagMutability": "MUTABLE",
    "imageScanningConfiguration": {"scanOnPush": False},
    "encryptionConfiguration": {"encryptionType": "AES256"},
}
NO_LIFECYCLE = Refused("LifecyclePolicyNotFoundException", "none")
NO_POLICY = Refused("RepositoryPolicyNotFoundException", "none")
GONE = Refused("RepositoryNotFoundException", "no")


def live(**props):
    attrs = {"name": "dcv", "arn": ARN, "uri": URI}
    return Live(physical="dcv", attrs=attrs, props={**PLAIN, **props}, tags=OWNED)


def call(operation, retry_on=(), ok_if=(), patience=300.0, **params):
    return Call(
        "ecr", operation, {"repositoryName": "dcv", **params}, retry_on=retry_on, ok_if=ok_if, patience=patience
    )


def describe(name="dcv"):
    return Call("ecr", "DescribeRepositories", {"repositoryNames": [name]})


def documents(name, lifecycle, policy):
    both = zip(("GetLifecyclePolicy", "GetRepositoryPolicy"), (lifecycle, policy), strict=True)
    return [(Call("ecr", operation, {"repositoryName": name}), reply) for operation, reply in both]


TAGS_OF = Call("ecr", "ListTagsForResource", {"resourceArn": ARN})


@pytest.mark.parametrize("page", ["whole", "cut", "refused"])
def test_several_repositories_are_looked_up_in_their_list(page):
    """A list of names would be refused as a whole when one of them is missing."""
    foreign = {**DESCRIBED, "repositoryName": "foreign"}
    pages = {
        "whole": ({"repositories": [foreign, DESCRIBED]}, []),
        "cut": ({"repositories": [DESCRIBED], "nextToken": "more"}, [(describe("nope"), GONE)]),
        "refused": (
            Refused("AccessDeniedException", "not authorized to perform: ecr:DescribeRepositories"),
            [(describe("nope"), GONE), (describe(), {"repositories": [DESCRIBED]})],
        ),
    }
    listed, alone = pages[page]
    got = read(
        KIND,
        [
            [(FIRST_PAGE, listed)],
            [
                (TAGS_OF, {"tags": TAGS}),
                (call("GetLifecyclePolicy"), {"lifecyclePolicyText": json.dumps(EXPIRE)}),
                (call("GetRepositoryPolicy"), {"policyText": json.dumps(PULL)}),
            ],
            alone,
        ],
        "nope",
        "dcv",
    )

    assert got == [live(lifecyclePolicy=EXPIRE, repositoryPolicy=PULL)]


def test_read_confirms_what_the_tagging_index_proposes():
    index = {"ResourceTagMappingList": [{"ResourceARN": ARN}, {"ResourceARN": f"{ARN}-gone"}]}
    rounds = [
        [(INDEX, index)],
        [(FIRST_PAGE, {"repositories": [DESCRIBED]})],
        [
            (TAGS_OF, {"tags": TAGS}),
            (call("GetLifecyclePolicy"), NO_LIFECYCLE),
            (call("GetRepositoryPolicy"), NO_POLICY),
        ],
    ]

    assert read(KIND, rounds, owned=True) == [live()]


def test_what_aws_fills_in_is_no_difference():
    encrypted = {"encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": KEY}}

    assert differs(KIND, live(), want(KIND, "dcv")) == {}
    assert differs(KIND, live(), want(KIND, "dcv", force=True, imageScanningConfiguration={})) == {}
    assert differs(KIND, live(**encrypted), want(KIND, "dcv", encryptionConfiguration={"encryptionType": "KMS"})) == {}


@pytest.mark.parametrize("name", ["1234abcd", "alias/mine", KEY])
def test_a_key_may_be_named_in_several_ways(name):
    there = live(encryptionConfiguration={"encryptionType": "KMS", "kmsKey": KEY})
    other = {"encryptionType": "KMS", "kmsKey": "5678"}

    assert (
        differs(KIND, there, want(KIND, "dcv", encryptionConfiguration={"encryptionType": "KMS", "kmsKey": name})) == {}
    )
    assert differs(KIND, there, want(KIND, "dcv", encryptionConfiguration=other)).keys() == {
        "encryptionConfiguration.kmsKey"
    }


def test_documents_are_compared_by_meaning():
    shown = {
        "Statement": {
            "Action": "ecr:batchgetimage",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
        },
        "Version": "2012-10-17",
    }
    two = {"rulePriority": 2, "selection": {**SELECTION, "tagPrefixList": ["a", "b"]}, "action": {"type": "expire"}}
    other = {**two, "description": "", "selection": {**SELECTION, "tagPrefixList": ["b", "a"]}}
    there = live(repositoryPolicy=shown, lifecyclePolicy={"rules": [two, *EXPIRE["rules"]]})
    declared = {"rules": [*EXPIRE["rules"], other]}

    assert differs(KIND, there, want(KIND, "dcv", repositoryPolicy=json.dumps(PULL), lifecyclePolicy=declared)) == {}


EXCLUSION = [{"filterType": "WILDCARD", "filter": "latest"}]


@pytest.mark.parametrize(
    ("there", "declared", "calls"),
    [
        ({"imageTagMutability": "IMMUTABLE"}, {}, [call("PutImageTagMutability", imageTagMutability="MUTABLE")]),
        (
            {"imageTagMutability": "MUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": []},
            {"imageTagMutability": "MUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": EXCLUSION},
            [
                call(
                    "PutImageTagMutability",
                    imageTagMutability="MUTABLE_WITH_EXCLUSION",
                    imageTagMutabilityExclusionFilters=EXCLUSION,
                )
            ],
        ),
        (
            {"imageScanningConfiguration": {"scanOnPush": True}},
            {},
            [call("PutImageScanningConfiguration", imageScanningConfiguration={"scanOnPush": False})],
        ),
        ({}, {"lifecyclePolicy": EXPIRE}, [call("PutLifecyclePolicy", lifecyclePolicyText=JsonText(EXPIRE))]),
        (
            {"lifecyclePolicy": EXPIRE},
            {},
            [call("DeleteLifecyclePolicy", ok_if=(On("LifecyclePolicyNotFoundException"),))],
        ),
        (
            {},
            {"repositoryPolicy": PULL},
            [call("SetRepositoryPolicy", policyText=JsonText(PULL), patience=120.0)],
        ),
        (
            {"repositoryPolicy": PULL},
            {},
            [call("DeleteRepositoryPolicy", ok_if=(On("RepositoryPolicyNotFoundException"),))],
        ),
    ],
)
def test_each_property_is_brought_about_by_its_own_call(there, declared, calls):
    assert changed(KIND, live(**there), want(KIND, "dcv", **declared)) == calls


def test_a_role_of_this_account_may_need_a_moment_before_a_policy_can_name_it():
    role = {
        "Version": "2012-10-17",
        "Statement": [{**PULL["Statement"][0], "Principal": {"AWS": "arn:aws:iam::123456789012:role/r"}}],
    }

    (set_,) = changed(KIND, live(), want(KIND, "dcv", repositoryPolicy=role))

    assert set_.retry_on == (On("InvalidParameterException", "Invalid repository policy"),)


def test_another_encryption_is_another_repository():
    wanted = want(KIND, "dcv", encryptionConfiguration={"encryptionType": "KMS"})

    assert differs(KIND, live(), wanted) == {"encryptionConfiguration.encryptionType": ("AES256", "KMS")}
    assert KIND.fields["encryptionConfiguration.encryptionType"].effect is Effect.REPLACE


def test_create_sends_what_is_declared_and_the_policies_afterwards():
    wanted = want(
        KIND, "dcv", force=True, imageTagMutability="IMMUTABLE", lifecyclePolicy=EXPIRE, repositoryPolicy=PULL
    )

    assert KIND.create(wanted) == [
        call("CreateRepository", imageTagMutability="IMMUTABLE", tags=TAGS),
        call("PutLifecyclePolicy", lifecyclePolicyText=JsonText(EXPIRE)),
        call("SetRepositoryPolicy", policyText=JsonText(PULL), patience=120.0),
    ]


def test_images_are_thrown_away_only_when_asked_to():
    gone = (On("RepositoryNotFoundException"),)

    assert KIND.delete(live(), {}) == [call("DeleteRepository", ok_if=gone)]
    assert KIND.delete(live(), {"force": False}) == [call("DeleteRepository", ok_if=gone)]
    assert KIND.delete(live(), {"force": True}) == [call("DeleteRepository", ok_if=gone, force=True)]


def test_tags_go_by_arn():
    assert KIND.tag(live(), {"a": "b"}, ["c"]) == [
        Call("ecr", "UntagResource", {"resourceArn": ARN, "tagKeys": ["c"]}),
        Call("ecr", "TagResource", {"resourceArn": ARN, "tags": [{"Key": "a", "Value": "b"}]}),
    ]


def test_attributes_are_computed_in_china_too():
    china = Scope(account="123456789012", region="cn-north-1", partition="aws-cn", environment="e")

    assert KIND.attrs(SCOPE, "dcv", {}) == {"name": "dcv", "arn": ARN, "uri": URI}
    assert KIND.attrs(china, "dcv", {})["uri"] == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/dcv"


def rule(**more):
    return {"lifecyclePolicy": {"rules": [{**EXPIRE["rules"][0], **more}]}}


@pytest.mark.parametrize(
    ("name", "props", "path"),
    [
        ("DCV", {}, ""),
        ("a", {}, ""),
        ("a//b", {}, ""),
        ("-ab", {}, ""),
        ("dcv", {"encryptionConfiguration": {"kmsKey": KEY}}, "encryptionConfiguration.kmsKey"),
        ("dcv", {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}, "imageTagMutability"),
        ("dcv", {"imageTagMutabilityExclusionFilters": EXCLUSION}, "imageTagMutabilityExclusionFilters"),
        (
            "dcv",
            {
                "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
                "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a b"}],
            },
            "imageTagMutabilityExclusionFilters.0.filter",
        ),
        ("dcv", {"lifecyclePolicy": "{oops"}, "lifecyclePolicy"),
        ("dcv", {"lifecyclePolicy": {"Rules": []}}, "lifecyclePolicy.Rules"),
        ("dcv", rule(priority=1), "lifecyclePolicy.rules.0.priority"),
        ("dcv", rule(rulePriority=0), "lifecyclePolicy.rules.0.rulePriority"),
        ("dcv", rule(action=None), "lifecyclePolicy.rules.0"),
        ("dcv", rule(selection=None), "lifecyclePolicy.rules.0"),
        ("dcv", rule(selection={**SELECTION, "tagStatus": "all"}), "lifecyclePolicy.rules.0.selection.tagStatus"),
        ("dcv", rule(selection={**SELECTION, "tagStatus": "tagged"}), "lifecyclePolicy.rules.0.selection"),
        ("dcv", rule(selection={**SELECTION, "countType": "sinceImagePushed"}), "lifecyclePolicy.rules.0.selection"),
        ("dcv", {"lifecyclePolicy": {"rules": EXPIRE["rules"] * 2}}, "lifecyclePolicy.rules.1.rulePriority"),
        ("dcv", {"repositoryPolicy": "nope"}, "repositoryPolicy"),
    ],
)
def test_check_finds_what_ecr_would_refuse(name, props, path):
    assert list(found(KIND, name, **props)) == [path]


def test_check_withstands_expressions():
    withstands_expressions(
        KIND,
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=EXCLUSION,
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": KEY},
        lifecyclePolicy=EXPIRE,
        repositoryPolicy=PULL,
    )
