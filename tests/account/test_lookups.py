"""Look-ups: one answer or a problem that says what was asked and what matched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from reconciler.account import lookups, named_lookups
from reconciler.model import Call, Lookup, Pos, Reference, Refused, Reply, Scope, Template
from reconciler.model.lookups import LOOKUP_KINDS
from reconciler.schema import registry
from tests.support.builders import SCOPE

POS = Pos("environment.yaml", 5, 3)


def ref(name: str) -> Template:
    return Template((Reference("lookups", f"${{lookups.{name}}}", attr=name),))


class Account:
    def __init__(self, **replies: Any) -> None:
        self.replies = replies
        self.asked: list[Call] = []

    def ask(self, calls: Sequence[Call]) -> tuple[Reply, ...]:
        self.asked += calls
        return tuple(self.replies[call.operation] for call in calls)


def resolve(account: Account, **asked: Any) -> tuple[dict[str, Any], list[Any]]:
    found = {n: Lookup(name=n, kind=kind, args=args, pos=POS) for n, (kind, args) in asked.items()}
    return lookups.resolve(found, SCOPE, account.ask)


VPC = {"Vpcs": [{"VpcId": "vpc-1", "Tags": [{"Key": "Name", "Value": "main"}]}]}


def test_one_that_needs_another_comes_after_it() -> None:
    account = Account(
        DescribeVpcs=VPC, DescribeSubnets={"Subnets": [{"SubnetId": "subnet-2"}, {"SubnetId": "subnet-1"}]}
    )
    values, problems = resolve(
        account, subnets=("subnets", {"vpcId": ref("vpc"), "tags": {"tier": "private"}}), vpc=("vpc", {"default": True})
    )

    assert problems == []
    assert values == {"vpc": "vpc-1", "subnets": ["subnet-1", "subnet-2"]}
    assert account.asked[0].params == {"Filters": [{"Name": "is-default", "Values": ["true"]}]}
    assert {"Name": "tag:tier", "Values": ["private"]} in account.asked[1].params["Filters"]
    assert {"Name": "vpc-id", "Values": ["vpc-1"]} in account.asked[1].params["Filters"]


def test_the_newest_image_is_taken() -> None:
    images = [
        {"ImageId": "ami-old", "CreationDate": "2025-01-01T00:00:00.000Z"},
        {"ImageId": "ami-new", "CreationDate": "2026-01-01T00:00:00.000Z"},
    ]
    account = Account(DescribeImages={"Images": images})
    values, _ = resolve(account, ami=("image", {"owner": "amazon", "name": "amzn2-*"}))

    assert values == {"ami": "ami-new"}
    assert account.asked[0].params["Owners"] == ["amazon"]


def test_a_parameter_gives_its_value() -> None:
    account = Account(GetParameter={"Parameter": {"Value": "ami-1"}})
    assert resolve(account, gpu=("ssmParameter", "/aws/x"))[0] == {"gpu": "ami-1"}


@pytest.mark.parametrize(
    ("kind", "args", "reply", "message", "hint"),
    [
        ("vpc", {"default": True}, {"DescribeVpcs": {"Vpcs": []}}, "no VPC matches is-default=true", "loosen"),
        (
            "vpc",
            {"tags": {"a": "b"}},
            {"DescribeVpcs": {"Vpcs": [*VPC["Vpcs"], {"VpcId": "vpc-2"}]}},
            "2 VPCs match tag:a=b",
            "vpc-1 (main), vpc-2",
        ),
        ("subnets", {}, {"DescribeSubnets": {"Subnets": []}}, "no subnet matches state=available", ""),
        (
            "securityGroup",
            {"groupName": "default"},
            {
                "DescribeSecurityGroups": {
                    "SecurityGroups": [{"GroupId": "sg-1", "VpcId": "vpc-1"}, {"GroupId": "sg-2"}]
                }
            },
            "2 security groups match",
            "sg-1 (vpc-1), sg-2",
        ),
        (
            "ssmParameter",
            "/x",
            {"GetParameter": Refused("ParameterNotFound", "")},
            "no SSM parameter /x",
            "get-parameters",
        ),
        ("ssmParameter", "/x", {"GetParameter": Refused("AccessDenied", "no")}, "refused ssm:GetParameter", ""),
        ("vpc", {"defualt": True}, {}, 'no argument "defualt"', 'did you mean "default"?'),
        (
            "vpc",
            {"default": True},
            {"DescribeVpcs": Refused("UnauthorizedOperation", "no")},
            "refused ec2:DescribeVpcs",
            "",
        ),
    ],
)
def test_no_single_answer_is_a_problem_in_its_place(kind: str, args: Any, reply: Any, message: str, hint: str) -> None:
    values, (problem,) = resolve(Account(**reply), x=(kind, args))

    assert values == {}
    assert message in problem.message and hint in problem.hint
    assert (problem.pos, problem.address) == (POS, "lookups.x")


def test_a_circle_is_told_once() -> None:
    values, (problem,) = resolve(Account(), a=("vpc", {"id": ref("b")}), b=("vpc", {"id": ref("a")}))

    assert values == {} and "look-ups form a cycle: " in problem.message


def test_what_needs_a_failed_one_is_not_told_again() -> None:
    account = Account(DescribeVpcs={"Vpcs": []})
    _, problems = resolve(account, vpc=("vpc", {"default": True}), subnets=("subnets", {"vpcId": ref("vpc")}))

    assert [p.address for p in problems] == ["lookups.vpc"]


def test_an_image_that_is_not_there_is_told_with_whose_it_should_be() -> None:
    _, problems = resolve(Account(DescribeImages={"Images": []}), ami=("image", {"owner": "amazon", "name": "none-*"}))

    assert [p.message for p in problems] == ["no image matches name=none-*, state=available, owner=amazon"]


# --- what is found by its name ---

DIGEST = "sha256:" + "a" * 64
PINNED = {"DescribeImages": {"imageDetails": [{"imageDigest": DIGEST, "imageTags": ["1.4"]}]}}


def system(number: int, state: str = "available", **tags: str) -> dict[str, Any]:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    name = {"Name": tags["Name"]} if "Name" in tags else {}
    return {"FileSystemId": f"fs-{number}", "LifeCycleState": state, "Tags": listed, **name}


SYSTEMS = {
    "DescribeFileSystems": {
        "FileSystems": [
            system(1, Name="data", tier="hot"),
            system(2, Name="scratch", tier="cold"),
            system(3, state="deleting", Name="data"),
            system(4),
        ]
    }
}


@pytest.mark.parametrize(
    ("kind", "args", "replies", "value", "params"),
    [
        ("fileSystem", {"tags": {"Name": "data"}}, SYSTEMS, "fs-1", {}),
        ("fileSystem", {"filters": [{"Name": "tag:tier", "Values": ["warm", "col*"]}]}, SYSTEMS, "fs-2", {}),
        ("fileSystem", {"filters": {"tag:tier": "h?t", "tag-key": "Name"}}, SYSTEMS, "fs-1", {}),
        (
            "fileSystem",
            {"fileSystemId": "fs-4"},
            {"DescribeFileSystems": {"FileSystems": [system(4)]}},
            "fs-4",
            {"FileSystemId": "fs-4"},
        ),
        (
            "kmsKey",
            "alias/batch",
            {"DescribeKey": {"KeyMetadata": {"Arn": "arn:k", "KeyState": "Enabled"}}},
            "arn:k",
            {"KeyId": "alias/batch"},
        ),
        ("secret", "token", {"DescribeSecret": {"ARN": "arn:s"}}, "arn:s", {"SecretId": "token"}),
        ("role", "jobs", {"GetRole": {"Role": {"Arn": "arn:r"}}}, "arn:r", {"RoleName": "jobs"}),
        (
            "repositoryImage",
            {"repository": "team/app", "tag": "1.4"},
            PINNED,
            f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app@{DIGEST}",
            {"repositoryName": "team/app", "imageIds": [{"imageTag": "1.4"}]},
        ),
        (
            "repositoryImage",
            {"repository": "app", "tag": "1.4", "registryId": "210987654321"},
            PINNED,
            f"210987654321.dkr.ecr.eu-west-1.amazonaws.com/app@{DIGEST}",
            {"repositoryName": "app", "imageIds": [{"imageTag": "1.4"}], "registryId": "210987654321"},
        ),
    ],
)
def test_what_has_a_name_is_found_by_it(kind: str, args: Any, replies: Any, value: str, params: Any) -> None:
    account = Account(**replies)

    assert resolve(account, x=(kind, args)) == ({"x": value}, [])
    (asked,) = account.asked
    assert asked.params == params


IMAGE = {"repository": "app", "tag": "1.4"}


@pytest.mark.parametrize(
    ("kind", "args", "reply", "code", "message", "hint"),
    [
        ("fileSystem", {"tags": {"Name": "x"}}, SYSTEMS["DescribeFileSystems"], "none", "matches tag:Name=x", "loosen"),
        (
            "fileSystem",
            {"filters": {"tag-key": "tier"}},
            SYSTEMS["DescribeFileSystems"],
            "several",
            "2 file systems match tag-key=tier",
            "narrow the filter; found fs-1 (data), fs-2 (scratch)",
        ),
        (
            "fileSystem",
            {"fileSystemId": "fs-9"},
            Refused("FileSystemNotFound", ""),
            "none",
            "matches FileSystemId=fs-9",
            "check the id",
        ),
        (
            "fileSystem",
            {"tags": {"a": "b"}},
            Refused("AccessDeniedException", "no"),
            "refused",
            "refused elasticfilesystem:DescribeFileSystems",
            "allow elasticfilesystem:DescribeFileSystems",
        ),
        ("fileSystem", {"tags": {"a": "b"}}, {"FileSystems": [{}]}, "refused", "has no FileSystemId", "ENDPOINT"),
        ("kmsKey", "alias/x", Refused("NotFoundException", ""), "none", "no KMS key alias/x", "list-aliases"),
        (
            "kmsKey",
            "alias/x",
            {"KeyMetadata": {"Arn": "arn:k", "KeyState": "PendingDeletion"}},
            "none",
            "alias/x is scheduled for deletion",
            "cancel-key-deletion",
        ),
        ("kmsKey", "alias/x", {"KeyMetadata": {}}, "refused", "has no KeyMetadata.Arn", "ENDPOINT"),
        ("secret", "x", Refused("ResourceNotFoundException", ""), "none", "no secret x", "list-secrets"),
        ("secret", "x", {"ARN": "arn:s", "DeletedDate": 1}, "none", "x is scheduled for deletion", "restore-secret"),
        ("role", "x", Refused("NoSuchEntity", ""), "none", "no role x", "list-roles"),
        ("role", "x", {"Role": {}}, "refused", "has no Role.Arn", "ENDPOINT"),
        (
            "repositoryImage",
            IMAGE,
            Refused("RepositoryNotFoundException", ""),
            "none",
            "no repository app in registry 123456789012",
            "push app:1.4 first",
        ),
        (
            "repositoryImage",
            IMAGE,
            Refused("ImageNotFoundException", ""),
            "none",
            "app has no image with tag 1.4",
            "list-images --repository-name app",
        ),
        ("repositoryImage", IMAGE, {"imageDetails": []}, "refused", "has no one imageDigest", "ENDPOINT"),
    ],
)
def test_what_has_a_name_and_is_not_there(kind: str, args: Any, reply: Any, code: str, message: str, hint: str) -> None:
    operation = {
        "fileSystem": "DescribeFileSystems",
        "kmsKey": "DescribeKey",
        "secret": "DescribeSecret",
        "role": "GetRole",
        "repositoryImage": "DescribeImages",
    }[kind]
    values, (problem,) = resolve(Account(**{operation: reply}), x=(kind, args))

    assert values == {}
    assert problem.code == f"lookup-{code}"
    assert message in problem.message and hint in problem.hint
    assert (problem.pos, problem.address) == (POS, "lookups.x")


def test_an_image_in_china_has_a_uri_of_china() -> None:
    scope = Scope("123456789012", "cn-north-1", "aws-cn", "e")
    found = {"x": Lookup(name="x", kind="repositoryImage", args=IMAGE, pos=POS)}

    values, _ = lookups.resolve(found, scope, Account(**PINNED).ask)
    assert values == {"x": f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app@{DIGEST}"}


@pytest.mark.parametrize(
    "filters",
    [{"tag:tier": "private"}, [{"Name": "tag:tier", "Values": ["private"]}]],
    ids=["mapping", "as-the-cli-takes-them"],
)
def test_filters_have_two_forms(filters: Any) -> None:
    account = Account(DescribeSubnets={"Subnets": [{"SubnetId": "subnet-1"}]})
    values, _ = resolve(account, x=("subnets", {"vpcId": "vpc-1", "filters": filters}))

    assert values == {"x": ["subnet-1"]}
    assert account.asked[0].params["Filters"] == [
        {"Name": "state", "Values": ["available"]},
        {"Name": "tag:tier", "Values": ["private"]},
        {"Name": "vpc-id", "Values": ["vpc-1"]},
    ]


def test_every_kind_of_look_up_is_read_and_has_a_schema() -> None:
    schema = registry.shipped().documents["settings.schema.json"]["$defs"]["lookup"]["properties"]

    assert {name: kind.by_text for name, kind in LOOKUP_KINDS.items()} == {
        name: kind["type"] == "string" for name, kind in schema.items()
    }
    assert LOOKUP_KINDS.keys() == {*lookups._EC2, *named_lookups._RESOLVERS}
