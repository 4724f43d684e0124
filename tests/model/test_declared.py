"""What is declared, found by what a property says."""

from __future__ import annotations

import pytest

from reconciler.model import Address, Declared, Reference, Template
from tests.support.builders import resource

V8, V6, RED = resource("engines", "v8"), resource("engines", "v6"), resource("cars", "red")
DECLARED = Declared(
    {one.address: one for one in (V8, RED, V6)},
    {"engines": ["v8", "v6", "broken"]},
    account="123456789012",
    region="eu-west-1",
)


def expression(section, name, *more):
    address = Address(section, name)
    return Template((Reference("resource", f"${{{address}.arn}}", address=address, attr="arn"), *more))


@pytest.mark.parametrize("value", ["v8", expression("engines", "v8")])
def test_a_name_and_an_expression_mean_the_same(value):
    assert DECLARED.resource("engines", value) is V8


@pytest.mark.parametrize(
    "value",
    ["red", "broken", "v12", None, 8, ["v8"], expression("cars", "red"), expression("engines", "v8", "-x")],
)
def test_what_means_no_engine_declared_here(value):
    assert DECLARED.resource("engines", value) is None


def test_a_section_is_in_the_order_of_its_declarations():
    assert DECLARED.section("engines") == [V8, V6]
    assert list(DECLARED.section("wheels")) == []


@pytest.mark.parametrize(
    ("arn", "messages"),
    [
        ("arn:aws:batch:eu-west-1:123456789012:job-queue/q", []),
        ("arn:aws:iam::aws:policy/x", []),
        ("arn:aws:iam::210987654321:role/x", ["the ARN is in account 210987654321, but the environment is in account"]),
        ("arn:aws:batch:us-east-1:123456789012:job-queue/q", ["the ARN is in us-east-1, but the environment is in"]),
        ("arn:aws-cn:iam::123456789012:role/x", ["the ARN is in partition aws-cn, but eu-west-1 is in partition aws"]),
    ],
)
def test_an_arn_from_elsewhere(arn, messages):
    found = list(DECLARED.outside(arn))

    assert len(found) == len(messages)
    assert all(text.startswith(start) for text, start in zip(found, messages, strict=True))
    assert list(Declared({}).outside(arn)) == []
