"""Look-ups: one answer or a problem that says what was asked and what matched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from reconciler.account import lookups
from reconciler.model import Call, Lookup, Pos, Reference, Refused, Reply, Template
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
